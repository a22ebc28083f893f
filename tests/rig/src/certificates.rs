//! Authorities and certificates for receivers that speak TLS, by openssl: nothing of ours has made what ours has to believe.

use std::{path::Path, process::Command};

use crate::RigError;

/// Makes an authority in `folder`: `NAME.pem` and `NAME.key`, valid for two days.
pub fn authority(folder: &Path, name: &str) -> Result<(), RigError> {
    openssl(
        folder,
        &format!("{NEW} -subj /CN={name} -keyout {name}.key -out {name}.pem"),
    )
}

/// Has the authority `by` in `folder` certify `name`: `NAME.pem` and `NAME.key`, for the one `host`, e.g. `DNS:siem.example` or
/// `IP:127.0.0.1`.
pub fn certificate(folder: &Path, name: &str, host: &str, by: &str) -> Result<(), RigError> {
    let subject = host.split_once(':').map_or(host, |(_, plain)| plain);
    openssl(
        folder,
        &format!(
            "{NEW} -subj /CN={subject} -addext subjectAltName={host} -addext basicConstraints=critical,CA:FALSE \
             -CA {by}.pem -CAkey {by}.key -keyout {name}.key -out {name}.pem"
        ),
    )
}

const NEW: &str = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";

fn openssl(folder: &Path, arguments: &str) -> Result<(), RigError> {
    let output = Command::new("openssl")
        .args(arguments.split_ascii_whitespace())
        .current_dir(folder)
        .output()
        .map_err(|why| RigError::new(format!("openssl: {why}")))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(RigError::new(format!(
            "openssl {arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}
