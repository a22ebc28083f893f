//! Programs as operators really use them, in a session and after it: the AWS CLI, boto3, the SDK for JavaScript, the SDK for Rust.
//!
//! None of them knows twotap: each finds its credentials as it always does. A whole site; `cargo xtask setup` installs what is not built here.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use twotap_rig::{
    Site,
    site::{CUSTODIANS, Done, Invocation, Options, Requested, VAULT},
    tools,
};

/// What a tool may take to fail once there is no session: each tries again a few times, none waits for minutes.
const AT_ONCE: Duration = Duration::from_secs(60);

/// A client, and how it is told to ask AWS who it is, for what the session allows, and for what it does not.
struct Client {
    name: &'static str,
    program: Vec<String>,
    asks: [&'static [&'static str]; 3],
    /// What it says when twotap gave it nothing: most repeat twotap's own words.
    without: &'static str,
}

const OUR_WORDS: &str = "you have no open session";

const IDENTITY: usize = 0;
const ALLOWED: usize = 1;
const REFUSED: usize = 2;

fn clients(site: &Site) -> Vec<Client> {
    let script = |name: &str, text: &str| {
        let file = site.stage().write("dana", name, text.as_bytes(), 0o600);
        file.expect("written").display().to_string()
    };
    let python = tools::python().expect("Python").display().to_string();
    let aws = tools::script("aws").expect("the AWS CLI");
    let own = tools::build_folder().expect("built").join("twotap-client");
    // Where every account can run it, as with what ships.
    let rust = site.shared("twotap-client");
    tools::install(&own, &rust).expect("built: cargo build -p twotap-client");
    const WORDS: [&[&str]; 3] = [&["identity"], &["allowed"], &["refused"]];
    vec![
        Client {
            name: "AWS CLI",
            program: vec![python.clone(), aws.display().to_string()],
            asks: [
                &["sts", "get-caller-identity"],
                &["s3api", "list-buckets"],
                &["iam", "list-users"],
            ],
            without: OUR_WORDS,
        },
        Client {
            name: "boto3",
            program: vec![
                python,
                script("client.py", include_str!("clients/client.py")),
            ],
            asks: WORDS,
            without: OUR_WORDS,
        },
        Client {
            name: "SDK for JavaScript",
            program: vec![
                "node".to_owned(),
                script("client.js", include_str!("clients/client.js")),
            ],
            asks: WORDS,
            // It keeps to itself what the process said, and looks for others.
            without: "Could not load credentials",
        },
        Client {
            name: "SDK for Rust",
            program: vec![rust.display().to_string()],
            asks: [&["identity"], &["identity"], &["users"]],
            without: OUR_WORDS,
        },
    ]
}

/// What clients need to find an AWS that is not AWS; of credentials nothing.
fn towards_aws(site: &Site, invocation: Invocation) -> Invocation {
    invocation
        .env("AWS_ENDPOINT_URL", site.world().endpoint())
        .env(
            "NODE_PATH",
            tools::node_packages().expect("Node's packages"),
        )
}

/// A client in a session, by `exec`.
fn in_session(site: &Site, session: &str, client: &Client, ask: usize) -> Invocation {
    let mut args = vec!["exec", session, "--"];
    args.extend(client.program.iter().map(String::as_str));
    args.extend(client.asks[ask]);
    towards_aws(site, site.twotap("dana", &args).expect("dana"))
}

/// A client by itself, with the profile that dana's own configuration has.
fn by_profile(site: &Site, client: &Client, ask: usize) -> Done {
    let mut args: Vec<&str> = client.program[1..].iter().map(String::as_str).collect();
    args.extend(client.asks[ask]);
    let program = PathBuf::from(&client.program[0]);
    let run = site.run("dana", program, &args).expect("dana");
    towards_aws(site, run.env("AWS_PROFILE", "break-glass"))
        .go()
        .expect("it ends")
}

fn ask(site: &Site, duration: &str) -> Requested {
    let args = [
        "--json",
        "request",
        VAULT,
        "--access",
        "admin",
        "--incident",
        "INC-7",
        "--reason",
        "every client has to work at night",
        "--duration",
        duration,
    ];
    let asked = site.twotap("dana", &args).expect("dana").json();
    let request = Requested::of(&asked.expect("asked")).expect("a request");
    for (name, ..) in CUSTODIANS {
        site.approve(name, &request).expect("approved");
    }
    site.wait_for_credentials(&request).expect("open");
    site.wait_for_step(&request, "rotated").expect("rotated");
    request
}

#[test]
fn each_real_client_works_in_a_session_and_says_clearly_that_it_has_ended() {
    let site = Site::ready(Options::default()).expect("a site");
    let clients = clients(&site);
    let request = ask(&site, "1h");
    let setup = site.twotap("dana", &["setup", "aws-profile", "--yes"]);
    setup.expect("dana").ok().expect("a profile");

    for client in &clients {
        let name = client.name;
        let done = in_session(&site, &request.id, client, IDENTITY)
            .go()
            .expect("it ends");
        assert_eq!(done.status, Some(0), "{name}: {done:?}");
        assert!(
            done.stdout.contains("assumed-role/op-admin/dana"),
            "{name}: {done:?}"
        );
        let done = in_session(&site, &request.id, client, ALLOWED)
            .go()
            .expect("it ends");
        assert_eq!(done.status, Some(0), "{name}: {done:?}");
        let done = in_session(&site, &request.id, client, REFUSED)
            .go()
            .expect("it ends");
        assert!(
            done.status.is_some_and(|code| code != 0),
            "{name}: {done:?}"
        );
        assert!(done.stderr.contains("AccessDenied"), "{name}: {done:?}");
        // And without exec, by the profile of dana's own configuration.
        let done = by_profile(&site, client, ALLOWED);
        assert_eq!(done.status, Some(0), "{name}: {done:?}");
    }

    // One that has its credentials already, and keeps them.
    let boto = &clients[1];
    let stay = [&boto.program[0], &boto.program[1], "stay"];
    let args = [&["exec", request.id.as_str(), "--"], &stay[..]].concat();
    let mut stays = towards_aws(&site, site.twotap("dana", &args).expect("dana"))
        .into_command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut ready = String::new();
    BufReader::new(stays.stdout.as_mut().expect("piped"))
        .read_line(&mut ready)
        .expect("it says so");
    assert_eq!(ready, "ready\n");

    site.close(&request).expect("closed");
    let mut stdin = stays.stdin.take().expect("piped");
    stdin.write_all(b"\n").expect("it waits");
    drop(stdin);
    let done = stays.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("AccessDenied"), "{said}");
    assert!(
        said.contains("ended while the command ran (revoked"),
        "{said}"
    );

    for client in &clients {
        let name = client.name;
        // At once, and with what twotap said where the client repeats it.
        let done = by_profile(&site, client, ALLOWED);
        assert!(
            done.status.is_some_and(|code| code != 0),
            "{name}: {done:?}"
        );
        assert!(done.stderr.contains(client.without), "{name}: {done:?}");
        assert!(done.took < AT_ONCE, "{name}: {:?}", done.took);
        let done = in_session(&site, &request.id, client, ALLOWED)
            .go()
            .expect("it ends");
        assert!(done.refused_with(125), "{name}: {done:?}");
        assert!(done.stderr.contains("is not open"), "{name}: {done:?}");
    }

    // SDKs want credentials anew some minutes before these end; in a session's last minutes they get the same again, and work.
    let short = ask(&site, "3m");
    for client in &clients {
        let name = client.name;
        let done = in_session(&site, &short.id, client, ALLOWED)
            .go()
            .expect("it ends");
        assert_eq!(done.status, Some(0), "{name}: {done:?}");
        assert!(
            done.stderr.contains("warning: access ends in"),
            "{name}: {done:?}"
        );
    }
}
