//! Where the parts of a reference PDS lie.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use p2pds_ipld::sha256;

/// Places of one reference PDS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Its data directory.
    pub dir: PathBuf,
    /// Accounts.
    pub account_db: PathBuf,
    /// Events.
    pub sequencer_db: PathBuf,
    /// Account stores.
    pub actors: PathBuf,
    /// Blobs; `None` when no such directory is known.
    pub blobs: Option<PathBuf>,
}

/// Names under which its blob store is usually configured.
const BLOB_DIRS: [&str; 3] = ["blocks", "blobs", "blobstore"];

impl Layout {
    /// As the server lays it out when nothing else is configured.
    #[must_use]
    pub fn standard(dir: &Path) -> Self {
        Self::configured(dir, &BTreeMap::new())
    }

    /// As its environment (`pds.env`) says. Paths under the data directory that it names are looked for in `dir`,
    /// because inside a container the same place has another name.
    #[must_use]
    pub fn configured(dir: &Path, env: &BTreeMap<String, String>) -> Self {
        let said = env.get("PDS_DATA_DIRECTORY").filter(|path| !path.is_empty()).map(PathBuf::from);
        let place = |name: &str| -> Option<PathBuf> {
            let path = PathBuf::from(env.get(name).filter(|path| !path.is_empty())?);
            let inside =
                said.as_ref().and_then(|said| path.strip_prefix(said).ok()).map(|rest| dir.join(rest));
            Some(inside.unwrap_or(path))
        };
        let blobs = place("PDS_BLOBSTORE_DISK_LOCATION")
            .or_else(|| BLOB_DIRS.iter().map(|name| dir.join(name)).find(|path| path.is_dir()));
        Self {
            dir: dir.to_owned(),
            account_db: place("PDS_ACCOUNT_DB_LOCATION").unwrap_or_else(|| dir.join("account.sqlite")),
            sequencer_db: place("PDS_SEQUENCER_DB_LOCATION").unwrap_or_else(|| dir.join("sequencer.sqlite")),
            actors: place("PDS_ACTOR_STORE_DIRECTORY").unwrap_or_else(|| dir.join("actors")),
            blobs: blobs.filter(|path| path.is_dir()),
        }
    }

    /// The directory of one account; `None` for a name that is no plain name of a directory.
    pub(super) fn actor(&self, did: &str) -> Option<PathBuf> {
        let plain = plain_name(did)?;
        let hash = sha256(did.as_bytes());
        let prefix = hash.first().map(|byte| format!("{byte:02x}"))?;
        Some(self.actors.join(prefix).join(plain))
    }
}

/// A name that stays in its directory.
pub(super) fn plain_name(name: &str) -> Option<&str> {
    let mut parts = Path::new(name).components();
    let only = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
    (only && !name.contains(['/', '\\', '\0'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_container_are_found_outside_of_it() {
        let env = BTreeMap::from([
            ("PDS_DATA_DIRECTORY".to_owned(), "/pds".to_owned()),
            ("PDS_BLOBSTORE_DISK_LOCATION".to_owned(), "/pds/files".to_owned()),
            ("PDS_ACTOR_STORE_DIRECTORY".to_owned(), "/elsewhere/actors".to_owned()),
        ]);
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("files")).unwrap();
        let layout = Layout::configured(dir.path(), &env);
        assert_eq!(layout.blobs, Some(dir.path().join("files")));
        assert_eq!(layout.actors, Path::new("/elsewhere/actors"));
        assert_eq!(layout.account_db, dir.path().join("account.sqlite"));
    }

    #[test]
    fn an_account_lies_under_its_hash_and_nowhere_else() {
        let layout = Layout::standard(Path::new("/data"));
        // The first byte of SHA-256 of the DID.
        let hash = sha256(b"did:web:a.example").first().copied().unwrap();
        let place = layout.actor("did:web:a.example").unwrap();
        assert_eq!(place, Path::new("/data/actors").join(format!("{hash:02x}")).join("did:web:a.example"));
        for name in ["", ".", "..", "a/b", "../x", "/etc", "a\0b", "a\\b"] {
            assert_eq!(layout.actor(name), None, "{name:?}");
        }
    }
}
