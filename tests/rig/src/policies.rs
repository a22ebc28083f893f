//! The policies that production has, as `packaging/aws` ships them, and their translation for the emulator.
//!
//! The emulator gets a few things wrong. What it gets wrong is taken out of the copy that it is given, and
//! nothing else; the proxy evaluates the whole shipped documents on the same calls (`crate::proxy`'s guard), so that no
//! condition goes unheld. `tests/README.md` has the table with the reasons.

use serde_json::{Map, Value};

use crate::RigError;

/// A shipped policy template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// What the user `break-glass` may: assume twotap's roles and replace its own key.
    User,
    /// What it may beside that where a profile has roles in another account: assume those.
    UserFurther,
    /// Who may assume an operator role or the steward role, and how.
    RoleTrust,
    /// What the steward may: revoke on operator roles, rotate named secrets.
    Steward,
    /// What gives secrets without a rotation function a new value.
    Setter,
    /// The example of an operator role: everything that the ceiling leaves.
    OpAdmin,
    /// The permissions boundary of every operator role.
    Ceiling,
    /// What the role of a place that is a secret may: keep the sealed bundle there.
    Bundle,
    /// What a standby host's own user may: read it.
    BundleReader,
    /// What the standing user that watches the sealed key may: ask when it was used last.
    Watch,
    /// What the user of the agent's sinks may: write the record to the write-once bucket, read it back, tell one bus.
    AuditWriter,
}

/// Every shipped template with its file's name.
pub const TEMPLATES: [(Template, &str); 11] = [
    (Template::User, "user-policy.json"),
    (Template::UserFurther, "user-further-policy.json"),
    (Template::RoleTrust, "role-trust.json"),
    (Template::Steward, "steward-policy.json"),
    (Template::Setter, "setter-policy.json"),
    (Template::OpAdmin, "op-admin-policy.json"),
    (Template::Ceiling, "ceiling.json"),
    (Template::Bundle, "bundle-policy.json"),
    (Template::BundleReader, "bundle-reader-policy.json"),
    (Template::Watch, "watch-policy.json"),
    (Template::AuditWriter, "audit-writer-policy.json"),
];

/// Condition keys that the emulator refuses or ignores although the request satisfies them.
const WITHHELD_KEYS: [&str; 3] = [
    "sts:SourceIdentity",
    "sts:TransitiveTagKeys",
    "iam:PermissionsBoundary",
];

/// The action that the emulator judges without its resource; the guard judges it with the user whose key it is.
const WITHOUT_RESOURCE: &str = "iam:GetAccessKeyLastUsed";

/// What stands in for twotap's IAM path, which the emulator drops when it evaluates IAM actions.
const WITHOUT_PATH: [(&str, &[&str]); 5] = [
    (":role/twotap/op-*", &[":role/op-*"]),
    (
        ":role/twotap/*",
        &[":role/op-*", ":role/steward", ":role/bundle"],
    ),
    (":user/twotap/break-glass", &[":user/break-glass"]),
    (":user/twotap/*", &[":user/break-glass"]),
    (":policy/twotap/*", &[":policy/ceiling"]),
];

/// The values of the templates' placeholders.
pub struct Names {
    /// `${AWS::Partition}`, such as `aws`.
    pub partition: String,
    /// `${AWS::AccountId}`, twelve digits.
    pub account: String,
    /// `${AWS::Region}`, where the stack stands.
    pub region: String,
    /// `${FurtherAccountId}`, another account with roles of twotap's.
    pub further_account: String,
    /// `${ExternalId}`, what the vault says in every AssumeRole.
    pub external_id: String,
    /// `${RotatedSecretsArn}`, the secrets (a pattern) that closing may rotate.
    pub rotated_secrets_arn: String,
    /// `${RotationFunctionsArn}`, the functions (a pattern) by which AWS rotates them.
    pub rotation_functions_arn: String,
    /// `${BundleSecretArn}`, the secret that keeps the sealed bundle.
    pub bundle_secret_arn: String,
    /// `${AuditKeyArn}`, the KMS key of the audit trail.
    pub audit_key_arn: String,
}

/// The policy as production would have it: the template with its placeholders filled in.
pub fn render(template: Template, names: &Names) -> Result<Value, RigError> {
    let text = source(template)
        .replace("${AWS::Partition}", &names.partition)
        .replace("${AWS::AccountId}", &names.account)
        .replace("${AWS::Region}", &names.region)
        .replace("${FurtherAccountId}", &names.further_account)
        .replace("${ExternalId}", &names.external_id)
        .replace("${RotatedSecretsArn}", &names.rotated_secrets_arn)
        .replace("${RotationFunctionsArn}", &names.rotation_functions_arn)
        .replace("${BundleSecretArn}", &names.bundle_secret_arn)
        .replace("${AuditKeyArn}", &names.audit_key_arn);
    if text.contains("${") {
        return Err(RigError::new(format!(
            "{template:?}: a placeholder has no value: {text}"
        )));
    }
    serde_json::from_str(&text)
        .map_err(|error| RigError::new(format!("{template:?} is not JSON: {error}")))
}

/// The copy of a rendered policy that the emulator evaluates rightly.
pub fn for_emulator(policy: &Value) -> Value {
    let mut policy = policy.clone();
    let statements = policy.get_mut("Statement").and_then(Value::as_array_mut);
    for statement in statements
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        withhold_conditions(statement);
        add_resources_without_path(statement);
        if statement.get("Action").and_then(Value::as_str) == Some(WITHOUT_RESOURCE) {
            statement.insert("Resource".to_owned(), "*".into());
        }
    }
    policy
}

fn source(template: Template) -> &'static str {
    match template {
        Template::User => include_str!("../../../packaging/aws/user-policy.json"),
        Template::UserFurther => include_str!("../../../packaging/aws/user-further-policy.json"),
        Template::RoleTrust => include_str!("../../../packaging/aws/role-trust.json"),
        Template::Steward => include_str!("../../../packaging/aws/steward-policy.json"),
        Template::Setter => include_str!("../../../packaging/aws/setter-policy.json"),
        Template::OpAdmin => include_str!("../../../packaging/aws/op-admin-policy.json"),
        Template::Ceiling => include_str!("../../../packaging/aws/ceiling.json"),
        Template::Bundle => include_str!("../../../packaging/aws/bundle-policy.json"),
        Template::BundleReader => include_str!("../../../packaging/aws/bundle-reader-policy.json"),
        Template::Watch => include_str!("../../../packaging/aws/watch-policy.json"),
        Template::AuditWriter => include_str!("../../../packaging/aws/audit-writer-policy.json"),
    }
}

fn withhold_conditions(statement: &mut Map<String, Value>) {
    let Some(conditions) = statement
        .get_mut("Condition")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    for keys in conditions.values_mut().filter_map(Value::as_object_mut) {
        keys.retain(|key, _| {
            !WITHHELD_KEYS
                .iter()
                .any(|withheld| withheld.eq_ignore_ascii_case(key))
        });
    }
    conditions.retain(|_, keys| keys.as_object().is_some_and(|keys| !keys.is_empty()));
    if conditions.is_empty() {
        statement.remove("Condition");
    }
}

/// Adds, to each resource under twotap's path, the same one without it. The one with the path stays: STS calls
/// name it, and the emulator matches those rightly.
fn add_resources_without_path(statement: &mut Map<String, Value>) {
    let Some(resource) = statement.get_mut("Resource") else {
        return;
    };
    let named: Vec<String> = match &*resource {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => return,
    };
    let mut all = Vec::new();
    for resource in named {
        let found = WITHOUT_PATH
            .iter()
            .find_map(|(path, without)| Some((resource.strip_suffix(path)?, *without)));
        if let Some((prefix, without)) = found {
            all.extend(
                without
                    .iter()
                    .map(|without| Value::from(format!("{prefix}{without}"))),
            );
        }
        all.push(Value::from(resource));
    }
    if all.len() > 1 {
        *resource = Value::Array(all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names {
            partition: "aws".into(),
            account: "111122223333".into(),
            region: "eu-central-1".into(),
            further_account: "444455556666".into(),
            external_id: "vault-prod".into(),
            rotated_secrets_arn: "arn:aws:secretsmanager:*:111122223333:secret:prod/*".into(),
            rotation_functions_arn: "arn:aws:lambda:*:111122223333:function:rotate-*".into(),
            bundle_secret_arn:
                "arn:aws:secretsmanager:eu-central-1:111122223333:secret:twotap/prod-bundle-AbCdEf"
                    .into(),
            audit_key_arn: "arn:aws:kms:eu-central-1:111122223333:key/audit".into(),
        }
    }

    #[test]
    fn every_template_renders_within_aws_limits() {
        for (template, file) in TEMPLATES {
            let policy = render(template, &names()).expect(file).to_string();
            // 2,048 characters for a user's inline policies, 6,144 for a managed policy, 2,048 for a trust policy by
            // default; an operator role keeps room for revocations (10,240 in all).
            let limit = if template == Template::Ceiling {
                6144
            } else {
                2048
            };
            assert!(policy.len() <= limit, "{file}: {} characters", policy.len());
        }
    }

    /// CloudFormation fills the placeholders in by `Fn::Sub`, alone or with a list of what else they are; without that
    /// wrapper its policies are the files'.
    #[test]
    fn the_cloudformation_template_says_what_the_files_say() {
        fn unwrapped(value: &Value) -> Value {
            match value {
                Value::Object(fields) => match fields.get("Fn::Sub") {
                    Some(Value::Array(with)) => with[0].clone(),
                    Some(text) => text.clone(),
                    None => fields
                        .iter()
                        .map(|(key, value)| (key.clone(), unwrapped(value)))
                        .collect(),
                },
                Value::Array(items) => items.iter().map(unwrapped).collect(),
                other => other.clone(),
            }
        }
        let file = |template| serde_json::from_str::<Value>(source(template)).unwrap();
        let stack: Value =
            serde_json::from_str(include_str!("../../../packaging/aws/twotap.cfn.json")).unwrap();
        let properties = |resource: &str| unwrapped(&stack["Resources"][resource]["Properties"]);
        assert_eq!(
            properties("Ceiling")["PolicyDocument"],
            file(Template::Ceiling)
        );
        assert_eq!(
            properties("BreakGlass")["Policies"][0]["PolicyDocument"],
            file(Template::User)
        );
        assert_eq!(
            properties("Watch")["Policies"][0]["PolicyDocument"],
            file(Template::Watch)
        );
        assert_eq!(
            properties("AuditWriter")["Policies"][0]["PolicyDocument"],
            file(Template::AuditWriter)
        );
        assert_eq!(stack["Resources"]["Watch"]["Condition"], "Watched");
        for (role, template) in [
            ("OpAdmin", Template::OpAdmin),
            ("Steward", Template::Steward),
            ("Setter", Template::Setter),
        ] {
            let role = properties(role);
            assert_eq!(role["AssumeRolePolicyDocument"], file(Template::RoleTrust));
            assert_eq!(role["Policies"].as_array().map(Vec::len), Some(1));
            assert_eq!(role["Policies"][0]["PolicyDocument"], file(template));
            assert_eq!(role["MaxSessionDuration"], 43_200);
        }
        let bundle = properties("Bundle");
        assert_eq!(
            bundle["AssumeRolePolicyDocument"],
            file(Template::RoleTrust)
        );
        assert_eq!(
            bundle["Policies"][0]["PolicyDocument"],
            file(Template::Bundle)
        );
        assert_eq!(
            properties("BundleReader")["Policies"][0]["PolicyDocument"],
            file(Template::BundleReader)
        );
        assert_eq!(
            properties("OpAdmin")["PermissionsBoundary"]["Ref"],
            "Ceiling"
        );
    }

    #[test]
    fn translation_takes_out_only_what_the_table_names() {
        let trust = for_emulator(&render(Template::RoleTrust, &names()).unwrap());
        assert_eq!(
            trust["Statement"][0]["Condition"],
            serde_json::json!({
                "StringEquals": {"sts:ExternalId": "vault-prod"},
                "StringLike": {"aws:RequestTag/twotap": "*"}
            })
        );
        assert_eq!(
            trust["Statement"][1]["Condition"]["ForAllValues:StringEquals"],
            serde_json::json!({"aws:TagKeys": ["twotap"]})
        );
        let steward = for_emulator(&render(Template::Steward, &names()).unwrap());
        assert_eq!(steward["Statement"][0].get("Condition"), None);
        assert_eq!(
            steward["Statement"][0]["Resource"],
            serde_json::json!([
                "arn:aws:iam::111122223333:role/op-*",
                "arn:aws:iam::111122223333:role/twotap/op-*"
            ])
        );
        let shipped = render(Template::OpAdmin, &names()).unwrap();
        assert_eq!(for_emulator(&shipped), shipped);
    }
}
