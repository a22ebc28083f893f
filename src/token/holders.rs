//! Who may be holding a reader: a look into `/proc`, for a message alone.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Programs that are known to keep a token to themselves, as `/proc/PID/comm` cuts them (15 characters).
const KNOWN: [&str; 8] = [
    "scdaemon",
    "yubikey-agent",
    "age-plugin-yubi",
    "yubico-authenti",
    "ykman",
    "pivy-agent",
    "ssh-pkcs11-help",
    "yubico-piv-tool",
];
/// Most names in one message.
const MOST: usize = 3;

/// The programs that may hold a reader of our pcscd, with name and pid, joined by 'or': known ones first, then others that have
/// libpcsclite mapped (which shows only for one's own processes).
pub(super) fn holder() -> Option<String> {
    let daemon = std::env::var_os("PCSCLITE_CSOCK_NAME");
    among(Path::new("/proc"), daemon.as_deref())
}

/// As [`holder`], where `daemon` is the socket of our pcscd if it is not the usual one.
fn among(proc: &Path, daemon: Option<&OsStr>) -> Option<String> {
    let own = std::process::id();
    let mut pids: Vec<u32> = fs::read_dir(proc)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        .collect();
    pids.sort_unstable();

    let (mut known, mut linked) = (vec![], vec![]);
    for pid in pids {
        let folder = proc.join(pid.to_string());
        let Ok(comm) = fs::read_to_string(folder.join("comm")) else {
            continue;
        };
        if talks_elsewhere(&folder, daemon) {
            continue;
        }
        // A process chooses its own name: nothing of it but plain characters goes to the terminal.
        let name: String = comm.chars().filter(char::is_ascii_graphic).collect();
        if KNOWN.contains(&name.as_str()) {
            known.push(format!("{name} (pid {pid})"));
        } else if name != "pcscd" && has_pcsc(&folder) {
            linked.push(format!("{name} (pid {pid})"));
        }
    }
    known.append(&mut linked);
    known.truncate(MOST);
    (!known.is_empty()).then(|| known.join(" or "))
}

/// Whether a process (whose environment we may read) speaks to another pcscd than we do.
fn talks_elsewhere(folder: &Path, daemon: Option<&OsStr>) -> bool {
    let Ok(environment) = fs::read(folder.join("environ")) else {
        return false;
    };
    let theirs = environment
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(b"PCSCLITE_CSOCK_NAME="));
    theirs != daemon.map(OsStrExt::as_bytes)
}

fn has_pcsc(folder: &Path) -> bool {
    let maps = fs::read_to_string(folder.join("maps")).unwrap_or_default();
    maps.contains("/libpcsclite.so")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PCSC: &str = "7f r-xp 00 fe:01 1 /usr/lib/x86_64-linux-gnu/libpcsclite.so.1.0.0\n";

    fn process(proc: &Path, pid: u32, comm: &str, maps: &str, environ: &str) {
        let folder = proc.join(pid.to_string());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("comm"), format!("{comm}\n")).unwrap();
        fs::write(folder.join("maps"), maps).unwrap();
        fs::write(folder.join("environ"), environ).unwrap();
    }

    #[test]
    fn known_programs_come_before_those_that_link_pcsc() {
        let folder = tempfile::tempdir().unwrap();
        let proc = folder.path();
        fs::create_dir(proc.join("self")).unwrap();
        process(proc, 1, "init", "", "");
        assert_eq!(among(proc, None), None);
        process(proc, 2, "pcscd", PCSC, "");
        process(proc, std::process::id(), "me", PCSC, "");
        assert_eq!(among(proc, None), None);
        process(proc, 70, "bro\u{1b}wser", PCSC, "");
        assert_eq!(among(proc, None).as_deref(), Some("browser (pid 70)"));
        process(proc, 81, "scdaemon", "", "");
        assert_eq!(
            among(proc, None).as_deref(),
            Some("scdaemon (pid 81) or browser (pid 70)")
        );
        for pid in [91, 92, 93] {
            process(proc, pid, "ykman", PCSC, "");
        }
        let many = "scdaemon (pid 81) or ykman (pid 91) or ykman (pid 92)";
        assert_eq!(among(proc, None).as_deref(), Some(many));
        assert_eq!(among(&proc.join("none"), None), None);
    }

    #[test]
    fn clients_of_another_pcscd_hold_nothing_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let proc = folder.path();
        process(
            proc,
            5,
            "ykman",
            PCSC,
            "A=b\0PCSCLITE_CSOCK_NAME=/here\0C=d\0",
        );
        process(proc, 6, "scdaemon", PCSC, "A=b\0");
        assert_eq!(among(proc, None).as_deref(), Some("scdaemon (pid 6)"));
        assert_eq!(
            among(proc, Some(OsStr::new("/here"))).as_deref(),
            Some("ykman (pid 5)")
        );
        // An environment that we may not read decides nothing.
        fs::remove_file(proc.join("5/environ")).unwrap();
        assert_eq!(
            among(proc, None).as_deref(),
            Some("ykman (pid 5) or scdaemon (pid 6)")
        );
    }
}
