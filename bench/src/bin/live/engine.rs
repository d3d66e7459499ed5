//! Frames in memory, decoded, proved, verified and judged: no sockets, no store.

use std::collections::HashMap;
use std::time::Instant;

use p2pds_crypto::PublicKey;
use p2pds_replica::{Context, Decision, Head, Key, Origin, State, Status, decode, peek, step};
use p2pds_testkit::stream::Host;
use rustix::time::{ClockId, clock_gettime};

use crate::report::{Table, micros};
use crate::{Scale, start};

const EVENTS: usize = 40_000;

fn cpu(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

struct Followed {
    state: State,
    keys: [Key; 1],
}

fn follow(host: &Host, accounts: usize) -> HashMap<String, Followed> {
    (0..accounts)
        .map(|n| {
            let truth = host.truth(n);
            let head = Head { rev: truth.rev, commit: truth.commit, data: truth.data };
            let key = PublicKey::from_did_key(&host.signing_key(n)).expect("a key");
            let state = State::new(Some(head), Status::Active);
            (host.did(n), Followed { state, keys: [Key { key, until: None }] })
        })
        .collect()
}

pub fn table(scale: Scale) -> String {
    let host = start(scale);
    let followed = follow(&host, scale.accounts);
    let events = EVENTS.min(scale.steady);
    host.prepare(events);
    let frames: Vec<Vec<u8>> = (1..=events as u64).map(|seq| host.event(seq)).collect();
    let bytes: usize = frames.iter().map(Vec::len).sum();
    let now = i64::MAX / 2;

    let glance = spent(|| {
        for frame in &frames {
            assert!(peek(frame).expect("our own frame").did.is_some());
        }
    });
    let decoding = spent(|| {
        for frame in &frames {
            decode(frame).expect("our own frame");
        }
    });
    let mut rows = Vec::new();
    for threads in [1, 2] {
        let mut shards: Vec<HashMap<String, Followed>> = (0..threads).map(|_| HashMap::new()).collect();
        for (did, one) in &followed {
            let one = Followed { state: one.state.clone(), keys: one.keys.clone() };
            shards[shard(did, threads)].insert(did.clone(), one);
        }
        let (start, before) = (Instant::now(), cpu(ClockId::ProcessCPUTime));
        std::thread::scope(|scope| {
            for (at, mut followed) in shards.into_iter().enumerate() {
                let frames = &frames;
                scope.spawn(move || {
                    for bytes in frames {
                        let did = peek(bytes).expect("our own frame").did.expect("an account");
                        if shard(did, threads) != at {
                            continue;
                        }
                        let one = followed.get_mut(did).expect("followed");
                        let context = Context { now, origin: Origin::Relay, keys: &one.keys, again: false };
                        let frame = decode(bytes).expect("our own frame");
                        let decision = step(&mut one.state, frame, &context);
                        assert!(matches!(decision, Decision::Apply { skipped: false, .. }));
                    }
                });
            }
        });
        rows.push((events as f64 / start.elapsed().as_secs_f64(), cpu(ClockId::ProcessCPUTime) - before));
    }
    let mut table = Table::new(
        "The rules alone: frames in memory, each decoded, proved, verified, judged",
        &["", "", "aim"],
    );
    let mut row = |name: &str, value: String, aim: &str| table.row(&[name.to_owned(), value, aim.to_owned()]);
    row("frame, bytes in the mean", (bytes / events).to_string(), "");
    row("glance (type, number, account), µs", micros(glance / events as f64), "");
    row("decoding, µs", micros(decoding / events as f64), "");
    row("everything, CPU µs", micros(rows[0].1 / events as f64), "");
    row("commits/s, one core, by CPU time", format!("{:.0}", events as f64 / rows[0].1), "15,000");
    row("commits/s, one core, by the clock", format!("{:.0}", rows[0].0), "15,000");
    row("commits/s, two cores, by the clock", format!("{:.0}", rows[1].0), "");
    row("state of one account, bytes", size_of::<State>().to_string(), "200");
    table.text()
}

fn shard(did: &str, of: usize) -> usize {
    usize::from(did.as_bytes()[did.len() - 1]) % of
}

fn spent(work: impl FnOnce()) -> f64 {
    let before = cpu(ClockId::ThreadCPUTime);
    work();
    cpu(ClockId::ThreadCPUTime) - before
}
