//! A PIN that is typed at a terminal goes the way of one that a script hands over.

use twotap_rig::{Site, Terminal, memory::Stopped};

use crate::{
    ceremony::{BOUND, options, wait_for_call},
    ledger::Ledger,
};

#[test]
fn a_pin_typed_at_a_terminal_is_gone_before_the_agent_answers() {
    let site = Site::ready(options()).expect("a site");
    let request = site.request("INC-1", "at a terminal").expect("asked");
    let mut ledger = Ledger::default();
    ledger.known.learn(&site);

    let approve = site.twotap("alice", &["approve", &request.id]);
    let mut alice = Terminal::of(approve.expect("alice")).expect("a terminal");
    alice.answer("(yes/no) ", "yes");
    alice.secret("tries left): ", &site.options().pin);
    let mut finger = site.finger("alice").expect("a finger");
    assert!(finger.wait_for_touch(BOUND).expect("an answer"));
    let found = ledger.process("touching", "twotap approve", alice.id(), &["the pin"]);
    ledger.control("touching", &found, "the pin");

    let agent = Stopped::new(site.agent_pid().expect("it runs")).expect("it stops");
    assert!(finger.tap().expect("an answer"));
    wait_for_call(alice.id(), &crate::ceremony::EPOLL);
    ledger.process("handed in", "twotap approve", alice.id(), &[]);
    drop(agent);
    alice.until("approved as alice");
    ledger.said("the terminal", &alice.done());
    ledger.close();
}
