//! Editing one profile of an AWS configuration file, and leaving every other byte as it is.
//!
//! The format: <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>. A section `[profile NAME]` runs to the next one; an indented
//! line continues the setting above it.

use std::ops::Range;

/// What the profile is to say.
pub(super) struct Wanted<'w> {
    /// Its name.
    pub(super) name: &'w str,
    /// The line that gives credentials.
    pub(super) process: &'w str,
    /// Its Region, if it is to have one.
    pub(super) region: Option<&'w str>,
}

/// A change of the file.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    /// The whole new text.
    pub(super) text: String,
    /// What changes, a line each: `+ NEW`, `- OLD`, and `  ` before what stays.
    pub(super) shown: Vec<String>,
}

/// Why there is none to make.
#[derive(Debug, PartialEq)]
pub(super) enum Unfit {
    /// The profile is somebody else's: this setting gives it credentials from elsewhere, or it has none of ours.
    Foreign(String),
    /// It stands there more than once.
    Twice,
}

/// A line of ours before the section, so that whoever finds it knows what it is.
const ABOUT: &str =
    "# twotap's break-glass session; no secret stands here (twotap setup aws-profile)";
/// Settings by which a profile has credentials, whatever else it says. What comes first differs from SDK to SDK: beside ours each is one too many.
const SOURCES: [&str; 9] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "credential_source",
    "login_session",
    "role_arn",
    "source_profile",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
];
const PROCESS: &str = "credential_process";
const REGION: &str = "region";

/// The file with the profile as it is wanted; nothing if it is so already.
pub(super) fn set(text: &str, wanted: &Wanted) -> Result<Option<Change>, Unfit> {
    let lines = lines_of(text);
    let fresh = |name: &str, value: &str| format!("{name} = {value}");
    let Some(section) = find(&lines, wanted.name)? else {
        let mut added = vec![
            ABOUT.to_owned(),
            format!("[profile {}]", wanted.name),
            fresh(PROCESS, wanted.process),
        ];
        added.extend(wanted.region.map(|region| fresh(REGION, region)));
        let mut all: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
        if lines.last().is_some_and(|last| !last.trim().is_empty()) {
            all.push(String::new());
        }
        all.extend(added.iter().cloned());
        return Ok(Some(Change {
            text: joined(&all),
            shown: added.iter().map(|line| format!("+ {line}")).collect(),
        }));
    };
    is_ours(&lines, &section)?;

    let mut all: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
    let mut shown = vec![format!("  {}", lines[section.start])];
    let mut changed = false;
    let wishes = [(PROCESS, Some(wanted.process)), (REGION, wanted.region)];
    for (name, value) in wishes {
        let Some(value) = value else { continue };
        match settings(&lines, &section).find(|(key, ..)| key == name) {
            Some((_, now, _)) if now == value => {}
            Some((_, _, at)) => {
                shown.push(format!("- {}", lines[at]));
                shown.push(format!("+ {}", fresh(name, value)));
                all[at] = fresh(name, value);
                changed = true;
            }
            // Below the header; the places found above it stay right.
            None => {
                shown.push(format!("+ {}", fresh(name, value)));
                all[section.start] = format!("{}\n{}", all[section.start], fresh(name, value));
                changed = true;
            }
        }
    }
    Ok(changed.then(|| Change {
        text: joined(&all),
        shown,
    }))
}

/// The file without the profile; nothing if it has none.
pub(super) fn remove(text: &str, name: &str) -> Result<Option<Change>, Unfit> {
    let lines = lines_of(text);
    let Some(mut section) = find(&lines, name)? else {
        return Ok(None);
    };
    is_ours(&lines, &section)?;
    // Comments and empty lines at the end lead over to what follows.
    while section.len() > 1 && is_remark(lines[section.end - 1]) {
        section.end -= 1;
    }
    if section.start > 0 && lines[section.start - 1] == ABOUT {
        section.start -= 1;
        if section.start > 0 && lines[section.start - 1].trim().is_empty() {
            section.start -= 1;
        }
    }
    let shown = lines[section.clone()]
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| format!("- {line}"))
        .collect();
    let left: Vec<String> = lines[..section.start]
        .iter()
        .chain(&lines[section.end..])
        .map(|line| (*line).to_owned())
        .collect();
    Ok(Some(Change {
        text: joined(&left),
        shown,
    }))
}

/// Whether a file of credentials has keys under this name: they would be taken in the place of ours.
pub(super) fn has_keys(credentials: &str, name: &str) -> bool {
    credentials
        .lines()
        .filter_map(header)
        .any(|header| unquoted(header) == name)
}

/// The lines of a text. What stands at their ends (a carriage return) stays there.
fn lines_of(text: &str) -> Vec<&str> {
    match text {
        "" => Vec::new(),
        text => text
            .strip_suffix('\n')
            .unwrap_or(text)
            .split('\n')
            .collect(),
    }
}

/// The lines of the profile's section, its header first.
fn find(lines: &[&str], name: &str) -> Result<Option<Range<usize>>, Unfit> {
    let is_it = |line: &&str| header(line).and_then(profile).is_some_and(|n| n == name);
    let mut starts = (0..lines.len()).filter(|at| is_it(&lines[*at]));
    let Some(start) = starts.next() else {
        return Ok(None);
    };
    if starts.next().is_some() {
        return Err(Unfit::Twice);
    }
    let length = lines[start + 1..]
        .iter()
        .position(|line| header(line).is_some());
    let end = length.map_or(lines.len(), |length| start + 1 + length);
    Ok(Some(start..end))
}

/// What stands between a header's brackets.
fn header(line: &str) -> Option<&str> {
    let inner = line.strip_prefix('[')?;
    Some(inner.split_once(']')?.0.trim())
}

/// The name in a header `profile NAME`.
fn profile(header: &str) -> Option<&str> {
    let rest = header.strip_prefix("profile")?;
    rest.starts_with([' ', '\t', '"', '\''])
        .then(|| unquoted(rest.trim()))
}

fn unquoted(text: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|q| text.strip_prefix(q)?.strip_suffix(q))
        .unwrap_or(text)
}

fn is_remark(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with(['#', ';'])
}

/// The settings of a section: key in lower case, value, and the line that it stands on.
fn settings<'l>(
    lines: &'l [&str],
    section: &Range<usize>,
) -> impl Iterator<Item = (String, &'l str, usize)> {
    (section.start + 1..section.end).filter_map(|at| {
        let line = lines[at];
        // An indented line belongs to the one above.
        if is_remark(line) || line.starts_with([' ', '\t']) {
            return None;
        }
        let (key, value) = line.split_once('=')?;
        Some((key.trim().to_ascii_lowercase(), value.trim(), at))
    })
}

/// Whether the section is one of ours: its credentials come from `twotap ... credentials`, and from nowhere else.
fn is_ours(lines: &[&str], section: &Range<usize>) -> Result<(), Unfit> {
    let mut ours = false;
    for (key, value, _) in settings(lines, section) {
        if SOURCES.contains(&key.as_str()) {
            return Err(Unfit::Foreign(key));
        }
        if key == PROCESS {
            if !is_our_process(value) {
                return Err(Unfit::Foreign(key));
            }
            ours = true;
        }
    }
    match ours {
        true => Ok(()),
        false => Err(Unfit::Foreign(format!("no {PROCESS}"))),
    }
}

/// Whether this runs a program named `twotap` for its credentials.
fn is_our_process(command: &str) -> bool {
    let (program, rest) = match command.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
        None => command.split_once(' ').unwrap_or((command, "")),
    };
    program.rsplit('/').next() == Some("twotap")
        && rest.split_whitespace().any(|word| word == "credentials")
}

fn joined(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROCESS_LINE: &str = "\"/usr/bin/twotap\" --agent \"/run/a.sock\" credentials";

    fn wanted() -> Wanted<'static> {
        Wanted {
            name: "break-glass",
            process: PROCESS_LINE,
            region: Some("eu-central-1"),
        }
    }

    fn ours() -> String {
        format!(
            "{ABOUT}\n[profile break-glass]\ncredential_process = {PROCESS_LINE}\nregion = eu-central-1\n"
        )
    }

    #[test]
    fn a_profile_is_added_once_and_nothing_else_changes() {
        for before in [
            "",
            "[default]\nregion=us-east-1\n",
            "[default]\nregion=us-east-1",
            "# mine\n[profile dev]\ns3 =\n  region = x\n\n",
            "[profile break-glass-2]\nrole_arn = x\n",
            "[default]\r\nregion = x\r\n\r\n",
            "[profilebreak-glass]\nrole_arn = x\n",
        ] {
            let change = set(before, &wanted()).expect("fit").expect("a change");
            assert!(change.text.starts_with(before), "{before:?}");
            assert!(change.text.ends_with(&ours()), "{:?}", change.text);
            assert!(change.shown.iter().all(|line| line.starts_with("+ ")));
            assert_eq!(set(&change.text, &wanted()), Ok(None), "{before:?}");
            // And it can be taken away again.
            let gone = remove(&change.text, "break-glass").expect("fit");
            let gone = gone.expect("a change").text;
            assert_eq!(gone.trim_end(), before.trim_end(), "{before:?}");
            assert_eq!(remove(before, "break-glass"), Ok(None));
        }
    }

    #[test]
    fn an_older_one_of_ours_is_brought_up_to_date_and_keeps_what_was_added() {
        let before = "[profile \"break-glass\"]\ncredential_process = /opt/twotap credentials\noutput = json\n\n# next\n[profile dev]\nregion = x\n";
        let change = set(before, &wanted()).expect("fit").expect("a change");
        assert_eq!(
            change.text,
            format!(
                "[profile \"break-glass\"]\nregion = eu-central-1\ncredential_process = {PROCESS_LINE}\noutput = json\n\n# next\n[profile dev]\nregion = x\n"
            )
        );
        assert_eq!(
            change.shown,
            [
                "  [profile \"break-glass\"]".to_owned(),
                "- credential_process = /opt/twotap credentials".to_owned(),
                format!("+ credential_process = {PROCESS_LINE}"),
                "+ region = eu-central-1".to_owned(),
            ]
        );
        let gone = remove(&change.text, "break-glass").expect("fit");
        assert_eq!(
            gone.expect("a change").text,
            "\n# next\n[profile dev]\nregion = x\n"
        );
    }

    #[test]
    fn somebody_elses_is_left_alone() {
        for (body, said) in [
            ("aws_access_key_id = AKIA\n", "aws_access_key_id"),
            ("role_arn = arn\nsource_profile = default\n", "role_arn"),
            ("SSO_Start_URL = x\n", "sso_start_url"),
            ("credential_process = vault read\n", "credential_process"),
            (
                "credential_process = /bin/twotapper credentials\n",
                "credential_process",
            ),
            ("region = x\n", "no credential_process"),
            ("", "no credential_process"),
            (
                "credential_process = twotap credentials\nrole_arn = x\n",
                "role_arn",
            ),
        ] {
            for header in ["[profile break-glass]", "[profile\t'break-glass' ] # mine"] {
                let text = format!("{header}\n{body}[other]\n");
                let foreign = Unfit::Foreign(said.to_owned());
                assert_eq!(set(&text, &wanted()), Err(foreign), "{text}");
                assert!(remove(&text, "break-glass").is_err(), "{text}");
            }
        }
        let twice = format!("{0}{0}", ours());
        assert_eq!(set(&twice, &wanted()), Err(Unfit::Twice));
    }

    #[test]
    fn keys_under_the_same_name_are_seen() {
        assert!(has_keys(
            "[default]\n[ break-glass ]\naws_access_key_id=x\n",
            "break-glass"
        ));
        assert!(!has_keys("[default]\n# [break-glass]\n", "break-glass"));
    }
}
