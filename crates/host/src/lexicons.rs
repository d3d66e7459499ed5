//! Schemas of records: what everybody uses is known from the start, the rest is asked for where its authority
//! publishes it.
//!
//! A schema is found by the TXT record `_lexicon.<authority>`, which names an account, and by that account's record
//! `com.atproto.lexicon.schema/<nsid>`, which is fetched with its proof and checked against the account's key. What
//! was found is kept in memory for a day at most; what was not found is not asked for again for a while.
//!
//! A write waits for an answer no longer than [`PATIENCE`]. Who is told `Unknown` is told the truth: nobody here knows
//! the schema at that moment.

mod cache;
mod fetch;
mod notation;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use p2pds_ipld::cbor::Value;
use p2pds_lexicon::{Catalog, ValidationError};
use p2pds_syntax::{Nsid, Rkey};

use crate::jobs::Job;
use crate::{Host, HostResult};
use cache::{Cache, Found};
pub use fetch::proved;
pub(crate) use fetch::published;

/// The longest that a write waits for a schema that is not known yet.
pub const PATIENCE: Duration = Duration::from_millis(250);
/// Schemas asked for at a time.
const AT_ONCE: usize = 4;

/// What the schema of a collection says of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Validation {
    /// It fits.
    Valid,
    /// Nobody here knows the schema, or a part of it.
    Unknown,
    /// It breaks the schema: where, and how.
    Invalid(String),
}

/// The schemas that this host knows.
#[derive(Debug, Default)]
pub struct Lexicons {
    cache: Cache,
}

/// The types in `known.lex`.
fn known() -> &'static Catalog {
    static KNOWN: OnceLock<Catalog> = OnceLock::new();
    // A test reads the file; without it nothing would be known, and all records would be taken as unknown.
    KNOWN.get_or_init(|| notation::read(include_str!("lexicons/known.lex")).unwrap_or_default())
}

impl Lexicons {
    /// Checks a record with what is known now. `now` is microseconds since 1970.
    #[must_use]
    pub fn validate(&self, collection: &Nsid, rkey: &Rkey, record: &Value, now: i64) -> Validation {
        if known().get(collection).is_some() {
            return judge(known(), collection, rkey, record);
        }
        match self.cache.look(collection, now) {
            Found::Schema(catalog) => judge(&catalog, collection, rkey, record),
            Found::Nothing | Found::Unasked => Validation::Unknown,
        }
    }
}

fn judge(catalog: &Catalog, collection: &Nsid, rkey: &Rkey, record: &Value) -> Validation {
    match catalog.validate_record(collection, rkey, record) {
        Ok(()) => Validation::Valid,
        // A part that is not known: the rest could be wrong as well, but this is not for sure.
        Err(ValidationError::UnknownSchema { .. }) => Validation::Unknown,
        Err(error) => Validation::Invalid(error.to_string()),
    }
}

impl Host {
    /// Checks a record. A schema that is not known is asked for, and waited for until [`PATIENCE`] is over.
    pub async fn check_record(&self, collection: &Nsid, rkey: &Rkey, record: &Value) -> Validation {
        let lexicons = self.lexicons();
        if known().get(collection).is_none()
            && matches!(lexicons.cache.look(collection, self.now()), Found::Unasked)
        {
            let answered = lexicons.cache.ask(collection);
            let _ = tokio::time::timeout(PATIENCE, answered).await;
        }
        lexicons.validate(collection, rkey, record, self.now())
    }
}

/// Asks for the schemas that writes met and did not find.
pub struct Resolve;

#[async_trait]
impl Job for Resolve {
    fn name(&self) -> &'static str {
        "lexicons"
    }

    async fn round(&self, host: &Host) -> HostResult<Duration> {
        let cache = &host.lexicons().cache;
        let asked = stream::iter(std::iter::from_fn(|| cache.next_asked()));
        asked
            .for_each_concurrent(AT_ONCE, |nsid| async move {
                let found = fetch::schema(host, &nsid).await;
                if let Err(why) = &found {
                    tracing::debug!(event = "host.lexicon", %nsid, why, "its schema was not found");
                }
                cache.put(&nsid, found.ok().map(Arc::new), host.now());
            })
            .await;
        Ok(Duration::from_secs(3_600))
    }

    async fn wanted(&self, host: &Host) {
        host.lexicons().cache.wanted().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_types_are_read_and_hold_together() {
        let catalog = notation::read(include_str!("lexicons/known.lex")).unwrap();
        let records = catalog.len();
        assert!(records >= 30, "{records}");
        assert_eq!(catalog.dangling(), []);
        assert_eq!(known().len(), records);
    }

    #[test]
    fn what_is_known_is_judged_and_the_rest_is_not() {
        let lexicons = Lexicons::default();
        let rkey = Rkey::parse("3jzfcijpj2z2a").unwrap();
        let judge = |json: serde_json::Value, collection: &str| {
            let record = p2pds_ipld::json::record_from_json(&json).unwrap();
            lexicons.validate(&Nsid::parse(collection).unwrap(), &rkey, &record, 0)
        };
        let like = serde_json::json!({
            "$type": "app.bsky.feed.like", "createdAt": "2026-01-01T00:00:00Z",
            "subject": { "uri": "at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/app.bsky.feed.post/3jzfcijpj2z2a",
              "cid": "bafkreialafggpdsktthijxzfx5ie66lj4mysm3mi362jlkjmfpgrzeban4" },
        });
        assert_eq!(judge(like.clone(), "app.bsky.feed.like"), Validation::Valid);
        let mut bad = like.clone();
        bad["subject"] = "x".into();
        let Validation::Invalid(why) = judge(bad, "app.bsky.feed.like") else { panic!() };
        assert!(why.contains("subject"), "{why}");
        assert_eq!(judge(like, "com.example.thing"), Validation::Unknown);
    }
}
