//! What the kernel knows of a connection of ours: its state, and how many bytes the other side has not acknowledged.
//!
//! From `/proc/thread-self/net/tcp` and `tcp6` (proc_net_tcp.txt of the kernel's documentation): a row a connection, ours found by its inode.

use std::io;
use std::os::fd::AsFd;

/// The tables, for IPv4 and IPv6.
const TABLES: [&str; 2] = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];

/// A connection that the kernel still has open or is closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Bytes that were written and that the other side has not acknowledged.
    pub(super) unacknowledged: u32,
}

/// The row of this connection; `None` once both sides have ended it, in order or not.
pub(super) fn row(socket: impl AsFd) -> io::Result<Option<Row>> {
    let inode = rustix::fs::fstat(socket)?.st_ino;
    let mut tables = 0;
    for path in TABLES {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            // A kernel without IPv6 has no table for it.
            Err(why) if why.kind() == io::ErrorKind::NotFound => continue,
            Err(why) => return Err(unseen(&why.to_string())),
        };
        tables += 1;
        if let Some(row) = find(&text, inode) {
            return Ok(Some(row));
        }
    }
    match tables {
        0 => Err(unseen("there is no /proc/thread-self/net/tcp")),
        _ => Ok(None),
    }
}

fn unseen(why: &str) -> io::Error {
    io::Error::other(format!("the kernel does not show its connections: {why}"))
}

/// Columns: number, local, remote, state, `tx:rx`, timer, retransmits, uid, timeout, inode.
fn find(table: &str, inode: u64) -> Option<Row> {
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_ascii_whitespace();
        let queues = columns.nth(4)?;
        let found: u64 = columns.nth(4)?.parse().ok()?;
        let (tx, _rx) = queues.split_once(':')?;
        let unacknowledged = u32::from_str_radix(tx, 16).ok()?;
        (found == inode).then_some(Row { unacknowledged })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    #[test]
    fn a_row_is_found_by_its_inode() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0\n   \
             1: 0100007F:1F90 0100007F:9C40 01 000001F4:00000000 01:00000014 00000000     0        0 4712 4 0000000000000000 20 4 30 10 -1\n";
        let found = |inode| find(table, inode).map(|row| row.unacknowledged);
        assert_eq!(found(4712), Some(500));
        assert_eq!(found(4711), Some(0));
        assert_eq!(found(1), None);
    }

    #[test]
    fn the_kernel_shows_what_nobody_acknowledges_and_when_all_is_over() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                continue;
            };
            let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (theirs, _) = listener.accept().unwrap();
            assert_eq!(row(&ours).unwrap(), Some(Row { unacknowledged: 0 }));
            // Nobody reads: the buffers run full, and what does not fit stays in ours.
            ours.set_nonblocking(true).unwrap();
            while ours.write(&[0; 1 << 16]).is_ok() {}
            assert!(row(&ours).unwrap().unwrap().unacknowledged > 0);
            // Closed with bytes unread: a reset ends it, as soon as it is delivered.
            drop(theirs);
            let _ = ours.shutdown(Shutdown::Write);
            let began = Instant::now();
            while row(&ours).unwrap().is_some() {
                assert!(began.elapsed() < Duration::from_secs(60), "it stays");
                std::thread::yield_now();
            }
        }
    }
}
