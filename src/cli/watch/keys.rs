//! What a person presses at a live view.

/// What is meant by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Redraw,
}

/// What one read from the terminal means. A terminal sends a key's whole sequence at once, so one that is cut is no key of ours.
pub(super) fn keys(bytes: &[u8]) -> Vec<Key> {
    const SEQUENCES: [(&[u8], Key); 12] = [
        (b"\x1b[A", Key::Up),
        (b"\x1bOA", Key::Up),
        (b"\x1b[B", Key::Down),
        (b"\x1bOB", Key::Down),
        (b"\x1b[5~", Key::PageUp),
        (b"\x1b[6~", Key::PageDown),
        (b"\x1b[H", Key::Home),
        (b"\x1b[1~", Key::Home),
        (b"\x1bOH", Key::Home),
        (b"\x1b[F", Key::End),
        (b"\x1b[4~", Key::End),
        (b"\x1bOF", Key::End),
    ];
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        if let Some((sequence, key)) = SEQUENCES.iter().find(|(s, _)| rest.starts_with(s)) {
            found.push(*key);
            rest = &rest[sequence.len()..];
            continue;
        }
        rest = after;
        match first {
            // Ctrl-C and Ctrl-D as well: whoever wants to get out does.
            b'q' | b'Q' | 3 | 4 => found.push(Key::Quit),
            b'k' => found.push(Key::Up),
            b'j' => found.push(Key::Down),
            b' ' => found.push(Key::PageDown),
            b'b' => found.push(Key::PageUp),
            b'g' => found.push(Key::Home),
            b'G' => found.push(Key::End),
            12 => found.push(Key::Redraw),
            // Of a sequence that is not ours nothing is read as a letter.
            0x1b => return found,
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_what_is_none_is_left_alone() {
        assert_eq!(keys(b"q"), [Key::Quit]);
        assert_eq!(keys(b"\x03"), [Key::Quit]);
        assert_eq!(keys(b"\x1b[Ajq"), [Key::Up, Key::Down, Key::Quit]);
        assert_eq!(keys(b"\x1b[6~\x1b[5~"), [Key::PageDown, Key::PageUp]);
        // Shift-F3 ends in a letter that would mean something by itself.
        assert_eq!(keys(b"\x1b[1;2q"), []);
        assert_eq!(keys("ä\n".as_bytes()), []);
    }
}
