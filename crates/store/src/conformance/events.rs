//! Events: numbers, order, what a failed unit leaves, retention, erasing.

use std::sync::Arc;

use p2pds_syntax::Did;

use super::commits::{change, commit};
use super::{Dice, Factory, Rig, did, rev, row};
use crate::events::{FirstEvent, Replay};
use crate::view::block_on;
use crate::{
    AccountPatch, AccountStatus, Applied, CHUNK_ROWS, EventKind, EventRow, Jump, NewEvent, StoreError, Unit,
};

pub(super) fn run(factory: Factory<'_>) {
    frames_are_stored_as_they_are_sent(factory);
    an_event_comes_with_its_commit_or_not_at_all(factory);
    many_writers_give_one_order(factory);
    pages_are_bounded(factory);
    what_is_old_or_too_much_goes_first(factory);
    one_account_is_erased_and_no_other(factory);
    numbers_only_go_on(factory);
    at_a_time(factory);
    a_purge_leaves_only_the_word_that_it_is_gone(factory);
}

/// An event whose frame is `<letter` seq `size` times `.`.
pub(super) fn event(of: &Did, kind: EventKind, at: i64, size: usize) -> NewEvent {
    NewEvent { did: of.clone(), kind, at, before: b"<".to_vec(), after: vec![b'.'; size] }
}

pub(super) fn emit(n: u8, at: i64) -> Unit {
    Unit::Emit(event(&did(n), EventKind::Commit, at, 10))
}

impl Rig {
    pub(super) fn emit(&self, unit: Unit) -> i64 {
        match self.ok(unit) {
            Applied::Event { seq } => seq,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn events(&self) -> Vec<EventRow> {
        block_on(self.store.events_after(0, 100_000, usize::MAX)).unwrap()
    }

    fn seqs(&self) -> Vec<i64> {
        self.events().iter().map(|event| event.seq).collect()
    }

    fn tail(&self, after: i64) -> Vec<Arc<EventRow>> {
        match self.store.tail().after(after, 100_000, usize::MAX) {
            Replay::Events(events) => events,
            Replay::Behind => panic!("the tail does not reach back to {after}"),
        }
    }

    #[track_caller]
    fn totals_fit(&self) {
        let (events, totals) = (self.events(), block_on(self.store.event_totals()).unwrap());
        let bytes: usize = events.iter().map(|event| event.frame.len()).sum();
        assert_eq!((totals.events, totals.bytes), (events.len() as u64, bytes as u64));
        assert_eq!(block_on(self.store.check_structure()).unwrap(), Vec::<String>::new());
    }
}

fn frames_are_stored_as_they_are_sent(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    assert_eq!(block_on(rig.store.last_seq()).unwrap(), 0);
    assert_eq!(block_on(rig.store.first_event()).unwrap(), None);
    assert_eq!(rig.events(), []);
    for (n, kind) in
        [EventKind::Commit, EventKind::Sync, EventKind::Identity, EventKind::Account].into_iter().enumerate()
    {
        let seq = rig.emit(Unit::Emit(event(&did(3), kind, 7, n)));
        let stored = rig.events().pop().unwrap();
        assert_eq!((stored.seq, stored.kind, stored.at, &stored.did), (seq, kind, 7, &did(3)));
        assert_eq!(&stored.frame[..], [&[b'<', u8::try_from(seq).unwrap()][..], &vec![b'.'; n]].concat());
        assert_eq!(block_on(rig.store.last_seq()).unwrap(), seq);
        assert_eq!(block_on(rig.store.tail().wait_past(seq - 1)), seq, "the tail heard of it");
    }
    assert_eq!(rig.seqs(), [1, 2, 3, 4], "the first number is 1");
    assert_eq!(rig.tail(0).iter().map(|e| (**e).clone()).collect::<Vec<_>>(), rig.events());
    // All lengths of the number.
    for (to, head) in [
        (23, &[0x18, 24][..]),
        (0xff, &[0x19, 1, 0]),
        (0xffff, &[0x1a, 0, 1, 0, 0]),
        (0xffff_ffff, &[0x1b, 0, 0, 0, 1, 0, 0, 0, 0]),
    ] {
        rig.ok(Unit::JumpSeq(Jump::To(to)));
        rig.emit(emit(0, 8));
        let frame = rig.events().pop().unwrap().frame;
        assert_eq!(&frame[1..=head.len()], head, "after {to}");
    }
    rig.totals_fit();
}

fn an_event_comes_with_its_commit_or_not_at_all(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    rig.archive(&did(0), rev(1), &[row("a.b.c/1", "one")]);
    let both = |expect, to, old| {
        let write = commit(&did(0), rev(expect), rev(to), vec![change("a.b.c/1", old, Some("two"))]);
        Unit::Batch { did: did(0), units: vec![write, emit(0, 5)] }
    };
    let Applied::Batch(answers) = rig.ok(both(1, 2, Some("one"))) else { panic!() };
    assert_eq!(answers, [Applied::Done, Applied::Event { seq: 1 }], "one answer for each unit");
    assert_eq!(rig.live(&did(0)).rev, rev(2));
    // Event first, commit refused: neither is there, and the number goes to another.
    let Unit::Batch { mut units, .. } = both(1, 3, Some("two")) else { panic!() };
    units.reverse();
    let refused = rig.apply(Unit::Batch { did: did(0), units });
    assert!(matches!(refused, Err(StoreError::HeadMoved { .. })), "{refused:?}");
    assert_eq!((rig.live(&did(0)).rev, rig.seqs()), (rev(2), vec![1]));
    assert_eq!(rig.tail(0).len(), 1, "nobody hears of what was not written");
    assert_eq!(rig.store.tail().last(), 1);
    // Refused and good ones in one group.
    let receipts: Vec<_> = [(3, Some("two")), (9, Some("x")), (4, Some("two"))]
        .map(|(to, old)| rig.store.submit(both(to - 1, to, old)))
        .into_iter()
        .collect();
    let ok: Vec<bool> = receipts.into_iter().map(|receipt| block_on(receipt).is_ok()).collect();
    assert_eq!(ok, [true, false, true]);
    let revs = block_on(rig.store.commits(&did(0), Some(rev(1)), 9)).unwrap().len();
    assert_eq!((revs, rig.seqs().len()), (3, 3), "as many events as commits");
    assert_eq!(rig.tail(0).iter().map(|e| e.seq).collect::<Vec<_>>(), rig.seqs());
    rig.totals_fit();
}

fn many_writers_give_one_order(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let receipts: Vec<_> =
        (0..200_i64).map(|n| rig.store.submit(emit(u8::try_from(n % 8).unwrap(), n))).collect();
    let mut given: Vec<i64> = Vec::new();
    for (n, receipt) in receipts.into_iter().enumerate() {
        let Applied::Event { seq } = block_on(receipt).unwrap() else { panic!() };
        assert!(rig.store.tail().last() >= seq, "who is answered finds it in the tail");
        given.push(seq);
        assert_eq!(given.len(), n + 1);
    }
    let mut sorted = given.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted, rig.seqs(), "each number once");
    assert_eq!(rig.tail(0).iter().map(|e| e.seq).collect::<Vec<_>>(), sorted, "the tail has their order");
    for event in rig.events() {
        let n = usize::try_from(event.at).unwrap();
        assert_eq!(given[n], event.seq, "each has the number that was answered");
    }
    // Of one account in the order of submission.
    for n in 0..8_i64 {
        let ats: Vec<i64> = rig.events().iter().map(|e| e.at).filter(|at| at % 8 == n).collect();
        assert!(ats.is_sorted(), "{ats:?}");
    }
}

fn pages_are_bounded(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    for at in 0..6 {
        rig.emit(emit(0, at));
    }
    let page = |after, limit, bytes| {
        let page = block_on(rig.store.events_after(after, limit, bytes)).unwrap();
        page.iter().map(|e| e.seq).collect::<Vec<_>>()
    };
    assert_eq!(page(0, 4, usize::MAX), [1, 2, 3, 4]);
    assert_eq!(page(4, 4, usize::MAX), [5, 6]);
    assert_eq!(page(0, 9, 13), [1, 2], "12 bytes each: the one that reaches the limit is the last");
    assert_eq!(page(0, 9, 1), [1], "one at least");
    assert_eq!(page(6, 9, 99), [0; 0]);
    assert_eq!(page(99, 9, 99), [0; 0]);
}

fn what_is_old_or_too_much_goes_first(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    for at in 1..=10 {
        rig.emit(emit(u8::try_from(at % 2).unwrap(), at));
    }
    let prune =
        |before_at, keep_count, max_bytes| rig.ok(Unit::PruneEvents { before_at, keep_count, max_bytes });
    let done = |rows| Applied::Chunk { rows, done: true };
    assert_eq!(prune(1, 10, 120), done(0), "within all limits");
    assert_eq!(prune(4, 10, 120), done(3), "by age");
    assert_eq!(rig.seqs(), (4..=10).collect::<Vec<_>>());
    assert_eq!(prune(0, 6, 120), done(1), "by count");
    assert_eq!(prune(0, 10, 12 * 4 + 11), done(2), "by bytes");
    assert_eq!(rig.seqs(), [7, 8, 9, 10]);
    assert_eq!(rig.store.tail().after(3, 9, 99), Replay::Behind);
    assert_eq!(rig.tail(6).len(), 4, "what stays is in the tail");
    rig.totals_fit();
    assert_eq!(prune(99, 10, 120), done(4));
    assert_eq!(rig.seqs(), [0; 0]);
    assert_eq!(block_on(rig.store.last_seq()).unwrap(), 10, "numbers do not begin again");
    assert_eq!(rig.emit(emit(0, 1)), 11);
    // In chunks.
    let mut left: Vec<_> = (0..2_300).collect();
    while !left.is_empty() {
        let some: Vec<_> = left.drain(..left.len().min(50)).map(|_| rig.store.submit(emit(1, 3))).collect();
        some.into_iter().for_each(|receipt| drop(block_on(receipt).unwrap()));
    }
    assert_eq!(prune(0, 1, 1 << 40), Applied::Chunk { rows: CHUNK_ROWS as u64, done: false });
    assert_eq!(prune(0, 1, 1 << 40), Applied::Chunk { rows: CHUNK_ROWS as u64, done: false });
    assert_eq!(prune(0, 1, 1 << 40), done(300));
    assert_eq!(rig.seqs().len(), 1);
    rig.totals_fit();
}

fn one_account_is_erased_and_no_other(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let mut dice = Dice(7);
    for at in 0..60 {
        rig.emit(emit(u8::try_from(dice.below(3)).unwrap(), at));
    }
    let others = |rig: &Rig| rig.events().into_iter().filter(|e| e.did != did(1)).collect::<Vec<_>>();
    let before = others(&rig);
    let gone = Unit::Emit(event(&did(1), EventKind::Account, 99, 3));
    let seq = rig.emit(gone);
    let rows = 61 - before.len() as u64 - 1;
    let erased = rig.ok(Unit::EraseEvents { did: did(1) });
    assert_eq!(erased, Applied::Chunk { rows, done: true });
    assert_eq!(others(&rig), before, "other accounts keep theirs");
    let left: Vec<_> = rig.events().into_iter().filter(|e| e.did == did(1)).collect();
    assert_eq!(left.iter().map(|e| (e.seq, e.kind)).collect::<Vec<_>>(), [(seq, EventKind::Account)]);
    assert_eq!(
        rig.tail(0).iter().map(|e| e.seq).collect::<Vec<_>>(),
        rig.seqs(),
        "the tail forgets them too"
    );
    assert_eq!(rig.ok(Unit::EraseEvents { did: did(1) }), Applied::Chunk { rows: 0, done: true });
    assert_eq!(rig.ok(Unit::EraseEvents { did: did(9) }), Applied::Chunk { rows: 0, done: true });
    rig.emit(emit(1, 100));
    assert_eq!(rig.ok(Unit::EraseEvents { did: did(1) }), Applied::Chunk { rows: 2, done: true });
    assert_eq!(rig.emit(emit(1, 100)), seq + 2, "the numbers of the erased are not given again");
    rig.totals_fit();
}

fn numbers_only_go_on(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let jump = |jump| rig.emit(Unit::JumpSeq(jump));
    assert_eq!(jump(Jump::By(0)), 0);
    assert_eq!(jump(Jump::To(1_000)), 1_000, "before the first event");
    assert_eq!(rig.emit(emit(0, 1)), 1_001);
    assert_eq!(jump(Jump::To(5)), 1_001, "never back");
    assert_eq!(jump(Jump::By(1_000_000)), 1_001_001);
    assert_eq!((block_on(rig.store.last_seq()).unwrap(), rig.store.tail().last()), (1_001_001, 1_001_001));
    assert_eq!(rig.emit(emit(0, 1)), 1_001_002);
    assert_eq!(rig.seqs(), [1_001, 1_001_002]);
    let far = rig.apply(Unit::JumpSeq(Jump::To(1 << 53)));
    assert!(matches!(far, Err(StoreError::InvalidUnit(_))), "readers could not tell numbers apart: {far:?}");
    assert_eq!(rig.emit(emit(0, 1)), 1_001_003);
    // A batch that jumps and fails has not jumped.
    let patch = AccountPatch { status: Some(AccountStatus::Deleted), ..AccountPatch::default() };
    let units = vec![
        Unit::JumpSeq(Jump::By(500)),
        emit(3, 1),
        Unit::PatchAccount { did: did(3), patch: Box::new(patch) },
    ];
    assert!(rig.apply(Unit::Batch { did: did(3), units }).is_err());
    assert_eq!(rig.emit(emit(0, 1)), 1_001_004);
    rig.totals_fit();
}

fn at_a_time(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    let find = |time| block_on(rig.store.event_at_or_after(time)).unwrap();
    assert_eq!(find(5), None);
    for at in [10, 20, 20, 30] {
        rig.emit(emit(0, at));
        rig.ok(Unit::JumpSeq(Jump::By(700)));
    }
    let seqs = rig.seqs();
    for (time, wanted) in [(0, 0), (10, 0), (11, 1), (20, 1), (21, 3), (30, 3)] {
        assert_eq!(find(time), Some(seqs[wanted]), "at {time}");
    }
    assert_eq!(find(31), None);
    assert_eq!(block_on(rig.store.first_event()).unwrap(), Some(FirstEvent { seq: seqs[0], at: 10 }));
}

fn a_purge_leaves_only_the_word_that_it_is_gone(factory: Factory<'_>) {
    let rig = Rig::new(factory);
    for n in 0..2 {
        rig.archive(&did(n), rev(1), &[row("a.b.c/1", "one")]);
        for at in 0..30 {
            rig.emit(emit(n, at));
        }
    }
    // More bytes than one step takes.
    for at in 30..37 {
        rig.emit(Unit::Emit(event(&did(1), EventKind::Commit, at, 1 << 20)));
    }
    let others: Vec<_> = rig.events().into_iter().filter(|e| e.did == did(0)).collect();
    let seq = rig.emit(Unit::Emit(event(&did(1), EventKind::Account, 50, 3)));
    block_on(crate::view::purge(&*rig.store, &did(1), "its owner deleted it", 9)).unwrap();
    let (kept, gone): (Vec<_>, Vec<_>) = rig.events().into_iter().partition(|e| e.did == did(0));
    assert_eq!(kept, others);
    assert_eq!(gone.iter().map(|e| e.seq).collect::<Vec<_>>(), [seq]);
    // Word of an account that is not here any more can still be given.
    rig.emit(Unit::Emit(event(&did(1), EventKind::Account, 51, 3)));
    rig.totals_fit();
}
