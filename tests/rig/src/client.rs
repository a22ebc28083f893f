//! An AWS client that is not the SDK: a signed call and its reply, nothing more. Tests use it to see what really
//! holds, without trusting the code under test.

use std::net::SocketAddr;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Response};
use serde_json::Value;
use time::OffsetDateTime;

use crate::sigv4::{self, Signable};
use crate::{RigError, http, xml};

/// An access key, or a session when it has a token. No `Debug`: a secret stands in it, even if only an emulator's.
#[derive(Clone)]
pub struct Credentials {
    /// `AKIA...` for a user's key, `ASIA...` for a session.
    pub access_key_id: String,
    /// The secret that signs.
    pub secret_access_key: String,
    /// The session's token; `None` for a user's key.
    pub session_token: Option<String>,
}

/// A signed way to one endpoint: the emulator itself, or a proxy before it.
#[derive(Clone)]
pub struct Client {
    endpoint: SocketAddr,
    region: String,
    credentials: Credentials,
}

/// What AWS answered.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// AWS's error code (`AccessDenied`), `None` for a success.
    pub error: Option<String>,
    /// The `Date` header, as sent.
    pub date: Option<String>,
    /// The body: XML of the query protocols, JSON of the others.
    pub body: String,
}

impl Credentials {
    /// The key or session in a reply of STS or IAM.
    pub fn of_xml(body: &str) -> Option<Self> {
        Some(Self {
            access_key_id: xml::text(body, "AccessKeyId")?,
            secret_access_key: xml::text(body, "SecretAccessKey")?,
            session_token: xml::text(body, "SessionToken"),
        })
    }
}

impl Client {
    /// A client for `endpoint` that signs for `region`.
    pub fn new(endpoint: SocketAddr, region: &str, credentials: Credentials) -> Self {
        Self {
            endpoint,
            region: region.to_owned(),
            credentials,
        }
    }

    /// Where it calls.
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// The same endpoint and Region with other credentials.
    pub fn signing_as(&self, credentials: Credentials) -> Self {
        Self {
            credentials,
            ..self.clone()
        }
    }

    /// Calls an action of a query-protocol service (`iam`, `sts`, `ec2`).
    pub fn query(
        &self,
        service: &str,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<Reply, RigError> {
        http::wait(self.query_async(service, action, params))?
    }

    /// Calls an action of a JSON-protocol service; `target` is the `X-Amz-Target`, e.g. `secretsmanager.ListSecrets`.
    pub fn json(&self, service: &str, target: &str, body: &Value) -> Result<Reply, RigError> {
        http::wait(self.json_async(service, target, body))?
    }

    pub(crate) async fn json_async(
        &self,
        service: &str,
        target: &str,
        body: &Value,
    ) -> Result<Reply, RigError> {
        let body = body.to_string();
        self.send(service, "application/x-amz-json-1.1", Some(target), body)
            .await
    }

    pub(crate) async fn query_async(
        &self,
        service: &str,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<Reply, RigError> {
        let version = match service {
            "iam" => "2010-05-08",
            "sts" => "2011-06-15",
            "ec2" => "2016-11-15",
            "sns" => "2010-03-31",
            "cloudformation" => "2010-05-15",
            other => {
                return Err(RigError::new(format!(
                    "the rig does not know the query protocol of `{other}`"
                )));
            }
        };
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", action)
            .append_pair("Version", version)
            .extend_pairs(params)
            .finish();
        let content_type = "application/x-www-form-urlencoded; charset=utf-8";
        self.send(service, content_type, None, body).await
    }

    async fn send(
        &self,
        service: &str,
        content_type: &str,
        target: Option<&str>,
        body: String,
    ) -> Result<Reply, RigError> {
        let host = self.endpoint.to_string();
        let headers = sigv4::sign(
            &Signable {
                host: &host,
                region: &self.region,
                service,
                content_type,
                target,
                body: body.as_bytes(),
            },
            &self.credentials,
            OffsetDateTime::now_utc(),
        );
        let mut request = Request::post("/");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| RigError::new(format!("the request cannot be built: {error}")))?;
        Ok(Reply::of(&http::exchange(self.endpoint, request).await?))
    }
}

impl Reply {
    /// The reply of an HTTP response.
    pub(crate) fn of(response: &Response<Bytes>) -> Self {
        let body = String::from_utf8_lossy(response.body()).into_owned();
        let status = response.status().as_u16();
        let date = response
            .headers()
            .get("date")
            .and_then(|date| date.to_str().ok())
            .map(str::to_owned);
        Self {
            status,
            error: (status >= 300).then(|| error_code(&body)),
            date,
            body,
        }
    }

    /// Whether AWS did what was asked.
    pub fn is_ok(&self) -> bool {
        self.error.is_none()
    }

    /// The reply if it is a success, otherwise an error that quotes it.
    pub fn expect_ok(self, what: &str) -> Result<Self, RigError> {
        match &self.error {
            None => Ok(self),
            Some(code) => Err(RigError::new(format!(
                "{what}: {} {code}: {}",
                self.status, self.body
            ))),
        }
    }

    /// The text of the first XML element called `name`, or of that top-level JSON field.
    pub fn text(&self, name: &str) -> Option<String> {
        if let Ok(Value::Object(fields)) = serde_json::from_str(&self.body) {
            return fields.get(name).and_then(Value::as_str).map(str::to_owned);
        }
        xml::text(&self.body, name)
    }

    /// The session or key that the reply carries (AssumeRole, CreateAccessKey).
    pub fn credentials(&self) -> Option<Credentials> {
        Some(Credentials {
            access_key_id: self.text("AccessKeyId")?,
            secret_access_key: self.text("SecretAccessKey")?,
            session_token: self.text("SessionToken"),
        })
    }
}

/// The error code of a reply's body in either protocol, `Unknown` when it has none.
fn error_code(body: &str) -> String {
    if let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(body) {
        let code = ["__type", "code", "Code"]
            .iter()
            .find_map(|name| fields.get(*name)?.as_str());
        return code
            .map_or("Unknown", |code| code.rsplit('#').next().unwrap_or(code))
            .to_owned();
    }
    xml::text(body, "Code").unwrap_or_else(|| "Unknown".to_owned())
}
