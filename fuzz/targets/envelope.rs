//! Whatever is read as a signed document: it comes back as it was, its signed bytes are its own, and a host's signature holds for the offer that
//! the host signed alone.

use twotap::trust::{
    Envelope, PublicKey,
    manifest::Manifest,
    request::{Approval, Denial, Offer},
    roster::{Roster, parse_chain, verify_chain},
};

const CHAIN: &[u8] = include_bytes!("../corpus/roster/chain");
const OFFER: &[u8] = include_bytes!("../corpus/envelope/offer");

pub fn run(data: &[u8]) {
    let Ok(envelope) = Envelope::parse(data) else {
        return;
    };
    let again = Envelope::parse(envelope.to_json().as_bytes()).expect("what was read");
    assert!(again == envelope);
    let pae = envelope.pae();
    assert!(pae.starts_with(b"DSSEv1 ") && pae.ends_with(&envelope.payload));

    let first = parse_chain(CHAIN)
        .and_then(|c| verify_chain(&c))
        .expect("good");
    let first = &first[0];
    let custodians = first.approve_keys();
    assert!(envelope.signers(&custodians).len() <= custodians.len());
    let hosts: Vec<PublicKey> = first.host_keys();
    if let Ok((_, by)) = envelope.verify::<Offer>(&hosts, "a host") {
        let offer = Envelope::parse(OFFER).expect("good");
        assert_eq!(
            envelope.digest(),
            offer.digest(),
            "the host did not offer that"
        );
        assert!(hosts.contains(by));
    }
    // A host's word is no custodian's, under any label.
    assert!(envelope.verify::<Approval>(&hosts, "a host").is_err());
    let _ = Manifest::verify(&envelope, first);
    let _ = (
        envelope.unverified::<Roster>(),
        envelope.unverified::<Denial>(),
    );
}
