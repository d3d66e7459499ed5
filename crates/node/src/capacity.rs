//! How much is stored, how fast it grows, and when the disk is full.
//!
//! A running node notes once a day how much it stores, and once a week how much of each account.
//! The forecast (`forecast.rs`) is made of these notes when somebody asks.

mod forecast;

use std::collections::HashMap;

use p2pds_store::{Account, CHUNK_ROWS, SampleRow, Unit};
use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};

use crate::node::engine::Engine;
use crate::words;
pub use forecast::{Forecast, Growth, Point};

/// A day in microseconds.
const DAY: i64 = 86_400_000_000;
/// The node's samples are kept for so long.
const KEPT: i64 = 800 * DAY;
/// An account's samples are kept for so long.
const KEPT_OF_ACCOUNTS: i64 = 70 * DAY;
/// Growth is measured over so long.
const WINDOW: i64 = 60 * DAY;
/// Growth of accounts is measured over so long.
const MONTH: i64 = 35 * DAY;
/// Accounts named.
const NAMED: usize = 10;
/// Accounts read at a time.
const PAGE: usize = 500;

/// What `p2pds capacity` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// When this was measured, microseconds since 1970.
    pub at: i64,
    /// Bytes of the database file.
    pub db_bytes: u64,
    /// Bytes of the blobs held.
    pub blob_bytes: u64,
    /// Bytes of the current records, as they count for quotas.
    pub record_bytes: u64,
    /// Bytes free on the disk.
    pub disk_free: u64,
    /// Bytes of the disk.
    pub disk_total: u64,
    /// Bytes that stay free (archive.keep_free).
    pub keep_free: u64,
    /// Limit of all accounts together (archive.quota_total).
    pub quota_total: Option<u64>,
    /// Accounts that have reached a limit.
    pub accounts_full: u64,
    /// What follows.
    pub forecast: Forecast,
    /// The accounts that grew most, at most ten.
    pub growers: Vec<Grower>,
}

/// One account and its growth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grower {
    /// DID.
    pub did: String,
    /// Handle, when one is known.
    pub handle: Option<String>,
    /// Bytes stored of it: records and blobs.
    pub bytes: u64,
    /// Bytes more than at `since`.
    pub grown: u64,
    /// Since when, microseconds since 1970.
    pub since: i64,
    /// It was added since then.
    pub new: bool,
}

/// When the next sample is due.
///
/// # Errors
/// The store does not answer.
pub async fn next_sample(engine: &Engine) -> anyhow::Result<i64> {
    let since = words::now_micros().saturating_sub(2 * DAY);
    let last = engine.store.samples(None, since).await?.last().map(|sample| sample.at);
    Ok(last.map_or(0, |at| at.saturating_add(DAY)))
}

/// Notes what is stored now: of the node, and once a week of each account.
///
/// # Errors
/// The store does not answer.
pub async fn sample(engine: &Engine, now: i64) -> anyhow::Result<()> {
    let known: HashMap<Did, SampleRow> = engine
        .store
        .first_samples(now.saturating_sub(7 * DAY).saturating_add(DAY / 2))
        .await?
        .into_iter()
        .filter_map(|sample| Some((sample.did.clone()?, sample)))
        .collect();
    let mut whole = measure(engine, now).await?;
    let mut rows = Vec::new();
    for account in accounts(engine).await? {
        whole.record_bytes = whole.record_bytes.saturating_add(account.record_bytes);
        whole.blob_bytes = whole.blob_bytes.saturating_add(account.blob_bytes);
        if !known.contains_key(&account.did) {
            rows.push(SampleRow {
                at: now,
                record_bytes: account.record_bytes,
                blob_bytes: account.blob_bytes,
                db_bytes: 0,
                disk_free: 0,
                did: Some(account.did),
            });
        }
    }
    let keep_from = now.saturating_sub(KEPT_OF_ACCOUNTS);
    for rows in rows.chunks(CHUNK_ROWS) {
        engine.store.apply(Unit::PutSamples { rows: rows.to_vec(), keep_from }).await?;
    }
    let keep_from = now.saturating_sub(KEPT);
    engine.store.apply(Unit::PutSamples { rows: vec![whole], keep_from }).await?;
    Ok(())
}

/// The sizes of the node, without the sums over its accounts.
async fn measure(engine: &Engine, now: i64) -> anyhow::Result<SampleRow> {
    let stats = engine.store.stats().await?;
    let space = p2pds_blobs::space(&engine.dir)?;
    Ok(SampleRow {
        did: None,
        at: now,
        record_bytes: 0,
        blob_bytes: 0,
        db_bytes: stats.db_bytes.saturating_sub(stats.free_bytes),
        disk_free: space.free,
    })
}

async fn accounts(engine: &Engine) -> anyhow::Result<Vec<Account>> {
    let mut all: Vec<Account> = Vec::new();
    loop {
        let page = engine.store.accounts(all.last().map(|account| &account.did), PAGE).await?;
        let full = page.len() >= PAGE;
        all.extend(page);
        if !full {
            all.retain(|account| !account.purging);
            return Ok(all);
        }
    }
}

/// What is stored, how it grows and where that leads.
///
/// # Errors
/// The store or the disk does not answer.
pub async fn report(engine: &Engine, now: i64) -> anyhow::Result<Report> {
    engine.archive.recount().await?;
    let mut whole = measure(engine, now).await?;
    let accounts = accounts(engine).await?;
    let mut accounts_full = 0_u64;
    for account in &accounts {
        whole.record_bytes = whole.record_bytes.saturating_add(account.record_bytes);
        whole.blob_bytes = whole.blob_bytes.saturating_add(account.blob_bytes);
        let full = engine.archive.quota_of(account).1.is_some();
        accounts_full = accounts_full.saturating_add(u64::from(full));
    }
    let archive = engine.archive.config();
    let mut samples = engine.store.samples(None, now.saturating_sub(WINDOW)).await?;
    samples.push(whole.clone());
    let stored = points(&samples, |s| s.db_bytes.saturating_add(s.blob_bytes));
    let counted = points(&samples, |s| s.record_bytes.saturating_add(s.blob_bytes));
    let room = whole.disk_free.saturating_sub(archive.keep_free);
    let used = whole.record_bytes.saturating_add(whole.blob_bytes);
    let quota_room = archive.quota_total.map(|limit| limit.saturating_sub(used));
    Ok(Report {
        at: now,
        db_bytes: engine.store.stats().await?.db_bytes,
        blob_bytes: whole.blob_bytes,
        record_bytes: whole.record_bytes,
        disk_free: whole.disk_free,
        disk_total: p2pds_blobs::space(&engine.dir)?.total,
        keep_free: archive.keep_free,
        quota_total: archive.quota_total,
        accounts_full,
        forecast: Forecast::of(&stored, room, &counted, quota_room, now),
        growers: growers(engine, accounts, now).await?,
    })
}

fn points(samples: &[SampleRow], bytes: impl Fn(&SampleRow) -> u64) -> Vec<Point> {
    samples.iter().map(|sample| Point { at: sample.at, bytes: bytes(sample) }).collect()
}

async fn growers(engine: &Engine, accounts: Vec<Account>, now: i64) -> anyhow::Result<Vec<Grower>> {
    let from = now.saturating_sub(MONTH);
    let bases: HashMap<Did, SampleRow> = engine
        .store
        .first_samples(from)
        .await?
        .into_iter()
        .filter_map(|sample| Some((sample.did.clone()?, sample)))
        .collect();
    let mut all: Vec<Grower> = accounts
        .into_iter()
        .filter_map(|account| {
            let bytes = account.record_bytes.saturating_add(account.blob_bytes);
            let new = account.added_at >= from;
            let (before, since) = match bases.get(&account.did) {
                _ if new => (0, account.added_at),
                Some(base) => (base.record_bytes.saturating_add(base.blob_bytes), base.at),
                None => return None,
            };
            let grown = bytes.saturating_sub(before);
            let did = account.did.to_string();
            (grown > 0).then_some(Grower { did, handle: account.handle, bytes, grown, since, new })
        })
        .collect();
    all.sort_by(|a, b| b.grown.cmp(&a.grown).then_with(|| a.did.cmp(&b.did)));
    all.truncate(NAMED);
    Ok(all)
}
