//! Whatever is handed in as an enrollment: one of those that a token has signed, or an error.

use twotap::trust::{Document as _, Envelope, enrollment::Enrollment};

const GOOD: [&[u8]; 2] = [
    include_bytes!("../corpus/enrollment/attested"),
    include_bytes!("../corpus/enrollment/bare"),
];

pub fn run(data: &[u8]) {
    // What is signed stands in base64: taken for itself, its fields are reached as well.
    let envelope = Envelope::parse(data).unwrap_or_else(|_| Envelope {
        payload_type: Enrollment::PAYLOAD_TYPE.to_owned(),
        payload: data.to_vec(),
        signatures: Vec::new(),
    });
    // Reading alone may well succeed; it must end.
    let _ = envelope.unverified::<Enrollment>();
    if let Ok(believed) = Enrollment::verify(&envelope) {
        let signed = GOOD.map(|good| Envelope::parse(good).expect("good").digest());
        assert!(signed.contains(&believed.digest()), "nobody signed that");
    }
}
