use super::people::{
    HostKey, SoftToken, host, manifest, newest, request, roster, signed, verified,
};
use crate::trust::{
    Bytes, Digest, Envelope, Signer as _, TrustError, Verified,
    manifest::Manifest,
    request::{
        Approval, CLOSE_ONLY, CLOSE_ONLY_SECONDS, Denial, NOTHING_ALLOWED, Offer, Purpose, Request,
        is_request_id, request_id, verify_approval, verify_denial,
    },
    roster::Roster,
};

/// What is wrong, and how it is made so.
type Change<T> = (&'static str, fn(&mut T));

fn pair() -> [SoftToken; 2] {
    ["alice", "bob"].map(SoftToken::new)
}

fn offered(request: Request, roster: &Verified<Roster>) -> Verified<Offer> {
    let envelope = Envelope::signed(&Offer(request), &host()).expect("a good request");
    Offer::verify(&envelope, roster).expect("a good offer")
}

fn approved(offer: &Verified<Offer>, by: &SoftToken) -> Envelope {
    let mut envelope = offer.envelope().repurposed::<Approval>();
    envelope.sign(by);
    envelope
}

#[test]
fn an_approval_names_the_token_that_gave_it() {
    let [alice, bob] = pair();
    let roster = verified(2, &[&alice, &bob]);
    let offer = offered(request(&roster), &roster);
    let token = verify_approval(&approved(&offer, &bob), &offer, &roster).expect("good");
    assert_eq!(token.person, "bob");
}

#[test]
fn an_approval_is_worth_nothing_for_anything_else() {
    let [alice, bob] = pair();
    let roster = verified(2, &[&alice, &bob]);
    let offer = offered(request(&roster), &roster);
    let approval = approved(&offer, &alice);

    // One byte changed, at every place: never good.
    for place in 0..approval.payload.len() {
        let mut forged = approval.clone();
        forged.payload[place] ^= 1;
        assert!(
            verify_approval(&forged, &offer, &roster).is_err(),
            "byte {place}"
        );
    }

    let mut longer = request(&roster);
    longer.not_after = longer.not_after.plus(1);
    let other = offered(longer, &roster);
    assert!(matches!(
        verify_approval(&approval, &other, &roster),
        Err(TrustError::Mismatch { .. })
    ));

    // Signed by somebody who is no custodian, or by the host.
    let stranger = SoftToken::new("stranger");
    assert!(matches!(
        verify_approval(&approved(&offer, &stranger), &offer, &roster),
        Err(TrustError::Unsigned { .. })
    ));
    let mut by_host = offer.envelope().repurposed::<Approval>();
    by_host.sign(&host());
    assert!(verify_approval(&by_host, &offer, &roster).is_err());

    // The offer itself is no approval, nor is a custodian's signature on it.
    let mut signed_offer = offer.envelope().clone();
    signed_offer.sign(&alice);
    assert!(matches!(
        verify_approval(&signed_offer, &offer, &roster),
        Err(TrustError::WrongType { .. })
    ));

    // A roster without Alice does not take her word.
    let carol = SoftToken::new("carol");
    let others = verified(2, &[&bob, &carol]);
    assert!(matches!(
        verify_approval(&approval, &offer, &others),
        Err(TrustError::Unsigned { .. })
    ));
}

#[test]
fn a_denial_is_for_one_request() {
    let [alice, bob] = pair();
    let roster = verified(2, &[&alice, &bob]);
    let offer = offered(request(&roster), &roster);
    let denial = |digest: Digest| Denial {
        v: 1,
        request_sha256: digest,
        reason: "not now".into(),
    };
    let good = Envelope::signed(&denial(offer.digest()), &bob).expect("signed");
    let (token, read) = verify_denial(&good, &offer, &roster).expect("good");
    assert_eq!(
        (token.person.as_str(), read.reason.as_str()),
        ("bob", "not now")
    );

    let other = Envelope::signed(&denial(Digest::of(b"another")), &bob).expect("signed");
    assert!(matches!(
        verify_denial(&other, &offer, &roster),
        Err(TrustError::Mismatch { .. })
    ));
    assert!(verify_denial(&approved(&offer, &bob), &offer, &roster).is_err());
}

#[test]
fn an_offer_stays_within_the_roster() {
    let [alice, bob] = pair();
    let roster = verified(2, &[&alice, &bob]);
    let other_roster = verified(2, &[&alice, &SoftToken::new("carol")]);
    let refused = |request: Request| {
        let envelope = Envelope::signed(&Offer(request), &host()).expect("well-formed");
        assert!(matches!(
            Offer::verify(&envelope, &roster),
            Err(TrustError::Mismatch { .. })
        ));
    };
    let changes: [fn(&mut Request); 6] = [
        |r| r.vault = "staging".into(),
        |r| r.account = "444455556666".into(),
        |r| r.role = "arn:aws:iam::111122223333:role/other".into(),
        |r| r.access = "root".into(),
        |r| r.regions = vec!["us-east-1".into()],
        |r| r.not_after = r.not_before.plus(8 * 3600 + 1),
    ];
    for change in changes {
        let mut wider = request(&roster);
        change(&mut wider);
        refused(wider);
    }
    refused(request(&other_roster));

    let impostor = HostKey::new("somewhere else");
    let envelope = Envelope::signed(&Offer(request(&roster)), &impostor).expect("signed");
    assert!(matches!(
        Offer::verify(&envelope, &roster),
        Err(TrustError::Unsigned { .. })
    ));
}

#[test]
fn a_request_that_makes_no_sense_is_refused() {
    let [alice, bob] = pair();
    let roster = verified(2, &[&alice, &bob]);
    let changes: [Change<Request>; 11] = [
        ("format", |r| r.v = 2),
        ("id", |r| r.id = "r-1".into()),
        ("operator", |r| r.operator = "Dana\u{202e}".into()),
        ("reason empty", |r| r.reason = "  ".into()),
        ("reason with a line break", |r| r.reason = "a\nb".into()),
        ("incident", |r| r.incident = "\u{1b}[2J".into()),
        ("approve after the end", |r| {
            r.approve_before = r.not_after.plus(1)
        }),
        ("ends before it begins", |r| r.not_after = r.not_before),
        ("nonce", |r| r.nonce = Bytes(vec![0; 15])),
        ("operator's nonce", |r| r.operator_nonce = Bytes(vec![])),
        ("no Region", |r| r.regions.clear()),
    ];
    for (what, change) in changes {
        let mut bad = request(&roster);
        change(&mut bad);
        assert!(Envelope::signed(&Offer(bad), &host()).is_err(), "{what}");
    }
}

#[test]
fn ids_are_thirteen_characters_of_base32() {
    assert_eq!(request_id(0), "r-aaaaaaaaaaaaa");
    assert_eq!(request_id(u128::MAX), "r-7777777777777");
    assert_ne!(request_id(1 << 64), request_id(0), "the 65th bit counts");
    for random in [0, 1, 0x1234_5678_9abc_def0, u128::MAX >> 60] {
        assert!(is_request_id(&request_id(random)));
    }
    for bad in [
        "",
        "r-",
        "r-aaaaaaaaaaaa",
        "r-aaaaaaaaaaaaaa",
        "r-AAAAAAAAAAAAA",
        "r-aaaaaaaaaaaa1",
        "aaaaaaaaaaaaaaa",
    ] {
        assert!(!is_request_id(bad), "{bad}");
    }
}

#[test]
fn a_manifest_is_signed_by_the_host_that_it_names() {
    let [alice, bob] = pair();
    let roster = verified(2, &[&alice, &bob]);
    let good = Envelope::signed(&manifest(&roster, 1), &host()).expect("signed");
    assert_eq!(
        Manifest::verify(&good, &roster).expect("good").generation,
        1
    );

    let stranger = Envelope::signed(&manifest(&roster, 1), &HostKey::new("other")).expect("signed");
    assert!(matches!(
        Manifest::verify(&stranger, &roster),
        Err(TrustError::Unsigned { .. })
    ));
    let other = verified(2, &[&alice, &SoftToken::new("carol")]);
    assert!(matches!(
        Manifest::verify(&good, &other),
        Err(TrustError::Mismatch { .. })
    ));
    let mut named = manifest(&roster, 1);
    named.host = alice.public().id();
    let named = Envelope::signed(&named, &host()).expect("signed");
    assert!(matches!(
        Manifest::verify(&named, &roster),
        Err(TrustError::Mismatch { .. })
    ));

    let changes: [Change<Manifest>; 6] = [
        ("generation 0", |m| m.generation = 0),
        ("generation 2 without one before", |m| m.generation = 2),
        ("threshold 1", |m| m.threshold = 1),
        ("threshold above the shares", |m| m.threshold = 3),
        ("a custodian twice", |m| {
            m.shares[1].custodian = "alice".into()
        }),
        ("a path for a name", |m| {
            m.shares[1].custodian = "../alice".into()
        }),
    ];
    for (what, change) in changes {
        let mut bad = manifest(&roster, 1);
        change(&mut bad);
        assert!(Envelope::signed(&bad, &host()).is_err(), "{what}");
    }
}

/// A secret that the roster names.
const NAMED: &str = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/app-1a2b3c";

/// A request that only closes: what the worker draws up after a reboot.
fn closing(roster: &Verified<Roster>) -> Request {
    let mut request = request(roster);
    let steward = roster.aws.steward_role_arn.clone();
    request.access = CLOSE_ONLY.into();
    request.account = steward.split(':').nth(4).expect("an account").into();
    request.role = steward;
    request.also.clear();
    request.secrets.clear();
    request.regions.clear();
    request.policy_sha256 = Digest::of(NOTHING_ALLOWED.as_bytes());
    request.not_after = request.not_before.plus(CLOSE_ONLY_SECONDS);
    request.purpose = Purpose::CloseOnly {
        requests: vec!["r-aaaaaaaaaaaaa".into()],
    };
    request
}

#[test]
fn an_offer_that_only_closes_names_stewards_and_allows_nothing() {
    let [alice, bob] = pair();
    let mut paper = roster(2, &[&alice, &bob]);
    paper.access[0]
        .secrets
        .push(crate::trust::roster::NamedSecret {
            arn: NAMED.into(),
            setter: None,
        });
    let roster = newest(&[signed(&paper, &[&alice, &bob])]);
    let verify = |request: Request| {
        let envelope = Envelope::signed(&Offer(request), &host()).expect("well-formed");
        Offer::verify(&envelope, &roster)
    };
    assert!(verify(closing(&roster)).is_ok());
    let mut owed = closing(&roster);
    owed.secrets = vec![NAMED.into()];
    assert!(verify(owed).is_ok());
    let mut rotation_alone = closing(&roster);
    rotation_alone.purpose = Purpose::CloseOnly { requests: vec![] };
    assert!(verify(rotation_alone).is_ok());

    type Change = (&'static str, fn(&mut Request));
    let changes: [Change; 9] = [
        ("an operator role", |r| {
            r.role = "arn:aws:iam::111122223333:role/twotap/op-admin".into();
        }),
        ("another account", |r| r.account = "444455556666".into()),
        ("an access profile", |r| r.access = "admin".into()),
        ("a role that is no steward", |r| {
            let role = "arn:aws:iam::111122223333:role/twotap/op-admin".to_owned();
            r.also = vec![crate::trust::roster::Target {
                account: "111122223333".into(),
                steward_role_arn: role.clone(),
                role_arn: role,
            }];
        }),
        ("a secret that is not the roster's", |r| {
            r.secrets =
                vec!["arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/x".into()];
        }),
        ("a secret twice", |r| {
            r.secrets = vec![NAMED.into(), NAMED.into()]
        }),
        ("a policy", |r| {
            r.policy_sha256 = Digest::of(b"allow everything")
        }),
        ("more than an hour", |r| {
            r.not_after = r.not_before.plus(CLOSE_ONLY_SECONDS + 1);
        }),
        ("a session after all", |r| {
            r.purpose = Purpose::Open;
            r.regions = vec!["eu-central-1".into()];
        }),
    ];
    for (what, change) in changes {
        let mut other = closing(&roster);
        change(&mut other);
        let refused = verify(other);
        assert!(
            matches!(refused, Err(TrustError::Mismatch { .. })),
            "{what}"
        );
    }
    // What has no session has no Region, and what has one has.
    let mut with_region = closing(&roster);
    with_region.regions = vec!["eu-central-1".into()];
    assert!(Envelope::signed(&Offer(with_region), &host()).is_err());
    // An ordinary request cannot be turned into one that only closes, nor its custodians' approvals.
    let mut open = request(&roster);
    open.purpose = Purpose::CloseOnly { requests: vec![] };
    assert!(Envelope::signed(&Offer(open), &host()).is_err());
}

/// A drill: the roles of an access profile, and nothing that a session could do.
fn rehearsing(roster: &Verified<Roster>) -> Request {
    let mut request = request(roster);
    request.secrets.clear();
    request.regions.clear();
    request.policy_sha256 = Digest::of(NOTHING_ALLOWED.as_bytes());
    request.not_after = request.not_before.plus(CLOSE_ONLY_SECONDS);
    request.purpose = Purpose::Drill;
    request
}

#[test]
fn an_offer_that_is_a_drill_names_the_profiles_roles_and_allows_nothing() {
    let [alice, bob] = pair();
    let roster = verified(2, &[&alice, &bob]);
    let verify = |request: Request| {
        let envelope = Envelope::signed(&Offer(request), &host()).expect("well-formed");
        Offer::verify(&envelope, &roster)
    };
    assert!(verify(rehearsing(&roster)).is_ok());
    type Change = (&'static str, fn(&mut Request));
    let changes: [Change; 7] = [
        ("another role", |r| {
            r.role = "arn:aws:iam::111122223333:role/other".into();
        }),
        ("another account", |r| r.account = "444455556666".into()),
        ("no access profile", |r| r.access = "nothing".into()),
        ("a further role", |r| {
            r.also = vec![crate::trust::roster::Target {
                account: r.account.clone(),
                role_arn: r.role.clone(),
                steward_role_arn: r.role.clone(),
            }];
        }),
        ("a secret", |r| {
            r.secrets =
                vec!["arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/x".into()];
        }),
        ("a policy", |r| {
            r.policy_sha256 = Digest::of(b"allow everything")
        }),
        ("more than an hour", |r| {
            r.not_after = r.not_before.plus(CLOSE_ONLY_SECONDS + 1);
        }),
    ];
    for (what, change) in changes {
        let mut other = rehearsing(&roster);
        change(&mut other);
        let refused = verify(other);
        assert!(
            matches!(refused, Err(TrustError::Mismatch { .. })),
            "{what}"
        );
    }
    // A session is never a drill, and a drill never a session.
    let mut open = request(&roster);
    open.purpose = Purpose::Drill;
    assert!(Envelope::signed(&Offer(open), &host()).is_err());
    let mut drill = rehearsing(&roster);
    drill.purpose = Purpose::Open;
    assert!(Envelope::signed(&Offer(drill), &host()).is_err());
}
