//! An account of the emulator's with the shipped stack in it, and the stock AWS CLI of somebody who may do everything there.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;
use twotap_rig::{Aws, emulator::REGION, stack::Shipped, tools};

/// What adds a role's boundary where AWS tells it and the emulator does not.
const BOUNDARIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/aws_stack/boundaries.py");

/// What the emulator's CloudFormation does not know at all; it is made by calls of its own.
const UNKNOWN_THERE: &str = "Trail";

/// An account, and a private home with the AWS CLI in its PATH.
pub(crate) struct Account {
    pub(crate) number: String,
    home: TempDir,
}

impl Account {
    /// A new account with nothing in it.
    pub(crate) fn empty() -> Self {
        let aws = Aws::shared().expect("the emulator");
        let number = aws.new_account();
        let home = tempfile::tempdir().expect("a folder");
        // Version 1 asks SQS at its old address whatever the environment says, unless the command line names another.
        let real = tools::script("aws").expect("the AWS CLI");
        let python = tools::python().expect("Python");
        let wrapper = format!(
            "#!/bin/sh\naws() {{ '{}' --endpoint-url \"$AWS_ENDPOINT_URL\" \"$@\"; }}\n\
             case \"$2\" in get-account-authorization-details) aws \"$@\" | '{}' '{BOUNDARIES}';; *) aws \"$@\";; esac\n",
            real.display(),
            python.display()
        );
        let program = home.path().join("aws");
        tools::install_text(&wrapper, &program).expect("a program");
        Self { number, home }
    }

    /// A program in this account, as its root unless `key` is somebody else's.
    pub(crate) fn program(
        &self,
        program: impl AsRef<std::ffi::OsStr>,
        key: Option<(&str, &str)>,
    ) -> Command {
        let (id, secret) = key.unwrap_or((&self.number, "not-checked"));
        let mut command = Command::new(program);
        command
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.home.path().display()),
            )
            .env("HOME", self.home.path())
            .env(
                "AWS_ENDPOINT_URL",
                format!("http://{}", Aws::shared().expect("the emulator").address()),
            )
            .env("AWS_ACCESS_KEY_ID", id)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_PAGER", "")
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        command
    }

    /// A line for a shell; it has to succeed.
    pub(crate) fn shell(&self, line: &str) -> String {
        let done = self
            .program("sh", None)
            .args(["-c", line])
            .output()
            .expect("sh runs");
        assert!(done.status.success(), "{line}\n{}", said(&done));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// `aws ARGUMENTS`, read as JSON.
    pub(crate) fn aws(&self, arguments: &[&str]) -> Value {
        let done = self
            .program(self.home.path().join("aws"), None)
            .args(arguments)
            .output()
            .expect("aws runs");
        assert!(done.status.success(), "{arguments:?}\n{}", said(&done));
        serde_json::from_slice(&done.stdout).unwrap_or(Value::Null)
    }

    /// Deploys the shipped template, but for what the emulator has no word for; what `aws` says.
    pub(crate) fn deploy(&self) -> String {
        let mut template: Value = serde_json::from_str(Shipped::Main.text()).expect("JSON");
        template["Resources"]
            .as_object_mut()
            .expect("resources")
            .remove(UNKNOWN_THERE);
        template["Outputs"]
            .as_object_mut()
            .expect("outputs")
            .remove("TrailArn");
        let file = self.home.path().join("twotap.cfn.json");
        std::fs::write(&file, template.to_string()).expect("written");
        self.deploy_file(&file)
    }

    fn deploy_file(&self, file: &Path) -> String {
        let number = &self.number;
        self.shell(&format!(
            "aws cloudformation deploy --stack-name twotap --template-file {} --capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset --parameter-overrides \
             ExternalId=vault-prod 'RotatedSecretsArn=arn:aws:secretsmanager:*:{number}:secret:prod/*' \
             'RotationFunctionsArn=arn:aws:lambda:*:{number}:function:rotate-*' AuditMode=GOVERNANCE",
            file.display()
        ))
    }
}

/// All that a program has said.
pub(crate) fn said(done: &Output) -> String {
    format!(
        "{}\n{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    )
}
