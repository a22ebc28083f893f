//! `twotap credentials --console`: signing in to the AWS console with the session.
//!
//! AWS's sign-in service exchanges a role's session, made with an IAM user's own key, for a token that is good for 15 minutes; the link with that
//! token signs in. <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_enable-console-custom-url.html>.
//!
//! The link is as good as the session: it is printed once, to standard output, and goes into no log, no record, no argument and no file of ours.
//! What the console may do ends with the box whatever the console says, because the session's policy refuses everything after it.

use std::process::ExitCode;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    protocol::{Code, Problem, socket::Credentials},
    trust::Timestamp,
};

use super::{
    super::{
        Door, Ended,
        credentials::{Form, Which, taken_apart},
        span,
        ui::plain,
    },
    Opened,
    signin::Service,
};

/// What `credentials` knows of the console.
#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Print a link that signs in to the AWS console instead; whoever has the link has the session
    #[arg(long)]
    console: bool,
    /// Open the console in this Region; without it, the session's first
    #[arg(long, value_name = "REGION", requires = "console", value_parser = region)]
    region: Option<String>,
}

impl Args {
    /// Whether it was asked for.
    pub(in crate::cli) fn wanted(&self) -> bool {
        self.console
    }
}

/// Names a stand-in for AWS's sign-in service on this machine; for tests.
const STAND_IN: &str = "TWOTAP_SIGNIN";
/// The shortest and longest sign-in that AWS makes, in seconds.
const SHORTEST: i64 = 900;
const LONGEST: i64 = 43_200;

/// A Region's name becomes part of a host name, so nothing else may hide in it.
pub(in crate::cli) fn region(text: &str) -> Result<String, String> {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    match text.len() <= 32 && text.contains('-') && text.split('-').all(part) {
        true => Ok(text.to_owned()),
        false => Err("that is not a Region's name".to_owned()),
    }
}

pub(in crate::cli) fn run(named: Option<String>, which: &Which, args: &Args, door: &Door) -> Ended {
    let session = Opened::find(door, named)?;
    let region = match &args.region {
        Some(region) => region.clone(),
        None => region(session.region())
            .map_err(|why| Problem::new(Code::Agent, format!("the session's Region: {why}")))?,
    };
    let partition = session.request.role.split(':').nth(1).unwrap_or("aws");
    let (service, home) = places(partition, &region)?;
    // Known before the session is asked for: a name that is refused leaves nothing in the record.
    let service = match std::env::var(STAND_IN) {
        Ok(url) => Service::loopback(&url)?,
        Err(_) => service,
    };
    let credentials = taken_apart(&door.agent()?, &session.id, which, Form::Console)?;
    let now = Timestamp::now();
    let seconds = now.until(credentials.expiration).clamp(SHORTEST, LONGEST);
    let answer = service.post("/federation", form(&credentials, seconds)?)?;
    let token = token(&answer)?;
    let link = link(&service, &home, &token);

    door.ui.warn(format!(
        "whoever opens this link within 15 minutes is signed in as {}; give it to nobody",
        plain(&session.request.operator)
    ));
    let until = credentials.expiration;
    let ends = format!("access ends at {}", span::when(until, now));
    door.ui.note(match now.until(until) < SHORTEST {
        true => format!("{ends}; the console will not say so, and refuses what is done after that"),
        false => ends,
    });
    let object = serde_json::json!({
        "request": session.id, "url": link.as_str(), "expires": until, "seconds": seconds,
    });
    door.ui.result(&object, &link)?;
    Ok(ExitCode::SUCCESS)
}

/// Where sign-in is asked for this partition, and the console's first page.
/// <https://docs.aws.amazon.com/general/latest/gr/signin-service.html>.
fn places(partition: &str, region: &str) -> Result<(Service, String), Problem> {
    let (host, console) = match partition {
        "aws" => (
            format!("{region}.signin.aws.amazon.com"),
            format!("{region}.console.aws.amazon.com"),
        ),
        "aws-us-gov" => (
            "signin.amazonaws-us-gov.com".to_owned(),
            "console.amazonaws-us-gov.com".to_owned(),
        ),
        "aws-cn" => (
            "signin.amazonaws.cn".to_owned(),
            "console.amazonaws.cn".to_owned(),
        ),
        other => {
            return Err(Problem::new(
                Code::Usage,
                format!(
                    "there is no known sign-in for the partition {}",
                    plain(other)
                ),
            )
            .hint("commands need none: twotap exec"));
        }
    };
    let home = format!("https://{console}/console/home?region={region}");
    Ok((Service::Aws(host), home))
}

/// The question, as a form.
fn form(credentials: &Credentials, seconds: i64) -> Result<Zeroizing<String>, Problem> {
    let session = serde_json::to_string(&serde_json::json!({
        "sessionId": credentials.access_key_id,
        "sessionKey": credentials.secret_access_key.as_str(),
        "sessionToken": credentials.session_token.as_str(),
    }))
    .map(Zeroizing::new)
    .map_err(|why| Problem::new(Code::Internal, format!("cannot write json: {why}")))?;
    Ok(Zeroizing::new(format!(
        "Action=getSigninToken&SessionDuration={seconds}&Session={}",
        encoded(&session).as_str()
    )))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    signin_token: Zeroizing<String>,
}

fn token(body: &[u8]) -> Result<Zeroizing<String>, Problem> {
    // What it said instead is not repeated: it may quote what it was given.
    serde_json::from_slice::<Answer>(body)
        .ok()
        .map(|answer| answer.signin_token)
        .filter(|token| !token.is_empty())
        .ok_or_else(|| {
            Problem::new(
                Code::AwsUnreachable,
                "AWS's sign-in service answered without a token",
            )
            .hint("try again; commands need no sign-in: twotap exec")
        })
}

fn link(service: &Service, home: &str, token: &str) -> Zeroizing<String> {
    Zeroizing::new(format!(
        "{}/federation?Action=login&Issuer=twotap&Destination={}&SigninToken={}",
        service.base(),
        encoded(home).as_str(),
        encoded(token).as_str()
    ))
}

/// Percent-encoded, all but RFC 3986's unreserved characters.
fn encoded(text: &str) -> Zeroizing<String> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    // Sized once: what it outgrew would be left behind.
    let mut out = Zeroizing::new(String::with_capacity(text.len() * 3));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_own_sign_in() {
        let (service, home) = places("aws", "eu-central-1").expect("known");
        assert_eq!(service.base(), "https://eu-central-1.signin.aws.amazon.com");
        assert_eq!(
            home,
            "https://eu-central-1.console.aws.amazon.com/console/home?region=eu-central-1"
        );
        let (service, _) = places("aws-us-gov", "us-gov-west-1").expect("known");
        assert_eq!(service.base(), "https://signin.amazonaws-us-gov.com");
        let (service, _) = places("aws-cn", "cn-north-1").expect("known");
        assert_eq!(service.base(), "https://signin.amazonaws.cn");
        assert!(places("aws-moon", "x-1").is_err());
    }

    #[test]
    fn a_region_cannot_lead_elsewhere() {
        for bad in [
            "",
            "eu",
            "evil.example/",
            "eu-central-1.evil",
            "eu--1",
            "a-b@c",
            "EU-1",
        ] {
            assert!(region(bad).is_err(), "{bad}");
        }
        assert!(region("us-gov-west-1").is_ok());
    }

    #[test]
    fn what_is_encoded_cannot_end_its_field() {
        assert_eq!(encoded("a b&c=d+é%").as_str(), "a%20b%26c%3Dd%2B%C3%A9%25");
    }
}
