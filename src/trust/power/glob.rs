//! IAM's wildcards: `*` is any run of characters, `?` is one.

/// Whether `pattern` covers all that `inner` stands for. `inner` may be a pattern itself; the answer is then on the safe side: a `*` of
/// `inner` is only covered by a `*`.
pub(super) fn covers(pattern: &str, inner: &str) -> bool {
    let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), inner.chars().collect());
    let (mut at_p, mut at_t) = (0, 0);
    // Where the last `*` stood, and how much it has taken so far.
    let mut back: Option<(usize, usize)> = None;
    while at_t < t.len() {
        let matched = match p.get(at_p) {
            Some('*') => {
                back = Some((at_p, at_t));
                at_p += 1;
                continue;
            }
            Some('?') => t[at_t] != '*',
            Some(c) => *c == t[at_t],
            None => false,
        };
        if matched {
            at_p += 1;
            at_t += 1;
        } else if let Some((star, taken)) = back {
            back = Some((star, taken + 1));
            at_p = star + 1;
            at_t = taken + 1;
        } else {
            return false;
        }
    }
    p[at_p..].iter().all(|c| *c == '*')
}

/// Whether some text is matched by both patterns.
pub(super) fn meet(one: &str, other: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    // meets[i][j]: whether a text is matched by what is left of `a` from i on and by what is left of `b` from j on.
    let mut meets = vec![vec![false; b.len() + 1]; a.len() + 1];
    for i in (0..=a.len()).rev() {
        for j in (0..=b.len()).rev() {
            meets[i][j] = match (a.get(i), b.get(j)) {
                (None, None) => true,
                (Some('*'), at) => meets[i + 1][j] || (at.is_some() && meets[i][j + 1]),
                (at, Some('*')) => meets[i][j + 1] || (at.is_some() && meets[i + 1][j]),
                (Some(x), Some(y)) => (x == y || *x == '?' || *y == '?') && meets[i + 1][j + 1],
                _ => false,
            };
        }
    }
    meets[0][0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pattern_covers_what_it_covers_and_no_more() {
        for (pattern, inner) in [
            ("*", "iam:*"),
            ("iam:*", "iam:Create*"),
            ("iam:*", "iam:*"),
            ("iam:Get*", "iam:GetUser"),
            ("s3:Get?bject", "s3:GetObject"),
            ("a*b*c", "axxbyyc"),
            ("a?", "a?"),
            ("", ""),
            ("*", ""),
        ] {
            assert!(covers(pattern, inner), "{pattern} {inner}");
        }
        for (pattern, inner) in [
            ("iam:Create*", "iam:*"),
            ("iam:Get*", "iam:G*"),
            ("s3:Get?bject", "s3:Get*bject"),
            ("a", "ab"),
            ("ab", "a"),
            ("a*b*c", "axxbyy"),
            ("?", ""),
        ] {
            assert!(!covers(pattern, inner), "{pattern} {inner}");
        }
    }

    #[test]
    fn patterns_meet_where_one_text_is_both() {
        for (one, other) in [
            ("iam:*", "*"),
            ("iam:C*User", "iam:Create*"),
            ("*:Put*", "s3:*Policy"),
            ("a?c", "abc"),
            ("*", ""),
            ("a*", "*b"),
        ] {
            assert!(meet(one, other) && meet(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("iam:Get*", "iam:Put*"),
            ("s3:*", "iam:*"),
            ("a", ""),
            ("a?", "a"),
            ("*a", "*b"),
        ] {
            assert!(!meet(one, other) && !meet(other, one), "{one} {other}");
        }
    }

    proptest! {
        /// What a pattern covers it meets; and a text that both cover is a place where they meet.
        #[test]
        fn covering_and_meeting_agree(one in "[ab*?]{0,6}", other in "[ab*?]{0,6}", text in "[ab]{0,6}") {
            if covers(&one, &other) {
                prop_assert!(meet(&one, &other));
                prop_assert!(!covers(&other, &text) || covers(&one, &text));
            }
            if covers(&one, &text) && covers(&other, &text) {
                prop_assert!(meet(&one, &other));
            }
        }
    }
}
