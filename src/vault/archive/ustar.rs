//! As much of `tar` as a bundle needs: regular files with short names (POSIX.1-1988, 'ustar interchange format').
//!
//! Links, devices, long names and extensions are refused by their kind, so nothing that this reads can point anywhere.

/// A header, and the unit in which files are padded.
const BLOCK: usize = 512;
const NAME: std::ops::Range<usize> = 0..100;
const MODE: usize = 100;
const UID: usize = 108;
const GID: usize = 116;
const SIZE: std::ops::Range<usize> = 124..136;
const TIME: usize = 136;
const SUM: std::ops::Range<usize> = 148..156;
const KIND: usize = 156;
const MAGIC: std::ops::Range<usize> = 257..263;
const PREFIX: std::ops::Range<usize> = 345..500;

/// Makes an archive; the same files in the same order are the same bytes.
pub(super) struct Writer {
    out: Vec<u8>,
    time: u64,
}

impl Writer {
    /// Files will be dated `time`, in seconds since 1970.
    pub(super) fn new(time: i64) -> Self {
        Self {
            out: Vec::new(),
            time: u64::try_from(time).unwrap_or(0),
        }
    }

    /// Adds a file: mode 0644, of user and group 0. `name` has less than 100 bytes.
    pub(super) fn file(&mut self, name: &str, bytes: &[u8]) {
        let mut header = [0; BLOCK];
        let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
        put(0, &name.as_bytes()[..name.len().min(NAME.end - 1)]);
        put(MODE, b"0000644");
        put(UID, b"0000000");
        put(GID, b"0000000");
        put(SIZE.start, format!("{:011o}", bytes.len()).as_bytes());
        put(TIME, format!("{:011o}", self.time).as_bytes());
        put(KIND, b"0");
        put(MAGIC.start, b"ustar\x0000");
        let sum = sum(&header);
        header[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.out.extend_from_slice(&header);
        self.out.extend_from_slice(bytes);
        let whole = self.out.len().next_multiple_of(BLOCK);
        self.out.resize(whole, 0);
    }

    /// Ends it with two empty blocks.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.out.resize(self.out.len() + 2 * BLOCK, 0);
        self.out
    }
}

/// One entry.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    /// A folder, which has a name and no bytes.
    pub(super) folder: bool,
    pub(super) bytes: &'a [u8],
}

/// Reads an archive, entry by entry; after an error nothing follows.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    over: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(archive: &'a [u8]) -> Self {
        Self {
            rest: archive,
            over: false,
        }
    }

    fn entry(&mut self) -> Result<Option<Entry<'a>>, String> {
        let header = self.blocks(BLOCK)?;
        if header.iter().all(|b| *b == 0) {
            // Two of them end an archive; tars fill up with more.
            return match self.rest {
                rest if rest.len() < BLOCK => Err(CUT.to_owned()),
                rest if rest.iter().all(|b| *b == 0) => Ok(None),
                _ => Err("something follows its end".to_owned()),
            };
        }
        let magic = &header[MAGIC];
        if magic != b"ustar\0" && magic != b"ustar " {
            return Err("it is not a tar archive".to_owned());
        }
        if octal(&header[SUM]) != Some(sum(header)) {
            return Err("a header's checksum does not hold".to_owned());
        }
        let end = header[NAME]
            .iter()
            .position(|b| *b == 0)
            .unwrap_or(NAME.end);
        let name = std::str::from_utf8(&header[..end])
            .map_err(|_| "a file's name is not text".to_owned())?;
        if header[PREFIX].iter().any(|b| *b != 0) {
            return Err("a file's name is longer than a bundle's are".to_owned());
        }
        let size = octal(&header[SIZE]).ok_or("a file's size is not a number")?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let folder = match header[KIND] {
            b'0' | 0 => false,
            b'5' if size == 0 => true,
            _ => {
                return Err(format!(
                    "'{}' is not a plain file (pack it with tar --format=ustar)",
                    name.escape_default().take(80).collect::<String>()
                ));
            }
        };
        let padded = size.checked_next_multiple_of(BLOCK).ok_or(CUT)?;
        let bytes = &self.blocks(padded)?[..size];
        Ok(Some(Entry {
            name,
            folder,
            bytes,
        }))
    }

    fn blocks(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (blocks, rest) = self.rest.split_at_checked(length).ok_or(CUT)?;
        self.rest = rest;
        Ok(blocks)
    }
}

const CUT: &str = "it is cut short";

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Entry<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let entry = self.entry();
        self.over = !matches!(entry, Ok(Some(_)));
        entry.transpose()
    }
}

/// The sum of a header's bytes, its own field read as blanks.
fn sum(header: &[u8]) -> u64 {
    let own = |at: usize| SUM.contains(&at);
    let bytes = header.iter().enumerate();
    bytes
        .map(|(at, byte)| u64::from(if own(at) { b' ' } else { *byte }))
        .sum()
}

/// Octal digits, ended by a blank or a zero; anything else is no number (the binary form of huge sizes is not).
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    let text = text.trim_matches(['\0', ' ']);
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| u64::from_str_radix(text, 8).ok()).flatten()
}
