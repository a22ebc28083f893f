//! What a sheet says.

use super::Set;
use crate::Group;

/// What this sheet is, in plain words.
pub(super) fn what(set: &Set, group: &Group, name: Option<&str>) -> String {
    let vault = &set.vault;
    let members = several(group.count, "sheet", "sheets");
    let need = group.threshold;
    let opens = format!(
        "open the emergency vault '{vault}' without its host, without any security key and without the software that made it"
    );
    match name {
        None => format!(
            "This is one of {members}. Any {need} of them together {opens}. Fewer open nothing: one sheet alone tells \
             whoever finds it nothing at all."
        ),
        Some(name) => {
            let groups = set.scheme.groups.len();
            let enough = set.scheme.group_threshold;
            let of_group = if group.count == 1 {
                format!("This is the only sheet of the group '{name}'.")
            } else {
                format!(
                    "This is one of {members} of the group '{name}'; any {need} of them complete the group."
                )
            };
            format!(
                "{of_group} {} complete, of {groups} in all, {opens}. Less opens nothing: one sheet alone tells whoever finds it nothing at all.",
                capital(&several(enough, "group", "groups")),
            )
        }
    }
}

/// `share 2 of 5`, for the head of the page.
pub(super) fn place(index: u8, group: &Group, name: Option<&str>) -> String {
    let share = format!("share {} of {}", index + 1, group.count);
    match name {
        None => share,
        Some(name) => format!("{name}: {share}"),
    }
}

/// What to do with the sheet, now and on the day.
pub(super) const KEEPING: [&str; 3] = [
    "Keep it where only you can get at it, apart from every other sheet: not photographed, not typed, not copied.",
    "Once a year, and whenever it was out of its place: 'twotap recovery check' says whether it is still good.",
    "If it is lost, was seen by others, or its holder leaves: tell the security officer, who has the whole set made anew.",
];

/// A step of the procedure: what to do, and what to type, each on a line of its own.
pub(super) struct Step {
    pub(super) what: &'static str,
    pub(super) typed: &'static [&'static str],
}

/// How the vault is opened: with twotap, or (up to the seven lines) with other people's tools.
pub(super) fn opening(passphrase: bool) -> [Step; 4] {
    [
        Step {
            what: "The bundle that goes with these sheets (vault.age is in it) lies with the security officer and in the places that the \
                   vault's policy names. On any computer, without a network:",
            typed: &["twotap recovery open --bundle BUNDLE"],
        },
        if passphrase {
            Step {
                what: "Or with nothing of ours. Type the words of as many sheets as are needed, then the passphrase:",
                typed: &["pip install 'shamir-mnemonic[cli]'", "shamir recover -p"],
            }
        } else {
            Step {
                what: "Or with nothing of ours. Type the words of as many sheets as are needed:",
                typed: &["pip install 'shamir-mnemonic[cli]'", "shamir recover"],
            }
        },
        Step {
            what: "Save the 64 digits that it prints as the file 'hex', and these seven lines as 'age_key.py':",
            typed: &[],
        },
        Step {
            what: "Then, with age (filippo.io/age). It prints the credential; use it, replace it, and have new sheets made: these are spent.",
            typed: &[
                "python3 age_key.py < hex > key.txt",
                "tar xf BUNDLE vault.age",
                "age -d -i key.txt vault.age",
            ],
        },
    ]
}

fn several(n: u8, one: &str, many: &str) -> String {
    const WORDS: [&str; 13] = [
        "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve",
    ];
    let number = WORDS
        .get(usize::from(n))
        .map_or_else(|| n.to_string(), ToString::to_string);
    format!("{number} {}", if n == 1 { one } else { many })
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}
