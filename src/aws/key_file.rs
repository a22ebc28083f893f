//! A standing user's access key in a file of this account's own.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::Credentials;
use crate::trust::access_key::{MAX_DOCUMENT, NoAccessKey, Parts};

/// Why a key's file cannot be used. Nothing of what stands in it is ever quoted.
#[derive(Debug)]
pub enum KeyFileError {
    /// It cannot be read.
    Io(io::Error),
    /// Others than its owner may use it, or it belongs to somebody else.
    Exposed(String),
    /// It is no file, or one that is too large.
    Shape(&'static str),
    /// It does not hold what `aws iam create-access-key` prints.
    NoKey(NoAccessKey),
}

impl KeyFileError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        "the file holds what 'aws iam create-access-key' prints, unchanged; mode 0600, owned by the account that reads it"
    }
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(why) => why.fmt(f),
            Self::Exposed(why) => f.write_str(why),
            Self::Shape(why) => f.write_str(why),
            Self::NoKey(why) => write!(
                f,
                "it is not what 'aws iam create-access-key' prints: {why}"
            ),
        }
    }
}

impl std::error::Error for KeyFileError {}

/// Reads the key in the file at `path`: what `aws iam create-access-key` prints, mode 0600, owned by this process's user, no link.
pub fn read_key_file(path: &Path) -> Result<Credentials, KeyFileError> {
    let mut file = File::options()
        .read(true)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits() as i32)
        .open(path)
        .map_err(KeyFileError::Io)?;
    let facts = file.metadata().map_err(KeyFileError::Io)?;
    if !facts.is_file() {
        return Err(KeyFileError::Shape("it is no file"));
    }
    let mode = facts.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Exposed(format!(
            "others may use it (mode {mode:04o})"
        )));
    }
    if facts.uid() != rustix::process::geteuid().as_raw() {
        return Err(KeyFileError::Exposed(format!(
            "it belongs to uid {}",
            facts.uid()
        )));
    }
    if facts.len() > MAX_DOCUMENT as u64 {
        return Err(KeyFileError::Shape("it is over 4 KiB"));
    }
    // Sized beforehand: a buffer that grows leaves copies behind.
    let mut json = Zeroizing::new(Vec::with_capacity(MAX_DOCUMENT + 1));
    file.by_ref()
        .take(MAX_DOCUMENT as u64)
        .read_to_end(&mut json)
        .map_err(KeyFileError::Io)?;
    let key = Parts::read_key(&json).map_err(KeyFileError::NoKey)?;
    Ok(Credentials::new(
        key.access_key_id,
        key.secret_access_key,
        None,
        None,
        "key file",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const GOOD: &str = r#"{"AccessKey":{"UserName":"audit-writer","AccessKeyId":"AKIAIOSFODNN7EXAMPLE","Status":"Active",
        "SecretAccessKey":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY","CreateDate":"2026-01-06T10:00:00+00:00"}}"#;

    fn written(text: &str, mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn reads_what_the_aws_cli_prints() {
        let (_dir, path) = written(GOOD, 0o600);
        let key = read_key_file(&path).unwrap();
        assert_eq!(key.access_key_id(), "AKIAIOSFODNN7EXAMPLE");
        assert_eq!(
            key.secret_access_key(),
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
        );
        assert_eq!(key.session_token(), None);
    }

    #[test]
    fn one_written_by_hand_need_not_say_whose_it_is_and_since_when() {
        for (from, to) in [
            ("audit-writer", ""),
            ("audit-writer", "/robots/audit writer"),
            ("2026-01-06T10:00:00+00:00", ""),
        ] {
            let (_dir, path) = written(&GOOD.replace(from, to), 0o600);
            let key = read_key_file(&path).unwrap();
            assert_eq!(key.access_key_id(), "AKIAIOSFODNN7EXAMPLE");
        }
    }

    #[test]
    fn a_file_that_others_may_read_a_link_and_other_texts_are_refused_without_quoting_them() {
        for mode in [0o640, 0o604, 0o660] {
            let (_dir, path) = written(GOOD, mode);
            assert!(matches!(
                read_key_file(&path),
                Err(KeyFileError::Exposed(_))
            ));
        }
        let (dir, path) = written(GOOD, 0o600);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(read_key_file(&link), Err(KeyFileError::Io(_))));
        assert!(matches!(
            read_key_file(dir.path()),
            Err(KeyFileError::Exposed(_) | KeyFileError::Shape(_))
        ));
        for text in [
            "",
            "{}",
            &GOOD.replace("Active", "Inactive"),
            &GOOD.replace("AKIAIOSFODNN7EXAMPLE", "AKIA"),
            &GOOD.replace("wJalr", "wJ\\nalr"),
            &GOOD.replace("\"Status\"", "\"More\":\"x\",\"Status\""),
            &format!("{GOOD}{}", " ".repeat(5000)),
        ] {
            let (_dir, path) = written(text, 0o600);
            let why = read_key_file(&path).map(|_| ()).unwrap_err().to_string();
            assert!(!why.contains("bPxRfi"), "{why}");
        }
    }
}
