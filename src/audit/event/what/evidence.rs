//! The agent itself, and the record.

use super::super::field::{
    Kind::{Count, List, Object, OneOf, Sha256, Text, Texts, Time},
    may, must,
};
use super::{ISOLATION, What};

pub(super) const AGENT_STARTED: What = What {
    fields: &[&[
        must("version", Text, "the program's version"),
        must(
            "config_sha256",
            Sha256,
            "the configuration, as it lay there",
        ),
        must(
            "checkpoint_every_seconds",
            Count,
            "the longest gap between two checkpoints",
        ),
        may(
            "isolation",
            OneOf(ISOLATION),
            "how the worker is kept apart; null where none answers",
        ),
    ]],
    envelopes: &[],
    actions: &[],
};

pub(super) const DEGRADED: What = What {
    fields: &[&[
        must("sink", Text, "the sink, by its name in the configuration"),
        may("why", Text, "what is the matter, in words"),
        may("since", Time, "since when"),
        may("behind", Count, "how many events it lacks"),
    ]],
    envelopes: &[],
    actions: &[],
};

pub(super) const RESTORED: What = What {
    fields: &[&[
        must("sink", Text, "the sink, by its name in the configuration"),
        may("since", Time, "since when it had lagged"),
    ]],
    envelopes: &[],
    actions: &[],
};

pub(super) const FLAWED: What = What {
    fields: &[&[
        must("sink", Text, "the sink, by its name in the configuration"),
        must("why", Text, "what the sink says, in words"),
    ]],
    envelopes: &[],
    actions: &[],
};

pub(super) const TAMPERED: What = What {
    fields: &[&[
        must("how", OneOf(HOW), "what was done to it"),
        may("path", Text, "the file or folder"),
        may("from", Count, "number of the first event that it is about"),
        must("why", Text, "how it shows, in words"),
        may("kept", Text, "the folder in which the evidence is kept"),
        may("not_kept", Text, "why it could not be kept"),
    ]],
    envelopes: &[],
    actions: &[],
};

/// What may be done to the live record.
const HOW: &[&str] = &[
    "removed",
    "replaced",
    "cut",
    "changed",
    "rights",
    "folder_moved",
    "store_changed",
];

pub(super) const ACKNOWLEDGED: What = What {
    fields: &[&[must(
        "events",
        List(&[must(
            "seq",
            Count,
            "number of an AUDIT_TAMPERED or STORE_RESET event",
        )]),
        "what was acknowledged",
    )]],
    envelopes: &[],
    actions: &[],
};

pub(super) const RESET: What = What {
    fields: &[&[
        must(
            "epoch",
            Count,
            "number of the epoch that begins here; the first that is so begun has 2",
        ),
        must(
            "lost_from",
            Count,
            "the first event that is lost or that nobody vouches for; its own number where nothing is lost",
        ),
        must(
            "held",
            Object(&[
                must("seq", Count, "its number"),
                must("hash", Sha256, "its line"),
            ]),
            "the newest head that anybody vouches for",
        ),
        must("by", Text, "who does"),
        must("why", Text, "how that is known, in words"),
        may(
            "taken_back_from",
            Count,
            "the first event that was taken back from the file on this host",
        ),
        may("taken_back_through", Count, "the last one"),
    ]],
    envelopes: &[],
    actions: &[],
};

pub(super) const COMPARED: What = What {
    fields: &[&[
        must(
            "event",
            Count,
            "number of the event whose fingerprints were compared",
        ),
        must(
            "fields",
            Texts,
            "those of its fields that are of the value; empty where none is",
        ),
        may(
            "not_at_hand",
            Texts,
            "ids of the peppers that could not be read for it",
        ),
    ]],
    envelopes: &[],
    actions: &[],
};

pub(super) const CHECKPOINT: What = What {
    fields: &[&[
        must("seq", Count, "number of the event that it is over"),
        must("hash", Sha256, "that event's line"),
        must("note", Text, "the signed note"),
    ]],
    envelopes: &[],
    actions: &[],
};
