//! Custodians who come and go, tokens that are lost, rosters that change.

use std::fs;

use serde_json::Value;

use super::{CUSTODIANS, Machine, Requested, Site, VAULT, machine, people_toml, token_options};
use crate::RigError;

impl Site {
    /// Somebody gets a machine with a token in it, and prepares the token.
    pub fn join(&mut self, name: &'static str, serial: u32) -> Result<Value, RigError> {
        let profile = CUSTODIANS[0].2;
        let machine = machine(&self.stage, &self.options, (name, serial, profile))?;
        self.machines.insert(name, machine);
        self.enroll(name)
    }

    /// Somebody's token is lost: another one is plugged in, fresh from the shop.
    pub fn replace_token(&mut self, name: &'static str, serial: u32) -> Result<(), RigError> {
        let old = self
            .machines
            .remove(name)
            .ok_or_else(|| RigError::new(format!("{name} has no machine")))?;
        let Machine {
            pcscd,
            _token: lost,
            control,
        } = old;
        drop(lost);
        let options = token_options(&self.stage, &self.options, name, serial, CUSTODIANS[0].2)?;
        let token = pcscd
            .insert(&options)
            .map_err(|why| RigError::new(format!("{name}'s new token: {why}")))?;
        let machine = Machine {
            pcscd,
            _token: token,
            control,
        };
        self.machines.insert(name, machine);
        Ok(())
    }

    /// `people.toml` with one more custodian in it; answers its path.
    pub fn people_with(&self, name: &str, uid: u32) -> Result<String, RigError> {
        let before = people_toml(&self.options);
        let text = format!(
            "{before}\n[[person]]\nname = \"{name}\"\nroles = [\"custodian\"]\nuids = [{uid}]\n"
        );
        let path = self.shared("people-2.toml");
        fs::write(&path, text)
            .map_err(|why| RigError::new(format!("{}: {why}", path.display())))?;
        Ok(path.display().to_string())
    }

    /// The officer draws up a change; the file goes between people.
    pub fn propose(&self, file: &str, change: &[&str]) -> Result<Value, RigError> {
        let out = self.shared(file).display().to_string();
        let args = [
            &["--json", "roster", "propose", VAULT][..],
            change,
            &["-o", &out],
        ]
        .concat();
        self.twotap("sofia", &args)?.json()
    }

    /// The officer hands the signed change in.
    pub fn submit(&self, file: &str) -> Result<Requested, RigError> {
        let file = self.shared(file).display().to_string();
        let args = [
            "--json",
            "roster",
            "submit",
            &file,
            "--incident",
            "CHG-7",
            "--reason",
            "somebody comes and something goes",
        ];
        Requested::of(&self.twotap("sofia", &args)?.json()?)
    }

    /// Waits until a roster change has come to its end.
    pub fn wait_until_taken_up(&self, request: &Requested) -> Result<(), RigError> {
        self.wait_for_step(request, "rotated")
    }
}
