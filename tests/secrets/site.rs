//! The same at a whole site: what people see of it, what the record has, and what becomes of it after a restart and a reboot.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::Value;
use twotap_rig::{
    Fault, Rule, Site, When,
    secrets::Function,
    site::{CUSTODIANS, Named, Options, Requested},
};

const BOUND: Duration = Duration::from_secs(120);

fn by_function(name: &str) -> Named {
    Named::ByFunction {
        name: name.to_owned(),
        value: "old".to_owned(),
        next: "new".to_owned(),
    }
}

/// Where a secret stands, as everybody may see it.
fn state(site: &Site, request: &Requested, secret: &str) -> String {
    let view = site.view(request).expect("a view");
    let secrets = view["secrets"].as_array().expect("secrets").clone();
    let of = secrets.iter().find(|s| s["secret"] == secret);
    of.expect("it is named")["state"]
        .as_str()
        .expect("a state")
        .to_owned()
}

fn wait_for(site: &Site, request: &Requested, secret: &str, expected: &str) {
    let begun = Instant::now();
    while state(site, request, secret) != expected {
        let log = || format!("{}\n{}", site.agent_log(), site.door().log());
        assert!(begun.elapsed() < BOUND, "not {expected}: {}", log());
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// The degraded lines that speak of a secret.
fn degraded(site: &Site) -> Vec<String> {
    let status = site
        .twotap("sofia", &["--json", "status"])
        .and_then(|s| s.json());
    let status = status.expect("a status");
    let lines = status["degraded"].as_array().expect("lines").clone();
    let lines = lines.iter().filter_map(Value::as_str).map(str::to_owned);
    lines.filter(|line| line.starts_with("secret ")).collect()
}

#[test]
fn what_is_left_pending_is_finished_by_itself_or_shown_as_owed() {
    let mut site = Site::ready(Options {
        secrets: vec![by_function("app"), by_function("left")],
        ..Options::default()
    })
    .expect("a site");
    let [app, left] = [0, 1].map(|i: usize| site.secrets()[i].clone());
    site.world().set_function(&left, Function::Missing, "new");
    let throttled = Rule::new(
        "secretsmanager:RotateSecret",
        When::Nth(1),
        Fault::throttled(),
    );
    site.world().proxy().add(throttled.with("SecretId", &app));

    let request = site
        .request("INC-7", "the secrets have to go")
        .expect("asked");
    assert_eq!(state(&site, &request, &app), "due");
    // Custodians read which secrets are rotated.
    for (name, ..) in CUSTODIANS {
        site.tap(name, 1).expect("a finger");
        let approved = site
            .approving(name, &request)
            .and_then(|verb| verb.ok())
            .expect("approved");
        let shown = approved.stderr;
        for secret in [&app, &left] {
            let row = format!("closing rotates  {secret}");
            assert!(shown.contains(&row), "{shown}");
        }
    }
    site.wait_for_credentials(&request).expect("credentials");
    site.wait_for_step(&request, "rotated").expect("rotated");

    // Closing stays until each secret was tried, and says what became of it; the session is revoked whatever that is.
    let closed = site.close(&request).expect("closed");
    assert_eq!(closed["stage"], "closed");
    assert!(
        closed["outcome"]
            .as_str()
            .expect("an outcome")
            .starts_with("revoked"),
        "{closed}"
    );
    assert_eq!(state(&site, &request, &left), "pending");
    // A minute's throttling is gone when the agent asks again, by itself.
    wait_for(&site, &request, &app, "rotated");
    assert_eq!(
        site.world()
            .secret_value(&app, "AWSCURRENT")
            .expect("a value"),
        "new"
    );
    let lines = degraded(&site);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("prod/left") && lines[0].contains("rotation pending"),
        "{lines:?}"
    );

    // The host is rebooted: what could have done it is gone, and that is said.
    site.kill_agent();
    let runtime = site.stage().home("worker").join("runtime");
    for entry in fs::read_dir(&runtime).expect("there") {
        fs::remove_file(entry.expect("an entry").path()).expect("gone");
    }
    site.start_agent().expect("an agent");
    wait_for(&site, &request, &left, "owed");
    let lines = degraded(&site);
    assert!(
        lines.len() == 1 && lines[0].contains("rotation owed"),
        "{lines:?}"
    );
    assert_eq!(site.view(&request).expect("a view")["stage"], "closed");

    // Two taps rotate it, by sessions for that alone; custodians read which secret it is.
    site.world().set_function(&left, Function::Succeeds, "new");
    let asked = site.twotap(
        "dana",
        &[
            "--json",
            "request",
            "prod",
            "--close-only",
            &request.id,
            "--incident",
            "INC-7",
            "--reason",
            "the host was rebooted",
        ],
    );
    let asked = asked.and_then(|t| t.json()).expect("asked");
    let closing = Requested::of(&asked).expect("a request");
    for (name, ..) in CUSTODIANS {
        site.tap(name, 1).expect("a finger");
        let approved = site.approving(name, &closing).and_then(|verb| verb.ok());
        let shown = approved.expect("approved").stderr;
        for row in [format!("rotates        {left}"), "NO SESSION".to_owned()] {
            assert!(shown.contains(&row), "{row}: {shown}");
        }
        assert!(
            !shown.contains(&app),
            "what was rotated is not named: {shown}"
        );
    }
    wait_for(&site, &closing, &left, "rotated");
    wait_for(&site, &request, &left, "rotated");
    assert_eq!(degraded(&site), [""; 0]);
    let value = site.world().secret_value(&left, "AWSCURRENT");
    assert_eq!(value.expect("a value"), "new");

    // The record has it all, with the receipt.
    let folder = site.stage().home("sofia").join("record");
    let shown = folder.display().to_string();
    site.twotap(
        "sofia",
        &["audit", "export", "--with-envelopes", "-o", &shown],
    )
    .and_then(|t| t.ok())
    .expect("exported");
    let mut lines = Vec::new();
    for entry in fs::read_dir(&folder).expect("there") {
        let text = fs::read_to_string(entry.expect("an entry").path()).unwrap_or_default();
        lines.extend(
            text.lines()
                .filter_map(|l| serde_json::from_str::<Value>(l).ok()),
        );
    }
    let of = |kind: &str, secret: &str| -> Vec<Value> {
        let events = lines.iter().filter(|e| e["event_type"] == kind);
        events
            .filter(|e| e["what"]["secret"] == secret)
            .cloned()
            .collect()
    };
    let rotated = of("SECRET_ROTATED", &app);
    assert_eq!(rotated.len(), 1);
    assert_eq!(rotated[0]["correlation_id"], request.id.as_str());
    assert_eq!(rotated[0]["envelopes"][0]["kind"], "receipt");
    let failed = of("SECRET_ROTATION_FAILED", &left);
    let again: Vec<&Value> = failed.iter().map(|e| &e["what"]["again"]).collect();
    assert_eq!(again, [true, false], "told once each");
    let paid = of("SECRET_ROTATED", &left);
    assert_eq!(paid.len(), 1);
    assert_eq!(paid[0]["correlation_id"], closing.id.as_str());
    assert_eq!(paid[0]["envelopes"][0]["kind"], "receipt");
    let verified = ["audit", "verify", "--export", &shown];
    site.twotap("sofia", &verified)
        .and_then(|t| t.ok())
        .expect("the record fits its receipts");
    assert!(
        failed[0]["what"]["why"]
            .as_str()
            .expect("a cause")
            .contains("Lambda")
    );
    assert_eq!(site.world().proxy().broken(), [""; 0]);
}
