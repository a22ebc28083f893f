//! Papers of a vault as people write and get them, where no AWS is asked.

macro_rules! profile {
    () => {
        r#"
[aws]
user_arn = "arn:aws:iam::111122223333:user/twotap/break-glass"
steward_role_arn = "arn:aws:iam::111122223333:role/twotap/steward"
external_id = "prod-7f3a"
[[access]]
name = "admin"
account = "111122223333"
role_arn = "arn:aws:iam::111122223333:role/twotap/op-admin"
regions = ["eu-central-1"]
probe = "ec2:DescribeRegions"
"#
    };
}

/// `access.toml` up to what the profile `admin` allows.
pub const PROFILE: &str = profile!();

/// The whole of it: `admin` may list buckets.
pub const ACCESS: &str = concat!(
    profile!(),
    r#"policy = '''{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}]}'''
"#
);

/// What the AWS CLI prints of a key; the secret is the one of AWS's own examples.
pub const PRINTED: &str = r#"{
    "AccessKey": {
        "UserName": "break-glass",
        "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "Status": "Active",
        "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "CreateDate": "2026-01-06T10:00:00+00:00"
    }
}
"#;
