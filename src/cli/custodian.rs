//! `twotap custodian enroll`: two fresh keys on a custodian's token, and the proof that they are there.

use std::{path::PathBuf, process::ExitCode, time::SystemTime};

use crate::{
    protocol::{Code, Problem},
    token::{
        Manage, ManagementAlgorithm, ManagementKey, Pin, PinPolicy, Puk, Purpose, Slot, Token,
        TokenError, TouchPolicy,
    },
    trust::{
        self, Bytes, Envelope, PublicKey, Timestamp,
        attestation::{Statement, verify},
        enrollment::Enrollment,
        firmware::{Action, Model, advisories},
        roster::SlotKey,
        stack,
        text::check_name,
        words::token_words,
    },
};

use super::{
    Door, Ended, files, pin, screen,
    token::{self, TokenArgs},
    ui::{Ui, columns},
};

/// Arguments of `custodian`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Make a custodian's two keys on a token and write its enrollment
    Enroll(EnrollArgs),
}

#[derive(clap::Args)]
#[command(
    after_help = "A token that still has its factory PIN, PUK or management key gets new ones first: with --pin-fd, that PIN \
is the new one, and --puk-fd brings the new PUK (the PIN is read first where both are one descriptor). The management key becomes a random one, kept on the token under the PIN."
)]
struct EnrollArgs {
    /// The custodian's short name, e.g. alice
    #[arg(long)]
    name: String,
    #[command(flatten)]
    token: TokenArgs,
    /// For scripts: read the new PUK from this open file descriptor, once
    #[arg(long, value_name = "N")]
    puk_fd: Option<u16>,
    /// Read the management key (hex) from this open file descriptor, where it is neither the factory's nor kept on the token
    #[arg(long, value_name = "N")]
    management_key_fd: Option<u16>,
    /// Ask for a touch at every use of both keys; without it, a share opens on the touch of the signature before
    #[arg(long)]
    strict_touch: bool,
    /// The slots for the approve and the unseal key, 82 to 95; without it, 82 and 83 or the first that are free
    #[arg(long, value_name = "SLOT,SLOT", value_delimiter = ',')]
    slots: Option<Vec<String>>,
    /// Overwrite what is in this slot: its key is lost for ever
    #[arg(long, value_name = "SLOT")]
    force: Vec<String>,
    /// Where to write the enrollment; it must not exist yet
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// What the factory sets, on every token alike; used only where the token itself says that it still counts.
const FACTORY_PIN: &[u8] = b"123456";
const FACTORY_PUK: &[u8] = b"12345678";

pub(super) fn run(args: Args, door: &Door) -> Ended {
    let Verb::Enroll(args) = args.verb;
    check_name("custodian's name", &args.name)?;
    files::must_be_new(&args.output)?;
    let mut token = token::open(&args.token)?;
    let slots = choose_slots(&args, &mut token)?;

    let (enrollment, envelope) = stack::wiped(|| enroll(&args, &mut token, slots, &door.ui))?;
    told_of_firmware(&enrollment, &door.ui)?;
    files::write_public_new(&args.output, &envelope)?;
    shown(&args, &enrollment, door)
}

/// All that needs the PIN: keys, certificates, and the enrollment under the new key's own signature.
fn enroll(
    args: &EnrollArgs,
    token: &mut Token,
    slots: (Slot, Slot),
    ui: &Ui,
) -> Result<(Enrollment, Envelope), Problem> {
    let pin = own_pin(args, token, ui)?;
    let keys = make_keys(args, token, &pin, slots, ui)?;
    let attestation = attest(token, &keys, ui)?;
    let enrollment = Enrollment {
        v: 1,
        name: args.name.clone(),
        serial: token.serial(),
        firmware: token.firmware().to_string(),
        approve: keys.approve,
        unseal: keys.unseal,
        attestation,
        created_at: Timestamp::now(),
    };
    let slot = token::slot(&enrollment.approve)?;
    let envelope = sign(&enrollment, token, &pin, slot, ui)?;
    Ok((enrollment, envelope))
}

/// Two slots that are free, or that were named to be overwritten.
fn choose_slots(args: &EnrollArgs, token: &mut Token) -> Result<(Slot, Slot), Problem> {
    let forced = args
        .force
        .iter()
        .map(|s| slot(s))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(named) = &args.slots else {
        return token.free_slots().map_err(token::problem)?.ok_or_else(|| {
            Problem::new(Code::Token, "the token has no two free slots from 82 to 95")
                .hint("name two with --slots, and those to overwrite with --force")
        });
    };
    let (approve, unseal) = match &named[..] {
        [approve, unseal] => (slot(approve)?, slot(unseal)?),
        _ => return Err(Problem::new(Code::Usage, "--slots takes two, e.g. 82,83")),
    };
    if approve == unseal {
        return Err(Problem::new(
            Code::Usage,
            "--slots needs two different slots",
        ));
    }
    for slot in [approve, unseal] {
        if !forced.contains(&slot) && token.slot_in_use(slot).map_err(token::problem)? {
            return Err(Problem::new(
                Code::Refused,
                format!("slot {slot} is in use, and its key would be lost for ever"),
            )
            .hint(format!("take others with --slots, or say --force {slot}")));
        }
    }
    Ok((approve, unseal))
}

fn slot(text: &str) -> Result<Slot, Problem> {
    u8::from_str_radix(text, 16)
        .ok()
        .and_then(Slot::parse)
        .ok_or_else(|| {
            Problem::new(
                Code::Usage,
                format!("'{}' is not a slot", super::ui::plain(text)),
            )
            .hint("slots are 82 to 95, in hex")
        })
}

/// The PIN, after the factory's PIN and PUK were replaced where they still counted.
fn own_pin(args: &EnrollArgs, token: &mut Token, ui: &Ui) -> Result<Pin, Problem> {
    let factory_pin = token.default_pin_in_use().map_err(token::problem)?;
    let factory_puk = token.default_puk_in_use().map_err(token::problem)?;
    if factory_pin.is_none() {
        ui.note("this firmware does not tell whether its pin and puk still are the factory's: change them if they are");
    }
    // Everything is read before anything is changed: the PIN first, then the PUK.
    let new_pin = match factory_pin {
        Some(true) => {
            ui.note("the pin still is the factory's: a new one is set first");
            Some(new_secret(args.token.pin_fd, "pin", FACTORY_PIN, ui)?)
        }
        _ => None,
    };
    let own = match &new_pin {
        Some(typed) => Pin::parse(&typed.0[..typed.1]).map_err(pin::problem)?,
        None => pin::ask(ui, token, &args.token)?,
    };
    if factory_puk == Some(true) {
        ui.note("the puk still is the factory's: a new one is set first");
        let typed = new_secret(args.puk_fd, "puk", FACTORY_PUK, ui)?;
        let old = Puk::parse(FACTORY_PUK).map_err(pin::problem)?;
        let new = Puk::parse(&typed.0[..typed.1]).map_err(pin::problem)?;
        token.change_puk(&old, &new).map_err(token::problem)?;
    }
    if new_pin.is_some() {
        let old = Pin::parse(FACTORY_PIN).map_err(pin::problem)?;
        token.change_pin(&old, &own).map_err(token::problem)?;
    }
    Ok(own)
}

/// A new PIN or PUK: read once from a descriptor, or typed twice.
fn new_secret(fd: Option<u16>, what: &str, factory: &[u8], ui: &Ui) -> Result<pin::Typed, Problem> {
    let typed = match fd {
        Some(fd) => pin::read(fd)?,
        None => {
            let first = ui.secret(&format!("new {what} (6 to 8 characters)"))?;
            let again = ui.secret(&format!("new {what} once more"))?;
            if first.0[..first.1] != again.0[..again.1] {
                return Err(
                    Problem::new(Code::Pin, format!("the two new {what}s differ"))
                        .hint("nothing was changed; try again"),
                );
            }
            first
        }
    };
    if typed.0[..typed.1] == *factory {
        return Err(
            Problem::new(Code::Pin, format!("the new {what} is the factory's"))
                .hint("everybody knows it: choose another"),
        );
    }
    Ok(typed)
}

struct Keys {
    approve: SlotKey,
    unseal: SlotKey,
}

/// One transaction: management key, both keys, both certificates.
fn make_keys(
    args: &EnrollArgs,
    token: &mut Token,
    pin: &Pin,
    slots: (Slot, Slot),
    ui: &Ui,
) -> Result<Keys, Problem> {
    let key = args.management_key_fd.map(management_key).transpose()?;
    let algorithm = ManagementAlgorithm::preferred(token.firmware());
    let mut prompt = token::toucher(ui, token.serial());
    let mut manage = token.manage(pin, key.as_ref()).map_err(token::problem)?;
    if manage.factory_management_key() {
        ui.note("the management key still is the factory's: a random one is set, kept on the token under the pin");
        manage
            .set_management_key(algorithm)
            .map_err(token::problem)?;
    }
    let unseal_touch = if args.strict_touch {
        TouchPolicy::Always
    } else {
        TouchPolicy::Cached
    };
    // Slots that are in use by now, or that turned out not to exist.
    let mut tried = vec![slots.0, slots.1];
    let mut make = |manage: &mut Manage<'_>, slot: Slot, purpose: Purpose, touch: TouchPolicy| {
        let mut slot = slot;
        let key = loop {
            match manage.generate(slot, PinPolicy::Always, touch) {
                // Nobody asked for this one: another is as good.
                Err(TokenError::NoSlot { .. }) if args.slots.is_none() => {
                    let next = manage.free_slot(&tried)?;
                    slot = next.ok_or(TokenError::NoSlot { slot })?;
                    tried.push(slot);
                }
                made => break made?,
            }
        };
        manage.certify(
            pin,
            slot,
            purpose,
            &args.name,
            &key,
            (PinPolicy::Always, touch),
            SystemTime::now(),
            &mut prompt,
        )?;
        Ok(SlotKey {
            slot: slot.reference(),
            key: PublicKey::from(key),
        })
    };
    let approve = make(&mut manage, slots.0, Purpose::Approve, TouchPolicy::Always)
        .map_err(|why| unfinished(token::problem(why), slots))?;
    let unseal = make(&mut manage, slots.1, Purpose::Unseal, unseal_touch)
        .map_err(|why| unfinished(token::problem(why), slots))?;
    manage.finish().map_err(token::problem)?;
    Ok(Keys { approve, unseal })
}

/// After the first key was made, the slots are in use: the next try has to say that they may be overwritten.
fn unfinished(problem: Problem, (approve, unseal): (Slot, Slot)) -> Problem {
    let again = format!(
        "to begin again, add --slots {approve},{unseal} --force {approve} --force {unseal}"
    );
    let hint = match &problem.hint {
        Some(hint) => format!("{hint}; {again}"),
        None => again,
    };
    problem.hint(hint)
}

fn management_key(fd: u16) -> Result<ManagementKey, Problem> {
    let wrong = || {
        Problem::new(
            Code::Usage,
            "the management key is not 16, 24 or 32 bytes in hex",
        )
        .hint("give it as ykman shows it, on one line")
    };
    let (typed, length) = pin::read(fd)?;
    let hex = zeroize::Zeroizing::new(typed[..length].to_ascii_lowercase());
    if hex.len() % 2 != 0 {
        return Err(wrong());
    }
    let mut bytes = zeroize::Zeroizing::new(vec![0; hex.len() / 2]);
    data_encoding::HEXLOWER
        .decode_mut(&hex, &mut bytes)
        .map_err(|_| wrong())?;
    ManagementKey::from_bytes(bytes).ok_or_else(wrong)
}

/// What the token's maker says about the two keys. A token without an attestation key enrols without; whether that is enough is
/// for those who sign the roster.
fn attest(
    token: &mut Token,
    keys: &Keys,
    ui: &Ui,
) -> Result<Option<trust::roster::Attestation>, Problem> {
    let Some(f9) = token.attestation_certificate().map_err(token::problem)? else {
        ui.warn("the token has no attestation certificate: nobody can prove that its keys were made on it");
        return Ok(None);
    };
    let mut attested = Vec::new();
    for key in [&keys.approve, &keys.unseal] {
        let slot = token::slot(key)?;
        let der = match token.attest(slot) {
            Ok(der) => der,
            Err(TokenError::Refused { .. } | TokenError::NoKey { .. }) => {
                ui.warn("the token does not attest its keys: nobody can prove that they were made on it");
                return Ok(None);
            }
            Err(why) => return Err(token::problem(why)),
        };
        if Statement::parse(&der)?.key != key.key {
            return Err(Problem::new(
                Code::Tampering,
                format!("the attestation of slot {slot} is for another key"),
            )
            .hint("do not use this token; tell the security officer"));
        }
        attested.push(Bytes(der));
    }
    let [approve, unseal] = <[Bytes; 2]>::try_from(attested)
        .map_err(|_| Problem::new(Code::Internal, "two keys were not attested twice"))?;
    Ok(Some(trust::roster::Attestation {
        approve,
        unseal,
        f9: Bytes(f9),
    }))
}

/// The proof of possession: the enrollment under the approve key's own signature.
fn sign(
    enrollment: &Enrollment,
    token: &mut Token,
    pin: &Pin,
    slot: Slot,
    ui: &Ui,
) -> Result<Envelope, Problem> {
    let mut envelope = Envelope::new(enrollment)?;
    let mut prompt = token::toucher(ui, token.serial());
    let signature = token
        .sign(pin, slot, &envelope.signing_digest(), &mut prompt)
        .map_err(token::problem)?;
    envelope.add(&enrollment.approve.key, signature);
    Enrollment::verify(&envelope)?;
    Ok(envelope)
}

/// What whoever draws up the roster will be told, said now, while another token may be at hand.
fn told_of_firmware(enrollment: &Enrollment, ui: &Ui) -> Result<(), Problem> {
    let verified = enrollment.attestation.as_ref().map(|a| verify(a, &[]));
    let model = match &verified {
        Some(Ok(attested)) => attested.model(),
        _ => Model::UNKNOWN,
    };
    if let Some(Err(why)) = verified {
        ui.note(format!(
            "{why}: the roster has to name the root that vouches for this token"
        ));
    }
    let firmware = enrollment.firmware.parse()?;
    for advisory in advisories(firmware, model)? {
        let refused = match advisory.action {
            Action::Refuse => "; rosters refuse such a token unless they accept the risk",
            Action::Warn => "",
        };
        ui.warn(format!("{advisory}{refused}"));
    }
    Ok(())
}

fn shown(args: &EnrollArgs, enrollment: &Enrollment, door: &Door) -> Ended {
    let words = token_words(enrollment.serial, &enrollment.approve, &enrollment.unseal)?;
    let recipient = enrollment
        .unseal
        .key
        .p256()
        .map(|key| crate::token::recipient(&key))
        .unwrap_or_default();
    let object = serde_json::json!({
        "file": args.output,
        "name": enrollment.name,
        "serial": enrollment.serial,
        "firmware": enrollment.firmware,
        "approve": { "slot": format!("{:02x}", enrollment.approve.slot), "key": enrollment.approve.key.id() },
        "unseal": { "slot": format!("{:02x}", enrollment.unseal.slot), "key": enrollment.unseal.key.id(), "recipient": recipient },
        "attested": enrollment.attestation.is_some(),
        "words": words,
    });
    let rows = columns(&[
        (
            "token",
            format!("{}, firmware {}", enrollment.serial, enrollment.firmware),
        ),
        (
            "approve key",
            format!(
                "slot {:02x}, {}",
                enrollment.approve.slot,
                enrollment.approve.key.id()
            ),
        ),
        (
            "unseal key",
            format!(
                "slot {:02x}, {}",
                enrollment.unseal.slot,
                enrollment.unseal.key.id()
            ),
        ),
        ("recipient", recipient),
    ]);
    let text = format!(
        "enrolled {}\n{rows}{}\nwrote {}; whoever draws up the roster must read the same words",
        enrollment.name,
        screen::words_line(&words),
        files::shown(&args.output)
    );
    door.ui.result(&object, &text)?;
    Ok(ExitCode::SUCCESS)
}
