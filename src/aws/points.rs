//! Failpoints around every call: one before it is sent and one after the answer's head has come.

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

use crate::fail::point;

/// The same connector with the points around each call.
pub(super) fn around(connector: SharedHttpConnector) -> SharedHttpConnector {
    SharedHttpConnector::new(Around(connector))
}

#[derive(Debug)]
struct Around(SharedHttpConnector);

impl HttpConnector for Around {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, name) = (self.0.clone(), name(&request));
        HttpConnectorFuture::new(async move {
            point(|| format!("aws:{name}:before"));
            let answer = inner.call(request).await;
            point(|| format!("aws:{name}:after"));
            answer
        })
    }
}

/// `iam.CreateAccessKey`, from what stands in every signed call; `date` for the unsigned one.
fn name(request: &HttpRequest) -> String {
    let headers = request.headers();
    let service = headers
        .get("authorization")
        .and_then(|value| value.split("Credential=").nth(1))
        .and_then(|scope| scope.split('/').nth(3))
        .map(str::to_owned);
    let Some(service) = service else {
        return "date".to_owned();
    };
    let body = request.body().bytes().unwrap_or_default();
    let body = String::from_utf8_lossy(body);
    let query = request.uri().split_once('?').map(|(_, query)| query);
    let action = [Some(&*body), query]
        .into_iter()
        .flatten()
        .find_map(|text| {
            let mut pairs = text.split('&');
            pairs.find_map(|pair| pair.strip_prefix("Action=").map(str::to_owned))
        });
    let target = headers
        .get("x-amz-target")
        .and_then(|target| target.rsplit('.').next());
    let action = target.map(str::to_owned).or(action);
    format!(
        "{service}.{}",
        action.unwrap_or_else(|| request.method().to_owned())
    )
}
