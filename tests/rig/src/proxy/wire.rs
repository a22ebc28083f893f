//! The serving side of the proxy: one call from its arrival to its reply, or to the loss of it.

use std::sync::Arc;
use std::time::Instant;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::http::header;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;

use super::call::Call;
use super::guard::{self, Session};
use super::reply::{self, Dropped, Refusal, ReplyBody, cut, dated};
use super::rules::{Fault, Keep};
use super::{Shared, State, Used, secrets, trail};
use crate::client::Reply;
use crate::{RigError, http};

/// Accepts connections until `stopped` resolves.
pub(super) async fn serve(
    shared: Arc<Shared>,
    listener: std::net::TcpListener,
    stopped: oneshot::Receiver<()>,
) {
    let address = listener.local_addr();
    let mut listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            return shared
                .lock()
                .broken
                .push(format!("the proxy cannot listen: {error}"));
        }
    };
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            () = shared.shut.notified() => {
                drop(listener);
                let held = hold(&address).await;
                let rest = shared.lock().shut_for.take().unwrap_or_default();
                tokio::time::sleep(rest).await;
                listener = match held.and_then(|socket| socket.listen(1024)) {
                    Ok(listener) => listener,
                    Err(error) => {
                        return shared.lock().broken.push(format!("the proxy's port is gone: {error}"));
                    }
                };
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(connection(Arc::clone(&shared), stream));
                }
                Err(error) => shared.lock().broken.push(format!("the proxy cannot accept: {error}")),
            },
        }
    }
}

/// Takes the same address again at once, and does not listen yet: whoever calls is refused, and nobody else is given the port.
async fn hold(address: &std::io::Result<std::net::SocketAddr>) -> std::io::Result<TcpSocket> {
    let address = *address
        .as_ref()
        .map_err(|why| std::io::Error::new(why.kind(), why.to_string()))?;
    let begun = Instant::now();
    loop {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        match socket.bind(address) {
            Err(_) if begun.elapsed().as_secs() < 5 => {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            bound => return bound.map(|()| socket),
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        // A task of its own: what has reached the wire goes its way even if the client is killed meanwhile.
        let call = tokio::spawn(receive(Arc::clone(&shared), request));
        async move { call.await.unwrap_or(Err(Dropped)) }
    });
    // An error here is a dropped connection, on purpose or by the client.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn receive(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Dropped> {
    let arrived = Instant::now();
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, http::BODY_LIMIT).collect().await else {
        return Err(Dropped);
    };
    let body = body.to_bytes();
    let (mut call, fault) = {
        let mut state = shared.lock();
        let call = Call::read(state.calls.len(), &head, &body);
        state.calls.push(call.clone());
        let fault = state.rules.iter_mut().find_map(|rule| rule.hits(&call));
        (call, fault)
    };
    shared.changed.notify_all();

    let broken_off = matches!(fault, Some(Fault::CutBody));
    let overtaken = matches!(fault, Some(Fault::Overtaken));
    let outcome = match fault {
        Some(Fault::Overtaken) => Err(Dropped),
        fault => {
            let outcome = answer(&shared, &mut call, fault, &head, &body).await;
            // What this call has overtaken comes to AWS now, before anybody can act on this call's reply.
            let late = std::mem::take(&mut shared.lock().overtaken);
            for mut late in late {
                let response = act(&shared, &mut late.call, &late.head, &late.body).await;
                note(&mut late.call, &response);
                shared.settle(late.call);
            }
            outcome
        }
    };
    call.answered = outcome.is_ok() && !broken_off;
    call.took = arrived.elapsed();
    shared.settle(call.clone());
    if overtaken {
        shared.lock().overtaken.push(Late { call, head, body });
    }
    outcome.map(|response| match broken_off {
        true => cut(response, shared.now()),
        false => dated(response, shared.now()),
    })
}

/// A call that the next one overtakes.
pub(super) struct Late {
    call: Call,
    head: Parts,
    body: Bytes,
}

impl Shared {
    /// Notes what became of a call.
    fn settle(&self, call: Call) {
        let seq = call.seq;
        self.lock().calls[seq] = call;
        self.changed.notify_all();
    }
}

/// The reply to a call, faults included, with what was seen of it noted in `call`.
async fn answer(
    shared: &Arc<Shared>,
    call: &mut Call,
    fault: Option<Fault>,
    head: &Parts,
    body: &Bytes,
) -> Result<Response<Bytes>, Dropped> {
    match &fault {
        Some(Fault::Unreachable) => return Err(Dropped),
        Some(Fault::Refused(rest)) => {
            shared.lock().shut_for = Some(*rest);
            shared.shut.notify_one();
            return Err(Dropped);
        }
        Some(Fault::Refuse(status, code, message)) => {
            let response = Refusal::new(*status, code, message).response(call);
            note(call, &response);
            return Ok(response);
        }
        Some(Fault::Answer(status, said)) => {
            let response = reply::answer(*status, "text/xml", said.clone());
            note(call, &response);
            return Ok(response);
        }
        Some(Fault::HoldRequest(gate)) => gate.pass().await,
        _ => {}
    }
    let mut response = act(shared, call, head, body).await;
    if let Some(Fault::Repeat(keep)) = fault {
        let second = act(shared, call, head, body).await;
        if keep == Keep::Second {
            response = second;
        }
    }
    note(call, &response);
    if let Some(Fault::FailAfter(status, code, message)) = &fault {
        return Ok(Refusal::new(*status, code, message).response(call));
    }
    match fault {
        Some(Fault::LoseReply) => return Err(Dropped),
        Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
        Some(Fault::HoldReply(gate)) => gate.pass().await,
        _ => {}
    }
    Ok(response)
}

/// What AWS does with the call and answers.
async fn act(shared: &Arc<Shared>, call: &mut Call, head: &Parts, body: &Bytes) -> Response<Bytes> {
    let known = trail::know(shared, call).await;
    let response = act_whole(shared, call, head, body).await;
    let noted = match known {
        Ok(()) => trail::note(shared, call, head, body, &response).await,
        Err(error) => Err(error),
    };
    if let Err(error) = noted {
        let broken = format!("{}: the trail: {error}", call.action);
        shared.lock().broken.push(broken);
    }
    response
}

async fn act_whole(
    shared: &Arc<Shared>,
    call: &mut Call,
    head: &Parts,
    body: &Bytes,
) -> Response<Bytes> {
    match act_or_break(shared, call, head, body).await {
        Ok(response) => response,
        Err(error) => {
            shared
                .lock()
                .broken
                .push(format!("{}: {error}", call.action));
            Refusal::new(500, "InternalFailure", error.to_string()).response(call)
        }
    }
}

async fn act_or_break(
    shared: &Arc<Shared>,
    call: &mut Call,
    head: &Parts,
    body: &Bytes,
) -> Result<Response<Bytes>, RigError> {
    // The emulator trusts root keys and unsigned calls without looking; AWS does neither.
    let Some(key) = call.access_key_id.clone() else {
        let message = "Request is missing Authentication Token";
        return Ok(Refusal::new(403, "MissingAuthenticationToken", message).response(call));
    };
    let is_root = !(key.starts_with("AKIA") || key.starts_with("ASIA"));
    if is_root || shared.lock().is_too_new(&key) {
        return Ok(Refusal::unknown_key().response(call));
    }
    let making_key = call.action == "iam:CreateAccessKey";
    let (_writing, _reading) = if making_key {
        (Some(shared.making_keys.write().await), None)
    } else {
        (None, Some(shared.making_keys.read().await))
    };
    let session = shared.lock().sessions.get(&key).cloned();
    if let Err(refusal) = guard::check(
        &shared.shipped,
        shared.emulator,
        &shared.admin,
        call,
        session,
    )
    .await?
    {
        return Ok(refusal.response(call));
    }
    if secrets::is_ours(call) {
        return secrets::act(shared, call, head, body).await;
    }
    let _labels = match call.service() {
        "secretsmanager" => Some(shared.rotating.read().await),
        _ => None,
    };
    call.forwarded += 1;
    let mut response = http::exchange(shared.emulator, forwarded(head, body)).await?;
    if response.status().is_success() {
        learn(&mut shared.lock(), call, &mut response);
    }
    Ok(response)
}

/// The same request again, without the headers that belong to one connection.
pub(super) fn forwarded(head: &Parts, body: &Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body.clone()));
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head.uri.clone();
    *request.headers_mut() = head.headers.clone();
    for hop in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::EXPECT,
    ] {
        request.headers_mut().remove(hop);
    }
    request
}

/// Takes from a success what later calls depend on, and adds what the emulator leaves out.
fn learn(state: &mut State, call: &Call, response: &mut Response<Bytes>) {
    let body = String::from_utf8_lossy(response.body()).into_owned();
    match call.action.as_str() {
        "iam:CreateAccessKey" => {
            if let Some(id) = crate::xml::text(&body, "AccessKeyId") {
                state.remember_key(id);
            }
        }
        // The emulator counts no uses.
        "iam:GetAccessKeyLastUsed" => {
            let used = call
                .param("AccessKeyId")
                .and_then(|key| state.last_use(key));
            if let Some(used) = used {
                let told = used_as_told(&used);
                let untold = "<Region>N/A</Region><ServiceName>N/A</ServiceName>";
                *response.body_mut() = Bytes::from(body.replacen(untold, &told, 1));
            }
        }
        "sts:AssumeRole" => {
            state.sessions.extend(Session::of(call, &body));
            if let Some(identity) = call.param("SourceIdentity") {
                let echo =
                    format!("<SourceIdentity>{identity}</SourceIdentity></AssumeRoleResult>");
                *response.body_mut() = Bytes::from(body.replacen("</AssumeRoleResult>", &echo, 1));
            }
        }
        _ => {}
    }
}

/// As IAM writes it: whole seconds, UTC.
fn used_as_told(used: &Used) -> String {
    let at = used
        .at
        .replace_nanosecond(0)
        .unwrap_or(used.at)
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default();
    let (region, service) = (&used.region, &used.service);
    format!(
        "<LastUsedDate>{at}</LastUsedDate><Region>{region}</Region><ServiceName>{service}</ServiceName>"
    )
}

fn note(call: &mut Call, response: &Response<Bytes>) {
    let reply = Reply::of(response);
    call.status = Some(reply.status);
    call.error = reply.error;
    call.reply = reply.body;
}
