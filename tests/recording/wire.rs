//! Parts of recordings at the agent: whose they are, and which count.

use twotap::{
    protocol::recording::{MAX_CHUNK, RecordingNoted, RecordingPage, RecordingPart, START, chain},
    trust::{Bytes, roster::Recording},
};

use crate::{
    agent_support::{ALICE, BOB, DANA, SOFIA, STRANGER, until},
    bench::Bench,
};

fn begin() -> RecordingPart {
    RecordingPart::Begin {
        title: "shell".to_owned(),
        readers: vec!["sofia".to_owned()],
    }
}

fn chunk(recording: u32, chunk: u64, bytes: &[u8]) -> RecordingPart {
    RecordingPart::Chunk {
        recording,
        chunk,
        age: Bytes(bytes.to_vec()),
    }
}

#[test]
fn parts_come_from_the_operator_and_go_to_officers() {
    let bench = Bench::new(Recording::Wanted);
    let path = format!("/v1/requests/{}/recording", bench.id);
    for uid in [ALICE, BOB, SOFIA, STRANGER, 0] {
        assert_eq!(
            bench.host.call(uid, "POST", &path, &begin()).status,
            403,
            "{uid}"
        );
    }
    let noted: RecordingNoted = bench.host.call(DANA, "POST", &path, &begin()).json();
    assert_eq!((noted.recording, noted.chunks, noted.head), (1, 0, START));
    for uid in [ALICE, SOFIA, STRANGER] {
        let reply = bench.host.call(uid, "POST", &path, &chunk(1, 1, b"x"));
        assert_eq!(reply.status, 403, "{uid}");
    }
    for uid in [ALICE, BOB, DANA, STRANGER, 0] {
        assert_eq!(bench.host.get(uid, &path).status, 403, "{uid}");
    }
    let page: RecordingPage = bench.host.get(SOFIA, &path).json();
    assert!(page.chunks.is_empty());
    // Sealed to somebody whom the roster does not name, or to fewer than all: it is not begun.
    for readers in [
        vec![],
        vec!["dana".to_owned()],
        vec!["sofia".to_owned(), "dana".to_owned()],
    ] {
        let title = "shell".to_owned();
        let part = RecordingPart::Begin { title, readers };
        assert_eq!(bench.host.call(DANA, "POST", &path, &part).status, 403);
    }
}

#[test]
fn chunks_count_once_in_their_turn_and_never_after_the_end() {
    let bench = Bench::new(Recording::Wanted);
    let path = format!("/v1/requests/{}/recording", bench.id);
    let send = |part: &RecordingPart| bench.host.call(DANA, "POST", &path, part);
    let _: RecordingNoted = send(&begin()).json();
    let one: RecordingNoted = send(&chunk(1, 1, b"one")).json();
    assert_eq!((one.chunks, one.head), (1, chain(START, b"one")));
    // After a lost answer: the same again is the same.
    let again: RecordingNoted = send(&chunk(1, 1, b"one")).json();
    assert_eq!(again, one);
    for bad in [
        chunk(1, 1, b"another"),
        chunk(1, 3, b"three"),
        chunk(1, 0, b"none"),
        chunk(2, 1, b"no such recording"),
    ] {
        assert_eq!(send(&bad).status, 403, "{bad:?}");
    }
    for bad in [chunk(1, 2, b""), chunk(1, 2, &vec![0; MAX_CHUNK + 1])] {
        assert_eq!(send(&bad).status, 400);
    }
    let two: RecordingNoted = send(&chunk(1, 2, &vec![7; MAX_CHUNK])).json();
    assert_eq!(two.chunks, 2);
    let end = RecordingPart::End {
        recording: 1,
        exit: 0,
    };
    let _: RecordingNoted = send(&end).json();
    for late in [chunk(1, 3, b"late"), end] {
        assert_eq!(send(&late).status, 403);
    }
    // Whoever reads stands on record, wherever the reading begins; once for each that goes on.
    let readings = || bench.host.events_named("RECORDING_READ").len();
    let from = |n: u64| format!("{path}?recording=1&from={n}");
    let page: RecordingPage = bench.host.get(SOFIA, &from(2)).json();
    assert_eq!(readings(), 1);
    for (n, events) in [(3, 1), (3, 2), (1, 3), (3, 3), (2, 4)] {
        let _: RecordingPage = bench.host.get(SOFIA, &from(n)).json();
        assert_eq!(readings(), events, "from {n}");
    }
    assert_eq!(page.chunks, [Bytes(vec![7; MAX_CHUNK])]);
    assert_eq!((page.recording.chunks, page.recording.head), (2, two.head));
}

#[test]
fn one_of_which_nothing_is_heard_is_given_up_and_another_is_not() {
    let bench = Bench::new(Recording::Required);
    let path = format!("/v1/requests/{}/recording", bench.id);
    let send = |part: &RecordingPart| bench.host.call(DANA, "POST", &path, part);
    let _: RecordingNoted = send(&begin()).json();
    let _: RecordingNoted = send(&begin()).json();
    assert_eq!(bench.host.credentials(DANA, &bench.id).status, 200);
    let state = |n: usize| bench.view().recordings[n - 1].in_words();
    until("the silent one is given up", || {
        let alive: RecordingNoted = send(&RecordingPart::Alive { recording: 2 }).json();
        assert_eq!(alive.recording, 2);
        state(1).contains("ended without a word")
    });
    assert!(state(2).contains("running"), "{}", state(2));
    assert_eq!(bench.host.credentials(DANA, &bench.id).status, 200);
    assert_eq!(send(&chunk(1, 1, b"late")).status, 403);
}
