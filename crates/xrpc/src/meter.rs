//! How often: the rules of single methods, and who has used them up how far.
//!
//! The rule for all requests together is in `limits.rs`. A window begins with the first request of it. The table of
//! windows is bounded; keys are remembered as hashes, so that it holds no address and no name. [`Hits`] counts who was
//! turned away, for the operator's page as for the metrics.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::door::Xrpc;
use crate::error::XrpcError;
use crate::limits::{Left, caller};

/// Windows remembered.
const MOST_WINDOWS: usize = 200_000;

/// Whom a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The caller's address.
    Address,
    /// The account that calls.
    Account,
    /// What the handler says: it knows the body.
    Handler,
}

/// So many points in so long.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name in metrics.
    pub name: &'static str,
    /// Points in a window.
    pub points: u32,
    /// Length of the window in seconds.
    pub seconds: u64,
    /// Whom it counts.
    pub by: By,
}

const MINUTES_5: u64 = 300;
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $points:literal in $seconds:expr, $by:ident;)*) => {
        $($(#[$doc])* pub static $name: Rule =
            Rule { name: $text, points: $points, seconds: $seconds, by: By::$by };)*
        /// All rules.
        pub const RULES: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    /// Whole repos.
    GET_REPO = "get-repo", 6_000 in MINUTES_5, Address;
    /// Tries to log in, for each identifier and address.
    LOGIN = "login", 30 in MINUTES_5, Handler;
    /// The same in a day.
    LOGIN_DAY = "login-day", 300 in DAY, Handler;
    /// New accounts.
    SIGN_UP = "sign-up", 100 in MINUTES_5, Address;
    /// Passwords that are set anew.
    PASSWORD = "password", 50 in MINUTES_5, Address;
    /// Accounts that are deleted.
    DELETION = "deletion", 50 in MINUTES_5, Address;
    /// E-mails for forgotten passwords.
    FORGOTTEN = "forgotten", 15 in HOUR, Address;
    /// The same in a day.
    FORGOTTEN_DAY = "forgotten-day", 50 in DAY, Address;
    /// E-mails that an account asks for.
    MAIL = "mail", 5 in HOUR, Account;
    /// The same in a day.
    MAIL_DAY = "mail-day", 15 in DAY, Account;
    /// Changes of the handle.
    HANDLE = "handle", 10 in MINUTES_5, Account;
    /// The same in a day.
    HANDLE_DAY = "handle-day", 50 in DAY, Account;
    /// Blobs.
    UPLOAD = "upload", 1_000 in DAY, Account;
    /// Points of writes: 3 for a new record, 2 for a changed one, 1 for a deleted one.
    WRITES = "writes", 5_000 in HOUR, Handler;
    /// The same in a day.
    WRITES_DAY = "writes-day", 35_000 in DAY, Handler;
    /// Requests of applications that are to be granted.
    OAUTH_PUSH = "oauth-push", 500 in MINUTES_5, Address;
    /// Tokens of applications.
    OAUTH_TOKEN = "oauth-token", 1_500 in MINUTES_5, Address;
    /// Reports.
    REPORT = "report", 30 in HOUR, Account;
    /// The same in a day.
    REPORT_DAY = "report-day", 100 in DAY, Account;
    /// Keys made for accounts that are to come.
    RESERVED_KEY = "reserved-key", 30 in HOUR, Address;
}

/// How often each limit turned somebody away since the start. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Hits(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Hits {
    /// Counts one more, in the metrics as well.
    pub(crate) fn note(&self, limit: &'static str) {
        metrics::counter!("p2pds_serving_limited_total", "limit" => limit).increment(1);
        self.count(limit);
    }

    /// Counts one more, for a limit that has a metric of its own.
    pub fn count(&self, limit: &'static str) {
        let mut hits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = hits.entry(limit).or_default();
        *count = count.saturating_add(1);
    }

    /// How often a limit turned somebody away.
    #[must_use]
    pub fn of(&self, limit: &str) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(limit).copied().unwrap_or_default()
    }
}

/// E-mails that an account asks for.
pub(crate) const MAILS: &[&Rule] = &[&MAIL, &MAIL_DAY];
/// Changes of the handle.
pub(crate) const HANDLES: &[&Rule] = &[&HANDLE, &HANDLE_DAY];
/// Reports.
pub(crate) const REPORTS: &[&Rule] = &[&REPORT, &REPORT_DAY];
/// E-mails for forgotten passwords.
pub(crate) const FORGETTING: &[&Rule] = &[&FORGOTTEN, &FORGOTTEN_DAY];

#[derive(Debug, Clone, Copy)]
struct Window {
    since: Instant,
    length: Duration,
    used: u32,
}

impl Window {
    fn over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= self.length
    }
}

/// All windows.
#[derive(Debug)]
pub(crate) struct Meters {
    counted: bool,
    hasher: RandomState,
    windows: Mutex<HashMap<u64, Window>>,
}

impl Meters {
    pub(crate) fn new(counted: bool) -> Self {
        Self { counted, hasher: RandomState::new(), windows: Mutex::default() }
    }

    /// Takes points of a rule for a key. `Err` holds what a caller is told who has used them up; nothing is taken then.
    fn take(&self, rule: &'static Rule, key: &str, points: u32, now: Instant) -> Result<Option<Left>, Left> {
        if !self.counted {
            return Ok(None);
        }
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= MOST_WINDOWS {
            windows.retain(|_, window| !window.over(now));
            if windows.len() >= MOST_WINDOWS {
                // More callers than can be remembered: those that have asked least are forgotten.
                windows.retain(|_, window| window.used > 2);
            }
            if windows.len() >= MOST_WINDOWS {
                windows.clear();
            }
        }
        let fresh = Window { since: now, length: Duration::from_secs(rule.seconds), used: 0 };
        let window = windows.entry(self.hasher.hash_one((rule.name, key))).or_insert(fresh);
        if window.over(now) {
            *window = fresh;
        }
        let reset = window.length.saturating_sub(now.saturating_duration_since(window.since));
        let (used, reset) = (window.used.saturating_add(points), reset.as_secs().saturating_add(1));
        let left = |remaining| Left { limit: rule.points, remaining, reset, window: rule.seconds };
        if used > rule.points {
            return Err(left(rule.points.saturating_sub(window.used)));
        }
        window.used = used;
        Ok(Some(left(rule.points.saturating_sub(used))))
    }
}

/// The meter of one request: where its handler takes points.
#[derive(Clone)]
pub struct Meter(Arc<Running>);

struct Running {
    door: Arc<Xrpc>,
    from: IpAddr,
    /// The operator lets this caller ask as often as he likes.
    free: bool,
    least: Mutex<Option<Left>>,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meter")
    }
}

impl Meter {
    pub(crate) fn new(door: &Arc<Xrpc>, from: IpAddr, free: bool) -> Self {
        Self(Arc::new(Running { door: Arc::clone(door), from, free, least: Mutex::default() }))
    }

    /// The caller's address, as it is counted.
    #[must_use]
    pub fn address(&self) -> String {
        caller(self.0.from).to_string()
    }

    /// Takes points of a rule for a key.
    ///
    /// # Errors
    /// They are used up: status 429.
    pub fn take(&self, rule: &'static Rule, key: &str, points: u32) -> Result<(), XrpcError> {
        if self.0.free {
            return Ok(());
        }
        let taken = self.0.door.meters.take(rule, key, points, Instant::now());
        let left = match &taken {
            Ok(left) => *left,
            Err(left) => Some(*left),
        };
        if let Some(left) = left {
            let mut least = self.0.least.lock().unwrap_or_else(PoisonError::into_inner);
            if taken.is_err() || least.is_none_or(|known| left.remaining < known.remaining) {
                *least = Some(left);
            }
        }
        taken.map(|_| ()).map_err(|left| {
            self.0.door.config.hits.note(rule.name);
            XrpcError::too_many(left.reset, "Rate Limit Exceeded")
        })
    }

    /// Takes points of writing for an account: 3 for a new record, 2 for a changed one, 1 for a deleted one.
    ///
    /// # Errors
    /// They are used up: status 429.
    pub fn writes(&self, did: &p2pds_syntax::Did, points: u32) -> Result<(), XrpcError> {
        self.take(&WRITES, did.as_str(), points)?;
        self.take(&WRITES_DAY, did.as_str(), points)
    }

    /// Takes one try to log in under this name from this address.
    ///
    /// # Errors
    /// There were too many: status 429.
    pub fn login(&self, identifier: &str) -> Result<(), XrpcError> {
        let key = login_key(identifier, &self.address());
        self.take(&LOGIN_DAY, &key, 1)?;
        self.take(&LOGIN, &key, 1)
    }

    /// What is left by the rule that leaves least.
    pub(crate) fn least(&self) -> Option<Left> {
        *self.0.least.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose tries are counted together: a name is one however it is typed.
fn login_key(identifier: &str, address: &str) -> String {
    format!("{}-{address}", p2pds_host::accounts::plain_name(identifier))
}

impl<S: Send + Sync> FromRequestParts<S> for Meter {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, XrpcError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| XrpcError::unguarded(parts.uri.path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_counted_for_each_rule_and_key() {
        let (meters, now) = (Meters::new(true), Instant::now());
        for left in (0..5).rev() {
            assert_eq!(meters.take(&MAIL, "did:web:a", 1, now).unwrap().unwrap().remaining, left);
        }
        let refused = meters.take(&MAIL, "did:web:a", 1, now).unwrap_err();
        assert_eq!((refused.remaining, refused.limit, refused.reset), (0, 5, 3_601));
        assert!(meters.take(&MAIL, "did:web:b", 1, now).is_ok(), "another account");
        assert!(meters.take(&MAIL_DAY, "did:web:a", 1, now).is_ok(), "another rule");
        assert!(
            meters.take(&MAIL, "did:web:a", 1, now + Duration::from_secs(HOUR)).is_ok(),
            "the next window"
        );
        assert_eq!(Meters::new(false).take(&MAIL, "x", 1_000, now), Ok(None), "switched off");
    }

    #[test]
    fn a_name_counts_as_one_however_it_is_typed() {
        let plain = login_key("alice.example", "192.0.2.1");
        for typed in ["@alice.example", "@@@Alice.Example", " @ alice.example "] {
            assert_eq!(login_key(typed, "192.0.2.1"), plain, "{typed}");
        }
        assert_ne!(login_key("alice@example", "192.0.2.1"), plain);
    }

    #[test]
    fn what_is_too_much_takes_nothing() {
        let (meters, now) = (Meters::new(true), Instant::now());
        assert!(meters.take(&WRITES, "a", 4_800, now).is_ok());
        assert_eq!(meters.take(&WRITES, "a", 600, now).unwrap_err().remaining, 200);
        assert_eq!(meters.take(&WRITES, "a", 200, now).unwrap().unwrap().remaining, 0);
    }

    #[test]
    fn the_table_of_windows_is_bounded() {
        let (meters, now) = (Meters::new(true), Instant::now());
        for n in 0..MOST_WINDOWS + 10 {
            let _ = meters.take(&SIGN_UP, &n.to_string(), 1, now);
        }
        assert!(meters.windows.lock().unwrap().len() <= MOST_WINDOWS);
    }

    #[test]
    fn hits_are_counted_together() {
        let (one, none) = (Hits::default(), Hits::default());
        let other = one.clone();
        other.note("login");
        other.note("login");
        assert_eq!((one.of("login"), one.of("mail"), none.of("login")), (2, 0, 0));
    }

    #[test]
    fn names_of_rules_are_unique() {
        let names: std::collections::BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(names.len(), RULES.len());
    }
}
