//! How often strangers may try: counted by address (IPv6 by /64, which is what one customer gets) and by what is tried.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use crate::node_side::LimitNote;

const MINUTES_5: i64 = 5 * 60 * 1_000_000;
/// Addresses remembered.
const MOST: usize = 50_000;
/// Addresses of the owner that are remembered.
const MOST_OF_OWNERS: usize = 100;

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
    /// A browser that is to be remembered before anybody signed in in it.
    Browser,
}

impl Try {
    /// From one address in five minutes.
    const fn each(self) -> u32 {
        match self {
            Self::Claim => 10,
            Self::SignIn => 20,
            Self::Browser => 60,
            Self::Password => 5,
            Self::SignUp => 30,
            Self::Mail => 20,
            Self::Code => 30,
            Self::Report => 10,
        }
    }

    /// From all addresses in five minutes, those excepted from which the owner came before: who floods this must not keep
    /// him out. A code cannot be guessed, and a browser that nobody signs in in is forgotten after an hour.
    const fn all(self) -> u32 {
        match self {
            Self::Claim | Self::Code | Self::Browser => u32::MAX,
            Self::SignIn | Self::SignUp | Self::Mail => 300,
            Self::Password => 50,
            Self::Report => 100,
        }
    }

    const ALL: [Self; 8] = [
        Self::Claim,
        Self::SignIn,
        Self::Password,
        Self::SignUp,
        Self::Mail,
        Self::Code,
        Self::Report,
        Self::Browser,
    ];

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
            Self::Browser => "page-browser",
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
    /// Where the owner came from since the node runs, the last at the end.
    owners: Mutex<Vec<IpAddr>>,
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

/// Makes room: those whose time is over go, and if that is not enough a tenth of the rest, the oldest first.
fn make_room(windows: &mut HashMap<(Try, Option<IpAddr>), Window>, now: i64) {
    if windows.len() < MOST {
        return;
    }
    windows.retain(|_, window| now.saturating_sub(window.since) < MINUTES_5);
    if windows.len() < MOST {
        return;
    }
    // What all together tried is not forgotten.
    let mut oldest: Vec<_> = windows.iter().filter(|((_, address), _)| address.is_some()).collect();
    oldest.sort_unstable_by_key(|(_, window)| window.since);
    let oldest: Vec<_> = oldest.into_iter().take(MOST / 10).map(|(key, _)| *key).collect();
    for key in oldest {
        windows.remove(&key);
    }
}

impl Limits {
    /// The owner is here.
    pub(super) fn owner_at(&self, address: IpAddr) {
        let address = counted(address);
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.last() == Some(&address) {
            return;
        }
        owners.retain(|known| *known != address);
        owners.push(address);
        if owners.len() > MOST_OF_OWNERS {
            owners.remove(0);
        }
    }

    fn is_owners(&self, address: IpAddr) -> bool {
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.contains(&counted(address))
    }

    /// Counts a try; the seconds to wait if it is one too many, which is not counted.
    pub(super) fn take(&self, what: Try, address: IpAddr, now: i64) -> Result<(), u64> {
        let all = if self.is_owners(address) { u32::MAX } else { what.all() };
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut windows, now);
        let keys = [((what, Some(counted(address))), what.each()), ((what, None), all)];
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

    /// Who floods this from many addresses does not keep the owner from signing in where he was before.
    #[test]
    fn all_together_do_not_keep_the_owner_out() {
        let limits = Limits::default();
        let of = |n: u16, host: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, n, 0, 0, 0, host));
        let [home, stranger]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        limits.owner_at(home);
        limits.owner_at(of(500, 1));
        for n in 0..300 {
            assert_eq!(limits.take(Try::SignIn, of(n, 0), 0), Ok(()));
        }
        assert!(limits.take(Try::SignIn, stranger, 0).is_err());
        assert_eq!(limits.take(Try::SignIn, of(500, 9), 0), Ok(()), "the same customer");
        for _ in 0..Try::SignIn.each() {
            assert_eq!(limits.take(Try::SignIn, home, 0), Ok(()));
        }
        assert!(limits.take(Try::SignIn, home, 0).is_err(), "he may not guess for ever either");
    }

    /// Who comes from more addresses than are remembered does not make the others' tries be forgotten at once.
    #[test]
    fn the_oldest_make_room() {
        let limits = Limits::default();
        let bot: IpAddr = "192.0.2.1".parse().unwrap();
        let of =
            |n: usize| IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(n).unwrap()));
        for n in 0..MOST / 2 {
            assert_eq!(limits.take(Try::Claim, of(n), 0), Ok(()));
        }
        for _ in 0..Try::Claim.each() {
            assert_eq!(limits.take(Try::Claim, bot, 1), Ok(()));
        }
        for n in MOST / 2..MOST {
            assert_eq!(limits.take(Try::Claim, of(n), 2), Ok(()));
        }
        assert!(limits.take(Try::Claim, bot, 2).is_err());
        assert!(limits.windows.lock().unwrap().len() <= MOST + 2);
    }
}
