//! What can be wrong with shares, one variant for each layer that can refuse them.
//!
//! Words and shares are counted from 1, as people count them and as sheets number them. No error holds or prints a
//! word, a share or any part of one.

use std::fmt;

/// Why a secret, a scheme, a share or a set of shares was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The secret is not 16 to 64 bytes long, or its length is odd.
    SecretLength {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A passphrase for new shares has something else than printable ASCII (codes 32 to 126).
    Passphrase,
    /// The iteration exponent is above 15.
    SchemeExponent,
    /// There are no groups, or more than 16.
    SchemeGroupCount {
        /// How many were asked for.
        groups: usize,
    },
    /// The group threshold is zero or above the number of groups.
    SchemeGroupThreshold,
    /// A group has no members, or more than 16.
    SchemeMemberCount {
        /// Which group, from 1.
        group: usize,
    },
    /// A group's member threshold is zero or above the number of its members.
    SchemeMemberThreshold {
        /// Which group, from 1.
        group: usize,
    },
    /// A group asks for one of several members: all would hold the same share, which the standard forbids.
    SchemeOneOfMany {
        /// Which group, from 1.
        group: usize,
    },
    /// The source of randomness failed.
    Random,

    /// A word is not in the list.
    UnknownWord {
        /// Which word of the share, from 1.
        position: usize,
    },
    /// No share has this many words.
    Length {
        /// How many there are.
        words: usize,
    },
    /// The checksum does not fit the words.
    Checksum {
        /// The one word (from 1) that is wrong, if one wrong word explains the checksum and only one can. One wrong
        /// word is always found so; two never look like one; three or more rarely do.
        suspect: Option<usize>,
    },
    /// The share's value is not filled up with zeros.
    Padding,
    /// The share asks for more groups than it says there are.
    GroupThresholdAboveCount,
    /// The share's group has a number above the number of groups.
    GroupIndex,

    /// There is no share at all.
    NoShares,
    /// A share has another identifier than the first: it is of another set.
    IdentifierMismatch {
        /// Which share of those given, from 1.
        share: usize,
    },
    /// A share has another extendable flag than the first.
    ExtendableMismatch {
        /// Which share of those given, from 1.
        share: usize,
    },
    /// A share has another iteration exponent than the first.
    ExponentMismatch {
        /// Which share of those given, from 1.
        share: usize,
    },
    /// A share has another group threshold than the first.
    GroupThresholdMismatch {
        /// Which share of those given, from 1.
        share: usize,
    },
    /// A share has another group count than the first.
    GroupCountMismatch {
        /// Which share of those given, from 1.
        share: usize,
    },
    /// A share has another length than the first.
    LengthMismatch {
        /// Which share of those given, from 1.
        share: usize,
    },
    /// A share has another member threshold than the first of its group.
    MemberThresholdMismatch {
        /// Which share of those given, from 1.
        share: usize,
    },
    /// A share has the member index of an earlier one of its group.
    DuplicateMember {
        /// Which share of those given, from 1.
        share: usize,
        /// The earlier one.
        earlier: usize,
    },
    /// Fewer groups than the group threshold.
    TooFewGroups {
        /// Groups with at least one share here.
        given: usize,
        /// The group threshold.
        needed: usize,
    },
    /// More groups than the group threshold; the standard wants exactly as many.
    TooManyGroups {
        /// Groups with at least one share here.
        given: usize,
        /// The group threshold.
        needed: usize,
    },
    /// Fewer shares of a group than its member threshold.
    TooFewMembers {
        /// The group's number, from 1.
        group: usize,
        /// Shares of it here.
        given: usize,
        /// Its member threshold.
        needed: usize,
    },
    /// More shares of a group than its member threshold; the standard wants exactly as many.
    TooManyMembers {
        /// The group's number, from 1.
        group: usize,
        /// Shares of it here.
        given: usize,
        /// Its member threshold.
        needed: usize,
    },
    /// The digest does not fit what a group's shares yield: one of them is not what was handed out.
    MemberDigest {
        /// The group's number, from 1.
        group: usize,
    },
    /// The digest does not fit what the groups yield together.
    GroupDigest,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Error::*;
        match self {
            SecretLength { bytes } => write!(
                f,
                "a secret has 16 to 64 bytes, an even number; this one has {bytes}"
            ),
            Passphrase => f.write_str("the passphrase has characters outside printable ascii"),
            SchemeExponent => f.write_str("the iteration exponent is above 15"),
            SchemeGroupCount { groups } => write!(f, "there can be 1 to 16 groups, not {groups}"),
            SchemeGroupThreshold => {
                f.write_str("the group threshold is not between 1 and the number of groups")
            }
            SchemeMemberCount { group } => write!(f, "group {group} does not have 1 to 16 members"),
            SchemeMemberThreshold { group } => {
                write!(
                    f,
                    "the threshold of group {group} is not between 1 and the number of its members"
                )
            }
            SchemeOneOfMany { group } => {
                write!(
                    f,
                    "group {group} has several members and a threshold of one: all shares would be the same"
                )
            }
            Random => f.write_str("the system's source of randomness failed"),
            UnknownWord { position } => write!(f, "word {position} is not in the word list"),
            Length { words } => write!(f, "no share has {words} {}", plural(*words, "word")),
            Checksum {
                suspect: Some(word),
            } => write!(f, "the checksum does not fit: word {word} looks wrong"),
            Checksum { suspect: None } => f.write_str(
                "the checksum does not fit: more than one word is wrong or out of order",
            ),
            Padding => f.write_str(
                "the share is not filled up with zeros, so it was not made by the standard",
            ),
            GroupThresholdAboveCount => {
                f.write_str("the share asks for more groups than there are")
            }
            GroupIndex => f.write_str("the share is of a group beyond the number of groups"),
            NoShares => f.write_str("there are no shares"),
            IdentifierMismatch { share } => {
                write!(f, "share {share} is of another set than share 1")
            }
            ExtendableMismatch { share } => {
                write!(f, "share {share} has another extendable flag than share 1")
            }
            ExponentMismatch { share } => write!(
                f,
                "share {share} has another iteration exponent than share 1"
            ),
            GroupThresholdMismatch { share } => {
                write!(f, "share {share} has another group threshold than share 1")
            }
            GroupCountMismatch { share } => {
                write!(f, "share {share} has another group count than share 1")
            }
            LengthMismatch { share } => write!(f, "share {share} has another length than share 1"),
            MemberThresholdMismatch { share } => {
                write!(
                    f,
                    "share {share} has another member threshold than the shares of its group before it"
                )
            }
            DuplicateMember { share, earlier } => {
                write!(
                    f,
                    "share {share} has the same place in its group as share {earlier}"
                )
            }
            TooFewGroups { given, needed } => {
                write!(
                    f,
                    "shares of {needed} {} are needed, of {given} are here",
                    plural(*needed, "group")
                )
            }
            TooManyGroups { given, needed } => {
                write!(
                    f,
                    "shares of exactly {needed} {} are needed, of {given} are here",
                    plural(*needed, "group")
                )
            }
            TooFewMembers {
                group,
                given,
                needed,
            } => {
                write!(
                    f,
                    "group {group} needs {needed} {}, {given} here",
                    plural(*needed, "share")
                )
            }
            TooManyMembers {
                group,
                given,
                needed,
            } => {
                write!(
                    f,
                    "group {group} needs exactly {needed} {}, {given} here",
                    plural(*needed, "share")
                )
            }
            MemberDigest { group } => {
                write!(f, "the shares of group {group} do not belong together")
            }
            GroupDigest => f.write_str("the groups do not belong together"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// What to do about it, in one line, where there is something to do.
    pub fn hint(&self) -> Option<&'static str> {
        use Error::*;
        Some(match self {
            Passphrase => {
                "use letters, digits, punctuation and spaces of ascii, which every tool writes the same way"
            }
            SchemeOneOfMany { .. } => "take a threshold of two or more, or copy a 1-of-1 share",
            UnknownWord { .. } => {
                "compare that word with the sheet; its first four letters are enough"
            }
            Length { .. } => {
                "a share of 128 bits has 20 words, one of 256 bits 33: count them against the sheet"
            }
            Checksum { suspect: Some(_) } => "compare that word with the sheet",
            Checksum { suspect: None } => "compare the words and their order with the sheet",
            IdentifierMismatch { .. } => {
                "shares of one set begin with the same word: find one that does"
            }
            ExtendableMismatch { .. }
            | ExponentMismatch { .. }
            | GroupThresholdMismatch { .. }
            | GroupCountMismatch { .. }
            | LengthMismatch { .. }
            | MemberThresholdMismatch { .. } => "take shares that were made together",
            DuplicateMember { .. } => "the same share was given twice: take another one",
            TooFewGroups { .. } | TooFewMembers { .. } => {
                "add shares until the threshold is reached"
            }
            TooManyGroups { .. } | TooManyMembers { .. } => {
                "leave shares out until the threshold is met exactly"
            }
            MemberDigest { .. } | GroupDigest => {
                "one of the shares is not what was handed out: check each against its recorded digest, or try others"
            }
            SecretLength { .. }
            | SchemeExponent
            | SchemeGroupCount { .. }
            | SchemeGroupThreshold
            | SchemeMemberCount { .. }
            | SchemeMemberThreshold { .. }
            | Random
            | Padding
            | GroupThresholdAboveCount
            | GroupIndex
            | NoShares => return None,
        })
    }
}

fn plural(count: usize, word: &'static str) -> impl fmt::Display {
    struct Plural(bool, &'static str);
    impl fmt::Display for Plural {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}{}", self.1, if self.0 { "s" } else { "" })
        }
    }
    Plural(count != 1, word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_is_wrong_in_plain_words() {
        for (error, text) in [
            (
                Error::UnknownWord { position: 7 },
                "word 7 is not in the word list",
            ),
            (
                Error::Checksum { suspect: Some(12) },
                "the checksum does not fit: word 12 looks wrong",
            ),
            (Error::Length { words: 1 }, "no share has 1 word"),
            (
                Error::TooFewMembers {
                    group: 1,
                    given: 1,
                    needed: 2,
                },
                "group 1 needs 2 shares, 1 here",
            ),
            (
                Error::TooFewGroups {
                    given: 0,
                    needed: 1,
                },
                "shares of 1 group are needed, of 0 are here",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
