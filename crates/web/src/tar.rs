//! A directory as a tar, piece by piece, without a copy of it on disk or in memory. POSIX ustar, with the GNU entry for
//! names that are longer than a header has room for. Only files and directories: there is nothing else in an export.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Bytes that are sent at a time.
const PIECE: usize = 128 * 1024;
/// A reader that takes nothing for so long has gone.
const PATIENCE: Duration = Duration::from_secs(120);
/// Length of a block.
const BLOCK: usize = 512;
/// Directories below each other at most.
const DEEPEST: usize = 16;

/// The tar of a directory; its entries lie below `top`.
pub(crate) fn tar(dir: PathBuf, top: String) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let (to, from) = mpsc::channel(4);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut out = Out { to, runtime };
        if let Err(error) = out.directory(&dir, &top, 0).and_then(|()| out.send(&[0; 2 * BLOCK])) {
            let patience = tokio::time::timeout(PATIENCE, out.to.send(Err(error)));
            // Whoever has gone away does not hear it.
            let _ = out.runtime.block_on(patience);
        }
    });
    futures::stream::unfold(from, |mut from| async move { from.recv().await.map(|piece| (piece, from)) })
}

struct Out {
    to: mpsc::Sender<io::Result<Bytes>>,
    runtime: Handle,
}

impl Out {
    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let piece = Bytes::copy_from_slice(bytes);
        match self.runtime.block_on(tokio::time::timeout(PATIENCE, self.to.send(Ok(piece)))) {
            Ok(Ok(())) => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the reader has gone")),
        }
    }

    fn directory(&mut self, dir: &Path, name: &str, depth: usize) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(io::Error::other("directories lie too deep"));
        }
        self.entry(&format!("{name}/"), 0, mtime(dir), b'5')?;
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        paths.sort();
        for path in paths {
            let Some(last) = path.file_name().and_then(|last| last.to_str()) else { continue };
            let name = format!("{name}/{last}");
            let about = std::fs::symlink_metadata(&path)?;
            if about.is_dir() {
                self.directory(&path, &name, depth.saturating_add(1))?;
            } else if about.is_file() {
                self.file(&path, &name)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &str) -> io::Result<()> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        self.entry(name, size, mtime(path), b'0')?;
        let mut left = size;
        let mut file = file.take(size);
        let mut buffer = vec![0; PIECE];
        while left > 0 {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "a file became shorter while it was read",
                ));
            }
            self.send(buffer.get(..read).unwrap_or_default())?;
            left = left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
        }
        self.pad(size)
    }

    fn pad(&self, size: u64) -> io::Result<()> {
        let over = usize::try_from(size % 512).unwrap_or(0);
        if over > 0 { self.send([0; BLOCK].get(over..).unwrap_or_default()) } else { Ok(()) }
    }

    fn entry(&self, name: &str, size: u64, mtime: u64, kind: u8) -> io::Result<()> {
        if name.len() > 100 {
            let mut long = name.as_bytes().to_vec();
            long.push(0);
            let size = u64::try_from(long.len()).unwrap_or(u64::MAX);
            self.send(&header(b"././@LongLink", size, 0, b'L'))?;
            self.send(&long)?;
            self.pad(size)?;
        }
        let short = name.as_bytes().get(..name.len().min(100)).unwrap_or_default();
        self.send(&header(short, size, mtime, kind))
    }
}

fn mtime(path: &Path) -> u64 {
    let at = std::fs::metadata(path).and_then(|about| about.modified());
    let since = at.ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_secs())
}

/// A header; its fields and their places are those of POSIX.1-1988 (ustar).
fn header(name: &[u8], size: u64, mtime: u64, kind: u8) -> [u8; BLOCK] {
    let mut block = [0_u8; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| {
        for (to, from) in block.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
    };
    put(0, name);
    put(100, if kind == b'5' { b"0000755\0" } else { b"0000644\0" });
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, &number(size));
    put(136, &number(mtime));
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().fold(0, |sum, byte| sum.saturating_add(u32::from(*byte)));
    let sum = format!("{sum:06o}\0 ");
    for (to, from) in block.iter_mut().skip(148).zip(sum.as_bytes()) {
        *to = *from;
    }
    block
}

/// Eleven octal digits; for 8 GiB and more the binary form that GNU tar and BSD tar read.
fn number(value: u64) -> [u8; 12] {
    let mut field = [0_u8; 12];
    if value < 1 << 33 {
        for (to, from) in field.iter_mut().zip(format!("{value:011o}").as_bytes()) {
            *to = *from;
        }
    } else {
        for (to, from) in field.iter_mut().skip(4).zip(value.to_be_bytes()) {
            *to = from;
        }
        if let Some(first) = field.first_mut() {
            *first = 0x80;
        }
    }
    field
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;

    async fn whole(dir: &Path) -> Vec<u8> {
        let mut out = Vec::new();
        let mut pieces = std::pin::pin!(tar(dir.to_owned(), "top".to_owned()));
        while let Some(piece) = pieces.next().await {
            out.extend_from_slice(&piece.unwrap());
        }
        out
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_tar_of_this_machine_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        let deep = from.join("a".repeat(60)).join("b".repeat(60));
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(from.join("empty"), b"").unwrap();
        std::fs::write(from.join("block"), [7; 512]).unwrap();
        std::fs::write(deep.join("long name"), vec![9; 300_001]).unwrap();
        let bytes = whole(&from).await;
        assert_eq!(bytes.len() % 512, 0);
        let file = dir.path().join("x.tar");
        std::fs::write(&file, &bytes).unwrap();
        let to = dir.path().join("to");
        std::fs::create_dir(&to).unwrap();
        let status =
            std::process::Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(&to).status().unwrap();
        assert!(status.success());
        let deep = to.join("top").join("a".repeat(60)).join("b".repeat(60)).join("long name");
        assert_eq!(std::fs::read(deep).unwrap(), vec![9; 300_001]);
        assert_eq!(std::fs::read(to.join("top/block")).unwrap(), [7; 512]);
        assert_eq!(std::fs::read(to.join("top/empty")).unwrap(), b"");
    }

    #[test]
    fn large_sizes() {
        assert_eq!(&number(8), b"00000000010\0");
        assert_eq!(number(1 << 33)[0], 0x80);
        assert_eq!(&number(1 << 33)[4..], (1_u64 << 33).to_be_bytes());
    }
}
