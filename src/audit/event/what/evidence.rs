//! The agent itself, and the record.

use super::super::field::{Kind::*, may, must};
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

pub(super) const TAMPERED: What = What {
    fields: &[&[
        must("how", Text, "what was done to it"),
        may("path", Text, "the file"),
        may("from", Count, "number of the first event that it is about"),
    ]],
    envelopes: &[],
    actions: &[],
};

pub(super) const RESET: What = What {
    fields: &[&[must("why", Text, "how that is known, in words")]],
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
