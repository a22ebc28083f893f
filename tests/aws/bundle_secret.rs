//! The label that decides: it moves only from where it was seen, and a version never becomes `AWSCURRENT` by itself.

use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_types::region::Region;
use twotap::aws::{Arn, Aws, Credentials, Moved};

use crate::emulator::Emulator;

const LABEL: &str = "decides";
const BESIDE: &str = "beside";

async fn secret(emulator: &Emulator, root: &Credentials) -> Arn {
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(&emulator.url)
        .credentials_provider(root.clone())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let made = aws_sdk_secretsmanager::Client::from_conf(config)
        .create_secret()
        .name("twotap/prod-bundle")
        .send()
        .await
        .expect("a secret");
    Arn::parse(made.arn().expect("an ARN")).expect("an ARN")
}

#[tokio::test]
async fn a_label_moves_only_from_where_it_was_seen() {
    let emulator = Emulator::start();
    let root = Credentials::new("test", "test", None, None, "root");
    let secret = secret(&emulator, &root).await;
    let aws = Aws::new(emulator.endpoints()).expect("a loopback address");
    let label = || async {
        let found = aws.labelled_version(&root, &secret, LABEL).await;
        found.expect("an answer").value.map(|v| (v.version, v.text))
    };
    assert_eq!(label().await, None);

    let ids = ["1", "2", "3"].map(|n| n.repeat(32));
    for (id, text) in ids.iter().zip(["one", "two", "three"]) {
        aws.put_secret_version(&root, &secret, id, text, BESIDE)
            .await
            .expect("put");
        let read = aws.secret_version(&root, &secret, id).await.expect("there");
        assert_eq!(read.value.text, text);
        assert!(read.value.created.is_some());
    }
    let moved = |from: Option<usize>, to: usize| {
        let (aws, secret, root, ids) = (&aws, &secret, &root, &ids);
        async move {
            let from = from.map(|i| ids[i].as_str());
            let answer = aws.swap_label(root, secret, LABEL, from, &ids[to]).await;
            answer.expect("an answer").value
        }
    };
    assert_eq!(moved(None, 0).await, Moved::Yes);
    // Somebody else has seen it nowhere, and somebody where it is no more.
    assert_eq!(moved(None, 1).await, Moved::No);
    assert_eq!(moved(Some(0), 1).await, Moved::Yes);
    assert_eq!(moved(Some(0), 2).await, Moved::No);
    assert_eq!(label().await, Some((ids[1].clone(), "two".to_owned())));
    // The same move once more, after an answer that was lost.
    assert_eq!(moved(Some(0), 1).await, Moved::Yes);

    let facts = aws.describe_secret(&root, secret.as_str()).await;
    let current = facts.expect("an answer").value;
    let current = current.version_with("AWSCURRENT");
    assert!(current.is_none_or(|v| !ids.iter().any(|id| id == v)));
}
