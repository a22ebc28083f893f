//! What the scan finds, and what it does not.

use super::*;

const SECRET: &[u8] = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn secrets() -> Secrets {
    let mut secrets = Secrets::new();
    secrets.add("the secret", SECRET).expect("long enough");
    secrets.add("the pin", b"83651942").expect("long enough");
    secrets
}

#[test]
fn every_fragment_is_found_in_every_form_at_every_place() {
    let secrets = secrets();
    for form in FORMS {
        for (n, fragment) in SECRET.windows(FRAGMENT).enumerate() {
            for written in written(form, fragment) {
                let mut memory = vec![0xa5; 3 * PAGE];
                let at = PAGE - 7 + n;
                memory[at..at + written.len()].copy_from_slice(&written);
                let found = secrets.look(&memory, "here", 0x1000);
                assert!(
                    found.iter().any(|f| f.secret == "the secret"
                        && f.at == 0x1000 + at as u64
                        && f.form.starts_with(&form[..3])),
                    "{form}, {n}: {found:?}"
                );
            }
        }
    }
    assert!(!secrets.look(b"..83651942..", "here", 0).is_empty());
}

#[test]
fn fifteen_bytes_and_other_bytes_are_not_found() {
    let secrets = secrets();
    for fragment in SECRET.windows(FRAGMENT - 1) {
        assert_eq!(secrets.look(fragment, "here", 0), []);
    }
    assert_eq!(secrets.look(&[0x55; 9000], "here", 0), []);
    assert_eq!(secrets.look(b"8365194", "here", 0), []);
    assert!(Secrets::new().add("too short", b"1234567").is_err());
}
