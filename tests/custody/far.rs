//! Approvals by file, taken back, denied: what the others see, and which words stand on both sides.

use serde_json::Value;

use crate::{APPROVALS, REFUSED, events, ready};

#[test]
fn an_approval_by_file_is_taken_back_and_the_others_see_it() {
    let site = ready();
    let request = site.request("INC-1", "by file").expect("asked");
    let file = |name: &str| {
        let home = site.stage().home("alice");
        home.join(name).display().to_string()
    };
    let (asked, answered) = (file("request.json"), file("approval.json"));
    let alice = |args: &[&str]| site.twotap("alice", args).expect("alice");
    alice(&["approve", &request.id, "--export", &asked])
        .ok()
        .expect("exported");

    // Looking signs nothing, and shows the very bytes, their digest and the operator's words.
    let taps = site.taps().expect("taps");
    let looked = alice(&["--json", "approve", "--in", &asked, "--review"])
        .json()
        .expect("shown");
    assert_eq!(
        twotap_rig::site::words_of(&looked).expect("six"),
        request.words
    );
    let bytes = data_encoding::BASE64
        .decode(looked["bytes"].as_str().expect("text").as_bytes())
        .expect("base64");
    let signed: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(signed["id"], request.id.as_str());
    assert_eq!(
        looked["sha256"].as_str(),
        Some(twotap::trust::Digest::of(&bytes).to_string().as_str())
    );
    let unusual = looked["unusual"].to_string();
    assert!(unusual.contains("first request by dana"), "{unusual}");
    assert_eq!(site.taps().expect("taps"), taps);

    site.tap("alice", 1).expect("a finger");
    alice(&[
        "approve",
        "--in",
        &asked,
        "--out",
        &answered,
        "--pin-fd",
        "0",
        "--confirm",
        &request.words,
    ])
    .input("271828")
    .ok()
    .expect("approved");
    alice(&["approval", "submit", &answered])
        .ok()
        .expect("handed in");
    assert_eq!(
        site.view(&request).expect("there")["approved_by"],
        serde_json::json!(["alice"])
    );

    site.tap("alice", 1).expect("a finger");
    let back = alice(&[
        "--json",
        "approval",
        "withdraw",
        &request.id,
        "--pin-fd",
        "0",
    ])
    .input("271828")
    .json()
    .expect("taken back");
    assert_eq!(back["approved_by"], serde_json::json!([]));
    // Two of two are needed and one will not: the request is over, and the file is worth nothing.
    assert_eq!(site.view(&request).expect("there")["stage"], "denied");
    let again = alice(&["approval", "submit", &answered])
        .go()
        .expect("it ends");
    assert!(
        again.refused_with(APPROVALS) || again.refused_with(REFUSED),
        "{again:?}"
    );
    let names: Vec<String> = events(&site)
        .iter()
        .map(|e| e["event_type"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert!(
        names.contains(&"BREAK_GLASS_WITHDRAWN".to_owned()),
        "{names:?}"
    );
}

#[test]
fn with_none_or_several_waiting_approve_helps_to_choose() {
    let site = ready();
    let none = site
        .twotap("alice", &["approve"])
        .expect("alice")
        .go()
        .expect("it ends");
    assert!(
        none.refused_with(2) && none.stderr.contains("no request waits"),
        "{none:?}"
    );
    let first = site.request("INC-1", "the first").expect("asked");
    let second = site.request("INC-2", "the second").expect("asked");
    // Without a terminal nobody can choose, so the list is in the error.
    let several = site
        .twotap("alice", &["approve", "--pin-fd", "0"])
        .expect("alice")
        .go()
        .expect("it ends");
    assert!(several.refused_with(2), "{several:?}");
    for id in [&first.id, &second.id] {
        assert!(several.stderr.contains(id.as_str()), "{several:?}");
    }
}
