//! Each promise of the README has tests, and the page that says which says so truly.

use std::{fs, path::Path};

/// Which promise is shown by which tests, as the page has it: number, and what stands in code in its second column.
fn table(page: &str) -> Vec<(u32, Vec<String>)> {
    let section = page
        .split("## Which test shows which promise")
        .nth(1)
        .unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, promise, tests, _] = cells[..] else {
            return None;
        };
        let number = promise.split(' ').next()?.parse().ok()?;
        let named = tests.split('`').skip(1).step_by(2).map(str::to_owned);
        Some((number, named.collect()))
    };
    section.lines().filter_map(row).collect()
}

/// What of `file.rs` or `file.rs::test` is not there, `read` giving a file under `tests/`.
fn missing(named: &str, read: impl Fn(&str) -> Option<String>) -> Option<String> {
    let (file, test) = match named.split_once("::") {
        Some((file, test)) => (file, Some(test)),
        None => (named, None),
    };
    let Some(text) = read(file) else {
        return Some(format!("no file {file}"));
    };
    match test {
        Some(test) => {
            let whole =
                ["#[test]\nfn ", "#[test]\n    fn "].map(|before| format!("{before}{test}("));
            let there = whole.iter().any(|whole| text.contains(whole));
            (!there).then(|| format!("{file} has no test {test}"))
        }
        None => None,
    }
}

/// The numbers of the promises, in the order in which the README makes them.
fn made(readme: &str) -> Vec<u32> {
    let section = readme
        .split("## What it promises")
        .nth(1)
        .unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let number = |line: &str| line.split_once(". **")?.0.parse().ok();
    section.lines().filter_map(number).collect()
}

#[test]
fn each_promise_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = |path: &str| fs::read_to_string(root.join(path));
    let page = table(&text("tests/README.md").expect("the page"));
    let made = made(&text("README.md").expect("the README"));
    assert_eq!(made, (1..=11).collect::<Vec<_>>());
    assert_eq!(page.iter().map(|row| row.0).collect::<Vec<_>>(), made);
    for (number, tests) in page {
        // A whole file alone says little: at least one is named by what it shows.
        assert!(tests.iter().any(|t| t.contains("::")), "promise {number}");
        for named in tests {
            let wrong = missing(&named, |file| text(&format!("tests/{file}")).ok());
            assert_eq!(wrong, None, "promise {number}");
        }
    }
}

#[test]
fn the_rule_is_not_blind() {
    let page = "## Which test shows which promise\n\n| promise | test |\n| --- | --- |\n| 1 a | `x.rs::good`, `y.rs` |\n| 2 b | |\n\n## Next\n| 3 c | `z.rs` |\n";
    let rows = table(page);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0], (1, vec!["x.rs::good".into(), "y.rs".into()]));
    assert!(rows[1].1.is_empty());
    let read =
        |file: &str| (file == "x.rs").then(|| "#[test]\nfn good() {}\nfn helper() {}\n".to_owned());
    assert_eq!(missing("x.rs::good", read), None);
    assert!(missing("x.rs::helper", read).is_some());
    assert!(missing("x.rs::goo", read).is_some());
    assert!(missing("y.rs", read).is_some());
    assert_eq!(
        made("## What it promises\n\n1. **A.** b\n12. c\n2. **D**\n## E\n3. **F**\n"),
        [1, 2]
    );
}
