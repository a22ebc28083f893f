//! Looks at every process of a site, stage after stage, and keeps what it found for the end: one run shows all that is wrong.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt as _,
    time::{Duration, Instant},
};

use twotap_rig::{
    Site,
    memory::{self, Scan, processes_of},
};

use crate::known::Known;

const BOUND: Duration = Duration::from_secs(60);

/// What was seen, and what was wrong about it.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) known: Known,
    wrong: Vec<String>,
    scans: usize,
}

/// What a process may hold: the secrets whose names begin so.
pub(crate) type May<'m> = &'m [&'m str];

impl Ledger {
    /// Scans every process of the site, and every argument and file. `may` says what a program may hold at this stage; a program that it
    /// does not name must not even run.
    pub(crate) fn stage(&mut self, site: &Site, stage: &str, may: &[(&str, May<'_>)]) {
        self.known.learn(site);
        for (pid, program) in processes_of(site.programs()).expect("a list") {
            match may.iter().find(|(name, _)| *name == program) {
                // A second worker may pass by even here, and end while it is looked at.
                Some((_, may)) => drop(self.process_if_there(stage, &program, pid, may)),
                // A worker may just have been asked for its journal: it holds nothing, and goes.
                None => self.passing(stage, &program, pid),
            }
        }
        self.public(site, stage);
    }

    /// Scans one process; answers what was found in it.
    pub(crate) fn process(
        &mut self,
        stage: &str,
        program: &str,
        pid: u32,
        may: May<'_>,
    ) -> BTreeSet<String> {
        self.process_if_there(stage, program, pid, may)
            .unwrap_or_else(|| panic!("{stage}: {program} is gone"))
    }

    fn process_if_there(
        &mut self,
        stage: &str,
        program: &str,
        pid: u32,
        may: May<'_>,
    ) -> Option<BTreeSet<String>> {
        let where_ = format!("{stage}: {program}");
        let scan = match memory::scan(pid, &self.known.secrets()) {
            Ok(scan) => scan,
            Err(_) if !runs(pid) => return None,
            Err(why) => panic!("{where_}: {why}"),
        };
        assert!(scan.mappings.iter().any(|m| m == "[stack]"), "{where_}");
        self.scans += 1;
        self.judge(&where_, &scan, may);
        self.hygiene(&where_, pid);
        Some(scan.names().into_iter().map(str::to_owned).collect())
    }

    /// What a verb printed is read by whoever logs it.
    pub(crate) fn said(&mut self, where_: &str, text: &str) {
        let found = self.known.secrets().look(text.as_bytes(), where_, 0);
        let lines = found.iter().map(ToString::to_string);
        self.wrong.extend(lines);
    }

    /// A process that has nothing to do here: it holds nothing, and ends.
    fn passing(&mut self, stage: &str, program: &str, pid: u32) {
        let passing = format!("{program}, passing by");
        self.process_if_there(stage, &passing, pid, &[]);
        let begun = Instant::now();
        while runs(pid) {
            if begun.elapsed() > BOUND {
                self.wrong.push(format!("{stage}: {program} still runs"));
                return;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Demands that something was found: the scan is worth nothing where it cannot find.
    pub(crate) fn control(&mut self, stage: &str, found: &BTreeSet<String>, secret: &str) {
        if !found.iter().any(|name| name.starts_with(secret)) {
            let line = format!("{stage}: {secret} stands there and was not found: {found:?}");
            self.wrong.push(line);
        }
    }

    /// Fails with everything that was wrong.
    pub(crate) fn close(self) {
        assert!(self.scans > 0);
        assert!(
            self.wrong.is_empty(),
            "{} findings in {} scans:\n{}",
            self.wrong.len(),
            self.scans,
            self.wrong.join("\n")
        );
    }

    /// Arguments and environment of all processes, and every file of the site.
    fn public(&mut self, site: &Site, stage: &str) {
        let secrets = self.known.secrets();
        let arguments = memory::scan_arguments(&secrets).expect("a scan");
        self.judge(&format!("{stage}: arguments"), &arguments, &[]);

        let stage_folder = site.stage().path();
        // The tokens' own memory stands in for hardware; the sessions of open requests are in memory alone, with the worker.
        let tokens = ["alice", "bob"].map(|name| site.token_state(name));
        let runtime = site.stage().home("worker").join("runtime");
        let files = memory::scan_files(stage_folder, &secrets, &|path| {
            path == runtime || tokens.iter().any(|token| token == path)
        })
        .expect("a scan");
        self.judge(&format!("{stage}: files"), &files, &[]);
        let kept = memory::scan_files(&runtime, &secrets, &|_| false).expect("a scan");
        self.judge(
            &format!("{stage}: the worker's runtime folder"),
            &kept,
            &["the steward's", "the operator's"],
        );
    }

    fn judge(&mut self, where_: &str, scan: &Scan, may: May<'_>) {
        for found in &scan.found {
            if !may.iter().any(|may| found.secret.starts_with(may)) {
                self.wrong.push(format!("{where_}: {found}"));
            }
        }
    }

    /// Nobody of the same account may look into it, it leaves no core, and nothing of it is swapped out.
    fn hygiene(&mut self, where_: &str, pid: u32) {
        // A worker that has just been started has not guarded itself yet: that is its first act.
        let begun = Instant::now();
        let mut wrong = unguarded(pid);
        while !wrong.is_empty() && begun.elapsed() < BOUND {
            std::thread::park_timeout(Duration::from_millis(5));
            wrong = unguarded(pid);
        }
        let lines = wrong.into_iter().map(|what| format!("{where_}: {what}"));
        self.wrong.extend(lines);
    }
}

/// What is wrong with a process, if it is there.
fn unguarded(pid: u32) -> Vec<&'static str> {
    let file = |name: &str| format!("/proc/{pid}/{name}");
    let read = |name: &str| fs::read_to_string(file(name));
    let environ = fs::metadata(file("environ"));
    let (Ok(status), Ok(limits), Ok(environ)) = (read("status"), read("limits"), environ) else {
        assert!(!runs(pid), "{pid}: its files in /proc cannot be read");
        return Vec::new();
    };
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim()
    };
    let core = limits.lines().find(|l| l.starts_with("Max core file size"));
    let core = core.and_then(|l| l.split_ascii_whitespace().nth(4));
    let checks = [
        (!field("Uid:").starts_with("0\t"), "it runs as root"),
        // The kernel gives the files of a process that is not dumpable to root (proc(5)).
        (environ.uid() == 0, "it is dumpable"),
        (core == Some("0"), "its core limit is not 0"),
        (field("VmSwap:") == "0 kB", "some of it is swapped out"),
    ];
    let wrong = checks.into_iter().filter(|(good, _)| !good);
    let wrong = wrong.map(|(_, what)| what).collect();
    // What is seen of one that ends meanwhile says nothing.
    if runs(pid) { wrong } else { Vec::new() }
}

/// Whether the process is there, and not only waits to be waited for.
fn runs(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}
