//! A shell's prompt with the time left in it.
//!
//! Shells read their own start-up files first, so that people find what they are used to; what comes after is ours: the prompt, and once more
//! the variables by which AWS's tools find the session, which a start-up file may have set otherwise. Whatever the person's files do to the
//! prompt stays behind ours.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    protocol::Problem,
    trust::{
        Timestamp,
        file::{write_atomic, write_new},
    },
};

use super::super::files;

/// How a shell is started, and with what in its environment.
pub(super) struct Prompted {
    pub(super) command: Vec<OsString>,
    pub(super) env: Vec<(&'static str, String)>,
    /// Where it reads when the session ends: [`ends_at`] writes it.
    pub(super) until_file: PathBuf,
}

/// The session ends then, as far as is known now: prompts say so from here on.
pub(super) fn ends_at(file: Option<&Path>, until: Timestamp) {
    if let Some(file) = file {
        // A prompt that is late is no reason to trouble anybody: the warning is on the screen.
        let _ = write_atomic(file, format!("{}\n", until.0).as_bytes(), 0o600);
    }
}

/// Prints `[prod/admin 3h59m left] `; with under 15 minutes an exclamation mark, and what is over is over.
const LEFT: &str = r#"__twotap_left() {
  { read -r __twotap_u < "$TWOTAP_UNTIL"; } 2>/dev/null || return 0
  __twotap_s=$(( __twotap_u - $(date +%s) ))
  __twotap_m=$(( (__twotap_s + 59) / 60 ))
  if [ "$__twotap_s" -le 0 ]; then printf '[%s over] ' "$TWOTAP_WHAT"
  elif [ "$__twotap_m" -le 15 ]; then printf '[%s %dm left!] ' "$TWOTAP_WHAT" "$__twotap_m"
  elif [ "$__twotap_m" -lt 60 ]; then printf '[%s %dm left] ' "$TWOTAP_WHAT" "$__twotap_m"
  else printf '[%s %dh%02dm left] ' "$TWOTAP_WHAT" "$(( __twotap_m / 60 ))" "$(( __twotap_m % 60 ))"; fi
}
"#;

const BASH: &str = r#"[ -r /etc/bash.bashrc ] && . /etc/bash.bashrc
[ -r ~/.bashrc ] && . ~/.bashrc
__twotap_prompt() {
  case $PS1 in '$(__twotap_left)'*) ;; *) PS1='$(__twotap_left)'"$PS1" ;; esac
}
PROMPT_COMMAND="${PROMPT_COMMAND:+$PROMPT_COMMAND; }__twotap_prompt"
"#;

const ZSH: &str = r#"ZDOTDIR=${TWOTAP_ZDOTDIR:-$HOME}
[ -r "$ZDOTDIR/.zshrc" ] && . "$ZDOTDIR/.zshrc"
setopt PROMPT_SUBST
__twotap_prompt() {
  case $PROMPT in '$(__twotap_left)'*) ;; *) PROMPT='$(__twotap_left)'"$PROMPT" ;; esac
}
autoload -Uz add-zsh-hook && add-zsh-hook precmd __twotap_prompt
"#;

const SH: &str = r#"PS1='$(__twotap_left)'"${PS1:-$ }"
"#;

const FISH: &str = r#"functions -q fish_prompt; and functions -c fish_prompt __twotap_prompt
function fish_prompt
  set -l s (math (cat $TWOTAP_UNTIL)" - "(date +%s))
  set -l m (math "ceil($s / 60)")
  if test $s -le 0; printf '[%s over] ' $TWOTAP_WHAT
  else if test $m -le 15; printf '[%s %dm left!] ' $TWOTAP_WHAT $m
  else if test $m -lt 60; printf '[%s %dm left] ' $TWOTAP_WHAT $m
  else; printf '[%s %dh%02dm left] ' $TWOTAP_WHAT (math "floor($m / 60)") (math "$m % 60"); end
  functions -q __twotap_prompt; and __twotap_prompt
end
"#;

/// Writes what `shell` needs into `folder`; `what` is what the prompt names, `until` when the session ends, and `given` a command that was
/// given the session's variables.
pub(super) fn prepare(
    shell: &Path,
    folder: &Path,
    (what, until): (&str, Timestamp),
    given: &Command,
) -> Result<Prompted, Problem> {
    let name = shell.file_name().and_then(OsStr::to_str).unwrap_or("sh");
    let write = |file: &str, text: &str| {
        let path = folder.join(file);
        let written = write_new(&path, text.as_bytes(), 0o600);
        written
            .map(|()| path.clone())
            .map_err(|why| files::unwritable(&path, &why))
    };
    let mut command = vec![shell.as_os_str().to_owned()];
    let until_file = write("until", &format!("{}\n", until.0))?;
    let mut env = vec![
        ("TWOTAP_UNTIL", until_file.display().to_string()),
        ("TWOTAP_WHAT", what.to_owned()),
    ];
    let again = variables(given);
    match name {
        "bash" => {
            let file = write("bashrc", &format!("{LEFT}{BASH}{again}"))?;
            command.extend(["--rcfile".into(), file.into(), "-i".into()]);
        }
        "zsh" => {
            let own = std::env::var("ZDOTDIR").unwrap_or_default();
            env.push(("TWOTAP_ZDOTDIR", own));
            env.push(("ZDOTDIR", folder.display().to_string()));
            let first = "[ -r \"${TWOTAP_ZDOTDIR:-$HOME}/.zshenv\" ] && . \"${TWOTAP_ZDOTDIR:-$HOME}/.zshenv\"\n";
            write(".zshenv", first)?;
            write(".zshrc", &format!("{LEFT}{ZSH}{again}"))?;
            command.push("-i".into());
        }
        "fish" => {
            let file = write("prompt.fish", FISH)?;
            let source = format!("source {}", file.display());
            command.extend(["-i".into(), "-C".into(), source.into()]);
        }
        // What every shell of POSIX reads when people use it.
        "sh" | "dash" | "ash" | "ksh" | "mksh" | "busybox" => {
            let file = write("shrc", &format!("{LEFT}{SH}{again}"))?;
            env.push(("ENV", file.display().to_string()));
            command.push("-i".into());
        }
        _ => {}
    }
    Ok(Prompted {
        command,
        env,
        until_file,
    })
}

/// The variables that a command was given, as lines of a shell.
fn variables(given: &Command) -> String {
    let line = |(name, value): (&OsStr, Option<&OsStr>)| {
        let name = name.to_string_lossy();
        match value {
            Some(value) => format!("export {name}={}\n", quoted(&value.to_string_lossy())),
            None => format!("unset {name}\n"),
        }
    };
    given.get_envs().map(line).collect()
}

/// As one word of a POSIX shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a shell prints for `left` seconds.
    fn left(shell: &str, left: i64) -> String {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("until");
        ends_at(Some(&file), Timestamp::now().plus(left));
        let output = Command::new(shell)
            .args(["-c", &format!("{LEFT}__twotap_left")])
            .env("TWOTAP_UNTIL", &file)
            .env("TWOTAP_WHAT", "prod/admin")
            .output()
            .expect("a shell");
        String::from_utf8(output.stdout).expect("text")
    }

    #[test]
    fn the_time_left_is_told() {
        for shell in ["sh", "bash"] {
            assert_eq!(left(shell, 4 * 3600 - 1), "[prod/admin 4h00m left] ");
            assert_eq!(left(shell, 3600 + 119), "[prod/admin 1h02m left] ");
            assert_eq!(left(shell, 59 * 60 - 5), "[prod/admin 59m left] ");
            assert_eq!(left(shell, 14 * 60 + 30), "[prod/admin 15m left!] ");
            assert_eq!(left(shell, 20), "[prod/admin 1m left!] ");
            assert_eq!(left(shell, 0), "[prod/admin over] ");
        }
    }

    #[test]
    fn variables_come_through_a_shell_as_they_are() {
        let mut given = Command::new("true");
        given
            .env("AWS_PROFILE", "a'b $(c) \"d\"")
            .env_remove("AWS_REGION");
        let text = variables(&given);
        let script = format!("{text}printf %s \"$AWS_PROFILE${{AWS_REGION-gone}}\"");
        let output = Command::new("sh")
            .args(["-c", &script])
            .env("AWS_REGION", "x")
            .output()
            .expect("a shell");
        assert_eq!(output.stdout, b"a'b $(c) \"d\"gone");
    }
}
