//! `places.toml`, where copies of the sealed bundle are kept:
//!
//! ```toml
//! [[place]]
//! name = "nas"
//! kind = "folder"               # its path stands in each host's worker.toml: [places.nas]
//! required = true               # the old key dies only once this place holds the new one
//!
//! [[place]]
//! name = "safe"
//! kind = "secret"
//! secret_arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:twotap/prod-bundle-AbCdEf"
//! role_arn = "arn:aws:iam::111122223333:role/twotap/bundle"
//! required = true
//! claim = true                  # of several hosts one at a time replaces the key
//! ```

use std::path::Path;

use serde::Deserialize;

use super::{files, inputs, ui::plain};
use crate::{
    protocol::Problem,
    trust::{
        Envelope,
        roster::{Place, PlaceKind},
        text::check_name,
    },
    vault::bundle::will_fit,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlacesFile {
    place: Vec<PlaceEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceEntry {
    name: String,
    kind: Kind,
    required: bool,
    secret_arn: Option<String>,
    role_arn: Option<String>,
    claim: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Folder,
    Secret,
}

/// Reads `places.toml`.
pub(super) fn read(path: &Path) -> Result<Vec<Place>, Problem> {
    parse(path, &files::read_text(path)?)
}

/// Whether the bundles of this roster will fit the secrets that it names.
pub(super) fn must_fit(chain: &[Envelope]) -> Result<(), Problem> {
    will_fit(chain).map_err(|why| {
        let problem = super::checked::vault_problem(why);
        Problem {
            error: format!(
                "with this roster it could not be copied to a secret: {}",
                problem.error
            ),
            ..problem
        }
    })
}

fn parse(path: &Path, text: &str) -> Result<Vec<Place>, Problem> {
    let file: PlacesFile = inputs::from_toml(path, text)?;
    let mut places: Vec<Place> = Vec::new();
    for entry in file.place {
        let whose = format!("place '{}'", plain(&entry.name));
        let wrong = |field: &str, why: &str| Err(inputs::wrong(path, &[&whose, field], why));
        if check_name("place's name", &entry.name).is_err() {
            return wrong("name", "is not a short name: a-z, 0-9, '-', '_', '.'");
        }
        if places.iter().any(|p| p.name == entry.name) {
            return wrong("name", "stands there twice");
        }
        let kind = match (entry.kind, entry.secret_arn, entry.role_arn) {
            (Kind::Folder, None, None) if entry.claim != Some(true) => PlaceKind::Folder,
            (Kind::Folder, ..) => {
                return wrong("kind", "is a folder, which has no ARN and holds no claim");
            }
            (Kind::Secret, Some(secret_arn), Some(role_arn)) => {
                if !role_arn.starts_with("arn:") || !role_arn.contains(":role/") {
                    return wrong("role_arn", "is not a role's ARN");
                }
                if !secret_arn.contains(":secretsmanager:") {
                    return wrong("secret_arn", "is not a secret's ARN");
                }
                PlaceKind::Secret {
                    secret_arn,
                    role_arn,
                    claim: entry.claim.unwrap_or(false),
                }
            }
            (Kind::Secret, ..) => return wrong("kind", "is a secret, which needs both ARNs"),
        };
        let claim = |k: &PlaceKind| matches!(k, PlaceKind::Secret { claim: true, .. });
        if claim(&kind) && places.iter().any(|p| claim(&p.kind)) {
            return wrong("claim", "is held by another place already");
        }
        places.push(Place {
            name: entry.name,
            required: entry.required,
            kind,
        });
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Code;

    fn parsed(text: &str) -> Result<Vec<Place>, Problem> {
        parse(Path::new("places.toml"), text)
    }

    /// The file of the manual, from the head of this one.
    fn example() -> String {
        include_str!("places.rs")
            .lines()
            .skip_while(|l| *l != "//! ```toml")
            .skip(1)
            .take_while(|l| *l != "//! ```")
            .map(|l| format!("{}\n", l.trim_start_matches("//!").trim_start()))
            .collect()
    }

    #[test]
    fn the_file_of_the_manual_is_read() {
        let places = parsed(&example()).expect("good");
        assert_eq!(places.len(), 2);
        assert_eq!(places[0].kind, PlaceKind::Folder);
        assert!(matches!(
            places[1].kind,
            PlaceKind::Secret { claim: true, .. }
        ));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let twice = format!("{}{}", example(), example().replace("\"nas\"", "\"nas2\""));
        for (text, named) in [
            (twice, "place 'safe', name stands there twice"),
            (
                format!(
                    "{}{}",
                    example(),
                    example()
                        .replace("\"nas\"", "\"n\"")
                        .replace("\"safe\"", "\"s\"")
                ),
                "place 's', claim is held by another place already",
            ),
            (
                example().replace("name = \"nas\"", "name = \"Nas \""),
                "name is not a short name",
            ),
            (
                example().replace("kind = \"folder\"", "kind = \"folder\"\nclaim = true"),
                "is a folder, which has no ARN and holds no claim",
            ),
            (
                example().replace("role_arn = ", "# "),
                "is a secret, which needs both ARNs",
            ),
            (
                example().replace("required = true ", "# "),
                "missing field `required`",
            ),
            (
                example().replace("kind = \"folder\"", "kind = \"bucket\""),
                "unknown variant `bucket`",
            ),
        ] {
            let problem = parsed(&text).expect_err(named);
            assert_eq!(problem.code, Code::Usage);
            assert!(problem.error.contains(named), "{problem}");
        }
    }
}
