//! When what is shown.

use std::time::Duration;

use super::super::recording::reading::Seen;

/// Brings a terminal back: no colours, cursor shown, keys and mouse as usual, the usual screen, a line of its own.
pub(super) const AFTER: &str = "\x1b[0m\x1b[?25h\x1b[?1l\x1b>\x1b[?7h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1049l\x1b[r\x1b[4l\r\n";

/// Output with the pause before it: `speed` times as fast, no pause longer than `most` seconds.
pub(super) fn timed(
    seen: &[Seen],
    speed: f64,
    most: f64,
) -> impl Iterator<Item = (Duration, &str)> {
    let mut before = 0.0;
    let shown = seen.iter().filter(|s| s.kind == "o");
    shown.map(move |s| {
        // A clock that was turned back is no reason to wait.
        let pause = ((s.at - before).max(0.0) / speed).min(most);
        before = s.at;
        (Duration::from_secs_f64(pause), s.text.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_as_it_went_but_not_slower_than_wanted() {
        let at = |at: f64, kind: &str, text: &str| Seen {
            at,
            kind: kind.to_owned(),
            text: text.to_owned(),
        };
        let seen = [
            at(0.5, "o", "a"),
            at(0.6, "r", "80x24"),
            at(1.5, "o", "b"),
            at(100.0, "o", "c"),
            at(99.0, "o", "d"),
        ];
        let timed: Vec<_> = timed(&seen, 2.0, 3.0).collect();
        let ms = Duration::from_millis;
        assert_eq!(
            timed,
            [
                (ms(250), "a"),
                (ms(500), "b"),
                (ms(3000), "c"),
                (ms(0), "d")
            ]
        );
    }
}
