//! The private AWS configuration of a session: a folder of this user alone that names the session and holds no secret, gone at the end.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    protocol::{Code, Problem},
    trust::file::write_new,
};

use super::{
    super::{files, private::Private},
    Opened, Role,
};

/// What would win over the private configuration, or leak another session into the command.
const REMOVED: [&str; 16] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_LOGIN_CACHE_DIRECTORY",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
];

/// The private AWS configuration of a session; removed when dropped.
pub(in crate::cli) struct Config {
    _folder: Private,
    file: PathBuf,
}

impl Config {
    /// Writes it.
    pub(in crate::cli) fn of(session: &Opened) -> Result<Self, Problem> {
        let exe = std::env::current_exe()
            .map_err(|why| Problem::new(Code::Internal, format!("cannot find myself: {why}")))?;
        let text = text(
            &exe,
            &session.socket,
            &session.named(),
            session.region(),
            &session.roles(),
        )?;
        let folder = Private::new()?;
        let file = folder.path().join("config");
        write_new(&file, text.as_bytes(), 0o600).map_err(|why| files::unwritable(&file, &why))?;
        Ok(Self {
            _folder: folder,
            file,
        })
    }

    /// The folder that it lies in, for what else belongs to the command.
    pub(super) fn folder(&self) -> &Path {
        self._folder.path()
    }

    /// Lets `command` find it, and nothing that would win over it.
    pub(in crate::cli) fn give(&self, command: &mut Command) {
        command
            .env("AWS_CONFIG_FILE", &self.file)
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_PROFILE", "break-glass")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            // Go's first SDK and JavaScript's second read no configuration without it.
            .env("AWS_SDK_LOAD_CONFIG", "1");
        for name in REMOVED {
            command.env_remove(name);
        }
    }
}

/// The AWS configuration: the first role under the names that commands use by themselves, and each of several under its own. Where the first
/// could not be opened those names give nothing: another account never stands in for it. <https://docs.aws.amazon.com/cli/latest/topic/config-vars.html>.
pub(super) fn text(
    exe: &Path,
    socket: &Path,
    session: &str,
    region: &str,
    roles: &[Role],
) -> Result<String, Problem> {
    let process = format!("{} {session}", process(exe, socket)?);
    let section = |name: &str, which: &str| {
        format!("[{name}]\ncredential_process = {process}{which}\nregion = {region}\n")
    };
    let mut sections = vec![section("default", ""), section("profile break-glass", "")];
    for role in roles {
        let which = format!(" --account {} --role {}", role.account, role.name);
        let name = format!("profile {}", role.profile());
        sections.push(section(&name, &which));
    }
    Ok(sections.join("\n"))
}

/// The line that SDKs run for the caller's only open session. Some split it themselves and some give it to a shell: it is written so that both
/// come to the same words.
pub(in crate::cli) fn process(exe: &Path, socket: &Path) -> Result<String, Problem> {
    let quoted = |path: &Path| {
        let text = path.to_str().filter(|text| {
            !text
                .chars()
                .any(|c| c.is_control() || matches!(c, '"' | '\\' | '$' | '`'))
        });
        text.map(|text| format!("\"{text}\"")).ok_or_else(|| {
            Problem::new(
                Code::Usage,
                format!(
                    "{} cannot be written into an aws configuration",
                    files::shown(path)
                ),
            )
            .hint("use paths without quotes, backslashes, dollar signs and backticks")
        })
    };
    Ok(format!(
        "{} --agent {} credentials",
        quoted(exe)?,
        quoted(socket)?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_the_session_and_holds_no_secret() {
        let text = super::text(
            Path::new("/opt/two tap/twotap"),
            Path::new("/run/a.sock"),
            "r-abcdefghijklm",
            "eu-central-1",
            &[],
        )
        .expect("plain paths");
        let process = "credential_process = \"/opt/two tap/twotap\" --agent \"/run/a.sock\" credentials r-abcdefghijklm\nregion = eu-central-1\n";
        assert_eq!(
            text,
            format!("[default]\n{process}\n[profile break-glass]\n{process}")
        );
        for bad in ["/a\"b", "/a\nb", "/a$(b)", "/a`b"] {
            assert!(
                super::text(Path::new(bad), Path::new("/s"), "r", "x", &[]).is_err(),
                "{bad}"
            );
        }
    }
}
