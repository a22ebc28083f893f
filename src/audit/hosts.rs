//! Which host's record a checkpoint counts for: rosters say which host has which key, and one host's key proves nothing of another's record.
//!
//! A record names its host in its lines, a checkpoint names the host that it speaks for, and the roster gives each host a key of its own.
//! All three have to fit. A host that was replaced goes on with its record, under a new key, or a new name as well: it comes as the other is struck
//! out, or later, where nobody came then, and no version of the roster lists both of them side by side.
//!
//! A key that no roster lists any more proves what it signed until its successor's first checkpoint in the record, and nothing after that: why it was
//! struck out nobody asks, and it may be a thief's by now. Until the successor has signed, the record has no other host. Where a host comes back, its
//! successor's key is the one that was struck out: who signs a record walks through the versions of the roster, and never back.

use ed25519_dalek::VerifyingKey;

use super::checkpoint::Checkpoint;
use super::note::NoteKey;

/// A host as one version of a roster lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKeys {
    /// Its name.
    pub name: String,
    /// Its key id: what its checkpoints name as their origin.
    pub id: String,
    /// The key that it signs checkpoints with.
    pub key: VerifyingKey,
}

impl HostKeys {
    fn is(&self, origin: &str) -> bool {
        self.id == origin || self.name == origin
    }
}

/// One version of a vault's roster.
#[derive(Clone, Debug)]
struct Version {
    vault: String,
    hosts: Vec<HostKeys>,
}

/// The hosts of all versions of rosters.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    versions: Vec<Version>,
}

impl Hosts {
    /// Takes up the next version of a vault's roster, oldest first.
    pub fn add(&mut self, vault: &str, hosts: Vec<HostKeys>) {
        let vault = vault.to_owned();
        self.versions.push(Version { vault, hosts });
    }

    fn all(&self) -> impl Iterator<Item = (&str, &HostKeys)> {
        self.versions
            .iter()
            .flat_map(|v| v.hosts.iter().map(|h| (v.vault.as_str(), h)))
    }

    fn of(&self, key: VerifyingKey) -> impl Iterator<Item = (&str, &HostKeys)> {
        self.all().filter(move |(_, host)| host.key == key)
    }

    /// The newest name of the host with this key.
    fn name_of(&self, key: VerifyingKey) -> Option<&str> {
        self.of(key).last().map(|(_, host)| host.name.as_str())
    }

    /// The numbers of a vault's versions that list a key, oldest first.
    fn listing<'v>(
        &'v self,
        vault: &'v str,
        key: VerifyingKey,
    ) -> impl Iterator<Item = usize> + 'v {
        let of_vault = self.versions.iter().filter(move |v| v.vault == vault);
        let lists = move |version: &Version| version.hosts.iter().any(|host| host.key == key);
        of_vault
            .enumerate()
            .filter(move |(_, version)| lists(version))
            .map(|(n, _)| n)
    }

    /// Whether a key was struck out for good: no vault's newest version lists it.
    fn is_struck_out(&self, key: VerifyingKey) -> bool {
        let newest = |vault: &str| self.versions.iter().filter(|v| v.vault == vault).count() - 1;
        let listed = |(vault, _)| self.listing(vault, key).last() == Some(newest(vault));
        !self.of(key).any(listed)
    }

    /// Whether a key was struck out for good, and the other is listed then or later: it may have been listed before as well.
    pub fn is_followed(&self, key: VerifyingKey, by: VerifyingKey) -> bool {
        let later = |vault| self.listing(vault, by).last() > self.listing(vault, key).last();
        self.is_struck_out(key) && self.of(key).any(|(vault, _)| later(vault))
    }

    /// The first of `turns` after which a key cannot have signed any more: those who took them, one after the other, have come through the roster's versions
    /// to one that is later than any that lists it. Each turn is taken in the first version that it can have been taken in.
    fn past(
        &self,
        key: VerifyingKey,
        turns: &[(VerifyingKey, u64)],
    ) -> Option<(VerifyingKey, u64)> {
        if !self.is_struck_out(key) {
            return None;
        }
        let in_vault = |vault: &str| {
            let last = self.listing(vault, key).last()?;
            let mut at = 0;
            let past = |(by, _): &&(VerifyingKey, u64)| {
                at = self.listing(vault, *by).find(|n| *n >= at).unwrap_or(at);
                at > last
            };
            turns.iter().find(past).copied()
        };
        self.of(key).find_map(|(vault, _)| in_vault(vault))
    }

    /// Where a version lists the host that has, had or will have this key: by the key, else by its own key, else by its name.
    fn seat(&self, version: &Version, key: VerifyingKey) -> Option<usize> {
        let at = |fits: &dyn Fn(&HostKeys) -> bool| version.hosts.iter().position(fits);
        at(&|host| host.key == key)
            .or_else(|| at(&|host| self.of(key).any(|(_, own)| own.id == host.id)))
            .or_else(|| {
                at(&|host| {
                    let mut own = self.of(key);
                    own.any(|(vault, own)| vault == version.vault && own.name == host.name)
                })
            })
    }

    /// Whether a version lists both, as two hosts.
    fn are_two(&self, one: VerifyingKey, other: VerifyingKey) -> bool {
        let mut versions = self.versions.iter();
        versions.any(
            |version| match (self.seat(version, one), self.seat(version, other)) {
                (Some(one), Some(other)) => one != other,
                _ => false,
            },
        )
    }

    /// Whether this key is another host's than the one that has this name in a record's lines: whichever host has had the name, a version lists both of
    /// them side by side.
    pub fn is_beside(&self, name: &str, key: VerifyingKey) -> bool {
        let mut named = self.all().filter(|(_, host)| host.name == name).peekable();
        named.peek().is_some() && named.all(|(_, host)| self.are_two(host.key, key))
    }

    /// Each place that was given to another host: the step in which one was struck out, and that in which one came. Most often that is one step;
    /// where nobody came then, it is the next in which somebody came and nobody left.
    fn places(&self) -> Vec<(Step<'_>, Step<'_>)> {
        let mut places = Vec::new();
        let mut empty: Vec<Step<'_>> = Vec::new();
        for pair in self.versions.windows(2) {
            let [before, after] = pair else { continue };
            if before.vault != after.vault {
                empty.clear();
                continue;
            }
            let gone = |from: &Version, to: &Version| {
                let hosts = from.hosts.iter();
                hosts.filter(|h| self.seat(to, h.key).is_none()).count()
            };
            let step = (before, after);
            match (gone(before, after), gone(after, before)) {
                (0, came) => {
                    let from = empty.len().saturating_sub(came);
                    places.extend(empty.drain(from..).map(|left| (left, step)));
                }
                (_, 0) => empty.push(step),
                _ => places.push((step, step)),
            }
        }
        places
    }

    /// Whether it is one host under both keys, or one came in the place of the other.
    fn are_one(&self, one: VerifyingKey, other: VerifyingKey) -> bool {
        let same = self.of(one).any(|(vault, a)| {
            let mut others = self.of(other);
            others.any(|(at, b)| a.id == b.id || (vault == at && a.name == b.name))
        });
        let is_in = |version: &Version, key: VerifyingKey| self.seat(version, key).is_some();
        let left =
            |(before, after): Step<'_>, key: VerifyingKey| is_in(before, key) && !is_in(after, key);
        let came =
            |(before, after): Step<'_>, key: VerifyingKey| !is_in(before, key) && is_in(after, key);
        same || self.places().into_iter().any(|(out, new)| {
            (left(out, one) && came(new, other)) || (left(out, other) && came(new, one))
        })
    }
}

/// Two versions of one roster, the second right after the first.
type Step<'v> = (&'v Version, &'v Version);

/// Whose record it is, as far as it was read. The default knows no roster: any key that counts, counts for it.
#[derive(Clone, Debug, Default)]
pub struct Owner<'h> {
    hosts: Option<&'h Hosts>,
    /// The names that its lines have given, the newest last.
    names: Vec<String>,
    /// The keys that have signed it by turns, and up to which event each had when its turn came; in the order of those events.
    keys: Vec<(VerifyingKey, u64)>,
}

impl<'h> Owner<'h> {
    /// Of a record of which nothing was read yet.
    pub fn new(hosts: Option<&'h Hosts>) -> Self {
        Self {
            hosts,
            ..Self::default()
        }
    }

    /// The host that has this key id, under the newest key that is listed for it.
    pub fn with_id(hosts: &'h Hosts, id: &str) -> Option<Self> {
        let (_, listed) = hosts.all().filter(|(_, host)| host.id == id).last()?;
        Some(Self {
            keys: vec![(listed.key, 0)],
            ..Self::new(Some(hosts))
        })
    }

    /// A line names the host that writes from here on.
    pub fn named(&mut self, name: &str) {
        if self.names.last().is_none_or(|last| last != name) {
            self.names.push(name.to_owned());
        }
    }

    /// Takes up a checkpoint in the record, if it is by the host that writes there. The error says in words whose it is.
    pub fn take(&mut self, checkpoint: &Checkpoint, key: &NoteKey) -> Result<(), String> {
        let now = self.names.last().map(std::slice::from_ref);
        self.check(checkpoint, key, now.unwrap_or_default())?;
        self.still_counts(checkpoint, key)?;
        let (key, seq) = (*key.key(), checkpoint.head.seq);
        let last = self.keys.last().copied();
        let is_known = self.keys.iter().any(|(known, _)| *known == key);
        // A head that is older than the turn of the one who signs now begins no other turn.
        if !is_known || last.is_some_and(|(now, from)| now != key && from < seq) {
            let from = last.map_or(seq, |(_, from)| seq.max(from));
            self.keys.push((key, from));
        }
        Ok(())
    }

    /// Whether the key had not been struck out, and followed by another, before the record came to where the checkpoint says. The error says in words
    /// that it had. A head that is none of the record's proves nothing anyway, and may be of what an epoch says was lost.
    pub fn still_counts(&self, checkpoint: &Checkpoint, key: &NoteKey) -> Result<(), String> {
        let Some(hosts) = self.hosts else {
            return Ok(());
        };
        let key = *key.key();
        let seq = checkpoint.head.seq;
        let by_then = self.keys.partition_point(|(_, from)| *from < seq);
        let Some((by, from)) = hosts.past(key, &self.keys[..by_then]) else {
            return Ok(());
        };
        let name = |key| hosts.name_of(key).unwrap_or("another").to_owned();
        Err(format!(
            "host {} has signed it with a key that no roster lists any more, and host {} had signed the record up to event {from} by then",
            name(key),
            name(by)
        ))
    }

    /// Whether an epoch that `signer` began at event `since` may say of what `key` has signed that it is lost: where `key` came after the signer, and after
    /// all who have signed the record since, what it signed was not there yet to be lost.
    pub fn may_lose(&self, (signer, since): (VerifyingKey, u64), key: VerifyingKey) -> bool {
        let Some(hosts) = self.hosts else {
            return true;
        };
        let mut later = self.keys.iter().filter(|(_, from)| *from >= since);
        !hosts.is_followed(signer, key) || later.any(|(by, _)| !hosts.is_followed(*by, key))
    }

    /// Whether an epoch is the word of keys alone that no roster lists any more: of `signer`, who began it at event `since`, and of all who have signed since.
    pub fn is_struck_out(&self, (signer, since): (VerifyingKey, u64)) -> bool {
        let Some(hosts) = self.hosts else {
            return false;
        };
        let later = self.keys.iter().filter(|(_, from)| *from >= since);
        let mut all = std::iter::once(signer).chain(later.map(|(by, _)| *by));
        all.all(|key| hosts.name_of(key).is_some() && hosts.is_struck_out(key))
    }

    /// Whether no other key than this one has signed last.
    pub fn has_now(&self, key: VerifyingKey) -> bool {
        self.keys.last().is_none_or(|(now, _)| *now == key)
    }

    /// Whether a key cannot be of a host that has written this record, by whatever name. The error says in words whose it is.
    pub fn is_of_it(&self, key: VerifyingKey) -> Result<(), String> {
        let (Some(hosts), false) = (self.hosts, self.goes_on(key)) else {
            return Ok(());
        };
        Err(self.not_by(hosts.name_of(key).unwrap_or("another")))
    }

    /// Whether a host with this key has signed the record, or goes on with it. Where nobody has signed it yet, whoever is not beside one that it names.
    fn goes_on(&self, key: VerifyingKey) -> bool {
        let Some(hosts) = self.hosts.filter(|hosts| hosts.name_of(key).is_some()) else {
            return true;
        };
        let before = || self.keys.iter().map(|(before, _)| *before);
        let follows = |before| hosts.are_one(before, key);
        let beside = |before| before != key && hosts.are_two(before, key);
        if self.keys.is_empty() {
            return !self.names.iter().any(|name| hosts.is_beside(name, key));
        }
        before().any(|before| before == key) || (before().any(follows) && !before().any(beside))
    }

    /// In words, that the record is another's than this host's.
    fn not_by(&self, signer: &str) -> String {
        let known = |name: &&String| {
            let mut listed = self.hosts.iter().flat_map(|hosts| hosts.all());
            listed.any(|(_, host)| host.name == **name)
        };
        let last = self.keys.last().zip(self.hosts);
        let last = last.and_then(|((key, _), hosts)| hosts.name_of(*key));
        let named = || self.names.iter().find(known).map(String::as_str);
        format!(
            "host {signer} has signed it, and the record is not by this host but by {}",
            last.or_else(named).unwrap_or("another")
        )
    }

    /// Whether a checkpoint beside the record is by one that has written it.
    pub fn accepts(&self, checkpoint: &Checkpoint, key: &NoteKey) -> Result<(), String> {
        self.check(checkpoint, key, &self.names)
    }

    fn check(
        &self,
        checkpoint: &Checkpoint,
        key: &NoteKey,
        names: &[String],
    ) -> Result<(), String> {
        let Some(hosts) = self.hosts else {
            return Ok(());
        };
        let (origin, key) = (checkpoint.origin.as_str(), *key.key());
        // A key that was brought beside the rosters: whose it is, who brings it knows.
        let Some(signer) = hosts.name_of(key) else {
            return Ok(());
        };
        let mut meant = hosts.all().filter(|(_, host)| host.is(origin)).peekable();
        if let Some((_, named)) = meant.peek().copied()
            && meant.all(|(_, host)| host.key != key)
        {
            return Err(format!(
                "it speaks for host {}, and host {signer} has signed it",
                named.name
            ));
        }
        let known = |name: &&String| hosts.all().any(|(_, host)| host.name == **name);
        let mut listed = names.iter().filter(known).peekable();
        let fits =
            listed.peek().is_none() || listed.any(|n| hosts.of(key).any(|(_, own)| own.name == *n));
        match fits && self.goes_on(key) {
            true => Ok(()),
            false => Err(self.not_by(signer)),
        }
    }
}

#[cfg(test)]
mod tests;
