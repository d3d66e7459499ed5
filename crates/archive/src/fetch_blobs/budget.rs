//! What an account's blobs may still take, while they are fetched.

use std::sync::atomic::{AtomicU64, Ordering};

use p2pds_blobs::Quota;
use p2pds_store::Account;
use p2pds_syntax::Did;

use crate::archive::Inner;
use crate::quota::Quotas;
use crate::words::size;

/// The bytes that an account's blobs may still take: its own limit, and that of all accounts.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicU64,
    /// Most bytes, and the setting that says so.
    limit: Option<(u64, &'static str)>,
    all: Quotas,
    all_limit: Option<u64>,
}

impl Budget {
    pub(super) fn of(inner: &Inner, account: &Account) -> Self {
        Self {
            used: AtomicU64::new(account.blob_bytes),
            limit: inner.most_blob_bytes(account),
            all: inner.quotas().clone(),
            all_limit: inner.config().quota_total,
        }
    }

    /// Whether so much fits, without taking it.
    pub(super) fn fits(&self, more: u64) -> Result<(), String> {
        let used = self.used.load(Ordering::Relaxed);
        if let Some((limit, setting)) = self.limit
            && used.saturating_add(more) > limit
        {
            return Err(used_up(used, limit, setting));
        }
        self.all.admit(self.all_limit, more).map_err(|full| full.to_string())?;
        self.all.release(more);
        Ok(())
    }
}

fn used_up(used: u64, limit: u64, setting: &str) -> String {
    format!(
        "the account's quota leaves {} for blobs and {} are taken; raise {setting} to have it",
        size(limit),
        size(used)
    )
}

impl Quota for Budget {
    fn admit(&self, _: &Did, more: u64) -> Result<(), String> {
        if let Some((limit, setting)) = self.limit {
            let fits = |used: u64| used.checked_add(more).filter(|&after| after <= limit);
            self.used
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
                .map_err(|used| used_up(used, limit, setting))?;
        }
        self.all.admit(self.all_limit, more).map_err(|full| {
            self.give_back(more);
            full.to_string()
        })
    }

    fn release(&self, _: &Did, bytes: u64) {
        self.all.release(bytes);
        self.give_back(bytes);
    }
}

impl Budget {
    fn give_back(&self, bytes: u64) {
        if self.limit.is_some() {
            let less = |used: u64| Some(used.saturating_sub(bytes));
            let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quota_counts_what_is_under_way() {
        let did = Did::parse("did:web:a.example").unwrap();
        let budget = |used, limit: Option<u64>, all_limit| Budget {
            used: AtomicU64::new(used),
            limit: limit.map(|limit| (limit, "a setting")),
            all: Quotas::default(),
            all_limit,
        };
        let own = budget(90, Some(100), None);
        assert!(own.admit(&did, 10).is_ok());
        let refusal = own.admit(&did, 1).unwrap_err();
        assert!(refusal.contains("quota"), "{refusal}");
        assert!(own.fits(1).is_err());
        own.release(&did, 10);
        assert!(own.fits(5).is_ok());
        assert!(own.admit(&did, 5).is_ok());
        assert!(budget(u64::MAX, None, None).admit(&did, u64::MAX).is_ok());
        // Nine tenths of the limit of all accounts are for blobs.
        let all = budget(0, Some(100), Some(100));
        assert!(all.admit(&did, 90).is_ok());
        let refusal = all.admit(&did, 1).unwrap_err();
        assert!(refusal.contains("all accounts"), "{refusal}");
        assert_eq!(all.used.load(Ordering::Relaxed), 90, "what did not fit is not counted");
    }
}
