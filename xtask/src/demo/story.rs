//! The story: one vault, two ceremonies, and what must be refused in between.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use twotap_rig::site::{Options, PIN, Requested, Site, VAULT, words_of};
use twotap_rig::{Credentials, RigError, world};

use super::Manner;
use super::findings::Findings;
use super::liar;
use super::secrets::Secrets;
use super::teller::Teller;

/// How long a person may take to press Enter.
const PATIENCE: Duration = Duration::from_secs(600);

/// Tells it all, and says what was seen.
pub(crate) fn tell(manner: Manner, teller: &Teller) -> Result<Findings, RigError> {
    let mut seen = Findings::default();
    teller.part("The stage");
    teller.say("an AWS emulator that checks signatures, key status and policies; a pcscd and a virtual YubiKey for alice and for bob;");
    teller.say("everybody under an own account: twotapd, its workers, dana, alice, bob, sofia");
    teller.say("two secrets that closing rotates: one by a rotation function, one a role's password in a real PostgreSQL");
    let secrets = Secrets::new()?;
    let mut site = Site::new(Options {
        secrets: secrets.named(),
        // A person at the keyboard needs longer than a script.
        touch_timeout_ms: if manner.manual { 60_000 } else { 15_000 },
        ..Options::default()
    })?;

    set_up(&mut site, teller)?;
    let sealed = seal(&site, teller)?;
    first_ceremony(&site, manner, teller, &sealed, &secrets, &mut seen)?;
    second_ceremony(&site, teller, &mut seen)?;
    audit(&site, teller, &mut seen)?;
    Ok(seen)
}

/// Enrolment, roster, installation.
fn set_up(site: &mut Site, teller: &Teller) -> Result<(), RigError> {
    teller.part("1  Custodians enrol their tokens, sign the roster; the host is pinned to it");
    for name in ["alice", "bob"] {
        let enrolled = site.enroll(name)?;
        teller.say(&format!(
            "{name} has enrolled token {}: new PIN, two keys made on the token; words {}",
            enrolled["serial"],
            words_of(&enrolled)?
        ));
    }
    let roster = site.create_vault()?;
    teller.say(&format!(
        "sofia has drawn up the roster: threshold 2; words {}",
        words_of(&roster)?
    ));
    for name in ["alice", "bob"] {
        site.sign_roster(name)?;
        teller.say(&format!("{name} has signed it with a tap"));
    }
    site.install_roster()?;
    site.start_agent()?;
    teller.say("root has pinned the worker to it, and twotapd runs");
    Ok(())
}

/// The break-glass key goes in, and is replaced at once. Returns the key that is sealed then.
fn seal(site: &Site, teller: &Teller) -> Result<Credentials, RigError> {
    teller.part("2  Sofia seals the break-glass user's key; twotap replaces it at once");
    let before = site.world().first_key().clone();
    let sealed = site.seal()?;
    let id = text(&sealed, "access_key_id")?;
    teller.say(&format!(
        "given {}, sealed {id} as generation {}",
        before.access_key_id, sealed["generation"]
    ));
    if site.world().key_works(&before)? {
        return Err(RigError::new("the key that sofia saw still works"));
    }
    teller.say("the key that sofia saw is refused by AWS");
    key_made(site, &id)
}

/// One whole ceremony, with what must be refused on the way.
fn first_ceremony(
    site: &Site,
    manner: Manner,
    teller: &Teller,
    sealed: &Credentials,
    secrets: &Secrets,
    seen: &mut Findings,
) -> Result<(), RigError> {
    teller.part("3  Production burns: dana asks");
    let request = ask(
        site,
        teller,
        "INC-42",
        "database is down, sign-in is down with it",
    )?;

    teller.part("4  Alice approves, by file, with one tap");
    site.world().proxy().clear_calls();
    let taps = site.taps()?;
    let approval = approve_by_file(site, manner, teller, &request)?;
    seen.below_threshold_refused = nothing_opens(site, teller, &request)?;
    let alice = site.taps()? - taps;

    teller.part("5  A liar in between: another request under alice's approval");
    seen.swapped_request_refused = liar::swapped(site, teller, &request, &approval)?;

    teller.part("6  Bob approves with one tap; the session opens");
    let taps = site.taps()?;
    let (credentials, seconds) = last_tap(site, manner, teller, &request)?;
    seen.taps = alice + (site.taps()? - taps);
    seen.seconds_from_last_tap_to_credentials = seconds;
    let view = site.view(&request)?;
    seen.approvals = view["approved_by"].as_array().map_or(0, Vec::len) as u64;
    teller.say(&format!("{seconds:.3} s from the last tap to credentials"));

    teller.part("7  Dana works");
    seen.session_worked = session_works(site, teller, &request, &credentials)?;

    teller.part("8  Meanwhile the key that opened the session is replaced");
    site.wait_for_step(&request, "rotated")?;
    show_progress(site, teller, &request)?;
    seen.old_key_refused = !site.world().key_works(sealed)?;
    seen.new_key_sealed = one_new_key(site, sealed)?;
    teller.say(&format!(
        "the old key {} is refused: {}",
        sealed.access_key_id, seen.old_key_refused
    ));

    teller.part("9  Dana closes; AWS is asked until it has refused the session ten times in a row over 30 s");
    let before = secrets.current(site)?;
    seen.session_revoked = close(site, teller, &request, &credentials)?;
    seen.named_secret_rotated = secrets.rotated(site, teller, &before)?;
    Ok(())
}

/// The new generation opens with the same two tokens.
fn second_ceremony(site: &Site, teller: &Teller, seen: &mut Findings) -> Result<(), RigError> {
    teller.part("10  A second ceremony opens the new generation");
    let request = site.request("INC-43", "follow-up of INC-42: verify the restored replica")?;
    for name in ["alice", "bob"] {
        site.approve(name, &request)?;
        teller.say(&format!("{name} has approved {}", request.id));
    }
    let credentials = site.wait_for_credentials(&request)?;
    seen.second_ceremony_worked = site.world().session_probe(&credentials)?.is_ok();
    teller.say(&format!(
        "its session works: {}",
        seen.second_ceremony_worked
    ));
    site.wait_for_step(&request, "rotated")
}

/// The record verifies, and a changed byte is found.
fn audit(site: &Site, teller: &Teller, seen: &mut Findings) -> Result<(), RigError> {
    teller.part("11  The record, checked with files and public keys alone");
    let folder = site.stage().home("sofia").join("record");
    let shown = folder.display().to_string();
    teller.run_ok(site.twotap(
        "sofia",
        &["audit", "export", "--with-envelopes", "-o", &shown],
    )?)?;
    let verified = teller.run(site.twotap("sofia", &["audit", "verify", "--export", &shown])?)?;
    seen.audit_verified = verified.status == Some(0);

    teller.say("now somebody changes one character of the record");
    liar::change_one_byte(&folder)?;
    let tampered = teller.run(site.twotap("sofia", &["audit", "verify", "--export", &shown])?)?;
    seen.tamper_found = tampered.refused_with(11);
    Ok(())
}

pub(super) fn ask(
    site: &Site,
    teller: &Teller,
    incident: &str,
    reason: &str,
) -> Result<Requested, RigError> {
    let asked = site.twotap(
        "dana",
        &[
            "--json",
            "request",
            VAULT,
            "--access",
            "admin",
            "--incident",
            incident,
            "--reason",
            reason,
        ],
    )?;
    let typed = asked.shown().replace(" --json", "");
    let done = asked.ok()?;
    let printed: Value = serde_json::from_str(&done.stdout)
        .map_err(|why| RigError::new(format!("twotap request printed no JSON: {why}")))?;
    let request = Requested::of(&printed)?;
    teller.say(&typed);
    teller.say(&format!(
        "request {}; dana reads six words out on the call: {}",
        request.id, request.words
    ));
    Ok(request)
}

/// Alice's token is on a machine that cannot reach the agent: the request comes as a file, and so does the answer.
fn approve_by_file(
    site: &Site,
    manner: Manner,
    teller: &Teller,
    request: &Requested,
) -> Result<String, RigError> {
    let home = site.stage().home("alice");
    let file = |name: &str| home.join(name).display().to_string();
    let (asked, answered) = (file("request.json"), file("approval.json"));
    site.twotap("alice", &["approve", &request.id, "--export", &asked])?
        .ok()?;
    tap_one(
        site,
        manner,
        teller,
        "alice",
        &["approve", "--in", &asked, "--out", &answered],
        request,
    )?;
    teller.run_ok(site.twotap("alice", &["approval", "submit", &answered])?)?;
    read(&home.join("approval.json"))
}

/// Runs an approving verb with one tap: a script's finger, or a person's Enter.
fn tap_one(
    site: &Site,
    manner: Manner,
    teller: &Teller,
    name: &str,
    verb: &[&str],
    request: &Requested,
) -> Result<(), RigError> {
    if manner.manual {
        teller.say(&format!(
            "you are {name}: compare the words, type the PIN {PIN}, then press Enter to touch"
        ));
        let done = std::thread::scope(|scope| {
            let finger = scope.spawn(|| enter_touches(site, name));
            let done = site.twotap(name, verb)?.on_terminal();
            let _ = finger.join();
            done
        })?;
        return match done.status {
            Some(0) => Ok(()),
            other => Err(RigError::new(format!(
                "{name}'s approval ended with {other:?}"
            ))),
        };
    }
    site.tap(name, 1)?;
    let mut args = verb.to_vec();
    args.extend(["--pin-fd", "0", "--confirm", &request.words]);
    teller
        .run_ok(site.twotap(name, &args)?.input(PIN))
        .map(drop)
}

/// Waits until the token asks for a touch, then for Enter.
fn enter_touches(site: &Site, name: &str) -> Result<(), RigError> {
    let failed = |why: std::io::Error| RigError::new(format!("{name}'s finger: {why}"));
    let mut finger = site.finger(name)?;
    if finger.wait_for_touch(PATIENCE).map_err(failed)? {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(failed)?;
        finger.tap().map_err(failed)?;
    }
    Ok(())
}

/// With one approval there are no credentials, and AWS was never asked for any.
fn nothing_opens(site: &Site, teller: &Teller, request: &Requested) -> Result<bool, RigError> {
    let done = teller.run(site.twotap("dana", &["credentials", &request.id])?)?;
    let asked = site.world().proxy().calls_of("sts:AssumeRole").len();
    teller.say(&format!(
        "one approval: no credentials, and {asked} calls of AssumeRole"
    ));
    Ok(done.status != Some(0) && done.stdout.is_empty() && asked == 0)
}

/// Bob's tap, and how long until dana holds credentials.
fn last_tap(
    site: &Site,
    manner: Manner,
    teller: &Teller,
    request: &Requested,
) -> Result<(Credentials, f64), RigError> {
    if manner.manual {
        tap_one(
            site,
            manner,
            teller,
            "bob",
            &["approve", &request.id],
            request,
        )?;
        let begun = Instant::now();
        let credentials = site.wait_for_credentials(request)?;
        return Ok((credentials, begun.elapsed().as_secs_f64()));
    }
    let approving = site
        .twotap(
            "bob",
            &[
                "approve",
                &request.id,
                "--pin-fd",
                "0",
                "--confirm",
                &request.words,
            ],
        )?
        .input(PIN);
    let typed = approving.shown().to_owned();
    let (send, approved) = mpsc::channel();
    std::thread::spawn(move || send.send(approving.go()));
    let failed = |why: std::io::Error| RigError::new(format!("bob's finger: {why}"));
    let mut finger = site.finger("bob")?;
    if !finger
        .wait_for_touch(Duration::from_secs(60))
        .map_err(failed)?
    {
        return Err(RigError::new("bob's token never asked for a touch"));
    }
    let tapped = Instant::now();
    finger.tap().map_err(failed)?;
    let credentials = site.wait_for_credentials(request)?;
    let seconds = tapped.elapsed().as_secs_f64();
    let done = approved
        .recv()
        .map_err(|_| RigError::new("bob's approval got lost"))??;
    teller.show(&typed, &done);
    Ok((credentials, seconds))
}

/// By the AWS CLI through `twotap exec`, and by a client that nobody of us wrote the signing of.
fn session_works(
    site: &Site,
    teller: &Teller,
    request: &Requested,
    credentials: &Credentials,
) -> Result<bool, RigError> {
    let aws = twotap_rig::tools::script("aws")?.display().to_string();
    let endpoint = site.world().endpoint();
    let run = |call: &[&str]| -> Result<_, RigError> {
        let mut args = vec![
            "exec",
            &request.id,
            "--",
            &aws,
            "--profile",
            "break-glass",
            "--endpoint-url",
            &endpoint,
        ];
        args.extend(call);
        teller.run(site.twotap("dana", &args)?)
    };
    let who = run(&["sts", "get-caller-identity"])?;
    let allowed = run(&[
        "ec2",
        "describe-regions",
        "--query",
        "Regions[0].RegionName",
    ])?;
    let refused = run(&["iam", "list-users"])?;
    teller.say("the session policy allowed the second call and refused the third");
    let probe = site.world().session_probe(credentials)?;
    Ok(who.status == Some(0)
        && who.stdout.contains("op-admin/dana")
        && allowed.status == Some(0)
        && refused.status != Some(0)
        && refused.stderr.contains("AccessDenied")
        && probe.is_ok())
}

fn close(
    site: &Site,
    teller: &Teller,
    request: &Requested,
    credentials: &Credentials,
) -> Result<bool, RigError> {
    let done = teller.run(site.twotap("dana", &["close", &request.id])?)?;
    let probe = site.world().session_probe(credentials)?;
    teller.say(&format!(
        "the session's own credentials now get: {}",
        probe.error.as_deref().unwrap_or("an answer")
    ));
    let view = site.view(request)?;
    Ok(done.status == Some(0) && view["stage"] == "closed" && !probe.is_ok())
}

/// Exactly one key exists, it is active, and it is not the old one.
fn one_new_key(site: &Site, old: &Credentials) -> Result<bool, RigError> {
    let keys = site.world().list_keys(world::USER)?;
    let [key] = keys.as_slice() else {
        return Ok(false);
    };
    let new = key_made(site, &key.id)?;
    Ok(key.active && key.id != old.access_key_id && site.world().key_works(&new)?)
}

fn show_progress(site: &Site, teller: &Teller, request: &Requested) -> Result<(), RigError> {
    for step in site.view(request)?["progress"]
        .as_array()
        .into_iter()
        .flatten()
    {
        teller.say(&format!(
            "{}  {}",
            step["at"].as_str().unwrap_or_default(),
            step["text"].as_str().unwrap_or_default()
        ));
    }
    Ok(())
}

/// A key whose making the rig's wire has recorded, with its secret: what nobody but the worker and this wire has seen.
fn key_made(site: &Site, id: &str) -> Result<Credentials, RigError> {
    site.world()
        .proxy()
        .keys_made()
        .into_iter()
        .find(|key| key.access_key_id == id)
        .ok_or_else(|| RigError::new(format!("the wire has not seen {id} being made")))
}

pub(super) fn read(path: &Path) -> Result<String, RigError> {
    fs::read_to_string(path).map_err(|why| RigError::new(format!("{}: {why}", path.display())))
}

fn text(value: &Value, field: &str) -> Result<String, RigError> {
    value[field]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| RigError::new(format!("no {field} in {value}")))
}
