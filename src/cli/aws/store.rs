//! The write-once record: its key, its buckets, and the trail that sees what is done to them.

use serde_json::{Value, json};

use crate::protocol::Problem;

use super::{
    agrees::{agrees, covers, told},
    difference::{Difference, aws, document},
    identities::{list, text},
    look::{Look, Seen},
    needed::{KEY_ALIAS, Needed},
};

const CONFIGURED: &str = "ServerSideEncryptionConfiguration";

/// The key: whether it can be used, is changed each year, and lets the services in that need it.
pub(super) fn key(look: &Look<'_>, needed: &Needed) -> Result<(), Problem> {
    look.looked();
    let thing = format!("key {KEY_ALIAS}");
    let region = look.region.as_str();
    let described = look.ask(&["kms", "describe-key", "--key-id", KEY_ALIAS])?;
    let metadata = match described {
        Seen::There(answer) => answer["KeyMetadata"].clone(),
        Seen::Refused => return Ok(()),
        Seen::Missing => {
            let policy = document(&needed.resource("AuditKey")["KeyPolicy"]);
            let make = aws(&[
                "kms",
                "create-key",
                "--region",
                region,
                "--policy",
                &policy,
                "--query",
                "KeyMetadata.KeyId",
                "--output",
                "text",
            ]);
            let name = aws(&[
                "kms",
                "create-alias",
                "--region",
                region,
                "--alias-name",
                KEY_ALIAS,
                "--target-key-id",
            ]);
            let risk = "neither record nor alerts are encrypted by a key of this account, and rules cannot publish to a topic on AWS's own";
            look.differs(
                Difference::new(thing, "it does not exist", risk)
                    .mend(format!("{name} \"$({make})\"")),
            );
            return Ok(());
        }
    };
    let id = text(&metadata["KeyId"]);
    let state = text(&metadata["KeyState"]);
    if state != "Enabled" {
        let mut difference = Difference::new(
            &thing,
            format!("its state is {state}"),
            "the trail cannot be delivered, alerts cannot be published, and the record cannot be read",
        );
        if state == "PendingDeletion" {
            difference = difference.mend(aws(&[
                "kms",
                "cancel-key-deletion",
                "--region",
                region,
                "--key-id",
                id,
            ]));
        }
        look.differs(difference.mend(aws(&[
            "kms",
            "enable-key",
            "--region",
            region,
            "--key-id",
            id,
        ])));
    }
    if let Seen::There(rotation) = look.ask(&["kms", "get-key-rotation-status", "--key-id", id])?
        && rotation["KeyRotationEnabled"] != json!(true)
    {
        let on = [
            "kms",
            "enable-key-rotation",
            "--region",
            region,
            "--key-id",
            id,
        ];
        look.differs(
            Difference::new(
                &thing,
                "it is never changed",
                "all of the record hangs on one key for ever",
            )
            .mend(aws(&on)),
        );
    }
    if let Seen::There(answer) = look.ask(&[
        "kms",
        "get-key-policy",
        "--key-id",
        id,
        "--policy-name",
        "default",
    ])? {
        let needed = &needed.resource("AuditKey")["KeyPolicy"];
        let stands = read(&answer["Policy"]);
        if !agrees(needed, &stands) {
            let put = [
                "kms",
                "put-key-policy",
                "--region",
                region,
                "--key-id",
                id,
                "--policy-name",
                "default",
                "--policy",
                &document(needed),
            ];
            let what = format!(
                "its policy is not what was shipped: {}",
                told(needed, &stands)
            );
            look.differs(
                Difference::new(
                    &thing,
                    what,
                    "the trail or the rules cannot use it, or somebody else can",
                )
                .mend(aws(&put)),
            );
        }
    }
    Ok(())
}

/// Both buckets.
pub(super) fn buckets(look: &Look<'_>, needed: &Needed) -> Result<(), Problem> {
    for (logical, bucket) in needed.of_type("AWS::S3::Bucket") {
        let policy = needed.resource(&format!("{logical}Policy"));
        self::bucket(look, &bucket, &policy["PolicyDocument"])?;
    }
    Ok(())
}

fn bucket(look: &Look<'_>, bucket: &Value, policy: &Value) -> Result<(), Problem> {
    look.looked();
    let name = text(&bucket["BucketName"]);
    let thing = format!("bucket {name}");
    let at = ["--region", &look.region, "--bucket", name];
    let ask = |call: &str| look.ask(&["s3api", call, "--bucket", name]);
    let put = |call: &str, option: &str, value: &str| {
        aws(&[&["s3api", call][..], &at[..], &[option, value][..]].concat())
    };
    let versions = ask("get-bucket-versioning")?;
    if matches!(versions, Seen::Missing) {
        let place = format!("LocationConstraint={}", look.region);
        let mut make = vec!["s3api", "create-bucket"];
        make.extend(at);
        make.push("--object-lock-enabled-for-bucket");
        if look.region != "us-east-1" {
            make.extend(["--create-bucket-configuration", &place]);
        }
        let risk = "there is no write-once record outside of the agent's host";
        look.differs(
            Difference::new(thing, "it does not exist", risk)
                .mend(aws(&make))
                .mend("twotap aws check".to_owned()),
        );
        return Ok(());
    }
    if let Seen::There(versions) = versions
        && versions["Status"] != "Enabled"
    {
        let on = put(
            "put-bucket-versioning",
            "--versioning-configuration",
            "Status=Enabled",
        );
        look.differs(
            Difference::new(
                &thing,
                "it keeps no versions",
                "what is written over is gone, and nothing is write-once",
            )
            .mend(on),
        );
    }
    lock(look, &thing, &bucket["ObjectLockConfiguration"], &ask, &put)?;

    let needed = &bucket["BucketEncryption"][CONFIGURED][0];
    let encryption = json!({"Rules": [{
        "ApplyServerSideEncryptionByDefault": needed["ServerSideEncryptionByDefault"],
        "BucketKeyEnabled": needed["BucketKeyEnabled"],
    }]});
    compare(
        &ask("get-bucket-encryption")?,
        CONFIGURED,
        &encryption,
        |what| {
            let on = put(
                "put-bucket-encryption",
                "--server-side-encryption-configuration",
                &document(&encryption),
            );
            look.differs(
                Difference::new(
                    &thing,
                    format!("{what} encryption by the key of the record"),
                    "whoever reaches AWS's storage by another way reads the record",
                )
                .mend(on),
            );
        },
    );
    let closed = &bucket["PublicAccessBlockConfiguration"];
    compare(
        &ask("get-public-access-block")?,
        "PublicAccessBlockConfiguration",
        closed,
        |what| {
            let on = put(
                "put-public-access-block",
                "--public-access-block-configuration",
                &document(closed),
            );
            look.differs(
                Difference::new(
                    &thing,
                    format!("{what} block of public access"),
                    "one mistaken policy makes the record public",
                )
                .mend(on),
            );
        },
    );
    let owned = &bucket["OwnershipControls"];
    compare(
        &ask("get-bucket-ownership-controls")?,
        "OwnershipControls",
        owned,
        |what| {
            let on = put(
                "put-bucket-ownership-controls",
                "--ownership-controls",
                &document(owned),
            );
            look.differs(
                Difference::new(
                    &thing,
                    format!("{what} ownership by the bucket's owner"),
                    "access lists of single objects count beside the policies",
                )
                .mend(on),
            );
        },
    );
    let (differs, stands) = match ask("get-bucket-policy")? {
        Seen::There(answer) => {
            let stands = read(&answer["Policy"]);
            (!agrees(policy, &stands), stands)
        }
        Seen::Missing => (true, Value::Null),
        Seen::Refused => (false, Value::Null),
    };
    if differs {
        let on = put("put-bucket-policy", "--policy", &document(policy));
        let what = format!(
            "its policy is not what was shipped: {}",
            told(policy, &stands)
        );
        look.differs(
            Difference::new(
                &thing,
                what,
                "retention can be bypassed, the trail cannot be delivered, or others get in",
            )
            .mend(on),
        );
    }
    if let Seen::There(rules) = ask("get-bucket-lifecycle-configuration")?
        && list(&rules["Rules"])
            .iter()
            .any(|rule| rule["Status"] == "Enabled")
    {
        let gone = aws(&[&["s3api", "delete-bucket-lifecycle"][..], &at[..]].concat());
        look.differs(
            Difference::new(
                &thing,
                "a lifecycle rule is at work on it",
                "objects are hidden, or removed as soon as their retention ends",
            )
            .mend(gone),
        );
    }
    Ok(())
}

/// Object Lock: the mode that was chosen, and at least as long.
fn lock(
    look: &Look<'_>,
    thing: &str,
    needed: &Value,
    ask: &dyn Fn(&str) -> Result<Seen, Problem>,
    put: &dyn Fn(&str, &str, &str) -> String,
) -> Result<(), Problem> {
    let default = &needed["Rule"]["DefaultRetention"];
    let known = |value: &Value| !text(value).contains("${");
    let (mode, years) = (&default["Mode"], &default["Years"]);
    let stands = match ask("get-object-lock-configuration")? {
        Seen::There(answer) => answer["ObjectLockConfiguration"].clone(),
        Seen::Missing => Value::Null,
        Seen::Refused => return Ok(()),
    };
    let kept = &stands["Rule"]["DefaultRetention"];
    let days = |of: &Value| match (
        of["Years"].as_u64(),
        of["Years"].as_str(),
        of["Days"].as_u64(),
    ) {
        (Some(years), ..) => Some(years * 365),
        (None, Some(years), _) => years.parse::<u64>().ok().map(|years| years * 365),
        (None, None, days) => days,
    };
    let what = if stands["ObjectLockEnabled"] != "Enabled" {
        "it has no Object Lock".to_owned()
    } else if kept.is_null() {
        "its Object Lock keeps nothing by default".to_owned()
    } else if known(mode) && kept["Mode"] != *mode {
        format!(
            "it keeps in mode {}, not {}",
            text(&kept["Mode"]),
            text(mode)
        )
    } else if days(kept) < days(default) {
        format!("it keeps for {} days", days(kept).unwrap_or(0))
    } else {
        return Ok(());
    };
    let mut difference = Difference::new(
        thing,
        what,
        "what is written can be deleted again before its time, and nobody can prove that it was not",
    );
    if known(mode) && known(years) {
        let years: u64 = text(years).parse().unwrap_or(7);
        let lock = json!({"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": mode, "Years": years}}});
        difference = difference.mend(put(
            "put-object-lock-configuration",
            "--object-lock-configuration",
            &document(&lock),
        ));
    }
    look.differs(difference);
    Ok(())
}

/// Tells `without` how it differs: `it has no`, or `it has another`.
fn compare(seen: &Seen, field: &str, needed: &Value, without: impl FnOnce(&str)) {
    match seen {
        Seen::There(answer) if covers(needed, &answer[field]) => {}
        Seen::There(_) => without("it has another"),
        Seen::Missing => without("it has no"),
        Seen::Refused => {}
    }
}

/// The trail: whether it sees everything, everywhere, and delivers.
pub(super) fn trail(look: &Look<'_>, needed: &Needed) -> Result<(), Problem> {
    look.looked();
    let shipped = needed.resource("Trail");
    let name = text(&shipped["TrailName"]);
    let thing = format!("trail {name}");
    let at = ["--region", look.region.as_str(), "--name", name];
    let (bucket, key) = (text(&shipped["S3BucketName"]), text(&shipped["KMSKeyId"]));
    let options = [
        "--s3-bucket-name",
        bucket,
        "--is-multi-region-trail",
        "--include-global-service-events",
        "--enable-log-file-validation",
        "--kms-key-id",
        key,
    ];
    let selectors = document(&shipped["AdvancedEventSelectors"]);
    let select = aws(&[
        "cloudtrail",
        "put-event-selectors",
        "--region",
        &look.region,
        "--trail-name",
        name,
        "--advanced-event-selectors",
        &selectors,
    ]);
    let start = aws(&[&["cloudtrail", "start-logging"][..], &at[..]].concat());
    let blind = "CloudTrail tells the rules nothing: a bypass, a theft of the key and a removed revocation alert nobody";
    let stands = match look.ask(&["cloudtrail", "get-trail", "--name", name])? {
        Seen::There(answer) => answer["Trail"].clone(),
        Seen::Refused => return Ok(()),
        Seen::Missing => {
            let make = aws(&[&["cloudtrail", "create-trail"][..], &at[..], &options[..]].concat());
            look.differs(
                Difference::new(thing, "it does not exist", blind)
                    .mend(make)
                    .mend(select)
                    .mend(start),
            );
            return Ok(());
        }
    };
    let wanting: Vec<&str> = [
        (
            "IsMultiRegionTrail",
            json!(true),
            "it sees one Region alone",
        ),
        (
            "IncludeGlobalServiceEvents",
            json!(true),
            "it does not see IAM",
        ),
        (
            "LogFileValidationEnabled",
            json!(true),
            "its files carry no digests",
        ),
        (
            "S3BucketName",
            json!(bucket),
            "it is delivered to another bucket",
        ),
        (
            "KmsKeyId",
            json!(key),
            "its files are not encrypted by the key of the record",
        ),
    ]
    .into_iter()
    .filter(|(field, needed, _)| !agrees(needed, &stands[*field]))
    .map(|(_, _, what)| what)
    .collect();
    if !wanting.is_empty() {
        let update = aws(&[&["cloudtrail", "update-trail"][..], &at[..], &options[..]].concat());
        let risk = "what is done elsewhere or by IAM is not seen, or can be changed afterwards without a trace";
        look.differs(Difference::new(&thing, wanting.join("; "), risk).mend(update));
    }
    if let Seen::There(status) = look.ask(&["cloudtrail", "get-trail-status", "--name", name])?
        && status["IsLogging"] != json!(true)
    {
        look.differs(Difference::new(&thing, "it is stopped", blind).mend(start));
    }
    if let Seen::There(answer) =
        look.ask(&["cloudtrail", "get-event-selectors", "--trail-name", name])?
    {
        let stands = list(&answer["AdvancedEventSelectors"]);
        let missing: Vec<&str> = list(&shipped["AdvancedEventSelectors"])
            .iter()
            .filter(|needed| {
                !stands
                    .iter()
                    .any(|stands| agrees(&needed["FieldSelectors"], &stands["FieldSelectors"]))
            })
            .map(|needed| text(&needed["Name"]))
            .collect();
        if !missing.is_empty() {
            let what = format!("it does not see {}", missing.join(", nor "));
            let risk = "a bypass of the record's retention is a data event: a trail that does not select it alerts nobody";
            look.differs(Difference::new(&thing, what, risk).mend(select));
        }
    }
    Ok(())
}

/// A document that AWS gives as text.
pub(super) fn read(text: &Value) -> Value {
    match text {
        Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        other => other.clone(),
    }
}
