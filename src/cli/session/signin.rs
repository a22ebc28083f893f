//! The wire to AWS's sign-in service: one POST over TLS, every wait bounded, nothing of it kept.
//!
//! The session goes in the body: a query would stand in the logs of whatever is between. Own trust roots from the system's files, no proxy and
//! no variable of the environment, as for every other call of ours.

use std::{net::SocketAddr, path::Path, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::{
    audit::sinks::net::{Endpoint, TlsSettings, Wire},
    protocol::{Code, Problem},
};

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(20);
/// The largest answer that is read, in bytes: a token is some 2 KiB.
const MAX_ANSWER: usize = 64 * 1024;

/// Where sign-in is asked.
#[derive(Debug, PartialEq)]
pub(super) enum Service {
    /// A host of AWS's, over TLS on port 443.
    Aws(String),
    /// A stand-in on this machine, without TLS.
    Loopback(SocketAddr),
}

impl Service {
    /// A stand-in, as it is named: `http://ADDRESS:PORT`, the address a loopback one and written as a number, so that no name service
    /// can send a session elsewhere.
    pub(super) fn loopback(url: &str) -> Result<Self, Problem> {
        let address = url
            .strip_prefix("http://")
            .map(|rest| rest.trim_end_matches('/'));
        address
            .and_then(|address| address.parse::<SocketAddr>().ok())
            .filter(|address| address.ip().is_loopback())
            .map(Self::Loopback)
            .ok_or_else(|| {
                Problem::new(
                    Code::Refused,
                    "a session is sent to AWS's sign-in service or to this machine, and nowhere else",
                )
                .hint("a stand-in is named by a loopback address: http://127.0.0.1:PORT")
            })
    }

    /// What links to it begin with.
    pub(super) fn base(&self) -> String {
        match self {
            Self::Aws(host) => format!("https://{host}"),
            Self::Loopback(address) => format!("http://{address}"),
        }
    }

    /// Posts a form to `path`; the answer's body, if it was a good one.
    pub(super) fn post(
        &self,
        path: &str,
        form: Zeroizing<String>,
    ) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|why| Problem::new(Code::Internal, format!("cannot start: {why}")))?;
        let endpoint = self.endpoint()?;
        runtime.block_on(async {
            let wire = endpoint.open(CONNECT).await;
            let wire = wire.map_err(|why| self.unreachable(&why.to_string()))?;
            self.talk(wire, path, form).await
        })
    }

    fn endpoint(&self) -> Result<Endpoint, Problem> {
        let (host, port, tls) = match self {
            Self::Loopback(address) => (address.ip().to_string(), address.port(), None),
            Self::Aws(host) => {
                let tls = TlsSettings::default().client(Path::new(""), host);
                let tls = tls.map_err(|why| {
                    Problem::new(Code::Internal, why.why()).hint("install ca-certificates")
                })?;
                (host.clone(), 443, Some(tls))
            }
        };
        Ok(Endpoint::new(&host, port, tls))
    }

    async fn talk(
        &self,
        wire: Wire,
        path: &str,
        form: Zeroizing<String>,
    ) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let host = match self {
            Self::Aws(host) => host.clone(),
            Self::Loopback(address) => address.to_string(),
        };
        let exchange = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(wire)).await?;
            let connection = tokio::spawn(connection);
            let request = Request::post(path)
                .header("host", host)
                .header("user-agent", concat!("twotap/", env!("CARGO_PKG_VERSION")))
                .header("content-type", "application/x-www-form-urlencoded")
                .header("accept", "application/json")
                .header("connection", "close")
                .body(Full::new(Bytes::copy_from_slice(form.as_bytes())))
                .map_err(|_| "the question cannot be put")?;
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            let mut body = Zeroizing::new(Vec::new());
            let mut frames = Limited::new(answer.into_body(), MAX_ANSWER);
            while let Some(frame) = frames.frame().await {
                if let Some(data) = frame?.data_ref() {
                    body.extend_from_slice(data);
                }
            }
            connection.abort();
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((status, body))
        };
        let (status, body) = timeout(ANSWER, exchange)
            .await
            .map_err(|_| self.unreachable("it does not answer in time"))?
            .map_err(|why| self.unreachable(&why.to_string()))?;
        match status {
            StatusCode::OK => Ok(body),
            // What it says may quote what it was given.
            status if status.is_server_error() => {
                Err(self.unreachable(&format!("it answered {}", status.as_u16())))
            }
            status => Err(Problem::new(
                Code::AwsRefused,
                format!(
                    "AWS's sign-in service refused the session ({})",
                    status.as_u16()
                ),
            )
            .hint("has it ended? see twotap status; commands go on to work: twotap exec")),
        }
    }

    fn unreachable(&self, why: &str) -> Problem {
        Problem::new(
            Code::AwsUnreachable,
            format!(
                "cannot reach AWS's sign-in service at {}: {why}",
                self.base()
            ),
        )
        .hint("commands need no sign-in: twotap exec")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_is_on_this_machine_and_has_no_name() {
        for good in [
            "http://127.0.0.1:8080",
            "http://127.9.9.9:1/",
            "http://[::1]:80",
        ] {
            assert!(
                matches!(Service::loopback(good), Ok(Service::Loopback(_))),
                "{good}"
            );
        }
        for bad in [
            "http://localhost:8080",
            "http://10.0.0.1:80",
            "https://127.0.0.1:80",
            "http://127.0.0.1",
            "http://127.0.0.1:80@evil.example:80",
            "http://evil.example/127.0.0.1:80",
            "http://[::ffff:10.0.0.1]:80",
            "127.0.0.1:80",
            "",
        ] {
            let Err(problem) = Service::loopback(bad) else {
                panic!("{bad} was taken");
            };
            assert_eq!(problem.code, Code::Refused, "{bad}");
        }
    }

    #[test]
    fn aws_is_spoken_to_by_the_systems_roots() {
        let service = Service::Aws("signin.aws.amazon.com".to_owned());
        assert!(service.endpoint().is_ok(), "ca-certificates");
    }
}
