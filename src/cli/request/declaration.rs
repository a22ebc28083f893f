//! The declaration in the environment: `GOVERNED_BREAK_GLASS`, `BREAK_GLASS_REASON`, `BREAK_GLASS_TIMESTAMP`.
//!
//! Where it is whole and fresh it stands for the reason, and for the confirmation that this is none of what the vault is not opened for.

use crate::{
    cli::span,
    protocol::{Code, Problem},
    trust::Timestamp,
};

/// How old a declaration may be, in seconds (design, limits).
const MAX_AGE: i64 = 15 * 60;
/// How far ahead its clock may be, in seconds.
const MAX_AHEAD: i64 = 60;

/// The reason that is declared; none where nothing is declared.
pub(super) fn read(
    variable: impl Fn(&str) -> Option<String>,
    now: Timestamp,
) -> Result<Option<String>, Problem> {
    let refused = |what: &str, hint: &str| Err(Problem::new(Code::Usage, what).hint(hint));
    match variable("GOVERNED_BREAK_GLASS").as_deref() {
        None | Some("" | "false") => return Ok(None),
        Some("true") => {}
        Some(_) => {
            return refused(
                "GOVERNED_BREAK_GLASS is neither true nor false",
                "set it to true, or say why with --reason",
            );
        }
    }
    let Some(reason) = variable("BREAK_GLASS_REASON") else {
        return refused(
            "GOVERNED_BREAK_GLASS is set, but BREAK_GLASS_REASON is not",
            "set it, or say why with --reason",
        );
    };
    let Some(at) = variable("BREAK_GLASS_TIMESTAMP") else {
        return refused(
            "GOVERNED_BREAK_GLASS is set, but BREAK_GLASS_TIMESTAMP is not",
            "set it to the time of the declaration, or say why with --reason",
        );
    };
    let Some(at) = Timestamp::parse(&at) else {
        return refused(
            "BREAK_GLASS_TIMESTAMP is not a time",
            "write it in UTC, like 2026-01-06T10:00:00Z",
        );
    };
    let age = at.until(now);
    if (-MAX_AHEAD..=MAX_AGE).contains(&age) {
        return Ok(Some(reason));
    }
    Err(Problem::new(
        Code::Refused,
        format!(
            "the declaration in BREAK_GLASS_TIMESTAMP is of {} ({})",
            span::at(at),
            span::from_now(at, now)
        ),
    )
    .hint("a declaration counts for 15 minutes: declare anew, or say why with --reason"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declare(variables: &[(&str, &str)]) -> Result<Option<String>, Problem> {
        let now = Timestamp::parse("2026-01-06T10:10:00Z").expect("a time");
        let variable = |name: &str| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, v)| (*v).to_owned())
        };
        read(variable, now)
    }

    #[test]
    fn a_fresh_declaration_stands_for_the_reason() {
        let whole = |at| {
            declare(&[
                ("GOVERNED_BREAK_GLASS", "true"),
                ("BREAK_GLASS_REASON", "database is down"),
                ("BREAK_GLASS_TIMESTAMP", at),
            ])
        };
        for fresh in [
            "2026-01-06T10:10:00Z",
            "2026-01-06T09:55:00Z",
            "2026-01-06T10:11:00Z",
        ] {
            let reason = whole(fresh).expect(fresh);
            assert_eq!(reason.as_deref(), Some("database is down"), "{fresh}");
        }
        for stale in ["2026-01-06T09:54:59Z", "2026-01-06T10:11:01Z"] {
            let problem = whole(stale).expect_err(stale);
            assert_eq!(problem.code, Code::Refused, "{stale}");
        }
        assert_eq!(whole("yesterday").expect_err("no time").code, Code::Usage);
    }

    #[test]
    fn half_a_declaration_is_refused_and_none_is_none() {
        let at = ("BREAK_GLASS_TIMESTAMP", "2026-01-06T10:10:00Z");
        let reason = ("BREAK_GLASS_REASON", "down");
        for variables in [
            vec![],
            vec![reason, at],
            vec![("GOVERNED_BREAK_GLASS", "false"), reason, at],
        ] {
            assert_eq!(declare(&variables), Ok(None), "{variables:?}");
        }
        for variables in [
            vec![("GOVERNED_BREAK_GLASS", "true"), at],
            vec![("GOVERNED_BREAK_GLASS", "true"), reason],
            vec![("GOVERNED_BREAK_GLASS", "yes"), reason, at],
        ] {
            let problem = declare(&variables).expect_err("not whole");
            assert_eq!(problem.code, Code::Usage, "{variables:?}");
            assert!(problem.hint.is_some());
        }
    }
}
