//! A backup read back: checked byte for byte, and written into a new data directory.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use p2pds_archive::{Phase, Progress, Unit, when};
use p2pds_blobs::{BlobError, Blobs, PutOptions};
use p2pds_ipld::Cid;
use p2pds_syntax::{Did, ErrorKind};
use sha2::{Digest as _, Sha256};

use super::blobs::{name, path};
use super::manifest::{Header, Manifest, Part, damaged};
use super::report::RestoreReport;
use super::restored::{RESTORED, mark};
use super::seal::{Opener, Opening};
use super::{KEYS, VERBATIM, private_dir, said, sync_dir};
use crate::error::{RecoveryError, RecoveryResult};
use crate::folder::blocking;

/// The database while it is being written: a directory that was not finished is no data directory.
const UNFINISHED: &str = "restoring.sqlite";

/// Whether a restore into this directory was interrupted: what lies there is no node's data.
#[must_use]
pub fn is_half_restored(dir: &Path) -> bool {
    dir.join(UNFINISHED).exists()
}

/// Where a backup is restored to.
#[derive(Debug, Clone)]
pub struct RestoreOptions {
    /// The new data directory, and where its blobs go; `None` only checks.
    pub to: Option<(PathBuf, Blobs)>,
    /// Name of the database in a data directory.
    pub database: String,
    /// With what it is opened.
    pub opening: Opening,
}

/// Reads a whole backup, and writes it into a new data directory unless it is only to be checked.
///
/// # Errors
/// The first byte that is not as it was written; what opens it is missing or wrong; the directory is not empty; a disk
/// is full or fails. A data directory that was not finished has no database, so that no node starts on it.
pub async fn restore(
    from: &Path,
    options: RestoreOptions,
    progress: &Progress,
) -> RecoveryResult<RestoreReport> {
    let from = std::path::absolute(from).map_err(RecoveryError::io("find", from))?;
    let dir = options.to.as_ref().map(|(dir, _)| dir.clone());
    if let Some(dir) = &dir {
        prepare(dir)?;
    }
    let (manifest, opener) = {
        let (from, opening) = (from.clone(), options.opening.clone());
        blocking(move || open(&from, &opening)).await?
    };
    let opener = std::sync::Arc::new(opener);
    let counter = progress.begin(Phase::Verify, Unit::Bytes, None, "reading the database");
    let database_bytes = {
        let (from, opener, part) = (from.clone(), std::sync::Arc::clone(&opener), manifest.database.clone());
        let to = dir.as_ref().map(|dir| dir.join(UNFINISHED));
        blocking(move || file(&from, &opener, &part, to.as_deref())).await?
    };
    counter.finish(format!("{database_bytes} bytes of database"));
    for part in &manifest.files {
        let to = dir.as_ref().map(|dir| target(dir, &part.path)).transpose()?;
        let (from, opener, part) = (from.clone(), std::sync::Arc::clone(&opener), part.clone());
        blocking(move || file(&from, &opener, &part, to.as_deref())).await?;
    }
    let list = {
        let (from, opener, part) = (from.clone(), std::sync::Arc::clone(&opener), manifest.blob_list.clone());
        blocking(move || whole(&from, &opener, &part)).await?
    };
    let list = String::from_utf8(list).map_err(|_| damaged("its list of blobs"))?;
    let to = options.to.as_ref().map(|(_, blobs)| blobs);
    let blob_bytes = blobs(&from, &opener, (&list, manifest.blobs), to, progress).await?;
    let keys = manifest.files.iter().any(|part| part.path.starts_with(KEYS));
    let report = RestoreReport {
        from,
        data_dir: dir.clone(),
        made_at: manifest.made_at,
        made: when(manifest.made_at),
        program: manifest.program,
        database_bytes,
        blobs: manifest.blobs,
        blob_bytes,
        missing: manifest.missing.len() as u64,
        keys,
    };
    if let Some(dir) = dir {
        let (database, made_at) = (options.database, report.made_at);
        blocking(move || finish(&dir, &database, made_at)).await?;
    }
    Ok(report)
}

fn open(from: &Path, opening: &Opening) -> RecoveryResult<(Manifest, Opener)> {
    let header = Header::read(from)?;
    let opener = Opener::new(&header.sealed, opening, from)?;
    let part = Part { name: header.manifest, path: String::new(), size: 0, sha256: header.sha256 };
    let manifest = Manifest::from_bytes(&whole(from, &opener, &part)?)?;
    Ok((manifest, opener))
}

/// A directory that is not there, or has nothing in it.
fn prepare(dir: &Path) -> RecoveryResult<()> {
    private_dir(dir)?;
    let mut entries = fs::read_dir(dir).map_err(RecoveryError::io("read", dir))?;
    // Opening the blobs makes their directory.
    if entries.any(|entry| entry.is_ok_and(|entry| !holds_nothing(&entry.path()))) {
        return Err(said(
            ErrorKind::Conflict,
            format!("{} is not empty; a backup is restored into a new directory only", dir.display()),
        ));
    }
    Ok(())
}

/// Directories without a file anywhere in them.
fn holds_nothing(path: &Path) -> bool {
    path.is_dir()
        && fs::read_dir(path).is_ok_and(|entries| entries.flatten().all(|entry| holds_nothing(&entry.path())))
}

/// Where a file of the manifest belongs. Only what a backup of this program names is taken.
fn target(dir: &Path, path: &str) -> RecoveryResult<PathBuf> {
    let mut parts = path.split('/');
    let known = parts.next().is_some_and(|first| first == VERBATIM || first == KEYS);
    if !known || parts.any(|part| matches!(part, "" | "." | "..")) {
        return Err(damaged(&format!("its manifest names the file {path:?}")));
    }
    Ok(dir.join(path))
}

/// The hash of a stored file.
fn check(path: &Path, part: &Part) -> RecoveryResult<()> {
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(damaged(&format!("{} is missing", part.name)));
        }
        Err(error) => return Err(RecoveryError::io("read", path)(error)),
    };
    let (mut sha, mut piece) = (Sha256::new(), vec![0_u8; PIECE]);
    loop {
        let read = file.read(&mut piece).map_err(RecoveryError::io("read", path))?;
        if read == 0 {
            break;
        }
        sha.update(piece.get(..read).unwrap_or_default());
    }
    if data_encoding::HEXLOWER.encode(&sha.finalize()) == part.sha256 {
        Ok(())
    } else {
        Err(damaged(&format!("{} does not have its hash", part.name)))
    }
}

/// Checks a file and writes what is in it; answers the size of that.
fn file(from: &Path, opener: &Opener, part: &Part, to: Option<&Path>) -> RecoveryResult<u64> {
    let path = from.join(&part.name);
    check(&path, part)?;
    let mut input = opener.open(&path)?;
    let broken = |error: std::io::Error| damaged(&format!("{}: {error}", part.name));
    let Some(to) = to else { return std::io::copy(&mut input, &mut std::io::sink()).map_err(broken) };
    to.parent().map_or(Ok(()), private_dir)?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(to).map_err(RecoveryError::io("create", to))?;
    let size = std::io::copy(&mut input, &mut out).map_err(RecoveryError::io("write", to))?;
    out.flush().and_then(|()| out.sync_all()).map_err(RecoveryError::io("write", to))?;
    Ok(size)
}

/// Checks a small file and answers what is in it.
fn whole(from: &Path, opener: &Opener, part: &Part) -> RecoveryResult<Vec<u8>> {
    let path = from.join(&part.name);
    check(&path, part)?;
    let mut bytes = Vec::new();
    let read = opener.open(&path)?.read_to_end(&mut bytes);
    read.map_err(|error| damaged(&format!("{}: {error}", part.name)))?;
    Ok(bytes)
}

async fn blobs(
    from: &Path,
    opener: &std::sync::Arc<Opener>,
    (list, count): (&str, u64),
    to: Option<&Blobs>,
    progress: &Progress,
) -> RecoveryResult<u64> {
    let counter = progress.begin(Phase::Verify, Unit::Blobs, Some(count), "reading the blobs");
    let (mut seen, mut bytes) = (0_u64, 0_u64);
    for line in list.lines() {
        let parts: Vec<&str> = line.split(' ').collect();
        let parsed = match parts[..] {
            [did, cid, _] => Did::parse(did).ok().zip(cid.parse::<Cid>().ok()),
            _ => None,
        };
        let (did, cid) = parsed.ok_or_else(|| damaged("its list of blobs"))?;
        bytes = bytes.saturating_add(blob(from, opener, &did, &cid, to).await?);
        seen = seen.saturating_add(1);
        counter.set(seen);
    }
    if seen != count {
        return Err(damaged(&format!("its list has {seen} blobs instead of {count}")));
    }
    counter.finish(format!("{seen} blobs"));
    Ok(bytes)
}

/// One blob: hashed, and put where it belongs.
async fn blob(
    from: &Path,
    opener: &std::sync::Arc<Opener>,
    did: &Did,
    cid: &Cid,
    to: Option<&Blobs>,
) -> RecoveryResult<u64> {
    let stored = path(&name(did, cid));
    let broken = |why: &str| damaged(&format!("{stored}, blob {cid} of {did}: {why}"));
    let file = from.join(&stored);
    if !file.exists() {
        return Err(broken("it is missing"));
    }
    let mut input = {
        let opener = std::sync::Arc::clone(opener);
        blocking(move || opener.open(&file)).await?
    };
    let mut upload = match to {
        Some(blobs) => Some(
            blobs
                .put(did, PutOptions { expect: Some(*cid), max_bytes: u64::MAX, quota: None })
                .await
                .map_err(kept)?,
        ),
        None => None,
    };
    let (mut sha, mut size) = (Sha256::new(), 0_u64);
    loop {
        let (again, piece) = blocking(move || {
            let mut piece = Vec::with_capacity(PIECE);
            let read = input.by_ref().take(PIECE as u64).read_to_end(&mut piece);
            Ok((input, read.map(|_| piece)))
        })
        .await?;
        input = again;
        let piece = piece.map_err(|error| broken(&error.to_string()))?;
        if piece.is_empty() {
            break;
        }
        sha.update(&piece);
        size = size.saturating_add(piece.len() as u64);
        if let Some(upload) = &mut upload {
            upload.write(piece.into()).await.map_err(kept)?;
        }
    }
    if sha.finalize().as_slice() != cid.digest() {
        return Err(broken("it does not have its hash"));
    }
    if let Some(upload) = upload {
        upload.finish().await.map_err(kept)?;
    }
    Ok(size)
}

/// A blob could not be stored.
fn kept(error: BlobError) -> RecoveryError {
    said(error.kind(), error.to_string())
}

/// Bytes read at a time.
const PIECE: usize = 1 << 20;

/// All is there: the marker for the first start, then the name that makes it a data directory.
fn finish(dir: &Path, database: &str, made_at: i64) -> RecoveryResult<()> {
    mark(&dir.join(RESTORED), made_at)?;
    let (part, whole) = (dir.join(UNFINISHED), dir.join(database));
    sync_dir(dir)?;
    fs::rename(&part, &whole).map_err(RecoveryError::io("rename", &part))?;
    sync_dir(dir)
}
