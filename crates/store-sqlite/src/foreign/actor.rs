//! The store of one account there: blocks, blobs, preferences, key.

use std::io::Write;
use std::path::Path;

use p2pds_crypto::{Curve, PrivateKey};
use p2pds_ipld::Cid;
use p2pds_ipld::car::{write_header, write_section};
use p2pds_store::foreign::{ForeignBlob, ForeignRepo};
use p2pds_store::{StoreError, StoreResult};

use super::layout::plain_name;
use super::open::{Source, maybe_text, text};

/// Blocks named at most when they are damaged.
const NAMED: usize = 1_000;

/// The signing key: the 32 bytes of a K-256 key.
pub(super) fn key(path: &Path) -> StoreResult<Option<PrivateKey>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(StoreError::Backend {
                doing: "read a signing key",
                cause: format!("{}: {error}", path.display()),
            });
        }
    };
    let damaged = |why: String| StoreError::Damaged(format!("the signing key in {}: {why}", path.display()));
    let bytes = <[u8; 32]>::try_from(bytes.as_slice())
        .map_err(|_| damaged(format!("it has {} bytes, a key has 32", bytes.len())))?;
    PrivateKey::from_bytes(Curve::K256, &bytes).map(Some).map_err(|error| damaged(error.to_string()))
}

/// Writes the repo as a CAR.
pub(super) fn repo(source: &Source, to: &mut dyn Write) -> StoreResult<Option<ForeignRepo>> {
    let roots = source
        .rows("SELECT cid, rev FROM repo_root LIMIT 1", [], |row| Ok((text(row, 0)?, text(row, 1)?)))?;
    let Some((root, rev)) = roots.into_iter().next() else { return Ok(None) };
    let head: Cid = root
        .parse()
        .map_err(|error| StoreError::Damaged(format!("the repo's head {root:?} is no CID: {error}")))?;
    let mut written = ForeignRepo { root, rev, blocks: 0, bytes: 0, damaged: Vec::new() };
    let mut out = Vec::new();
    write_header(&mut out, &[head]);
    put(to, &mut out, &mut written)?;
    let conn = source.conn();
    let failed = |cause: rusqlite::Error| source.failed(&cause);
    let mut statement = conn.prepare("SELECT cid, content FROM repo_block").map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let name = text(row, 0).map_err(failed)?;
        let content = row.get_ref(1).map_err(failed)?;
        let bytes = content.as_blob().unwrap_or_default();
        match name.parse::<Cid>() {
            Ok(cid) if cid.matches(bytes) => {
                write_section(&mut out, &cid, bytes);
                put(to, &mut out, &mut written)?;
                written.blocks = written.blocks.saturating_add(1);
            }
            _ if written.damaged.len() < NAMED => written.damaged.push(name),
            _ => {}
        }
    }
    Ok(Some(written))
}

fn put(to: &mut dyn Write, out: &mut Vec<u8>, written: &mut ForeignRepo) -> StoreResult<()> {
    to.write_all(out)
        .map_err(|error| StoreError::Backend { doing: "copy a repo", cause: error.to_string() })?;
    written.bytes = written.bytes.saturating_add(out.len() as u64);
    out.clear();
    Ok(())
}

/// Blobs that were made permanent. Uploads that no record named are left: their owner uploads them again.
pub(super) fn blobs(source: &Source, dir: Option<&Path>, did: &str) -> StoreResult<Vec<ForeignBlob>> {
    let sql = "SELECT cid, mimeType, size, takedownRef FROM blob WHERE tempKey IS NULL ORDER BY cid";
    let place = dir.zip(plain_name(did));
    source.rows(sql, [], |row| {
        let cid = text(row, 0)?;
        let takedown = maybe_text(row, 3)?;
        let path = place.zip(plain_name(&cid)).and_then(|((dir, did), cid)| {
            // What was taken down was moved aside.
            let kept = [dir.join(did).join(cid), dir.join("quarantine").join(did).join(cid)];
            kept.into_iter().find(|path| path.is_file())
        });
        Ok(ForeignBlob {
            mime: text(row, 1)?,
            size: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
            takedown,
            path,
            cid,
        })
    })
}

pub(super) fn preferences(source: &Source) -> StoreResult<Vec<(String, String)>> {
    source.rows("SELECT name, valueJson FROM account_pref ORDER BY id", [], |row| {
        Ok((text(row, 0)?, text(row, 1)?))
    })
}

pub(super) fn taken_down_records(source: &Source, did: &str) -> StoreResult<Vec<(String, String)>> {
    let sql = "SELECT uri, takedownRef FROM record WHERE takedownRef IS NOT NULL ORDER BY uri";
    let rows = source.rows(sql, [], |row| Ok((text(row, 0)?, text(row, 1)?)))?;
    let prefix = format!("at://{did}/");
    Ok(rows
        .into_iter()
        .filter_map(|(uri, reason)| Some((uri.strip_prefix(&prefix)?.to_owned(), reason)))
        .collect())
}
