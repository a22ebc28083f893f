//! Installing a package starts no service: a database or an ssh server that only tests use is not to listen on anybody's machine.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

/// Asked by Debian's maintainer scripts before they start anything (policy-rc.d(8)); 101 is no.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// While it lives nothing is started. A machine with a policy of its own keeps it.
pub(crate) struct Quiet {
    ours: bool,
}

impl Quiet {
    pub(crate) fn begin() -> Self {
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(POLICY)
            .and_then(|mut file| file.write_all(b"#!/bin/sh\nexit 101\n"))
            .and_then(|()| fs::set_permissions(POLICY, Permissions::from_mode(0o755)));
        // Where there is one already it decides; where none can be made the services start, and can be stopped.
        Self { ours: made.is_ok() }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(Path::new(POLICY));
        }
    }
}
