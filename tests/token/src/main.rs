//! The virtual YubiKey as a program; see the library for what it can do.

#![forbid(unsafe_code)]

use clap::Parser;
use std::{
    io::{self, Read},
    path::PathBuf,
    process::ExitCode,
    thread,
    time::Duration,
};
use twotap_token::{Profile, Token, TokenConfig, vpcd};

/// A virtual YubiKey (PIV) that plugs itself into a vpcd reader. For tests alone.
#[derive(Parser)]
struct Args {
    /// Port of the vpcd reader
    #[arg(long, default_value_t = vpcd::FIRST_PORT)]
    port: u16,
    /// Host of the vpcd reader
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Serial number
    #[arg(long)]
    serial: u32,
    /// 5.7.4, 5.4.3, or a TOML or JSON file
    #[arg(long, default_value = "5.7.4")]
    profile: String,
    /// File for keys, certificates, PIN and management key; made if it is not there
    #[arg(long)]
    state: PathBuf,
    /// Folder with the attestation CA; made if it is not there
    #[arg(long)]
    pki: PathBuf,
    /// Unix socket to tap, remove and break it
    #[arg(long)]
    control: Option<PathBuf>,
    /// How long a touch is waited for, in place of the profile's
    #[arg(long, value_name = "MS")]
    touch_timeout_ms: Option<u64>,
    /// How long a touch is remembered, in place of the profile's
    #[arg(long, value_name = "MS")]
    touch_cache_ms: Option<u64>,
    /// How long a missing reader is tried again
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    patience_ms: u64,
    /// End when standard input does: then a token never outlives whoever started it
    #[arg(long)]
    end_with_stdin: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.end_with_stdin {
        let control = args.control.clone();
        thread::spawn(move || {
            let _ = io::stdin().read_to_end(&mut Vec::new());
            if let Some(path) = control {
                let _ = std::fs::remove_file(path);
            }
            std::process::exit(0);
        });
    }
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> io::Result<()> {
    let mut profile = Profile::load(&args.profile).map_err(io::Error::other)?;
    if let Some(ms) = args.touch_timeout_ms {
        profile.touch_timeout_ms = ms;
    }
    if let Some(ms) = args.touch_cache_ms {
        profile.touch_cache_ms = ms;
    }
    Token::run(TokenConfig {
        host: args.host,
        port: args.port,
        serial: args.serial,
        profile,
        state: Some(args.state),
        pki: args.pki,
        control: args.control,
        patience: Duration::from_millis(args.patience_ms),
    })
}
