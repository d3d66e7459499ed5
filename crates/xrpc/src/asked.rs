//! A request as a method sees it: who asks, under which name, with which parameters.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use p2pds_ipld::Cid;
use p2pds_reading::Viewer;
use p2pds_syntax::{AtIdentifier, Did, Tid};
use url::form_urlencoded;

use crate::auth::Auth;
use crate::config::Net;
use crate::door::Xrpc;
use crate::error::XrpcError;

/// The address at the other end of the connection; the listener puts it into every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

/// What a method is asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// As whom he reads.
    pub viewer: Viewer,
    /// Who asks.
    pub auth: Auth,
    /// Where from, as it is counted.
    pub from: IpAddr,
    /// Its parameters.
    pub params: Params,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The name that was asked, lower case, without port.
    pub host: String,
}

impl FromRequestParts<Arc<Xrpc>> for Asked {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, door: &Arc<Xrpc>) -> Result<Self, XrpcError> {
        let auth = Auth::from_request_parts(parts, door).await?;
        let caller = Caller::of(door, parts.extensions.get::<PeerAddress>(), &parts.headers);
        Ok(Self {
            viewer: auth.viewer(),
            auth,
            from: caller.counted,
            params: Params::parse(parts.uri.query().unwrap_or_default()),
            host: host(parts),
            headers: parts.headers.clone(),
        })
    }
}

impl Asked {
    /// The same, about one account: its owner, and the operator, see it whatever its state.
    #[must_use]
    pub fn about(mut self, did: &Did) -> Self {
        if self.auth.may_see(did) {
            self.viewer = Viewer::Operator;
        }
        self
    }
}

/// Under which address a request is counted: as [`Caller::counted`], for routes beside this door.
#[must_use]
pub fn counted_address(peer: Option<&PeerAddress>, headers: &HeaderMap, trusted: &[Net]) -> IpAddr {
    let beside = |address: IpAddr| address.to_canonical().is_loopback();
    from(peer, headers, |address| beside(address) || trusted.iter().any(|net| net.contains(address)))
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The other end of the connection, or what a configured proxy there says of it.
    pub address: IpAddr,
    /// Under which address it is counted: a proxy on this machine is believed for that much without being configured.
    /// Otherwise all who come through it would share one count.
    pub counted: IpAddr,
}

impl Caller {
    /// Of a request with these headers.
    pub(crate) fn of(door: &Xrpc, peer: Option<&PeerAddress>, headers: &HeaderMap) -> Self {
        let trusted = |address| door.config.trusted_proxies.iter().any(|net| net.contains(address));
        let beside = |address: IpAddr| address.to_canonical().is_loopback();
        Self {
            address: from(peer, headers, trusted),
            counted: from(peer, headers, |address| trusted(address) || beside(address)),
        }
    }
}

fn from(peer: Option<&PeerAddress>, headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    let lists = headers.get_all("x-forwarded-for").iter().rev().filter_map(|value| value.to_str().ok());
    // The nearest proxy wrote last. What stands before the first address that is no trusted proxy is anybody's word.
    for said in lists.flat_map(|list| list.rsplit(',')).map(str::trim) {
        if !trusted(address) {
            break;
        }
        let Ok(before) = said.parse() else { break };
        address = before;
    }
    address
}

#[cfg(test)]
impl Asked {
    /// A request from an address, for tests.
    pub(crate) fn made_up(from: IpAddr) -> Self {
        let (params, headers, host) = (Params::default(), HeaderMap::new(), String::new());
        Self { viewer: Viewer::Public, auth: Auth::Anonymous, from, params, headers, host }
    }
}

fn host(parts: &Parts) -> String {
    let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = parts.uri.host().or(named).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// The parameters of a query, decoded.
#[derive(Debug, Clone, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query string.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The first value of a parameter; an empty one counts as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// All values of a parameter. `cids[]=` is understood as `cids=`.
    pub fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name || key.strip_suffix("[]") == Some(name))
            .map(|(_, value)| value.as_str())
    }

    /// A value that must be there.
    ///
    /// # Errors
    /// It is not.
    pub fn need(&self, name: &str) -> Result<&str, XrpcError> {
        self.get(name).ok_or_else(|| XrpcError::invalid(format!("Params must have the property \"{name}\"")))
    }

    /// The DID under this name.
    ///
    /// # Errors
    /// Missing, or not a DID.
    pub fn did(&self, name: &str) -> Result<Did, XrpcError> {
        Did::parse(self.need(name)?).map_err(|_| XrpcError::invalid(format!("{name} must be a valid did")))
    }

    /// The handle or DID under this name.
    ///
    /// # Errors
    /// Missing, or neither.
    pub fn at_identifier(&self, name: &str) -> Result<AtIdentifier, XrpcError> {
        AtIdentifier::parse(self.need(name)?)
            .map_err(|_| XrpcError::invalid(format!("{name} must be a valid did or a handle")))
    }

    /// The CID under this name, if it is there.
    ///
    /// # Errors
    /// Not a CID of this protocol.
    pub fn cid(&self, name: &str) -> Result<Option<Cid>, XrpcError> {
        self.get(name).map(parse_cid).transpose()
    }

    /// The rev under this name, if it is there.
    ///
    /// # Errors
    /// Not a TID.
    pub fn rev(&self, name: &str) -> Result<Option<Tid>, XrpcError> {
        self.get(name)
            .map(|text| {
                Tid::parse(text).map_err(|_| XrpcError::invalid(format!("{name} must be a valid tid")))
            })
            .transpose()
    }

    /// `limit`, between 1 and `max`.
    ///
    /// # Errors
    /// Not a number in that range.
    pub fn limit(&self, default: usize, max: usize) -> Result<usize, XrpcError> {
        let Some(text) = self.get("limit") else { return Ok(default) };
        match text.parse::<usize>() {
            Ok(limit) if (1..=max).contains(&limit) => Ok(limit),
            _ => Err(XrpcError::invalid(format!("limit must be a number from 1 to {max}"))),
        }
    }

    /// A switch.
    ///
    /// # Errors
    /// Neither true nor false.
    pub fn flag(&self, name: &str) -> Result<bool, XrpcError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(XrpcError::invalid(format!("{name} must be true or false"))),
        }
    }
}

/// A CID of this protocol.
pub(crate) fn parse_cid(text: &str) -> Result<Cid, XrpcError> {
    text.parse().map_err(|_| {
        XrpcError::invalid("cid must be a valid cid: version 1, base32, SHA-256, dag-cbor or raw")
    })
}
