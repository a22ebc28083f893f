//! Whatever is handed in as an approval: alice's or bob's yes to the request that was offered, or an error; and a share that is none opens nothing.

use twotap::{
    protocol::job::Approval,
    trust::{
        Envelope,
        request::{Offer, verify_approval, verify_denial, verify_withdrawal},
        roster::{parse_chain, verify_chain},
    },
    vault::{OneTime, SealedShare},
};

const CHAIN: &[u8] = include_bytes!("../corpus/roster/chain");
const OFFER: &[u8] = include_bytes!("../corpus/envelope/offer");

pub fn run(data: &[u8]) {
    let Ok(handed_in) = serde_json::from_slice::<Approval>(data) else {
        return;
    };
    let roster = parse_chain(CHAIN)
        .and_then(|c| verify_chain(&c))
        .expect("good");
    let roster = &roster[0];
    let offer = Envelope::parse(OFFER).expect("good");
    let offer = Offer::verify(&offer, roster).expect("good");
    let envelope = &handed_in.approval;
    if let Ok(token) = verify_approval(envelope, &offer, roster) {
        assert_eq!(
            envelope.payload,
            offer.envelope().payload,
            "nobody approved that"
        );
        assert!(["alice", "bob"].contains(&token.person.as_str()));
    }
    if let Ok((token, denial)) = verify_denial(envelope, &offer, roster) {
        assert_eq!(
            (token.person.as_str(), denial.reason.as_str()),
            ("alice", "call me first")
        );
    }
    assert!(verify_withdrawal(envelope, &offer, roster).is_err());
    let share = &handed_in.sealed_share.0;
    let _ = SealedShare::parse(share);
    assert!(OneTime::generate().open(share).is_err());
}
