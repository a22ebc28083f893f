//! What the kernel tells of the folder: that something happened, and whether somebody who could write has closed a file.

use std::{ffi::CStr, io, mem::MaybeUninit, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};

use crate::audit::folder;

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// Something happened to the folder or to a file of the record.
    pub touched: bool,
    /// Somebody who could write has closed one: the sink keeps its own open.
    pub closed: bool,
    /// A file of it was removed: the agent itself moves its files and removes none.
    pub removed: bool,
    /// The folder itself was moved or removed: nothing more will come from this watch.
    pub gone: bool,
}

impl Notice {
    /// Both of two.
    pub fn and(self, other: Self) -> Self {
        Self {
            touched: self.touched || other.touched,
            closed: self.closed || other.closed,
            removed: self.removed || other.removed,
            gone: self.gone || other.gone,
        }
    }

    /// Begins to listen; the folder has to be there. A thread of its own waits for the kernel's word and hands it to `told`, until that says
    /// that nobody listens any more, or the folder is gone.
    pub fn listen(dir: &Path, told: impl Fn(Self) -> bool + Send + 'static) -> io::Result<()> {
        let fd = inotify::init(CreateFlags::CLOEXEC)?;
        let what = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        inotify::add_watch(&fd, dir, what)?;
        std::thread::Builder::new()
            .name("record-watch".to_owned())
            .spawn(move || pass_on(&fd, told))?;
        Ok(())
    }
}

fn pass_on(fd: &OwnedFd, told: impl Fn(Notice) -> bool) {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
    let mut reader = inotify::Reader::new(fd, &mut buffer);
    loop {
        let notice = match reader.next() {
            Ok(event) => of(event.events(), event.file_name()),
            Err(Errno::INTR) => continue,
            // Who cannot listen does not know what happens.
            Err(_) => Notice {
                touched: true,
                closed: true,
                removed: false,
                gone: true,
            },
        };
        if notice.touched && (!told(notice) || notice.gone) {
            return;
        }
    }
}

/// What one word of the kernel means.
fn of(flags: ReadFlags, name: Option<&CStr>) -> Notice {
    let gone = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED;
    let gone = flags.intersects(gone);
    // Where more was told than the kernel keeps, everything may have happened.
    let lost = flags.contains(ReadFlags::QUEUE_OVERFLOW);
    let file = name.is_some_and(|name| folder::is_record_file(&name.to_string_lossy()));
    let own = name.is_none() && flags.contains(ReadFlags::ATTRIB);
    Notice {
        touched: gone || lost || file || own,
        removed: file && flags.contains(ReadFlags::DELETE),
        closed: lost || (file && flags.contains(ReadFlags::CLOSE_WRITE)),
        gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_of_the_kernel_is_taken_for_what_it_means() {
        let none = Notice::default();
        let touched = Notice {
            touched: true,
            ..none
        };
        let (record, other) = (Some(c"events.jsonl"), Some(c"notes.txt"));
        let gone = Notice {
            gone: true,
            ..touched
        };
        let closed = Notice {
            closed: true,
            ..touched
        };
        let removed = Notice {
            removed: true,
            ..touched
        };
        for (flags, name, meant) in [
            (ReadFlags::MODIFY, record, touched),
            (ReadFlags::MODIFY, other, none),
            (ReadFlags::CLOSE_WRITE, record, closed),
            (ReadFlags::CLOSE_WRITE, other, none),
            (ReadFlags::DELETE, record, removed),
            (ReadFlags::DELETE, other, none),
            // Of the folder itself.
            (ReadFlags::ATTRIB, None, touched),
            (ReadFlags::DELETE_SELF, None, gone),
            (ReadFlags::MOVE_SELF, None, gone),
            (ReadFlags::IGNORED, None, gone),
            // More than the kernel keeps.
            (ReadFlags::QUEUE_OVERFLOW, None, closed),
        ] {
            assert_eq!(of(flags, name), meant, "{flags:?} {name:?}");
        }
    }
}
