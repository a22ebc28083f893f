//! A standing user's access key in a file of this account's own.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::Credentials;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 4096;

/// What `aws iam create-access-key` prints, as borrowed text: a string with an escape would need a buffer that nobody wipes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(rename = "AccessKey", borrow)]
    access_key: Fields<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Fields<'a> {
    #[serde(rename = "UserName")]
    _user_name: &'a str,
    access_key_id: &'a str,
    status: &'a str,
    secret_access_key: &'a str,
    #[serde(rename = "CreateDate")]
    _create_date: &'a str,
}

/// Why a key's file cannot be used. Nothing of what stands in it is ever quoted.
#[derive(Debug)]
pub enum KeyFileError {
    /// It cannot be read.
    Io(io::Error),
    /// Others than its owner may use it, or it belongs to somebody else.
    Exposed(String),
    /// It does not hold what `aws iam create-access-key` prints.
    Shape(String),
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
            Self::Exposed(why) | Self::Shape(why) => f.write_str(why),
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
        return Err(KeyFileError::Shape("it is no file".to_owned()));
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
    if facts.len() > LARGEST {
        return Err(KeyFileError::Shape("it is larger than 4 KiB".to_owned()));
    }
    // Sized beforehand: a buffer that grows leaves copies behind.
    let mut json = Zeroizing::new(Vec::with_capacity(LARGEST as usize + 1));
    file.by_ref()
        .take(LARGEST)
        .read_to_end(&mut json)
        .map_err(KeyFileError::Io)?;
    parse(&json)
}

fn parse(json: &[u8]) -> Result<Credentials, KeyFileError> {
    let shape = |why: String| KeyFileError::Shape(why);
    if json.contains(&b'\\') {
        return Err(shape("it has a backslash in it".to_owned()));
    }
    // The parser's own words may quote the input.
    let document: Document<'_> = serde_json::from_slice(json).map_err(|why| {
        shape(format!(
            "it is not what 'aws iam create-access-key' prints (line {}, column {})",
            why.line(),
            why.column()
        ))
    })?;
    let key = document.access_key;
    if key.status != "Active" {
        return Err(shape("its Status is not Active".to_owned()));
    }
    let id = key.access_key_id;
    if !(16..=128).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(shape("its AccessKeyId is none".to_owned()));
    }
    let secret = key.secret_access_key;
    if !(16..=256).contains(&secret.len()) || !secret.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(shape("its SecretAccessKey is none".to_owned()));
    }
    Ok(Credentials::new(id, secret, None, None, "key file"))
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
