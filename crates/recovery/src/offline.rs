//! The offline archive: pages beside an export that any browser opens from disk, without a network and without a server.
//!
//! What the pages are made of was written by others and is shown as text: `layout.rs` has the policy that every page
//! carries, `shown.rs` what text may be, `media.rs` which files may be opened. The driver here reads through the same
//! door as the export, page by page; nothing but the order of the posts and the list of blobs is held in memory.

mod front;
mod layout;
pub(crate) mod media;
mod post;
mod search;
mod shown;
mod table;
mod timeline;
mod when;

use std::collections::HashSet;
use std::path::PathBuf;

use maud::html;
use p2pds_archive::{Phase, Unit};
use p2pds_ipld::cbor::{Limits, Value, decode};
use p2pds_reading::{Order, Reading, Refusal, View, Viewer};
use p2pds_store::VerifiedState;
use p2pds_syntax::{Nsid, RecordPath};
use sha2::{Digest as _, Sha256};

use crate::error::{RecoveryError, RecoveryResult};
use crate::export::{BlobLists, Export, sum_line};
use crate::folder::{blocking, write_file};
use crate::manifest::Readable;
use front::About;
use layout::{Among, POSTS, Place, SCRIPT, STYLE, Site, Tab, heading, page, pager};
use media::Blob;
use post::{Post, Quoted};
use search::{Index, Shelf};
use table::Record;

/// Where the pages lie that are not `index.html`.
pub(crate) const PAGES: &str = "pages";
/// The first page.
pub(crate) const INDEX: &str = "index.html";
/// Records read at a time.
const READ: usize = 500;
/// Posts that lie so far apart in the repo are read one by one.
const APART: usize = 1_000;

/// What the pages need of the rest of the export.
pub(crate) struct Beside<'a> {
    pub(crate) blobs: &'a BlobLists,
    pub(crate) missing_records: u64,
    /// The text on how to restore.
    pub(crate) text: &'a str,
}

/// Pages being written.
struct Pages<'e> {
    door: &'e Reading,
    view: View,
    dir: PathBuf,
    site: Site,
    index: Index,
    sums: Vec<u8>,
    lines: Sha256,
    files: u64,
    counter: p2pds_archive::Counter,
}

impl Export<'_> {
    /// Writes `index.html` and `pages/`.
    pub(crate) async fn write_pages(&mut self, beside: &Beside<'_>) -> RecoveryResult<Readable> {
        let counter =
            self.progress.begin(Phase::Export, Unit::Records, Some(self.repo.records), "writing the pages");
        let view = self.door.view(Viewer::Operator, &self.account.did).await?;
        let collections = self.archive.store().collections(self.repo.id).await?;
        let mut site = Site {
            did: self.account.did.to_string(),
            handle: self.account.handle.clone(),
            rev: self.head.rev.to_string(),
            tool: self.archive.config().tool.clone(),
            collections: collections.into_iter().filter(|row| row.records > 0).collect(),
            dirs: self.record_dirs.clone(),
            ..Site::default()
        };
        let names = site.collections.iter().map(|row| row.collection.clone());
        site.numbers = names.zip(1..).collect();
        for blob in &beside.blobs.held {
            if let Ok(cid) = blob.cid.parse() {
                let ending = blob.file.as_deref().and_then(|name| name.rsplit_once('.')).map(|(_, end)| end);
                let ending = media::ENDINGS.into_iter().find(|known| ending == Some(known)).unwrap_or("bin");
                site.media.insert(cid, Blob::Held(ending));
            }
        }
        for blob in &beside.blobs.missing {
            if let Ok(cid) = blob.cid.parse() {
                site.media.insert(cid, Blob::Missing(blob.reason.clone()));
            }
        }
        let mut pages = Pages {
            door: &self.door,
            view,
            dir: self.folder.dir().to_owned(),
            site,
            index: Index::default(),
            sums: Vec::new(),
            lines: Sha256::new(),
            files: 0,
            counter,
        };
        let profile = pages.record("app.bsky.actor.profile", "self").await?;
        pages.site.name = name_of(profile.as_ref(), &pages.site);
        let about = About {
            profile: profile.as_ref(),
            records: self.repo.records,
            blobs: beside.blobs.held.len() as u64,
            blob_bytes: beside.blobs.bytes,
            missing_blobs: beside.blobs.missing.len() as u64,
            missing_records: beside.missing_records,
            verified: self.account.verified == VerifiedState::Verified,
        };
        pages.write_posts(&about).await?;
        pages.write_tables().await?;
        pages.write_rest(beside.text).await?;
        let Pages { sums, lines, files, counter, .. } = pages;
        counter.finish(format!("{files} files to read in a browser"));
        self.sums.extend_from_slice(&sums);
        Ok(Readable { files, sha256: data_encoding::HEXLOWER.encode(&lines.finalize()) })
    }
}

/// The name that an account gives itself, else its handle, else its DID.
fn name_of(profile: Option<&Value>, site: &Site) -> String {
    let said = profile.and_then(|profile| profile.get("displayName")).and_then(Value::as_text);
    let said = said.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    said.or_else(|| site.handle.clone()).unwrap_or_else(|| site.did.clone())
}

impl Pages<'_> {
    /// One record; `None` when there is none that can be read.
    async fn record(&self, collection: &str, rkey: &str) -> RecoveryResult<Option<Value>> {
        let Ok(path) = RecordPath::parse(&format!("{collection}/{rkey}")) else { return Ok(None) };
        match self.door.served_record(Viewer::Operator, &self.view, &path).await {
            Ok(row) => Ok(row.body.and_then(|body| decode(&body, &Limits::RECORD).ok())),
            Err(Refusal::NoRecord { .. } | Refusal::Damaged { .. }) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn put(&mut self, path: &str, text: String) -> RecoveryResult<()> {
        let place = self.dir.join(path);
        let written = blocking(move || write_file(&place, text.as_bytes())).await?;
        let line = sum_line(path, &written.sha256);
        self.lines.update(line.as_bytes());
        self.sums.extend_from_slice(line.as_bytes());
        self.files = self.files.saturating_add(1);
        Ok(())
    }

    /// Writes the files of the index that are full.
    async fn put_index(&mut self) -> RecoveryResult<()> {
        for (number, text) in std::mem::take(&mut self.index.full) {
            self.put(&format!("pages/search/{number}.js"), text).await?;
        }
        Ok(())
    }

    fn shelf(&self, collection: &str) -> Shelf {
        let beside = |path: &str| path.strip_prefix("pages/").unwrap_or(path).to_owned();
        Shelf {
            heading: heading(collection),
            folder: beside(&self.site.folder(collection)),
            first: (collection == POSTS).then(|| format!("../{}", Tab::Timeline.path())),
        }
    }

    /// The order of the posts, then their pages, the first of which has the account above it.
    async fn write_posts(&mut self, about: &About<'_>) -> RecoveryResult<()> {
        let collection = Nsid::parse(POSTS).map_err(|e| RecoveryError::Bug(e.to_string()))?;
        let mut beyond: Option<String> = None;
        loop {
            let from = (beyond.as_deref(), Order::Ascending);
            let found = self.door.list(Viewer::Operator, &self.view, &collection, from, READ).await?;
            for row in &found.rows {
                let value = row.body.as_deref().and_then(|body| decode(body, &Limits::RECORD).ok());
                let when = when::When::of(value.as_ref().unwrap_or(&Value::Null), row.key.rkey());
                self.site.timeline.push(row.key.rkey(), when);
            }
            beyond = found.next;
            if beyond.is_none() {
                break;
            }
        }
        self.site.timeline.arrange();
        let shelf = self.shelf(POSTS);
        for number in 1..=self.site.timeline.page_count() {
            let posts = self.posts_of(number, &collection).await?;
            let quoted = self.quoted_by(&posts).await?;
            let path = self.site.page(POSTS, number);
            let text = posts_page(&self.site, &path, number, about, &posts, &quoted);
            self.put(&path, text).await?;
            for post in &posts {
                if let Ok(key) = RecordPath::parse(&format!("{POSTS}/{}", post.rkey)) {
                    self.index.push(&shelf, &key, number, post.when(), &post.words());
                }
            }
            self.put_index().await?;
            self.counter.add(posts.len() as u64);
        }
        Ok(())
    }

    /// The posts of a page, newest first. They usually lie side by side in the repo, and are read so.
    async fn posts_of(&self, number: u32, collection: &Nsid) -> RecoveryResult<Vec<Post>> {
        let timeline = &self.site.timeline;
        let places = timeline.places(number);
        let wanted: HashSet<String> = places.iter().filter_map(|place| timeline.key(*place)).collect();
        let mut found = Quoted::new();
        let (first, last) = (places.iter().min().copied(), places.iter().max().copied());
        if let (Some(first), Some(last)) = (first, last)
            && last.saturating_sub(first) < APART
        {
            let mut beyond = first.checked_sub(1).and_then(|before| timeline.key(before));
            let mut left = last.saturating_sub(first).saturating_add(1);
            while left > 0 {
                let from = (beyond.as_deref(), Order::Ascending);
                let rows = self.door.list(Viewer::Operator, &self.view, collection, from, left).await?;
                left = left.saturating_sub(rows.rows.len());
                for row in rows.rows.into_iter().filter(|row| wanted.contains(row.key.rkey())) {
                    let value = row.body.as_deref().and_then(|body| decode(body, &Limits::RECORD).ok());
                    let rkey = row.key.rkey().to_owned();
                    found.insert(rkey.clone(), Post { rkey, value: value.unwrap_or(Value::Null) });
                }
                beyond = rows.next;
                if beyond.is_none() {
                    break;
                }
            }
        }
        let mut posts = Vec::with_capacity(places.len());
        for rkey in places.into_iter().filter_map(|place| timeline.key(place)) {
            match found.remove(&rkey) {
                Some(post) => posts.push(post),
                None => {
                    let value = self.record(POSTS, &rkey).await?.unwrap_or(Value::Null);
                    posts.push(Post { rkey, value });
                }
            }
        }
        Ok(posts)
    }

    /// The account's own posts that these quote.
    async fn quoted_by(&self, posts: &[Post]) -> RecoveryResult<Quoted> {
        let place = Place::of(&self.site, Tab::Timeline.path());
        let mut quoted = Quoted::new();
        for rkey in posts.iter().filter_map(|post| place.own_post(post.quotes()?)) {
            if quoted.contains_key(rkey) || self.site.timeline.page_of(rkey).is_none() {
                continue;
            }
            if let Some(value) = self.record(POSTS, rkey).await? {
                quoted.insert(rkey.to_owned(), Post { rkey: rkey.to_owned(), value });
            }
        }
        Ok(quoted)
    }

    /// Every other collection, newest key first.
    async fn write_tables(&mut self) -> RecoveryResult<()> {
        let collections: Vec<String> =
            self.site.collections.iter().map(|row| row.collection.clone()).collect();
        for name in collections.iter().filter(|name| *name != POSTS) {
            // A name that is none cannot be asked for by name; its records are in records/ and in repo.car.
            let Ok(collection) = Nsid::parse(name) else { continue };
            let shelf = self.shelf(name);
            let (mut beyond, mut waiting, mut number) = (None::<String>, Vec::new(), 1_u32);
            loop {
                let from = (beyond.as_deref(), Order::Descending);
                let found = self.door.list(Viewer::Operator, &self.view, &collection, from, READ).await?;
                waiting.extend(found.rows.into_iter().map(|row| Record {
                    rkey: row.key.rkey().to_owned(),
                    value: row.body.and_then(|body| decode(&body, &Limits::RECORD).ok()),
                }));
                beyond = found.next;
                // One more than fits says that there is another page.
                while waiting.len() > table::PER_PAGE || (beyond.is_none() && !waiting.is_empty()) {
                    let rest = waiting.split_off(waiting.len().min(table::PER_PAGE));
                    let more = !rest.is_empty() || beyond.is_some();
                    self.write_table(name, &shelf, number, &waiting, more).await?;
                    waiting = rest;
                    number = number.saturating_add(1);
                }
                if beyond.is_none() {
                    break;
                }
            }
            if number == 1 {
                self.write_table(name, &shelf, number, &[], false).await?;
            }
        }
        self.index.close();
        self.put_index().await
    }

    async fn write_table(
        &mut self,
        name: &str,
        shelf: &Shelf,
        number: u32,
        records: &[Record],
        more: bool,
    ) -> RecoveryResult<()> {
        let path = self.site.page(name, number);
        let text = table_page(&self.site, &path, name, number, records, more);
        self.put(&path, text).await?;
        for record in records {
            if let Ok(key) = RecordPath::parse(&format!("{name}/{}", record.rkey)) {
                self.index.push(shelf, &key, number, record.when(), &record.words());
            }
        }
        self.put_index().await?;
        self.counter.add(records.len() as u64);
        Ok(())
    }

    async fn write_rest(&mut self, text: &str) -> RecoveryResult<()> {
        self.put(Tab::Months.path(), front::months(&self.site)).await?;
        for number in 1..=front::collection_pages(&self.site) {
            let (path, page) = front::collections(&self.site, number);
            self.put(&path, page).await?;
        }
        self.put(Tab::Search.path(), front::search(&self.site, self.index.count())).await?;
        self.put(Tab::Restore.path(), front::restore(&self.site, text)).await?;
        self.put(STYLE, include_str!("offline/style.css").to_owned()).await?;
        self.put(SCRIPT, include_str!("offline/search.js").to_owned()).await
    }
}

fn posts_page(
    site: &Site,
    path: &str,
    number: u32,
    about: &About<'_>,
    posts: &[Post],
    quoted: &Quoted,
) -> String {
    let place = Place::of(site, path);
    let last = site.timeline.page_count();
    let among = Among { collection: POSTS, page: number, last: Some(last), more: number < last };
    let body = html! {
        @if number == 1 {
            (front::account(place, about))
            h2 { "Posts" }
        } @else {
            h1 { "Posts" }
        }
        @if site.timeline.len() == 0 { p { "There are no posts." } }
        (pager(place, among, "Pages"))
        @for one in posts { (post::post(place, one, quoted)) }
        (pager(place, among, "Pages, below"))
    };
    let title = if number == 1 { "Archive".to_owned() } else { format!("Posts, page {number}") };
    page(place, Tab::Timeline, &title, &body)
}

fn table_page(site: &Site, path: &str, name: &str, number: u32, records: &[Record], more: bool) -> String {
    let place = Place::of(site, path);
    let heading = heading(name);
    let among = Among { collection: name, page: number, last: None, more };
    let body = html! {
        h1 { (heading) }
        p.uri { (name) }
        @if records.is_empty() { p { "Nothing of this can be shown: its records are damaged or were lost." } }
        (pager(place, among, "Pages"))
        (table::table(place, name, &heading, records))
        (pager(place, among, "Pages, below"))
    };
    page(place, Tab::Collections, &format!("{heading}, page {number}"), &body)
}

#[cfg(test)]
mod tests;
