//! Lists of an account: records newest key first, blobs, what is known of it.

use p2pds_ipld::Cid;
use p2pds_store::hosting::Newest;
use p2pds_store::{BlobFilter, BlobRow, BlobState, RecordRow, RecordsQuery};
use p2pds_syntax::{Did, Nsid, RecordPath, Tid};

use crate::Reading;
use crate::gate::Viewer;
use crate::refusal::Refusal;
use crate::view::View;

/// Blobs looked at for one page at most.
const MOST_LOOKED_AT: usize = 4_000;
/// Bytes of bodies after which a page of records ends.
const PAGE_BYTES: usize = 4 << 20;
/// Records read at a time, newest first.
const GROUP: usize = 32;
/// Records looked at for one blob at most.
const MOST_REFERERS: usize = 100;

/// Which end a list begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Smallest record key first.
    Ascending,
    /// Greatest record key first: with TIDs the newest.
    Descending,
}

/// A page of records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordPage {
    /// The records, with their bodies.
    pub rows: Vec<RecordRow>,
    /// The last key looked at, when there may be more beyond it.
    pub next: Option<String>,
}

/// A page of blobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlobPage {
    /// Blobs that are held and that a record of the current repo names.
    pub cids: Vec<Cid>,
    /// The last one looked at, when there may be more after it.
    pub next: Option<Cid>,
}

/// What `describeRepo` tells.
#[derive(Debug, Clone)]
pub struct Description {
    /// The state it belongs to.
    pub view: View,
    /// The handle that resolved both ways last.
    pub handle: Option<String>,
    /// The DID document as it was seen last, JSON.
    pub document: Option<Vec<u8>>,
    /// Collections with records.
    pub collections: Vec<String>,
}

/// The least key after all keys of a collection.
fn end_of(collection: &Nsid) -> Vec<u8> {
    format!("{collection}0").into_bytes()
}

fn bytes(rows: &[RecordRow]) -> usize {
    rows.iter().map(|row| row.body.as_ref().map_or(0, Vec::len)).sum()
}

impl Reading {
    /// At most `limit` records of one collection beyond a record key. Blocked, damaged and lost ones are left out.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn list(
        &self,
        viewer: Viewer,
        seen: &View,
        collection: &Nsid,
        (beyond, order): (Option<&str>, Order),
        limit: usize,
    ) -> Result<RecordPage, Refusal> {
        let (mut rows, full) = match order {
            Order::Ascending => self.first_rows(seen, collection, beyond, limit).await?,
            Order::Descending => self.last_rows(seen, collection, beyond, limit).await?,
        };
        let next = rows.last().filter(|_| full).map(|row| row.key.rkey().to_owned());
        let list = self.block_list().await?;
        let shown = |row: &RecordRow| viewer == Viewer::Operator || !list.contains_key(&row.cid);
        rows.retain(|row| !row.damaged && row.body.is_some() && shown(row));
        Ok(RecordPage { rows, next })
    }

    async fn first_rows(
        &self,
        seen: &View,
        collection: &Nsid,
        beyond: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<RecordRow>, bool), Refusal> {
        let query = RecordsQuery {
            from: format!("{collection}/{}", beyond.unwrap_or_default()).into_bytes(),
            inclusive: beyond.is_none(),
            until: Some(end_of(collection)),
            max_rows: limit,
            max_bytes: PAGE_BYTES,
            at: Some(seen.head.rev),
            ..RecordsQuery::all(seen.repo.id)
        };
        let rows = self.store.records(query).await?;
        let full = rows.len() >= limit || bytes(&rows) >= PAGE_BYTES;
        Ok((rows, full))
    }

    async fn last_rows(
        &self,
        seen: &View,
        collection: &Nsid,
        beyond: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<RecordRow>, bool), Refusal> {
        let newest = Newest {
            repo: seen.repo.id,
            at: seen.head.rev,
            collection: collection.clone(),
            before: beyond.map(str::to_owned),
            limit,
            max_bytes: PAGE_BYTES,
        };
        if let Some(rows) = self.store.newest(newest).await? {
            let full = rows.len() >= limit || bytes(&rows) >= PAGE_BYTES;
            return Ok((rows, full));
        }
        // The head has moved since it was looked at: what it was is put together from the history.
        let until =
            beyond.map_or_else(|| end_of(collection), |rkey| format!("{collection}/{rkey}").into_bytes());
        let keys = self.last_keys(seen, format!("{collection}/").as_bytes(), &until, limit).await?;
        let mut rows: Vec<RecordRow> = Vec::with_capacity(keys.len());
        // They lie side by side, so one look gives many, in the other order; not too many, because they may be large.
        for group in keys.chunks(GROUP) {
            let (Some(greatest), Some(least)) = (group.first(), group.last()) else { break };
            let mut until = greatest.as_bytes().to_vec();
            until.push(0);
            let found = self.rows_at(seen, least.as_bytes(), Some(&until), true).await?;
            rows.extend(found.into_iter().rev());
            if bytes(&rows) >= PAGE_BYTES {
                let mut taken = 0_usize;
                let fits = rows.iter().take_while(|row| {
                    let room = taken < PAGE_BYTES;
                    taken = taken.saturating_add(row.body.as_ref().map_or(0, Vec::len));
                    room
                });
                let fits = fits.count();
                rows.truncate(fits);
                return Ok((rows, true));
            }
        }
        Ok((rows, keys.len() >= limit))
    }

    /// The last `limit` keys from `low` up to `until`, greatest first. Buckets are read from the end.
    async fn last_keys(
        &self,
        seen: &View,
        low: &[u8],
        until: &[u8],
        limit: usize,
    ) -> Result<Vec<RecordPath>, Refusal> {
        let (mut index, mut keys) = (seen.spine.bucket_of(until), Vec::new());
        while let Some((lo, hi)) = seen.spine.range(index) {
            let (from, to) = (lo.max(low), hi.map_or(until, |hi| hi.min(until)));
            if from < to {
                let rows = self.rows_at(seen, from, Some(to), false).await?;
                let left = limit.saturating_sub(keys.len());
                keys.extend(rows.into_iter().rev().take(left).map(|row| row.key));
            }
            if keys.len() >= limit || lo <= low {
                break;
            }
            index = index.saturating_sub(1);
        }
        Ok(keys)
    }

    /// Blobs that can be had, after a CID; with `since` only those that a record names which appeared after that rev.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn list_blobs(
        &self,
        viewer: Viewer,
        seen: &View,
        since: Option<Tid>,
        after: Option<Cid>,
        limit: usize,
    ) -> Result<BlobPage, Refusal> {
        let did = &seen.repo.did;
        let list = self.block_list().await?;
        let (mut page, mut after, mut looked_at) = (BlobPage::default(), after, 0_usize);
        while page.cids.len() < limit && looked_at < MOST_LOOKED_AT {
            let rows = self.store.blobs(did, BlobFilter::All, after.as_ref(), limit).await?;
            let more = rows.len() >= limit;
            for row in rows {
                looked_at = looked_at.saturating_add(1);
                after = Some(row.cid);
                let shown = row.state == BlobState::Held
                    && (viewer == Viewer::Operator || !list.contains_key(&row.cid));
                if shown && self.named_since(seen, &row, since).await? {
                    page.cids.push(row.cid);
                }
                if page.cids.len() >= limit || looked_at >= MOST_LOOKED_AT {
                    break;
                }
            }
            if !more {
                // The last row of all may have filled the page.
                page.next = after.filter(|_| page.cids.len() >= limit);
                return Ok(page);
            }
        }
        page.next = after;
        Ok(page)
    }

    async fn named_since(&self, seen: &View, row: &BlobRow, since: Option<Tid>) -> Result<bool, Refusal> {
        let Some(since) = since else { return Ok(self.store.blob_named(&seen.repo.did, &row.cid).await?) };
        let referers = self.store.blob_referers(&seen.repo.did, &row.cid).await?;
        if referers.len() > MOST_REFERERS {
            // Naming one blob more than was asked for does no harm.
            return Ok(true);
        }
        for key in referers {
            let query = RecordsQuery {
                from: key.as_bytes().to_vec(),
                max_rows: 1,
                ..RecordsQuery::all(seen.repo.id).keys_only()
            };
            let rows = self.store.records(query).await?;
            if rows.first().is_some_and(|record| record.key == key && record.since > since) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is known of an account.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn describe(&self, viewer: Viewer, did: &Did) -> Result<Description, Refusal> {
        let view = self.view(viewer, did).await?;
        let identity = self.store.identity(did).await?;
        let collections = self.collections_of(&view).await?;
        let handle = view.account.handle.clone();
        Ok(Description { view, handle, document: identity.map(|row| row.doc), collections })
    }

    /// Names of the collections with records: one look-up of a key for each.
    pub(crate) async fn collections_of(&self, seen: &View) -> Result<Vec<String>, Refusal> {
        let mut found: Vec<String> = Vec::new();
        let mut query = RecordsQuery {
            max_rows: 1,
            at: Some(seen.head.rev),
            ..RecordsQuery::all(seen.repo.id).keys_only()
        };
        while let Some(row) = self.store.records(query.clone()).await?.into_iter().next() {
            let collection = row.key.collection().to_owned();
            // The least key after all of this collection: `/` is followed by `0`.
            query.from = format!("{collection}0").into_bytes();
            found.push(collection);
        }
        Ok(found)
    }
}
