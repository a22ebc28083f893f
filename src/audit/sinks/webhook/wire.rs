//! The wire: one POST, its wait bounded, and what its answer means. What an answer says is not read: it may say anything.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header::RETRY_AFTER,
};
use hyper_util::rt::TokioIo;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use tokio::{runtime::Runtime, time::timeout};
use zeroize::Zeroizing;

use crate::audit::sinks::{
    Opening, SinkConfigError, SinkError,
    net::{Endpoint, TlsSettings, runtime},
};
use crate::aws::endpoints::is_loopback;

/// The longest answer that is read before the connection is used again, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// How long that may take.
const REST: Duration = Duration::from_millis(250);
/// The longest address, in bytes.
const MAX_URL: usize = 2048;

/// Where a webhook is: `https://HOST[:PORT][/PATH][?QUERY]`, or `http` to a loopback address written as a number, so that no name service can send
/// alerts elsewhere. Its path may be a secret: it stands in no error.
pub(super) struct Address {
    host: String,
    port: u16,
    tls: bool,
    path: Zeroizing<String>,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let plain = url.bytes().all(|b| b.is_ascii_graphic());
        if !plain || url.len() > MAX_URL || url.contains('#') {
            return Err("it is no address");
        }
        let (tls, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err("an address begins with https://"),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(
                "a name or password in it would be sent in clear to whoever logs addresses",
            );
        }
        let has_port = authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.contains(']'));
        let full = match (has_port, tls) {
            (true, _) => authority.to_owned(),
            (false, true) => format!("{authority}:443"),
            (false, false) => format!("{authority}:80"),
        };
        let (host, port) = Endpoint::split(&full).ok_or("it has no host")?;
        if !tls && !is_loopback(host) {
            return Err("without TLS only a loopback address like 127.0.0.1 is spoken to");
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            tls,
            path: Zeroizing::new(match path.starts_with('/') {
                true => path.to_owned(),
                false => format!("/{path}"),
            }),
        })
    }

    /// `HOST[:PORT]`, as the request names it and people know it.
    fn shown(&self) -> String {
        let host = match self.host.parse::<SocketAddr>().is_err() && self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

/// What a receiver made of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It holds it.
    Taken,
    /// It will not take it, by this status.
    Refused(u16),
}

type Sender = SendRequest<Full<Bytes>>;

/// The way to one receiver. A connection is kept between two messages.
pub(super) struct Wire {
    runtime: Runtime,
    endpoint: Endpoint,
    shown: String,
    path: Zeroizing<String>,
    timeout: Duration,
    kept: Option<Sender>,
}

impl Wire {
    pub(super) fn new(
        address: Address,
        tls: &TlsSettings,
        timeout: Duration,
        at: &Opening<'_>,
    ) -> Result<Self, SinkConfigError> {
        let shown = address.shown();
        let tls = match address.tls {
            true => Some(tls.client(at.folder, &address.host)?),
            false if tls.any() => {
                let why = "it goes with an address that begins with https://";
                return Err(SinkConfigError::new("ca_file", why));
            }
            false => None,
        };
        Ok(Self {
            runtime: runtime()?,
            endpoint: Endpoint::new(&address.host, address.port, tls),
            shown,
            path: address.path,
            timeout,
            kept: None,
        })
    }

    /// The receiver, without what may be secret about its address.
    pub(super) fn host(&self) -> &str {
        &self.shown
    }

    /// Posts a body; comes back within the time limit whatever the receiver does.
    pub(super) fn post(
        &mut self,
        headers: &[(&'static str, String)],
        body: &[u8],
    ) -> Result<Answer, SinkError> {
        let kept = self.kept.take().filter(|sender| !sender.is_closed());
        let Self {
            runtime,
            endpoint,
            shown,
            path,
            timeout: limit,
            ..
        } = self;
        let unavailable = |why: &str| SinkError::Unavailable(format!("{shown}: {why}"));
        let request = || request(shown, path, headers, body);
        let exchange = async {
            // A connection that was kept may be gone without a word; the event has the same id if it was not.
            if let Some(mut sender) = kept
                && let Ok(answer) = sender.send_request(request()?).await
            {
                return read(answer, sender).await;
            }
            let stream = endpoint.connect(*limit).await?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|why| unavailable(&why.to_string()))?;
            tokio::spawn(connection);
            let answer = sender
                .send_request(request()?)
                .await
                .map_err(|why| unavailable(&why.to_string()))?;
            read(answer, sender).await
        };
        let bounded = async { timeout(*limit, exchange).await };
        let (status, again, kept) = runtime
            .block_on(bounded)
            .map_err(|_| unavailable(&format!("no answer within {} s", limit.as_secs())))??;
        self.kept = kept;
        judge(&self.shown, status, again)
    }
}

/// The answer's status, when it asks to be tried again, and the connection where it can be used once more.
async fn read(
    answer: Response<Incoming>,
    sender: Sender,
) -> Result<(u16, Option<Duration>, Option<Sender>), SinkError> {
    let status = answer.status().as_u16();
    let again = answer.headers().get(RETRY_AFTER);
    let again = again
        .and_then(|value| value.to_str().ok())
        .and_then(|value| retry_after(value, OffsetDateTime::now_utc()));
    // Whatever it says: read so that the next message finds the wire free, or given up with the connection. The status has said it all, so
    // that one who never comes to an end is not sent the same again.
    let rest = Limited::new(answer.into_body(), MAX_ANSWER).collect();
    let free = timeout(REST, rest).await.is_ok_and(|rest| rest.is_ok());
    Ok((status, again, free.then_some(sender)))
}

fn request(
    host: &str,
    path: &str,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> Result<Request<Full<Bytes>>, SinkError> {
    let mut request = Request::post(path)
        .header("host", host)
        .header("user-agent", concat!("twotap/", env!("CARGO_PKG_VERSION")))
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request
        .body(Full::new(Bytes::copy_from_slice(body)))
        .map_err(|_| SinkError::Unavailable(format!("{host}: the request cannot be made")))
}

/// What a status means.
fn judge(host: &str, status: u16, again: Option<Duration>) -> Result<Answer, SinkError> {
    let why = |what: &str| format!("{host} answered {status}{what}");
    match (status, again) {
        (200..=299, _) => Ok(Answer::Taken),
        (429 | 503, Some(wait)) => Err(SinkError::Busy {
            why: why(&format!(": not before {} s", wait.as_secs())),
            wait,
        }),
        (300..=399, _) => Err(SinkError::Unavailable(why(
            ": redirects are not followed; name the address that it ends at",
        ))),
        (408 | 425 | 429, _) | (..=199 | 500.., _) => Err(SinkError::Unavailable(why(""))),
        (400..=499, _) => Ok(Answer::Refused(status)),
    }
}

/// RFC 9110, section 10.2.3: seconds, or a date.
fn retry_after(text: &str, now: OffsetDateTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = text
        .strip_suffix("GMT")
        .map(|rest| format!("{rest}+0000"))?;
    let at = OffsetDateTime::parse(&date, &Rfc2822).ok()?;
    Some(Duration::try_from(at - now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn shown(url: &str) -> Result<(String, String), &'static str> {
        let address = Address::parse(url)?;
        Ok((address.shown(), address.path.to_string()))
    }

    #[test]
    fn an_address_is_https_or_this_machine() {
        let parts = |host: &str, path: &str| Ok((host.to_owned(), path.to_owned()));
        assert_eq!(
            shown("https://a.example/x?y=1"),
            parts("a.example", "/x?y=1")
        );
        assert_eq!(shown("https://a.example"), parts("a.example", "/"));
        assert_eq!(shown("https://a.example?k=1"), parts("a.example", "/?k=1"));
        assert_eq!(
            shown("https://a.example:8443/"),
            parts("a.example:8443", "/")
        );
        assert_eq!(shown("https://[2001:db8::1]/"), parts("[2001:db8::1]", "/"));
        assert_eq!(
            shown("http://127.0.0.1:8080/a"),
            parts("127.0.0.1:8080", "/a")
        );
        assert_eq!(shown("http://[::1]:8080/a"), parts("[::1]:8080", "/a"));
        for bad in [
            "",
            "a.example",
            "ftp://a.example",
            "https://",
            "https://:443/",
            "https://dana:pw@a.example/",
            "https://a.example/#top",
            "https://a.example/ b",
            "https://a.example/\r\nx: y",
            "https://ä.example/",
            "http://a.example/",
            "http://localhost:8080/",
            "http://10.0.0.1/",
            "http://127.0.0.1@evil.example/",
        ] {
            assert!(shown(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn when_to_try_again_is_read_in_both_forms() {
        let now = datetime!(2026-01-06 10:00:00 UTC);
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(retry_after("120", now), seconds(120));
        assert_eq!(
            retry_after("Tue, 06 Jan 2026 10:01:30 GMT", now),
            seconds(90)
        );
        assert_eq!(
            retry_after("Tue, 06 Jan 2026 09:00:00 GMT", now),
            seconds(0)
        );
        for bad in ["", "soon", "-1", "1.5", "Tue, 06 Jan 2026 10:01:30"] {
            assert_eq!(retry_after(bad, now), None, "{bad}");
        }
    }

    #[test]
    fn a_status_says_whether_it_is_held_later_or_never() {
        let later =
            |status, again| matches!(judge("h", status, again), Err(SinkError::Unavailable(_)));
        for status in [200, 202, 204] {
            assert_eq!(judge("h", status, None), Ok(Answer::Taken));
        }
        for status in [301, 302, 307, 308, 408, 425, 429, 500, 502, 503, 504] {
            assert!(later(status, None), "{status}");
        }
        for status in [400, 401, 403, 404, 410, 413, 422] {
            assert_eq!(judge("h", status, None), Ok(Answer::Refused(status)));
        }
        let wait = Duration::from_secs(7);
        for status in [429, 503] {
            let busy = judge("h", status, Some(wait));
            assert!(matches!(busy, Err(SinkError::Busy { wait: w, .. }) if w == wait));
        }
        assert!(later(500, Some(wait)));
    }
}
