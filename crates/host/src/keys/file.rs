//! Key files: 64 hexadecimal digits and a line end, readable by the node's user alone, written whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use super::KeysError;

fn io<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> KeysError + 'a {
    move |source| KeysError::Io { verb, path: path.to_owned(), source }
}

/// Makes the directory, and closes it to others.
pub(super) fn directory(dir: &Path) -> Result<(), KeysError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io("create", dir))?;
    close_to_others(dir, 0o700)
}

/// The key in a file; `None` when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<[u8; 32]>>, KeysError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("read", path)(error)),
    };
    close_to_others(path, 0o600)?;
    let damaged = |problem| KeysError::Damaged { path: path.to_owned(), problem };
    let mut text = Zeroizing::new(Vec::with_capacity(128));
    file.take(128).read_to_end(&mut text).map_err(io("read", path))?;
    let digits = text.trim_ascii();
    if digits.len() != 64 {
        return Err(damaged("64 hexadecimal digits are wanted"));
    }
    let mut key = Zeroizing::new([0_u8; 32]);
    HEXLOWER
        .decode_mut(digits, key.as_mut_slice())
        .map_err(|_| damaged("it has other characters than 0-9a-f"))?;
    Ok(Some(key))
}

/// Writes a key to a new file. It is on disk, under its name, when this returns.
pub(super) fn write(path: &Path, key: &[u8; 32]) -> Result<(), KeysError> {
    let newborn = path.with_extension("new");
    let mut text = Zeroizing::new(vec![0_u8; 64]);
    HEXLOWER.encode_mut(key, &mut text);
    text.push(b'\n');
    // What a process that was killed here left behind was never used.
    match std::fs::remove_file(&newborn) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io("replace", &newborn)(error)),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&newborn)
        .map_err(io("create", &newborn))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(io("write", &newborn))?;
    // A link, unlike a rename, refuses to replace a key that came to be meanwhile.
    std::fs::hard_link(&newborn, path).map_err(io("create", path))?;
    std::fs::remove_file(&newborn).map_err(io("remove", &newborn))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("sync", dir))
}

/// Takes the permissions of group and others away, if they have any.
fn close_to_others(path: &Path, mode: u32) -> Result<(), KeysError> {
    let found = std::fs::metadata(path).map_err(io("look at", path))?.permissions().mode();
    if found & 0o077 != 0 {
        tracing::warn!(
            event = "keys.permissions", file = %path.display(), mode = format!("{:o}", found & 0o777),
            "others on this machine could read keys; that is no longer so, but assume that they did",
        );
        std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(io("protect", path))?;
    }
    Ok(())
}
