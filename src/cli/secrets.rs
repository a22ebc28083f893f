//! Named secrets: as `access.toml` names them, and as people see them.
//!
//! ```toml
//! [[access.secrets]]                   # below its [[access]]; as many as wanted
//! arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/app-1a2b3c"
//!
//! [[access.secrets]]
//! arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/db-4d5e6f"
//! [access.secrets.setter]              # only where it has no rotation function
//! name = "postgresql"                  # [setters.postgresql] in the host's worker.toml
//! role_arn = "arn:aws:iam::111122223333:role/twotap/setter"
//! field = "password"                   # the field of its JSON; without it, the whole value is replaced
//! length = 32                          # 16 to 128; 32 where absent
//! classes = ["lower", "upper", "digits", "symbols"]   # all four where absent
//! ```

use serde::Deserialize;

use crate::{
    protocol::{
        job::{SecretState, short_name},
        socket::{RequestView, Stage},
    },
    trust::{
        roster::{CharacterClass, NamedSecret, Setter},
        text::check_name,
    },
};

use super::ui::plain;

/// One `[[access.secrets]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    arn: String,
    setter: Option<SetterEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetterEntry {
    name: String,
    role_arn: String,
    field: Option<String>,
    #[serde(default = "usual_length")]
    length: u16,
    #[serde(default = "all_classes")]
    classes: Vec<CharacterClass>,
}

fn usual_length() -> u16 {
    32
}

fn all_classes() -> Vec<CharacterClass> {
    use CharacterClass::{Digits, Lower, Symbols, Upper};
    vec![Lower, Upper, Digits, Symbols]
}

/// The secrets of one access profile; an error says which field is wrong, and how.
pub(super) fn named(entries: Vec<Entry>) -> Result<Vec<NamedSecret>, String> {
    let mut secrets: Vec<NamedSecret> = Vec::new();
    for entry in entries {
        let wrong = |field: &str, why: &str| format!("{field} of {} {why}", plain(&entry.arn));
        let parts: Vec<&str> = entry.arn.splitn(7, ':').collect();
        let good = matches!(parts[..], ["arn", partition, "secretsmanager", region, account, "secret", name]
            if !partition.is_empty() && !region.is_empty() && !name.is_empty()
                && account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()));
        if !good || !entry.arn.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!(
                "'{}' is not an ARN like arn:aws:secretsmanager:REGION:111122223333:secret:NAME-AbCdEf",
                plain(&entry.arn)
            ));
        }
        if secrets.iter().any(|s| s.arn == entry.arn) {
            return Err(wrong("arn", "stands there twice"));
        }
        let setter = match entry.setter {
            None => None,
            Some(setter) => {
                if check_name("setter's name", &setter.name).is_err() {
                    return Err(wrong("setter.name", "is not a short name"));
                }
                if !super::inputs::is_arn(&setter.role_arn, "role/") {
                    return Err(wrong("setter.role_arn", "is not the ARN of a role"));
                }
                if !(16..=128).contains(&setter.length) {
                    return Err(wrong("setter.length", "is not between 16 and 128"));
                }
                if setter.classes.is_empty() {
                    return Err(wrong("setter.classes", "is empty"));
                }
                if setter.field.as_deref() == Some("") {
                    return Err(wrong("setter.field", "is empty"));
                }
                Some(Setter {
                    name: setter.name,
                    role_arn: setter.role_arn,
                    field: setter.field,
                    length: setter.length,
                    classes: setter.classes,
                })
            }
        };
        secrets.push(NamedSecret {
            arn: entry.arn,
            setter,
        });
    }
    if secrets.len() > 16 {
        return Err("names over 16 secrets".to_owned());
    }
    Ok(secrets)
}

/// The status's lines, one a secret.
pub(super) fn status_rows(view: &RequestView) -> Vec<(&'static str, String)> {
    let row = |secret: &crate::protocol::socket::SecretView| {
        let state = match (&secret.state, view.stage) {
            (SecretState::Rotated, _) => "rotated".to_owned(),
            (SecretState::Due, Stage::Closed) => "being rotated".to_owned(),
            (SecretState::Due, _) => "rotated at closing".to_owned(),
            (SecretState::Pending { why }, _) => {
                format!("pending, finished by itself: {}", plain(why))
            }
            (SecretState::Owed { why }, _) => format!("owed: {}", plain(why)),
        };
        (
            "secret",
            format!("{}: {state}", plain(short_name(&secret.secret))),
        )
    };
    view.secrets.iter().map(row).collect()
}

/// Whether a closed session's secrets were not all tried yet.
pub(super) fn are_due(view: &RequestView) -> bool {
    view.secrets.iter().any(|s| s.state == SecretState::Due)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        secrets: Vec<Entry>,
    }

    const ARN: &str =
        "arn = \"arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/db-4d5e6f\"";
    const ROLE: &str = "role_arn = \"arn:aws:iam::111122223333:role/twotap/setter\"";

    fn read(text: &str) -> Result<Vec<NamedSecret>, String> {
        let file: File = toml::from_str(text).map_err(|why| why.message().to_owned())?;
        named(file.secrets)
    }

    #[test]
    fn a_secret_is_named_with_or_without_a_setter() {
        let plain = read(&format!("[[secrets]]\n{ARN}")).expect("good");
        assert!(plain[0].setter.is_none());
        let text = format!("[[secrets]]\n{ARN}\n[secrets.setter]\nname = \"postgresql\"\n{ROLE}");
        let set = read(&text).expect("good");
        let setter = set[0].setter.as_ref().expect("a setter");
        assert_eq!(
            (setter.length, setter.classes.len(), &setter.field),
            (32, 4, &None)
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let twice = format!("[[secrets]]\n{ARN}\n[[secrets]]\n{ARN}");
        assert!(
            read(&twice)
                .expect_err("twice")
                .contains("stands there twice")
        );
        assert!(
            read("[[secrets]]\narn = \"prod/db\"")
                .expect_err("a name")
                .contains("not an ARN")
        );
        for (field, says) in [
            ("name = \"a b\"", "setter.name"),
            ("role_arn = \"x\"", "setter.role_arn"),
            ("length = 15", "setter.length"),
            ("length = 129", "setter.length"),
            ("classes = []", "setter.classes"),
            ("field = \"\"", "setter.field"),
            ("classes = [\"vowels\"]", "unknown variant"),
            ("lenght = 20", "unknown field"),
        ] {
            let mut lines = vec!["name = \"postgresql\"", ROLE];
            lines.retain(|l| l.split(' ').next() != field.split(' ').next());
            lines.push(field);
            let text = format!("[[secrets]]\n{ARN}\n[secrets.setter]\n{}", lines.join("\n"));
            let why = read(&text).expect_err(field);
            assert!(why.contains(says), "{why}");
        }
    }
}
