//! Pinning a host to a roster, and showing the host's key.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use super::{config::Config, home::Home, home::make_folder, problems::Explain as _};
use crate::{
    protocol::{Code, Problem},
    trust::{
        Signer as _, power,
        roster::{parse_chain, verify_chain},
        standing::judge_all,
        words::verification_words,
    },
};

/// `twotap-worker install ROSTER`: checks every signature, stores the roster, pins the worker to it. A host that joins later is given the
/// whole chain.
pub(super) fn install(config: &Path, roster: &Path) -> Result<(), Problem> {
    // Read as the caller, stored as the worker.
    let json = fs::read(roster)
        .map_err(|why| Problem::new(Code::Usage, format!("{}: {why}", roster.display())))?;
    let config = Config::read(config)?;
    become_owner(&config)?;
    let home = Home::open(&config)?;

    let chain = parse_chain(&json)?;
    let newest = verify_chain(&chain)?.pop();
    let roster = newest.ok_or_else(|| Problem::new(Code::Usage, "the file holds no roster"))?;
    if roster.host(home.key_id()).is_none() {
        return Err(
            Problem::new(Code::Refused, "the roster does not list this host's key")
                .hint("give 'twotap vault create' the key that 'twotapd keys' prints on this host"),
        );
    }
    // Whoever pins this host to a roster vouches for it, as its custodians did with the same check.
    judge_all(&roster)?;
    // Its profiles were judged by those who signed it, under the rules of their day; a host that is set up anew must still be able to open.
    if let Err(why) = power::judge_all(&roster) {
        eprintln!("note: {why}; it counts as it was signed, and whoever approves is shown it");
    }
    let mut seen = home.seen()?;
    if seen
        .roster(&roster.vault)
        .is_some_and(|pin| pin != roster.digest())
    {
        return Err(Problem::new(
            Code::Refused,
            format!(
                "this host is pinned to another roster for vault {}",
                roster.vault
            ),
        )
        .hint("rosters change by a ceremony, not by installing again: twotap roster submit"));
    }
    let store = home.generations(&roster.vault)?.lock().explain()?;
    if store.rosters().explain()?.is_empty() {
        for envelope in &chain {
            store.add_roster(envelope).explain()?;
        }
    }
    seen.pin(&roster)?;
    println!(
        "vault {} is pinned to roster version {}",
        roster.vault, roster.version
    );
    println!("digest {}", roster.digest());
    println!("words  {}", verification_words(&roster.digest())?.join(" "));
    Ok(())
}

/// `twotap-worker key`: the public half of the host key, base64 of its `SubjectPublicKeyInfo`.
pub(super) fn print_key(config: &Path) -> Result<(), Problem> {
    let config = Config::read(config)?;
    become_owner(&config)?;
    let key = Home::open(&config)?.key().public();
    println!("{}", data_encoding::BASE64.encode(&key.to_spki()));
    Ok(())
}

/// Root hands over to the owner of the state folder, so that no file in it ever belongs to root.
fn become_owner(config: &Config) -> Result<(), Problem> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = match fs::metadata(&config.state) {
        Ok(folder) => folder,
        Err(_) => {
            make_folder(&config.state)?;
            return Ok(());
        }
    };
    if owner.uid() == 0 {
        return Ok(());
    }
    let failed = |why| {
        Problem::new(
            Code::Internal,
            format!("cannot become the worker's account: {why}"),
        )
    };
    let (uid, gid) = (
        rustix::fs::Uid::from_raw(owner.uid()),
        rustix::fs::Gid::from_raw(owner.gid()),
    );
    // The process has one thread here, so changing the thread's ids changes the process.
    rustix::thread::set_thread_groups(&[]).map_err(failed)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(failed)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(failed)
}
