//! THE table: every route with what it asks of its caller. The router is built from it and from nothing else.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{FromRequestParts as _, RawPathParams, Request},
    http::{Method, StatusCode, header, request::Parts},
    response::Response,
    routing::{MethodFilter, on},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Agent, handlers as h,
    people::Listed,
    record::Record,
    recordings,
    server::Peer,
    table::{Permission as P, Route, get, post},
};
use crate::protocol::{
    Code, Problem,
    socket::{MAX_BODY, MAX_ROSTER_BODY},
};

/// How long a request's body may take.
const BODY: Duration = Duration::from_secs(10);

type Handler = fn(Call) -> Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + Send>>;

/// All routes. What does not stand here does not exist.
pub(super) const ROUTES: &[Route<Handler>] = &[
    get("/v1/status", P::Listed, |c| Box::pin(h::status(c))),
    get("/v1/vaults/{vault}", P::Listed, |c| Box::pin(h::vault(c))),
    get("/v1/vaults/{vault}/bundle", P::CustodianOrOfficer, |c| {
        Box::pin(h::sealed(c))
    }),
    post("/v1/vaults/{vault}/seal", P::Officer, |c| {
        Box::pin(h::begin_seal(c))
    }),
    post("/v1/vaults/{vault}/roster", P::OperatorOrOfficer, |c| {
        Box::pin(h::submit_roster(c))
    }),
    // Who stands in the roster may bring it: what is in it was signed by others.
    post("/v1/vaults/{vault}/recovery", P::Listed, |c| {
        Box::pin(h::recovery(c))
    }),
    post("/v1/seals/{seal}", P::Officer, |c| {
        Box::pin(h::finish_seal(c))
    }),
    post("/v1/requests", P::Operator, |c| Box::pin(h::ask(c))),
    get("/v1/requests", P::Listed, |c| Box::pin(h::requests(c))),
    get("/v1/requests/{request}", P::Listed, |c| {
        Box::pin(h::request(c))
    }),
    get("/v1/requests/{request}/bundle", P::Custodian, |c| {
        Box::pin(h::bundle(c))
    }),
    post("/v1/requests/{request}/approvals", P::Listed, |c| {
        Box::pin(h::approve(c))
    }),
    post("/v1/requests/{request}/denials", P::Listed, |c| {
        Box::pin(h::deny(c))
    }),
    post("/v1/requests/{request}/withdrawals", P::Listed, |c| {
        Box::pin(h::withdraw(c))
    }),
    post("/v1/requests/{request}/confirmation", P::Commander, |c| {
        Box::pin(h::confirm(c))
    }),
    get("/v1/requests/{request}/credentials", P::OwnRequest, |c| {
        Box::pin(h::credentials(c))
    }),
    post(
        "/v1/requests/{request}/close",
        P::OwnRequestOrOfficer,
        |c| Box::pin(h::close(c)),
    ),
    post("/v1/requests/{request}/recording", P::OwnRequest, |c| {
        Box::pin(recordings::part(c))
    }),
    get("/v1/requests/{request}/recording", P::Officer, |c| {
        Box::pin(recordings::read(c))
    }),
    post("/v1/requests/{request}/notes", P::OwnRequest, |c| {
        Box::pin(recordings::note(c))
    }),
    post("/v1/requests/{request}/review", P::Officer, |c| {
        Box::pin(h::review(c))
    }),
    post(
        "/v1/requests/{request}/filings",
        P::OwnRequestOrOfficer,
        |c| Box::pin(h::file(c)),
    ),
    get("/v1/requests/{request}/events", P::Listed, |c| {
        Box::pin(h::trail(c))
    }),
    get("/v1/reviews", P::Listed, |c| Box::pin(h::quarter(c))),
    get("/v1/vaults/{vault}/drill", P::Custodian, |c| {
        Box::pin(h::drill(c))
    }),
    post("/v1/vaults/{vault}/drills", P::Listed, |c| {
        Box::pin(h::drill_passed(c))
    }),
    post("/v1/vaults/{vault}/drills/failed", P::Custodian, |c| {
        Box::pin(h::drill_failed(c))
    }),
    post("/v1/vaults/{vault}/sheets", P::Listed, |c| {
        Box::pin(h::sheet_checked(c))
    }),
    get("/v1/audit/events", P::Listed, |c| Box::pin(h::events(c))),
    get("/v1/audit/envelopes", P::Listed, |c| {
        Box::pin(h::envelopes(c))
    }),
    post("/v1/audit/acknowledgement", P::Officer, |c| {
        Box::pin(h::acknowledge(c))
    }),
    post("/v1/audit/match", P::Officer, |c| {
        Box::pin(super::fingerprints::compare(c))
    }),
    get("/v1/audit/checkpoints", P::Listed, |c| {
        Box::pin(h::checkpoints(c))
    }),
];

/// A call whose caller may make it.
pub(super) struct Call {
    pub(super) agent: Arc<Agent>,
    pub(super) caller: Listed,
    uid: u32,
    permission: P,
    params: HashMap<String, String>,
    /// The request in the path.
    record: Option<Arc<Record>>,
    query: String,
    body: Vec<u8>,
}

/// What a handler answers.
pub(super) struct Answer {
    content_type: &'static str,
    body: Vec<u8>,
    /// Whether the connection ends with it.
    last: bool,
}

/// A problem with its HTTP status.
pub(super) struct Refusal {
    status: StatusCode,
    problem: Problem,
}

/// The router: the table, and refusals for everything else.
pub(super) fn router(agent: &Arc<Agent>) -> Router {
    let table = ROUTES.iter().fold(Router::new(), |router, route| {
        let agent = Arc::clone(agent);
        let serve = move |request: Request| async move {
            match serve(agent, route, request).await {
                Ok(answer) => answer.into_response(),
                Err(refusal) => refusal.into_response(),
            }
        };
        router.route(route.path(), on(filter(route.method()), serve))
    });
    table
        .fallback(|| async { not_found().into_response() })
        .method_not_allowed_fallback(|| async {
            let problem = Problem::new(Code::Usage, "that path does not take this method");
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, problem).into_response()
        })
}

/// Who, may they, what, and only then the handler.
async fn serve(
    agent: Arc<Agent>,
    route: &Route<Handler>,
    request: Request,
) -> Result<Answer, Refusal> {
    let (mut parts, body) = request.into_parts();
    let peer = *parts
        .extensions
        .get::<Peer>()
        .ok_or_else(|| Problem::new(Code::Internal, "a connection without a peer"))?;
    // GET answers HEAD too in this router; a table has no such row.
    if parts.method != *route.method() {
        let problem = Problem::new(Code::Usage, "that path does not take this method");
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, problem));
    }
    from_here(&parts)?;

    let listed = agent.listed(peer.uid).await?;
    let params = params(&mut parts).await;
    let record = match params.get("request") {
        Some(id) => Some(agent.any_request(id).await?),
        None => None,
    };
    let vault = match (params.get("vault"), params.get("seal"), &record) {
        (Some(vault), ..) => Some(vault.clone()),
        (_, Some(seal), _) => Some(agent.seals.vault_of(seal).ok_or_else(|| {
            let problem = Problem::new(Code::Usage, "there is no such sealing")
                .hint("begin again: twotap vault seal");
            Refusal::new(StatusCode::NOT_FOUND, problem)
        })?),
        (.., Some(record)) => Some(record.request.vault.clone()),
        _ => None,
    };
    let caller = match &vault {
        Some(vault) => agent.listed_in(peer.uid, vault).await?,
        None => listed,
    };
    // Where the body names the vault, the handler asks again: `Call::in_vault`.
    if vault.is_some() || route.permission() != P::Operator {
        caller.may(route.permission(), record.as_deref())?;
    }

    let with_roster = ["/roster", "/seal"];
    let most = if with_roster.iter().any(|end| route.path().ends_with(end)) {
        MAX_ROSTER_BODY
    } else {
        MAX_BODY
    };
    let body = read(body, most).await?;
    let call = Call {
        agent,
        caller,
        uid: peer.uid,
        permission: route.permission(),
        params,
        record,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body,
    };
    (route.handler())(call).await
}

/// Browsers and proxies have nothing to ask here.
fn from_here(parts: &Parts) -> Result<(), Refusal> {
    let headers = &parts.headers;
    let foreign = |what: &str| {
        Refusal::new(
            StatusCode::FORBIDDEN,
            Problem::new(
                Code::Refused,
                format!("a request with {what} is not served"),
            ),
        )
    };
    if headers.contains_key(header::ORIGIN) {
        return Err(foreign("an Origin"));
    }
    let local = |host: &[u8]| {
        let name = host.split(|b| *b == b':').next();
        matches!(name, Some(b"twotap" | b"localhost" | b""))
    };
    let mut hosts = headers.get_all(header::HOST).iter();
    // What a proxy is asked for names the host in the request line, and that counts (RFC 9112, 3.2.2).
    let asked = parts.uri.authority().map(|a| a.as_str().as_bytes());
    if hosts.all(|host| local(host.as_bytes())) && asked.is_none_or(local) {
        Ok(())
    } else {
        Err(foreign("another host's name"))
    }
}

async fn params(parts: &mut Parts) -> HashMap<String, String> {
    match RawPathParams::from_request_parts(parts, &()).await {
        Ok(params) => params
            .iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect(),
        Err(_) => HashMap::new(),
    }
}

async fn read(body: Body, most: usize) -> Result<Vec<u8>, Refusal> {
    let late = || {
        let problem = Problem::new(Code::Usage, "the body did not come in time");
        Refusal::new(StatusCode::REQUEST_TIMEOUT, problem)
    };
    let large = || {
        let problem = Problem::new(
            Code::Usage,
            format!("the body is larger than {} KiB", most / 1024),
        );
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, problem)
    };
    // What says itself that it is too large is not waited for.
    if body.size_hint().lower() > most as u64 {
        return Err(large());
    }
    let collected = tokio::time::timeout(BODY, Limited::new(body, most).collect())
        .await
        .map_err(|_| late())?;
    match collected {
        Ok(body) => Ok(body.to_bytes().to_vec()),
        Err(why) if why.is::<LengthLimitError>() => Err(large()),
        Err(_) => Err(Problem::new(Code::Usage, "the body broke off").into()),
    }
}

fn filter(method: &Method) -> MethodFilter {
    if *method == Method::POST {
        MethodFilter::POST
    } else {
        MethodFilter::GET
    }
}

fn not_found() -> Refusal {
    let problem = Problem::new(Code::Usage, "there is no such path")
        .hint("is twotap of the agent's version? see twotap status");
    Refusal::new(StatusCode::NOT_FOUND, problem)
}

impl Agent {
    async fn any_request(self: &Arc<Self>, id: &str) -> Result<Arc<Record>, Refusal> {
        let unknown = || {
            Refusal::new(
                StatusCode::NOT_FOUND,
                super::book::unknown_request("with that id"),
            )
        };
        if !crate::trust::request::is_request_id(id) {
            return Err(unknown());
        }
        self.book.any_request(id).await?.ok_or_else(unknown)
    }
}

impl Call {
    /// The body, typed.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body).map_err(|why| {
            // The position and the kind, never the text: it comes from outside.
            let what = match why.classify() {
                serde_json::error::Category::Data => "is not what this path takes",
                _ => "is not JSON",
            };
            Problem::new(
                Code::Usage,
                format!(
                    "the body {what} (line {}, column {})",
                    why.line(),
                    why.column()
                ),
            )
        })
    }

    /// A word in the query, as it stands there.
    pub(super) fn word(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// A number in the query, or what it is where it is absent.
    pub(super) fn number(&self, name: &str, absent: u64) -> Result<u64, Problem> {
        match self.word(name) {
            None => Ok(absent),
            Some(value) => value
                .parse()
                .map_err(|_| Problem::new(Code::Usage, format!("{name} is not a number"))),
        }
    }

    /// A segment of the path.
    pub(super) fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// The request in the path.
    pub(super) fn record(&self) -> Result<&Arc<Record>, Problem> {
        self.record
            .as_ref()
            .ok_or_else(|| Problem::new(Code::Internal, "the path names no request"))
    }

    /// Whether the caller is listed in this vault too.
    pub(super) fn sees(&self, vault: &str) -> bool {
        self.agent.sees(self.uid, vault)
    }

    /// The caller in a vault that the body names, if the route's permission holds there.
    pub(super) async fn in_vault(&self, vault: &str) -> Result<Listed, Problem> {
        let caller = self.agent.listed_in(self.uid, vault).await?;
        caller.may(self.permission, None)?;
        Ok(caller)
    }
}

impl Answer {
    /// JSON.
    pub(super) fn json(value: &impl Serialize) -> Result<Self, Refusal> {
        let body = serde_json::to_vec(value)
            .map_err(|why| Problem::new(Code::Internal, format!("cannot write json: {why}")))?;
        Ok(Self {
            content_type: "application/json",
            body,
            last: false,
        })
    }

    /// Ends the connection after this answer, and with it the buffers that it went through.
    pub(super) fn last(mut self) -> Self {
        self.last = true;
        self
    }

    /// Lines.
    pub(super) fn text(content_type: &'static str, body: Vec<u8>) -> Self {
        Self {
            content_type,
            body,
            last: false,
        }
    }

    fn into_response(self) -> Response {
        let mut response = respond(StatusCode::OK, self.content_type, self.body);
        if self.last {
            let close = header::HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}

impl Refusal {
    fn new(status: StatusCode, problem: Problem) -> Self {
        Self { status, problem }
    }

    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.problem).unwrap_or_default();
        respond(self.status, "application/json", body)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let status = match problem.code {
            Code::Usage => StatusCode::BAD_REQUEST,
            Code::Refused => StatusCode::FORBIDDEN,
            Code::Approvals | Code::Tampering => StatusCode::CONFLICT,
            Code::Agent | Code::AwsRefused => StatusCode::BAD_GATEWAY,
            Code::AwsUnreachable => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, problem }
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(content_type),
    );
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    response
}

#[cfg(test)]
mod tests;
