//! The list of accounts, a page at a time, and choices for several of them at once.
//!
//! One page costs one pass over the accounts' rows; everything that asks more of an account is asked for those on the
//! page alone.

use p2pds_store::{Account, AccountPatch, Serve, Unit, VerifiedState};
use p2pds_syntax::Did;

use crate::archive::{Archive, Inner};
use crate::error::{ArchiveError, ArchiveResult};
use crate::intake::NOTED_AT_ONCE;
use crate::report::{AccountLine, ServingNote};

/// Which accounts of the list are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Show {
    /// All of them.
    #[default]
    All,
    /// Those whose syncing the operator paused.
    Paused,
    /// Those whose last sync or last verification failed.
    Failing,
    /// Those of which nothing proved is stored yet.
    Waiting,
    /// Those that are served to somebody.
    Served,
}

impl Show {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::All, Self::Paused, Self::Failing, Self::Waiting, Self::Served];

    /// Its stable word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Paused => "paused",
            Self::Failing => "failing",
            Self::Waiting => "waiting",
            Self::Served => "served",
        }
    }

    fn has(self, account: &Account) -> bool {
        match self {
            Self::All => true,
            Self::Paused => account.paused,
            Self::Failing => account.last_sync_error.is_some() || account.last_verify_ok == Some(false),
            Self::Waiting => account.verified != VerifiedState::Verified,
            Self::Served => account.serve != Serve::Nobody,
        }
    }
}

/// In which order they are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// By DID, as they are stored.
    #[default]
    Did,
    /// By name: the handle, or the DID of those without.
    Name,
    /// The largest first.
    Size,
    /// Those first that were not compared with their hosts for the longest time.
    Current,
    /// Those first that go before others.
    Priority,
}

impl Sort {
    /// Those that people choose from.
    pub const ALL: [Self; 4] = [Self::Name, Self::Size, Self::Current, Self::Priority];

    /// Its stable word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Did => "did",
            Self::Name => "name",
            Self::Size => "size",
            Self::Current => "current",
            Self::Priority => "priority",
        }
    }
}

/// A page that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListQuery {
    /// Only those whose handle or DID has this in it.
    pub search: Option<String>,
    /// Which.
    pub show: Show,
    /// In which order.
    pub sort: Sort,
    /// Those before the page.
    pub skip: usize,
    /// Those on it.
    pub most: usize,
}

/// A page of the list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListPage {
    /// Those on the page.
    pub lines: Vec<AccountLine>,
    /// How many there are like that.
    pub matching: usize,
    /// How many there are in all.
    pub all: usize,
    /// How many there are of each of [`Show::ALL`].
    pub counts: [usize; 5],
}

/// What is chosen for several accounts; what is `None` stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Choice {
    /// Stop syncing, or go on.
    pub paused: Option<bool>,
    /// Order of work.
    pub priority: Option<i32>,
    /// Limit in bytes; `Some(None)`: that of every account counts.
    pub quota: Option<Option<u64>>,
}

impl Archive {
    /// A page of the list of accounts that are hosted elsewhere.
    ///
    /// # Errors
    /// Store failures.
    pub async fn page(&self, query: &ListQuery) -> ArchiveResult<ListPage> {
        let mut page = ListPage::default();
        let mut accounts = self.inner().all_archived().await?;
        page.all = accounts.len();
        for (count, show) in page.counts.iter_mut().zip(Show::ALL) {
            *count = accounts.iter().filter(|account| show.has(account)).count();
        }
        let search = query.search.as_deref().map(|text| text.trim_start_matches('@').to_ascii_lowercase());
        accounts.retain(|account| query.show.has(account) && is_named(account, search.as_deref()));
        page.matching = accounts.len();
        sort(&mut accounts, query.sort);
        for account in accounts.into_iter().skip(query.skip).take(query.most) {
            page.lines.push(self.inner().line(account).await?);
        }
        Ok(page)
    }

    /// Whether no account that is hosted elsewhere is here.
    ///
    /// # Errors
    /// Store failures.
    pub async fn is_empty(&self) -> ArchiveResult<bool> {
        const PAGE: usize = 50;
        let mut after: Option<Did> = None;
        loop {
            let page = self.store().accounts(after.as_ref(), PAGE).await?;
            if page.iter().any(|account| !account.hosted) {
                return Ok(false);
            }
            match page.last().filter(|_| page.len() >= PAGE) {
                Some(last) => after = Some(last.did.clone()),
                None => return Ok(true),
            }
        }
    }

    /// To whom an account is served, and why.
    ///
    /// # Errors
    /// [`ArchiveError::NotArchived`], store failures.
    pub async fn serving(&self, did: &Did) -> ArchiveResult<ServingNote> {
        let inner = self.inner();
        inner.serving(&inner.account(did).await?).await
    }

    /// Chooses the same for several accounts. What was not done is given back with its reason; the others are done.
    pub async fn choose(&self, dids: &[Did], choice: Choice) -> Vec<(Did, ArchiveError)> {
        let inner = self.inner();
        let mut failed = Vec::new();
        for some in dids.chunks(NOTED_AT_ONCE) {
            let mut waiting = Vec::new();
            for did in some {
                match inner.archived(did).await {
                    Ok(_) => {
                        let patch = AccountPatch {
                            paused: choice.paused,
                            priority: choice.priority.map(|priority| priority.clamp(-1_000, 1_000)),
                            quota: choice.quota,
                            ..AccountPatch::default()
                        };
                        let unit = Unit::PatchAccount { did: did.clone(), patch: Box::new(patch) };
                        waiting.push((did.clone(), inner.store().submit(unit)));
                    }
                    Err(error) => failed.push((did.clone(), error)),
                }
            }
            for (did, receipt) in waiting {
                if let Err(error) = receipt.await {
                    failed.push((did, error.into()));
                }
            }
        }
        if let Err(error) = self.chosen(dids, choice).await {
            // It is stored; a running node counts again within a minute.
            tracing::debug!(event = "archive.not-counted", %error, "what is stored could not be counted");
        }
        failed
    }

    /// Lets the parts that work hear what was chosen.
    async fn chosen(&self, dids: &[Did], choice: Choice) -> ArchiveResult<()> {
        if choice.paused.is_some() {
            self.wakes().job(crate::live::JOB);
        }
        if choice.paused == Some(false) || choice.priority.is_some() {
            self.wakes().job("sync");
        }
        if choice.quota.is_some() {
            self.recount().await?;
            for did in dids.iter().filter(|did| self.may_grow(did).is_ok()) {
                self.wakes().account("sync", did);
                self.wakes().account("blobs", did);
            }
        }
        Ok(())
    }
}

fn is_named(account: &Account, search: Option<&str>) -> bool {
    let Some(search) = search.filter(|search| !search.is_empty()) else { return true };
    let has = |name: &str| name.to_ascii_lowercase().contains(search);
    account.handle.as_deref().is_some_and(has) || has(account.did.as_str())
}

fn sort(accounts: &mut [Account], by: Sort) {
    let size = crate::quota::used;
    match by {
        Sort::Did => {}
        Sort::Name => accounts.sort_by_cached_key(|account| {
            // Those without a handle come after those with one.
            (
                account.handle.is_none(),
                account.handle.as_deref().unwrap_or(account.did.as_str()).to_ascii_lowercase(),
            )
        }),
        Sort::Size => accounts.sort_by_key(|account| std::cmp::Reverse(size(account))),
        Sort::Current => accounts.sort_by_key(|account| account.last_sync_at),
        Sort::Priority => accounts.sort_by_key(|account| std::cmp::Reverse(account.priority)),
    }
}

/// How far accounts have come that were taken in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// Those that are here now.
    pub arrived: Vec<Did>,
    /// Those that were tried and failed, by name and with the reason; they are tried again.
    pub failed: Vec<(Did, String, String)>,
    /// Those that the operator paused or removed meanwhile.
    pub stopped: Vec<Did>,
}

impl Inner {
    async fn arrival(&self, did: &Did, to: &mut Arrivals) -> ArchiveResult<()> {
        let Some(account) = self.store().account(did).await? else {
            to.stopped.push(did.clone());
            return Ok(());
        };
        if account.last_sync_at.is_some() {
            to.arrived.push(did.clone());
        } else if let Some(why) = account.last_sync_error {
            let name = account.handle.unwrap_or_else(|| did.to_string());
            to.failed.push((did.clone(), name, why));
        } else if account.paused {
            to.stopped.push(did.clone());
        }
        Ok(())
    }
}

impl Archive {
    /// What has become of some accounts that were taken in; those that are waited for still are in no list.
    ///
    /// # Errors
    /// Store failures.
    pub async fn arrivals(&self, of: &[Did]) -> ArchiveResult<Arrivals> {
        let mut found = Arrivals::default();
        for did in of {
            self.inner().arrival(did, &mut found).await?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use p2pds_store::Origin;

    use super::*;

    fn account(n: i64, handle: Option<&str>) -> Account {
        let mut account =
            Account::new(Did::parse(&format!("did:web:a{n}.example")).unwrap(), Origin::Network, n);
        account.handle = handle.map(str::to_owned);
        account
    }

    #[test]
    fn in_the_order_that_is_asked_for() {
        let mut all =
            vec![account(1, None), account(2, Some("Bob.example")), account(3, Some("alice.example"))];
        all[0].priority = 5;
        all[1].blob_bytes = 10;
        all[2].last_sync_at = Some(3);
        let mut order = |by| {
            sort(&mut all, by);
            all.iter().map(|account| account.added_at).collect::<Vec<_>>()
        };
        assert_eq!(order(Sort::Name), [3, 2, 1]);
        assert_eq!(order(Sort::Priority)[0], 1);
        assert_eq!(order(Sort::Size)[0], 2);
        assert_eq!(order(Sort::Current)[2], 3);
    }

    #[test]
    fn found_by_a_part_of_the_name() {
        let bob = account(2, Some("Bob.example"));
        for search in [None, Some(""), Some("bob"), Some("web:a2")] {
            assert!(is_named(&bob, search), "{search:?}");
        }
        assert!(!is_named(&bob, Some("alice")));
    }

    #[test]
    fn what_is_shown() {
        let mut one = account(1, None);
        assert!(Show::Waiting.has(&one) && !Show::Failing.has(&one) && !Show::Served.has(&one));
        one.verified = VerifiedState::Verified;
        one.last_verify_ok = Some(false);
        one.serve = Serve::Public;
        one.paused = true;
        assert!(
            !Show::Waiting.has(&one)
                && [Show::Failing, Show::Served, Show::Paused].iter().all(|s| s.has(&one))
        );
    }
}
