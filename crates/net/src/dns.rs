//! DNS. Every answer is filtered where the connection is made, so there is no
//! gap between the check and the use (DNS rebinding).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use crate::address::Reach;
use crate::config::NetConfig;
use crate::error::{NetError, plain};

/// TXT records read of one name at most.
const MAX_TXT: usize = 100;
/// Addresses tried of one name at most.
const MAX_ADDRESSES: usize = 16;
/// Cached answers at most.
const CACHE_ENTRIES: u64 = 4096;
/// The longest that an answer is believed, whatever its time to live.
const MAX_POSITIVE: Duration = Duration::from_secs(3600);
/// The longest that the absence of an answer is believed.
const MAX_NEGATIVE: Duration = Duration::from_secs(60);

/// Answers kept for connections that are about to be made, at most.
const MAX_AHEAD: usize = 1024;
/// For how long.
const AHEAD: Duration = Duration::from_secs(2);

/// The operating system's settings are read anew after a failure, at most this often: machines move between networks.
const REBUILD_PAUSE: Duration = Duration::from_secs(30);

/// Answers by what was asked for, and since when.
type Ahead = HashMap<(String, Reach), (Vec<IpAddr>, Instant)>;

/// The node's resolver: the configured servers, or those of the operating system.
#[derive(Clone)]
pub struct Resolver {
    config: Arc<NetConfig>,
    /// The reason is kept when there is nothing to ask: names then fail, literal addresses work.
    current: Arc<Mutex<(Result<TokioResolver, String>, Instant)>>,
    timeout: Duration,
    /// Answers that the manners towards their addresses were looked up with, for the connection that follows.
    ahead: Arc<Mutex<Ahead>>,
}

impl Resolver {
    /// Sets the resolver up; asks nothing yet.
    #[must_use]
    pub fn new(config: &NetConfig) -> Self {
        let current = Arc::new(Mutex::new((build(config), Instant::now())));
        let timeout = config.dns_timeout.saturating_mul(2);
        Self { config: Arc::new(config.clone()), current, timeout, ahead: Arc::default() }
    }

    /// The TXT records of `name`, each with its strings joined. None: an empty list.
    ///
    /// # Errors
    /// [`NetError::Dns`] when no server gave an answer.
    pub async fn txt(&self, name: &str) -> Result<Vec<String>, NetError> {
        let resolver = self.ready(name)?;
        let lookup = tokio::time::timeout(self.timeout, resolver.txt_lookup(absolute(name))).await;
        match lookup {
            Err(_) => Err(self.failed(name, "no answer in time")),
            Ok(Err(e)) if e.is_no_records_found() => Ok(Vec::new()),
            Ok(Err(e)) => Err(self.failed(name, &e.to_string())),
            Ok(Ok(found)) => Ok(found
                .answers()
                .iter()
                .filter_map(|record| match &record.data {
                    RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
                    _ => None,
                })
                .take(MAX_TXT)
                .collect()),
        }
    }

    /// The addresses of `host` that a connection of this reach may use.
    ///
    /// # Errors
    /// [`NetError::NoSuchHost`], [`NetError::Dns`], and [`NetError::Refused`] when
    /// there are addresses but none that may be used.
    pub async fn addresses(&self, host: &str, reach: Reach) -> Result<Vec<IpAddr>, NetError> {
        let bare = host.strip_suffix('.').unwrap_or(host);
        let found: Vec<IpAddr> = if bare == "localhost" || bare.ends_with(".localhost") {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        } else {
            let resolver = self.ready(host)?;
            match resolver.lookup_ip(absolute(host)).await {
                Ok(found) => found.iter().collect(),
                Err(e) if e.is_no_records_found() => Vec::new(),
                Err(e) => return Err(self.failed(host, &e.to_string())),
            }
        };
        let first = found.first().copied();
        let allowed: Vec<IpAddr> =
            found.into_iter().filter(|ip| reach.allows(*ip)).take(MAX_ADDRESSES).collect();
        match (allowed.is_empty(), first) {
            (false, _) => Ok(allowed),
            (true, None) => Err(NetError::NoSuchHost { host: plain(host, 253) }),
            (true, Some(ip)) => Err(NetError::Refused {
                host: plain(host, 253),
                why: match reach {
                    Reach::Public => format!("DNS says {ip}, which is not an address of the public internet"),
                    Reach::Loopback | Reach::OwnService => {
                        format!("DNS says {ip}, which is not this machine")
                    }
                },
            }),
        }
    }

    /// As [`Self::addresses`], for a connection that is about to be made: it will use this very answer.
    pub(crate) async fn addresses_ahead(&self, host: &str, reach: Reach) -> Result<Vec<IpAddr>, NetError> {
        let found = self.addresses(host, reach).await?;
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead.len() >= MAX_AHEAD {
            ahead.retain(|_, (_, at)| at.elapsed() < AHEAD);
        }
        if ahead.len() < MAX_AHEAD {
            ahead.insert((host.to_owned(), reach), (found.clone(), Instant::now()));
        }
        Ok(found)
    }

    /// The answer of [`Self::addresses_ahead`] if it is for this connection, or a new one.
    pub(crate) async fn addresses_now(&self, host: &str, reach: Reach) -> Result<Vec<IpAddr>, NetError> {
        let key = (host.to_owned(), reach);
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        match ahead {
            Some((found, at)) if at.elapsed() < AHEAD => Ok(found),
            _ => self.addresses(host, reach).await,
        }
    }

    fn ready(&self, name: &str) -> Result<TokioResolver, NetError> {
        if self.config.closed {
            return Err(NetError::Refused {
                host: plain(name, 253),
                why: "nobody is contacted here".to_owned(),
            });
        }
        // Not in one expression: the lock must be free again before a failure is noted.
        let current = self.current().0.clone();
        current.map_err(|e| self.failed(name, &e))
    }

    /// The error for `host`, and a new start for next time if the system's settings may have changed.
    fn failed(&self, host: &str, detail: &str) -> NetError {
        let mut current = self.current();
        if self.config.nameservers.is_empty() && current.1.elapsed() >= REBUILD_PAUSE {
            *current = (build(&self.config), Instant::now());
        }
        NetError::Dns { host: plain(host, 253), detail: plain(detail, 200) }
    }

    /// Nothing panics while the lock is held.
    fn current(&self) -> MutexGuard<'_, (Result<TokioResolver, String>, Instant)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// The resolver as the HTTP client sees it: bound to one reach.
pub(crate) struct Filtered {
    pub(crate) resolver: Resolver,
    pub(crate) reach: Reach,
}

impl reqwest::dns::Resolve for Filtered {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let (resolver, reach) = (self.resolver.clone(), self.reach);
        Box::pin(async move {
            let allowed = resolver.addresses_now(name.as_str(), reach).await?;
            // Port 0 stands for the port of the URL.
            let pinned: Vec<SocketAddr> = allowed.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(Box::new(pinned.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

fn build(config: &NetConfig) -> Result<TokioResolver, String> {
    assemble(config).map_err(|e| e.to_string())
}

fn assemble(config: &NetConfig) -> Result<TokioResolver, hickory_resolver::net::NetError> {
    let mut builder = if config.nameservers.is_empty() {
        let mut builder = TokioResolver::builder_tokio()?;
        builder.options_mut().use_hosts_file = ResolveHosts::Auto;
        builder
    } else {
        let servers = config.nameservers.iter().map(|addr| {
            let [mut udp, mut tcp] = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            (udp.port, tcp.port) = (addr.port(), addr.port());
            NameServerConfig::new(addr.ip(), true, vec![udp, tcp])
        });
        let servers = ResolverConfig::from_name_servers(servers.collect());
        let mut builder = TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default());
        builder.options_mut().use_hosts_file = ResolveHosts::Never;
        builder
    };
    limit(builder.options_mut(), config);
    builder.build()
}

fn limit(options: &mut ResolverOpts, config: &NetConfig) {
    options.timeout = config.dns_timeout;
    options.attempts = 1;
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.cache_size = CACHE_ENTRIES;
    options.positive_max_ttl = Some(MAX_POSITIVE);
    options.negative_max_ttl = Some(MAX_NEGATIVE);
    options.try_tcp_on_error = true;
}

/// With its final dot a name is not tried in the local search domains.
fn absolute(name: &str) -> String {
    if name.ends_with('.') { name.to_owned() } else { format!("{name}.") }
}

#[cfg(test)]
mod tests {
    use super::Resolver;
    use crate::address::Reach;
    use crate::config::NetConfig;
    use crate::error::NetError;

    #[tokio::test]
    async fn without_any_dns_server_names_fail_and_say_why() {
        let resolver = Resolver::new(&NetConfig::default());
        resolver.current().0 = Err("no name servers".to_owned());
        for error in [
            resolver.txt("example.com").await.unwrap_err(),
            resolver.addresses("example.com", Reach::Public).await.unwrap_err(),
        ] {
            assert!(
                matches!(&error, NetError::Dns { detail, .. } if detail == "no name servers"),
                "{error:?}"
            );
        }
        assert_eq!(resolver.addresses("localhost", Reach::Loopback).await.unwrap().len(), 2);
    }
}
