//! A whole site: one agent host, an AWS account, and people with their own accounts, homes, machines and tokens.
//!
//! Everything is the shipped thing, run from outside as its people would run it: `twotapd` and workers under their own uids, `twotap` by
//! each person, a `pcscd` a custodian with a virtual YubiKey in it, the AWS emulator behind the rig's wire. The demo narrates these
//! steps and the end-to-end tests assert on them.

mod agent;
mod custody;
mod run;
mod steps;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use twotap_token::{
    Control,
    pcscd::{Pcscd, TokenOptions, TokenProcess},
};

use crate::{Aws, RigError, Stage, WorkerDoor, World, people, world};

pub use run::{Done, Invocation, Running};
pub use steps::{Requested, session, words_of};

/// The vault of every site.
pub const VAULT: &str = "prod";
/// Custodians, with the serial number and firmware profile of their tokens.
pub const CUSTODIANS: [(&str, u32, &str); 2] =
    [("alice", 10_001, "5.7.4"), ("bob", 10_002, "5.7.4")];
/// The custodians' PIN and PUK, once they have enrolled, unless [`Options`] say otherwise.
pub const PIN: &str = "271828";
const PUK: &str = "31415926";

/// How a site differs from the usual.
#[derive(Clone, Debug)]
pub struct Options {
    /// Milliseconds that a token waits for a touch.
    pub touch_timeout_ms: u64,
    /// Regions in which a session's end is observed.
    pub regions: Vec<String>,
    /// The custodians' PIN, once they have enrolled.
    pub pin: String,
    /// Their PUK.
    pub puk: String,
    /// Whether the access profile has three roles in two accounts.
    pub several: bool,
    /// What all programs find in their environment beside the usual.
    pub environment: Vec<(String, String)>,
    /// The secrets that closing rotates.
    pub secrets: Vec<Named>,
    /// What stands at the end of `people.toml`.
    pub people: String,
    /// Sofia's recipient, which recordings are sealed to; she has none where this is empty.
    pub recipient: String,
    /// What stands at the end of both configurations.
    pub configured: String,
    /// What stands at the end of the agent's alone.
    pub agent: String,
    /// More access profiles, as `access.toml` has them; `ACCOUNT` and `ROLE` stand for the site's account and operator role.
    pub access: String,
    /// The roster's scenarios, as `policy.toml` has them; requests name none where it is empty.
    pub policy: String,
}

/// A secret that the site's access profile names.
#[derive(Clone, Debug)]
pub enum Named {
    /// It has a rotation function, which puts `next`.
    ByFunction {
        /// Its name stands after `prod/`.
        name: String,
        /// Its value at first.
        value: String,
        /// The value that the function puts.
        next: String,
    },
    /// It is a PostgreSQL role's password, for the setter that ships.
    Postgresql {
        /// Its name stands after `prod/`.
        name: String,
        /// Its value at first: the JSON that the setter reads.
        value: String,
    },
}

impl Default for Options {
    fn default() -> Self {
        Self {
            touch_timeout_ms: 4_000,
            regions: vec![crate::emulator::REGION.to_owned()],
            pin: PIN.to_owned(),
            puk: PUK.to_owned(),
            several: false,
            environment: Vec::new(),
            secrets: Vec::new(),
            people: String::new(),
            recipient: String::new(),
            configured: String::new(),
            agent: String::new(),
            access: String::new(),
            policy: String::new(),
        }
    }
}

/// A custodian's machine: a `pcscd` of its own with one token.
struct Machine {
    pcscd: Pcscd,
    _token: TokenProcess,
    control: PathBuf,
}

/// The whole site. Dropping it ends what it started, and removes its folder.
pub struct Site {
    // Dropped in this order: the agent, its workers, the tokens, the account, the folder.
    agent: Option<agent::AgentProcess>,
    door: WorkerDoor,
    machines: BTreeMap<&'static str, Machine>,
    world: World,
    stage: Stage,
    bin: PathBuf,
    options: Options,
    /// ARNs of the options' secrets.
    secrets: Vec<String>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.agent = None;
        crate::records::keep(&self.stage.home("agent").join("audit"));
    }
}

impl Site {
    /// Sets the site up to the point where people can begin: nobody has enrolled, the agent does not run.
    pub fn new(options: Options) -> Result<Self, RigError> {
        let aws = Aws::shared()?;
        let world = match options.several {
            true => World::with_further()?,
            false => World::on(aws, &aws.new_account())?,
        };
        let stage = Stage::new()?;
        let bin = install_programs(&stage)?;
        let machines = machines(&stage, &options)?;
        let secrets = make_secrets(&world, &options)?;
        let config = agent::write_configs(&stage, &world, &options)?;
        // `env` becomes the worker, under the same process id.
        let mut worker = vec!["env".to_owned()];
        let set = |(name, value): &(String, String)| format!("{name}={value}");
        worker.extend(options.environment.iter().map(set));
        worker.extend([
            bin.join("twotap-worker").display().to_string(),
            "--config".to_owned(),
            config.display().to_string(),
        ]);
        let door = WorkerDoor::start(
            &stage.path().join("worker.sock"),
            people::AGENT,
            people::WORKER,
            worker,
        )?;
        Ok(Self {
            agent: None,
            door,
            machines,
            world,
            stage,
            bin,
            options,
            secrets,
        })
    }

    /// A site that is ready for requests: enrolled, roster signed and pinned, agent running, key sealed.
    pub fn ready(options: Options) -> Result<Self, RigError> {
        let mut site = Self::new(options)?;
        for (name, ..) in CUSTODIANS {
            site.enroll(name)?;
        }
        site.create_vault()?;
        for (name, ..) in CUSTODIANS {
            site.sign_roster(name)?;
        }
        site.install_roster()?;
        site.start_agent()?;
        site.seal()?;
        Ok(site)
    }

    /// The AWS account behind the rig's wire.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The folders of everybody.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The options that the site was made with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// ARNs of the secrets that closing rotates, in the options' order.
    pub fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// The workers' door.
    pub fn door(&self) -> &WorkerDoor {
        &self.door
    }

    /// A file that people hand each other.
    pub fn shared(&self, name: &str) -> PathBuf {
        self.stage.shared().join(name)
    }

    /// The agent's socket.
    pub fn socket(&self) -> PathBuf {
        self.stage.run().join("agent.sock")
    }

    /// Where a shipped program is, readable by everybody.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Where the shipped programs of this site are, and nobody else's.
    pub fn programs(&self) -> &Path {
        &self.bin
    }

    /// Where a custodian's token keeps its keys, in plain JSON.
    pub fn token_state(&self, name: &str) -> PathBuf {
        let serial = CUSTODIANS.iter().find(|c| c.0 == name).map_or(0, |c| c.1);
        self.stage
            .path()
            .join(format!("machine-{name}"))
            .join(format!("{serial}.json"))
    }

    /// A custodian's finger.
    pub fn finger(&self, name: &str) -> Result<Control, RigError> {
        let machine = self.machine(name)?;
        Control::connect(&machine.control)
            .map_err(|why| RigError::new(format!("{name}'s token: {why}")))
    }

    /// How often all custodians together have touched their tokens.
    pub fn taps(&self) -> Result<u64, RigError> {
        let mut taps = 0;
        for name in self.machines.keys() {
            let status = self
                .finger(name)?
                .status()
                .map_err(|why| RigError::new(format!("{name}'s token: {why}")))?;
            taps += status.taps;
        }
        Ok(taps)
    }

    fn machine(&self, name: &str) -> Result<&Machine, RigError> {
        self.machines
            .get(name)
            .ok_or_else(|| RigError::new(format!("{name} is not a custodian")))
    }

    /// `PCSCLITE_CSOCK_NAME` for this person, if it is a custodian.
    fn pcsc_socket(&self, name: &str) -> Option<PathBuf> {
        self.machines.get(name).map(|m| m.pcscd.socket())
    }
}

/// Copies the shipped programs to where every uid can run them.
fn install_programs(stage: &Stage) -> Result<PathBuf, RigError> {
    let built = crate::tools::build_folder()?;
    let bin = stage.path().join("bin");
    let failed =
        |path: &Path, why: std::io::Error| RigError::new(format!("{}: {why}", path.display()));
    fs::create_dir(&bin).map_err(|why| failed(&bin, why))?;
    fs::set_permissions(&bin, fs::Permissions::from_mode(0o755))
        .map_err(|why| failed(&bin, why))?;
    for name in ["twotap", "twotapd", "twotap-worker"] {
        let from = built.join(name);
        let to = bin.join(name);
        crate::tools::install(&from, &to).map_err(|why| {
            why.with_hint("build first: cargo xtask test and cargo xtask demo do")
        })?;
    }
    // Installed as a package would: root's, whomever the checkout belongs to.
    let setter = bin.join(SETTER);
    crate::tools::install_text(POSTGRESQL_SETTER, &setter)?;
    Ok(bin)
}

/// The name of the setter for PostgreSQL, in the roster and in `worker.toml`.
const SETTER: &str = "postgresql";
const POSTGRESQL_SETTER: &str = include_str!("../../../../packaging/setters/postgresql");

/// The options' secrets, made; their ARNs.
fn make_secrets(world: &World, options: &Options) -> Result<Vec<String>, RigError> {
    let make = |named: &Named| match named {
        Named::ByFunction { name, value, next } => {
            world.make_rotated_secret(name, value, crate::secrets::Function::Succeeds, next)
        }
        Named::Postgresql { name, value } => world.make_secret(name, value),
    };
    options.secrets.iter().map(make).collect()
}

/// Their lines in `access.toml`, below the profile.
fn secrets_toml(world: &World, options: &Options, arns: &[String]) -> String {
    let mut toml = String::new();
    for (named, arn) in options.secrets.iter().zip(arns) {
        toml.push_str(&format!("\n[[access.secrets]]\narn = {arn:?}\n"));
        if let Named::Postgresql { .. } = named {
            toml.push_str(&format!(
                "[access.secrets.setter]\nname = {SETTER:?}\nrole_arn = {:?}\nfield = \"password\"\n",
                world.role_arn(world::SETTER_ROLE)
            ));
        }
    }
    toml
}

/// One machine a custodian.
fn machines(stage: &Stage, options: &Options) -> Result<BTreeMap<&'static str, Machine>, RigError> {
    CUSTODIANS
        .into_iter()
        .map(|(name, serial, profile)| {
            Ok((name, machine(stage, options, (name, serial, profile))?))
        })
        .collect()
}

/// A custodian's machine with a token in it.
fn machine(
    stage: &Stage,
    options: &Options,
    (name, serial, profile): (&str, u32, &str),
) -> Result<Machine, RigError> {
    let folder = stage.path().join(format!("machine-{name}"));
    let pcscd = Pcscd::start(&folder, 1)
        .map_err(|why| RigError::new(format!("{name}'s machine: {why}")))?;
    let control = folder.join("finger.sock");
    let options = token_options(stage, options, name, serial, profile)?;
    let token = pcscd
        .insert(&options)
        .map_err(|why| RigError::new(format!("{name}'s token: {why}")))?;
    Ok(Machine {
        pcscd,
        _token: token,
        control,
    })
}

fn token_options(
    stage: &Stage,
    options: &Options,
    name: &str,
    serial: u32,
    profile: &str,
) -> Result<TokenOptions, RigError> {
    let program = crate::tools::build_folder()?.join("twotap-token");
    let folder = stage.path().join(format!("machine-{name}"));
    let mut token = TokenOptions::new(&program, &folder, serial);
    token.profile = profile.to_owned();
    token.pki = stage.path().join("pki");
    token.control = folder.join("finger.sock");
    token.touch_timeout_ms = Some(options.touch_timeout_ms);
    Ok(token)
}

/// ARNs and names that the roster binds, for `access.toml`.
fn access_toml(world: &World, options: &Options, secrets: &[String]) -> String {
    let regions: Vec<String> = options.regions.iter().map(|r| format!("{r:?}")).collect();
    format!(
        r#"[aws]
user_arn = "{user}"
steward_role_arn = "{steward}"
external_id = "{external}"

[[access]]
name = "admin"
account = "{account}"
role_arn = "{role}"
regions = [{regions}]
probe = "ec2:DescribeRegions"
policy = '''
{{"Version": "2012-10-17", "Statement": [
  {{"Effect": "Allow", "Action": ["s3:ListAllMyBuckets", "ec2:Describe*"], "Resource": "*"}}]}}
'''
"#,
        user = world.user_arn(),
        steward = world.role_arn(world::STEWARD_ROLE),
        external = world::EXTERNAL_ID,
        account = world.account(),
        role = world.role_arn(world::OPERATOR_ROLE),
        regions = regions.join(", "),
    ) + &also_toml(world)
        + &secrets_toml(world, options, secrets)
        + &options
            .access
            .replace("ACCOUNT", world.account())
            .replace("ROLE", &world.role_arn(world::OPERATOR_ROLE))
}

/// The further roles, where the world has a second account.
fn also_toml(world: &World) -> String {
    let Some(further) = world.further() else {
        return String::new();
    };
    [
        (world.account(), world::DATABASE_ROLE),
        (further, world::OPERATOR_ROLE),
    ]
    .map(|(account, role)| {
        format!(
            "\n[[access.also]]\naccount = {account:?}\nrole_arn = {:?}\nsteward_role_arn = {:?}\n",
            world.role_arn_in(account, role),
            world.role_arn_in(account, world::STEWARD_ROLE),
        )
    })
    .concat()
}

/// `people.toml` for these options.
fn people_toml(options: &Options) -> String {
    let sofia = match options.recipient.as_str() {
        "" => String::new(),
        recipient => format!("recipient = {recipient:?}\n"),
    };
    PEOPLE_TOML.replace("SOFIA_TOO", &sofia) + &options.people
}

const PEOPLE_TOML: &str = r#"[[person]]
name = "alice"
roles = ["custodian"]
uids = [61011]

[[person]]
name = "bob"
roles = ["custodian"]
uids = [61012]

[[person]]
name = "dana"
roles = ["operator"]
uids = [61010]

[[person]]
name = "sofia"
roles = ["officer"]
uids = [61013]
SOFIA_TOO
[[person]]
name = "ivan"
roles = ["commander"]
uids = [61014]
"#;
