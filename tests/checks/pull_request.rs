//! `packaging/checks/pull-request`, against a stand-in for GitHub's API.

use serde_json::{Value, json};
use twotap::trust::Timestamp;

use crate::{
    github::{GitHub, REPOSITORY, TOKEN},
    run::{Check, request, shown},
};

const HEAD: &str = "5a1f0c2b7d3e4f5061728394a5b6c7d8e9f00112";

struct Bench {
    github: GitHub,
    check: Check,
    config: String,
}

impl Bench {
    fn new() -> Self {
        let github = GitHub::start();
        let check = Check::shipped("pull-request");
        let token = check.file("token", &format!("{TOKEN}\n"), 0o600);
        let config = format!(
            "repository = '{REPOSITORY}'\ntoken_file = '{}'\napi = '{}'\n\
             [people]\ndana = 'dana-gh'\ncarol = 'Carol-GH'\n",
            token.display(),
            github.api()
        );
        Self {
            github,
            check,
            config,
        }
    }

    /// One pull request with these reviews, and what the check says.
    fn with(&self, pull: Value, reviews: Vec<Value>) -> (i32, String) {
        self.github.hold(|held| {
            held.pulls = vec![pull];
            held.reviews = [(17, reviews)].into();
        });
        self.asks(None)
    }

    fn asks(&self, subject: Option<&str>) -> (i32, String) {
        self.check.run(&self.config, &request(subject))
    }
}

fn days_ago(days: i64) -> String {
    Timestamp::now().plus(-days * 24 * 3600).to_string()
}

/// What GitHub answers, as far as it matters, for a pull request that is as it should be.
fn pull() -> Value {
    json!({
        "number": 17, "state": "closed", "title": "SUP-1234: read access to one user's data",
        "body": "For user-4711, asked for in the ticket.", "user": {"login": "dana-gh"},
        "head": {"sha": HEAD}, "base": {"ref": "main"},
        "merged_at": days_ago(1), "updated_at": days_ago(1),
    })
}

fn review(login: &str, state: &str) -> Value {
    json!({
        "user": {"login": login}, "state": state, "commit_id": HEAD,
        "author_association": "MEMBER",
    })
}

fn changed(mut value: Value, field: &str, to: Value) -> Value {
    *value.pointer_mut(field).expect("a field") = to;
    value
}

#[test]
fn merged_and_approved_by_somebody_else_passes_and_says_by_whom() {
    let bench = Bench::new();
    let (code, said) = bench.with(pull(), vec![review("carol-gh", "APPROVED")]);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("#17, merged 20"), "{said}");
    assert!(said.ends_with("approved by carol (carol-gh)"), "{said}");
    // A comment afterwards takes nothing back; an operator who did not write it changes nothing.
    let (code, said) = bench.with(
        changed(pull(), "/user/login", "sofia-gh".into()),
        vec![review("bob-gh", "APPROVED"), review("bob-gh", "COMMENTED")],
    );
    assert_eq!(code, 0, "{said}");
    assert!(said.ends_with("approved by bob-gh"), "{said}");
    // The subject, where there is one.
    assert_eq!(bench.asks(Some("user-4711")).0, 0);
}

#[test]
fn whatever_is_missing_is_named() {
    let bench = Bench::new();
    let by_carol = || vec![review("carol-gh", "APPROVED")];
    let none =
        "no pull request that was merged into main in the last 7 days names SUP-1234 in its title";
    let nobody = "#17 names SUP-1234; its last commit has no approval that counts by somebody other than dana and its author";
    let by = |state: &str| vec![review("carol-gh", "APPROVED"), review("carol-gh", state)];
    let old_commit = changed(
        review("carol-gh", "APPROVED"),
        "/commit_id",
        "0".repeat(40).into(),
    );
    let stranger = changed(
        review("stranger-gh", "APPROVED"),
        "/author_association",
        "NONE".into(),
    );
    let cases = [
        (
            changed(pull(), "/title", "SUP-12345: another one".into()),
            by_carol(),
            none,
        ),
        (
            changed(pull(), "/title", "XSUP-1234".into()),
            by_carol(),
            none,
        ),
        (
            changed(pull(), "/base/ref", "draft".into()),
            by_carol(),
            none,
        ),
        (
            changed(pull(), "/merged_at", Value::Null),
            by_carol(),
            "#17 names SUP-1234, and was closed without being merged",
        ),
        (
            changed(pull(), "/merged_at", days_ago(8).into()),
            by_carol(),
            "#17 names SUP-1234, and was merged more than 7 days ago",
        ),
        (
            changed(pull(), "/updated_at", days_ago(8).into()),
            by_carol(),
            none,
        ),
        (pull(), vec![], nobody),
        (pull(), vec![review("Dana-GH", "APPROVED")], nobody),
        (
            changed(pull(), "/user/login", "carol-gh".into()),
            by_carol(),
            nobody,
        ),
        (pull(), by("CHANGES_REQUESTED"), nobody),
        (pull(), by("DISMISSED"), nobody),
        (pull(), vec![review("carol-gh", "COMMENTED")], nobody),
        (pull(), vec![old_commit], nobody),
        (pull(), vec![stranger], nobody),
        (
            pull(),
            vec![changed(review("x", "APPROVED"), "/user", Value::Null)],
            nobody,
        ),
    ];
    for (pull, reviews, why) in cases {
        let what = format!("{pull} {reviews:?}");
        assert_eq!(bench.with(pull, reviews), (1, why.to_owned()), "{what}");
    }
    // The subject that the pull request is about is another one.
    bench.with(pull(), by_carol());
    let not_that = "#17 names SUP-1234, and not the subject".to_owned();
    assert_eq!(bench.asks(Some("user-471")), (1, not_that));
    // Whose approval counts may be said.
    let named = bench
        .config
        .replace("[people]", "approvers = ['Sofia-GH']\n[people]");
    assert_eq!(
        bench.check.run(&named, &request(None)),
        (1, nobody.to_owned())
    );
    bench.with(pull(), vec![review("sofia-gh", "APPROVED")]);
    assert_eq!(bench.check.run(&named, &request(None)).0, 0);
    // An operator without a login is nobody there.
    let mut other = request(None);
    other["operator"] = "bob".into();
    let said = (1, "the configuration has no login for bob".to_owned());
    assert_eq!(bench.check.run(&bench.config, &other), said);
}

#[test]
fn all_pages_are_read_and_the_search_ends_where_nothing_counts_any_more() {
    let bench = Bench::new();
    let other = |n: u64| {
        changed(
            changed(pull(), "/number", n.into()),
            "/title",
            "something".into(),
        )
    };
    bench.github.hold(|held| {
        held.pulls = (100..230).map(other).collect();
        held.pulls.push(pull());
        // The newest word of a reviewer stands on the second page.
        let mut reviews = vec![review("carol-gh", "APPROVED")];
        reviews.extend((0..120).map(|_| review("bob-gh", "COMMENTED")));
        reviews.push(review("carol-gh", "CHANGES_REQUESTED"));
        held.reviews = [(17, reviews)].into();
    });
    assert_eq!(bench.asks(None).0, 1);
    let asked = bench.github.hold(|held| std::mem::take(&mut held.asked));
    assert_eq!(asked.len(), 4, "{asked:?}");
    let list = "GET /repos/example/emergency-access/pulls?state=closed&base=main&sort=updated&direction=desc&per_page=100&page=1 ";
    assert!(asked[0].starts_with(list), "{}", asked[0]);
    bench
        .github
        .hold(|held| held.reviews.get_mut(&17).expect("held").truncate(121));
    assert_eq!(bench.asks(None).0, 0);
    // Beyond the first that is too old nothing is asked for.
    bench.github.hold(|held| {
        held.asked.clear();
        held.pulls[0] = changed(other(99), "/updated_at", days_ago(8).into());
    });
    assert_eq!(bench.asks(None).0, 1);
    assert_eq!(bench.github.hold(|held| held.asked.len()), 1);
}

#[test]
fn what_cannot_be_told_is_not_told() {
    let bench = Bench::new();
    bench.with(pull(), vec![review("carol-gh", "APPROVED")]);
    let told = |config: &str, what: &str| {
        let (code, said) = bench.check.run(config, &request(None));
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(what), "{said}");
        assert!(!said.contains(TOKEN), "{said}");
    };
    let config = &bench.config;
    told(
        &config.replace("token_file", "tokens"),
        "unknown key: tokens",
    );
    told(&config.replace(REPOSITORY, "example"), "no repository");
    told(&config.replace(REPOSITORY, "example/another"), "404");
    told(
        &config.replace("/token'", "/nowhere'"),
        "the token cannot be read",
    );
    told(
        &config.replace("api = 'http://127.0.0.1", "api = 'http://192.0.2.1"),
        "https",
    );
    told(
        &config.replace(&bench.github.api(), "http://127.0.0.1:1"),
        "cannot be reached",
    );
    told("repository =", "cannot be read");
    let other = bench.check.file("other", "not-the-token", 0o600);
    let open = bench.check.file("open", TOKEN, 0o644);
    let with = |path: &std::path::Path| {
        let line = format!("token_file = '{}'", path.display());
        let lines = config.lines().map(|l| {
            if l.starts_with("token_file") {
                &line
            } else {
                l
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    told(&with(&other), "401 to /pulls: the token is not accepted");
    told(&with(&open), "others can read it");

    let instead = |status: u16, headers: &str, body: &str| {
        let answer = (status, headers.to_owned(), body.to_owned());
        bench.github.hold(|held| held.instead = Some(answer));
    };
    instead(403, "", "{}");
    told(config, "too much was asked");
    instead(200, "", "{\"message\": \"hello\"}");
    told(config, "no list");
    instead(200, "", "[{\"number\": 17}]");
    told(config, "not of the form");
    instead(200, "", "<html>");
    told(config, "not of the form");
    // The token goes to nobody else.
    let elsewhere = GitHub::start();
    instead(302, &format!("location: {}/x\r\n", elsewhere.api()), "");
    told(config, "302");
    assert_eq!(elsewhere.hold(|held| held.asked.len()), 0);
}

#[test]
fn the_readme_shows_a_configuration_that_is_read() {
    let bench = Bench::new();
    let by = vec![review("carol-gh", "APPROVED")];
    assert_eq!(bench.with(pull(), by).0, 0);
    let token = bench.check.file("token", TOKEN, 0o600);
    let config = shown(2)
        .replace(
            "/etc/twotap/checks/github-token",
            &token.display().to_string(),
        )
        .replace("https://api.github.com", &bench.github.api());
    let (code, said) = bench.check.run(&config, &request(None));
    assert_eq!(code, 0, "{said}");
}
