//! Closing, revoking, the named secrets, and what follows a session.

use super::super::field::{Field, Kind::*, may, must};
use super::{JOURNAL, PERHAPS_JOURNAL, VAULT, What};

pub(super) const CLOSED: What = What {
    fields: &[&[
        VAULT,
        must("why", Text, "by whom, or why nobody had to ask"),
        may(
            "forced",
            Flag,
            "yes where an officer closes somebody else's",
        ),
        may(
            "deliveries_since_last",
            Count,
            "deliveries of credentials that were only counted so far",
        ),
        may("continued_by", Text, "the request that continues it"),
    ]],
    envelopes: &[],
    actions: &["close", "hand_over"],
};

pub(super) const EXPIRED: What = What {
    fields: &[
        PERHAPS_JOURNAL,
        &[
            must("ended", Time, "when its time ran out"),
            may(
                "observed",
                Flag,
                "no where the host kept nothing that could observe it",
            ),
            may("why", Text, "why it was not observed"),
        ],
    ],
    envelopes: &[],
    actions: &[],
};

pub(super) const REVOCATION_STEP: What = What {
    fields: &[
        PERHAPS_JOURNAL,
        &[
            must(
                "role",
                Text,
                "the role; empty where it is about all of them",
            )
            .on(&[
                "revoke_intent",
                "revoke_applied",
                "refusal_observed",
                "close_pending",
            ]),
            must(
                "policy",
                Text,
                "name of the inline policy that denies the session",
            )
            .on(&["revoke_intent", "revoke_applied"]),
            must("region", Text, "in which Region it was refused").on(&["refusal_observed"]),
            must("since", Time, "the first refusal of the row").on(&["refusal_observed"]),
            must("refusals", Count, "how many in a row").on(&["refusal_observed"]),
            must("why", Text, "why it cannot go on now").on(&["close_pending", "not_observed"]),
            must("tries", Count, "how often it was tried").on(&["close_pending"]),
            may("next_attempt", Time, "when it is tried again").on(&["close_pending"]),
            must("until", Time, "when it ends by itself").on(&["not_observed", "not_kept"]),
            must(
                "observed",
                Flag,
                "no: it is denied, and nobody saw it refused",
            )
            .on(&["not_observed"]),
            must(
                "denied_by_tag",
                Flag,
                "whether all its sessions are denied by now",
            )
            .on(&["not_kept"]),
            must(
                "closes",
                Texts,
                "the requests whose sessions are to be closed",
            )
            .on(&["close_only_intent"]),
            must(
                "denied",
                Texts,
                "the requests whose sessions are denied now",
            )
            .on(&["close_only_done"]),
            must("left", Texts, "the requests that are not closed, and why")
                .on(&["close_only_done"]),
        ],
    ],
    envelopes: &[],
    actions: &[
        "revoke_intent",
        "revoke_applied",
        "refusal_observed",
        "not_observed",
        "close_only_intent",
        "close_only_done",
        "close_pending",
        "not_kept",
    ],
};

pub(super) const REVOKED: What = What {
    fields: &[JOURNAL],
    envelopes: &["receipt"],
    actions: &[],
};

const SECRET: Field = must("secret", Text, "the secret, by its ARN");

pub(super) const SECRET_STEP: What = What {
    fields: &[
        JOURNAL,
        &[
            SECRET,
            may("version", Text, "the new version's id, where it is known"),
        ],
    ],
    envelopes: &[],
    actions: &[
        "secret_intent",
        "secret_requested",
        "secret_staged",
        "secret_set",
        "secret_tested",
        "secret_withdrawn",
    ],
};

pub(super) const SECRET_ROTATED: What = What {
    fields: &[
        JOURNAL,
        &[
            SECRET,
            must("version", Text, "the version that AWSCURRENT is on now"),
        ],
    ],
    envelopes: &["receipt"],
    actions: &[],
};

pub(super) const SECRET_FAILED: What = What {
    fields: &[
        PERHAPS_JOURNAL,
        &[
            SECRET,
            must("why", Text, "why it was not rotated"),
            must("again", Flag, "whether the host tries again by itself"),
        ],
    ],
    envelopes: &[],
    actions: &[],
};

const DUE: Field = must("due", Time, "by when");
const OPERATOR: Field = must("operator", Text, "who asked");

pub(super) const REVIEW_DUE: What = What {
    fields: &[&[
        VAULT,
        OPERATOR,
        must("hours", Count, "how long an officer has, by the scenario"),
        DUE,
    ]],
    envelopes: &[],
    actions: &[],
};

pub(super) const REVIEW_OVERDUE: What = What {
    fields: &[&[VAULT, OPERATOR, DUE]],
    envelopes: &[],
    actions: &[],
};

pub(super) const REVIEW_SIGNED: What = What {
    fields: &[&[
        VAULT,
        must("request_sha256", Sha256, "the request that was reviewed"),
        DUE,
        must("in_time", Flag, "whether it came in time"),
        must("authorised", Flag, "was it authorised"),
        must("accounted", Flag, "is every action accounted for"),
        must("avoidable", Flag, "could it have been resolved without"),
        must("deviations", Count, "how many deviations are named"),
        must("findings_sha256", Sha256, "the findings' text"),
        must("findings", Text, "the findings, as they were handed in"),
    ]],
    envelopes: &[],
    actions: &[],
};

pub(super) const REPORT_FILED: What = What {
    fields: &[&[
        VAULT,
        must(
            "with",
            OneOf(&["report", "board"]),
            "as the formal report, or with the change board",
        ),
        must("reference", Text, "where it can be found"),
        must("report_sha256", Sha256, "what was handed in"),
        DUE,
        must("in_time", Flag, "whether it came in time"),
    ]],
    envelopes: &[],
    actions: &[],
};
