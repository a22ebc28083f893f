//! `--mint`: a session instead of the key. The worker asks STS; here stands what is asked for.

use serde::Serialize;

use super::{
    super::{
        super::{export::Papers, span, ui::plain},
        worker::Worker,
    },
    answer, out_of_turn,
};
use crate::{
    protocol::{
        Code, Problem,
        opening::{Answer, Ask, Wish},
    },
    trust::{
        Bytes, Timestamp,
        recovery::{How, Took},
        request::request_id,
    },
};

/// STS's own least and most for a role's session (STS API reference, 'AssumeRole'), in seconds.
const SECONDS: std::ops::RangeInclusive<u32> = 900..=43_200;

/// The session that is wanted.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Do not hand out the key, but one session minted with it; needs a network
    #[arg(long, requires = "role")]
    mint: bool,
    /// ARN of the role to take
    #[arg(long, value_name = "ARN", requires = "mint")]
    role: Option<String>,
    /// How long the session lasts, 15m to 12h
    #[arg(long, value_name = "TIME", default_value = "1h")]
    duration: String,
    /// Region whose STS is asked; without it, those that the roster names for this role. May be given several times
    #[arg(long, value_name = "REGION", requires = "mint")]
    region: Vec<String>,
    /// Who is going to use it: stands in CloudTrail
    #[arg(long, value_name = "NAME", requires = "mint")]
    operator: Option<String>,
    /// Another URL for STS, e.g. of a VPC endpoint
    #[arg(long, value_name = "URL", requires = "mint")]
    endpoint_url: Option<String>,
}

/// A session that can be asked for.
pub(super) struct Wanted<'a> {
    args: &'a Args,
    role: &'a str,
    seconds: u32,
}

impl Args {
    /// What is wanted, if anything is, as far as it can be judged here.
    pub(super) fn checked(&self) -> Result<Option<Wanted<'_>>, Problem> {
        let (true, Some(role)) = (self.mint, self.role.as_deref()) else {
            return Ok(None);
        };
        let seconds = span::parse(&self.duration)?;
        if !SECONDS.contains(&seconds) {
            return Err(Problem::new(
                Code::Usage,
                "sts gives sessions of 15 minutes to 12 hours",
            ));
        }
        if role.split(':').count() < 6 || !role.contains(":role/") {
            return Err(Problem::new(
                Code::Usage,
                format!("'{}' is not the arn of a role", plain(role)),
            )
            .hint("it looks like arn:aws:iam::111122223333:role/twotap/op-admin"));
        }
        Ok(Some(Wanted {
            args: self,
            role,
            seconds,
        }))
    }
}

impl Wanted<'_> {
    /// The Regions whose STS is asked, in order.
    pub(super) fn regions(&self, papers: &Papers) -> Result<Vec<String>, Problem> {
        if !self.args.region.is_empty() {
            return Ok(self.args.region.clone());
        }
        let opens = |a: &&crate::trust::roster::Access| {
            a.role_arn == self.role || a.also.iter().any(|t| t.role_arn == self.role)
        };
        match papers.sealed_under().access.iter().find(opens) {
            Some(access) => Ok(access.regions.clone()),
            None => Err(
                Problem::new(Code::Usage, "the roster names no region for this role")
                    .hint("name one: --region eu-central-1"),
            ),
        }
    }

    /// What the record says of it.
    pub(super) fn took(&self, now: Timestamp) -> Took {
        Took::Session {
            role: self.role.to_owned(),
            not_after: now.plus(i64::from(self.seconds)),
        }
    }

    /// What the worker is asked.
    pub(super) fn ask(&self, papers: &Papers, how: &How, took: &Took, nonce: &Bytes) -> Ask {
        let not_after = match took {
            Took::Session { not_after, .. } => *not_after,
            Took::Credential => Timestamp::now(),
        };
        Ask::Mint(Wish {
            role: self.role.to_owned(),
            operator: self.operator(how),
            external_id: papers.sealed_under().aws.external_id.clone(),
            tag: tag(nonce),
            not_after,
        })
    }

    /// A session's name has at most 64 characters.
    fn operator(&self, how: &How) -> String {
        let name = match (&self.args.operator, how) {
            (Some(name), _) => name.clone(),
            (None, How::Tokens { by }) => by.join("+"),
            (None, How::Paper) => "recovery".to_owned(),
        };
        name.chars().take(64).collect()
    }
}

/// Of the same form as a request's id, so that the same policies revoke it; from the record's nonce, so that the record leads to it.
fn tag(nonce: &Bytes) -> String {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(&nonce.0) {
        *to = *from;
    }
    request_id(u128::from_be_bytes(bytes))
}

/// The worker's arguments: with a Region it keeps the network.
pub(super) fn worker_args(wanted: Option<&Wanted<'_>>, regions: Option<&[String]>) -> Vec<String> {
    let mut args = vec!["opening".to_owned()];
    let Some(wanted) = wanted else { return args };
    for region in regions.unwrap_or_default() {
        args.push(format!("--region={region}"));
    }
    let partition = wanted.role.split(':').nth(1).unwrap_or_default();
    args.push(format!("--partition={partition}"));
    if let Some(url) = &wanted.args.endpoint_url {
        args.push(format!("--endpoint-url={url}"));
    }
    args
}

/// AWS's clock, asked before anybody gives a share.
pub(super) fn now(worker: &mut Worker) -> Result<Timestamp, Problem> {
    match answer(worker, &Ask::Now)? {
        Answer::Now { at } => Ok(at),
        _ => Err(out_of_turn()),
    }
}

/// The session that came of it, without its secrets.
#[derive(Serialize)]
pub(super) struct Got {
    assumed_role: String,
    access_key_id: String,
    expires_at: Timestamp,
    tag: String,
}

impl Got {
    pub(super) fn of(answer: Answer, nonce: &Bytes) -> Result<Self, Problem> {
        match answer {
            Answer::Minted {
                assumed_role,
                access_key_id,
                expires_at,
            } => Ok(Self {
                assumed_role,
                access_key_id,
                expires_at,
                tag: tag(nonce),
            }),
            _ => Err(out_of_turn()),
        }
    }

    pub(super) fn in_words(&self) -> String {
        format!(
            "opened: a session {} until {}, tagged twotap={},",
            plain(&self.assumed_role),
            span::at(self.expires_at),
            self.tag
        )
    }
}
