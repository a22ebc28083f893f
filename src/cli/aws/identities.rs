//! Users, roles and the ceiling: what may be done, and by whom.

use serde_json::{Value, json};

use crate::protocol::Problem;

use super::{
    agrees::{agrees, told},
    difference::{Difference, aws, document},
    look::{Look, Seen},
    needed::Needed,
};

/// IAM's path of everything that is twotap's.
const PATH: &str = "/twotap/";
/// What closing puts on an operator role for a while; its name says until when.
const REVOCATION: &str = "twotap-revoke-";
/// The one role under the path that may bypass retention, and so has no ceiling; nobody ships it.
const BYPASS_ROLE: &str = "op-bypass";

/// Looks at all of them.
pub(super) fn look(look: &Look<'_>, needed: &Needed) -> Result<(), Problem> {
    let asked = [
        "iam",
        "get-account-authorization-details",
        "--filter",
        "User",
        "Role",
        "LocalManagedPolicy",
    ];
    let Seen::There(all) = look.ask(&asked)? else {
        return Ok(());
    };
    let lengths = match look.ask(&["iam", "list-roles", "--path-prefix", PATH])? {
        Seen::There(roles) => roles["Roles"].clone(),
        _ => Value::Null,
    };
    let account = Account {
        look,
        needed,
        all: &all,
        lengths: &lengths,
    };
    account.ceiling();
    account.users()?;
    account.roles();
    account.strangers();
    Ok(())
}

struct Account<'a> {
    look: &'a Look<'a>,
    needed: &'a Needed,
    all: &'a Value,
    lengths: &'a Value,
}

impl Account<'_> {
    fn ceiling(&self) {
        for (_, policy) in self.needed.of_type("AWS::IAM::ManagedPolicy") {
            self.look.looked();
            let name = text(&policy["ManagedPolicyName"]);
            let thing = format!("policy {PATH}{name}");
            let needed = &policy["PolicyDocument"];
            let arn = self.arn("policy", name);
            let risk = "operators' sessions are limited by it: what it does not deny they can do, twotap itself included";
            let Some(stands) = named(&self.all["Policies"], "Arn", &arn) else {
                let make = [
                    "iam",
                    "create-policy",
                    "--policy-name",
                    name,
                    "--path",
                    PATH,
                    "--policy-document",
                    &document(needed),
                ];
                self.look
                    .differs(Difference::new(thing, "it does not exist", risk).mend(aws(&make)));
                continue;
            };
            let current = named(
                &stands["PolicyVersionList"],
                "VersionId",
                text(&stands["DefaultVersionId"]),
            );
            let current = current.map_or(&Value::Null, |version| &version["Document"]);
            if !agrees(needed, current) {
                let what = format!("it is not what was shipped: {}", told(needed, current));
                let put = [
                    "iam",
                    "create-policy-version",
                    "--policy-arn",
                    &arn,
                    "--set-as-default",
                    "--policy-document",
                    &document(needed),
                ];
                self.look
                    .differs(Difference::new(thing, what, risk).mend(aws(&put)));
            }
        }
    }

    fn users(&self) -> Result<(), Problem> {
        for (_, user) in self.needed.of_type("AWS::IAM::User") {
            self.look.looked();
            let name = text(&user["UserName"]);
            let thing = format!("user {PATH}{name}");
            let option = ["--user-name", name];
            let Some(stands) = named(&self.all["UserDetailList"], "Arn", &self.arn("user", name))
            else {
                let make = ["iam", "create-user", "--path", PATH, option[0], option[1]];
                let put = self.put(
                    "put-user-policy",
                    option,
                    &user["Policies"][0]["PolicyDocument"],
                );
                let risk = match name {
                    "break-glass" => {
                        "there is nobody to break the glass as; a user made anew has another id, so that every role's trust is to be written again"
                    }
                    "audit-writer" => {
                        "the agent's sinks cannot write the record to S3, nor to the bus"
                    }
                    _ => "whatever uses it cannot",
                };
                self.look.differs(
                    Difference::new(thing, "it does not exist", risk)
                        .mend(aws(&make))
                        .mend(put),
                );
                continue;
            };
            self.inline(
                &thing,
                option,
                "user",
                &user["Policies"],
                &stands["UserPolicyList"],
            );
            self.attached(&thing, option, "user", &stands["AttachedManagedPolicies"]);
            for group in list(&stands["GroupList"]) {
                let leave = [
                    "iam",
                    "remove-user-from-group",
                    option[0],
                    option[1],
                    "--group-name",
                    text(group),
                ];
                self.look.differs(
                    Difference::new(&thing, format!("it is in the group {}", text(group)), WIDER)
                        .mend(aws(&leave)),
                );
            }
            if let Seen::There(_) =
                self.look
                    .ask(&["iam", "get-login-profile", option[0], option[1]])?
            {
                let gone = ["iam", "delete-login-profile", option[0], option[1]];
                let risk = "somebody with its password needs no sealed key";
                self.look.differs(
                    Difference::new(&thing, "it may sign in to the console", risk).mend(aws(&gone)),
                );
            }
        }
        Ok(())
    }

    fn roles(&self) {
        for (_, role) in self.needed.of_type("AWS::IAM::Role") {
            self.look.looked();
            let name = text(&role["RoleName"]);
            let thing = format!("role {PATH}{name}");
            let option = ["--role-name", name];
            let ceiling = role["PermissionsBoundary"].as_str();
            let length = number(&role["MaxSessionDuration"]);
            let Some(stands) = named(&self.all["RoleDetailList"], "Arn", &self.arn("role", name))
            else {
                let trust = document(&role["AssumeRolePolicyDocument"]);
                let mut make = vec![
                    "iam",
                    "create-role",
                    "--path",
                    PATH,
                    option[0],
                    name,
                    "--assume-role-policy-document",
                    &trust,
                ];
                make.extend(
                    ceiling
                        .iter()
                        .flat_map(|arn| ["--permissions-boundary", arn]),
                );
                make.extend(
                    length
                        .as_deref()
                        .iter()
                        .flat_map(|length| ["--max-session-duration", length]),
                );
                let put = self.put(
                    "put-role-policy",
                    option,
                    &role["Policies"][0]["PolicyDocument"],
                );
                let risk = match name {
                    "steward" => "sessions cannot be revoked",
                    "setter" => "named secrets without a rotation function keep their value",
                    "bundle" => "the sealed bundle is not copied to its secret",
                    _ => "requests for this access fail at the last tap",
                };
                self.look.differs(
                    Difference::new(thing, "it does not exist", risk)
                        .mend(aws(&make))
                        .mend(put),
                );
                continue;
            };
            self.trust(&thing, name, &role["AssumeRolePolicyDocument"], stands);
            if let Some(ceiling) = ceiling {
                self.boundary(&thing, name, ceiling, stands);
            }
            let listed = named(self.lengths, "RoleName", name)
                .map(|role| number(&role["MaxSessionDuration"]));
            if let (Some(length), Some(Some(stands))) = (length, listed)
                && length != stands
            {
                let put = [
                    "iam",
                    "update-role",
                    option[0],
                    name,
                    "--max-session-duration",
                    &length,
                ];
                let what = format!("its sessions may last {stands} s, not {length} s");
                self.look.differs(
                    Difference::new(&thing, what, "longer requests fail at the last tap, and a steward may end before its session").mend(aws(&put)),
                );
            }
            self.inline(
                &thing,
                option,
                "role",
                &role["Policies"],
                &stands["RolePolicyList"],
            );
            self.attached(&thing, option, "role", &stands["AttachedManagedPolicies"]);
        }
    }

    /// Roles and users under twotap's path that nobody shipped.
    fn strangers(&self) {
        let shipped = self.needed.names_of("AWS::IAM::Role", "RoleName");
        let operator = self.needed.resource("OpAdmin");
        for role in list(&self.all["RoleDetailList"]) {
            let name = text(&role["RoleName"]);
            if text(&role["Path"]) != PATH
                || name == BYPASS_ROLE
                || shipped.iter().any(|known| known == name)
            {
                continue;
            }
            self.look.looked();
            let thing = format!("role {PATH}{name}");
            if !name.starts_with("op-") {
                let risk = "the break-glass user may take every role under this path: this one has no ceiling, and closing does not revoke it";
                let show = ["iam", "get-role", "--role-name", name];
                self.look
                    .differs(Difference::new(thing, "nobody shipped it", risk).mend(aws(&show)));
                continue;
            }
            // An operator role of their own: its power is theirs to say, how it is taken and limited is not.
            self.trust(&thing, name, &operator["AssumeRolePolicyDocument"], role);
            self.boundary(&thing, name, text(&operator["PermissionsBoundary"]), role);
        }
        let shipped = self.needed.names_of("AWS::IAM::User", "UserName");
        for user in list(&self.all["UserDetailList"]) {
            let name = text(&user["UserName"]);
            if text(&user["Path"]) == PATH && !shipped.iter().any(|known| known == name) {
                self.look.looked();
                let risk = "alerts and policies know the shipped users alone: what this one does is nobody's business yet";
                let show = ["iam", "list-access-keys", "--user-name", name];
                let thing = format!("user {PATH}{name}");
                self.look
                    .differs(Difference::new(thing, "nobody shipped it", risk).mend(aws(&show)));
            }
        }
    }

    fn trust(&self, thing: &str, name: &str, needed: &Value, stands: &Value) {
        let stands = &stands["AssumeRolePolicyDocument"];
        if agrees(needed, stands) {
            return;
        }
        let what = if stands.to_string().contains("\"AIDA") {
            "its trust names a user that was deleted".to_owned()
        } else {
            format!(
                "its trust policy is not what was shipped: {}",
                told(needed, stands)
            )
        };
        let risk = "somebody else may take it, or without a request's name in it, or nobody at all";
        let put = [
            "iam",
            "update-assume-role-policy",
            "--role-name",
            name,
            "--policy-document",
            &document(needed),
        ];
        self.look
            .differs(Difference::new(thing, what, risk).mend(aws(&put)));
    }

    fn boundary(&self, thing: &str, name: &str, needed: &str, stands: &Value) {
        let stands = stands["PermissionsBoundary"]["PermissionsBoundaryArn"].as_str();
        if stands == Some(needed) {
            return;
        }
        let what = match stands {
            Some(other) => format!("its permissions boundary is {other}"),
            None => "it has no permissions boundary".to_owned(),
        };
        let risk = "an operator can make identities, remove the revocation and blind the audit; the steward may not revoke here at all";
        let put = [
            "iam",
            "put-role-permissions-boundary",
            "--role-name",
            name,
            "--permissions-boundary",
            needed,
        ];
        self.look
            .differs(Difference::new(thing, what, risk).mend(aws(&put)));
    }

    /// The one shipped inline policy, and any other. `kind` is `user` or `role`.
    fn inline(&self, thing: &str, option: [&str; 2], kind: &str, needed: &Value, stands: &Value) {
        let needed = &needed[0];
        let name = text(&needed["PolicyName"]);
        let put = self.put(
            &format!("put-{kind}-policy"),
            option,
            &needed["PolicyDocument"],
        );
        match named(stands, "PolicyName", name).map(|policy| &policy["PolicyDocument"]) {
            None => {
                let risk = "it cannot do what it is for";
                let what = format!("it has no inline policy {name}");
                self.look
                    .differs(Difference::new(thing, what, risk).mend(put));
            }
            Some(stands) if !agrees(&needed["PolicyDocument"], stands) => {
                let differs = told(&needed["PolicyDocument"], stands);
                let what = format!("its policy {name} is not what was shipped: {differs}");
                let risk = "it can do more than twotap needs, or not what twotap needs";
                self.look
                    .differs(Difference::new(thing, what, risk).mend(put));
            }
            Some(_) => {}
        }
        let further = self.needed.further().unwrap_or(Value::Null);
        for policy in list(stands) {
            let other = text(&policy["PolicyName"]);
            let known = other == name
                || (kind == "role" && other.starts_with(REVOCATION))
                || (kind == "user" && agrees(&further, &policy["PolicyDocument"]));
            if !known {
                let command = format!("delete-{kind}-policy");
                let gone = [
                    "iam",
                    &command,
                    option[0],
                    option[1],
                    "--policy-name",
                    other,
                ];
                let what = format!("it has another inline policy, {other}");
                self.look
                    .differs(Difference::new(thing, what, WIDER).mend(aws(&gone)));
            }
        }
    }

    fn attached(&self, thing: &str, option: [&str; 2], kind: &str, stands: &Value) {
        for policy in list(stands) {
            let arn = text(&policy["PolicyArn"]);
            let command = format!("detach-{kind}-policy");
            let gone = ["iam", &command, option[0], option[1], "--policy-arn", arn];
            let what = format!("{arn} is attached to it");
            self.look
                .differs(Difference::new(thing, what, WIDER).mend(aws(&gone)));
        }
    }

    fn put(&self, command: &str, option: [&str; 2], policy: &Value) -> String {
        aws(&[
            "iam",
            command,
            option[0],
            option[1],
            "--policy-name",
            "twotap",
            "--policy-document",
            &document(policy),
        ])
    }

    fn arn(&self, kind: &str, name: &str) -> String {
        let value = |name| self.needed.value(name).unwrap_or_default();
        let (partition, account) = (value("AWS::Partition"), value("AWS::AccountId"));
        format!("arn:{partition}:iam::{account}:{kind}{PATH}{name}")
    }
}

const WIDER: &str = "it can do more than twotap needs: whoever steals it can, too";

/// The member of a list whose `field` is this.
pub(super) fn named<'a>(of: &'a Value, field: &str, value: &str) -> Option<&'a Value> {
    list(of).iter().find(|member| text(&member[field]) == value)
}

/// A list, or none.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text, or none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn number(value: &Value) -> Option<String> {
    (*value != json!(null)).then(|| value.to_string())
}
