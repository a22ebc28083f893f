//! Recordings of what an operator's terminal showed, and notes: between the operator's program, the agent, and an officer's program.
//!
//! The operator's program seals: each chunk is a binary age file of its own (<https://age-encryption.org/v1>) to the recipients of all
//! officers in the roster. The agent sees ciphertext alone. It has written a chunk and synced it to disk before it answers, and the program
//! shows what is in it only then: whatever somebody has seen is kept, and the operator cannot take it back.
//!
//! What the record says of a recording is how many chunks it has and [`chain`] over them, so that every chunk and their order are pinned.

use serde::{Deserialize, Serialize};

use crate::trust::{Bytes, Digest, Timestamp};

/// The largest sealed chunk, in bytes: in base64 it fits into a body of [`MAX_BODY`](super::socket::MAX_BODY).
pub const MAX_CHUNK: usize = 40 * 1024;
/// The most bytes of chunks in one page.
pub const PAGE_BYTES: usize = 1024 * 1024;
/// The longest note, in characters.
pub const MAX_NOTE: usize = 1000;
/// A recording of which nothing was heard for so many seconds has broken off.
pub const SILENCE_SECONDS: i64 = 10;

/// One part of a recording as it comes in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "snake_case", deny_unknown_fields)]
pub enum RecordingPart {
    /// A recording begins; the agent numbers it.
    Begin {
        /// What is recorded, in one word or two: `shell`, or the name of the program without its arguments.
        title: String,
        /// The officers to whose recipients it is sealed, by name.
        readers: Vec<String>,
    },
    /// The next chunk. The same one may be sent again after a lost answer.
    Chunk {
        /// Number of the recording within its request.
        recording: u32,
        /// Number of the chunk, from 1.
        chunk: u64,
        /// A binary age file of at most [`MAX_CHUNK`] bytes.
        age: Bytes,
    },
    /// Nothing new; the program is still there.
    Alive {
        /// Number of the recording.
        recording: u32,
    },
    /// The command has ended, and everything was handed over.
    End {
        /// Number of the recording.
        recording: u32,
        /// The command's exit code, as a shell gives it.
        exit: u8,
    },
    /// It could not be begun or cannot go on.
    Fail {
        /// Number of the recording; absent where it could not be begun.
        recording: Option<u32>,
        /// Why, in plain words of at most 400 characters.
        why: String,
    },
}

/// What the agent has of it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingNoted {
    /// Number of the recording; 0 where none was begun.
    pub recording: u32,
    /// How many chunks are on disk.
    pub chunks: u64,
    /// [`chain`] over them.
    pub head: Digest,
}

/// A recording as everybody listed may see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordingView {
    /// Its number within the request, from 1.
    pub recording: u32,
    /// What is recorded: `shell`, or a program's name.
    pub title: String,
    /// The officers who can read it, by name.
    pub readers: Vec<String>,
    /// When it began.
    pub began: Timestamp,
    /// How many chunks stand on record.
    pub chunks: u64,
    /// How many bytes they have, sealed.
    pub bytes: u64,
    /// [`chain`] over them.
    pub head: Digest,
    /// The newest event that says so; 0 before the first.
    pub seq: u64,
    /// How it stands.
    #[serde(flatten)]
    pub state: RecordingState,
}

/// How a recording stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RecordingState {
    /// It goes on.
    Running,
    /// The command has ended, and all of it is there.
    Ended {
        /// When.
        at: Timestamp,
        /// The command's exit code.
        exit: u8,
    },
    /// It broke off, by itself or with the program that made it; what came before is there.
    Failed {
        /// When that was seen.
        at: Timestamp,
        /// Why, in plain words.
        why: String,
    },
}

impl RecordingView {
    /// In one line, e.g. `recording 1 (shell): running, 12 chunks, for sofia`.
    pub fn in_words(&self) -> String {
        let state = match &self.state {
            RecordingState::Running => "running".to_owned(),
            RecordingState::Ended { exit: 0, .. } => "complete".to_owned(),
            RecordingState::Ended { exit, .. } => format!("complete (exit code {exit})"),
            RecordingState::Failed { why, .. } => format!("broke off: {why}"),
        };
        format!(
            "recording {} ({}): {state}, {} chunks, for {}",
            self.recording,
            self.title,
            self.chunks,
            self.readers.join(", ")
        )
    }
}

/// Chunks of one recording, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingPage {
    /// What is on record of it.
    pub recording: RecordingView,
    /// Chunks from the one that was asked for on; none where there is no such chunk yet.
    pub chunks: Vec<Bytes>,
}

/// Something that the operator did or saw and wants on record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// In plain words, one line, 1 to [`MAX_NOTE`] characters.
    pub text: String,
}

/// Where the note stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noted {
    /// Number of its event.
    pub seq: u64,
    /// Its time.
    pub at: Timestamp,
}

/// The chain before the first chunk.
pub const START: Digest = Digest([0; 32]);

/// The chain over the chunks so far with one more: SHA-256 of the digest before and the chunk's own SHA-256, 64 bytes.
pub fn chain(before: Digest, chunk: &[u8]) -> Digest {
    let mut both = [0; 64];
    both[..32].copy_from_slice(&before.0);
    both[32..].copy_from_slice(&Digest::of(chunk).0);
    Digest::of(&both)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_pins_every_chunk_and_their_order() {
        let of = |chunks: &[&[u8]]| chunks.iter().fold(START, |head, c| chain(head, c));
        let whole = of(&[b"one", b"two", b"three"]);
        for other in [
            &[&b"two"[..], b"one", b"three"][..],
            &[b"one", b"two"],
            &[b"one", b"two", b"three", b"three"],
            &[b"one", b"two", b"Three"],
            &[b"onetwo", b"three"],
        ] {
            assert_ne!(of(other), whole);
        }
        // One chunk by hand: printf 'one' | sha256sum, behind 32 zero bytes.
        assert_eq!(
            of(&[b"one"]).to_string(),
            "c7e3347570821fed43690c2125ce36b1fb0ca7787ba0f219b8e75ee0fc7b4644"
        );
    }

    #[test]
    fn what_is_known_of_one_is_read_again() {
        let at = Timestamp(1_767_225_600);
        for state in [
            RecordingState::Running,
            RecordingState::Ended { at, exit: 3 },
            RecordingState::Failed {
                at,
                why: "the disk is full".to_owned(),
            },
        ] {
            let view = RecordingView {
                recording: 1,
                title: "shell".to_owned(),
                readers: vec!["sofia".to_owned()],
                began: at,
                chunks: 2,
                bytes: 300,
                head: START,
                seq: 7,
                state,
            };
            let json = serde_json::to_string(&view).expect("json");
            let again: RecordingView = serde_json::from_str(&json).expect("read again");
            assert_eq!(again, view, "{json}");
        }
    }

    #[test]
    fn a_chunk_fits_into_a_body() {
        let part = RecordingPart::Chunk {
            recording: u32::MAX,
            chunk: u64::MAX,
            age: Bytes(vec![0xff; MAX_CHUNK]),
        };
        let body = serde_json::to_vec(&part).expect("json");
        assert!(
            body.len() <= super::super::socket::MAX_BODY,
            "{}",
            body.len()
        );
    }
}
