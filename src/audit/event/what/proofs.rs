//! What shows that the vault would open.

use super::super::field::{
    Kind::{Count, OneOf, Sha256, Text, Texts, Time},
    may, must,
};
use super::{GENERATION, JOURNAL, MANIFEST, VAULT, What};

pub(super) const DRILL_PASSED: What = What {
    fields: &[&[
        VAULT,
        GENERATION,
        MANIFEST,
        must("serial", Count, "the token's serial number"),
        must(
            "at",
            Time,
            "when the share was opened, by the custodian's machine",
        ),
        must(
            "handed_in_by",
            Text,
            "the account from which the receipt came",
        ),
        must("receipt_sha256", Sha256, "the receipt, as it was signed"),
    ]],
    envelopes: &["drill"],
    actions: &[],
};

pub(super) const DRILL_FAILED: What = What {
    fields: &[&[
        VAULT,
        may("generation", Count, "number of the generation"),
        must("layer", OneOf(LAYERS), "where it failed"),
        must("why", Text, "why, in one line"),
    ]],
    envelopes: &[],
    actions: &[],
};

const LAYERS: &[&str] = &[
    "papers",
    "token",
    "pin",
    "touch",
    "generation",
    "share_file",
    "age",
    "checksum",
    "words",
];

pub(super) const DRILL_STEP: What = What {
    fields: &[
        JOURNAL,
        &[
            must("roles", Texts, "the roles for which sessions are asked").on(&["drill_intent"]),
            must("role", Text, "the role").on(&["drilled", "drill_failed"]),
            must("region", Text, "in which Region it was refused").on(&["drilled"]),
            must("probe", Text, "the action that was refused").on(&["drilled"]),
            must("refused_with", Text, "AWS's code").on(&["drilled"]),
            must("why", Text, "why it failed").on(&["drill_failed"]),
        ],
    ],
    envelopes: &[],
    actions: &["drill_intent", "drilled", "drill_failed"],
};

pub(super) const DRILL_FULL: What = What {
    fields: &[&[
        VAULT,
        must("access", Text, "the access profile"),
        must(
            "time_to_quorum_ms",
            Count,
            "from the request to the last approval, in milliseconds",
        ),
        must(
            "time_to_access_ms",
            Count,
            "from there until every session was seen refused, in milliseconds",
        ),
    ]],
    envelopes: &[],
    actions: &[],
};

pub(super) const READINESS: What = What {
    fields: &[&[
        VAULT,
        must("cause", Text, "what it is about"),
        may("why", Text, "what is the matter, while it lasts"),
    ]],
    envelopes: &[],
    actions: &[],
};

pub(super) const SHEET: What = What {
    fields: &[&[
        VAULT,
        must("set", Text, "fingerprint of the recovery set"),
        may("group", Text, "the sheet's group"),
        must("share", Count, "the sheet's number in it"),
        must("of", Count, "how many sheets the group has"),
    ]],
    envelopes: &[],
    actions: &[],
};
