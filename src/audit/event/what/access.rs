//! From a request to what is done with the session.

use super::super::field::{Field, Kind::*, may, must};
use super::{GENERATION, ISOLATION, JOURNAL, MANIFEST, PERHAPS_JOURNAL, VAULT, What};

/// What the operator declares, whether custodians are asked or not.
const DECLARED: &[Field] = &[
    VAULT,
    must("access", Text, "the access profile that is asked for"),
    may("scenario", Text, "the scenario that is declared"),
    may(
        "subject",
        Fingerprint,
        "whose data it is about, as a fingerprint",
    ),
    may(
        "commander_claimed",
        Text,
        "the incident commander, by the operator's word",
    ),
    may("follows", Text, "the request that it continues"),
];

const CHECK: &[Field] = &[
    must("name", Text, "the check's name in the scenario"),
    must(
        "required",
        Flag,
        "whether custodians are asked only where it has passed",
    ),
    must("passed", Flag, "whether it has passed"),
    must("output", Text, "what it printed, on one line"),
];

pub(super) const REQUEST_REFUSED: What = What {
    fields: &[
        DECLARED,
        &[
            must("why", Text, "why custodians are not asked"),
            must("checks", List(CHECK), "what the scenario's checks came to"),
        ],
    ],
    envelopes: &[],
    actions: &[],
};

pub(super) const REQUESTED: What = What {
    fields: &[
        DECLARED,
        &[
            GENERATION,
            MANIFEST,
            must("account", Text, "the AWS account"),
            must("role", Arn, "the role that is to be assumed"),
            may("also", Texts, "further roles"),
            must("not_after", Time, "when the session would end"),
            must("approve_before", Time, "until when custodians may approve"),
            must("policy_sha256", Sha256, "the final session policy"),
            must(
                "roster_sha256",
                Sha256,
                "the roster by which approvals count",
            ),
            must(
                "request_sha256",
                Sha256,
                "the request, as custodians sign it",
            ),
            must(
                "isolation",
                OneOf(ISOLATION),
                "how the worker is kept apart from the agent",
            ),
            may("checks", List(CHECK), "what the scenario's checks came to"),
            may("member_of", Texts, "the operator's groups, by the roster"),
            may(
                "drill",
                Flag,
                "yes where it is a drill: the session may do nothing",
            ),
            may(
                "closes",
                Texts,
                "the requests whose sessions it closes; it opens none",
            ),
            may(
                "takes_up_roster",
                Count,
                "the roster version that it takes up; it opens no session",
            ),
        ],
    ],
    envelopes: &["offer", "roster"],
    actions: &[],
};

pub(super) const AUTHORISED: What = What {
    fields: &[&[
        VAULT,
        must("operator", Text, "who asked"),
        may(
            "commander_claimed",
            Text,
            "the incident commander, by the operator's word",
        ),
        must("request_sha256", Sha256, "the request that is authorised"),
        must("stage", Text, "how far the request was"),
        may("nature", Text, "what the incident is"),
        may("impact", Text, "what it is expected to do"),
        may(
            "why_not_standard",
            Text,
            "why standard procedures do not do",
        ),
    ]],
    envelopes: &[],
    actions: &[],
};

const VOTE: &[Field] = &[
    VAULT,
    must("serial", Count, "the token's serial number"),
    must("handed_in_by", Text, "the account from which it came"),
    must(
        "standing",
        OneOf(&["waiting", "approved", "denied"]),
        "where the request stands after it",
    ),
];

/// What is told of a custodian's token.
const TOKEN: &[Field] = &[
    may("proof", Text, "who vouches for the token"),
    may(
        "advisories",
        Texts,
        "numbers of the advisories that are about it",
    ),
];

pub(super) const APPROVED: What = What {
    fields: &[VOTE, TOKEN],
    envelopes: &["approve"],
    actions: &[],
};

pub(super) const DENIED: What = What {
    fields: &[VOTE, TOKEN],
    envelopes: &["deny"],
    actions: &[],
};

pub(super) const WITHDRAWN: What = What {
    fields: &[VOTE],
    envelopes: &["withdraw"],
    actions: &[],
};

pub(super) const APPROVAL_REFUSED: What = What {
    fields: &[&[
        must("why", Text, "why it does not count"),
        must(
            "kind",
            OneOf(&["approve", "deny", "withdraw"]),
            "what it was",
        ),
        must("handed_in_by", Text, "the account from which it came"),
        must("envelope_sha256", Sha256, "the envelope as it came"),
    ]],
    envelopes: &[],
    actions: &[],
};

pub(super) const REQUEST_EXPIRED: What = What {
    fields: &[&[VAULT, must("why", Text, "why it ended")]],
    envelopes: &[],
    actions: &[],
};

pub(super) const REQUEST_FAILED: What = What {
    fields: &[
        PERHAPS_JOURNAL,
        &[
            must("why", Text, "why there is no access"),
            may(
                "may_exist",
                Flag,
                "whether AWS may have made a session all the same",
            ),
        ],
    ],
    envelopes: &[],
    actions: &[],
};

pub(super) const MINT_INTENT: What = What {
    fields: &[
        JOURNAL,
        &[
            must("role", Text, "the role that is to be assumed"),
            may("also", Texts, "further roles"),
            must("not_after", Time, "when the session is to end"),
            must("revocation", Text, "name of the policy that would deny it"),
        ],
    ],
    envelopes: &[],
    actions: &[],
};

pub(super) const ACCESS: What = What {
    fields: &[
        JOURNAL,
        &[
            must("role", Text, "the role"),
            must("not_after", Time, "when the session ends"),
            may(
                "credentials_until",
                Time,
                "when its credentials end, by AWS's own word",
            ),
            must(
                "access_key",
                Fingerprint,
                "the session's access key id, as a fingerprint",
            ),
            may("asked_by", Text, "the account that asked"),
        ],
    ],
    envelopes: &[],
    actions: &[],
};

pub(super) const TARGET_FAILED: What = What {
    fields: &[
        JOURNAL,
        &[
            must("role", Text, "the role that was not opened"),
            must("why", Text, "why"),
        ],
    ],
    envelopes: &[],
    actions: &[],
};

pub(super) const DELIVERED: What = What {
    fields: &[&[
        must("role", Text, "the role").on(&["deliver"]),
        must("not_after", Time, "when the session ends").on(&["deliver"]),
        may(
            "form",
            OneOf(&["environment", "console"]),
            "in which form, where it is not the AWS CLI's own question",
        )
        .on(&["deliver"]),
        must(
            "deliveries_since_last",
            Count,
            "how many more there were since the last such event",
        ),
    ]],
    envelopes: &[],
    actions: &["deliver", "count_deliveries"],
};

pub(super) const ACTION: What = What {
    fields: &[&[may("note", Text, "what the operator wrote down")]],
    envelopes: &[],
    actions: &["note"],
};

const CHUNKS: &[Field] = &[
    must("recording", Count, "its number within the request"),
    must("title", Text, "what was recorded"),
    must("readers", Texts, "the officers to whom it is sealed"),
    must("chunks", Count, "how many chunks are on disk"),
    must("bytes", Count, "how many bytes they have"),
    must("sha256", Sha256, "one digest over all of them"),
];

pub(super) const RECORDING: What = What {
    fields: &[CHUNKS],
    envelopes: &[],
    actions: &[],
};

pub(super) const RECORDING_READ: What = What {
    fields: &[CHUNKS, &[may("exit", Count, EXIT), may("why", Text, BROKE)]],
    envelopes: &[],
    actions: &[],
};

pub(super) const RECORDING_ENDED: What = What {
    fields: &[CHUNKS, &[must("exit", Count, EXIT)]],
    envelopes: &[],
    actions: &[],
};

pub(super) const RECORDING_FAILED: What = What {
    fields: &[CHUNKS, &[must("why", Text, BROKE)]],
    envelopes: &[],
    actions: &[],
};

const EXIT: &str = "exit code of what was recorded";
const BROKE: &str = "why it could not begin, or broke off";
