use super::*;

fn command(bytes: &[u8]) -> Command {
    Command::parse(bytes).expect("a well-formed command")
}

#[test]
fn every_form_of_a_command_is_understood() {
    // (bytes, data, le)
    let cases: [(&[u8], &[u8], usize); 7] = [
        (&[0, 0xfd, 0, 0], &[], 256),
        (&[0, 0xfd, 0, 0, 0], &[], 256),
        (&[0, 0xcb, 0, 0, 2, 7, 8], &[7, 8], 256),
        (&[0, 0xcb, 0, 0, 2, 7, 8, 0], &[7, 8], 256),
        (&[0, 0xcb, 0, 0, 0, 0, 0], &[], 65_536),
        (&[0, 0xcb, 0, 0, 0, 0, 2, 7, 8], &[7, 8], 65_536),
        (&[0, 0xcb, 0, 0, 0, 0, 2, 7, 8, 4, 0], &[7, 8], 1024),
    ];
    for (bytes, data, le) in cases {
        let c = command(bytes);
        assert_eq!((c.data.as_slice(), c.le), (data, le), "{bytes:02x?}");
    }
}

#[test]
fn lengths_that_do_not_add_up_are_refused() {
    let cases: [&[u8]; 6] = [
        &[],
        &[0, 0xcb, 0],
        &[0, 0xcb, 0, 0, 3, 7, 8],
        &[0, 0xcb, 0, 0, 1, 7, 8, 9],
        &[0, 0xcb, 0, 0, 0, 0, 3, 7, 8],
        &[0, 0xcb, 0, 0, 0, 0, 1, 7, 8],
    ];
    for bytes in cases {
        assert_eq!(Command::parse(bytes), Err(Sw::WRONG_LENGTH), "{bytes:02x?}");
    }
}

#[test]
fn links_of_a_chain_become_one_command() {
    let mut t = Transport::default();
    let first = t.accept(command(&[0x10, 0xdb, 0x3f, 0xff, 2, 1, 2]));
    assert_eq!(first, Step::Reply(Sw::OK.into()));
    let Step::Run(whole) = t.accept(command(&[0, 0xdb, 0x3f, 0xff, 1, 3])) else {
        panic!("the last link runs the command");
    };
    assert_eq!((whole.cla, whole.data), (0, vec![1, 2, 3]));
}

#[test]
fn another_command_drops_a_half_sent_chain() {
    let mut t = Transport::default();
    t.accept(command(&[0x10, 0xdb, 0x3f, 0xff, 2, 1, 2]));
    let Step::Run(other) = t.accept(command(&[0, 0xfd, 0, 0])) else {
        panic!("the other command runs");
    };
    assert!(other.data.is_empty());
    let Step::Run(late) = t.accept(command(&[0, 0xdb, 0x3f, 0xff, 1, 3])) else {
        panic!("a command of its own");
    };
    assert_eq!(late.data, vec![3]);
}

#[test]
fn a_chain_has_a_bound() {
    let mut t = Transport::default();
    let mut link = vec![0x10, 0xdb, 0x3f, 0xff, 255];
    link.extend([0; 255]);
    let refused =
        (0..100).any(|_| t.accept(command(&link)) == Step::Reply(Sw::WRONG_LENGTH.into()));
    assert!(refused);
}

#[test]
fn a_long_answer_is_fetched_in_parts() {
    let mut t = Transport::default();
    let whole: Vec<u8> = (0..600u16).map(|n| n.to_be_bytes()[1]).collect();
    let ok = Response {
        data: whole.clone(),
        sw: Sw::OK,
    };
    let mut part = t.answer(ok, 256);
    assert_eq!(part.sw, Sw(0x6100), "256 or more are left");
    let mut got = part.data;
    part = match t.accept(command(&[0, INS_GET_RESPONSE, 0, 0, 0])) {
        Step::Reply(r) => r,
        Step::Run(_) => panic!("the transport answers GET RESPONSE"),
    };
    assert_eq!(part.sw, Sw(0x6158), "88 bytes are left");
    got.extend(part.data);
    part = match t.accept(command(&[0, INS_GET_RESPONSE, 0, 0, 0x58])) {
        Step::Reply(r) => r,
        Step::Run(_) => panic!("the transport answers GET RESPONSE"),
    };
    assert_eq!(part.sw, Sw::OK);
    got.extend(part.data);
    assert_eq!(got, whole);
}

#[test]
fn get_response_without_anything_left_is_refused() {
    let mut t = Transport::default();
    assert_eq!(
        t.accept(command(&[0, INS_GET_RESPONSE, 0, 0, 0])),
        Step::Reply(Sw::CONDITIONS.into())
    );
}

#[test]
fn an_extended_le_takes_the_answer_whole() {
    let mut t = Transport::default();
    let ok = Response {
        data: vec![5; 600],
        sw: Sw::OK,
    };
    let r = t.answer(ok.clone(), 65_536);
    assert_eq!(r, ok);
}
