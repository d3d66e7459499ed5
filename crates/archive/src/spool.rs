//! Files that downloads go through, and repos kept verbatim.
//!
//! ```text
//! data/spool/<account>.part      a repo arriving; worth nothing until it is whole
//! data/spool/<account>.car       a whole repo, not stored yet: an interrupted run goes on with it
//! data/verbatim/<account>/<rev>.car   a repo whose tree cannot be reproduced, as it came
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use p2pds_blobs::account_dir_name;
use p2pds_syntax::Did;

use crate::error::{ArchiveError, ArchiveResult};

/// The directories for such files.
#[derive(Debug, Clone)]
pub(crate) struct Spool {
    data_dir: PathBuf,
}

impl Spool {
    const SPOOL: &'static str = "spool";
    const VERBATIM: &'static str = "verbatim";

    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned() }
    }

    /// The data directory.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// A repo that arrives.
    pub(crate) fn part(&self, did: &Did) -> PathBuf {
        self.named(did, "part")
    }

    /// A repo that has arrived whole.
    pub(crate) fn whole(&self, did: &Did) -> PathBuf {
        self.named(did, "car")
    }

    fn named(&self, did: &Did, end: &str) -> PathBuf {
        self.data_dir.join(Self::SPOOL).join(format!("{}.{end}", account_dir_name(did)))
    }

    /// Makes the spool directory and opens a new part file.
    pub(crate) fn create_part(&self, did: &Did) -> ArchiveResult<File> {
        let path = self.part(did);
        let dir = self.data_dir.join(Self::SPOOL);
        fs::create_dir_all(&dir).map_err(ArchiveError::io("create", &dir))?;
        File::create(&path).map_err(ArchiveError::io("create", &path))
    }

    /// The part file is whole: makes it durable under its final name.
    pub(crate) fn complete(&self, did: &Did, file: &File) -> ArchiveResult<PathBuf> {
        let (part, whole) = (self.part(did), self.whole(did));
        file.sync_all().map_err(ArchiveError::io("sync", &part))?;
        fs::rename(&part, &whole).map_err(ArchiveError::io("rename", &part))?;
        sync_parent(&whole)?;
        Ok(whole)
    }

    /// Removes what is spooled for an account. Nothing there is fine.
    pub(crate) fn clear(&self, did: &Did) -> ArchiveResult<()> {
        for path in [self.part(did), self.whole(did)] {
            remove_if_there(&path)?;
        }
        Ok(())
    }

    /// Moves a CAR to where it is kept verbatim; the name within the data directory. The same bytes may come twice.
    pub(crate) fn keep_verbatim(
        &self,
        did: &Did,
        rev: &str,
        car: &Path,
        moving: bool,
    ) -> ArchiveResult<String> {
        let name = format!("{}/{}/{rev}.car", Self::VERBATIM, account_dir_name(did));
        let to = self.data_dir.join(&name);
        let dir = to.parent().unwrap_or(&self.data_dir).to_owned();
        fs::create_dir_all(&dir).map_err(ArchiveError::io("create", &dir))?;
        if moving {
            fs::rename(car, &to).map_err(ArchiveError::io("move", car))?;
        } else {
            let part = to.with_extension("part");
            fs::copy(car, &part).map_err(ArchiveError::io("copy", car))?;
            let file = File::open(&part).map_err(ArchiveError::io("open", &part))?;
            file.sync_all().map_err(ArchiveError::io("sync", &part))?;
            fs::rename(&part, &to).map_err(ArchiveError::io("rename", &part))?;
        }
        sync_parent(&to)?;
        sync_parent(&dir)?;
        sync_parent(&self.data_dir.join(Self::VERBATIM))?;
        Ok(name)
    }

    /// Names within the data directory of what is kept verbatim for an account.
    pub(crate) fn verbatim(&self, did: &Did) -> ArchiveResult<Vec<String>> {
        let dir_name = format!("{}/{}", Self::VERBATIM, account_dir_name(did));
        let dir = self.data_dir.join(&dir_name);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(ArchiveError::io("read", &dir)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(ArchiveError::io("read", &dir))?;
            names.push(format!("{dir_name}/{}", entry.file_name().to_string_lossy()));
        }
        names.sort();
        Ok(names)
    }

    /// Names within the data directory of all files that belong to an account here.
    pub(crate) fn files_of(&self, did: &Did) -> ArchiveResult<Vec<String>> {
        let mut names = self.verbatim(did)?;
        for path in [self.part(did), self.whole(did)] {
            if path.exists()
                && let Ok(name) = path.strip_prefix(&self.data_dir)
            {
                names.push(name.to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    /// Erases all files of an account here.
    pub(crate) fn erase(&self, did: &Did) -> ArchiveResult<()> {
        self.clear(did)?;
        let dir = self.data_dir.join(Self::VERBATIM).join(account_dir_name(did));
        match fs::remove_dir_all(&dir) {
            Ok(()) => sync_parent(&dir),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(ArchiveError::io("remove", &dir)(error)),
        }
    }
}

/// Makes the name of a file durable.
pub(crate) fn sync_parent(path: &Path) -> ArchiveResult<()> {
    let Some(dir) = path.parent() else { return Ok(()) };
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(ArchiveError::io("sync", dir))
}

/// Removes a file; that it is not there is fine.
pub(crate) fn remove_if_there(path: &Path) -> ArchiveResult<()> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ArchiveError::io("remove", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_download_is_whole_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let did = Did::parse("did:plc:z72i7hdynmk6r22z27h6tvur").unwrap();
        let spool = Spool::new(dir.path());
        let mut file = spool.create_part(&did).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!spool.whole(&did).exists());
        let whole = spool.complete(&did, &file).unwrap();
        assert!(whole.exists() && !spool.part(&did).exists());
        let kept = spool.keep_verbatim(&did, "3jzfcijpj2z2a", &whole, true).unwrap();
        assert_eq!(spool.verbatim(&did).unwrap(), vec![kept.clone()]);
        assert_eq!(fs::read(dir.path().join(&kept)).unwrap(), b"half");
        assert_eq!(spool.files_of(&did).unwrap(), vec![kept]);
        spool.erase(&did).unwrap();
        assert!(spool.files_of(&did).unwrap().is_empty());
        spool.erase(&did).unwrap();
    }
}
