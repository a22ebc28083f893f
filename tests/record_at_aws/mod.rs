//! An account with an audit bucket, the user that may write there, and a record to send: what the sinks at AWS are tested on.
#![allow(dead_code, reason = "each test program uses the part that it needs")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_types::region::Region;
use serde_json::json;
use tempfile::TempDir;
use time::OffsetDateTime;
use time::macros::datetime;
use twotap::audit::chain::Head;
use twotap::audit::event::{Actor, Event, EventType};
use twotap::audit::sinks::{
    Backoff, Opening, Options, S3Config, S3Sink, Sink, SinkConfigError, SinkError, Sinks,
};
use twotap::audit::store::Store;
use twotap::aws::Credentials;
use twotap_rig::policies::{Names, Template, render};
use twotap_rig::proxy::Shipped;
use twotap_rig::{Aws, Client, Proxy};

pub(crate) const REGION: &str = "eu-central-1";
pub(crate) const WRITER: &str = "audit-writer";
pub(crate) const PREFIX: &str = "bg-1/";
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Failures are tried again at once.
const FAST: Backoff = Backoff {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(20),
};

/// The same events give the same lines, whichever store they are in.
const NOW: OffsetDateTime = datetime!(2026-01-06 10:00:00.123 UTC);

/// Records events of several types; every seventh has an envelope.
pub(crate) fn record(store: &Store, count: u64, why: &str) {
    let begins = store.head().expect("a head").seq;
    let types = EventType::ALL;
    store
        .commit(|tx| {
            for n in begins + 1..=begins + count {
                let event_type = types[usize::try_from(n).expect("small") % (types.len() - 1)];
                let mut event = Event::new(event_type, Actor::person("alice").expect("a name"))
                    .correlation("r-abcdefghijklm")
                    .justification(format!("{why}, n° {n}"));
                if n.is_multiple_of(7) {
                    event = event.envelope("approve", format!("{{\"envelope\":{n}}}"));
                }
                tx.append(&event, NOW)?;
            }
            Ok(())
        })
        .expect("recorded");
}

pub(crate) struct Bench {
    pub(crate) account: String,
    pub(crate) bucket: String,
    /// The emulator's own address, for people at a desk.
    pub(crate) direct: String,
    pub(crate) proxy: Proxy,
    pub(crate) admin: Client,
    /// The root's own way to S3, past proxy and policies.
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) key: PathBuf,
    pub(crate) store: Store,
    pub(crate) dir: TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    /// A bucket with Object Lock, the shipped policy on the writer, and an empty record.
    pub(crate) fn new() -> Self {
        let bench = Self::without_bucket();
        bench.make_bucket(true);
        bench
    }

    /// The same, and the bucket has still to be made.
    pub(crate) fn without_bucket() -> Self {
        let aws = Aws::shared().expect("the emulator");
        let account = aws.new_account();
        let admin = aws.admin(&account);
        let dir = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(format!("http://{}", aws.address()))
            .credentials_provider(Credentials::new(
                &account,
                "not-checked",
                None,
                None,
                "root",
            ))
            .force_path_style(true)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        let bench = Self {
            direct: format!("http://{}", aws.address()),
            bucket: format!("twotap-audit-{account}-{REGION}"),
            proxy: Proxy::start(aws.address(), &account, Shipped::new()).expect("a proxy"),
            s3: aws_sdk_s3::Client::from_conf(config),
            key: dir.path().join("audit-writer.json"),
            store: Store::open(&dir.path().join("state.db")).expect("a store"),
            account,
            admin,
            dir,
            runtime,
        };
        bench.iam("CreateUser", &[("UserName", WRITER)]);
        bench.allow(&bench.shipped());
        let made = bench.iam("CreateAccessKey", &[("UserName", WRITER)]);
        let made = made.credentials().expect("a key");
        bench.write_key(&made.access_key_id, &made.secret_access_key);
        bench
    }

    /// What the writer may, as it ships; but the emulator judges iam:SimulatePrincipalPolicy without its resource.
    pub(crate) fn shipped(&self) -> serde_json::Value {
        let account = &self.account;
        let names = Names {
            partition: "aws".into(),
            account: account.clone(),
            region: REGION.into(),
            further_account: account.clone(),
            external_id: "vault-prod".into(),
            rotated_secrets_arn: format!("arn:aws:secretsmanager:*:{account}:secret:prod/*"),
            rotation_functions_arn: format!("arn:aws:lambda:*:{account}:function:rotate-*"),
            bundle_secret_arn: format!("arn:aws:secretsmanager:*:{account}:secret:bundle"),
            audit_key_arn: format!("arn:aws:kms:{REGION}:{account}:key/audit"),
        };
        let shipped = render(Template::AuditWriter, &names).expect("the shipped policy");
        let itself = format!("arn:aws:iam::{account}:user/twotap/{WRITER}");
        let text = shipped.to_string();
        assert!(text.contains(&itself));
        let text = text.replace(&itself, "*");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Gives the writer this policy in place of the one it has.
    pub(crate) fn allow(&self, policy: &serde_json::Value) {
        let policy = policy.to_string();
        let named = [
            ("UserName", WRITER),
            ("PolicyName", "audit-writer"),
            ("PolicyDocument", &policy),
        ];
        self.iam("PutUserPolicy", &named);
    }

    pub(crate) fn iam(&self, action: &str, params: &[(&str, &str)]) -> twotap_rig::Reply {
        let reply = self.admin.query("iam", action, params).expect(action);
        reply.expect_ok(action).expect(action)
    }

    /// The file that the sink reads its key from.
    pub(crate) fn write_key(&self, id: &str, secret: &str) {
        let key = json!({ "AccessKey": {
            "UserName": WRITER, "AccessKeyId": id, "Status": "Active", "SecretAccessKey": secret,
            "CreateDate": "2026-01-06T10:00:00+00:00",
        }});
        fs::write(&self.key, key.to_string()).expect("written");
        fs::set_permissions(&self.key, fs::Permissions::from_mode(0o600)).expect("private");
    }

    pub(crate) fn make_bucket(&self, lock: bool) {
        let place = CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::from(REGION))
            .build();
        let making = self.s3.create_bucket().bucket(&self.bucket);
        let making = making
            .create_bucket_configuration(place)
            .object_lock_enabled_for_bucket(lock);
        self.wait(making.send()).expect("a bucket");
    }

    pub(crate) fn wait<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// The sink's table, with more lines.
    pub(crate) fn table(&self, more: &str) -> String {
        let (bucket, key) = (&self.bucket, self.key.display());
        let endpoint = self.proxy.endpoint();
        format!(
            "bucket = '{bucket}'\nprefix = '{PREFIX}'\nregion = '{REGION}'\ncredential = '{key}'\nendpoint = '{endpoint}'\n{more}"
        )
    }

    /// The sink in mode GOVERNANCE for a week.
    pub(crate) fn sink(&self) -> S3Sink {
        let table = self.table("mode = 'GOVERNANCE'\nretention_days = 7");
        let config: S3Config = toml::from_str(&table).expect("a table");
        self.open(config, None).expect("a sink")
    }

    pub(crate) fn open(
        &self,
        config: S3Config,
        environment: Option<&str>,
    ) -> Result<S3Sink, SinkConfigError> {
        let at = Opening {
            name: "worm",
            folder: self.dir.path(),
            state: self.dir.path(),
            host: "bg-1",
        };
        config.sink(&at, environment)
    }

    pub(crate) fn run(&self, sink: impl Sink) -> Sinks {
        self.run_on(&self.store, Box::new(sink), Options::default())
    }

    pub(crate) fn run_on(&self, store: &Store, sink: Box<dyn Sink>, options: Options) -> Sinks {
        Sinks::start(store, vec![(sink, options)], FAST).expect("running")
    }

    /// Records events of several types.
    pub(crate) fn record(&self, count: u64) {
        record(&self.store, count, "für alle");
    }

    /// Another store, of an agent that knows nothing of the first.
    pub(crate) fn fresh_store(&self, name: &str) -> Store {
        Store::open(&self.dir.path().join(format!("{name}.db"))).expect("a store")
    }

    pub(crate) fn head(&self) -> Head {
        self.store.head().expect("a head")
    }

    /// The record's lines as a file has them.
    pub(crate) fn lines(&self) -> Vec<u8> {
        let lines = self
            .store
            .lines()
            .map(|entry| entry.expect("an event").line);
        lines
            .flat_map(|line| [line, vec![b'\n']].concat())
            .collect()
    }

    /// The keys that stand in the bucket, current versions alone, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        let listed = self.s3.list_objects_v2().bucket(&self.bucket).send();
        let listed = self.wait(listed).expect("a list");
        let keys = listed.contents().iter().filter_map(|o| o.key());
        keys.map(str::to_owned).collect()
    }

    /// One object's bytes.
    pub(crate) fn object(&self, key: &str) -> Vec<u8> {
        self.wait(async {
            let got = self.s3.get_object().bucket(&self.bucket).key(key).send();
            let got = got.await.expect("an object");
            got.body.collect().await.expect("its bytes").to_vec()
        })
    }

    /// All events in the bucket, in the order of their names.
    pub(crate) fn held(&self) -> Vec<u8> {
        let keys = self.keys().into_iter();
        let events = keys.filter(|key| key.starts_with(&format!("{PREFIX}events/")));
        events.flat_map(|key| self.object(&key)).collect()
    }

    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        let put = self.s3.put_object().bucket(&self.bucket).key(key);
        let put = put.body(ByteStream::from(bytes.to_vec()));
        self.wait(put.send()).expect("put");
    }

    /// Waits until the sink holds event `seq`; else says how it stands.
    pub(crate) fn wait_held(&self, sinks: &Sinks, seq: u64) {
        let name = sinks.status().expect("a status")[0].name.clone();
        if !sinks.wait_acknowledged(&name, seq, SOON) {
            let calls = self.proxy.calls();
            let last = calls.iter().rev().take(6);
            let last: Vec<_> = last.map(|c| (&c.action, c.status, &c.reply)).collect();
            panic!("{:#?}\n{last:#?}", sinks.status());
        }
    }

    /// What the sink says although it works, once it says something.
    pub(crate) fn complaint(&self, sinks: &Sinks) -> String {
        let said = || sinks.status().expect("a status")[0].complaint.clone();
        assert!(self.store.wait(Some(SOON), |_| said().is_some()));
        said().expect("a complaint")
    }

    /// Waits until the sink says that it fails, and gives what it says.
    pub(crate) fn failure(&self, sinks: &Sinks) -> SinkError {
        let failing = || sinks.status().expect("a status")[0].error.clone();
        assert!(self.store.wait(Some(SOON), |_| failing().is_some()));
        failing().expect("it fails")
    }
}
