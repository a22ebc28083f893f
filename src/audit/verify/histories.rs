//! Several histories in one place: which of them is told now.

use std::collections::{HashMap, HashSet};

use super::claims::open_checkpoint;
use super::copies::Copy;
use crate::audit::chain::{Hash, Head};
use crate::audit::note::NoteKey;

impl Copy {
    /// Takes the history out that a checkpoint of one of `keys` was signed in last, with what goes on from there, and gives its heads; what is
    /// left is of others. Without such a checkpoint it is the one that goes on for longest. `foreign` says of a key that another host has it than the one
    /// whose record this is: that signs nothing here. `followed` says of a key that it was struck out, and that the other came after it: where both have
    /// signed, the first is no longer the one who says which history it is.
    pub fn take_newest(
        &mut self,
        keys: &[NoteKey],
        foreign: impl Fn(&NoteKey) -> bool,
        followed: impl Fn(&NoteKey, &NoteKey) -> bool,
    ) -> HashSet<Head> {
        let before: HashMap<Head, Hash> = self.lines().map(|k| (k.head, k.prev)).collect();
        let mut after: HashMap<Head, Vec<Head>> = HashMap::new();
        for (head, prev) in &before {
            let before = Head {
                seq: head.seq.saturating_sub(1),
                hash: *prev,
            };
            after.entry(before).or_default().push(*head);
        }
        let signed = self.notes().filter_map(|(carrier, note)| {
            let claim = open_checkpoint(note, keys, None).ok()??;
            let (_, key) = claim.signed?;
            if foreign(&key) {
                return None;
            }
            let own = before.get(carrier) == Some(&claim.witness.head.hash);
            let right_after = own && claim.witness.head.seq + 1 == carrier.seq;
            right_after.then_some((claim.time, *carrier, key))
        });
        let signed: Vec<_> = signed.collect();
        let by: HashMap<_, _> = signed
            .iter()
            .map(|s| (s.2.key().to_bytes(), &s.2))
            .collect();
        let outlived: HashSet<_> = by
            .iter()
            .filter(|(_, key)| by.values().any(|other| followed(key, other)))
            .map(|(bytes, _)| *bytes)
            .collect();
        let counts = |key: &NoteKey| !outlived.contains(&key.key().to_bytes());
        let newest = signed.iter().filter(|(_, _, key)| counts(key));
        let newest = newest.max_by_key(|(time, carrier, _)| (time.clone(), carrier.seq));
        // From there on as far as anything goes.
        let mut reached: Vec<Head> = match newest {
            Some((_, carrier, _)) => vec![*carrier],
            None => Vec::from_iter(before.keys().copied().max_by_key(|head| head.seq)),
        };
        let mut tip = None::<Head>;
        while let Some(head) = reached.pop() {
            tip = tip.filter(|tip| tip.seq >= head.seq).or(Some(head));
            reached.extend(after.get(&head).into_iter().flatten());
        }
        let mut told = HashSet::new();
        while let Some(head) = tip {
            told.insert(head);
            let prev = before.get(&head).copied().unwrap_or_default();
            let seq = head.seq.saturating_sub(1);
            let follows = Some(Head { seq, hash: prev }).filter(|h| before.contains_key(h));
            // Where a line is missing, what is before the gap is whatever goes furthest.
            let earlier = || before.keys().filter(|h| h.seq < seq).max_by_key(|h| h.seq);
            tip = follows.or_else(|| earlier().copied());
        }
        self.keep(|head| !told.contains(head));
        told
    }
}
