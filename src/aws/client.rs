//! [`Aws`]: the endpoints, the HTTP client and the clock, and how one call is made and repeated.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::endpoint::{
    EndpointFuture, EndpointResolverParams, ResolveEndpoint, SharedEndpointResolver,
};
use aws_smithy_runtime_api::client::http::{SharedHttpClient, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::endpoint::Endpoint;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;

use super::Answer;
use super::clock::Clock;
use super::endpoints::{ConfigError, Endpoints, Resolved, Target};
use super::error::{AwsError, classify, is_signature};
use super::http::{Connectors, Watch};

/// How often a harmless call is made at most.
const ATTEMPTS: u32 = 3;

/// A variable that the SDKs read at the first client, even where their endpoint rules are not used; a path
/// that does not exist there makes them panic.
const CUSTOM_PARTITION: &str = "SMITHY_CLIENT_SDK_CUSTOM_PARTITION";

/// AWS, reached by nothing but what it was built from. Clones share connections and clock.
#[derive(Clone)]
pub struct Aws {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) endpoints: Resolved,
    pub(crate) connectors: Connectors,
    http_client: SharedHttpClient,
    pub(crate) clock: Clock,
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws")
            .field("endpoints", &self.inner.endpoints)
            .finish_non_exhaustive()
    }
}

/// Whether a call may be made again when its answer did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Twice is the same as once.
    Harmless,
    /// Twice is something else; the caller has to look first.
    Never,
}

/// A call's end.
pub(crate) struct Ended<T> {
    pub(crate) result: Result<Answer<T>, AwsError>,
    /// An earlier attempt may have had the effect already.
    pub(crate) unsure: bool,
}

/// What each service's own configuration adds to [`Aws::config`]; their builders have these methods and no trait in common.
macro_rules! of_service {
    ($sdk:ident, $shared:expr, $target:expr, $watch:expr) => {{
        let mut config = $sdk::config::Builder::from($shared)
            .disable_clock_skew_correction(true)
            .interceptor($watch.clone());
        config.set_endpoint_resolver(Some(SharedEndpointResolver::new(Fixed(
            $target.url.clone(),
        ))));
        config.build()
    }};
}

impl Aws {
    /// Checks the endpoints and reads the root certificates ([`super::endpoints::CA_FILES`]). Opens no connection.
    ///
    /// # Errors
    /// [`AwsError::Config`]: plain http to another machine, a bad Region, no roots, and the like.
    pub fn new(endpoints: Endpoints) -> Result<Aws, AwsError> {
        if std::env::var_os(CUSTOM_PARTITION).is_some() {
            return Err(ConfigError::Ambient(CUSTOM_PARTITION).into());
        }
        let resolved = Resolved::parse(&endpoints)?;
        let connectors = Connectors::new(&endpoints, resolved.tls)?;
        let shared = connectors.shared.clone();
        Ok(Aws {
            inner: Arc::new(Inner {
                endpoints: resolved,
                http_client: http_client_fn(move |_, _| shared.clone()),
                connectors,
                clock: Clock::default(),
            }),
        })
    }

    /// The Regions whose STS is asked, in order.
    pub fn sts_regions(&self) -> impl Iterator<Item = &str> {
        self.inner
            .endpoints
            .sts
            .iter()
            .map(|target| target.region.as_str())
    }

    pub(crate) fn sts_client(
        &self,
        credentials: &Credentials,
        target: &Target,
        watch: &Watch,
    ) -> aws_sdk_sts::Client {
        let shared = self.config(credentials, target);
        aws_sdk_sts::Client::from_conf(of_service!(aws_sdk_sts, &shared, target, watch))
    }

    pub(crate) fn iam_client(
        &self,
        credentials: &Credentials,
        watch: &Watch,
    ) -> aws_sdk_iam::Client {
        let target = &self.inner.endpoints.iam;
        let shared = self.config(credentials, target);
        aws_sdk_iam::Client::from_conf(of_service!(aws_sdk_iam, &shared, target, watch))
    }

    pub(crate) fn secrets_client(
        &self,
        credentials: &Credentials,
        target: &Target,
        watch: &Watch,
    ) -> aws_sdk_secretsmanager::Client {
        let shared = self.config(credentials, target);
        aws_sdk_secretsmanager::Client::from_conf(of_service!(
            aws_sdk_secretsmanager,
            &shared,
            target,
            watch
        ))
    }

    /// The bucket stands in the path: see [`super::s3`].
    pub(crate) fn s3_client(
        &self,
        credentials: &Credentials,
        target: &Target,
        bucket: &super::s3::Bucket,
        watch: &Watch,
    ) -> aws_sdk_s3::Client {
        let shared = self.config(credentials, target);
        let target = Target {
            region: target.region.clone(),
            url: format!("{}/{}", target.url, bucket.name()),
        };
        aws_sdk_s3::Client::from_conf(of_service!(aws_sdk_s3, &shared, target, watch))
    }

    pub(crate) fn events_client(
        &self,
        credentials: &Credentials,
        target: &Target,
        watch: &Watch,
    ) -> aws_sdk_eventbridge::Client {
        let shared = self.config(credentials, target);
        aws_sdk_eventbridge::Client::from_conf(of_service!(
            aws_sdk_eventbridge,
            &shared,
            target,
            watch
        ))
    }

    /// What all services have in common; nothing comes from the environment.
    fn config(&self, credentials: &Credentials, target: &Target) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(target.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .identity_cache(aws_sdk_sts::config::IdentityCache::no_cache())
            .http_client(self.inner.http_client.clone())
            .sleep_impl(TokioSleep::new())
            .time_source(SharedTimeSource::new(self.inner.clock.clone()))
            .retry_config(RetryConfig::disabled())
            .timeout_config(self.timeout_config())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build()
    }

    fn timeout_config(&self) -> TimeoutConfig {
        let timeouts = self.inner.endpoints.timeouts;
        TimeoutConfig::builder()
            .connect_timeout(timeouts.connect)
            .read_timeout(timeouts.read)
            .operation_timeout(timeouts.call)
            .build()
    }

    /// Makes one call: once, or up to [`ATTEMPTS`] times where a repeat is harmless. A call that
    /// was refused for the time on its signature is made once more by AWS's clock, whatever it is:
    /// a refused call did nothing.
    pub(crate) async fn run<T, E, F, Fut>(
        &self,
        operation: &'static str,
        target: &Target,
        repeat: Repeat,
        call: F,
    ) -> Ended<T>
    where
        F: Fn(Watch) -> Fut,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let clock = &self.inner.clock;
        let mut clock_set = false;
        let mut unsure = false;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let correction = clock.correction();
            let watch = Watch::new(clock.clone());
            let outcome = call(watch.clone()).await;
            let seen = watch.seen();
            let error = match outcome {
                Ok(value) => {
                    let answer = Answer {
                        value,
                        region: target.region.clone(),
                        request_id: seen.request_id,
                        date: seen.date,
                    };
                    return Ended {
                        result: Ok(answer),
                        unsure,
                    };
                }
                Err(error) => classify(operation, target, &error, &seen),
            };
            if !clock_set && error.code().is_some_and(is_signature) && clock.moved_since(correction)
            {
                clock_set = true;
                continue;
            }
            if repeat == Repeat::Harmless && error.is_transient() && attempts < ATTEMPTS {
                unsure |= error.may_have_acted();
                let pause = self.inner.endpoints.timeouts.pause * 2u32.pow(attempts - 1);
                tokio::time::sleep(pause).await;
                continue;
            }
            return Ended {
                result: Err(error),
                unsure,
            };
        }
    }
}

/// An endpoint that is what it is.
#[derive(Debug)]
struct Fixed(String);

impl ResolveEndpoint for Fixed {
    fn resolve_endpoint<'a>(&'a self, _: &'a EndpointResolverParams) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(Endpoint::builder().url(self.0.clone()).build()))
    }
}
