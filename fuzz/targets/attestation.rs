//! Three certificates, each after its length (two bytes, the high one first): those that the maker signed, or a refusal.

use twotap::trust::{
    Bytes,
    attestation::Statement,
    roster::{Attestation, AttestationRoot, Token},
    standing::{Accepted, judge},
};

const TOKEN: &str = include_str!("../good/token.json");
const ROOT: &[u8] = include_bytes!("../good/root.der");

pub fn run(data: &[u8]) {
    let mut rest = data;
    let Some([approve, unseal, f9]) = part(&mut rest)
        .zip(part(&mut rest))
        .zip(part(&mut rest))
        .map(|((approve, unseal), f9)| [approve, unseal, f9])
    else {
        let _ = Statement::parse(data);
        return;
    };
    for certificate in [approve, unseal, f9] {
        let _ = Statement::parse(certificate);
    }
    let good: Token = serde_json::from_str(TOKEN).expect("a token");
    let mut token = good.clone();
    token.attestation = Some(Attestation {
        approve: Bytes(approve.to_vec()),
        unseal: Bytes(unseal.to_vec()),
        f9: Bytes(f9.to_vec()),
    });
    let roots = [AttestationRoot {
        name: "lab".to_owned(),
        certificate: Bytes(ROOT.to_vec()),
    }];
    let accepted = Accepted {
        roots: &roots,
        risks: &[],
        unattested: &[],
    };
    match judge(&token, accepted) {
        Ok(_) => assert!(token == good, "the maker did not sign that"),
        Err(refusal) => assert!(!refusal.why.to_string().is_empty()),
    }
}

fn part<'d>(rest: &mut &'d [u8]) -> Option<&'d [u8]> {
    let (length, after) = rest.split_at_checked(2)?;
    let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
    let (part, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(part)
}
