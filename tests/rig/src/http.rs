//! One HTTP exchange over a fresh loopback connection, and a way to wait for it from code that is not async.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::RigError;

/// The largest body that the rig relays, in bytes.
pub(crate) const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// How long the emulator may take for one reply.
const REPLY_LIMIT: Duration = Duration::from_secs(60);

/// Sends `request` to `address` as it is (the caller's `Host` header included) and collects the reply.
pub(crate) async fn exchange(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, RigError> {
    tokio::time::timeout(REPLY_LIMIT, exchange_unbounded(address, request))
        .await
        .map_err(|_| {
            RigError::new(format!(
                "{address} gave no reply within {} s",
                REPLY_LIMIT.as_secs()
            ))
        })?
}

async fn exchange_unbounded(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, RigError> {
    let failed = |error: &dyn std::fmt::Display| {
        RigError::new(format!("exchange with {address} failed: {error}"))
    };
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| failed(&error))?;
    stream.set_nodelay(true).map_err(|error| failed(&error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(&error))?;
    let reply = async {
        let reply = sender
            .send_request(request)
            .await
            .map_err(|error| failed(&error))?;
        let (head, body) = reply.into_parts();
        let body = Limited::new(body, BODY_LIMIT)
            .collect()
            .await
            .map_err(|error| failed(&error))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    // The connection has to be driven for the exchange to move; it ends when the reply is whole.
    tokio::pin!(connection);
    tokio::pin!(reply);
    tokio::select! {
        reply = &mut reply => reply,
        ended = &mut connection => match ended {
            Ok(()) => reply.await,
            Err(error) => Err(failed(&error)),
        },
    }
}

/// Runs a future to its end on a thread of its own, so that a test may call it inside or outside a runtime.
pub(crate) fn wait<F>(future: F) -> Result<F::Output, RigError>
where
    F: Future + Send,
    F::Output: Send,
{
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| RigError::new(format!("no async runtime: {error}")))?;
                Ok(runtime.block_on(future))
            })
            .join()
            .map_err(|_| RigError::new("the thread of an HTTP exchange panicked"))?
    })
}
