//! What the test programs reported, added up.

use std::fmt;

/// Counts of programs and tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    programs: u32,
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Totals {
    /// Takes up a line such as `test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; ...`.
    pub(crate) fn add(&mut self, line: &str) {
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        self.programs += 1;
        for count in counts.split("; ") {
            let mut words = count.split(' ');
            let number = words
                .next()
                .and_then(|number| number.parse::<u32>().ok())
                .unwrap_or_default();
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} ignored in {} test programs",
            self.passed, self.failed, self.ignored, self.programs
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_add_up() {
        let mut totals = Totals::default();
        for line in [
            "running 2 tests",
            "test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.03s",
            "test result: FAILED. 6 passed; 2 failed; 0 ignored; 0 measured; 3 filtered out; finished in 6.32s",
        ] {
            totals.add(line);
        }
        assert_eq!(
            totals.to_string(),
            "13 passed, 2 failed, 1 ignored in 2 test programs"
        );
    }
}
