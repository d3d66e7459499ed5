//! Ports for servers that are told theirs: nobody else gets one between the choice and the server's start, nor while it is
//! down for a moment.
//!
//! They lie below the range from which the operating system takes ports for outgoing connections and for whoever binds
//! port 0 (`ip_local_port_range`). Each test process locks a block of them for as long as it lives.

use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};

/// Below it are the well-known servers' own.
const FIRST: u16 = 15_000;
const BLOCK: u16 = 50;
const BLOCKS: u16 = 300;

/// Ports of blocks that this process holds, the next one last.
static HELD: Mutex<Held> = Mutex::new(Held { left: Vec::new(), locks: Vec::new() });

struct Held {
    left: Vec<u16>,
    locks: Vec<File>,
}

/// A port on which nobody listens, on any loopback address; no other call gives it out while this process lives.
///
/// # Errors
/// All are taken, or the directory of locks cannot be written.
pub fn free_port() -> Result<u16> {
    let mut held = HELD.lock().expect("not poisoned");
    loop {
        while let Some(port) = held.left.pop() {
            if is_free(port) {
                return Ok(port);
            }
        }
        let (lock, ports) = take_block(&std::env::temp_dir().join("p2pds-test-ports"))?;
        held.locks.push(lock);
        held.left.extend(ports.rev());
    }
}

fn is_free(port: u16) -> bool {
    // A machine without IPv6 has nobody who listens there.
    let v6 = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port));
    let taken = v6.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse);
    drop(v6);
    !taken && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

/// The first block that no process has locked. Locks end with their processes, however those end.
fn take_block(dir: &Path) -> Result<(File, std::ops::Range<u16>)> {
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    for block in 0..BLOCKS {
        let path = dir.join(block.to_string());
        let file = File::options().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("open {}", path.display()))?;
        if file.try_lock().is_ok() {
            let first = FIRST + block * BLOCK;
            return Ok((file, first..first + BLOCK));
        }
    }
    bail!("all {BLOCKS} blocks of ports are locked, see {}", dir.display())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_port_is_given_out_twice_or_while_somebody_listens() {
        let dir = tempfile::tempdir().unwrap();
        let (lock, one) = take_block(dir.path()).unwrap();
        let (_other, two) = take_block(dir.path()).unwrap();
        assert!(one.end <= two.start && two.end <= FIRST + BLOCK * BLOCKS);
        drop(lock);
        assert_eq!(take_block(dir.path()).unwrap().1, one, "the lock of whoever has ended is nobody's");

        let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port().unwrap())).unwrap();
        assert!(!is_free(listening.local_addr().unwrap().port()));
        let many: Vec<_> = (0..BLOCK * 2).map(|_| free_port().unwrap()).collect();
        assert_eq!(many.iter().collect::<BTreeSet<_>>().len(), many.len());
    }

    /// What the operating system gives to others is not among them.
    #[test]
    fn they_lie_below_those_of_outgoing_connections() {
        let Ok(range) = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range") else { return };
        let low: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
        assert!(FIRST + BLOCK * BLOCKS <= low, "ports from {low} on are the system's");
    }
}
