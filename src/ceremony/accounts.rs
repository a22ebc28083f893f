//! Accounts that are nobody's own: what a host's user database says about who can be behind a number.
//!
//! A person answers for what an account does. That ends where a number has two names, because either login is the same account to the kernel, and
//! where the name is one that many log in to by custom.

use std::{collections::BTreeMap, fmt};

/// Names that are shared by custom: default logins of cloud images and of installers, and accounts of services.
/// (Defaults of AWS: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/managing-users.html>; of Azure, GCP and others: their images.)
pub const SHARED_BY_CUSTOM: [&str; 36] = [
    "admin",
    "administrator",
    "almalinux",
    "ansible",
    "azureuser",
    "bitnami",
    "break-glass",
    "breakglass",
    "centos",
    "cloud-user",
    "core",
    "daemon",
    "debian",
    "deploy",
    "deployer",
    "ec2-user",
    "emergency",
    "fedora",
    "git",
    "guest",
    "jenkins",
    "nobody",
    "oncall",
    "opc",
    "operator",
    "ops",
    "oracle",
    "pi",
    "postgres",
    "rocky",
    "root",
    "shared",
    "support",
    "ubuntu",
    "vagrant",
    "www-data",
];

/// Why an account cannot be one person's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shared {
    /// The number has several names.
    Names(Vec<String>),
    /// The name is shared by custom.
    Custom(String),
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Names(names) => write!(f, "it has several names ({})", names.join(", ")),
            Self::Custom(name) => write!(f, "'{name}' is shared by custom"),
        }
    }
}

/// The accounts in a user database (`passwd(5)`) that nobody can answer for, by number; `also` are further names that are shared.
pub fn shared(passwd: &str, also: &[String]) -> BTreeMap<u32, Shared> {
    let mut by_uid: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for (name, uid) in passwd.lines().filter_map(entry) {
        let names = by_uid.entry(uid).or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let by_custom = |name: &str| SHARED_BY_CUSTOM.contains(&name) || also.iter().any(|a| a == name);
    by_uid
        .into_iter()
        .filter_map(|(uid, names)| match names.as_slice() {
            [one] if !by_custom(one) => None,
            [one] => Some((uid, Shared::Custom((*one).to_owned()))),
            _ => {
                let names = names.into_iter().map(str::to_owned);
                Some((uid, Shared::Names(names.collect())))
            }
        })
        .collect()
}

/// The name of an account, where it has one.
pub fn name(passwd: &str, uid: u32) -> Option<&str> {
    let mut entries = passwd.lines().filter_map(entry);
    entries.find(|(_, is)| *is == uid).map(|(name, _)| name)
}

/// `name:password:uid:...`; what is no such line says nothing.
fn entry(line: &str) -> Option<(&str, u32)> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let uid = fields.nth(1)?.parse().ok()?;
    Some((name, uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        dana:x:61010:61010::/home/dana:/bin/bash\n\
        ec2-user:x:1000:1000::/home/ec2-user:/bin/bash\n\
        alice:x:61011:61011::/home/alice:/bin/bash\n\
        # a remark\n+::::::\n:x:5:5::/:/bin/sh\nbroken:x:many:1::/:/bin/sh\n\
        night-shift:x:61010:61010::/home/dana:/bin/bash\n\
        alice:x:61011:61011::/home/alice:/bin/zsh\n";

    #[test]
    fn a_number_with_two_names_and_a_name_of_custom_are_nobodys_own() {
        let found = shared(PASSWD, &[]);
        let named = Shared::Names(vec!["dana".to_owned(), "night-shift".to_owned()]);
        assert_eq!(found.get(&61010), Some(&named));
        let custom = Shared::Custom("ec2-user".to_owned());
        assert_eq!(found.get(&1000), Some(&custom));
        // The same name twice is one name; what no line names is not known to be shared.
        assert_eq!(found.get(&61011), None);
        assert_eq!(found.get(&61099), None);
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [0, 1000, 61010]);
        assert_eq!(
            named.to_string(),
            "it has several names (dana, night-shift)"
        );
    }

    #[test]
    fn a_host_may_name_further_ones() {
        assert_eq!(
            shared(PASSWD, &["alice".to_owned()]).get(&61011),
            Some(&Shared::Custom("alice".to_owned()))
        );
    }

    #[test]
    fn no_text_is_misread_as_an_account() {
        assert_eq!(name(PASSWD, 61010), Some("dana"));
        assert_eq!(name(PASSWD, 5), None);
        for text in ["", ":", "a", "a:b", "a:b:c", "a:x:4294967296:", "\0:\0:0"] {
            assert_eq!(name(text, 0).is_some(), text.starts_with('\0'), "{text:?}");
        }
    }

    #[test]
    fn the_list_is_in_order_and_names_nobody_twice() {
        assert!(SHARED_BY_CUSTOM.is_sorted_by(|a, b| a < b));
    }
}
