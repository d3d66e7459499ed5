//! Taking in many accounts: who is meant, how much that will be, whether it fits, and beginning it so that a restart
//! loses nobody.
//!
//! Looking ([`Archive::look_at`]) asks the network and stores nothing but what resolving a name stores. It is bounded in
//! time: of many accounts some are looked at closely, and the rest is estimated from them. Taking in
//! ([`Archive::take_in`]) notes every account durably, with nothing stored of it yet; the node's own schedule fetches
//! them one by one, before and after a restart alike.
//!
//! `source.rs`: who is meant. `tree.rs`: how large a repo is, from the top of its tree. `estimate.rs`: the arithmetic.
//! `words.rs`: the same in plain English, for the command line.

mod estimate;
mod source;
mod tree;
mod words;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::StreamExt as _;
use p2pds_directory::Identity;
use p2pds_net::GetOptions;
use p2pds_store::{Account, AccountStatus, Origin, Unit, VerifiedState};
use p2pds_syntax::{AtIdentifier, Did};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::archive::{Archive, Inner};
use crate::error::{ArchiveError, ArchiveResult};
use crate::host::{Host, RepoStatus, status_of, status_words, withheld};
use crate::progress::{Phase, Progress, Unit as Counted};
pub use estimate::{Estimate, Span};
use estimate::{Here, Seen};
pub use source::{MOST_AT_ONCE, Source};

/// Accounts whose hosts are asked how much there is.
const LOOKED_AT: usize = 25;
/// Of so many accounts all are looked up, so that their names can be shown; of more only those whose hosts are asked.
const LOOKED_UP: usize = 50;
/// Look-ups at a time.
const RESOLVING: usize = 16;
/// Hosts asked at a time.
const ASKING: usize = 8;
/// Blobs whose sizes are asked for: of one account, and of each of several.
const MEASURED: (usize, usize) = (12, 4);
/// How long looking takes at most.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one account is looked at: when it is the only one, somebody waits for it to begin; and of several.
const PATIENCE_EACH: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(15));
/// Accounts that are noted at a time; they share flushes.
pub(crate) const NOTED_AT_ONCE: usize = 200;

/// An account that can be taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its DID.
    pub did: Did,
    /// Its handle; unknown when it was not looked up, or does not resolve both ways.
    pub handle: Option<String>,
    /// Its host; unknown when it was not looked up.
    pub host: Option<String>,
    /// Records and blobs; unknown when its host was not asked or did not say.
    pub size: Option<Span>,
    /// What else should be known, in plain words.
    pub remark: Option<String>,
}

impl Candidate {
    fn known(account: &Account) -> Self {
        let (handle, host) = (account.handle.clone(), account.pds.clone());
        Self { did: account.did.clone(), handle, host, size: None, remark: None }
    }
}

/// Somebody who cannot be taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotFound {
    /// The name that was given.
    pub name: String,
    /// Why, in plain words.
    pub why: String,
    /// There was no time left to look: another look may find it.
    pub later: bool,
}

/// Whether it fits on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// All of it, as far as can be told.
    Fits,
    /// Nothing is known that would bound it.
    Unknown,
    /// Perhaps not.
    MayNot,
    /// No.
    Not,
}

impl Fit {
    fn of(usable: u64, size: Span) -> Self {
        match size.high {
            _ if size.low > usable => Self::Not,
            None => Self::Unknown,
            Some(high) if high > usable => Self::MayNot,
            Some(_) => Self::Fits,
        }
    }

    /// A stable word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fits => "fits",
            Self::Unknown => "unknown",
            Self::MayNot => "may-not",
            Self::Not => "not",
        }
    }

    /// Whether somebody should be asked once more before it is begun.
    #[must_use]
    pub fn asks(self) -> bool {
        matches!(self, Self::MayNot | Self::Not)
    }
}

/// The disk now and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomNote {
    /// Bytes that may be used: free, less what stays free, and no more than archive.quota_total leaves.
    pub usable: u64,
    /// Bytes that stay free (archive.keep_free).
    pub keep_free: u64,
    /// What will then be left of the usable bytes: at least, and at most.
    pub after: Span,
    /// Whether it fits.
    pub fit: Fit,
}

/// What taking in these accounts would mean. Nothing is begun by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intake {
    /// Who was meant.
    pub source: Source,
    /// The account that the names were read from.
    pub of: Option<Did>,
    /// Where they were read: a host; `None` when it was this archive.
    pub read_at: Option<String>,
    /// Those who can be taken in.
    pub found: Vec<Candidate>,
    /// Those who are here already, and are left out.
    pub here: Vec<Candidate>,
    /// Those who cannot.
    pub not_found: Vec<NotFound>,
    /// There are more than [`MOST_AT_ONCE`]; the rest was left out.
    pub cut: bool,
    /// How much it will be.
    pub estimate: Estimate,
    /// Whether that fits.
    pub room: RoomNote,
}

/// What became of taking in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TakenIn {
    /// Accounts that are noted now and were not before.
    pub new: u64,
    /// Accounts that were here already.
    pub known: u64,
}

impl Archive {
    /// Who is meant, how much that will be, and whether it fits. Begins nothing.
    ///
    /// # Errors
    /// The account or list that names them cannot be read; the store does not answer.
    pub async fn look_at(&self, source: &Source, progress: &Progress) -> ArchiveResult<Intake> {
        let inner = self.inner();
        let until = Instant::now().checked_add(PATIENCE).unwrap_or_else(Instant::now);
        progress.send(Phase::Resolve, crate::Stage::Note, "finding out who is meant");
        let gathered = inner.gather(source).await?;
        let all = inner.all_accounts().await?;
        let mut sorting = Sorting::new(&all);
        for (name, why) in gathered.wrong {
            sorting.not_found.push(NotFound { name, why, later: false });
        }
        let (open, closed) = sorting.sort(gathered.who);
        let mut found = inner.look_up(open, &mut sorting, until, progress).await;
        found.extend(closed.into_iter().map(|did| Candidate {
            did,
            handle: None,
            host: None,
            size: None,
            remark: None,
        }));
        // A handle and a DID may name the same account.
        let mut met = HashSet::new();
        found.retain(|one| met.insert(one.did.clone()));
        let seen = inner.look_closely(&mut found, until, progress).await;
        let complete = all.iter().filter(|account| {
            account.verified == VerifiedState::Verified && account.blobs_missing == 0 && !account.purging
        });
        let here = Here::of(
            complete.map(|account| (account.car_bytes.max(account.record_bytes), account.blob_bytes)),
        );
        let sizes: Vec<u64> = seen.iter().flat_map(|(_, seen)| seen.sizes.iter().copied()).collect();
        for (did, seen) in &seen {
            if let Some(candidate) = found.iter_mut().find(|candidate| candidate.did == *did) {
                candidate.size = Some(estimate::of_one(seen, &sizes, &here));
            }
        }
        let seen: Vec<Seen> = seen.into_iter().map(|(_, seen)| seen).collect();
        let count = u64::try_from(found.len()).unwrap_or(u64::MAX);
        let estimate = estimate::estimate(count, &seen, &here, inner.config().quota_per_account);
        let (of, read_at) = gathered.of.unzip();
        Ok(Intake {
            source: source.clone(),
            of,
            read_at: read_at.flatten(),
            found,
            here: sorting.here,
            not_found: sorting.not_found,
            cut: gathered.cut,
            room: inner.room_for(estimate.size, &all)?,
            estimate,
        })
    }

    /// Notes these accounts durably, with nothing stored of them yet. A running node fetches them by its own schedule,
    /// this one or the one after the next start. Accounts that are here already stay as they are.
    ///
    /// # Errors
    /// The store does not answer; those noted until then stay noted, and doing it again goes on from there.
    pub async fn take_in(&self, candidates: &[Candidate]) -> ArchiveResult<TakenIn> {
        let inner = self.inner();
        let mut taken = TakenIn::default();
        for some in candidates.chunks(NOTED_AT_ONCE) {
            let mut waiting = Vec::new();
            for candidate in some {
                if inner.store().account(&candidate.did).await?.is_some() {
                    taken.known = taken.known.saturating_add(1);
                    continue;
                }
                let mut account = Account::new(candidate.did.clone(), Origin::Network, inner.now());
                account.handle.clone_from(&candidate.handle);
                account.pds.clone_from(&candidate.host);
                waiting.push(inner.store().submit(Unit::AddAccount(Box::new(account))));
            }
            for receipt in waiting {
                receipt.await?;
                taken.new = taken.new.saturating_add(1);
            }
        }
        self.wakes().job("sync");
        Ok(taken)
    }

    /// Whether so much fits on the disk as it is now.
    ///
    /// # Errors
    /// The disk or the store does not answer.
    pub async fn room_for(&self, size: Span) -> ArchiveResult<RoomNote> {
        let inner = self.inner();
        let all = match inner.config().quota_total {
            Some(_) => inner.all_accounts().await?,
            None => Vec::new(),
        };
        inner.room_for(size, &all)
    }
}

/// Tells those who are here already from the others, each once.
struct Sorting<'a> {
    by_did: HashMap<&'a Did, &'a Account>,
    by_handle: HashMap<&'a str, &'a Account>,
    met: HashSet<Did>,
    here: Vec<Candidate>,
    not_found: Vec<NotFound>,
}

impl<'a> Sorting<'a> {
    fn new(all: &'a [Account]) -> Self {
        let handles = all.iter().filter_map(|account| Some((account.handle.as_deref()?, account)));
        Self {
            by_did: all.iter().map(|account| (&account.did, account)).collect(),
            by_handle: handles.collect(),
            met: HashSet::new(),
            here: Vec::new(),
            not_found: Vec::new(),
        }
    }

    /// Whether an account is new, and met for the first time.
    fn is_new(&mut self, did: &Did) -> bool {
        if !self.met.insert(did.clone()) {
            return false;
        }
        let Some(account) = self.by_did.get(did) else { return true };
        let mut known = Candidate::known(account);
        known.remark = match (account.hosted, account.purging) {
            (true, _) => Some("it is hosted here".to_owned()),
            (_, true) => Some("it is being removed".to_owned()),
            _ => None,
        };
        self.here.push(known);
        false
    }

    /// Those to be looked up now, and those that need not be: of many accounts, most.
    fn sort(&mut self, who: Vec<AtIdentifier>) -> (Vec<AtIdentifier>, Vec<Did>) {
        let (mut names, mut dids) = (Vec::new(), Vec::new());
        for ident in who {
            match ident {
                AtIdentifier::Did(did) if self.is_new(&did) => dids.push(did),
                AtIdentifier::Did(_) => {}
                AtIdentifier::Handle(handle) => match self.by_handle.get(handle.as_str()).copied() {
                    Some(account) => {
                        self.is_new(&account.did);
                    }
                    None => names.push(AtIdentifier::Handle(handle)),
                },
            }
        }
        // Those looked up are spread over all of them: lists are in the order in which somebody made them.
        let most = if dids.len() <= LOOKED_UP { dids.len() } else { LOOKED_AT };
        let picked = spread(dids.len(), most);
        let (mut later, mut place) = (Vec::new(), 0_usize);
        for did in dids {
            if picked.contains(&place) {
                names.push(AtIdentifier::Did(did));
            } else {
                later.push(did);
            }
            place = place.saturating_add(1);
        }
        (names, later)
    }
}

/// `most` places out of `of`, evenly spread.
fn spread(of: usize, most: usize) -> HashSet<usize> {
    let most = most.min(of);
    let place = |n: usize| n.saturating_mul(of).checked_div(most).unwrap_or(0);
    (0..most).map(place).collect()
}

impl Inner {
    /// Looks names up; who is here already is put with those, who cannot be found with the others.
    async fn look_up(
        &self,
        names: Vec<AtIdentifier>,
        sorting: &mut Sorting<'_>,
        until: Instant,
        progress: &Progress,
    ) -> Vec<Candidate> {
        let total = u64::try_from(names.len()).ok();
        let counter = progress.begin(Phase::Resolve, Counted::Steps, total, "looking them up");
        let mut looked = futures::stream::iter(names.into_iter().map(|ident| async move {
            let answer = tokio::time::timeout_at(until, self.resolve(&ident)).await;
            (ident, answer)
        }))
        .buffered(RESOLVING);
        let mut found = Vec::new();
        while let Some((ident, answer)) = looked.next().await {
            counter.add(1);
            let name = ident.to_string();
            match answer {
                Ok(Ok(identity)) => found.extend(candidate(&identity, sorting)),
                Ok(Err(error)) => {
                    sorting.not_found.push(NotFound { name, why: error.to_string(), later: false });
                }
                Err(_) => {
                    let why = "there was no time left to look it up".to_owned();
                    sorting.not_found.push(NotFound { name, why, later: true });
                }
            }
        }
        counter.finish(String::new());
        found
    }

    /// Asks the hosts of some of these accounts how much there is. Those who are gone get a remark.
    async fn look_closely(
        &self,
        found: &mut [Candidate],
        until: Instant,
        progress: &Progress,
    ) -> Vec<(Did, Seen)> {
        let open: Vec<(usize, Did, String)> = found
            .iter()
            .enumerate()
            .filter_map(|(place, one)| Some((place, one.did.clone(), one.host.clone()?)))
            .collect();
        let picked = spread(open.len(), LOOKED_AT);
        let open: Vec<_> = open.into_iter().enumerate().filter(|(n, _)| picked.contains(n)).collect();
        let alone = open.len() == 1;
        let measured = if alone { MEASURED.0 } else { MEASURED.1 };
        let patience = if alone { PATIENCE_EACH.0 } else { PATIENCE_EACH.1 };
        let total = u64::try_from(open.len()).ok();
        let counter = progress.begin(Phase::Describe, Counted::Steps, total, "asking how much there is");
        let mut looked = futures::stream::iter(open.into_iter().map(|(_, (place, did, url))| async move {
            let each = Instant::now().checked_add(patience).unwrap_or(until).min(until);
            let answer = tokio::time::timeout_at(each, self.see(&did, &url, measured)).await;
            (place, did, answer.unwrap_or_default())
        }))
        .buffered(ASKING);
        let mut all = Vec::new();
        while let Some((place, did, (seen, remark))) = looked.next().await {
            counter.add(1);
            if let Some(one) = found.get_mut(place) {
                one.remark = one.remark.take().or(remark);
            }
            // A host that said nothing stands for nobody.
            if seen != Seen::default() {
                all.push((did, seen));
            }
        }
        counter.finish(String::new());
        all
    }

    /// What a host shows of an account, and what should be said about it.
    async fn see(&self, did: &Did, url: &str, measured: usize) -> (Seen, Option<String>) {
        let host = Host { net: self.net(), url, did };
        let (status, records, blobs) =
            futures::join!(host.status(), tree::size(&host), self.see_blobs(&host, measured));
        let status = match status {
            Ok(RepoStatus { active: true, .. }) => AccountStatus::Active,
            Ok(answer) => status_of(&answer),
            Err(error) => withheld(&error, true).unwrap_or(AccountStatus::Active),
        };
        let remark = (status != AccountStatus::Active).then(|| status_words(status, url));
        let (blobs, sizes) = blobs.unzip();
        (Seen { records, blobs, sizes: sizes.unwrap_or_default() }, remark)
    }

    /// How many blobs a host lists, and how large some of them are.
    async fn see_blobs(&self, host: &Host<'_>, measured: usize) -> Option<((u64, bool), Vec<u64>)> {
        // By their CIDs, in which there is no order that anybody chose: the first ones are as good as any.
        let (count, more, some) = host.some_blobs(measured).await.ok()?;
        let sizes = futures::future::join_all(some.iter().map(|cid| self.blob_size(host, cid))).await;
        Some(((count, more), sizes.into_iter().flatten().collect()))
    }

    /// The size that a host announces for a blob; its bytes are left where they are.
    async fn blob_size(&self, host: &Host<'_>, cid: &str) -> Option<u64> {
        let params = [("did", host.did.as_str()), ("cid", cid)];
        let options =
            GetOptions { retries: 0, ..GetOptions::stream(self.config().max_blob_bytes, PATIENCE_EACH.0) };
        let answer = self.net().xrpc_get(host.url, "com.atproto.sync.getBlob", &params, &options).await;
        answer.ok()?.announced_length()
    }

    fn room_for(&self, size: Span, all: &[Account]) -> ArchiveResult<RoomNote> {
        let (_, mut usable) = self.room()?;
        if let Some(limit) = self.config().quota_total {
            let used = all.iter().map(crate::quota::used).fold(0_u64, u64::saturating_add);
            usable = usable.min(limit.saturating_sub(used));
        }
        let after = Span {
            low: size.high.map_or(0, |high| usable.saturating_sub(high)),
            high: Some(usable.saturating_sub(size.low)),
        };
        Ok(RoomNote { usable, keep_free: self.config().keep_free, after, fit: Fit::of(usable, size) })
    }
}

/// Somebody who was looked up, unless he is here already or has no host.
fn candidate(identity: &Identity, sorting: &mut Sorting<'_>) -> Option<Candidate> {
    let did = &identity.did;
    if sorting.by_did.contains_key(did) {
        sorting.is_new(did);
        return None;
    }
    if identity.pds.is_none() {
        let why = ArchiveError::NoHost { did: did.clone(), why: "" }.to_string();
        sorting.not_found.push(NotFound { name: did.to_string(), why, later: false });
        return None;
    }
    Some(Candidate {
        did: did.clone(),
        handle: identity.handle.verified().map(|handle| handle.as_str().to_owned()),
        host: identity.pds.clone(),
        size: None,
        remark: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_picked_is_spread_over_all() {
        let sorted = |of, most| {
            let mut places: Vec<usize> = spread(of, most).into_iter().collect();
            places.sort_unstable();
            places
        };
        assert_eq!(sorted(10, 5), [0, 2, 4, 6, 8]);
        assert_eq!(sorted(3, 5), [0, 1, 2]);
        assert_eq!(sorted(0, 5), Vec::<usize>::new());
        assert_eq!(spread(5_000, 25).len(), 25);
    }

    #[test]
    fn what_fits() {
        let of = |low, high| Fit::of(1_000, Span { low, high });
        assert_eq!(of(0, Some(1_000)), Fit::Fits);
        assert_eq!(of(0, None), Fit::Unknown);
        assert_eq!(of(900, Some(1_001)), Fit::MayNot);
        assert_eq!(of(1_001, None), Fit::Not);
        assert!(Fit::Not.asks() && Fit::MayNot.asks() && !Fit::Unknown.asks() && !Fit::Fits.asks());
    }
}
