//! The sealed key: replacing it, and what is found about it.

use super::super::field::{
    Field,
    Kind::{Count, Flag, OneOf, Sha256, Text, Time},
    may, must,
};
use super::{JOURNAL, PERHAPS_JOURNAL, VAULT, What};

const ACCESS_KEY: Field = must(
    "access_key_id",
    Text,
    "id of the key of the break-glass user",
);

/// The steps that write generations.
const SEALED: &[&str] = &[
    "generation_written",
    "generation_committed",
    "generation_adopted",
];
/// The steps at a place where the bundle is kept.
const PLACE: &[&str] = &[
    "claim_taken",
    "copy_written",
    "copy_lags",
    "place_unread",
    "generation_adopted",
];

pub(super) const ROTATION_STEP: What = What {
    fields: &[
        JOURNAL,
        &[
            must(
                "access_key_id",
                Text,
                "id of the key of the break-glass user that it is about",
            )
            .on(&[
                "rotation_intent",
                "stray_found",
                "deactivate_intent",
                "delete_intent",
                "stranger_disabled",
                "stranger_deleted",
                "key_created",
                "key_proven",
                "generation_committed",
                "key_deactivated",
                "key_refused",
                "key_deleted",
                "generation_adopted",
            ]),
            must("place", Text, "the place, by its name in the configuration").on(PLACE),
            must("generation", Count, "number of the generation").on(&[
                "generation_written",
                "generation_committed",
                "generation_adopted",
                "claim_taken",
                "copy_written",
                "copy_lags",
            ]),
            must(
                "manifest_sha256",
                Sha256,
                "the generation's manifest, as it was signed",
            )
            .on(SEALED),
            must("bundle_sha256", Sha256, "the bundle that lies there now").on(&["copy_written"]),
            may("taken_over_from", Sha256, "the host that had the claim").on(&["claim_taken"]),
            must("required", Flag, "whether policy wants a copy there").on(&["copy_lags"]),
            must("why", Text, "why").on(&["create_failed", "copy_lags", "place_unread"]),
            must(
                "proven_by",
                OneOf(&["itself", "id"]),
                "whether the dead key itself was refused, or its id is gone",
            )
            .on(&["key_refused"]),
        ],
        STRAY_STEP,
    ],
    envelopes: &["manifest"],
    actions: &[
        "rotation_intent",
        "stray_found",
        "create_intent",
        "create_failed",
        "deactivate_intent",
        "delete_intent",
        "stranger_disabled",
        "stranger_deleted",
        "key_created",
        "generation_written",
        "key_proven",
        "generation_committed",
        "key_deactivated",
        "key_refused",
        "key_deleted",
        "claim_taken",
        "copy_written",
        "copy_lags",
        "place_unread",
        "generation_adopted",
    ],
};

const OURS: Field = must("ours", Flag, "whether a worker of ours has made it");
const SURE: Field = must("sure", Flag, "whether that is known, and not only likely");
const ACTIVE: Field = must("active", Flag, "whether it was active");
const CREATED: Field = may("created", Time, "when AWS made it");

const STRAY_STEP: &[Field] = &[
    OURS.on(&["stray_found"]),
    SURE.on(&["stray_found"]),
    ACTIVE.on(&["stray_found"]),
    CREATED.on(&["stray_found"]),
];

pub(super) const STRANGER: What = What {
    fields: &[JOURNAL, &[ACCESS_KEY, OURS, SURE, ACTIVE, CREATED]],
    envelopes: &[],
    actions: &[],
};

pub(super) const ROTATED: What = What {
    fields: &[JOURNAL],
    envelopes: &["receipt"],
    actions: &[],
};

pub(super) const PENDING: What = What {
    fields: &[
        PERHAPS_JOURNAL,
        &[
            must("why", Text, "why the key could not be replaced yet"),
            may(
                "access_key_id",
                Text,
                "id of the old key, where only its deletion is owed",
            ),
            may(
                "shares_released",
                Count,
                "how many shares had been released for it",
            ),
        ],
    ],
    envelopes: &[],
    actions: &[],
};

pub(super) const OVERDUE: What = What {
    fields: &[&[
        VAULT,
        must("due", Time, "by when it should have been replaced"),
        may("why", Text, "why it was not, as far as is known"),
    ]],
    envelopes: &[],
    actions: &[],
};

pub(super) const MISUSED: What = What {
    fields: &[
        JOURNAL,
        &[
            ACCESS_KEY,
            must("used_at", Time, "when it was used, as AWS says"),
            must("region", Text, "in which Region"),
            must("service", Text, "at which service"),
        ],
    ],
    envelopes: &[],
    actions: &[],
};
