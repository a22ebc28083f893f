//! Slips of a hand: every word of a share wrong in every way, and every two neighbours swapped. Each is refused, and a wrong word is told
//! by its place, always.

#[path = "../src/testing.rs"]
#[allow(dead_code)]
mod testing;

use rand_core::{OsRng, RngCore as _};
use testing::Draw;
use twotap_shares::{Error, Mnemonic, Scheme, Secret, WORDS, split};

/// Shares of a random set; its seed stands in every message.
fn shares(seed: u64) -> Vec<Mnemonic> {
    let mut draw = Draw::new(seed);
    let mut bytes = [0; 32];
    draw.fill_bytes(&mut bytes);
    let secret = Secret::new(&bytes).expect("32 bytes");
    let shares = split(&secret, b"", &Scheme::single(3, 5), &mut draw);
    shares.expect("a scheme").remove(0)
}

fn words(share: &Mnemonic) -> Vec<&str> {
    share.expose().split(' ').collect()
}

#[test]
fn every_wrong_word_is_told_by_its_place() {
    let seed = OsRng.next_u64();
    let shares = shares(seed);
    let mut tried = 0;
    // A third of the places of each of three shares: all places, of shares that differ.
    for (part, share) in shares[..3].iter().enumerate() {
        let right = words(share);
        for place in (part..right.len()).step_by(3) {
            let mut wrong = right.clone();
            for word in WORDS.iter().filter(|word| **word != right[place]) {
                wrong[place] = word;
                let refused = Mnemonic::parse(&wrong.join(" ")).err();
                let told = Error::Checksum {
                    suspect: Some(place + 1),
                };
                assert_eq!(refused, Some(told), "seed {seed}, word {}", place + 1);
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 33 * 1023);
}

#[test]
fn every_two_neighbours_swapped_are_refused() {
    let seed = OsRng.next_u64();
    let mut tried = 0;
    for n in 0..200 {
        for share in shares(seed.wrapping_add(n)) {
            let right = words(&share);
            for place in 0..right.len() - 1 {
                if right[place] == right[place + 1] {
                    continue;
                }
                let mut swapped = right.clone();
                swapped.swap(place, place + 1);
                let refused = Mnemonic::parse(&swapped.join(" ")).err();
                let what = format!("seed {seed} + {n}, words {} and {}", place + 1, place + 2);
                // Two wrong words never look like one, unless the bit moves that says by which rule the checksum is judged.
                match refused {
                    Some(Error::Checksum { suspect }) if place > 1 => {
                        assert_eq!(suspect, None, "{what}");
                    }
                    Some(Error::Checksum { .. }) => {}
                    other => panic!("{what}: {other:?}"),
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 30_000, "{tried}");
}
