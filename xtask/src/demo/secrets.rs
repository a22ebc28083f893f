//! The named secrets of the story: one that AWS rotates by a function, one that is a role's password in a real PostgreSQL.

use serde_json::{Value, json};
use twotap_rig::RigError;
use twotap_rig::postgres::Postgres;
use twotap_rig::site::{Named, Site};

use super::teller::Teller;

/// The role whose password is rotated, and that password at first.
const ROLE: (&str, &str) = ("payments", "known-to-whoever-was-in");

/// The server, and what it is like at first.
pub(super) struct Secrets {
    server: Postgres,
}

impl Secrets {
    /// Starts the server and makes the role.
    pub(super) fn new() -> Result<Self, RigError> {
        let server = Postgres::start()?;
        server.make_role(ROLE.0, ROLE.1)?;
        Ok(Self { server })
    }

    /// Both as the site wants them.
    pub(super) fn named(&self) -> Vec<Named> {
        let password = json!({
            "engine": "postgres", "host": "127.0.0.1", "port": self.server.port(), "dbname": "postgres",
            "username": ROLE.0, "password": ROLE.1,
        });
        vec![
            Named::ByFunction {
                name: "app".to_owned(),
                value: "an old value".to_owned(),
                next: "a new value".to_owned(),
            },
            Named::Postgresql {
                name: "payments".to_owned(),
                value: password.to_string(),
            },
        ]
    }

    /// The versions that count now.
    pub(super) fn current(&self, site: &Site) -> Result<Vec<Option<String>>, RigError> {
        let version = |secret: &String| {
            let standing = site.world().secret_standing(secret)?;
            Ok(standing.with("AWSCURRENT").map(str::to_owned))
        };
        site.secrets().iter().map(version).collect()
    }

    /// Whether both count in another version now, the role's old password is refused, and the new one is taken.
    pub(super) fn rotated(
        &self,
        site: &Site,
        teller: &Teller,
        before: &[Option<String>],
    ) -> Result<bool, RigError> {
        let after = self.current(site)?;
        let moved = before.len() == 2
            && before
                .iter()
                .zip(&after)
                .all(|(before, after)| after.is_some() && before != after);
        let [app, payments] = site.secrets() else {
            return Err(RigError::new("the site has other secrets than the story"));
        };
        let by_function = site.world().secret_value(app, "AWSCURRENT")? == "a new value";
        let value = site.world().secret_value(payments, "AWSCURRENT")?;
        let value: Value = serde_json::from_str(&value)
            .map_err(|why| RigError::new(format!("the role's secret: {why}")))?;
        let old_works = self.server.logs_in(ROLE.0, ROLE.1)?;
        let new_works = self
            .server
            .logs_in(ROLE.0, value["password"].as_str().unwrap_or_default())?;
        teller.say(&format!(
            "AWSCURRENT has moved on both secrets: {moved}; PostgreSQL takes the old password: {old_works}, the new one: {new_works}"
        ));
        Ok(moved && by_function && !old_works && new_works)
    }
}
