//! `twotapd keys`: this host's public keys, as `twotap vault create --host` reads them.

use super::{
    config::Config,
    start::{checkpoint_key, state_folder},
    workers::{Workers, out_of_turn},
};
use crate::{
    protocol::{
        Code, Problem,
        job::{FromWorker, Job},
    },
    trust::PublicKey,
};

/// JSON on standard output, fingerprints to compare on standard error.
pub(super) async fn print(config: Config) -> Result<(), Problem> {
    state_folder(&config.state)?;
    let checkpoint = checkpoint_key(&config)?;
    let checkpoint = PublicKey::Ed25519(*checkpoint.public().key());
    let FromWorker::Host(host) = Workers::new(config.worker).ask(&Job::Host).await? else {
        return Err(out_of_turn());
    };
    let json = serde_json::json!({
        "name": config.host_name,
        "key": host.key,
        "checkpoint_key": checkpoint,
    });
    let text = serde_json::to_string_pretty(&json)
        .map_err(|why| Problem::new(Code::Internal, format!("cannot write json: {why}")))?;
    println!("{text}");
    eprintln!("host {}", config.host_name);
    eprintln!("  worker key      {}", host.key.id());
    eprintln!("  checkpoint key  {}", checkpoint.id());
    Ok(())
}
