//! `recovery open`'s worker: opens a vault without agent, state or files, and lets what was in it go to one place alone, its own standard
//! output, which the person's program has chosen.
//!
//! Started without a Region it has no network either. With one it asks that partition's STS, and nothing else.

use std::io::Write as _;

use tokio::net::UnixStream;
use twotap_shares::Secret;
use zeroize::Zeroizing;

use super::{
    hardening,
    mint::credentials,
    plan::{arn, seconds, tag},
    problems::{Explain as _, of_aws},
    recovery::{broken, standard_input},
};
use crate::{
    aws::{Answer as AwsAnswer, AssumeRole, Aws, Endpoints, Minted, revocation},
    ceremony::times,
    protocol::{
        Code, Problem, frame,
        opening::{Answer, Ask, Opening, Wish},
    },
    trust::{Document as _, Envelope, Timestamp, recovery::Record, stack},
    vault::{AccessKey, VaultError, VaultIdentity, recovery::RecoverySigner},
};

/// How often minting is tried where an answer may still come, and the pause between.
const TRIES: u32 = 4;
const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// Where STS is; without it there is no network.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Regions whose STS is asked, in this order
    #[arg(long, value_name = "REGION")]
    region: Vec<String>,
    /// The partition of the role
    #[arg(long, default_value = "aws")]
    partition: String,
    /// Another URL for STS; plain http only to a loopback address
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
}

/// Serves one opening on standard input, which has to be a connection of the same account.
pub(super) fn serve(args: Args) -> Result<(), Problem> {
    let stream = standard_input()?;
    let aws = match args.region.is_empty() {
        true => Ok(None),
        false => sts(args).map(Some),
    };
    match aws {
        Ok(Some(_)) => hardening::network_alone()?,
        _ => hardening::alone()?,
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Problem::new(Code::Internal, format!("cannot start: {why}")))?;
    let served = runtime.block_on(async {
        let mut stream = UnixStream::from_std(stream).map_err(broken)?;
        if let Err(problem) = talk(&mut stream, aws).await {
            frame::write(&mut stream, &Answer::Failed(problem))
                .await
                .map_err(broken)?;
        }
        Ok(())
    });
    runtime.shutdown_background();
    served
}

fn sts(args: Args) -> Result<Aws, Problem> {
    let endpoints = Endpoints {
        override_url: args.endpoint_url,
        ..Endpoints::of(args.partition, args.region)
    };
    Aws::new(endpoints).map_err(|why| Problem::new(Code::Usage, &why).hint_if(why.hint()))
}

async fn talk(stream: &mut UnixStream, aws: Result<Option<Aws>, Problem>) -> Result<(), Problem> {
    // Said over the wire, so that the program has one thing to say.
    let aws = aws?;
    let aws = aws.as_ref();
    let mut open: Option<AccessKey> = None;
    while let Some(ask) = frame::read(stream).await.map_err(broken)? {
        let answer = match (ask, open.take()) {
            (Ask::Now, None) => Answer::Now {
                at: now(network(aws)?).await?,
            },
            (Ask::Open(opening), None) => {
                let (key, record) = stack::wiped(|| open_vault(&opening))?;
                open = Some(key);
                Answer::Opened { record }
            }
            (Ask::Deliver, Some(key)) => {
                put_out(&key.to_json())?;
                Answer::Written
            }
            (Ask::Mint(wish), Some(key)) => {
                let minted = mint(network(aws)?, &wish, &key).await?;
                put_out(&as_credential_process(&minted.value)?)?;
                Answer::Minted {
                    assumed_role: minted.value.assumed_role_arn.clone(),
                    access_key_id: minted.value.credentials.access_key_id().to_owned(),
                    expires_at: minted.value.expires_at.into(),
                }
            }
            _ => return Err(Problem::new(Code::Usage, "that is out of turn")),
        };
        frame::write(stream, &answer).await.map_err(broken)?;
    }
    Ok(())
}

fn network(aws: Option<&Aws>) -> Result<&Aws, Problem> {
    aws.ok_or_else(|| Problem::new(Code::Usage, "this worker was started without network"))
}

/// By AWS's clock, because the laptop's may be years off, and a session's end is judged by AWS.
async fn now(aws: &Aws) -> Result<Timestamp, Problem> {
    aws.aws_time().await.map(Timestamp::from).ok_or_else(|| {
        Problem::new(Code::AwsUnreachable, "no sts endpoint could be reached").hint(
            "nothing was opened; without network, leave out --mint and use the credential elsewhere",
        )
    })
}

/// The key in a vault, and the record signed by the identity that opened it, where it is to sign.
fn open_vault(opening: &Opening) -> Result<(AccessKey, Option<Envelope>), Problem> {
    let identity = identity(&opening.identity)?;
    if let Some(recipient) = &opening.recipient
        && identity.recipient().explain()? != *recipient
    {
        return Err(Problem::new(
            Code::Refused,
            "these sheets are of another set than the one that this generation was sealed to, or the passphrase is another",
        )
        .hint("compare the set's fingerprint on the sheets; if there is a passphrase: --passphrase"));
    }
    let opened = identity.decrypt("vault.age", &opening.vault_age.0);
    let key = AccessKey::parse(&opened.explain()?).explain()?;
    if key.id() != opening.access_key_id {
        let expected = opening.access_key_id.clone();
        return Err(VaultError::WrongCredential { expected }).explain();
    }
    let Some(mut record) = opening.record.clone() else {
        return Ok((key, None));
    };
    if record.payload_type != Record::PAYLOAD_TYPE {
        return Err(Problem::new(
            Code::Usage,
            "that is not the record of a recovery",
        ));
    }
    record.sign(&RecoverySigner::of(&identity).explain()?);
    Ok((key, Some(record)))
}

fn identity(hex: &str) -> Result<VaultIdentity, Problem> {
    let wrong = || Problem::new(Code::Usage, "the identity does not have 32 bytes");
    let mut bytes = Zeroizing::new([0; 32]);
    if hex.len() != 2 * bytes.len() {
        return Err(wrong());
    }
    data_encoding::HEXLOWER
        .decode_mut(hex.as_bytes(), bytes.as_mut_slice())
        .map_err(|_| wrong())?;
    let secret = Secret::new(bytes.as_slice()).map_err(|_| wrong())?;
    VaultIdentity::from_secret(&secret).explain()
}

/// The role by itself, within a box: what `recovery open` hands out ends on time at the console too, and leads to no other role. It carries
/// the tag by which every session of ours can be revoked.
async fn mint(aws: &Aws, wish: &Wish, key: &AccessKey) -> Result<AwsAnswer<Minted>, Problem> {
    let left = times::sts_seconds(now(aws).await?, wish.not_after);
    let ask = AssumeRole {
        role: arn(&wish.role)?,
        session_name: wish.operator.clone(),
        source_identity: wish.operator.clone(),
        external_id: Some(wish.external_id.clone()),
        tags: tag(&wish.tag),
        transitive: vec![revocation::TAG_KEY.to_owned()],
        policy: Some(boxed(wish.not_after)),
        duration_seconds: seconds(left),
    };
    let key = credentials(key);
    let mut tries = 1;
    let why = loop {
        match aws.assume_role(&key, &ask).await {
            Ok(answer) => return Ok(answer),
            // Unlike in a ceremony, where a key may be too new to be known everywhere, AWS's no is a no here.
            Err(why) if why.is_transient() && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(why) => break why,
        }
    };
    let mut problem = of_aws(&why);
    problem.error = format!("the session could not be had: {}", problem.error);
    if why.code() == Some("InvalidClientTokenId") {
        problem = problem
            .hint("aws does not know this key any more: look for a newer copy of the bundle");
    }
    Err(problem)
}

/// Everything that the role may, until then, and no further role.
fn boxed(not_after: Timestamp) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"*","Resource":"*"}},{{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"*"}},{{"Effect":"Deny","Action":"*","Resource":"*","Condition":{{"DateGreaterThan":{{"aws:CurrentTime":"{not_after}"}}}}}}]}}"#
    )
}

/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>, in one buffer that never grows.
fn as_credential_process(minted: &Minted) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let c = &minted.credentials;
    let expires = Timestamp::from(minted.expires_at).to_string();
    let parts = [
        "{\"Version\":1,\"AccessKeyId\":\"",
        c.access_key_id(),
        "\",\"SecretAccessKey\":\"",
        c.secret_access_key(),
        "\",\"SessionToken\":\"",
        c.session_token().unwrap_or_default(),
        "\",\"Expiration\":\"",
        &expires,
        "\"}\n",
    ];
    let values = [parts[1], parts[3], parts[5]];
    let plain = |v: &&str| {
        v.bytes()
            .all(|b| b.is_ascii_graphic() && !b"\"\\".contains(&b))
    };
    if !values.iter().all(plain) {
        let what = "sts gave a session whose fields cannot be written as they are";
        return Err(Problem::new(Code::AwsRefused, what));
    }
    let length = parts.iter().map(|p| p.len()).sum();
    let mut out = Zeroizing::new(Vec::with_capacity(length));
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    Ok(out)
}

/// Writes past every buffer of ours to standard output; a file is made durable.
fn put_out(bytes: &[u8]) -> Result<(), Problem> {
    let failed = |why: std::io::Error| {
        Problem::new(
            Code::Internal,
            format!("it could not be written to where it was asked for: {why}"),
        )
    };
    let mut out =
        std::fs::File::from(rustix::io::dup(std::io::stdout()).map_err(|why| failed(why.into()))?);
    out.write_all(bytes).map_err(failed)?;
    // A pipe and a terminal have nothing to make durable.
    let _ = out.sync_all();
    Ok(())
}
