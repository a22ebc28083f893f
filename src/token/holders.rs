//! Who may be holding a reader: a look into `/proc`, for a message alone.

use std::fs;
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

/// Name and pid of a program that probably holds a reader: a known one, else one that has libpcsclite mapped
/// (which shows only for one's own processes).
pub(super) fn holder(proc: &Path) -> Option<String> {
    let own = std::process::id();
    let mut linked = None;
    let mut processes: Vec<u32> = fs::read_dir(proc)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        .collect();
    processes.sort_unstable();
    for pid in processes {
        let folder = proc.join(pid.to_string());
        let Ok(comm) = fs::read_to_string(folder.join("comm")) else {
            continue;
        };
        // A process chooses its own name: nothing of it but plain letters goes to the terminal.
        let name: String = comm
            .trim_end()
            .chars()
            .filter(char::is_ascii_graphic)
            .collect();
        let found = || format!("{name} (pid {pid})");
        if KNOWN.contains(&name.as_str()) {
            return Some(found());
        }
        let maps = fs::read_to_string(folder.join("maps")).unwrap_or_default();
        if linked.is_none() && name != "pcscd" && maps.contains("/libpcsclite.so") {
            linked = Some(found());
        }
    }
    linked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(proc: &Path, pid: u32, comm: &str, maps: &str) {
        let folder = proc.join(pid.to_string());
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("comm"), format!("{comm}\n")).unwrap();
        fs::write(folder.join("maps"), maps).unwrap();
    }

    #[test]
    fn known_programs_come_before_those_that_link_pcsc() {
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir(proc.path().join("self")).unwrap();
        process(proc.path(), 1, "init", "");
        assert_eq!(holder(proc.path()), None);
        let pcsc = "7f r-xp 00 fe:01 1 /usr/lib/x86_64-linux-gnu/libpcsclite.so.1.0.0\n";
        process(proc.path(), 2, "pcscd", pcsc);
        process(proc.path(), std::process::id(), "me", pcsc);
        assert_eq!(holder(proc.path()), None);
        process(proc.path(), 70, "bro\u{1b}wser", pcsc);
        assert_eq!(holder(proc.path()).as_deref(), Some("browser (pid 70)"));
        process(proc.path(), 81, "scdaemon", "");
        assert_eq!(holder(proc.path()).as_deref(), Some("scdaemon (pid 81)"));
        assert_eq!(holder(&proc.path().join("none")), None);
    }
}
