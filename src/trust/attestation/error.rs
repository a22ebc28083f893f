//! Why an attestation proves nothing.

use std::fmt;

/// Which certificate of an enrolment something is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The attestation of the key that signs approvals.
    Approve,
    /// The attestation of the key that shares are sealed to.
    Unseal,
    /// The token's own certificate, of slot F9, which signs both.
    Token,
    /// A certificate above the token's own.
    Issuer,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Approve => "the attestation of the approve key",
            Self::Unseal => "the attestation of the unseal key",
            Self::Token => "the token's own certificate (slot f9)",
            Self::Issuer => "the certificate that issued the token's own",
        })
    }
}

/// Why the chain from a key to a maker's root does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttestationError {
    /// No certificate, or one that does not say what an attestation says.
    Unreadable(Which),
    /// A certificate that was signed by the very key that it is about: anybody can make one. So is the one that
    /// `age-plugin-yubikey` writes, although the maker's extension for policies stands in it.
    SelfSigned(Which),
    /// Issuer and subject do not link.
    OtherIssuer(Which),
    /// The signature is not the issuer's.
    BadSignature(Which),
    /// A certificate signs others and is not allowed to, or allowed fewer below it.
    NoAuthority(Which),
    /// A key's attestation that says of itself that it may sign others.
    Authority(Which),
    /// A critical extension that this program does not know.
    UnknownExtension(Which),
    /// The token's own certificate was issued by nobody who is known.
    UnknownMaker {
        /// The issuer's name as it stands there.
        issuer: String,
    },
    /// The certificates that this program was built with are not the ones that it should have.
    Damaged,
}

impl fmt::Display for AttestationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(which) => write!(f, "{which} cannot be read as one"),
            Self::SelfSigned(which) => write!(
                f,
                "{which} is signed by its own key: what it says is the word of whoever wrote it"
            ),
            Self::OtherIssuer(which) => {
                write!(
                    f,
                    "{which} was issued by another than the certificate above it"
                )
            }
            Self::BadSignature(which) => write!(f, "the signature of {which} does not hold"),
            Self::NoAuthority(which) => {
                write!(f, "{which} signs others, which it is not allowed to")
            }
            Self::Authority(which) => {
                write!(f, "{which} claims to be an authority, which no key's is")
            }
            Self::UnknownExtension(which) => {
                write!(f, "{which} has a critical extension that is not known")
            }
            Self::UnknownMaker { issuer } => write!(
                f,
                "the token's own certificate (slot f9) was issued by '{issuer}', which is neither the maker's nor a root that the roster names"
            ),
            Self::Damaged => f.write_str("the maker's certificates in this program are damaged"),
        }
    }
}

impl std::error::Error for AttestationError {}
