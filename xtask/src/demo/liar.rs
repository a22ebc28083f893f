//! The liar in between: changes a request on its way, puts an approval under another request, edits the record.

use std::fs;
use std::path::Path;

use data_encoding::BASE64;
use serde_json::Value;
use twotap_rig::RigError;
use twotap_rig::site::{PIN, Requested, Site};

use super::story::{ask, read};
use super::teller::Teller;

/// Two lies: the request's bytes changed on the way to bob, and alice's approval put under another request.
pub(crate) fn swapped(
    site: &Site,
    teller: &Teller,
    request: &Requested,
    approval: &str,
) -> Result<bool, RigError> {
    let home = site.stage().home("bob");
    let honest = home.join("honest.json").display().to_string();
    site.twotap("bob", &["approve", &request.id, "--export", &honest])?
        .ok()?;
    let lie = changed_reason(&read(Path::new(&honest))?)?;
    let lie = site
        .stage()
        .write("bob", "lie.json", lie.as_bytes(), 0o600)?;
    let answer = home.join("answer.json").display().to_string();
    let taps = site.taps()?;
    let shown = site
        .twotap(
            "bob",
            &[
                "approve",
                "--in",
                &lie.display().to_string(),
                "--out",
                &answer,
                "--pin-fd",
                "0",
                "--confirm",
                &request.words,
            ],
        )?
        .input(PIN);
    let done = teller.run(shown)?;
    let before_any_tap = done.refused_with(11) && site.taps()? == taps;

    let other = ask(site, teller, "INC-66", "a request that alice never saw")?;
    let status = post(
        site,
        "alice",
        &format!("/v1/requests/{}/approvals", other.id),
        approval,
    )?;
    let approved_by = site.view(&other)?["approved_by"].clone();
    teller.say(&format!(
        "alice's approval handed in for {}: HTTP {status}, approved by {approved_by}",
        other.id
    ));
    Ok(before_any_tap && status >= 400 && approved_by.as_array().is_some_and(Vec::is_empty))
}

fn changed_reason(bundle: &str) -> Result<String, RigError> {
    let wrong = || RigError::new("the exported request is not what it should be");
    let mut bundle: Value = serde_json::from_str(bundle).map_err(|_| wrong())?;
    let payload = bundle["offer"]["payload"].as_str().ok_or_else(wrong)?;
    let request = BASE64.decode(payload.as_bytes()).map_err(|_| wrong())?;
    let request = String::from_utf8(request).map_err(|_| wrong())?;
    let lie = request.replace("database is down", "database is done");
    if lie == request {
        return Err(wrong());
    }
    bundle["offer"]["payload"] = BASE64.encode(lie.as_bytes()).into();
    Ok(bundle.to_string())
}

/// Posts a body to the agent as this person, past the CLI: what a liar in between would do.
fn post(site: &Site, name: &str, path: &str, body: &str) -> Result<u16, RigError> {
    const POST: &str = "import http.client, socket, sys\n\
        c = http.client.HTTPConnection('localhost')\n\
        c.sock = socket.socket(socket.AF_UNIX)\n\
        c.sock.connect(sys.argv[1])\n\
        c.request('POST', sys.argv[2], sys.stdin.read(), {'Content-Type': 'application/json'})\n\
        print(c.getresponse().status)\n";
    let socket = site.socket().display().to_string();
    let done = site
        .run(
            name,
            twotap_rig::tools::python()?,
            &["-c", POST, &socket, path],
        )?
        .input(body)
        .ok()?;
    done.stdout
        .trim()
        .parse()
        .map_err(|_| RigError::new(format!("no HTTP status: {}", done.stdout)))
}

/// Changes one character in the middle of the exported record.
pub(crate) fn change_one_byte(folder: &Path) -> Result<(), RigError> {
    let path = folder.join("events.jsonl");
    let failed = |why: std::io::Error| RigError::new(format!("{}: {why}", path.display()));
    let text = fs::read_to_string(&path).map_err(failed)?;
    let changed = text.replacen("INC-42", "INC-24", 1);
    if changed == text {
        return Err(RigError::new("the record does not mention INC-42"));
    }
    fs::write(&path, changed).map_err(failed)
}
