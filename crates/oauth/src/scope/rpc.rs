//! `rpc:`: which methods may be called, at which services.

use super::syntax::{Fields, Wrong, is_nsid, is_service, listed, written};

/// `rpc:app.bsky.feed.getTimeline?aud=did:web:api.bsky.app%23bsky_appview`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcScope {
    /// Methods; `*` is all of them.
    pub lxm: Vec<String>,
    /// The service; `*` is any. Never all methods at any service.
    pub aud: String,
}

impl RpcScope {
    pub(super) fn of(fields: Fields<'_>) -> Result<Self, Wrong> {
        let fields = fields.only(&["lxm", "aud"])?;
        let mut lxm = fields.many("lxm", true)?.ok_or(Wrong)?;
        let aud = fields.one("aud", false)?.ok_or(Wrong)?;
        let fits = lxm.iter().all(|name| name == "*" || is_nsid(name)) && (aud == "*" || is_service(&aud));
        let every = lxm.iter().any(|name| name == "*");
        if !fits || every && aud == "*" {
            return Err(Wrong);
        }
        if every {
            lxm = vec!["*".to_owned()];
        }
        lxm.sort_unstable();
        lxm.dedup();
        Ok(Self { lxm, aud })
    }

    /// Whether it covers this call.
    #[must_use]
    pub fn covers(&self, lxm: &str, aud: &str) -> bool {
        (self.aud == "*" || self.aud == aud) && self.lxm.iter().any(|known| known == "*" || known == lxm)
    }

    pub(super) fn text(&self) -> String {
        let (positional, mut named) = listed("lxm", &self.lxm);
        named.push(("aud", &self.aud));
        written("rpc", positional, &named)
    }
}
