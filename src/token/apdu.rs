//! ISO 7816-4 commands and replies: short APDUs with command chaining, GET RESPONSE, nothing unbounded.
//!
//! [`Card`] is the seam between the PIV logic and PC/SC, so that the logic can be shown a scripted card.

use super::TokenError;
use zeroize::Zeroizing;

/// Something that answers one short APDU with data and status word.
pub(super) trait Card {
    /// Sends `apdu`. `late` is called at most once, when the answer takes so long that somebody probably has
    /// to touch the token.
    fn transmit(
        &mut self,
        apdu: &[u8],
        late: &mut dyn FnMut(),
    ) -> Result<Zeroizing<Vec<u8>>, TokenError>;
}

/// Most that a reply may carry over all its parts; the largest PIV object has 3,063 bytes.
const LONGEST_REPLY: usize = 16 * 1024;
/// Most data bytes in one short APDU.
const CHUNK: usize = 255;
/// Set in CLA for all but the last part of a chained command.
const MORE_FOLLOWS: u8 = 0x10;
const GET_RESPONSE: u8 = 0xc0;

/// A command without its data: class 00, instruction and two parameters.
#[derive(Clone, Copy)]
pub(super) struct Command {
    pub(super) ins: u8,
    pub(super) p1: u8,
    pub(super) p2: u8,
    /// Whether data are expected back (an Le byte is sent).
    pub(super) replies: bool,
}

/// A whole reply: its data with the parts joined, and the last status word.
pub(super) struct Reply {
    pub(super) data: Zeroizing<Vec<u8>>,
    pub(super) status: u16,
}

impl Reply {
    /// The data if the status is 9000.
    pub(super) fn ok(self, what: &'static str) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        match self.status {
            0x9000 => Ok(self.data),
            status => Err(TokenError::Refused { what, status }),
        }
    }
}

/// Sends one command and gathers the whole reply.
pub(super) fn send(
    card: &mut dyn Card,
    command: Command,
    data: &[u8],
) -> Result<Reply, TokenError> {
    send_with(card, command, data, &mut || {})
}

/// As [`send`]; `late` is called when the token lets the last part of the command wait.
pub(super) fn send_with(
    card: &mut dyn Card,
    command: Command,
    data: &[u8],
    late: &mut dyn FnMut(),
) -> Result<Reply, TokenError> {
    let mut rest = data;
    while rest.len() > CHUNK {
        let (chunk, after) = rest.split_at(CHUNK);
        let raw = card.transmit(&encode(MORE_FOLLOWS, command, chunk, false), &mut || {})?;
        let (data, status) = split(&raw)?;
        if status != 0x9000 {
            return Ok(Reply {
                data: Zeroizing::new(data.to_vec()),
                status,
            });
        }
        rest = after;
    }

    let raw = card.transmit(&encode(0, command, rest, command.replies), late)?;
    let (first, mut status) = split(&raw)?;
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let mut gathered = Zeroizing::new(Vec::with_capacity(match status {
        0x6100..=0x61ff => LONGEST_REPLY,
        _ => first.len(),
    }));
    gathered.extend_from_slice(first);
    while let 0x6100..=0x61ff = status {
        let [_, length] = status.to_be_bytes();
        let raw = card.transmit(&[0, GET_RESPONSE, 0, 0, length], &mut || {})?;
        let (part, next) = split(&raw)?;
        // An empty part would let a card keep us here for ever.
        let endless = part.is_empty() && matches!(next, 0x6100..=0x61ff);
        if endless || gathered.len() + part.len() > LONGEST_REPLY {
            return Err(TokenError::Malformed {
                what: "get response",
            });
        }
        gathered.extend_from_slice(part);
        status = next;
    }
    Ok(Reply {
        data: gathered,
        status,
    })
}

fn encode(class: u8, command: Command, data: &[u8], replies: bool) -> Zeroizing<Vec<u8>> {
    let mut apdu = Zeroizing::new(Vec::with_capacity(data.len() + 6));
    apdu.extend_from_slice(&[class, command.ins, command.p1, command.p2]);
    if let (1.., Ok(length)) = (data.len(), u8::try_from(data.len())) {
        apdu.push(length);
        apdu.extend_from_slice(data);
    }
    if replies {
        apdu.push(0);
    }
    apdu
}

fn split(raw: &[u8]) -> Result<(&[u8], u16), TokenError> {
    raw.split_last_chunk::<2>()
        .map(|(data, status)| (data, u16::from_be_bytes(*status)))
        .ok_or(TokenError::Malformed { what: "a command" })
}

#[cfg(test)]
pub(super) mod script {
    //! A card that expects exactly the given commands and answers them by script.

    use super::*;
    use std::collections::VecDeque;

    pub(crate) type Answer = Result<Vec<u8>, TokenError>;

    #[derive(Default)]
    pub(crate) struct Script {
        steps: VecDeque<(Vec<u8>, Answer, bool)>,
        /// What was sent, in order.
        pub(crate) sent: Vec<Vec<u8>>,
    }

    pub(crate) fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER_PERMISSIVE
            .decode(text.replace(' ', "").as_bytes())
            .expect("hex in a test")
    }

    impl Script {
        /// Expects an APDU that begins with `sent`; answers with data and status.
        pub(crate) fn then(mut self, sent: &str, answer: &str) -> Self {
            self.steps.push_back((hex(sent), Ok(hex(answer)), false));
            self
        }

        /// As [`Self::then`], after having made the caller wait.
        pub(crate) fn then_late(mut self, sent: &str, answer: &str) -> Self {
            self.steps.push_back((hex(sent), Ok(hex(answer)), true));
            self
        }

        pub(crate) fn then_fail(mut self, sent: &str, error: TokenError) -> Self {
            self.steps.push_back((hex(sent), Err(error), false));
            self
        }

        pub(crate) fn finished(&self) -> bool {
            self.steps.is_empty()
        }
    }

    impl Card for Script {
        fn transmit(
            &mut self,
            apdu: &[u8],
            late: &mut dyn FnMut(),
        ) -> Result<Zeroizing<Vec<u8>>, TokenError> {
            let (expected, answer, waits) = self.steps.pop_front().expect("no more commands");
            assert!(
                apdu.starts_with(&expected),
                "sent {apdu:02x?}, expected {expected:02x?}"
            );
            self.sent.push(apdu.to_vec());
            if waits {
                late();
            }
            answer.map(Zeroizing::new)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::script::Script;
    use super::*;

    const READ: Command = Command {
        ins: 0xcb,
        p1: 0x3f,
        p2: 0xff,
        replies: true,
    };
    const WRITE: Command = Command {
        ins: 0xdb,
        p1: 0x3f,
        p2: 0xff,
        replies: false,
    };

    #[test]
    fn long_data_are_chained_and_long_replies_gathered() {
        let mut card = Script::default()
            .then("10db3fffff", "9000")
            .then("10db3fffff", "9000")
            .then("00db3fff02", "9000");
        let reply = send(&mut card, WRITE, &[5; 512]).unwrap();
        assert_eq!(reply.status, 0x9000);
        assert_eq!(card.sent[0].len(), 5 + 255);
        assert_eq!(card.sent[2], [0, 0xdb, 0x3f, 0xff, 2, 5, 5]);

        let mut card = Script::default()
            .then("00cb3fff 01 aa 00", "0102 6102")
            .then("00c0000002", "0304 6100")
            .then("00c0000000", "05 9000");
        let reply = send(&mut card, READ, &[0xaa]).unwrap();
        assert_eq!(reply.ok("it").unwrap()[..], [1, 2, 3, 4, 5]);
        assert!(card.finished());
    }

    #[test]
    fn a_refused_part_ends_the_chain() {
        let mut card = Script::default().then("10db", "6a84");
        assert_eq!(send(&mut card, WRITE, &[5; 512]).unwrap().status, 0x6a84);
    }

    #[test]
    fn short_and_endless_replies_are_errors() {
        for answer in ["", "90"] {
            let mut card = Script::default().then("00cb", answer);
            let error = send(&mut card, READ, &[]).err();
            assert!(matches!(error, Some(TokenError::Malformed { .. })));
        }

        struct Endless(&'static [u8], usize);
        impl Card for Endless {
            fn transmit(
                &mut self,
                _: &[u8],
                _: &mut dyn FnMut(),
            ) -> Result<Zeroizing<Vec<u8>>, TokenError> {
                self.1 += 1;
                let mut reply = self.0.to_vec();
                reply.extend_from_slice(&[0x61, 0]);
                Ok(Zeroizing::new(reply))
            }
        }
        for (part, most) in [(&[][..], 2), (&[0; 255][..], 66)] {
            let mut card = Endless(part, 0);
            let error = send(&mut card, READ, &[]).err();
            assert_eq!(
                error,
                Some(TokenError::Malformed {
                    what: "get response"
                })
            );
            assert!(card.1 <= most, "{} rounds", card.1);
        }
    }
}
