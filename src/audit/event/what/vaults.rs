//! Rosters, sealing, recovery.

use super::super::field::{
    Field,
    Kind::{Count, Flag, List, Sha256, Text, Texts, Time},
    may, must,
};
use super::{GENERATION, JOURNAL, MANIFEST, VAULT, What};

pub(super) const CUSTODIAN_ENROLLED: What = What {
    fields: &[&[
        VAULT,
        must("serial", Count, "the token's serial number"),
        must("firmware", Text, "the token's firmware"),
        must("unseal_key", Sha256, "id of the key that opens the share"),
        PROOF,
        must(
            "advisories",
            Texts,
            "what is known against tokens of this make",
        ),
        must("roster_version", Count, "the version that lists it first"),
    ]],
    envelopes: &[],
    actions: &[],
};

/// Who vouches for a token.
pub(super) const PROOF: Field = must("proof", Text, "who vouches for the token");

const ROSTER: &[Field] = &[
    VAULT,
    must("version", Count, "the roster's version"),
    must("sha256", Sha256, "the roster, as it was signed"),
    must("threshold", Count, "how many custodians have to approve"),
    must(
        "groups",
        List(GROUP),
        "custodians of whom a number must be among those who approve",
    ),
    must("custodians", Texts, "the custodians' names"),
    must("signed_by", Texts, "who has signed it: name and key id"),
    may(
        "by",
        Text,
        "'recovery shares' where those stood for lost tokens",
    ),
];

const GROUP: &[Field] = &[
    must("name", Text, "the group's name"),
    must("threshold", Count, "how many of its members must approve"),
    must("members", Texts, "its members' names"),
];

pub(super) const ROSTER_SIGNED: What = What {
    fields: &[ROSTER],
    envelopes: &["roster"],
    actions: &[],
};

pub(super) const ROSTER_CHANGED: What = What {
    fields: &[
        ROSTER,
        &[must(
            "changes",
            Texts,
            "what it changes, in plain words; '(widens)' where it widens power",
        )],
    ],
    envelopes: &["roster"],
    actions: &[],
};

pub(super) const RECOVERY_USED: What = What {
    fields: &[&[
        VAULT,
        GENERATION,
        MANIFEST,
        must("roster_sha256", Sha256, "the roster by which it was opened"),
        must(
            "opened_by",
            Text,
            "whose tokens or which recovery shares opened it",
        ),
        must(
            "proven_by",
            Texts,
            "ids of the keys that signed the record of it",
        ),
        must(
            "took",
            Text,
            "what was taken out: the credential, or a session in which role",
        ),
        may("session_until", Time, "when that session ends"),
        must(
            "opened_at",
            Time,
            "when it was opened, by the clock of the machine on which it was",
        ),
        must(
            "rotation_owed",
            Flag,
            "whether the key that was opened still lives",
        ),
    ]],
    envelopes: &["recovery"],
    actions: &[],
};

pub(super) const VAULT_SEALED: What = What {
    fields: &[
        JOURNAL,
        &[
            GENERATION,
            MANIFEST,
            must("access_key_id", Text, "id of the key that is sealed"),
        ],
    ],
    envelopes: &["manifest"],
    actions: &[],
};

pub(super) const BUNDLE_EXPORTED: What = What {
    fields: &[&[VAULT, GENERATION, MANIFEST]],
    envelopes: &[],
    actions: &[],
};
