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

const BOUND: Duration = Duration::from_secs(20);

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
                Some((_, may)) => {
                    self.process(stage, &program, pid, may);
                }
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
        let where_ = format!("{stage}: {program}");
        let scan = memory::scan(pid, &self.known.secrets()).expect("a scan");
        assert!(scan.mappings.iter().any(|m| m == "[stack]"), "{where_}");
        self.scans += 1;
        self.judge(&where_, &scan, may);
        self.hygiene(&where_, pid);
        scan.names().into_iter().map(str::to_owned).collect()
    }

    /// What a verb printed is read by whoever logs it.
    pub(crate) fn said(&mut self, where_: &str, text: &str) {
        let found = self.known.secrets().look(text.as_bytes(), where_, 0);
        let lines = found.iter().map(ToString::to_string);
        self.wrong.extend(lines);
    }

    /// A process that has nothing to do here: it holds nothing, and ends.
    fn passing(&mut self, stage: &str, program: &str, pid: u32) {
        let there = || std::path::Path::new(&format!("/proc/{pid}/exe")).exists();
        match memory::scan(pid, &self.known.secrets()) {
            Ok(scan) => self.judge(&format!("{stage}: {program}, passing by"), &scan, &[]),
            Err(_) if !there() => return,
            Err(why) => panic!("{why}"),
        }
        let begun = Instant::now();
        while there() {
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
        let file = |name: &str| format!("/proc/{pid}/{name}");
        let read = |name: &str| fs::read_to_string(file(name)).expect("a process of ours");
        let status = read("status");
        let field = |name: &str| -> String {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        let mut must = |good: bool, what: &str| {
            if !good {
                self.wrong.push(format!("{where_}: {what}"));
            }
        };
        // The kernel gives the files of a process that is not dumpable to root (proc(5)).
        let owner = fs::metadata(file("environ")).expect("there").uid();
        let runs_as = field("Uid:");
        must(!runs_as.starts_with("0\t"), "it runs as root");
        must(owner == 0, "it is dumpable");
        let limits = read("limits");
        let core = limits.lines().find(|l| l.starts_with("Max core file size"));
        let soft = core.and_then(|l| l.split_ascii_whitespace().nth(4));
        must(soft == Some("0"), "its core limit is not 0");
        must(field("VmSwap:") == "0 kB", "some of it is swapped out");
    }
}
