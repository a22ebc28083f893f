//! From a secret to shares.

use crate::error::Error;
use crate::feistel::{self, Parameters};
use crate::mnemonic::{Mnemonic, ShareInfo};
use crate::secret::Secret;
use crate::shamir;
use rand_core::CryptoRngCore;

/// Most groups, and most members of a group.
pub const MOST_SHARES: u8 = 16;
const MOST_EXPONENT: u8 = 15;

/// Who can recover the secret together: any `group_threshold` groups, each with its own threshold of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// Leave the identifier out of the encryption, so that further sets of the same secret fit the same passphrase.
    pub extendable: bool,
    /// PBKDF2's iterations are 10,000 times 2 to this power, 0 to 15. Without a passphrase they add nothing.
    pub iteration_exponent: u8,
    /// How many groups are needed, 1 to the number of groups.
    pub group_threshold: u8,
    /// The groups, 1 to 16.
    pub groups: Vec<Group>,
}

/// One group of a [`Scheme`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// How many of its members are needed, 1 to `count`.
    pub threshold: u8,
    /// How many members it has, 1 to 16; just 1 if the threshold is 1.
    pub count: u8,
}

impl Scheme {
    /// Any `threshold` of `count` people: a single group, extendable, exponent 0.
    pub fn single(threshold: u8, count: u8) -> Scheme {
        Scheme {
            extendable: true,
            iteration_exponent: 0,
            group_threshold: 1,
            groups: vec![Group { threshold, count }],
        }
    }

    /// Whether shares can be made by this scheme; [`split`] asks the same first.
    ///
    /// # Errors
    /// The `Scheme...` variants of [`Error`].
    pub fn check(&self) -> Result<(), Error> {
        if self.iteration_exponent > MOST_EXPONENT {
            return Err(Error::SchemeExponent);
        }
        if !(1..=usize::from(MOST_SHARES)).contains(&self.groups.len()) {
            return Err(Error::SchemeGroupCount {
                groups: self.groups.len(),
            });
        }
        if !(1..=self.groups.len()).contains(&self.group_threshold.into()) {
            return Err(Error::SchemeGroupThreshold);
        }
        for (index, &Group { threshold, count }) in self.groups.iter().enumerate() {
            let group = index + 1;
            if !(1..=MOST_SHARES).contains(&count) {
                return Err(Error::SchemeMemberCount { group });
            }
            if !(1..=count).contains(&threshold) {
                return Err(Error::SchemeMemberThreshold { group });
            }
            if threshold == 1 && count > 1 {
                return Err(Error::SchemeOneOfMany { group });
            }
        }
        Ok(())
    }
}

/// Splits a secret: one list of shares for each group, in the scheme's order (SLIP-0039, "Generating the shares").
///
/// The passphrase, empty for none, must be printable ASCII. There is no way to tell a wrong one from the right one
/// later: it recovers another secret.
///
/// # Errors
/// The `Scheme...` variants, [`Error::Passphrase`], [`Error::Random`].
pub fn split(
    secret: &Secret,
    passphrase: &[u8],
    scheme: &Scheme,
    rng: &mut impl CryptoRngCore,
) -> Result<Vec<Vec<Mnemonic>>, Error> {
    split_with(secret, passphrase, scheme, rng)
}

fn split_with(
    secret: &Secret,
    passphrase: &[u8],
    scheme: &Scheme,
    rng: &mut dyn CryptoRngCore,
) -> Result<Vec<Vec<Mnemonic>>, Error> {
    scheme.check()?;
    if !passphrase.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return Err(Error::Passphrase);
    }
    let mut identifier = [0; 2];
    rng.try_fill_bytes(&mut identifier)
        .map_err(|_| Error::Random)?;
    let parameters = Parameters {
        identifier: u16::from_be_bytes(identifier) & 0x7fff,
        extendable: scheme.extendable,
        iteration_exponent: scheme.iteration_exponent,
    };
    let encrypted = feistel::encrypt(secret.expose(), passphrase, parameters);

    let group_count = scheme.groups.len() as u8;
    let group_values = shamir::split(scheme.group_threshold, group_count, &encrypted, rng)?;
    let groups = (0..group_count).zip(&scheme.groups).zip(&group_values);
    groups
        .map(|((group_index, group), group_value)| {
            let values = shamir::split(group.threshold, group.count, group_value, rng)?;
            let shares = (0..group.count).zip(values).map(|(member_index, value)| {
                let share = ShareInfo {
                    identifier: parameters.identifier,
                    extendable: parameters.extendable,
                    iteration_exponent: parameters.iteration_exponent,
                    group_index,
                    group_threshold: scheme.group_threshold,
                    group_count,
                    member_index,
                    member_threshold: group.threshold,
                };
                Mnemonic::encode(share, value)
            });
            Ok(shares.collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Draw;

    fn refusal(scheme: &Scheme, passphrase: &[u8]) -> Option<Error> {
        split(
            &Secret::new(&[7; 16]).unwrap(),
            passphrase,
            scheme,
            &mut Draw::new(1),
        )
        .err()
    }

    #[test]
    fn a_scheme_that_the_standard_does_not_know_is_refused() {
        let single = Scheme::single;
        let two = |group_threshold| Scheme {
            group_threshold,
            groups: vec![
                Group {
                    threshold: 2,
                    count: 3,
                },
                Group {
                    threshold: 1,
                    count: 1,
                },
            ],
            ..single(1, 1)
        };
        for (scheme, error) in [
            (single(1, 2), Error::SchemeOneOfMany { group: 1 }),
            (single(0, 2), Error::SchemeMemberThreshold { group: 1 }),
            (single(3, 2), Error::SchemeMemberThreshold { group: 1 }),
            (single(1, 0), Error::SchemeMemberCount { group: 1 }),
            (single(2, 17), Error::SchemeMemberCount { group: 1 }),
            (two(0), Error::SchemeGroupThreshold),
            (two(3), Error::SchemeGroupThreshold),
            (
                Scheme {
                    groups: vec![],
                    ..single(1, 1)
                },
                Error::SchemeGroupCount { groups: 0 },
            ),
            (
                Scheme {
                    groups: vec![
                        Group {
                            threshold: 1,
                            count: 1
                        };
                        17
                    ],
                    ..single(1, 1)
                },
                Error::SchemeGroupCount { groups: 17 },
            ),
            (
                Scheme {
                    iteration_exponent: 16,
                    ..single(1, 1)
                },
                Error::SchemeExponent,
            ),
        ] {
            assert_eq!(refusal(&scheme, b""), Some(error), "{scheme:?}");
        }
        assert_eq!(refusal(&two(2), b""), None);
        assert_eq!(refusal(&single(1, 1), b""), None);
    }

    #[test]
    fn a_passphrase_that_other_tools_may_write_otherwise_is_refused() {
        assert_eq!(refusal(&Scheme::single(2, 2), b" ~"), None);
        for passphrase in ["p\u{e4}ss", "tab\t", "\u{7f}"] {
            assert_eq!(
                refusal(&Scheme::single(2, 2), passphrase.as_bytes()),
                Some(Error::Passphrase)
            );
        }
    }

    #[test]
    fn a_source_of_randomness_that_fails_is_an_error() {
        let secret = Secret::new(&[7; 16]).unwrap();
        let refused = split(&secret, b"", &Scheme::single(1, 1), &mut Draw::failing());
        assert_eq!(refused.err(), Some(Error::Random));
    }

    #[test]
    fn sets_of_one_secret_differ() {
        let secret = Secret::new(&[7; 16]).unwrap();
        let rng = &mut Draw::new(1);
        let one = split(&secret, b"", &Scheme::single(2, 2), rng).unwrap();
        let other = split(&secret, b"", &Scheme::single(2, 2), rng).unwrap();
        assert_ne!(one[0][0].share().identifier, other[0][0].share().identifier);
        assert_ne!(one[0][0].value(), other[0][0].value());
    }
}
