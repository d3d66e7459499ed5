//! How often strangers may try: counted by address (IPv6 by /64, which is what one customer gets) and by what is tried.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use crate::node_side::LimitNote;

const MINUTES_5: i64 = 5 * 60 * 1_000_000;
/// Addresses remembered.
const MOST: usize = 50_000;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Try {
    /// A code.
    Claim,
    /// A sign-in, which makes this node ask others.
    SignIn,
    /// A password, which is tried at another host.
    Password,
    /// An account that is to be hosted here.
    SignUp,
    /// Something that sends an e-mail.
    Mail,
    /// A code out of such an e-mail.
    Code,
    /// Words to the operator.
    Report,
}

impl Try {
    /// From one address in five minutes.
    const fn each(self) -> u32 {
        match self {
            Self::Claim => 10,
            Self::SignIn => 20,
            Self::Password => 5,
            Self::SignUp => 30,
            Self::Mail => 20,
            Self::Code => 30,
            Self::Report => 10,
        }
    }

    /// From all addresses in five minutes. A code cannot be guessed, and who floods this must not keep its owner out.
    const fn all(self) -> u32 {
        match self {
            Self::Claim | Self::Code => u32::MAX,
            Self::SignIn | Self::SignUp | Self::Mail => 300,
            Self::Password => 50,
            Self::Report => 100,
        }
    }

    const ALL: [Self; 7] =
        [Self::Claim, Self::SignIn, Self::Password, Self::SignUp, Self::Mail, Self::Code, Self::Report];

    /// Its name on the operator's page.
    const fn name(self) -> &'static str {
        match self {
            Self::Claim => "page-claim",
            Self::SignIn => "page-sign-in",
            Self::Password => "page-password",
            Self::SignUp => "page-sign-up",
            Self::Mail => "page-mail",
            Self::Code => "page-code",
            Self::Report => "page-report",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Window {
    since: i64,
    count: u32,
}

#[derive(Debug, Default)]
pub(super) struct Limits {
    windows: Mutex<HashMap<(Try, Option<IpAddr>), Window>>,
    hits: Mutex<HashMap<Try, u64>>,
}

fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        ip => ip,
    }
}

impl Limits {
    /// Counts a try; the seconds to wait if it is one too many, which is not counted.
    pub(super) fn take(&self, what: Try, address: IpAddr, now: i64) -> Result<(), u64> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= MOST {
            windows.retain(|_, window| now.saturating_sub(window.since) < MINUTES_5);
            if windows.len() >= MOST {
                windows.clear();
            }
        }
        let keys = [((what, Some(counted(address))), what.each()), ((what, None), what.all())];
        for (key, most) in keys {
            let window = windows.entry(key).or_insert(Window { since: now, count: 0 });
            let age = now.saturating_sub(window.since);
            if age >= MINUTES_5 {
                *window = Window { since: now, count: 0 };
            } else if window.count >= most {
                let left = MINUTES_5.saturating_sub(age) / 1_000_000;
                let mut hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
                let count = hits.entry(what).or_default();
                *count = count.saturating_add(1);
                return Err(u64::try_from(left).unwrap_or(0).max(1));
            }
        }
        for (key, _) in keys {
            if let Some(window) = windows.get_mut(&key) {
                window.count = window.count.saturating_add(1);
            }
        }
        Ok(())
    }

    /// Them, and how often they turned somebody away.
    pub(super) fn notes(&self) -> Vec<LimitNote> {
        let hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        let note = |what: Try| LimitNote {
            name: what.name().to_owned(),
            most: what.each(),
            seconds: u64::try_from(MINUTES_5 / 1_000_000).ok(),
            hits: hits.get(&what).copied().unwrap_or_default(),
        };
        Try::ALL.map(note).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_and_no_more() {
        let limits = Limits::default();
        let [bot, owner]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        for _ in 0..Try::Claim.each() {
            assert_eq!(limits.take(Try::Claim, bot, 0), Ok(()));
        }
        assert_eq!(limits.take(Try::Claim, bot, 0), Err(300));
        let hits = |name: &str| limits.notes().iter().find(|note| note.name == name).unwrap().hits;
        assert_eq!((hits("page-claim"), hits("page-sign-in")), (1, 0));
        assert_eq!(limits.take(Try::Claim, owner, 0), Ok(()));
        assert_eq!(limits.take(Try::SignIn, bot, 0), Ok(()), "another thing");
        assert_eq!(limits.take(Try::Claim, bot, MINUTES_5), Ok(()), "later");
    }

    #[test]
    fn one_customer_is_one_address_and_all_together_are_counted_too() {
        let limits = Limits::default();
        let of = |n: u16, host: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, n, 0, 0, 0, host));
        for host in 0..5 {
            assert_eq!(limits.take(Try::Password, of(1, host), 0), Ok(()));
        }
        assert!(limits.take(Try::Password, of(1, 9), 0).is_err());
        for n in 2..11 {
            for host in 0..5 {
                assert_eq!(limits.take(Try::Password, of(n, host), 0), Ok(()));
            }
        }
        assert!(limits.take(Try::Password, of(99, 0), 0).is_err());
    }
}
