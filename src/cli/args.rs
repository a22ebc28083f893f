//! The command line: the list of verbs; each verb's own arguments stand in its file.

use std::ffi::OsString;

use clap::{Parser, Subcommand, error::ErrorKind};

use crate::protocol::{Code, Problem, socket::DEFAULT_SOCKET};

use super::{
    access, alerts, approval, approve, audit, aws, close, confirm, credentials, custodian, deny,
    doctor, drill, explain, note, recovery, relay, replay, report, request, review, roster,
    session, setup, status, ui, vault,
};

/// A break-glass vault: two custodians tap, one operator gets one time-boxed AWS session.
#[derive(Parser)]
#[command(name = "twotap", version, max_term_width = 100)]
pub(super) struct Cli {
    /// The agent: its socket, or ssh://HOST
    #[arg(long, global = true, env = "TWOTAP_AGENT", default_value = DEFAULT_SOCKET, value_name = "PLACE")]
    pub agent: String,
    /// Write one JSON object to standard output, and nothing else there
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// What can be done.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Prepare a custodian's token
    Custodian(custodian::Args),
    /// Draw up a vault, seal a credential in it, write it to a file for a safe
    Vault(vault::Args),
    /// Show who may do what; propose, sign and hand in a change
    Roster(roster::Args),
    /// Say in plain words what a session could do
    Access(access::Args),
    /// Say why AWS refused a call, and how to ask for what would allow it
    Explain(explain::Args),
    /// Ask for access
    Request(request::Args),
    /// Approve a request with your token
    Approve(approve::Args),
    /// Hand in an approval that was made elsewhere, or take yours back
    Approval(approval::Args),
    /// Say no to a request with your token
    Deny(deny::Args),
    /// As the commander who is named: confirm that a request is authorised
    Confirm(confirm::Args),
    /// Show that your share still opens, without opening the vault; or rehearse a whole ceremony
    Drill(drill::Args),
    /// Print the session for the AWS `credential_process` contract, or a link to the console
    Credentials(credentials::Args),
    /// Run a command with the session
    Exec(session::exec::Args),
    /// Work in a shell with the session: the time left in its prompt, and recorded
    Shell(session::shell::Args),
    /// Put something that you did or saw in the session on record
    Note(note::Args),
    /// Print the session as variables for a shell
    Env(session::env::Args),
    /// End the session: revoke it and see it refused
    Close(close::Args),
    /// Write the formal report of a session, or every access of a quarter; record where it was handed in
    Report(report::Args),
    /// As an officer: say what the review of a session found
    Review(review::Args),
    /// Show vaults, requests and what is degraded
    Status(status::Args),
    /// Printed shares: make them, check them, open the vault with them
    Recovery(recovery::Args),
    /// Read, export and verify the record
    Audit(audit::Args),
    /// Prove that what AWS sees on its own reaches people
    Alerts(alerts::Args),
    /// Compare what stands in the AWS account with what twotap needs
    Aws(aws::Args),
    /// Set up this account: the AWS profile of the session
    Setup(setup::Args),
    /// Check this machine: tokens, agent, clock, own state
    Doctor(doctor::Args),
    /// Play what was recorded of a session, with an officer's key
    Replay(replay::Args),
    /// Run a command on the terminal at standard input, for what is recorded
    #[command(hide = true)]
    OnTerminal(session::pty::Args),
    /// Pass calls on to the agent of this host, for --agent ssh://HOST
    #[command(hide = true)]
    Relay(relay::Args),
}

/// Why there is no verb to run.
pub(super) enum Stop {
    /// Help or the version was asked for.
    Help(String),
    /// The command line is wrong.
    Wrong(Problem),
}

impl Cli {
    /// Reads the command line.
    pub(super) fn read(args: impl Iterator<Item = OsString>) -> Result<Self, Stop> {
        Self::try_parse_from(args).map_err(|why| match why.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Help(why.to_string()),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Stop::Wrong(
                Problem::new(Code::Usage, "no verb was given").hint("see twotap --help"),
            ),
            _ => Stop::Wrong(wrong(&why.to_string())),
        })
    }
}

/// Whether `--json` stands before any `--`; asked before the line is parsed, so that even a wrong one is answered in JSON.
pub(super) fn asks_for_json(args: impl Iterator<Item = OsString>) -> bool {
    args.take_while(|arg| arg != "--")
        .any(|arg| arg == "--json")
}

/// clap's message in our form: its first paragraph on one line.
fn wrong(message: &str) -> Problem {
    let first = message.split("\n\n").next().unwrap_or(message);
    let line = first.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    Problem::new(Code::Usage, ui::plain(line)).hint("see twotap VERB --help")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn read(line: &str) -> Result<Cli, Stop> {
        Cli::read(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_lines_of_the_manual_are_read() {
        for line in [
            "twotap custodian enroll --name alice -o alice.enrollment.json",
            "twotap custodian enroll --name alice --token 5 --strict-touch --slots 84,85 -o a.json",
            "twotap vault create prod --threshold 2 --custodian a --custodian b --access x --people y --host z -o r",
            "twotap vault seal prod --from -",
            "twotap roster show prod",
            "twotap roster sign roster.json --token 5 --pin-fd 3",
            "twotap request prod --access admin --incident INC-42 --reason why --duration 4h --commander ivan",
            "twotap request --again",
            "twotap request --again r-aaaaaaaaaaaaa --reason still --duration 30m --wait",
            "twotap request prod --again",
            "twotap request",
            "twotap request prod --scenario pii-access --subject u-1 --not-for routine-change,expediency --not-for avoiding-review --no-wait",
            "twotap approve",
            "twotap approve r-aaaaaaaaaaaaa --token 5 --pin-fd 0",
            "twotap approve --in request.json --out approval.json",
            "twotap approval submit approval.json",
            "twotap deny r-aaaaaaaaaaaaa --reason no",
            "twotap confirm r-aaaaaaaaaaaaa --yes --nature outage --impact none --why down",
            "twotap drill prod",
            "twotap drill prod --in drill.json --out receipt.json --pin-fd 0",
            "twotap drill prod --submit receipt.json",
            "twotap drill prod --full --access admin --no-wait",
            "twotap drill prod --history --json",
            "twotap credentials",
            "twotap credentials --account 111122223333 --role op-admin",
            "twotap credentials --console --region eu-central-1",
            "twotap env --show",
            "twotap env r-aaaaaaaaaaaaa --role op-admin --json",
            "twotap env --unset",
            "twotap setup aws-profile --region eu-central-1 --yes",
            "twotap setup aws-profile --remove --name x --file f",
            "twotap exec -- aws s3 ls --json",
            "twotap exec r-aaaaaaaaaaaaa -- true",
            "twotap exec --record -- true",
            "twotap shell",
            "twotap note restarted-the-primary",
            "twotap replay r-aaaaaaaaaaaaa --identity sofia.key --export s.cast",
            "twotap on-terminal -- sh -i",
            "twotap close r-aaaaaaaaaaaaa --force --no-wait",
            "twotap status --watch",
            "twotap --json --agent /run/x.sock audit tail -n 5",
            "twotap audit verify --export d --against a --against b",
            "twotap audit verify --s3 s3://b/p/ --retention-days 30 --profile p --region r",
            "twotap audit export -o d",
            "twotap audit reconcile trail.json.gz AWSLogs --export d --roster r",
            "twotap alerts simulate --stack s --topic t --bucket b --queue-url https://q --within 30s --profile p --region r",
            "twotap aws check --stack twotap-prod --also eu-west-1 --profile p --region r",
            "twotap doctor --json",
            "twotap review r-aaaaaaaaaaaaa --findings findings.toml",
            "twotap review r-aaaaaaaaaaaaa --form",
            "twotap report r-aaaaaaaaaaaaa -o report.txt",
            "twotap report r-aaaaaaaaaaaaa --filed DOC-12 --report report.txt",
            "twotap report r-aaaaaaaaaaaaa --board CAB-7 --report report.txt",
            "twotap report --quarter 2026Q4 --json",
        ] {
            assert!(read(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_wrong_line_is_one_problem() {
        for line in [
            "twotap",
            "twotap nothing",
            "twotap request prod --again --close-only",
            "twotap request prod --again --access admin",
            "twotap request --again --scenario outage",
            "twotap request prod --not-for fun",
            "twotap request prod --duration soon",
            "twotap request prod --wait --no-wait",
            "twotap request prod --close-only --access admin",
            "twotap request prod --close-only --scenario outage",
            "twotap approve r-aaaaaaaaaaaaa --in x --out y",
            "twotap drill prod --in x",
            "twotap drill prod --full --token 5",
            "twotap drill prod --access admin",
            "twotap exec",
            "twotap credentials --region eu-central-1",
            "twotap env --unset r-aaaaaaaaaaaaa",
            "twotap review r-aaaaaaaaaaaaa",
            "twotap review r-aaaaaaaaaaaaa --form --findings f",
            "twotap report",
            "twotap report r-aaaaaaaaaaaaa --quarter 2026Q4",
            "twotap report r-aaaaaaaaaaaaa --filed DOC-12",
            "twotap report r-aaaaaaaaaaaaa --report r.txt",
            "twotap report r-aaaaaaaaaaaaa --filed a --board b --report r.txt",
            "twotap roster sign r --pin-fd x",
            "twotap audit verify --retention-days 30",
            "twotap audit verify --export d --profile p",
            "twotap audit verify --export d --retention-days 30",
            "twotap audit verify --region r",
        ] {
            let Err(Stop::Wrong(problem)) = read(line) else {
                panic!("{line} was read");
            };
            assert_eq!(problem.code, Code::Usage, "{line}");
            assert!(!problem.error.contains('\n'), "{}", problem.error);
            assert!(!problem.error.starts_with("error"), "{}", problem.error);
        }
    }

    /// What messages tell people to type: `(where, what)` of each `twotap VERB ...` in a text of ours.
    fn told(folder: &std::path::Path, all: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).expect("sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                told(&path, all);
                continue;
            }
            let source = path.extension().is_some_and(|end| end == "rs");
            if !source || path.ends_with("tests.rs") || path.ends_with("cli/args.rs") {
                continue;
            }
            let source = std::fs::read_to_string(&path).expect("a source");
            let code = source.split("#[cfg(test)]").next().unwrap_or_default();
            let code = code
                .lines()
                .map(str::trim)
                .filter(|line| !line.starts_with("//"));
            for line in code {
                for (at, _) in line.match_indices("twotap ") {
                    let before = line[..at].chars().next_back();
                    // After a word it is prose: "run twotap under your own account".
                    let begins = [": ", "see ", "or ", "and ", "with "]
                        .iter()
                        .any(|before| line[..at].ends_with(before));
                    if begins || before.is_some_and(|c| "(\"`".contains(c)) {
                        let place = format!("{}: {line}", path.display());
                        all.push((place, line[at..].to_owned()));
                    }
                }
            }
        }
    }

    /// Texts that begin like a command and are none: titles, and the first words of what is signed or hashed.
    fn no_command(line: &str) -> bool {
        let text = line.split('"').next().unwrap_or_default();
        let titles = ["twotap ", "twotap event", "twotap on {host}"];
        titles.contains(&text) || text.contains(" v1")
    }

    #[test]
    fn what_messages_say_to_type_can_be_typed() {
        let mut all = Vec::new();
        told(
            &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut all,
        );
        all.retain(|(_, line)| !no_command(line));
        assert!(all.len() > 80, "{}", all.len());
        let mut cli = Cli::command();
        cli.build();
        let mut wrong = Vec::new();
        for (place, line) in &all {
            let ends = |c: char| "\"`;,)\\".contains(c);
            let line = line.split(ends).next().unwrap_or_default();
            let mut command = &cli;
            let mut words = line.split_whitespace().skip(1).peekable();
            while let Some(verb) = words.peek().and_then(|word| command.find_subcommand(word)) {
                command = verb;
                words.next();
            }
            let first = words.peek().copied().unwrap_or_default();
            if command.has_subcommands() && !first.starts_with("--") {
                wrong.push(format!("no verb {first:?}: {place}"));
            }
            for word in words.take_while(|word| *word != "--") {
                let word = word.split(['=', '{', ':']).next().unwrap_or_default();
                let known = |name: &str| {
                    command
                        .get_arguments()
                        .any(|arg| arg.get_long() == Some(name))
                        || name == "version"
                };
                if let Some(option) = word.strip_prefix("--")
                    && !known(option)
                {
                    wrong.push(format!("no option {word}: {place}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// The whole command, where an alert says what comes next.
    #[test]
    fn what_alerts_say_to_type_is_read() {
        let rules = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/audit/alert");
        let mut all = Vec::new();
        told(&rules, &mut all);
        assert!(all.len() > 20, "{}", all.len());
        for (place, line) in all {
            let line = line.split(['"', ';', ')']).next().unwrap_or_default();
            let line = line
                .replace("{request}", "r-aaaaaaaaaaaaa")
                .replace("{vault}", "prod");
            assert!(read(&line).is_ok(), "{line}\n{place}");
        }
    }

    #[test]
    fn json_is_asked_for_before_the_command_to_run_only() {
        let asks = |line: &str| asks_for_json(line.split(' ').map(OsString::from));
        assert!(asks("twotap status --json"));
        assert!(!asks("twotap exec -- aws --json"));
    }
}
