//! One HTTP client for everything: own trust roots, own time-outs, no proxy from the environment; and an
//! interceptor that notes what AWS says about each call.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::config_bag::ConfigBag;
use data_encoding::BASE64;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::OffsetDateTime;

use super::clock::{Clock, parse_http_date};
use super::endpoints::{CA_FILES, ConfigError, Endpoints, Timeouts};

/// What we call ourselves; it stands as `userAgent` in CloudTrail.
pub(crate) const USER_AGENT: &str = concat!("twotap/", env!("CARGO_PKG_VERSION"));

/// The two ways to send a request.
#[derive(Debug, Clone)]
pub(crate) struct Connectors {
    /// Keeps connections open between calls.
    pub(crate) shared: SharedHttpConnector,
    /// A fresh connection for every call, so that each probe may meet another server of AWS's.
    pub(crate) fresh: SharedHttpConnector,
}

impl Connectors {
    /// Reads the trust roots and makes both connectors. No connection is opened yet.
    pub(crate) fn new(endpoints: &Endpoints, tls: bool) -> Result<Self, ConfigError> {
        let roots = if tls {
            read_roots(endpoints.ca_file.as_deref())?
        } else {
            Vec::new()
        };
        let timeouts = endpoints.timeouts;
        Ok(Connectors {
            shared: connector(&roots, timeouts, true)?,
            fresh: connector(&roots, timeouts, false)?,
        })
    }
}

fn connector(
    roots: &[u8],
    timeouts: Timeouts,
    keep: bool,
) -> Result<SharedHttpConnector, ConfigError> {
    // The default trust store would follow SSL_CERT_FILE and SSL_CERT_DIR of the environment.
    let mut trust = tls::TrustStore::empty();
    if !roots.is_empty() {
        trust.add_pem_certificate(roots);
    }
    let context = tls::TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .map_err(|_| ConfigError::Client)?;
    let settings = HttpConnectorSettings::builder()
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.read)
        .build();
    // No proxy: that is this builder's default, and it reads no variable for it.
    let builder = Connector::builder()
        .connector_settings(settings)
        .pool_idle_timeout(Duration::from_secs(20))
        .pool_max_idle_per_host(if keep { 4 } else { 0 })
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .tls_context(context);
    let connector = SharedHttpConnector::new(builder.build());
    #[cfg(feature = "failpoints")]
    let connector = super::points::around(connector);
    Ok(connector)
}

/// The usable root certificates as PEM. The client gives up on the first odd certificate of a bundle,
/// so odd ones are left out here, as every other program that reads such bundles does.
fn read_roots(named: Option<&Path>) -> Result<Vec<u8>, ConfigError> {
    let candidates: Vec<PathBuf> = match named {
        Some(path) => vec![path.to_owned()],
        None => CA_FILES.iter().map(PathBuf::from).collect(),
    };
    let Some((path, text)) = candidates
        .iter()
        .find_map(|path| Some((path, std::fs::read(path).ok()?)))
    else {
        return Err(ConfigError::NoRoots { tried: candidates });
    };
    let mut pem = Vec::with_capacity(text.len());
    for der in CertificateDer::pem_slice_iter(&text).flatten() {
        if webpki::anchor_from_trusted_cert(&der).is_ok() {
            pem.extend_from_slice(b"-----BEGIN CERTIFICATE-----\n");
            pem.extend_from_slice(BASE64.encode(&der).as_bytes());
            pem.extend_from_slice(b"\n-----END CERTIFICATE-----\n");
        }
    }
    if pem.is_empty() {
        Err(ConfigError::EmptyRoots(path.clone()))
    } else {
        Ok(pem)
    }
}

/// What an answer's head says about the call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) request_id: Option<String>,
    pub(crate) date: Option<OffsetDateTime>,
}

impl Seen {
    /// Reads an answer's headers.
    pub(crate) fn of(headers: &Headers) -> Self {
        let request_id = ["x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id"]
            .iter()
            .find_map(|name| headers.try_get(name)?.ok())
            .filter(|id| {
                !id.is_empty() && id.len() <= 128 && id.bytes().all(|b| b.is_ascii_graphic())
            });
        Seen {
            request_id: request_id.map(str::to_owned),
            date: headers
                .try_get("date")
                .and_then(Result::ok)
                .and_then(parse_http_date),
        }
    }
}

/// Notes the answer's head, sets the clock by it, and keeps the environment out of the request's.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    clock: Clock,
    seen: Arc<Mutex<Seen>>,
}

impl Watch {
    pub(crate) fn new(clock: Clock) -> Self {
        Watch {
            clock,
            seen: Arc::default(),
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen
            .lock()
            .map(|seen| seen.clone())
            .unwrap_or_default()
    }
}

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "Watch"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        // The SDK puts AWS_EXECUTION_ENV into these two, and a Lambda's trace id into the third.
        headers.insert("user-agent", USER_AGENT);
        headers.insert("x-amz-user-agent", USER_AGENT);
        headers.remove("x-amzn-trace-id");
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let now = Seen::of(context.response().headers());
        if let Some(date) = now.date {
            self.clock.note(date);
        }
        if let Ok(mut seen) = self.seen.lock() {
            *seen = now;
        }
        Ok(())
    }
}
