//! The folder that an export is made in, beside its final place: whole or not there, and an interrupted one goes on.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use p2pds_syntax::Did;
use sha2::{Digest as _, Sha256};

use crate::error::{RecoveryError, RecoveryResult};
use crate::manifest::{MANIFEST, Manifest};
use crate::offline::{INDEX, PAGES};

/// Says whose export is being made in a folder.
const MARK: &str = ".p2pds-export";
/// Ending of the folder in which it is made.
const PART: &str = ".p2pds-part";
/// Ending of an earlier export on its way out.
const OLD: &str = ".p2pds-old";

/// An export being made.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    /// Where it will stand.
    target: PathBuf,
    /// Where it is made.
    part: PathBuf,
    /// An earlier export of the same account, to take blobs from and to replace.
    earlier: Option<PathBuf>,
}

/// A file with its length and hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) size: u64,
    pub(crate) sha256: [u8; 32],
}

impl Written {
    pub(crate) fn hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.sha256)
    }
}

impl Folder {
    /// Opens the folder for an account; refuses to touch what is not an export of it.
    pub(crate) fn open(target: &Path, did: &Did) -> RecoveryResult<Self> {
        let target = absolute(target)?;
        let beside = |ending: &str| {
            let mut name = target.file_name().unwrap_or_default().to_os_string();
            name.push(ending);
            target.with_file_name(name)
        };
        if target.file_name().is_none() {
            let what = "it is the root of a file system; name a folder in it".to_owned();
            return Err(RecoveryError::Foreign { dir: target, did: did.clone(), what });
        }
        let (part, old) = (beside(PART), beside(OLD));
        // A crash between the two renames of `finish`.
        if !target.exists() && old.exists() {
            fs::rename(&old, &target).map_err(RecoveryError::io("rename", &old))?;
        }
        let earlier = check_target(&target, did)?;
        check_part(&part, did)?;
        fs::create_dir_all(&part).map_err(RecoveryError::io("create", &part))?;
        let mark = part.join(MARK);
        fs::write(&mark, did.as_str()).map_err(RecoveryError::io("write", &mark))?;
        // Files whose content is not named by their hash are written anew.
        for made_anew in ["records", PAGES] {
            remove_dir(&part.join(made_anew))?;
        }
        remove_file(&part.join(INDEX))?;
        Ok(Self { target, part, earlier })
    }

    /// Where it is being made.
    pub(crate) fn dir(&self) -> &Path {
        &self.part
    }

    /// Where an earlier export has this file, if there is one.
    pub(crate) fn earlier(&self, path: &str) -> Option<PathBuf> {
        self.earlier.as_ref().map(|dir| dir.join(path)).filter(|file| file.is_file())
    }

    /// Writes a small file whole.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) -> RecoveryResult<Written> {
        write_file(&self.part.join(path), bytes)
    }

    /// All is written: makes it durable and puts it in its place.
    pub(crate) fn finish(self) -> RecoveryResult<PathBuf> {
        let mark = self.part.join(MARK);
        fs::remove_file(&mark).map_err(RecoveryError::io("remove", &mark))?;
        let dir = File::open(&self.part).map_err(RecoveryError::io("open", &self.part))?;
        rustix::fs::syncfs(&dir).map_err(|error| RecoveryError::io("sync", &self.part)(error.into()))?;
        let mut old = self.target.file_name().unwrap_or_default().to_os_string();
        old.push(OLD);
        let old = self.target.with_file_name(old);
        remove_dir(&old)?;
        if self.target.exists() {
            fs::rename(&self.target, &old).map_err(RecoveryError::io("rename", &self.target))?;
        }
        fs::rename(&self.part, &self.target).map_err(RecoveryError::io("rename", &self.part))?;
        if let Some(parent) = self.target.parent() {
            sync_dir(parent)?;
        }
        remove_dir(&old)?;
        Ok(self.target)
    }
}

fn absolute(path: &Path) -> RecoveryResult<PathBuf> {
    std::path::absolute(path).map_err(RecoveryError::io("find", path))
}

/// Nothing, an empty directory, or an earlier export of the same account.
fn check_target(target: &Path, did: &Did) -> RecoveryResult<Option<PathBuf>> {
    let foreign = |what: &str| {
        Err(RecoveryError::Foreign { dir: target.to_owned(), did: did.clone(), what: what.to_owned() })
    };
    match fs::read_dir(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return foreign("it is a file"),
        Err(error) => return Err(RecoveryError::io("read", target)(error)),
        Ok(mut entries) => {
            if entries.next().is_none() {
                return Ok(None);
            }
        }
    }
    match fs::read(target.join(MANIFEST)).map(|bytes| serde_json::from_slice::<Manifest>(&bytes)) {
        Ok(Ok(manifest)) if manifest.did == *did => Ok(Some(target.to_owned())),
        Ok(Ok(manifest)) => foreign(&format!("it is an export of {}", manifest.did)),
        Ok(Err(_)) => foreign("its manifest.json is not one of an export"),
        Err(_) => foreign("it has files in it"),
    }
}

/// Nothing, or an interrupted export of the same account.
fn check_part(part: &Path, did: &Did) -> RecoveryResult<()> {
    if !part.exists() {
        return Ok(());
    }
    let marked = fs::read_to_string(part.join(MARK)).is_ok_and(|whose| whose == did.as_str());
    // Killed in `finish`: complete, and no longer marked.
    let complete = fs::read(part.join(MANIFEST)).is_ok_and(|bytes| {
        serde_json::from_slice::<Manifest>(&bytes).is_ok_and(|manifest| manifest.did == *did)
    });
    let empty = fs::read_dir(part).is_ok_and(|mut entries| entries.next().is_none());
    if marked || complete || empty {
        return Ok(());
    }
    Err(RecoveryError::Foreign {
        dir: part.to_owned(),
        did: did.clone(),
        what: "it is not the rest of an interrupted export of this account; move it away".to_owned(),
    })
}

/// Makes the names in a directory durable, on file systems that can.
fn sync_dir(dir: &Path) -> RecoveryResult<()> {
    match File::open(dir).and_then(|dir| dir.sync_all()) {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        Err(error) => Err(RecoveryError::io("sync", dir)(error)),
    }
}

/// Removes a file; that it is not there is fine.
pub(crate) fn remove_file(path: &Path) -> RecoveryResult<()> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(RecoveryError::io("remove", path)(error)),
    }
}

/// Writes a file whole, with the directories that lead to it.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> RecoveryResult<Written> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(RecoveryError::io("create", dir))?;
    }
    let mut file = HashedFile::create(path)?;
    file.write(bytes)?;
    file.finish()
}

/// Removes a directory with all that is in it; that it is not there is fine.
pub(crate) fn remove_dir(dir: &Path) -> RecoveryResult<()> {
    match fs::remove_dir_all(dir) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(RecoveryError::io("remove", dir)(error)),
    }
}

/// A file that is hashed while it is written.
#[derive(Debug)]
pub(crate) struct HashedFile {
    file: io::BufWriter<File>,
    path: PathBuf,
    hasher: Sha256,
    size: u64,
}

impl HashedFile {
    pub(crate) fn create(path: &Path) -> RecoveryResult<Self> {
        let file = File::create(path).map_err(RecoveryError::io("create", path))?;
        Ok(Self {
            file: io::BufWriter::with_capacity(1 << 18, file),
            path: path.to_owned(),
            hasher: Sha256::new(),
            size: 0,
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> RecoveryResult<()> {
        self.hasher.update(bytes);
        self.size = self.size.saturating_add(u64::try_from(bytes.len()).unwrap_or(0));
        self.file.write_all(bytes).map_err(RecoveryError::io("write", &self.path))
    }

    pub(crate) fn finish(mut self) -> RecoveryResult<Written> {
        self.file.flush().map_err(RecoveryError::io("write", &self.path))?;
        Ok(Written { size: self.size, sha256: self.hasher.finalize().into() })
    }
}

/// Hashes a file. `None`: it is not there.
pub(crate) fn hash_file(path: &Path) -> RecoveryResult<Option<Written>> {
    use io::Read as _;
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(RecoveryError::io("open", path)(error)),
    };
    let (mut hasher, mut size, mut buffer) = (Sha256::new(), 0_u64, vec![0_u8; 1 << 18]);
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(RecoveryError::io("read", path)(error)),
        };
        hasher.update(buffer.get(..count).unwrap_or_default());
        size = size.saturating_add(u64::try_from(count).unwrap_or(0));
    }
    Ok(Some(Written { size, sha256: hasher.finalize().into() }))
}

/// Runs file work on the blocking pool.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> RecoveryResult<T> + Send + 'static,
) -> RecoveryResult<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(RecoveryError::Bug(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn did(name: &str) -> Did {
        Did::parse(&format!("did:web:{name}.example")).unwrap()
    }

    #[test]
    fn whole_or_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        let folder = Folder::open(&target, &did("a")).unwrap();
        folder.write("blobs/x", b"1").unwrap();
        assert!(!target.exists(), "nothing stands at its place before the end");
        // Interrupted: the next run goes on with what is there.
        let folder = Folder::open(&target, &did("a")).unwrap();
        assert!(folder.dir().join("blobs/x").exists());
        let place = folder.finish().unwrap();
        assert!(place.join("blobs/x").exists());
        assert!(!place.join(MARK).exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn killed_between_the_renames() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out");
        let manifest = crate::manifest::tests::sample(&did("a"));
        let bytes = serde_json::to_vec(&manifest).unwrap();
        // The earlier export has been moved aside, the new one is complete and not in its place yet.
        for name in ["out.p2pds-old", "out.p2pds-part"] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join(MANIFEST), &bytes).unwrap();
        }
        let folder = Folder::open(&target, &did("a")).unwrap();
        assert!(target.join(MANIFEST).exists(), "the earlier export is back in its place");
        folder.finish().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn other_things_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let photos = dir.path().join("photos");
        fs::create_dir(&photos).unwrap();
        fs::write(photos.join("cat.jpg"), b"cat").unwrap();
        let error = Folder::open(&photos, &did("a")).unwrap_err();
        assert!(error.to_string().contains("not empty"), "{error}");
        assert_eq!(fs::read_dir(&photos).unwrap().count(), 1);
        fs::write(dir.path().join("file"), b"").unwrap();
        assert!(Folder::open(&dir.path().join("file"), &did("a")).is_err());
        Folder::open(&dir.path().join("b"), &did("b")).unwrap();
        assert!(
            Folder::open(&dir.path().join("b"), &did("a")).is_err(),
            "somebody else's interrupted export"
        );
    }
}
