//! One thread that owns one card, so that nothing which PC/SC does can make us wait without a bound.
//!
//! PC/SC calls block for as long as another program holds a transaction, or as the card likes. They
//! run in a thread of their own with a PC/SC context of their own; here we wait for their answers for a stated time.
//! A thread that got stuck is left behind: when its call returns it finds nobody waiting, resets the card
//! if it was in a transaction, and ends.

use super::apdu::Card;
use super::{Bounds, Firmware, TokenError, holders, piv};
use pcsc::{Disposition, Protocols, Scope, ShareMode, Transaction};
use std::ffi::{CStr, CString};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Between two looks at a reader that another program has.
const POLL: Duration = Duration::from_millis(100);

type Answer = Result<Zeroizing<Vec<u8>>, TokenError>;

enum Ask {
    Begin,
    Transmit(Zeroizing<Vec<u8>>),
    End(Disposition),
}

/// A connected card behind its thread.
pub(super) struct Link {
    asks: Option<Sender<Ask>>,
    answers: Receiver<Answer>,
    bounds: Bounds,
}

/// What a probing thread found in its reader.
pub(super) type Probed = (usize, Result<(Link, Firmware, u32), TokenError>);

/// Starts a thread that connects to `reader`, identifies the token, reports as number `index`, and then serves it.
pub(super) fn probe(
    index: usize,
    reader: CString,
    bounds: Bounds,
    found: Sender<Probed>,
    abandoned: Arc<AtomicBool>,
) {
    thread::spawn(move || {
        let _ = run(index, &reader, bounds, &found, &abandoned)
            .map_err(|error| found.send((index, Err(error))));
    });
}

fn run(
    index: usize,
    reader: &CStr,
    bounds: Bounds,
    found: &Sender<Probed>,
    abandoned: &AtomicBool,
) -> Result<(), TokenError> {
    let context = pcsc::Context::establish(Scope::User).map_err(plain)?;
    let mut card = once_free(bounds.lock, || {
        context.connect(reader, ShareMode::Shared, Protocols::ANY)
    })?;
    // Nobody waits any more: do not disturb whoever had the card until now.
    if abandoned.load(Ordering::SeqCst) {
        let _ = card.disconnect(Disposition::LeaveCard);
        return Ok(());
    }

    let mut identity = Err(TokenError::Silent);
    let begun = in_transaction(&mut card, bounds.lock, |transaction| {
        if abandoned.load(Ordering::SeqCst) {
            return Disposition::LeaveCard;
        }
        identity = piv::identify(&mut Direct {
            transaction,
            context: &context,
            reader,
        });
        Disposition::LeaveCard
    });
    if let Err(error) = begun.and(identity.clone().map(drop)) {
        let _ = card.disconnect(Disposition::LeaveCard);
        return Err(error);
    }
    let (firmware, serial) = identity?;
    let (asks, questions) = channel();
    let (replies, answers) = channel();
    let link = Link {
        asks: Some(asks),
        answers,
        bounds,
    };
    if found.send((index, Ok((link, firmware, serial)))).is_ok() {
        serve(&mut card, &context, reader, bounds, &questions, &replies);
    }
    let _ = card.disconnect(Disposition::LeaveCard);
    // Whoever waits for `replies` to close may end the process at once, and with it PC/SC's own memory: this thread has to be done with it.
    drop(context);
    drop(replies);
    Ok(())
}

/// Answers until the other side is gone.
fn serve(
    card: &mut pcsc::Card,
    context: &pcsc::Context,
    reader: &CStr,
    bounds: Bounds,
    questions: &Receiver<Ask>,
    replies: &Sender<Answer>,
) {
    while let Ok(ask) = questions.recv() {
        if !matches!(ask, Ask::Begin) {
            let _ = replies.send(Err(TokenError::Interrupted));
            continue;
        }
        let ended = in_transaction(card, bounds.lock, |transaction| {
            let _ = replies.send(Ok(Zeroizing::default()));
            let mut used = false;
            loop {
                match questions.recv() {
                    Ok(Ask::Transmit(apdu)) => {
                        used = true;
                        let answer = exchange(transaction, context, reader, &apdu);
                        let _ = replies.send(answer);
                    }
                    Ok(Ask::End(disposition)) => return disposition,
                    // Nobody waits any more. What was done here is unknown, so nothing of it may stay.
                    Ok(Ask::Begin) | Err(_) if used => return Disposition::ResetCard,
                    Ok(Ask::Begin) | Err(_) => return Disposition::LeaveCard,
                }
            }
        });
        // The answer to End, or to a Begin that failed.
        let _ = replies.send(ended.map(|()| Zeroizing::default()));
    }
}

/// Asks again while another program has the reader: at most for `bound`, then it is held. A program that has just ended still has it for as long
/// as pcscd takes to notice.
fn once_free<T>(
    bound: Duration,
    mut ask: impl FnMut() -> Result<T, pcsc::Error>,
) -> Result<T, TokenError> {
    let begun = Instant::now();
    loop {
        match ask() {
            Err(pcsc::Error::SharingViolation) if begun.elapsed() < bound => {
                thread::sleep(bound.min(POLL));
            }
            answer => return answer.map_err(plain),
        }
    }
}

/// Runs `work` under an exclusive transaction and ends that as `work` says. Others may take `bound` to let go of the card.
fn in_transaction(
    card: &mut pcsc::Card,
    bound: Duration,
    work: impl FnOnce(&Transaction<'_>) -> Disposition,
) -> Result<(), TokenError> {
    let mut work = Some(work);
    // Each reset by somebody (ourselves included) has to be acknowledged by a reconnect; a few in a row are
    // a busy machine, more are somebody who fights us.
    for _ in 0..4 {
        let (disposition, error) = match card.transaction() {
            Ok(transaction) => {
                let Some(work) = work.take() else { break };
                let disposition = work(&transaction);
                match transaction.end(disposition) {
                    Ok(()) => return Ok(()),
                    // Dropping the transaction gives up the lock.
                    Err((_, error)) => (Some(disposition), error),
                }
            }
            Err(error) => (None, error),
        };
        match (disposition, error) {
            // Whoever has reset it may have begun its next transaction already.
            (None, pcsc::Error::ResetCard) => once_free(bound, || {
                card.reconnect(ShareMode::Shared, Protocols::ANY, Disposition::LeaveCard)
            })?,
            (None, error) => return Err(plain(error)),
            // A card that was reset or is gone keeps nothing.
            (Some(_), pcsc::Error::ResetCard | pcsc::Error::RemovedCard) => return Ok(()),
            (Some(disposition @ Disposition::ResetCard), _) => {
                return once_free(bound, || {
                    card.reconnect(ShareMode::Shared, Protocols::ANY, disposition)
                });
            }
            (Some(_), error) => return Err(plain(error)),
        }
    }
    Err(TokenError::Interrupted)
}

fn exchange(
    transaction: &Transaction<'_>,
    context: &pcsc::Context,
    reader: &CStr,
    apdu: &[u8],
) -> Answer {
    const MALFORMED: TokenError = TokenError::Malformed { what: "a command" };
    let mut buffer = Zeroizing::new([0; pcsc::MAX_BUFFER_SIZE]);
    match transaction.transmit(apdu, &mut buffer[..]) {
        Ok(reply) if reply.len() >= 2 => Ok(Zeroizing::new(reply.to_vec())),
        // Some drivers hand over nothing at all when the card goes away.
        Ok(_) => Err(removed(context, reader).unwrap_or(MALFORMED)),
        Err(pcsc::Error::InsufficientBuffer) => Err(MALFORMED),
        Err(
            error @ (pcsc::Error::NotTransacted
            | pcsc::Error::CommError
            | pcsc::Error::CommDataLost
            | pcsc::Error::UnresponsiveCard
            | pcsc::Error::UnpoweredCard
            | pcsc::Error::InvalidHandle),
        ) => Err(removed(context, reader).unwrap_or_else(|| plain(error))),
        Err(error) => Err(plain(error)),
    }
}

/// A card that is pulled out in mid-command first shows as a failed exchange; pcscd notes the absence a
/// moment later. Waits for that moment (two seconds at most), so that the message is the right one.
fn removed(context: &pcsc::Context, reader: &CStr) -> Option<TokenError> {
    let gone = pcsc::State::EMPTY | pcsc::State::UNKNOWN | pcsc::State::UNAVAILABLE;
    let mut states = [pcsc::ReaderState::new(reader, pcsc::State::UNAWARE)];
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        match context.get_status_change(rest, &mut states) {
            Ok(()) if states[0].event_state().intersects(gone) => return Some(TokenError::Removed),
            Ok(()) if !rest.is_zero() => states[0].sync_current_state(),
            Ok(()) | Err(pcsc::Error::Timeout) => return None,
            // The reader went with its card, or the whole service did.
            Err(error) => return Some(plain(error)),
        }
    }
}

/// PC/SC's errors in our words.
pub(super) fn plain(error: pcsc::Error) -> TokenError {
    use pcsc::Error as E;
    match error {
        E::NoService | E::ServiceStopped | E::Shutdown => TokenError::NoService,
        E::NoAccess | E::SecurityViolation => TokenError::Forbidden,
        E::NoReadersAvailable => TokenError::NoReader,
        E::NoSmartcard | E::RemovedCard | E::UnknownReader | E::ReaderUnavailable => {
            TokenError::Removed
        }
        E::ResetCard => TokenError::Interrupted,
        E::SharingViolation => TokenError::Held {
            by: holders::holder(),
        },
        E::UnresponsiveCard | E::UnpoweredCard | E::UnsupportedCard | E::ProtoMismatch => {
            TokenError::NotYubiKey
        }
        E::Timeout => TokenError::Silent,
        E::NotTransacted | E::CommError | E::CommDataLost => TokenError::Service {
            what: "the exchange with the card failed",
        },
        E::NoMemory | E::InternalError | E::UnknownError => TokenError::Service {
            what: "an internal error",
        },
        _ => TokenError::Service {
            what: "an error of another kind",
        },
    }
}

/// A card inside its own thread.
struct Direct<'a> {
    transaction: &'a Transaction<'a>,
    context: &'a pcsc::Context,
    reader: &'a CStr,
}

impl Card for Direct<'_> {
    fn transmit(&mut self, apdu: &[u8], _late: &mut dyn FnMut()) -> Answer {
        exchange(self.transaction, self.context, self.reader, apdu)
    }
}

impl Link {
    /// Takes the card for us alone, until the guard is dropped.
    pub(super) fn exclusive(&mut self) -> Result<Exclusive<'_>, TokenError> {
        let bound = self.bounds.lock;
        let usable = self.asks.is_some();
        match self.ask(Ask::Begin, bound, &mut || {}) {
            Ok(_) => Ok(Exclusive {
                link: self,
                open: true,
                stained: false,
            }),
            // Nothing but another program's transaction makes us wait here.
            Err(TokenError::Silent) if usable => Err(TokenError::Held {
                by: holders::holder(),
            }),
            Err(error) => Err(error),
        }
    }

    fn ask(&mut self, ask: Ask, bound: Duration, late: &mut dyn FnMut()) -> Answer {
        // None once an answer did not come in time: what comes later would belong to another question.
        let Some(asks) = &self.asks else {
            return Err(TokenError::Silent);
        };
        asks.send(ask).map_err(|_| TokenError::Removed)?;
        let soon = bound.min(self.bounds.again);
        let answer = match self.answers.recv_timeout(soon) {
            Err(RecvTimeoutError::Timeout) => {
                late();
                self.answers.recv_timeout(bound.saturating_sub(soon))
            }
            answer => answer,
        };
        match answer {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                // The thread finds this end closed as soon as its call returns, and lets go of the card.
                self.asks = None;
                Err(TokenError::Silent)
            }
            Err(RecvTimeoutError::Disconnected) => Err(TokenError::Removed),
        }
    }
}

impl Drop for Link {
    /// Lets go of the card and waits a moment until the thread has done so: whoever opens the token next finds it free.
    fn drop(&mut self) {
        if self.asks.take().is_some() {
            let _ = self.answers.recv_timeout(self.bounds.probe);
        }
    }
}

/// The card, for us alone. Ends with a reset if a secret was shown to the card or asked of it: no PIN and no
/// touch that we brought about is there for the next program, whichever way we leave.
pub(super) struct Exclusive<'a> {
    link: &'a mut Link,
    open: bool,
    stained: bool,
}

impl Exclusive<'_> {
    /// Has the card reset at the end, whatever is sent.
    pub(super) fn stain(&mut self) {
        self.stained = true;
    }

    /// Ends the transaction and says whether that worked; dropping does the same silently.
    pub(super) fn end(mut self) -> Result<(), TokenError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), TokenError> {
        if !std::mem::take(&mut self.open) {
            return Ok(());
        }
        let disposition = match self.stained {
            true => Disposition::ResetCard,
            false => Disposition::LeaveCard,
        };
        let bound = self.link.bounds.lock;
        self.link
            .ask(Ask::End(disposition), bound, &mut || {})
            .map(drop)
    }
}

impl Card for Exclusive<'_> {
    fn transmit(&mut self, apdu: &[u8], late: &mut dyn FnMut()) -> Answer {
        // SELECT, GET DATA, GET RESPONSE, metadata, serial, attestation, version, and VERIFY that only asks
        // for the tries: these leave nothing behind on the card.
        let harmless = matches!(
            apdu,
            [_, 0xa4 | 0xcb | 0xc0 | 0xf7 | 0xf8 | 0xf9 | 0xfd, ..] | [_, 0x20, _, _]
        );
        self.stained |= !harmless;
        let bound = self.link.bounds.answer;
        self.link
            .ask(Ask::Transmit(Zeroizing::new(apdu.to_vec())), bound, late)
    }
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}
