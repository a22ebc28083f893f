//! Where evidence is pushed to: a bare repository in a folder, over ssh, or over https.

use std::path::{Path, PathBuf};

use super::repo::{GitError, MOST_OF_A_REMOTE, Repo, With, said};
use crate::audit::sinks::{Opening, SinkConfigError, net::Endpoint};
use crate::aws::endpoints::is_loopback;

/// How ours see the remote's branches.
const SEEN: &str = "refs/twotap/seen";

/// A remote, checked.
pub(super) struct Remote {
    url: String,
    protocol: &'static str,
    env: Vec<(&'static str, String)>,
    settings: Vec<String>,
}

/// What became of a push.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It had everything.
    Nothing,
    /// It has everything now.
    Moved,
    /// It has what we do not have; with git's words.
    Rejected(String),
}

/// The keys of the table that are about the remote.
#[derive(Debug, Default)]
pub(super) struct RemoteKeys<'a> {
    pub(super) url: Option<&'a str>,
    pub(super) ssh_key: Option<&'a Path>,
    pub(super) known_hosts: Option<&'a Path>,
    pub(super) credentials_file: Option<&'a Path>,
    pub(super) ca_file: Option<&'a Path>,
}

impl Remote {
    /// The remote that the keys name, if they name one.
    pub(super) fn open(
        keys: &RemoteKeys<'_>,
        at: &Opening<'_>,
    ) -> Result<Option<Self>, SinkConfigError> {
        let Some(url) = keys.url else {
            let others = [
                ("ssh_key", keys.ssh_key),
                ("known_hosts", keys.known_hosts),
                ("credentials_file", keys.credentials_file),
                ("ca_file", keys.ca_file),
            ];
            return match others.iter().find(|(_, value)| value.is_some()) {
                Some((key, _)) => Err(SinkConfigError::new(*key, "it goes with 'remote'")),
                None => Ok(None),
            };
        };
        let protocol = protocol(url).map_err(|why| SinkConfigError::new("remote", why))?;
        let mut remote = Self {
            url: match protocol {
                "file" if !url.starts_with("file://") => {
                    let path = at.path(Path::new(url));
                    let path = std::path::absolute(&path).unwrap_or(path);
                    path.display().to_string()
                }
                _ => url.to_owned(),
            },
            protocol,
            env: Vec::new(),
            settings: Vec::new(),
        };
        match protocol {
            "ssh" => remote.ssh(keys, at)?,
            "https" | "http" => remote.https(keys, at)?,
            _ => {}
        }
        let (ssh, https) = (
            [("ssh_key", keys.ssh_key), ("known_hosts", keys.known_hosts)],
            [
                ("credentials_file", keys.credentials_file),
                ("ca_file", keys.ca_file),
            ],
        );
        let wrong = match protocol {
            "ssh" => https.to_vec(),
            "https" | "http" => ssh.to_vec(),
            _ => [ssh, https].concat(),
        };
        match wrong.iter().find(|(_, value)| value.is_some()) {
            Some((key, _)) => Err(SinkConfigError::new(
                *key,
                format!("it has no use with a remote over {protocol}"),
            )),
            None => Ok(Some(remote)),
        }
    }

    fn ssh(&mut self, keys: &RemoteKeys<'_>, at: &Opening<'_>) -> Result<(), SinkConfigError> {
        let missing = |key: &str, why: &str| SinkConfigError::new(key, why.to_owned());
        let key = keys.ssh_key.ok_or_else(|| {
            missing(
                "ssh_key",
                "a remote over ssh needs a key of the agent's own, in a file (0600)",
            )
        })?;
        let hosts = keys.known_hosts.ok_or_else(|| {
            missing(
                "known_hosts",
                "a remote over ssh needs the file that its host key stands in",
            )
            .with_hint("ssh-keyscan HOST > FILE, compared with what the remote's people say")
        })?;
        let key = plain("ssh_key", &at.path(key))?;
        let hosts = plain("known_hosts", &at.path(hosts))?;
        self.env.push((
            "GIT_SSH_COMMAND",
            format!(
                "ssh -F /dev/null -i {key} -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
                 -o StrictHostKeyChecking=yes -o UserKnownHostsFile={hosts} -o GlobalKnownHostsFile=/dev/null \
                 -o ConnectTimeout=10 -o ForwardAgent=no -o PermitLocalCommand=no"
            ),
        ));
        self.env.push(("GIT_SSH_VARIANT", "ssh".to_owned()));
        Ok(())
    }

    fn https(&mut self, keys: &RemoteKeys<'_>, at: &Opening<'_>) -> Result<(), SinkConfigError> {
        if let Some(file) = keys.credentials_file {
            let path = at.path(file);
            crate::audit::files::read_secret(&path).map_err(|why| {
                SinkConfigError::new("credentials_file", format!("{}: {why}", path.display()))
            })?;
            let path = plain("credentials_file", &path)?;
            // Asked alone: of the helper as it is git has a password taken out of the file when a server once says 401.
            self.settings.push(format!(
                "credential.helper=!f() {{ test \"$1\" != get || git credential-store --file={path} get; }}; f"
            ));
        }
        if let Some(file) = keys.ca_file {
            let path = plain("ca_file", &at.path(file))?;
            self.settings.push(format!("http.sslCAInfo={path}"));
        }
        Ok(())
    }

    /// The remote as people know it.
    pub(super) fn shown(&self) -> &str {
        &self.url
    }

    fn with(&self) -> With<'static> {
        let mut env: Vec<_> = self
            .env
            .iter()
            .map(|(name, value)| (*name, value.into()))
            .collect();
        env.push(("GIT_ALLOW_PROTOCOL", self.protocol.into()));
        With {
            env,
            settings: self.settings.clone(),
            most: Some(MOST_OF_A_REMOTE),
            ..With::default()
        }
    }

    /// Pushes the branches, all or none, and nothing by force.
    pub(super) fn push(&self, repo: &Repo, branches: &[String]) -> Result<Pushed, GitError> {
        let mut args = vec![
            "push".to_owned(),
            "--porcelain".to_owned(),
            "--atomic".to_owned(),
            "--no-verify".to_owned(),
        ];
        if self.protocol == "file" {
            // The other end is a process of ours: what its folder says to run is not run.
            args.push("--receive-pack=git -c core.hooksPath=/dev/null -c core.alternateRefsCommand= receive-pack".to_owned());
        }
        args.push(self.url.clone());
        args.extend(branches.iter().map(|b| format!("{b}:{b}")));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = repo.output(&args, self.with())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let behind = |line: &&str| {
            line.starts_with('!')
                && (line.contains("non-fast-forward") || line.contains("fetch first"))
        };
        if let Some(line) = text.lines().find(behind) {
            return Ok(Pushed::Rejected(line.replace('\t', " ")));
        }
        if !output.status.success() {
            return Err(GitError::Said(said(&output)));
        }
        let moved = text
            .lines()
            .any(|l| l.starts_with([' ', '*']) && l.contains("refs/"));
        Ok(match moved {
            true => Pushed::Moved,
            false => Pushed::Nothing,
        })
    }

    /// What each of the remote's branches is at, if it is there.
    pub(super) fn look(
        &self,
        repo: &Repo,
        branches: &[String],
    ) -> Result<Vec<Option<String>>, GitError> {
        let mut args = vec!["ls-remote", "--refs", self.url.as_str()];
        args.extend(branches.iter().map(String::as_str));
        let listed = repo.run(&args, self.with())?;
        let at = |branch: &String| {
            let found = listed.lines().filter_map(|line| line.split_once('\t'));
            let mut found = found.filter(|(_, name)| name == branch);
            found.next().map(|(commit, _)| commit.to_owned())
        };
        Ok(branches.iter().map(at).collect())
    }

    /// Fetches what [`look`](Self::look) has found there: it is ours to read afterwards.
    pub(super) fn fetch(
        &self,
        repo: &Repo,
        branches: &[String],
        there: &[Option<String>],
    ) -> Result<(), GitError> {
        let specs: Vec<String> = branches
            .iter()
            .zip(there)
            .enumerate()
            .filter(|(_, (_, commit))| commit.is_some())
            .map(|(n, (branch, _))| format!("+{branch}:{SEEN}/{n}"))
            .collect();
        if specs.is_empty() {
            return Ok(());
        }
        let mut args = vec![
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            &self.url,
        ];
        args.extend(specs.iter().map(String::as_str));
        let mut with = self.with();
        with.settings.push("fetch.fsckObjects=true".to_owned());
        repo.run(&args, with)?;
        Ok(())
    }
}

/// The protocol of a remote: `/folder`, `file://`, `ssh://`, `https://`, or `http://` to a loopback address.
fn protocol(url: &str) -> Result<&'static str, &'static str> {
    if url.is_empty()
        || url.len() > 2048
        || url.starts_with('-')
        || url.chars().any(char::is_control)
    {
        return Err("it is no address");
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        // HOST:PATH is ssh to git, and a remote helper is HELPER::ADDRESS: neither is guessed at.
        return match url.contains(':') {
            true => Err("it is a folder, or begins with file://, ssh:// or https://"),
            false => Ok("file"),
        };
    };
    let authority = rest.split('/').next().unwrap_or_default();
    match scheme {
        "file" => Ok("file"),
        "ssh" if authority.rsplit('@').next().is_none_or(str::is_empty) => Err("it has no host"),
        "ssh" if authority.starts_with('-') || authority.contains("@-") => Err("that is no host"),
        "ssh"
            if authority
                .split('@')
                .next()
                .is_some_and(|user| authority.contains('@') && user.contains(':')) =>
        {
            Err("a password in it would be seen by everybody; use a key")
        }
        "ssh" => Ok("ssh"),
        "https" | "http" if authority.contains('@') => Err(
            "a name or password in it would be seen by everybody; they go into credentials_file",
        ),
        "https" => Ok("https"),
        "http" => {
            let host = Endpoint::split(authority).map(|(host, _)| host);
            match host.is_some_and(is_loopback) {
                true => Ok("http"),
                false => {
                    Err("without TLS only a loopback address like 127.0.0.1:PORT is spoken to")
                }
            }
        }
        _ => Err("it is a folder, or begins with file://, ssh:// or https://"),
    }
}

/// A path that git and ssh take as one word.
fn plain(key: &str, path: &Path) -> Result<String, SinkConfigError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match path.to_str() {
        Some(text) if text.chars().all(good) => Ok(text.to_owned()),
        _ => Err(SinkConfigError::new(
            key,
            format!(
                "{}: its name may have letters, digits, and / . _ - alone",
                path.display()
            ),
        )),
    }
}

/// A signing key's path, checked in the same way.
pub(super) fn key_path(key: &str, path: &Path) -> Result<PathBuf, SinkConfigError> {
    crate::audit::files::read_secret(path)
        .map_err(|why| SinkConfigError::new(key, format!("{}: {why}", path.display())))?;
    plain(key, path).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::protocol;

    #[test]
    fn a_remote_is_one_of_three_and_carries_no_password() {
        for (url, expected) in [
            ("/srv/evidence.git", "file"),
            ("evidence.git", "file"),
            ("file:///srv/evidence.git", "file"),
            ("ssh://git@git.example/evidence.git", "ssh"),
            ("ssh://git@git.example:2222/evidence.git", "ssh"),
            ("https://git.example/evidence.git", "https"),
            ("http://127.0.0.1:8080/evidence.git", "http"),
        ] {
            assert_eq!(protocol(url), Ok(expected), "{url}");
        }
        for bad in [
            "",
            "-oProxyCommand=x",
            "ext::sh -c x",
            "git@git.example:evidence.git",
            "ssh://",
            "ssh://git@/x",
            "ssh://-oProxyCommand=x/y",
            "ssh://git@-oProxyCommand=x/y",
            "ssh://git:pw@git.example/x",
            "https://dana:pw@git.example/x",
            "https://token@git.example/x",
            "http://git.example/x",
            "git://git.example/x",
            "ftp://git.example/x",
            "ssh://git.example/x\ny",
        ] {
            assert!(protocol(bad).is_err(), "{bad:?}");
        }
    }
}
