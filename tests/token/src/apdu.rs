//! Command and response APDUs (ISO 7816-4): the four cases in their short and extended forms,
//! command chaining, and responses handed out in parts by GET RESPONSE.

use std::fmt;

/// GET RESPONSE, which fetches the rest of a long answer.
pub const INS_GET_RESPONSE: u8 = 0xc0;

/// The most that a chained command may add up to; PIV objects are at most about 3 KiB.
const CHAIN_MAX: usize = 8 * 1024;

/// A status word, SW1 and SW2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sw(pub u16);

impl Sw {
    /// 9000: done.
    pub const OK: Self = Self(0x9000);
    /// 6581: the state could not be stored.
    pub const MEMORY_FAILURE: Self = Self(0x6581);
    /// 6700: a length that cannot be.
    pub const WRONG_LENGTH: Self = Self(0x6700);
    /// 6982: PIN, management key or touch is missing.
    pub const SECURITY_STATUS: Self = Self(0x6982);
    /// 6983: PIN or PUK is blocked.
    pub const BLOCKED: Self = Self(0x6983);
    /// 6985: not in this state.
    pub const CONDITIONS: Self = Self(0x6985);
    /// 6A80: the data field makes no sense.
    pub const BAD_DATA: Self = Self(0x6a80);
    /// 6A82: no such application or object.
    pub const NOT_FOUND: Self = Self(0x6a82);
    /// 6A86: P1 or P2 makes no sense.
    pub const BAD_P1P2: Self = Self(0x6a86);
    /// 6A88: the slot is empty.
    pub const REFERENCE_NOT_FOUND: Self = Self(0x6a88);
    /// 6D00: no such instruction.
    pub const BAD_INS: Self = Self(0x6d00);
    /// 6E00: no such class.
    pub const BAD_CLA: Self = Self(0x6e00);

    /// 63Cx: wrong PIN or PUK with `tries` left.
    #[must_use]
    pub fn tries_left(tries: u8) -> Self {
        Self(0x63c0 | u16::from(tries.min(15)))
    }

    /// 61xx: `left` more bytes can be fetched (00 stands for 256 or more).
    #[must_use]
    pub fn more(left: usize) -> Self {
        Self(0x6100 | u16::try_from(left).ok().filter(|n| *n < 256).unwrap_or(0))
    }
}

impl fmt::Debug for Sw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sw({:04x})", self.0)
    }
}

/// One command APDU, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Class; bit 10 hex means that more of the same command follows.
    pub cla: u8,
    /// Instruction.
    pub ins: u8,
    /// First parameter.
    pub p1: u8,
    /// Second parameter.
    pub p2: u8,
    /// The data field; empty in cases 1 and 2.
    pub data: Vec<u8>,
    /// The most bytes that one reply may carry: 256 for short forms, more for extended ones.
    pub le: usize,
}

impl Command {
    /// Takes one APDU apart.
    ///
    /// A short form always may be answered with 256 bytes: over T=1 cards answer even where no
    /// Le was sent, and clients rely on it.
    ///
    /// # Errors
    /// 6700 if the lengths inside do not add up to the length of the whole.
    pub fn parse(bytes: &[u8]) -> Result<Self, Sw> {
        let [cla, ins, p1, p2, body @ ..] = bytes else {
            return Err(Sw::WRONG_LENGTH);
        };
        let (data, le) = match *body {
            [] | [_] => (&body[..0], 256),
            [0, hi, lo] => (&body[..0], extended_le(hi, lo)),
            [0, hi, lo, ref rest @ ..] => {
                let lc = usize::from(u16::from_be_bytes([hi, lo]));
                match rest.split_at_checked(lc) {
                    Some((data, [])) => (data, 65_536),
                    Some((data, [hi, lo])) => (data, extended_le(*hi, *lo)),
                    _ => return Err(Sw::WRONG_LENGTH),
                }
            }
            [lc, ref rest @ ..] => match rest.split_at_checked(usize::from(lc)) {
                Some((data, [] | [_])) if lc != 0 => (data, 256),
                _ => return Err(Sw::WRONG_LENGTH),
            },
        };
        Ok(Self {
            cla: *cla,
            ins: *ins,
            p1: *p1,
            p2: *p2,
            data: data.to_vec(),
            le,
        })
    }

    fn is_chained(&self) -> bool {
        self.cla & 0x10 != 0
    }

    fn continues(&self, other: &Self) -> bool {
        (self.ins, self.p1, self.p2) == (other.ins, other.p1, other.p2)
    }
}

/// An extended Le, where 0 means the most.
fn extended_le(hi: u8, lo: u8) -> usize {
    match u16::from_be_bytes([hi, lo]) {
        0 => 65_536,
        n => usize::from(n),
    }
}

/// A response APDU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The data field.
    pub data: Vec<u8>,
    /// The status word.
    pub sw: Sw,
}

impl Response {
    /// The bytes that go over the wire: data, then SW1 SW2.
    #[must_use]
    pub fn to_bytes(mut self) -> Vec<u8> {
        self.data.extend_from_slice(&self.sw.0.to_be_bytes());
        self.data
    }
}

impl From<Sw> for Response {
    fn from(sw: Sw) -> Self {
        Self {
            data: Vec::new(),
            sw,
        }
    }
}

/// What is to be done with a command that came in.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// The command is whole: run it, then pass the answer through [`Transport::answer`].
    Run(Command),
    /// The transport answers by itself (a link of a chain, or GET RESPONSE).
    Reply(Response),
}

/// Chaining in both directions: commands that come in links, answers that leave in parts.
#[derive(Default)]
pub struct Transport {
    chain: Option<Command>,
    rest: Vec<u8>,
}

impl Transport {
    /// Takes one command in.
    pub fn accept(&mut self, command: Command) -> Step {
        if command.ins == INS_GET_RESPONSE {
            self.chain = None;
            let rest = std::mem::take(&mut self.rest);
            return Step::Reply(if rest.is_empty() {
                Sw::CONDITIONS.into()
            } else {
                self.part(rest, command.le)
            });
        }
        self.rest.clear();
        // A different command in the middle of a chain drops what was gathered.
        let gathered = self.chain.take().filter(|c| command.continues(c));
        let mut whole = match gathered {
            Some(mut c) => {
                c.data.extend_from_slice(&command.data);
                c.le = command.le;
                c
            }
            None => command.clone(),
        };
        if whole.data.len() > CHAIN_MAX {
            return Step::Reply(Sw::WRONG_LENGTH.into());
        }
        if command.is_chained() {
            self.chain = Some(whole);
            return Step::Reply(Sw::OK.into());
        }
        whole.cla &= !0x10;
        Step::Run(whole)
    }

    /// Cuts an answer to what the command's Le admits and keeps the rest for GET RESPONSE.
    pub fn answer(&mut self, response: Response, le: usize) -> Response {
        if response.sw != Sw::OK || response.data.len() <= le {
            return response;
        }
        self.part(response.data, le)
    }

    fn part(&mut self, mut data: Vec<u8>, le: usize) -> Response {
        let rest = data.split_off(le.min(data.len()));
        let sw = if rest.is_empty() {
            Sw::OK
        } else {
            Sw::more(rest.len())
        };
        self.rest = rest;
        Response { data, sw }
    }
}

#[cfg(test)]
mod tests;
