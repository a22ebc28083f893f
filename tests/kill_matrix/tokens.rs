//! Ten points of the matrix at a whole site: tokens and taps, an account for everybody, the worker behind its door.

use std::{fs, path::PathBuf};

use twotap::trust::{Envelope, manifest::Manifest};
use twotap_rig::{
    Site,
    site::{CUSTODIANS, Options},
    world,
};

use crate::{
    points::{Rig, Victim, go_on},
    wait::until,
};

/// Minting, then rotating, then closing.
pub(crate) const POINTS: [(Victim, &str); 10] = [
    (Victim::Worker, "journal:mint_intent:after#1"),
    (Victim::Both, "aws:sts.AssumeRole:after#2"),
    (Victim::Worker, "aws:iam.CreateAccessKey:after#1"),
    (Victim::Both, "file:generations/N:renamed#1"),
    (Victim::Agent, "journal:key_proven:after#1"),
    (Victim::Worker, "file:prod/current:renamed#1"),
    (Victim::Both, "journal:generation_committed:before#1"),
    (Victim::Both, "aws:iam.UpdateAccessKey:after#1"),
    (Victim::Worker, "journal:revoke_applied:before#1"),
    (Victim::Both, "aws:ec2.DescribeRegions:after#2"),
];

/// A site with failpoints in its programs.
pub(crate) struct Struck {
    site: Site,
    rig: Rig,
}

impl Struck {
    pub(crate) fn ready() -> Self {
        let rig = Rig::new();
        let options = Options {
            configured: rig.table(),
            ..Options::default()
        };
        let site = Site::ready(options).expect("a site");
        Self { site, rig }
    }

    /// One case: people with tokens come to the point, somebody is killed, and they end it with what is owed.
    pub(crate) fn run(&mut self, victim: Victim, point: &str) {
        let before = self.sealed();
        self.rig.arm(&[point]);
        let request = self.site.request("INC-7", point).expect("asked");
        let closing = point.contains("revoke") || point.contains("DescribeRegions");
        for (name, ..) in CUSTODIANS {
            // Whether the last one hears of it depends on the moment.
            let heard = self.site.approve(name, &request);
            assert!(
                heard.is_ok() || name != CUSTODIANS[0].0,
                "{point}: {heard:?}"
            );
        }
        let close = closing.then(|| {
            self.site.wait_for_credentials(&request).expect(point);
            self.site.wait_for_step(&request, "rotated").expect(point);
            let close = self.site.twotap("dana", &["close", &request.id]);
            let close = close.expect("dana");
            std::thread::spawn(move || drop(close.go()))
        });
        let mut stopped = None;
        until(point, || {
            stopped = self.rig.stopped();
            stopped.is_some()
        });
        self.strike(victim, stopped.expect("somebody"));
        self.assert_a_key_works(point);
        self.rig.disarm();
        self.rest(point);
        if self.sealed() == before || self.keys().len() != 1 {
            self.second_ceremony(point);
        }
        self.close_open();
        self.rest(point);
        if let Some(close) = close {
            close.join().expect("it ends");
        }
        let keys = self.keys();
        let sealed = self.sealed();
        assert_eq!(keys, [(sealed.clone(), true)], "{point}");
        assert_ne!(sealed, before, "{point}");
        for session in self.sessions() {
            let probe = self
                .site
                .world()
                .session_probe(&session)
                .expect("an answer");
            assert!(!probe.is_ok(), "{point}: a session still works");
        }
        let verified = self.site.twotap("sofia", &["audit", "verify"]);
        verified.expect("sofia").ok().expect(point);
        assert_eq!(self.site.world().proxy().broken(), [""; 0], "{point}");
    }

    fn strike(&mut self, victim: Victim, stopped: u32) {
        if victim != Victim::Agent {
            self.site.door().kill_all();
        }
        if victim != Victim::Worker {
            self.site.kill_agent();
        }
        go_on(stopped);
        if self.site.agent_pid().is_none() {
            self.site.start_agent().expect("the agent comes back");
        }
    }

    /// The same people, the same tokens, two taps.
    fn second_ceremony(&self, point: &str) {
        let taps = self.site.taps().expect("tokens");
        let request = self.site.request("INC-7", "what is owed").expect(point);
        for (name, ..) in CUSTODIANS {
            self.site.approve(name, &request).expect(point);
        }
        self.site.wait_for_credentials(&request).expect(point);
        self.site.wait_for_step(&request, "rotated").expect(point);
        assert_eq!(self.site.taps().expect("tokens"), taps + 2, "{point}");
    }

    fn close_open(&self) {
        for id in self.at_stage(&["open"]) {
            let closed = self.site.twotap("dana", &["--json", "close", &id]);
            closed.expect("dana").json().expect("closed");
        }
    }

    /// Waits until nobody works and every request is open, over, or waits for the clock alone.
    fn rest(&self, point: &str) {
        until(point, || {
            let moving = self.at_stage(&["requested", "approved", "closing"]);
            let moving = moving.iter().any(|id| !self.ends_by_the_clock(id));
            self.site.door().pids().is_empty() && !moving
        });
    }

    /// Nothing is kept, or its session was never handed out.
    fn ends_by_the_clock(&self, id: &str) -> bool {
        let home = self.site.stage().home("worker");
        let journal = fs::read_to_string(home.join("state/vaults/prod/journal"));
        let journal = journal.unwrap_or_default();
        let told = |step: &str| journal.lines().any(|l| l.contains(id) && l.contains(step));
        match fs::read_to_string(home.join(format!("runtime/{id}.json"))) {
            Err(_) => told("mint_intent") && !told("\"revoked\"") && !told("\"expired\""),
            Ok(_) => told("\"close_pending\""),
        }
    }

    fn at_stage(&self, stages: &[&str]) -> Vec<String> {
        let status = self.site.twotap("dana", &["--json", "status"]);
        let Ok(status) = status.expect("dana").json() else {
            return Vec::new();
        };
        let requests = status["requests"].as_array().into_iter().flatten();
        requests
            .filter(|r| stages.iter().any(|s| r["stage"] == *s))
            .filter_map(|r| r["id"].as_str().map(str::to_owned))
            .collect()
    }

    fn current(&self) -> PathBuf {
        let home = self.site.stage().home("worker");
        home.join("state/vaults/prod/current/manifest.dsse.json")
    }

    /// The key that is sealed, by the manifest that counts.
    fn sealed(&self) -> String {
        let json = fs::read(self.current()).expect("sealed");
        let envelope = Envelope::parse(&json).expect("an envelope");
        let manifest: Manifest = envelope.unverified().expect("a manifest");
        manifest.access_key_id
    }

    fn keys(&self) -> Vec<(String, bool)> {
        let keys = self.site.world().list_keys(world::USER).expect("a list");
        keys.into_iter().map(|k| (k.id, k.active)).collect()
    }

    fn assert_a_key_works(&self, point: &str) {
        // A worker that was left alive goes on: the manifest may be of the moment before.
        until(&format!("{point}: the sealed key is no key"), || {
            self.keys().contains(&(self.sealed(), true))
        });
    }

    /// Every session of dana's that AWS gave out.
    fn sessions(&self) -> Vec<twotap_rig::Credentials> {
        let calls = self.site.world().proxy().calls_of("sts:AssumeRole");
        let dana = |c: &&twotap_rig::proxy::Call| c.param("RoleSessionName") == Some("dana");
        calls
            .iter()
            .filter(dana)
            .filter_map(|c| c.credentials())
            .collect()
    }
}
