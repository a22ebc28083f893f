//! Splitting one value k-of-n and putting it together again, with a digest that tells whether it is the right one
//! (SLIP-0039, "Sharing a secret").
//!
//! Byte by byte, a polynomial of degree k - 1 over GF(256) goes through the value at x = 255, through a digest at
//! x = 254, and through the shares at x = 0 to n - 1. Where a share stands is public; what it holds is not.

use crate::error::Error;
use crate::gf256;
use hmac::{Hmac, Mac};
use rand_core::CryptoRngCore;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// Where the polynomial holds the value itself.
const VALUE_AT: u8 = 255;
/// Where it holds the digest, followed by the random key of the digest.
const DIGEST_AT: u8 = 254;
const DIGEST_BYTES: usize = 4;

/// Bytes in a buffer of exactly their size, wiped when dropped, never grown: nothing stays behind in freed memory.
pub(crate) type Bytes = Zeroizing<Vec<u8>>;

/// A buffer of `len` zeros.
pub(crate) fn zeros(len: usize) -> Bytes {
    Zeroizing::new(vec![0; len])
}

/// One point of the polynomials: x, and y for each byte.
pub(crate) type Point<'a> = (u8, &'a [u8]);

/// Shares 0 to `count` - 1 of a value of 16 bytes or more, any `threshold` of which recover it.
///
/// With a threshold of one each share is the value itself, without a digest.
/// The caller has checked 1 <= threshold <= count <= 16.
pub(crate) fn split(
    threshold: u8,
    count: u8,
    value: &[u8],
    rng: &mut dyn CryptoRngCore,
) -> Result<Vec<Bytes>, Error> {
    if threshold == 1 {
        return Ok((0..count).map(|_| copy(value)).collect());
    }
    let mut random = |bytes: &mut [u8]| rng.try_fill_bytes(bytes).map_err(|_| Error::Random);
    let mut shares: Vec<Bytes> = Vec::with_capacity(count.into());

    let mut digest = zeros(value.len());
    let (sum, key) = digest.split_at_mut(DIGEST_BYTES);
    random(key)?;
    digest_of(value, key, sum);

    let drawn = threshold - 2;
    for _ in 0..drawn {
        let mut share = zeros(value.len());
        random(&mut share)?;
        shares.push(share);
    }
    for x in drawn..count {
        let chosen = (0..drawn)
            .zip(&shares)
            .map(|(x, share)| (x, share.as_slice()));
        let points: Vec<Point<'_>> = chosen
            .chain([(DIGEST_AT, digest.as_slice()), (VALUE_AT, value)])
            .collect();
        let share = interpolate(&points, x);
        shares.push(share);
    }
    Ok(shares)
}

/// The value behind `threshold` points with different x, or `None` if the digest says that they do not belong together.
pub(crate) fn recover(threshold: u8, points: &[Point<'_>]) -> Option<Bytes> {
    if threshold == 1 {
        return points.first().map(|(_, value)| copy(value));
    }
    let value = interpolate(points, VALUE_AT);
    let digest = interpolate(points, DIGEST_AT);
    let (claimed, key) = digest.split_at_checked(DIGEST_BYTES)?;
    let mut sum = Zeroizing::new([0; DIGEST_BYTES]);
    digest_of(&value, key, sum.as_mut_slice());
    bool::from(sum.as_slice().ct_eq(claimed)).then_some(value)
}

/// The value at `x` of the lowest polynomials through the points (Lagrange). Their x differ, and none is `x`.
fn interpolate(points: &[Point<'_>], x: u8) -> Bytes {
    let len = points
        .iter()
        .map(|(_, value)| value.len())
        .min()
        .unwrap_or(0);
    let mut result = zeros(len);
    for (i, &(own, value)) in points.iter().enumerate() {
        let others = points.iter().enumerate().filter(|&(j, _)| j != i);
        let weight = others.fold(1, |weight, (_, &(other, _))| {
            gf256::mul(weight, gf256::mul(x ^ other, gf256::invert(own ^ other)))
        });
        for (sum, byte) in result.iter_mut().zip(value) {
            *sum ^= gf256::mul(*byte, weight);
        }
    }
    result
}

/// The first bytes of HMAC-SHA256 of the value under the digest's random key.
fn digest_of(value: &[u8], key: &[u8], out: &mut [u8]) {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(value);
    let mut sum = mac.finalize().into_bytes();
    out.copy_from_slice(&sum[..DIGEST_BYTES]);
    sum.as_mut_slice().zeroize();
}

fn copy(value: &[u8]) -> Bytes {
    Zeroizing::new(value.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Draw;
    use proptest::prelude::*;

    fn points<'a>(shares: &'a [Bytes], which: &[usize]) -> Vec<Point<'a>> {
        which
            .iter()
            .map(|&i| (i as u8, shares[i].as_slice()))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_threshold_of_shares_recovers(
            (threshold, count) in (1u8..=16).prop_flat_map(|n| (1..=n, Just(n))),
            value in prop::collection::vec(any::<u8>(), 8..=32).prop_map(|half| [half.clone(), half].concat()),
            order in Just((0..16).collect::<Vec<usize>>()).prop_shuffle(),
            seed: u64,
        ) {
            let shares = split(threshold, count, &value, &mut Draw::new(seed)).unwrap();
            prop_assert_eq!(shares.len(), usize::from(count));
            let which: Vec<usize> = order.into_iter().filter(|&i| i < count.into()).take(threshold.into()).collect();
            let recovered = recover(threshold, &points(&shares, &which)).unwrap();
            prop_assert_eq!(recovered.as_slice(), value.as_slice());
        }

        #[test]
        fn one_share_fewer_is_refused_by_the_digest(
            (threshold, count) in (3u8..=16).prop_flat_map(|n| (3..=n, Just(n))),
            order in Just((0..16).collect::<Vec<usize>>()).prop_shuffle(),
            seed: u64,
        ) {
            let shares = split(threshold, count, &[7; 32], &mut Draw::new(seed)).unwrap();
            let which: Vec<usize> = order.into_iter().filter(|&i| i < count.into()).take(threshold as usize - 1).collect();
            prop_assert!(recover(threshold - 1, &points(&shares, &which)).is_none());
        }

        #[test]
        fn one_changed_byte_is_refused_by_the_digest(place in 0usize..32, change in 1u8..=255, which in 0usize..3, seed: u64) {
            let mut shares = split(3, 3, &[7; 32], &mut Draw::new(seed)).unwrap();
            shares[which][place] ^= change;
            prop_assert!(recover(3, &points(&shares, &[0, 1, 2])).is_none());
        }
    }

    #[test]
    fn one_share_fewer_tells_nothing_of_a_byte() {
        // For two of three shares and any value there is a third share that yields it: each value is as likely.
        let shares = split(3, 3, &[7; 16], &mut Draw::new(1)).unwrap();
        let mut seen = [false; 256];
        for third in 0..=255u8 {
            let guess = [third; 16];
            let value = interpolate(&[(0, &shares[0]), (1, &shares[1]), (2, &guess)], VALUE_AT);
            seen[usize::from(value[0])] = true;
        }
        assert!(seen.iter().all(|&seen| seen));
    }

    #[test]
    fn every_share_of_every_split_is_drawn_anew() {
        let rng = &mut Draw::new(1);
        for threshold in 2..=6 {
            let mut seen: Vec<Bytes> = vec![copy(&[7; 16]), zeros(16)];
            for _ in 0..3 {
                for share in split(threshold, 6, &[7; 16], rng).unwrap() {
                    assert!(!seen.contains(&share), "{threshold} of 6");
                    seen.push(share);
                }
            }
        }
    }

    #[test]
    fn a_source_of_randomness_that_fails_is_an_error() {
        assert_eq!(
            split(2, 2, &[7; 16], &mut Draw::failing()).err(),
            Some(Error::Random)
        );
    }
}
