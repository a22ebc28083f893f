use super::*;
use std::thread;

const SLOT: Slot = Slot(0x82);
const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_tap_counts_only_while_the_token_asks() {
    let panel = Panel::new(1);
    assert!(!panel.tap(), "nobody waits");
    thread::scope(|s| {
        let asked = s.spawn(|| panel.ask_touch(SLOT, LONG));
        assert!(panel.await_request(LONG));
        assert_eq!(panel.status().waiting.as_deref(), Some("82"));
        assert!(panel.tap());
        assert_eq!(asked.join().expect("no panic"), Touch::Tapped);
    });
    let status = panel.status();
    assert_eq!((status.taps, status.taps_unasked), (2, 1));
    assert_eq!(status.waiting, None);
}

#[test]
fn an_earlier_tap_does_not_serve_a_later_request() {
    let panel = Panel::new(1);
    panel.tap();
    assert_eq!(panel.ask_touch(SLOT, Duration::ZERO), Touch::TimedOut);
}

#[test]
fn a_standing_finger_taps_as_often_as_told() {
    let panel = Panel::new(1);
    panel.tap_when_asked(Some(2));
    let outcomes = [(); 3].map(|()| panel.ask_touch(SLOT, Duration::ZERO));
    assert_eq!(outcomes, [Touch::Tapped, Touch::Tapped, Touch::TimedOut]);
    panel.tap_when_asked(None);
    assert_eq!(panel.ask_touch(SLOT, Duration::ZERO), Touch::Tapped);
    panel.tap_when_asked(Some(0));
    assert_eq!(panel.ask_touch(SLOT, Duration::ZERO), Touch::TimedOut);
    assert_eq!(panel.status().taps, 3);
}

#[test]
fn pulling_the_token_out_ends_the_wait() {
    let panel = Panel::new(1);
    thread::scope(|s| {
        let asked = s.spawn(|| panel.ask_touch(SLOT, LONG));
        assert!(panel.await_request(LONG));
        panel.remove();
        assert_eq!(asked.join().expect("no panic"), Touch::Gone);
    });
    assert!(!panel.status().inserted);
}

#[test]
fn waiting_for_a_request_has_a_bound() {
    assert!(!Panel::new(1).await_request(Duration::ZERO));
}

#[test]
fn a_fault_strikes_once_at_the_apdu_it_was_set_for() {
    let panel = Panel::new(1);
    let fault = Fault::at(FaultKind::Status { sw: "6f00".into() }, 0x87, 2);
    panel.set_fault(&fault).expect("a good fault");
    let strikes = [0x87, 0x20, 0x87, 0x87].map(|ins| panel.count(ins));
    assert_eq!(
        strikes,
        [vec![], vec![], vec![Strike::Status(0x6f00)], vec![]]
    );
    panel
        .set_fault(&Fault::next(FaultKind::Remove))
        .expect("a good fault");
    assert_eq!(panel.count(0xcb), [Strike::Remove]);
}

#[test]
fn a_fault_that_makes_no_sense_is_refused() {
    let panel = Panel::new(1);
    let no_ins = Fault {
        ins: Some("xyz".into()),
        ..Fault::next(FaultKind::Remove)
    };
    assert!(panel.set_fault(&no_ins).is_err());
    assert!(
        panel
            .set_fault(&Fault::at(FaultKind::Remove, 0x87, 0))
            .is_err()
    );
    let no_sw = Fault::next(FaultKind::Status { sw: "6".into() });
    assert!(panel.set_fault(&no_sw).is_err());
    assert_eq!(panel.status().faults, 0);
}

#[test]
fn a_silence_ends_when_the_faults_are_cleared() {
    let panel = Panel::new(1);
    panel
        .set_fault(&Fault::next(FaultKind::Silent))
        .expect("a good fault");
    assert_eq!(panel.count(0x87), [Strike::Silent]);
    thread::scope(|s| {
        let silent = s.spawn(|| panel.fall_silent());
        panel.clear_faults();
        assert!(silent.join().expect("no panic"), "still plugged in");
    });
}

#[test]
fn counters_run_since_the_mark() {
    let panel = Panel::new(1);
    panel.count(0x87);
    panel.mark();
    panel.count(0x87);
    panel.count(0xc0);
    let status = panel.status();
    assert_eq!((status.apdus.total, status.apdus_since_mark.total), (3, 2));
    assert_eq!(status.apdus_since_mark.by_ins["87"], 1);
    assert_eq!(status.apdus_since_mark.by_ins["c0"], 1);
}

#[test]
fn the_clock_can_be_moved_ahead() {
    let panel = Panel::new(1);
    let before = panel.now();
    panel.advance(LONG);
    assert!(panel.now() >= before + LONG);
}

#[test]
fn no_time_from_outside_is_too_long() {
    let panel = Panel::new(1);
    panel.advance(Duration::MAX);
    panel.advance(Duration::MAX);
    assert!(panel.now() > Instant::now());
    panel.remove();
    assert!(!panel.dawdle(Duration::MAX));
}
