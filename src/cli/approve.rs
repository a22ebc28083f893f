//! `twotap approve`: a custodian's yes. The flow is [`run`], from top to bottom.
//!
//! Nothing is shown before it was checked, nothing is asked before it was shown, and the PIN is asked last. The share is in this process
//! from the token's answer until it is sealed to the worker, and nowhere else.

use std::{path::PathBuf, process::ExitCode};

use crate::{
    ceremony::duties::Duties,
    protocol::{
        Code, Problem, job,
        socket::{ApprovalBundle, RequestView},
    },
    token::{Pin, Token},
    trust::{
        Timestamp,
        request::{Approval, Offer, ShareBinding, verify_approval},
        roster, stack,
    },
    vault::seal_share,
};

use super::{
    Door, Ended,
    checked::{self, Checked, Papers, vault_problem},
    client::{Agent, Patience, request_path},
    files,
    habits::Habits,
    own_share::OwnShare,
    pin,
    screen::{self, danger},
    span, standing, status,
    token::{self, TokenArgs},
    ui::plain,
    waiting,
};

/// Arguments of `approve`.
#[derive(clap::Args)]
#[command(
    after_help = "By files, where the token is on a machine that cannot reach the agent:\n  \
on the agent's host      twotap approve REQUEST --export request.json\n  \
where the token is       twotap approve --in request.json --out approval.json\n  \
on the agent's host      twotap approval submit approval.json"
)]
pub(super) struct Args {
    /// Id of the request; without it, the one that waits for you, or a list of those to choose from
    request: Option<String>,
    #[command(flatten)]
    token: TokenArgs,
    /// For scripts: the six words that the operator read out; they are compared here instead of by you
    #[arg(long, value_name = "WORDS")]
    confirm: Option<String>,
    /// Show the request, its exact bytes and digest, and its policy, and stop: nothing is signed
    #[arg(long)]
    review: bool,
    /// Write the request with your sealed share to a file, and stop
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input", "out", "review", "confirm"])]
    export: Option<PathBuf>,
    /// Read the request from a file instead of the agent
    #[arg(long = "in", value_name = "FILE", conflicts_with = "request")]
    input: Option<PathBuf>,
    /// Write the approval to a file instead of handing it in
    #[arg(long, value_name = "FILE", requires = "input")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let desk = Desk::choose(&args, door)?;
    let bundle = desk.bundle()?;
    if let Some(out) = &args.export {
        return export(&bundle, out, door);
    }

    let mut token = token::open(&args.token)?;
    let case = Case::check(&bundle, &mut token, door)?;
    let words = screen::words(&case.checked.offer.digest())?;

    let mut habits = Habits::open()?;
    let unusual = case.unusual(&habits, &bundle.agent_says);
    let asks = args.confirm.is_none() && !args.review;
    let screen = case.screen(&words, &unusual, args.review, danger::coloured(asks));
    door.ui.screen(&screen, asks)?;
    if args.review {
        return case.reviewed(&words, &unusual, door);
    }
    in_time(&case, Timestamp::now())?;
    let operator = &case.checked.request().operator;
    let question = format!("do {operator} and you read the same six words?");
    screen::compare(&door.ui, &words, args.confirm.as_deref(), &question)?;

    // The answer may take its time: by then nothing of PIN and share is left here.
    let approval = stack::wiped(|| {
        let pin = pin::ask(&door.ui, &mut token, &args.token)?;
        case.sign_and_reseal(&mut token, &pin, door)
    })?;
    let view = desk.hand_in(&case.checked.request().id, &approval)?;
    habits.approved(case.checked.request(), &case.checked.roster);
    case.approved(view.as_ref(), door)
}

/// A share that is released too late serves nobody, so the PIN is not asked for. The worker decides by its own clock in any case.
fn in_time(case: &Case, now: Timestamp) -> Result<(), Problem> {
    let until = case.checked.request().approve_before;
    if now < until {
        return Ok(());
    }
    Err(Problem::new(
        Code::Approvals,
        format!(
            "this request took approvals until {}",
            span::when(until, now)
        ),
    )
    .hint("ask for a new request; if the clock of this machine is wrong, set it"))
}

/// Where the request comes from and where the approval goes.
enum Desk {
    Online {
        agent: Agent,
        request: String,
    },
    Files {
        input: PathBuf,
        out: Option<PathBuf>,
    },
}

impl Desk {
    fn choose(args: &Args, door: &Door) -> Result<Self, Problem> {
        if let Some(input) = args.input.clone() {
            let out = args.out.clone();
            match &out {
                Some(out) => files::must_be_new(out)?,
                None if args.review => {}
                None => {
                    return Err(
                        Problem::new(Code::Usage, "nowhere to write the approval to")
                            .hint("name a file with --out, or only look with --review"),
                    );
                }
            }
            return Ok(Self::Files { input, out });
        }
        if let Some(out) = &args.export {
            files::must_be_new(out)?;
        }
        let agent = door.agent()?;
        let request = match &args.request {
            Some(request) => request.clone(),
            None => waiting::choose(&agent, door)?,
        };
        Ok(Self::Online { agent, request })
    }

    fn bundle(&self) -> Result<ApprovalBundle, Problem> {
        match self {
            Self::Online { agent, request } => {
                let bundle: ApprovalBundle = agent.ask(&request_path(request, "/bundle")?)?;
                checked::must_be(&bundle.offer, request)?;
                Ok(bundle)
            }
            Self::Files { input, .. } => files::read_json(input, "a request for approval"),
        }
    }

    /// Answers where the request stands, if the agent was there to say so.
    fn hand_in(
        &self,
        request: &str,
        approval: &job::Approval,
    ) -> Result<Option<RequestView>, Problem> {
        match self {
            Self::Online { agent, .. } => {
                let path = request_path(request, "/approvals")?;
                agent.hand_in(&path, approval, Patience::Worker).map(Some)
            }
            Self::Files { out, .. } => {
                let out = out.as_deref().unwrap_or(std::path::Path::new(""));
                files::write_public_new(out, approval).map(|()| None)
            }
        }
    }
}

/// A checked request with what this custodian's token can do about it.
struct Case {
    checked: Checked,
    own: OwnShare,
}

impl Case {
    /// Checks everything that can be checked before the person is asked for anything.
    fn check(bundle: &ApprovalBundle, token: &mut Token, door: &Door) -> Result<Self, Problem> {
        let papers = Papers {
            offer: &bundle.offer,
            manifest: &bundle.manifest,
            roster_chain: &bundle.roster_chain,
            next_roster: bundle.next_roster.as_ref(),
            epochs: &bundle.epochs,
        };
        let checked = check_as_custodian(&papers, token, door)?;
        not_the_own(&checked, token::listed(token, &checked.roster)?)?;
        let own = OwnShare::find(&bundle.share.0, &checked.manifest, &checked.roster, token)?;
        Ok(Self { checked, own })
    }

    /// What is unusual about it: by what this person has approved before, then by the agent's word.
    fn unusual(&self, habits: &Habits, agent_says: &[String]) -> Vec<String> {
        let own = habits.unusual(self.checked.request(), &self.checked.roster);
        let said = agent_says
            .iter()
            .map(|line| format!("the agent says: {}", plain(line)));
        own.into_iter().chain(said).collect()
    }

    /// What is dangerous about it, by this program's own rules.
    fn danger(&self) -> Vec<(&'static str, String)> {
        let request = self.checked.request();
        danger::rows(request, self.checked.roster.access(&request.access))
    }

    fn screen(
        &self,
        words: &[&str; 6],
        unusual: &[String],
        review: bool,
        coloured: bool,
    ) -> String {
        let request = self.checked.request();
        let mut text = String::new();
        let access = self.checked.roster.access(&request.access);
        if let (true, Some(access)) = (review && request.purpose.is_open(), access) {
            text.push_str(&screen::policy(access));
        }
        if review {
            text.push_str(&screen::bytes(self.checked.offer.envelope()));
        }
        text.push_str(&screen::in_full(&self.checked, Timestamp::now()));
        text.push_str(&danger::block(&self.danger(), coloured));
        let own_token = standing::unusual(&self.own.listed, &self.checked.roster);
        text.push_str(&super::ui::columns(&own_token));
        text.push_str(&screen::unusual(unusual));
        text.push_str(&screen::words_line(words));
        text
    }

    /// Signs and opens the own share, and seals it to the worker.
    fn sign_and_reseal(
        &self,
        token: &mut Token,
        pin: &Pin,
        door: &Door,
    ) -> Result<job::Approval, Problem> {
        let offer = &self.checked.offer;
        let mut approval = offer.envelope().repurposed::<Approval>();
        let digest = approval.signing_digest();
        let listed = &self.own.listed;
        let opened = self.own.sign_and_open(
            (token, pin, &door.ui),
            &self.checked.manifest,
            &digest,
            |signature| {
                approval.add(&listed.approve.key, signature);
                verify_approval(&approval, offer, &self.checked.roster).is_ok()
            },
        )?;
        let binding = ShareBinding {
            request_sha256: offer.digest(),
            manifest_sha256: self.checked.manifest.digest(),
        };
        let sealed = seal_share(&self.checked.request().worker_key, &binding, &opened)
            .map_err(vault_problem)?;
        Ok(job::Approval {
            approval,
            sealed_share: crate::trust::Bytes(sealed),
        })
    }

    fn reviewed(&self, words: &[&str; 6], unusual: &[String], door: &Door) -> Ended {
        let envelope = self.checked.offer.envelope();
        let object = serde_json::json!({
            "request": self.checked.request(),
            "bytes": crate::trust::Bytes(envelope.payload.clone()),
            "sha256": envelope.digest(),
            "unusual": unusual,
            "danger": self.danger().into_iter().map(|(_, text)| text).collect::<Vec<_>>(),
            "words": words,
            "approved": false,
        });
        door.ui.result(&object, "only shown: nothing was signed")?;
        Ok(ExitCode::SUCCESS)
    }

    fn approved(&self, view: Option<&RequestView>, door: &Door) -> Ended {
        let request = &self.checked.request().id;
        let object = serde_json::json!({
            "request": request,
            "approved": true,
            "person": self.own.listed.person,
            "token": self.own.listed.serial,
            "stage": view.map(|v| v.stage),
            "approved_by": view.map(|v| &v.approved_by),
            "threshold": view.map(|v| v.threshold),
            "lacking": view.map(RequestView::lacking),
        });
        let text = match view {
            Some(view) => format!(
                "approved as {}: {}; the request is {}",
                self.own.listed.person,
                view.tally(),
                status::stage(view.stage)
            ),
            None => format!(
                "approved as {}; hand it in: twotap approval submit FILE",
                self.own.listed.person
            ),
        };
        door.ui.result(&object, &text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Checks a request for the person with this token.
pub(super) fn check_as_custodian(
    papers: &Papers<'_>,
    token: &mut Token,
    door: &Door,
) -> Result<Checked, Problem> {
    let vault = papers.offer.unverified::<Offer>()?.0.vault;
    checked::as_custodian(&vault, papers.roster_chain, token, door, |memory, first| {
        checked::check(papers, memory, first, &door.ui)
    })
}

/// Nobody approves the own request, or one that the same person commands, whoever is logged in: the person on the key counts.
fn not_the_own(checked: &Checked, listed: &roster::Token) -> Result<(), Problem> {
    if checked.request().operator == listed.person {
        return Err(Problem::new(
            Code::Refused,
            "this is your own request, and nobody approves the own one",
        )
        .hint("ask two other custodians"));
    }
    Duties::of(checked.request(), &checked.roster)
        .may(&listed.person, roster::Role::Custodian)
        .map_err(|clash| {
            Problem::new(Code::Refused, clash).hint("another custodian has to approve")
        })
}

fn export(bundle: &ApprovalBundle, out: &std::path::Path, door: &Door) -> Ended {
    let Offer(request) = bundle.offer.unverified::<Offer>()?;
    files::write_public_new(out, bundle)?;
    let object = serde_json::json!({ "request": request.id, "file": out });
    let text = format!(
        "wrote {}\nnext, where your token is: twotap approve --in {} --out approval.json",
        files::shown(out),
        files::shown(out)
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}
