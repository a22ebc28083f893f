//! One recording on disk: its chunks one after the other, each behind its length (4 bytes, big-endian). Ciphertext alone.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use crate::{
    protocol::recording::{MAX_CHUNK, PAGE_BYTES, START, chain},
    trust::{Bytes, Digest, file::sync_folder},
};

/// The largest recording, in bytes.
const LARGEST: u64 = 512 * 1024 * 1024;
/// Room on the disk that recordings leave to the record and to closing, in bytes.
const RESERVE: u64 = 64 * 1024 * 1024;
/// Length of a chunk's length.
const LENGTH: u64 = 4;

/// A recording that is being written.
pub(super) struct Kept {
    file: File,
    /// How many chunks are on disk.
    pub(super) chunks: u64,
    /// How long the file is; all of it is whole chunks.
    pub(super) bytes: u64,
    /// [`chain`] over them.
    pub(super) head: Digest,
    /// The newest chunk.
    last: Digest,
}

/// Where recording `n` of `request` lies below the agent's state.
pub(super) fn path(state: &Path, request: &str, n: u32) -> PathBuf {
    state.join("recordings").join(request).join(n.to_string())
}

impl Kept {
    /// A new one, empty.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        has_room(&file, 0)?;
        // The file, the request's folder, and the folder of all.
        for folder in path.ancestors().skip(1).take(3) {
            sync_folder(folder)?;
        }
        Ok(Self {
            file,
            chunks: 0,
            bytes: 0,
            head: START,
            last: START,
        })
    }

    /// One that an agent before this one wrote, and its chain after the first `at` chunks. What a crash left half-written is cut off:
    /// nobody was told that it was kept. A file without those first chunks is left as it is: it is evidence.
    pub(super) fn open(path: &Path, at: u64) -> io::Result<(Self, Option<Digest>)> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut kept = Self {
            file: file.try_clone()?,
            chunks: 0,
            bytes: 0,
            head: START,
            last: START,
        };
        let mut there = (at == 0).then_some(START);
        let mut reader = BufReader::new(file);
        while let Some(chunk) = next(&mut reader)? {
            kept.count(&chunk);
            if kept.chunks == at {
                there = Some(kept.head);
            }
        }
        if there.is_some() {
            kept.file.set_len(kept.bytes)?;
            kept.file.seek(SeekFrom::Start(kept.bytes))?;
        }
        Ok((kept, there))
    }

    /// Whether this is the newest chunk, sent once more.
    pub(super) fn is_last(&self, n: u64, chunk: &[u8]) -> bool {
        n == self.chunks && n > 0 && Digest::of(chunk) == self.last
    }

    /// Writes one more and syncs it; where that fails the file is as it was.
    pub(super) fn append(&mut self, chunk: &[u8]) -> io::Result<()> {
        let length = u32::try_from(chunk.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let framed = [&length.to_be_bytes()[..], chunk].concat();
        if self.bytes + framed.len() as u64 > LARGEST {
            return Err(io::Error::other("it has grown to 512 MiB, and is full"));
        }
        has_room(&self.file, framed.len() as u64)?;
        let written = self.file.write_all(&framed);
        let synced = written.and_then(|()| self.file.sync_data());
        if synced.is_err() {
            self.file.set_len(self.bytes)?;
            self.file.seek(SeekFrom::Start(self.bytes))?;
            return synced;
        }
        self.count(chunk);
        Ok(())
    }

    fn count(&mut self, chunk: &[u8]) {
        self.chunks += 1;
        self.bytes += LENGTH + chunk.len() as u64;
        self.head = chain(self.head, chunk);
        self.last = Digest::of(chunk);
    }
}

/// Chunks from number `from` on (the first is 1), as many as one page has.
pub(super) fn page(path: &Path, from: u64) -> io::Result<Vec<Bytes>> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut skipped = 1;
    let mut chunks = Vec::new();
    let mut bytes = 0;
    while let Some(length) = length(&mut reader)? {
        if skipped < from {
            skipped += 1;
            reader.seek_relative(length as i64)?;
            continue;
        }
        bytes += length;
        if bytes > PAGE_BYTES && !chunks.is_empty() {
            break;
        }
        match body(&mut reader, length)? {
            Some(chunk) => chunks.push(Bytes(chunk)),
            None => break,
        }
    }
    Ok(chunks)
}

/// The next whole chunk.
fn next(reader: &mut BufReader<File>) -> io::Result<Option<Vec<u8>>> {
    match length(reader)? {
        Some(length) => body(reader, length),
        None => Ok(None),
    }
}

fn length(reader: &mut BufReader<File>) -> io::Result<Option<usize>> {
    let mut length = [0; LENGTH as usize];
    let whole = whole(reader.read_exact(&mut length))?;
    // A disk that lost power may have given the file its length and not its bytes.
    let length = u32::from_be_bytes(length) as usize;
    Ok((whole && (1..=MAX_CHUNK).contains(&length)).then_some(length))
}

fn body(reader: &mut BufReader<File>, length: usize) -> io::Result<Option<Vec<u8>>> {
    let mut chunk = vec![0; length];
    Ok(whole(reader.read_exact(&mut chunk))?.then_some(chunk))
}

fn whole(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(why) => Err(why),
    }
}

/// Recordings never take the last room: the record and closing need it more.
fn has_room(file: &File, bytes: u64) -> io::Result<()> {
    let disk = rustix::fs::fstatvfs(file)?;
    if disk.f_bavail.saturating_mul(disk.f_frsize) < RESERVE + bytes {
        return Err(io::Error::new(
            io::ErrorKind::StorageFull,
            "the agent's disk has less than 64 MiB left",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(n: u64) -> Vec<u8> {
        format!("chunk {n}").into_bytes()
    }

    fn written(path: &Path, chunks: u64) -> Kept {
        let mut kept = Kept::create(path).expect("created");
        for n in 1..=chunks {
            kept.append(&chunk(n)).expect("written");
        }
        kept
    }

    #[test]
    fn what_was_kept_is_read_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = path(dir.path(), "r-aaaaaaaaaaaaa", 1);
        let kept = written(&path, 3);
        let (again, at_two) = Kept::open(&path, 2).expect("opened");
        assert_eq!((again.chunks, again.bytes), (3, kept.bytes));
        assert_eq!(again.head, kept.head);
        assert_eq!(at_two, Some(chain(chain(START, b"chunk 1"), b"chunk 2")));
        assert!(again.is_last(3, b"chunk 3") && !again.is_last(2, b"chunk 2"));
        let all: Vec<Vec<u8>> = (1..=3).map(chunk).collect();
        let read = |from| page(&path, from).expect("read");
        assert_eq!(read(1), all.iter().cloned().map(Bytes).collect::<Vec<_>>());
        assert_eq!(read(3), [Bytes(chunk(3))]);
        assert!(read(4).is_empty());
        // It is never begun a second time.
        assert!(Kept::create(&path).is_err());
    }

    #[test]
    fn what_a_crash_left_half_written_is_cut_off_and_written_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = path(dir.path(), "r-aaaaaaaaaaaaa", 1);
        let whole = written(&path, 2);
        let one = LENGTH + 7;
        for torn in 0..one {
            fs::File::options()
                .write(true)
                .open(&path)
                .and_then(|f| f.set_len(one + torn))
                .expect("cut");
            let (mut kept, _) = Kept::open(&path, 0).expect("opened");
            assert_eq!((kept.chunks, kept.bytes), (1, one), "{torn} bytes");
            kept.append(&chunk(2)).expect("written");
            assert_eq!(kept.head, whole.head);
            assert_eq!(page(&path, 1).expect("read").len(), 2);
        }
    }

    #[test]
    fn what_was_changed_before_the_end_is_found_and_nothing_is_cut_off() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = path(dir.path(), "r-aaaaaaaaaaaaa", 1);
        written(&path, 3);
        let mut bytes = fs::read(&path).expect("read");
        bytes[0] = 0xff;
        fs::write(&path, &bytes).expect("changed");
        let (_, there) = Kept::open(&path, 3).expect("opened");
        assert_eq!(there, None);
        assert_eq!(fs::read(&path).expect("read"), bytes);
    }

    #[test]
    fn a_file_of_zeros_has_no_chunks() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("zeros");
        fs::write(&path, [0; 64]).expect("written");
        let (kept, _) = Kept::open(&path, 0).expect("opened");
        assert_eq!((kept.chunks, kept.bytes), (0, 0));
    }

    #[test]
    fn a_page_is_not_larger_than_a_page() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("large");
        let mut kept = Kept::create(&path).expect("created");
        let big = vec![7; MAX_CHUNK];
        let fit = PAGE_BYTES / MAX_CHUNK;
        for _ in 0..=fit {
            kept.append(&big).expect("written");
        }
        assert_eq!(page(&path, 1).expect("read").len(), fit);
        assert_eq!(page(&path, fit as u64 + 1).expect("read").len(), 1);
    }
}
