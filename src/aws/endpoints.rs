//! Where AWS is: partition, Regions, hosts, trust roots and time-outs, all named by the caller.
//!
//! The SDKs' own endpoint rules are not used. They would do the same for these few services, but
//! they consult a variable of the environment for a partition table of its own.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;

use crate::trust::partition;

/// Places where Linux distributions keep their root certificates, tried in order when
/// [`Endpoints::ca_file`] is not set. A sandbox must let these be read.
pub const CA_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where to find AWS. Checked by [`crate::aws::Aws::new`].
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// `aws`, `aws-us-gov`, `aws-cn` or `aws-eusc`.
    pub partition: String,
    /// Regions whose STS is asked, in this order; at least one. Regional endpoints only: tokens of the
    /// global one do not work in Regions that are opt-in.
    pub sts_regions: Vec<String>,
    /// The Region whose name signs requests to IAM: `us-east-1` in `aws`, `us-gov-west-1`, `cn-north-1`,
    /// `eusc-de-east-1`.
    pub iam_region: String,
    /// One URL for every service, for AWS-compatible endpoints. `https://host[:port]`, or
    /// `http://` to a loopback address (`127.0.0.0/8` or `[::1]`, as a number).
    pub override_url: Option<String>,
    /// A PEM file of the root certificates to trust, instead of the first of [`CA_FILES`] that exists.
    pub ca_file: Option<PathBuf>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

impl Endpoints {
    /// The commercial partition with these STS Regions and the defaults for the rest.
    pub fn commercial(sts_regions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::of("aws", sts_regions)
    }

    /// This partition with these STS Regions and the defaults for the rest. One that is not known is refused by
    /// [`crate::aws::Aws::new`].
    pub fn of(
        partition: impl Into<String>,
        sts_regions: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let partition = partition.into();
        let known = partition::named(&partition);
        Endpoints {
            iam_region: known.map_or("", |p| p.iam_region).into(),
            partition,
            sts_regions: sts_regions.into_iter().map(Into::into).collect(),
            override_url: None,
            ca_file: None,
            timeouts: Timeouts::default(),
        }
    }
}

/// Bounds in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From nothing to a connection (name, TCP and TLS together). Default 3 s.
    pub connect: Duration,
    /// From the request's last byte to the head of the answer. Default 10 s.
    pub read: Duration,
    /// One call from beginning to end. Default 15 s.
    pub call: Duration,
    /// The pause before the first of our own repeats; it doubles. Default 250 ms.
    pub pause: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(3),
            read: Duration::from_secs(10),
            call: Duration::from_secs(15),
            pause: Duration::from_millis(250),
        }
    }
}

/// One service in one Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The Region that signs.
    pub(crate) region: String,
    /// Scheme, host and port, without a path.
    pub(crate) url: String,
}

impl Target {
    /// Host and port, for messages.
    pub(crate) fn host(&self) -> &str {
        self.url
            .split_once("://")
            .map_or(&self.url, |(_, host)| host)
    }
}

/// Endpoints that passed the checks.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    suffix: &'static str,
    base: Option<String>,
    pub(crate) sts: Vec<Target>,
    pub(crate) iam: Target,
    pub(crate) timeouts: Timeouts,
    /// Whether any request goes over TLS, so that trust roots are needed.
    pub(crate) tls: bool,
}

impl Resolved {
    pub(crate) fn parse(endpoints: &Endpoints) -> Result<Self, ConfigError> {
        let partition = partition::named(&endpoints.partition)
            .ok_or_else(|| ConfigError::UnknownPartition(endpoints.partition.clone()))?;
        let base = endpoints
            .override_url
            .as_deref()
            .map(parse_base)
            .transpose()?;
        if endpoints.sts_regions.is_empty() {
            return Err(ConfigError::NoRegion);
        }
        check_region(&endpoints.iam_region)?;
        let mut resolved = Resolved {
            suffix: partition.suffix,
            tls: base.as_deref().is_none_or(|url| url.starts_with("https")),
            iam: Target {
                region: endpoints.iam_region.clone(),
                url: base
                    .clone()
                    .unwrap_or_else(|| format!("https://{}", partition.iam_host)),
            },
            base,
            sts: Vec::new(),
            timeouts: endpoints.timeouts,
        };
        for region in &endpoints.sts_regions {
            let target = resolved.regional("sts", region)?;
            resolved.sts.push(target);
        }
        Ok(resolved)
    }

    /// A regional service's endpoint.
    pub(crate) fn regional(&self, service: &str, region: &str) -> Result<Target, ConfigError> {
        check_region(region)?;
        Ok(Target {
            region: region.to_owned(),
            url: match &self.base {
                Some(base) => base.clone(),
                None => format!("https://{service}.{region}.{}", self.suffix),
            },
        })
    }
}

/// A Region's name becomes part of a host name, so nothing else may hide in it.
fn check_region(region: &str) -> Result<(), ConfigError> {
    let good = (1..=32).contains(&region.len())
        && region.split('-').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        });
    if good {
        Ok(())
    } else {
        Err(ConfigError::BadRegion(region.to_owned()))
    }
}

/// Scheme, host and port of an override, without a trailing slash.
fn parse_base(url: &str) -> Result<String, ConfigError> {
    let bad = |why| ConfigError::BadUrl {
        url: printable(url),
        why,
    };
    let uri: Uri = url.parse().map_err(|_| bad("it cannot be read as a URL"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(bad("it needs a scheme and a host"));
    };
    if authority.as_str().contains('@') {
        return Err(bad("it must not carry a user name or password"));
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() || url.contains('#') {
        return Err(bad("it must end after host and port"));
    }
    match scheme {
        "https" => {}
        // A name such as `localhost` is whatever the resolver says; only a number is surely loopback.
        "http" if is_loopback(authority.host()) => {}
        "http" => return Err(ConfigError::PlainHttp(printable(url))),
        _ => return Err(bad("its scheme must be https, or http to loopback")),
    }
    Ok(format!("{scheme}://{authority}"))
}

/// Whether a host is surely this machine: a loopback address written as a number, IPv6 with or without brackets.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// At most 120 printable characters of something from outside.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

/// Why [`crate::aws::Aws::new`] refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    /// The override is plain http to something that is not surely this machine.
    PlainHttp(String),
    /// The override is not a URL that can be used.
    BadUrl {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A Region's name has characters that a Region's name cannot have.
    BadRegion(String),
    /// No Region was named for STS.
    NoRegion,
    /// A partition that is not known.
    UnknownPartition(String),
    /// No file with root certificates could be read.
    NoRoots {
        /// The files that were tried.
        tried: Vec<PathBuf>,
    },
    /// A file of root certificates holds none that can be used.
    EmptyRoots(PathBuf),
    /// A variable of the environment that the SDK reads whatever we do.
    Ambient(&'static str),
    /// The HTTP client could not be made.
    Client,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::PlainHttp(url) => {
                write!(f, "the aws endpoint {url} is plain http to another machine")
            }
            ConfigError::BadUrl { url, why } => {
                write!(f, "the aws endpoint {url} cannot be used: {why}")
            }
            ConfigError::BadRegion(region) => {
                write!(
                    f,
                    "'{}' is not the name of an aws region",
                    printable(region)
                )
            }
            ConfigError::NoRegion => f.write_str("no aws region is named for sts"),
            ConfigError::UnknownPartition(name) => {
                write!(f, "the aws partition '{}' is not known", printable(name))
            }
            ConfigError::NoRoots { .. } => {
                f.write_str("no file of root certificates could be read")
            }
            ConfigError::EmptyRoots(path) => {
                write!(
                    f,
                    "{} holds no root certificate that can be used",
                    path.display()
                )
            }
            ConfigError::Ambient(name) => {
                write!(
                    f,
                    "the environment carries {name}, which would change where aws is looked for"
                )
            }
            ConfigError::Client => f.write_str("the http client could not be made"),
        }
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            ConfigError::PlainHttp(_) => {
                "use https, or a loopback address written as a number (http://127.0.0.1:PORT)"
                    .into()
            }
            ConfigError::BadUrl { .. } => "write it as https://HOST or https://HOST:PORT".into(),
            ConfigError::BadRegion(_) => "a region looks like eu-west-1".into(),
            ConfigError::NoRegion => "name at least one, best two, in the order to try them".into(),
            ConfigError::UnknownPartition(_) => {
                let names: Vec<_> = partition::PARTITIONS.iter().map(|p| p.name).collect();
                format!("known are {}", names.join(", "))
            }
            ConfigError::NoRoots { tried } => {
                let tried: Vec<_> = tried.iter().map(|p| p.display().to_string()).collect();
                format!(
                    "install ca-certificates, or name a PEM file; tried {}",
                    tried.join(", ")
                )
            }
            ConfigError::EmptyRoots(_) => "name a PEM file with the certificates to trust".into(),
            ConfigError::Ambient(name) => format!("start without {name}"),
            ConfigError::Client => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_url(url: &str) -> Result<Resolved, ConfigError> {
        let mut endpoints = Endpoints::commercial(["eu-west-1"]);
        endpoints.override_url = Some(url.into());
        Resolved::parse(&endpoints)
    }

    #[test]
    fn hosts_of_every_partition() {
        for (partition, sts, iam, signs) in [
            (
                "aws",
                "https://sts.x-1.amazonaws.com",
                "https://iam.amazonaws.com",
                "us-east-1",
            ),
            (
                "aws-us-gov",
                "https://sts.x-1.amazonaws.com",
                "https://iam.us-gov.amazonaws.com",
                "us-gov-west-1",
            ),
            (
                "aws-cn",
                "https://sts.x-1.amazonaws.com.cn",
                "https://iam.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
            ),
            (
                "aws-eusc",
                "https://sts.x-1.amazonaws.eu",
                "https://iam.eusc-de-east-1.amazonaws.eu",
                "eusc-de-east-1",
            ),
        ] {
            let resolved = Resolved::parse(&Endpoints::of(partition, ["x-1"])).unwrap();
            assert_eq!(resolved.sts[0].url, sts);
            assert_eq!(resolved.iam.url, iam);
            assert_eq!(resolved.iam.region, signs);
            assert!(resolved.tls);
        }
    }

    #[test]
    fn plain_http_only_to_a_loopback_number() {
        for good in [
            "http://127.0.0.1:4566",
            "http://127.9.9.9/",
            "http://[::1]:80",
            "https://aws.example:8443",
        ] {
            assert!(with_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://10.0.0.1",
            "http://localhost:4566",
            "http://127.0.0.1.evil.example",
            "http://[::ffff:10.0.0.1]:80",
            "http://0.0.0.0",
        ] {
            assert_eq!(
                with_url(bad).err(),
                Some(ConfigError::PlainHttp(bad.into())),
                "{bad}"
            );
        }
        for bad in [
            "",
            "127.0.0.1:4566",
            "ftp://127.0.0.1",
            "https://user:secret@host",
            "https://host/path",
            "https://host/?q=1",
            "http://127.0.0.1:4566@evil.example",
        ] {
            assert!(
                matches!(with_url(bad), Err(ConfigError::BadUrl { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_region_cannot_smuggle_a_host() {
        for bad in [
            "",
            "eu-west-1.evil.example/",
            "EU-WEST-1",
            "eu west",
            "a@b",
            "-eu",
            "eu--west",
            "eu\n",
        ] {
            let endpoints = Endpoints::commercial([bad]);
            assert_eq!(
                Resolved::parse(&endpoints).err(),
                Some(ConfigError::BadRegion(bad.into()))
            );
        }
        assert_eq!(
            Resolved::parse(&Endpoints::commercial(Vec::<String>::new())).err(),
            Some(ConfigError::NoRegion)
        );
    }
}
