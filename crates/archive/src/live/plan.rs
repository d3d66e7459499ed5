//! Where each account is heard: pure, from what is stored and what streams were measured to cost.

use std::collections::{BTreeMap, BTreeSet};

use p2pds_syntax::Did;

use super::config::LiveConfig;

/// A stream of events.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Source {
    /// An account's own host, by its URL.
    Host(String),
    /// A relay, by its URL.
    Relay(String),
}

impl Source {
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Host(url) | Self::Relay(url) => url,
        }
    }

    pub(crate) fn is_relay(&self) -> bool {
        matches!(self, Self::Relay(_))
    }

    /// Name of the row that holds its position.
    pub(crate) fn row(&self) -> String {
        format!("live:{}", self.url())
    }
}

/// One account to be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) did: Did,
    pub(crate) host: String,
    /// When it changed last, by the word of its revision; microseconds since 1970.
    pub(crate) changed_at: i64,
}

/// Who is heard where.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Streams and the accounts that are listened for.
    pub(crate) streams: BTreeMap<Source, Vec<Did>>,
    /// Accounts that are polled, with their hosts.
    pub(crate) polled: Vec<Wanted>,
}

/// Plans. `busy` are hosts whose own streams were measured to be above the limit.
pub(crate) fn plan(accounts: &[Wanted], busy: &BTreeSet<String>, config: &LiveConfig) -> Plan {
    let mut plan = Plan::default();
    if let Some(relay) = config.relay.as_ref().filter(|_| accounts.len() >= config.relay_from.max(1)) {
        let all = accounts.iter().map(|account| account.did.clone()).collect();
        plan.streams.insert(Source::Relay(relay.clone()), all);
        return plan;
    }
    let mut hosts: BTreeMap<&str, Vec<&Wanted>> = BTreeMap::new();
    for account in accounts {
        hosts.entry(&account.host).or_default().push(account);
    }
    // The hosts with most accounts first: one connection serves all of them.
    let mut by_size: Vec<(&str, Vec<&Wanted>)> = hosts.into_iter().collect();
    by_size.sort_by_key(|(host, accounts)| (std::cmp::Reverse(accounts.len()), *host));
    for (host, accounts) in by_size {
        if busy.contains(host) || plan.streams.len() >= config.max_streams {
            plan.polled.extend(accounts.into_iter().cloned());
        } else {
            let dids = accounts.into_iter().map(|account| account.did.clone()).collect();
            plan.streams.insert(Source::Host(host.to_owned()), dids);
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(n: usize, host: &str) -> Wanted {
        Wanted {
            did: Did::parse(&format!("did:web:a{n}.example")).unwrap(),
            host: host.to_owned(),
            changed_at: 0,
        }
    }

    #[test]
    fn own_hosts_then_polling_then_a_relay() {
        let accounts = [wanted(1, "https://a"), wanted(2, "https://b"), wanted(3, "https://a")];
        let host = |name: &str| Source::Host(name.to_owned());
        let config = LiveConfig { relay_from: 4, ..LiveConfig::default() };
        let both = plan(&accounts, &BTreeSet::new(), &config);
        assert_eq!(both.streams.keys().cloned().collect::<Vec<_>>(), [host("https://a"), host("https://b")]);
        assert_eq!((both.streams[&host("https://a")].len(), both.polled.len()), (2, 0));

        let busy = BTreeSet::from(["https://a".to_owned()]);
        let one = plan(&accounts, &busy, &config);
        assert_eq!((one.streams.len(), one.polled.len()), (1, 2), "a busy host's accounts are polled");

        let few = LiveConfig { max_streams: 1, ..config.clone() };
        let kept = plan(&accounts, &BTreeSet::new(), &few);
        assert!(kept.streams.contains_key(&host("https://a")), "the host with more accounts is listened to");
        assert_eq!(kept.polled, [wanted(2, "https://b")]);

        let relay = LiveConfig { relay: Some("https://relay".to_owned()), ..config };
        assert!(!plan(&accounts, &busy, &relay).streams.keys().any(Source::is_relay), "too few accounts");
        let many = LiveConfig { relay_from: 3, ..relay };
        let all = plan(&accounts, &busy, &many);
        assert_eq!(all.streams.values().map(Vec::len).collect::<Vec<_>>(), [3]);
        assert!(all.streams.keys().all(Source::is_relay) && all.polled.is_empty());
    }
}
