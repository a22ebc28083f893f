//! What is dangerous about a session that is asked for, in red: last of all that is read before deciding.
//!
//! It is computed here, from the profile in the roster and by this program's own rules, whatever the roster says of the profile: a roster
//! that was signed before there were such rules still opens, and shows what it amounts to.

use std::io::IsTerminal as _;

use crate::{
    cli::ui::{columns, plain},
    trust::{
        Digest,
        power::{self, Power},
        request::Request,
        roster::Access,
    },
};

/// Bold and red (ECMA-48, SGR 1 and 31), and back to as it was.
const RED: [&str; 2] = ["\u{1b}[1;31m", "\u{1b}[0m"];

/// What whoever approves has to see in red, as rows; none where nothing is dangerous.
pub(in crate::cli) fn rows(
    request: &Request,
    access: Option<&Access>,
) -> Vec<(&'static str, String)> {
    let (true, Some(access)) = (request.purpose.is_open(), access) else {
        return Vec::new();
    };
    let mut rows = of_access(access);
    if request.subject.is_some() && !access.is_about_a_subject() {
        rows.push((
            "SUBJECT",
            "limits nothing: nothing in the policy depends on it".to_owned(),
        ));
    }
    match power::for_request(access, request) {
        Ok(policy) if Digest::of(policy.as_bytes()) == request.policy_sha256 => {}
        Ok(_) => rows.push((
            "OTHER POLICY",
            "the policy that is asked for is not what this program makes of the roster's profile; compare the versions of both programs".to_owned(),
        )),
        // No host of ours offers what it cannot render either: the digest may be of anything.
        Err(why) => rows.push((
            "OTHER POLICY",
            plain(&format!(
                "this program makes no policy of the roster's profile for this request ({why}), so what is asked for is not known"
            )),
        )),
    }
    rows
}

/// The same of a profile by itself, as it stands in a roster.
pub(in crate::cli) fn of_access(access: &Access) -> Vec<(&'static str, String)> {
    let found = match power::power_of(access) {
        Ok(found) => found,
        Err(why) => {
            return vec![(
                "NOT KNOWN",
                plain(&format!("what it allows cannot be told: {why}")),
            )];
        }
    };
    let Power { broad, lasting } = &found;
    let mut rows = Vec::new();
    let undeclared = |said: bool| match said {
        true => "",
        false => "; the roster does not say so",
    };
    if !broad.is_empty() {
        let text = format!("allows {}{}", broad.join("; "), undeclared(access.broad));
        rows.push(("BROAD", plain(&text)));
    }
    if !lasting.is_empty() {
        let text = format!(
            "can change {}: that outlives the session{}",
            lasting.join("; "),
            undeclared(access.persistence)
        );
        rows.push(("LASTING", plain(&text)));
    }
    rows
}

/// The rows as a block of their own, in red where `coloured`.
pub(in crate::cli) fn block(rows: &[(&'static str, String)], coloured: bool) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let text = columns(rows);
    if !coloured {
        return format!("\n{text}");
    }
    let [red, plain] = RED;
    let lines: String = text
        .lines()
        .map(|line| format!("{red}{line}{plain}\n"))
        .collect();
    format!("\n{lines}")
}

/// Whether what is shown with [`crate::cli::ui::Ui::screen`] may have colours: it goes to a terminal that knows them, and nobody has said
/// `NO_COLOR` (<https://no-color.org>: set to anything but nothing).
pub(in crate::cli) fn coloured(asks: bool) -> bool {
    let said = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let able = said("TERM").is_some_and(|term| term != "dumb") && said("NO_COLOR").is_none();
    able && (asks || std::io::stderr().is_terminal())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        cli::tests::sample_request,
        trust::{
            request::Purpose,
            strict::Json,
            tests::people::{self, SoftToken},
        },
    };

    fn access(action: Value, resource: &str) -> Access {
        let [alice, bob] = ["alice", "bob"].map(SoftToken::new);
        let mut access = people::verified(2, &[&alice, &bob]).access[0].clone();
        access.policy = Json(json!({ "Version": "2012-10-17",
            "Statement": [{ "Effect": "Allow", "Action": action, "Resource": resource }] }));
        access
    }

    /// A request whose policy is what its profile makes of it.
    fn fitting(access: &Access) -> Request {
        let mut request = sample_request();
        let policy = power::for_request(access, &request).expect("a policy");
        request.policy_sha256 = Digest::of(policy.as_bytes());
        request
    }

    #[test]
    fn everything_is_shown_declared_or_not_and_nothing_where_nothing_is() {
        let mut all = access(json!("*"), "*");
        let names = |rows: &[(&'static str, String)]| rows.iter().map(|r| r.0).collect::<Vec<_>>();
        let undeclared = rows(&fitting(&all), Some(&all));
        assert_eq!(names(&undeclared), ["BROAD", "LASTING"]);
        assert_eq!(
            undeclared[0].1,
            "allows every action on everything; the roster does not say so"
        );
        (all.broad, all.persistence) = (true, true);
        let declared = rows(&fitting(&all), Some(&all));
        assert_eq!(declared[0].1, "allows every action on everything");
        assert!(
            declared[1].1.ends_with("outlives the session"),
            "{declared:?}"
        );
        let little = access(json!("s3:GetObject"), "arn:aws:s3:::logs/*");
        assert_eq!(rows(&fitting(&little), Some(&little)), []);
        // Where no session is opened none of it can be done.
        let mut drill = fitting(&all);
        drill.purpose = Purpose::Drill;
        assert_eq!(rows(&drill, Some(&all)), []);
    }

    #[test]
    fn another_policy_than_the_rosters_is_shown() {
        let little = access(json!("s3:GetObject"), "arn:aws:s3:::logs/*");
        let mut request = fitting(&little);
        assert_eq!(rows(&request, Some(&little)), []);
        request.policy_sha256 = Digest::of(b"another");
        assert_eq!(rows(&request, Some(&little))[0].0, "OTHER POLICY");
        // A subject that the policy does not ask for narrows nothing, however it looks.
        let mut about = fitting(&little);
        about.subject = Some("u-42".to_owned());
        assert_eq!(rows(&about, Some(&little))[0].0, "SUBJECT");
        // What cannot be made here cannot be compared.
        let mut unmade = fitting(&little);
        unmade.incident = "INC 42".to_owned();
        assert_eq!(rows(&unmade, Some(&little))[0].0, "OTHER POLICY");
        let odd = access(json!("Get"), "*");
        assert_eq!(rows(&request, Some(&odd))[0].0, "NOT KNOWN");
    }

    #[test]
    fn red_is_put_around_lines_and_never_comes_from_a_roster() {
        let mut odd = access(json!("s3:*"), "arn:aws:s3:::*");
        odd.policy.0["Statement"][0]["Resource"] = json!("arn:aws:s3:::*\u{1b}[2J\u{202e}");
        odd.policy.0["Statement"][0]["NotResource"] = Value::Null;
        for access in [odd, access(json!("*"), "*")] {
            let rows = of_access(&access);
            let shown = block(&rows, false);
            assert_eq!(shown.chars().find(|c| c.is_control() && *c != '\n'), None);
            let red = block(&rows, true);
            for line in red.lines().skip(1) {
                assert!(
                    line.starts_with(RED[0]) && line.ends_with(RED[1]),
                    "{line:?}"
                );
            }
            assert_eq!(red.replace(RED[0], "").replace(RED[1], ""), shown);
        }
        assert_eq!(block(&[], true), "");
    }
}
