//! A program of an operator's: it uses the AWS SDK for Rust as everybody's programs do, and knows nothing of twotap.
//!
//! `twotap-client identity` prints the ARN that AWS sees; `twotap-client users` lists IAM's users, for which few have the permission.
//! What AWS answers instead goes to standard error, with exit code 1.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use aws_config::BehaviorVersion;
use aws_smithy_http_client::Builder;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let asked = std::env::args().nth(1).unwrap_or_default();
    let answer = match runtime {
        Ok(runtime) => runtime.block_on(ask(&asked)),
        Err(why) => Err(why.to_string()),
    };
    match answer {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn ask(what: &str) -> Result<String, String> {
    let config = aws_config::defaults(BehaviorVersion::latest())
        // The AWS of tests speaks no TLS.
        .http_client(Builder::new().build_http())
        .load()
        .await;
    match what {
        "identity" => {
            let asked = aws_sdk_sts::Client::new(&config).get_caller_identity();
            let identity = asked.send().await.map_err(whole)?;
            identity
                .arn()
                .map(str::to_owned)
                .ok_or_else(|| "an answer without an ARN".to_owned())
        }
        "users" => {
            let asked = aws_sdk_iam::Client::new(&config).list_users();
            let listed = asked.send().await.map_err(whole)?;
            Ok(format!("{} users", listed.users().len()))
        }
        _ => Err("say identity or users".to_owned()),
    }
}

/// An error with everything below it: what a credential process said stands at the bottom.
fn whole(why: impl std::error::Error) -> String {
    let mut text = why.to_string();
    let mut below = why.source();
    while let Some(why) = below {
        text.push_str(": ");
        text.push_str(&why.to_string());
        below = why.source();
    }
    text
}
