//! Whatever lies in a safe under the name of a bundle: papers that hold and come out the same when written again, or an error.

use twotap::vault::{VaultError, archive};

pub fn run(data: &[u8]) {
    let read = match archive::read(data) {
        Ok(read) => read,
        Err(VaultError::Malformed { .. } | VaultError::Trust(_)) => return,
        Err(other) => panic!("no error of reading: {other}"),
    };
    let Ok((chain, manifest)) = read.bundle.verify() else {
        // What does not hold may still be written, and then says the same.
        if let Ok(again) = archive::write(&read.bundle) {
            let again = archive::read(&again).expect("our own archive");
            assert!(again.bundle.verify().is_err());
        }
        return;
    };
    assert!(!chain.is_empty() && manifest.vault == chain[0].vault);
    let archived = archive::write(&read.bundle).expect("it holds");
    let again = archive::read(&archived).expect("our own archive");
    assert_eq!(again.form, archive::Form::Archive { readme: true });
    let (_, same) = again.bundle.verify().expect("it holds");
    assert_eq!(same.digest(), manifest.digest());
    assert_eq!(archive::write(&again.bundle).expect("it holds"), archived);
}
