//! Whatever is handed round as a roster: one of the versions that its custodians signed, or an error. What is said of unsigned ones, in plain
//! words before anybody signs, must end.

use twotap::trust::{
    Document as _, Envelope,
    roster::{self, Roster, changes, follows, parse_chain, verify_chain},
};

const CHAIN: &[u8] = include_bytes!("../corpus/roster/chain");

pub fn run(data: &[u8]) {
    let signed = parse_chain(CHAIN).expect("good");
    // What is signed stands in base64: taken for itself, its fields are reached as well.
    let bare = || Envelope {
        payload_type: Roster::PAYLOAD_TYPE.to_owned(),
        payload: data.to_vec(),
        signatures: Vec::new(),
    };
    let chain = parse_chain(data).unwrap_or_else(|_| vec![bare()]);
    if let Ok(versions) = verify_chain(&chain) {
        for (version, signed) in versions.iter().zip(&signed) {
            assert_eq!(version.digest(), signed.digest(), "nobody signed that");
        }
        assert!(versions.len() <= signed.len());
        for pair in versions.windows(2) {
            let keys = pair[0].approve_keys();
            let by = pair[1].envelope().signers(&keys).len();
            assert!(by >= 2, "a version that {by} of them signed");
        }
    }
    let before: Roster = signed[0].unverified().expect("good");
    for envelope in chain.iter().take(4) {
        let _ = roster::signatures(envelope);
        let _ = roster::missing(None, envelope);
        let Ok(after) = envelope.unverified::<Roster>() else {
            continue;
        };
        assert!(after.threshold >= 2, "one tap alone");
        let custodians: Vec<&str> = after.custodians().map(|p| p.name.as_str()).collect();
        assert!(after.is_quorum(custodians.iter().copied()));
        for one in custodians {
            assert!(!after.is_quorum([one]), "one tap alone");
        }
        let _ = (follows(&after), after.quorum_in_words());
        let told = !changes(&before, &after).is_empty();
        let same = Roster {
            version: before.version,
            previous: before.previous,
            created_at: before.created_at,
            ..after
        };
        assert!(!told || same != before, "a change that is none");
    }
    let again = serde_json::to_vec(&chain).expect("JSON");
    assert!(parse_chain(&again).expect("what was read") == chain);
}
