//! Follows, likes, reposts and blocks: one of each for a subject, and the newest wins.
//!
//! Clients count on it: a second like of the same post takes the place of the first. For that each such record is
//! kept with a mark of its subject, beside the repo and in the same unit as the commit.

use p2pds_ipld::cbor::Value;
use p2pds_store::RepoId;
use p2pds_store::hosting::{LinkRow, LinksUnit};
use p2pds_syntax::{AtUri, Did, RecordPath};

use super::hot::Hot;
use super::prepare::{Aim, Prepared};
use super::resolve::Changed;
use crate::{Host, HostResult};

/// Most duplicates that one write replaces; more than one is there only when somebody wrote without validation.
const MOST: usize = 100;

/// Mark of a subject: the first half of its SHA-256.
pub(super) type Link = [u8; 16];

/// Where the subject stands in the records of a collection.
enum Subject {
    /// `subject` is a DID.
    Account,
    /// `subject.uri` is an AT URI.
    Record,
}

fn subject_of(collection: &str) -> Option<Subject> {
    match collection {
        "app.bsky.graph.follow" | "app.bsky.graph.block" => Some(Subject::Account),
        "app.bsky.feed.like" | "app.bsky.feed.repost" => Some(Subject::Record),
        _ => None,
    }
}

/// Whether records of a collection have a subject that counts.
pub(super) fn has_links(collection: &str) -> bool {
    subject_of(collection).is_some()
}

/// Mark of a record's subject; none for other collections and for subjects that are none.
pub(super) fn link_of(collection: &str, record: &Value) -> Option<Link> {
    let subject = record.get("subject");
    let text = match subject_of(collection)? {
        Subject::Account => subject?.as_text().filter(|text| Did::parse(text).is_ok())?,
        Subject::Record => subject?.get("uri")?.as_text().filter(|text| AtUri::parse(text).is_ok())?,
    };
    mark(text)
}

fn mark(text: &str) -> Option<Link> {
    p2pds_ipld::Cid::of_raw(text.as_bytes()).digest().first_chunk().copied()
}

impl Host {
    /// Records that the new ones replace: of the same collection and subject.
    pub(super) async fn duplicates(&self, hot: &Hot, prepared: &[Prepared]) -> HostResult<Vec<RecordPath>> {
        let mut found: Vec<RecordPath> = Vec::new();
        for write in prepared.iter().filter(|write| write.aim == Aim::Create) {
            let Some(link) = write.block.as_ref().and_then(|block| block.link) else { continue };
            let collection = write.path.collection();
            for path in self.store().linked(hot.repo().id, collection, link, MOST).await? {
                // What the call itself writes there is judged by itself.
                if !prepared.iter().any(|write| write.path == path) && !found.contains(&path) {
                    found.push(path);
                }
            }
        }
        Ok(found)
    }
}

/// The unit that keeps the marks up to date; none when nothing of it changes.
pub(super) fn links_unit(did: &Did, repo: RepoId, changes: &[Changed<'_>]) -> Option<LinksUnit> {
    let mut unit = LinksUnit { did: did.clone(), repo, put: Vec::new(), gone: Vec::new() };
    for change in changes.iter().filter(|change| has_links(change.path.collection())) {
        match change.new.and_then(|block| block.link) {
            Some(target) => unit.put.push(LinkRow { path: change.path.clone(), target }),
            None if change.old.is_some() => unit.gone.push(change.path.clone()),
            None => {}
        }
    }
    (!unit.put.is_empty() || !unit.gone.is_empty()).then_some(unit)
}

/// The mark of a stored record's subject.
pub(super) fn link_of_block(path: &RecordPath, block: &[u8]) -> Option<LinkRow> {
    let collection = path.collection();
    if !has_links(collection) {
        return None;
    }
    let record = p2pds_ipld::cbor::decode(block, &p2pds_ipld::cbor::Limits::RECORD).ok()?;
    link_of(collection, &record).map(|target| LinkRow { path: path.clone(), target })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value {
        Value::Text(value.to_owned())
    }

    #[test]
    fn subjects_of_the_four_collections() {
        let follow = Value::map([("subject", text("did:plc:ewvi7nxzyoun6zhxrhs64oiz"))]);
        let like = |uri| Value::map([("subject", Value::map([("uri", text(uri))]))]);
        let post = like("at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/app.bsky.feed.post/3jzfcijpj2z2a");
        assert!(link_of("app.bsky.graph.follow", &follow).is_some());
        assert_eq!(link_of("app.bsky.graph.block", &follow), link_of("app.bsky.graph.follow", &follow));
        assert!(link_of("app.bsky.feed.like", &post).is_some());
        assert_ne!(link_of("app.bsky.feed.like", &post), link_of("app.bsky.graph.follow", &follow));
        assert_eq!(link_of("app.bsky.feed.like", &follow), None);
        assert_eq!(link_of("app.bsky.feed.like", &like("https://example.com")), None);
        assert_eq!(link_of("app.bsky.feed.post", &post), None);
        let path = RecordPath::parse("app.bsky.graph.follow/3jzfcijpj2z2a").unwrap();
        let row = link_of_block(&path, &p2pds_ipld::cbor::encode(&follow)).unwrap();
        assert_eq!(Some(row.target), link_of("app.bsky.graph.follow", &follow));
    }
}
