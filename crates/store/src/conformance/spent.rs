//! Used service tokens.

use super::{Factory, Rig};
use crate::hosting::{SpentToken, SpentUnit};
use crate::view::block_on;
use crate::{HostingUnit, Unit};

pub(super) fn run(factory: Factory<'_>) {
    kept_until_they_end(factory);
    ended_ones_go_with_new_ones(factory);
}

fn token(n: u8, ends_at: i64) -> SpentToken {
    SpentToken { token: [n; 16], issuer: [n; 8], ends_at }
}

fn unit(row: SpentToken, now: i64) -> Unit {
    Unit::Hosting(Box::new(HostingUnit::Spent(SpentUnit { row, now })))
}

fn kept_until_they_end(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.ok(unit(token(1, 10), 0));
    rig.ok(unit(token(2, 30), 0));
    rig.ok(unit(token(3, 20), 0));
    let held = |now, limit| block_on(rig.store.spent_tokens(now, limit)).unwrap();
    assert_eq!(held(9, 9), [token(2, 30), token(3, 20), token(1, 10)]);
    assert_eq!(held(10, 9), [token(2, 30), token(3, 20)]);
    assert_eq!(held(0, 1), [token(2, 30)]);
    // The same again, with another end.
    rig.ok(unit(token(2, 40), 0));
    assert_eq!(held(20, 9), [token(2, 40)]);
}

fn ended_ones_go_with_new_ones(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    for n in 1..=50 {
        rig.ok(unit(token(n, i64::from(n)), 0));
    }
    rig.ok(unit(token(60, 60), 49));
    assert_eq!(block_on(rig.store.spent_tokens(0, 99)).unwrap(), [token(60, 60), token(50, 50)]);
}
