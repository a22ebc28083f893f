//! Where peppers come from: `[fingerprints]` in `agent.toml`.
//!
//! ```text
//! [fingerprints]
//! kid = "kid_202611"                      # the pepper that new fingerprints are made with
//! file = "/etc/twotap/pepper"             # 32 bytes in base64, 0600; or, in its place, one of:
//! # credential = "twotap-pepper"          # a systemd credential of the agent's unit (LoadCredentialEncrypted=)
//! # secret = { arn = "arn:aws:secretsmanager:...", key_file = "/etc/twotap/audit-writer.json" }
//! required = true                         # refuses to start without it: PEPPER_REQUIRED_BUT_NOT_SET
//!
//! [fingerprints.archived.kid_202601]      # what older fingerprints were made with; read when one of them is compared
//! file = "/etc/twotap/pepper-202601"
//! ```
//!
//! Without the table there is a pepper of the host's own, `kid_dev`, made at the first start.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{DEFAULT_KID, Fingerprint, FingerprintKey, kid_is_good};
use crate::audit::files;
use crate::audit::sinks::amazon::{Account, Place, failed};

/// The table as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FingerprintTable {
    /// The id that new fingerprints carry.
    kid: Option<String>,
    file: Option<PathBuf>,
    credential: Option<String>,
    secret: Option<SecretTable>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    archived: BTreeMap<String, SourceTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceTable {
    file: Option<PathBuf>,
    credential: Option<String>,
    secret: Option<SecretTable>,
}

/// A secret in Secrets Manager, whose value is the pepper in base64.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretTable {
    arn: String,
    /// What `aws iam create-access-key` prints for a user who may read it; 0600.
    key_file: PathBuf,
    /// Another endpoint: https, or http to loopback.
    endpoint: Option<String>,
    /// Root certificates instead of the system's.
    ca_file: Option<PathBuf>,
}

/// Where the agent's things are.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The configuration's folder, from which relative paths are taken.
    pub folder: &'a Path,
    /// The agent's state, 0700: the host's own pepper lies there as `fingerprint.key`.
    pub state: &'a Path,
    /// Where systemd has put the unit's credentials (`CREDENTIALS_DIRECTORY`).
    pub credentials: Option<&'a Path>,
}

/// Where one pepper is.
#[derive(Clone, Debug)]
enum Source {
    File(PathBuf),
    /// systemd keeps others out by the folder.
    Credential(PathBuf),
    Secret(SecretTable),
}

/// What the table asks for and cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PepperError {
    /// The table contradicts itself.
    Table(String),
    /// It says that a pepper is required, and names none.
    Required(String),
    /// It says that a pepper is required, and the one that it names cannot be had.
    NotAtHand(String),
    /// The host's own pepper cannot be used.
    Own(String),
}

impl PepperError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Table(_) => "see [fingerprints] in agent.toml",
            Self::Required(_) => {
                "make one (head -c 32 /dev/urandom | base64), keep it in a secret store, and name it in [fingerprints] of agent.toml by file, credential or secret"
            }
            // Another pepper under the same id would make every older fingerprint a wrong one.
            Self::NotAtHand(_) => {
                "it has to be what [fingerprints] in agent.toml names, and this account's to read; if it is lost, make another under a new kid"
            }
            Self::Own(_) => "it is fingerprint.key in the agent's state folder, 0600",
        }
    }
}

impl fmt::Display for PepperError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(why) => write!(f, "fingerprints{why}"),
            Self::Required(why) | Self::NotAtHand(why) => {
                write!(f, "PEPPER_REQUIRED_BUT_NOT_SET: {why}")
            }
            Self::Own(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for PepperError {}

/// The pepper in use and those before it. No `Debug`, no `Clone`.
pub struct Peppers {
    current: FingerprintKey,
    archived: BTreeMap<String, Source>,
    missing: Option<String>,
}

impl FingerprintTable {
    /// Reads the pepper that is named. Blocks, for some seconds where it is in Secrets Manager; not to be called on an async runtime's thread.
    ///
    /// One that is named, not required, and cannot be had is no reason to stay down: the host's own takes its place, and
    /// [`Peppers::missing`] says so.
    pub fn open(self, around: Surroundings<'_>) -> Result<Peppers, PepperError> {
        let table = |why: String| PepperError::Table(why);
        let mut archived = BTreeMap::new();
        for (kid, source) in self.archived {
            if !kid_is_good(&kid) || Some(&kid) == self.kid.as_ref() {
                return Err(table(format!(
                    ".archived.{kid}: it is another kid_YYYYMM than the current one"
                )));
            }
            let SourceTable {
                file,
                credential,
                secret,
            } = source;
            let found = Source::of(file, credential, secret, around)
                .and_then(|source| source.ok_or("it names no pepper".to_owned()));
            let source = found.map_err(|why| table(format!(".archived.{kid}: {why}")))?;
            archived.insert(kid, source);
        }
        let own = around.state.join("fingerprint.key");
        let named = Source::of(self.file, self.credential, self.secret, around)
            .map_err(|why| table(format!(": {why}")))?;
        let named = match (self.kid, named) {
            (None, None) => None,
            (Some(kid), Some(_)) if !kid_is_good(&kid) || kid == DEFAULT_KID => {
                return Err(table(".kid: it is written kid_YYYYMM".to_owned()));
            }
            (Some(kid), Some(source)) => Some((kid, source)),
            (Some(_), None) => {
                return Err(table(
                    ".kid: no pepper is named for it (file, credential or secret)".to_owned(),
                ));
            }
            (None, Some(_)) => {
                return Err(table(
                    ".kid: the pepper that is named needs one, kid_YYYYMM".to_owned(),
                ));
            }
        };
        let Some((kid, source)) = named else {
            if self.required {
                return Err(PepperError::Required(
                    "[fingerprints] says 'required' and names no pepper".to_owned(),
                ));
            }
            return Ok(Peppers {
                current: open_own(&own)?,
                archived,
                missing: None,
            });
        };
        match source.read(&kid) {
            Ok(current) => {
                // What was written before a pepper was named stays checkable.
                archived
                    .entry(DEFAULT_KID.to_owned())
                    .or_insert(Source::File(own));
                Ok(Peppers {
                    current,
                    archived,
                    missing: None,
                })
            }
            Err(why) if self.required => Err(PepperError::NotAtHand(format!("{kid}: {why}"))),
            Err(why) => Ok(Peppers {
                current: open_own(&own)?,
                missing: Some(format!(
                    "the pepper {kid} cannot be had ({why}): fingerprints are made with {DEFAULT_KID}, this host's own"
                )),
                archived: {
                    archived.insert(kid, source);
                    archived
                },
            }),
        }
    }
}

fn open_own(path: &Path) -> Result<FingerprintKey, PepperError> {
    FingerprintKey::open_or_create(path, DEFAULT_KID)
        .map_err(|why| PepperError::Own(why.to_string()))
}

impl Peppers {
    /// Of one pepper alone.
    pub fn only(current: FingerprintKey) -> Self {
        Self {
            current,
            archived: BTreeMap::new(),
            missing: None,
        }
    }

    /// Makes a fingerprint with the current pepper; see [`FingerprintKey::fingerprint`].
    pub fn fingerprint(&self, purpose: &str, value: &[u8]) -> Fingerprint {
        self.current.fingerprint(purpose, value)
    }

    /// The id that new fingerprints carry.
    pub fn kid(&self) -> &str {
        self.current.kid()
    }

    /// That the pepper that is named could not be had, if so, in words.
    pub fn missing(&self) -> Option<&str> {
        self.missing.as_deref()
    }

    /// Whether `fingerprint` is of `value`, by the pepper that made it: the current one, or an archived one, which is read for it. The error
    /// says in words why that pepper is not at hand. Blocks as [`FingerprintTable::open`] does.
    pub fn matches(
        &self,
        fingerprint: &Fingerprint,
        purpose: &str,
        value: &[u8],
    ) -> Result<bool, String> {
        if fingerprint.kid() == self.current.kid() {
            return Ok(self.current.matches(fingerprint, purpose, value));
        }
        let source = self.archived.get(fingerprint.kid());
        let source =
            source.ok_or_else(|| format!("no pepper {} is configured", fingerprint.kid()))?;
        let key = source.read(fingerprint.kid())?;
        Ok(key.matches(fingerprint, purpose, value))
    }
}

impl Source {
    /// The one that is named, if any.
    fn of(
        file: Option<PathBuf>,
        credential: Option<String>,
        secret: Option<SecretTable>,
        around: Surroundings<'_>,
    ) -> Result<Option<Self>, String> {
        match (file, credential, secret) {
            (None, None, None) => Ok(None),
            (Some(file), None, None) => Ok(Some(Self::File(around.folder.join(file)))),
            (None, Some(name), None) => {
                if name.is_empty() || name.contains('/') || name.starts_with('.') {
                    return Err("a credential is named without a path".to_owned());
                }
                // Outside of systemd there is none, which is said when it is read.
                let folder = around.credentials.unwrap_or(Path::new(NO_CREDENTIALS));
                Ok(Some(Self::Credential(folder.join(name))))
            }
            (None, None, Some(secret)) => {
                let secret = SecretTable {
                    key_file: around.folder.join(&secret.key_file),
                    ca_file: secret.ca_file.as_ref().map(|f| around.folder.join(f)),
                    ..secret
                };
                Ok(Some(Self::Secret(secret)))
            }
            _ => Err("one of file, credential and secret is named".to_owned()),
        }
    }

    /// Reads it; the error says in words why that cannot be done, and nothing of what was read.
    fn read(&self, kid: &str) -> Result<FingerprintKey, String> {
        let text = match self {
            Self::File(path) => files::read_secret(path).map_err(|why| said(path, &why))?,
            Self::Credential(path) if path.starts_with(NO_CREDENTIALS) => {
                return Err("systemd has given no credentials to this process".to_owned());
            }
            Self::Credential(path) => read_credential(path).map_err(|why| said(path, &why))?,
            Self::Secret(secret) => return secret.read(kid),
        };
        let text = std::str::from_utf8(&text).map_err(|_| "it is no text".to_owned())?;
        FingerprintKey::from_base64(kid, text).map_err(|why| why.to_string())
    }
}

/// Stands in a path for the credentials' folder that there is not.
const NO_CREDENTIALS: &str = "/nonexistent/credentials";

fn said(path: &Path, why: &io::Error) -> String {
    format!("{}: {why}", path.display())
}

/// systemd's files may be read by an access list, which shows as the group's rights: the folder is what keeps others out.
fn read_credential(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::with_capacity(4096));
    fs::File::open(path)?.take(4096).read_to_end(&mut text)?;
    Ok(text)
}

impl SecretTable {
    /// From Secrets Manager, on a thread of its own: the caller may be within a runtime.
    fn read(&self, kid: &str) -> Result<FingerprintKey, String> {
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| self.ask(kid));
            reading
                .join()
                .unwrap_or_else(|_| Err("reading it stopped".to_owned()))
        })
    }

    fn ask(&self, kid: &str) -> Result<FingerprintKey, String> {
        let mut parts = self.arn.split(':');
        let (arn, partition, service, region) =
            (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some("arn"), Some(partition), Some("secretsmanager"), Some(region)) =
            (arn, partition, service, region)
        else {
            return Err("'arn' is not that of a secret".to_owned());
        };
        let mut account = Account::open(Place {
            partition: partition.to_owned(),
            region: region.to_owned(),
            endpoint: self.endpoint.clone(),
            ca_file: self.ca_file.clone(),
            credential: self.key_file.clone(),
        })
        // Its keys are a sink's: here they have other names.
        .map_err(|why| why.why().to_owned())?;
        account.begin();
        let asked = account.run(|aws, key| async move {
            let asked = aws.secret_value(key, &self.arn, None).await;
            asked.map_err(|why| failed(&why))
        });
        let text = asked
            .map_err(|why| why.to_string())?
            .value
            .text
            .ok_or_else(|| "the secret holds no text".to_owned())?;
        FingerprintKey::from_base64(kid, &text).map_err(|why| why.to_string())
    }
}

#[cfg(test)]
mod tests;
