//! The rules for heads and keys: which offered head may follow the stored one, and which key vouches for it. Pure.
//!
//! A head never moves back by itself. An older head, and another commit under the same revision, are kept as evidence
//! and reported. A revision in the future would freeze all later updates, so it is refused.

use std::time::Duration;

use p2pds_crypto::PublicKey;
use p2pds_identity::plc::KeyPeriod;
use p2pds_ipld::Cid;
use p2pds_syntax::Tid;

/// How an offered head relates to the stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is stored: take it.
    First,
    /// It is newer: take it.
    Newer,
    /// It is the stored one.
    Same,
    /// It is older than the stored one.
    Older,
    /// It has the stored one's revision and is another commit: somebody signed two histories.
    Equivocation,
    /// It claims to be from the future.
    Future,
}

impl Verdict {
    /// Stable word for evidence; `None` when there is nothing to keep.
    pub(crate) fn evidence(self) -> Option<&'static str> {
        match self {
            Self::First | Self::Newer | Self::Same => None,
            Self::Older => Some("older-head"),
            Self::Equivocation => Some("equivocation"),
            Self::Future => Some("future-rev"),
        }
    }

    /// In plain words, for a source such as `https://pds.example`.
    pub(crate) fn words(self, source: &str, offered: Tid, held: Option<Tid>) -> String {
        let held = held.map_or_else(|| "nothing".to_owned(), |rev| rev.to_string());
        match self {
            Self::First | Self::Newer => format!("{source} offers revision {offered}, stored is {held}"),
            Self::Same => format!("{source} has the stored revision {offered}"),
            Self::Older => format!(
                "{source} offers revision {offered}, which is older than the stored {held}. It may have been restored \
                 from an old backup, or be withholding what is new; the archive never goes back"
            ),
            Self::Equivocation => format!(
                "{source} offers another commit under the stored revision {offered}. One of the two is not what its \
                 owner published; both are kept"
            ),
            Self::Future => format!(
                "{source} offers revision {offered}, which lies in the future. Its clock, or this machine's, is wrong; \
                 taking it would hide all later changes"
            ),
        }
    }
}

/// Judges an offered head. The commit's CID decides before its revision: a host may report a revision of its own making
/// for a commit that it imported (the reference server does).
pub(crate) fn judge(
    offered: (Tid, &Cid),
    held: Option<(Tid, &Cid)>,
    now_micros: u64,
    max_future: Duration,
) -> Verdict {
    let (rev, commit) = offered;
    if held.is_some_and(|(_, held)| held == commit) {
        return Verdict::Same;
    }
    let limit = now_micros.saturating_add(u64::try_from(max_future.as_micros()).unwrap_or(u64::MAX));
    if rev.micros() > limit {
        return Verdict::Future;
    }
    match held {
        None => Verdict::First,
        Some((held, _)) if rev > held => Verdict::Newer,
        Some((held, _)) if rev == held => Verdict::Equivocation,
        Some(_) => Verdict::Older,
    }
}

/// The keys that may have signed a commit of an account.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    /// The `#atproto` key that the DID document names now.
    pub(crate) current: Option<PublicKey>,
    /// Keys that the PLC log named before, newest first, and until when each of them counts.
    pub(crate) earlier: Vec<(PublicKey, KeyPeriod)>,
}

/// Which key a signature verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Vouched {
    /// The current one, as did:key.
    Current(String),
    /// One that the log named before, as did:key.
    Earlier(String),
    /// None of them.
    Nobody,
    /// No key is known at all: nothing to check with.
    Unknown,
}

impl Keys {
    /// Puts a key before the others, which stay good.
    pub(crate) fn prefer(&mut self, key: PublicKey) {
        if let Some(other) = self.current.replace(key.clone()).filter(|other| *other != key) {
            let period = KeyPeriod { key: other.to_did_key(), from: 0, until: None };
            self.earlier.insert(0, (other, period));
        }
    }

    /// Tries the keys one after the other with `verify`: the current one, and those that the log had not withdrawn at the
    /// time of the commit's revision. A key that was withdrawn, perhaps because it was stolen, signs nothing new; a
    /// revision from before a key is fine, as hosts sign what they import before they announce their key.
    pub(crate) fn vouch(&self, rev: Tid, verify: impl Fn(&PublicKey) -> bool) -> Vouched {
        if let Some(key) = self.current.as_ref().filter(|key| verify(key)) {
            return Vouched::Current(key.to_did_key());
        }
        if let Some(key) = self.at(rev).find(|key| verify(key)) {
            return Vouched::Earlier(key.to_did_key());
        }
        if self.current.is_none() && self.earlier.is_empty() { Vouched::Unknown } else { Vouched::Nobody }
    }

    /// The keys that the log had not withdrawn at the time of a revision, newest first.
    pub(crate) fn at(&self, rev: Tid) -> impl Iterator<Item = &PublicKey> {
        let micros = i64::try_from(rev.micros()).unwrap_or(i64::MAX);
        self.earlier.iter().filter(move |(_, period)| !period.ended_before(micros)).map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use p2pds_crypto::{Curve, PrivateKey, Signer};

    use super::*;

    const FIVE: Duration = Duration::from_secs(300);

    #[test]
    fn heads_only_move_forward() {
        let (a, b) = (Cid::of_cbor(b"a"), Cid::of_cbor(b"b"));
        let at = |secs: u64| Tid::from_micros(secs * 1_000_000, 0);
        let now = 1_000_000_000;
        let ask = |offered, held| judge(offered, held, now, FIVE);
        assert_eq!(ask((at(900), &a), None), Verdict::First);
        assert_eq!(ask((at(900), &b), Some((at(800), &a))), Verdict::Newer);
        assert_eq!(ask((at(800), &b), Some((at(900), &a))), Verdict::Older);
        assert_eq!(ask((at(900), &b), Some((at(900), &a))), Verdict::Equivocation);
        assert_eq!(ask((at(900), &a), Some((at(900), &a))), Verdict::Same);
        // The same commit under a revision that the host made up.
        assert_eq!(ask((at(950), &a), Some((at(900), &a))), Verdict::Same);
        assert_eq!(ask((at(1_300), &b), Some((at(900), &a))), Verdict::Newer, "five minutes are allowed");
        assert_eq!(ask((at(1_301), &b), Some((at(900), &a))), Verdict::Future);
        assert_eq!(ask((at(1_301), &b), None), Verdict::Future);
    }

    #[test]
    fn a_withdrawn_key_signs_nothing_new() {
        let key = |n: u8| PrivateKey::from_entropy(Curve::K256, [n; 32]).public_key();
        let period = |n: u8, from: i64, until: Option<i64>| {
            let second = 1_000_000;
            let until = until.map(|until| until * second);
            (key(n), KeyPeriod { key: key(n).to_did_key(), from: from * second, until })
        };
        let keys = Keys {
            current: Some(key(2)),
            earlier: vec![period(2, 10_000, None), period(1, 1_000, Some(10_000))],
        };
        let ask =
            |secs: u64, n: u8| keys.vouch(Tid::from_micros(secs * 1_000_000, 0), |tried| *tried == key(n));
        assert_eq!(ask(5_000, 1), Vouched::Earlier(key(1).to_did_key()));
        assert_eq!(ask(10_300, 1), Vouched::Earlier(key(1).to_did_key()), "five minutes are allowed");
        assert_eq!(ask(10_301, 1), Vouched::Nobody);
        // A host may sign old state anew, and keep its revision.
        assert_eq!(ask(600, 1), Vouched::Earlier(key(1).to_did_key()));
        assert_eq!(ask(600, 2), Vouched::Current(key(2).to_did_key()));
        assert_eq!(ask(5_000, 3), Vouched::Nobody);
        assert_eq!(Keys::default().vouch(Tid::MIN, |_| true), Vouched::Unknown);
    }

    #[test]
    fn only_contradictions_are_evidence() {
        for verdict in [Verdict::First, Verdict::Newer, Verdict::Same] {
            assert_eq!(verdict.evidence(), None);
        }
        for verdict in [Verdict::Older, Verdict::Equivocation, Verdict::Future] {
            assert!(verdict.evidence().is_some());
            assert!(!verdict.words("https://h", Tid::MIN, None).is_empty());
        }
    }
}
