//! AWS's limits on the shape of an AssumeRole, which the emulator does not check.
//! Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.

use super::call::Call;
use super::reply::Refusal;

/// The shortest session, in seconds.
const SHORTEST: u64 = 900;
/// The longest session that any role allows, in seconds.
const LONGEST: u64 = 43_200;
/// The longest session of a role that a session assumes, in seconds.
const LONGEST_CHAINED: u64 = 3600;
/// What STS takes when the request names no duration, in seconds.
const DEFAULT: u64 = 3600;
/// Characters of a session policy.
const POLICY: usize = 2048;

/// Whether an AssumeRole has the shape that AWS demands, whatever role it names.
pub(super) fn shape(call: &Call) -> Result<(), Refusal> {
    let name = call.param("RoleSessionName").unwrap_or_default();
    check_name("roleSessionName", name, 64, "+=,.@-_")?;
    if let Some(identity) = call.param("SourceIdentity") {
        check_name("sourceIdentity", identity, 64, "+=,.@-_")?;
    }
    if let Some(id) = call.param("ExternalId") {
        check_name("externalId", id, 1224, "+=,.@-_:/")?;
    }
    let tags = call.tags();
    if tags.len() > 50 {
        return Err(failed(
            "tags",
            &tags.len().to_string(),
            "Member must have length less than or equal to 50",
        ));
    }
    for (key, value) in &tags {
        check_tag("tags.member.key", key, 1..=128)?;
        check_tag("tags.member.value", value, 0..=256)?;
    }
    for transitive in call.list("TransitiveTagKeys") {
        if !tags
            .iter()
            .any(|(key, _)| key.eq_ignore_ascii_case(transitive))
        {
            return Err(Refusal::new(
                400,
                "InvalidParameterValue",
                format!("The transitive tag key {transitive} is not among the session's tags."),
            ));
        }
    }
    if let Some(policy) = call.param("Policy") {
        let length = policy.chars().count();
        if length > POLICY {
            return Err(failed(
                "policy",
                policy,
                "Member must have length less than or equal to 2048",
            ));
        }
        if !policy
            .chars()
            .all(|c| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}'))
        {
            return Err(failed(
                "policy",
                policy,
                "Member must satisfy regular expression pattern",
            ));
        }
    }
    duration(call).map(|_| ())
}

/// Whether the duration fits a role whose MaxSessionDuration is `role_limit` seconds.
pub(super) fn duration_of_role(call: &Call, role_limit: u64) -> Result<(), Refusal> {
    let asked = duration(call)?;
    if call.session_token && asked > LONGEST_CHAINED {
        return Err(Refusal::invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        ));
    }
    if asked > role_limit {
        return Err(Refusal::invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    Ok(())
}

fn duration(call: &Call) -> Result<u64, Refusal> {
    let Some(text) = call.param("DurationSeconds") else {
        return Ok(DEFAULT);
    };
    match text.parse::<u64>() {
        Ok(seconds) if seconds < SHORTEST => Err(failed(
            "durationSeconds",
            text,
            "Member must have value greater than or equal to 900",
        )),
        Ok(seconds) if seconds > LONGEST => Err(failed(
            "durationSeconds",
            text,
            "Member must have value less than or equal to 43200",
        )),
        Ok(seconds) => Ok(seconds),
        Err(_) => Err(failed("durationSeconds", text, "Member must be an integer")),
    }
}

fn check_name(field: &str, text: &str, longest: usize, others: &str) -> Result<(), Refusal> {
    let length = text.chars().count();
    if length < 2 {
        return Err(failed(
            field,
            text,
            "Member must have length greater than or equal to 2",
        ));
    }
    if length > longest {
        return Err(failed(
            field,
            text,
            &format!("Member must have length less than or equal to {longest}"),
        ));
    }
    if !text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    {
        return Err(failed(
            field,
            text,
            "Member must satisfy regular expression pattern",
        ));
    }
    Ok(())
}

fn check_tag(
    field: &str,
    text: &str,
    lengths: std::ops::RangeInclusive<usize>,
) -> Result<(), Refusal> {
    if !lengths.contains(&text.chars().count()) {
        return Err(failed(
            field,
            text,
            "Member must have a length within its limits",
        ));
    }
    // AWS takes letters and digits of any script; twotap promises to stay within ASCII, so the rig holds it to that.
    if !text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c))
    {
        return Err(failed(
            field,
            text,
            "Member must satisfy regular expression pattern",
        ));
    }
    Ok(())
}

fn failed(field: &str, value: &str, constraint: &str) -> Refusal {
    Refusal::invalid(format!(
        "1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: {constraint}"
    ))
}
