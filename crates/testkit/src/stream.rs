//! A host, or a relay, that sends events: one loopback server with a repository stream over a real WebSocket, the
//! questions of synchronization, and the PLC directory of its accounts.
//!
//! Everything is made in advance: keys, trees, proofs, signatures. Sending an event is writing bytes that are there
//! already, so that the server costs little beside what is measured. What it does wrong is data, see [`Behaviour`].
//!
//! Cursors are those of the protocol: none is live, 0 is the oldest event, one that is too old gets `OutdatedCursor`
//! first, one from the future gets `FutureCursor` and the end.

mod behaviour;
mod lie;
mod serve;
pub mod wire;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;

pub use behaviour::{Behaviour, Rule, When};
pub use world::{Plan, Truth, Write};

use crate::dns;
use world::World;

/// The server with its name server; it ends when dropped.
pub struct Host {
    /// `http://localhost:PORT`: PDS and PLC directory.
    pub url: String,
    names: dns::Server,
    shared: Arc<Shared>,
}

struct Shared {
    world: Mutex<World>,
    /// Events as whole WebSocket messages; the number of the first is 1.
    log: Mutex<Vec<Arc<[u8]>>>,
    /// Events that subscribers may see.
    visible: AtomicU64,
    changed: (Mutex<()>, Condvar),
    /// Number of the oldest event that is still given out.
    oldest: AtomicU64,
    rules: Mutex<Vec<(Rule, u64)>>,
    swapped: Mutex<BTreeSet<u64>>,
    lines: Mutex<Vec<TcpStream>>,
    asked: Mutex<BTreeMap<String, u64>>,
    /// Answers nothing but 503.
    closed: AtomicBool,
    stop: AtomicBool,
}

impl Host {
    /// Makes the accounts and listens on a free port.
    ///
    /// # Errors
    /// No port.
    pub fn start(plan: &Plan) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://localhost:{}", listener.local_addr()?.port());
        let world = World::new(plan, &url);
        let names = dns::Server::start()?;
        for citizen in &world.citizens {
            names.set_txt(&format!("_atproto.{}", citizen.made.handle), &[&format!("did={}", citizen.did)]);
        }
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            log: Mutex::default(),
            visible: AtomicU64::new(0),
            changed: Default::default(),
            oldest: AtomicU64::new(1),
            rules: Mutex::default(),
            swapped: Mutex::default(),
            lines: Mutex::default(),
            asked: Mutex::default(),
            closed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if served.ended() {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&served)) else { continue };
                std::thread::spawn(move || drop(serve::answer(&stream, &shared)));
            }
        });
        Ok(Self { url, names, shared })
    }

    /// `ws://localhost:PORT`: what a `FIREHOSE_URL` would say.
    #[must_use]
    pub fn stream_url(&self) -> String {
        self.url.replacen("http", "ws", 1)
    }

    /// The settings by which `p2pds` finds this host.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        vec![
            ("P2PDS_PLC_URL".to_owned(), self.url.clone()),
            ("P2PDS_NAMESERVERS".to_owned(), self.names.addr().to_string()),
            ("P2PDS_DEV_ALLOW_LOOPBACK".to_owned(), "true".to_owned()),
        ]
    }

    /// DID of an account.
    #[must_use]
    pub fn did(&self, n: usize) -> String {
        self.world().citizens[n].did.to_string()
    }

    /// All DIDs.
    #[must_use]
    pub fn dids(&self) -> Vec<String> {
        self.world().citizens.iter().map(|citizen| citizen.did.to_string()).collect()
    }

    /// Handle of an account.
    #[must_use]
    pub fn handle(&self, n: usize) -> String {
        self.world().citizens[n].made.handle.clone()
    }

    /// What is true of an account, prepared events included.
    #[must_use]
    pub fn truth(&self, n: usize) -> Truth {
        self.world().citizens[n].truth()
    }

    /// The signing key of an account, as did:key.
    #[must_use]
    pub fn signing_key(&self, n: usize) -> String {
        self.world().citizens[n].made.signing_key()
    }

    /// The whole repository of an account.
    #[must_use]
    pub fn car(&self, n: usize) -> Vec<u8> {
        self.world().citizens[n].car()
    }

    /// From now on DID documents name no handle: for followers that would look them up in public DNS.
    pub fn hide_handles(&self) {
        self.world().handles = false;
    }

    /// Commits to an account and sends the event; returns its number.
    pub fn commit(&self, n: usize, what: Write) -> u64 {
        self.send(|world| world.commit(n, what))
    }

    /// One new record, and its event; returns its number.
    pub fn post(&self, n: usize) -> u64 {
        self.commit(n, Write { creates: 1, updates: 0, deletes: 0 })
    }

    /// `#sync` with the account's head.
    pub fn sync(&self, n: usize) -> u64 {
        self.send(|world| world.sync(n))
    }

    /// `#identity`.
    pub fn identity(&self, n: usize) -> u64 {
        self.send(|world| world.identity(n))
    }

    /// `#account` with this status, or active again; all answers follow it.
    pub fn account(&self, n: usize, status: Option<&str>) -> u64 {
        self.send(|world| world.account(n, status))
    }

    /// Gives an account another signing key and says so; its next commit is signed with it.
    pub fn rotate(&self, n: usize) -> u64 {
        self.world().rotate(n);
        self.identity(n)
    }

    /// Withdraws an account's signing key in its log. Nothing is said of it, and what is signed goes on with the old key.
    pub fn lose_key(&self, n: usize) {
        self.world().lose_key(n);
    }

    /// Moves an account to another host, which signs with another key from then on: identity, status and an empty commit
    /// there, status here. This host goes on to be its PLC directory. Gives its place at the other host.
    pub fn move_to(&self, n: usize, other: &Self) -> usize {
        let citizen = self.world().leave(n, &other.url);
        let there = other.world().take_in(citizen);
        other.identity(there);
        other.account(there, None);
        other.commit(there, Write { creates: 0, updates: 0, deletes: 0 });
        self.account(n, Some("deactivated"));
        there
    }

    fn send(&self, make: impl FnOnce(&mut World) -> Vec<u8>) -> u64 {
        let last = {
            let mut world = self.world();
            let event = wire::binary(&make(&mut world));
            let mut log = self.shared.log.lock().expect("not poisoned");
            log.push(event.into());
            log.len() as u64
        };
        self.shared.show(last);
        last
    }

    /// Makes commits to accounts chosen by chance, which nobody sees yet; see [`Self::publish`] and [`Self::run`].
    pub fn prepare(&self, commits: usize) {
        for _ in 0..commits {
            let mut world = self.world();
            let n = world.anyone();
            let event = wire::binary(&world.commit_any(n));
            self.shared.log.lock().expect("not poisoned").push(event.into());
        }
    }

    /// Shows so many prepared events; returns the number of the last one.
    pub fn publish(&self, events: u64) -> u64 {
        let last = self.shared.visible().saturating_add(events).min(self.last());
        self.shared.show(last);
        last
    }

    /// Shows prepared events at a rate (events per second) until there are none left.
    #[must_use]
    pub fn run(&self, rate: f64) -> JoinHandle<()> {
        let (shared, first, last) = (Arc::clone(&self.shared), self.shared.visible(), self.last());
        std::thread::spawn(move || {
            let start = Instant::now();
            loop {
                let due = first + (start.elapsed().as_secs_f64() * rate) as u64;
                shared.show(due.min(last));
                if due >= last || shared.ended() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        })
    }

    /// Number of the last event, prepared ones included.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.shared.log.lock().expect("not poisoned").len() as u64
    }

    /// Number of the last event that subscribers may see.
    #[must_use]
    pub fn visible(&self) -> u64 {
        self.shared.visible()
    }

    /// The honest frame of an event.
    #[must_use]
    pub fn event(&self, seq: u64) -> Vec<u8> {
        let log = self.shared.log.lock().expect("not poisoned");
        serve::unframed(&log[usize::try_from(seq).expect("fits") - 1]).to_vec()
    }

    /// Forgets the events before this one: an older cursor is outdated.
    pub fn forget_before(&self, seq: u64) {
        self.shared.oldest.store(seq, Ordering::Relaxed);
    }

    /// From now on the host does what the script says, to all events sent after this call.
    pub fn behave(&self, script: Vec<Rule>) {
        *self.shared.rules.lock().expect("not poisoned") = script.into_iter().map(|rule| (rule, 0)).collect();
    }

    /// Breaks all streams that are open.
    pub fn hang_up(&self) {
        for line in self.shared.lines.lock().expect("not poisoned").drain(..) {
            let _ = line.shutdown(Shutdown::Both);
        }
    }

    /// Closed: streams break and everything is answered with 503. Open again with `false`.
    pub fn close(&self, closed: bool) {
        self.shared.closed.store(closed, Ordering::Relaxed);
        if closed {
            self.hang_up();
        }
    }

    /// How often a path was asked for, such as `/xrpc/com.atproto.sync.getRepo`.
    #[must_use]
    pub fn asked(&self, path: &str) -> u64 {
        self.shared.asked.lock().expect("not poisoned").get(path).copied().unwrap_or(0)
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.shared.world.lock().expect("not poisoned")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.changed.1.notify_all();
        self.hang_up();
        // Wakes the listener, which then sees that it should end.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

impl Shared {
    fn ended(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    fn show(&self, last: u64) {
        let guard = self.changed.0.lock().expect("not poisoned");
        self.visible.fetch_max(last, Ordering::AcqRel);
        self.changed.1.notify_all();
        drop(guard);
    }

    /// Events from `next` on, at most `most`, as soon as there is one; whether no rule is in force. `None` at the end.
    fn wait(&self, next: u64, most: usize) -> Option<(Vec<Arc<[u8]>>, bool)> {
        let mut guard = self.changed.0.lock().expect("not poisoned");
        while self.visible() < next {
            if self.ended() {
                return None;
            }
            guard = self.changed.1.wait(guard).expect("not poisoned");
        }
        drop(guard);
        if self.ended() {
            return None;
        }
        let honest = self.rules.lock().expect("not poisoned").is_empty();
        let log = self.log.lock().expect("not poisoned");
        let first = usize::try_from(next).expect("fits") - 1;
        let last = usize::try_from(self.visible()).expect("fits").min(first + most);
        Some((log[first..last].to_vec(), honest))
    }

    /// A pause that ends with the host.
    fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.ended() && Instant::now() < until {
            std::thread::sleep((until - Instant::now()).min(Duration::from_millis(50)));
        }
    }

    /// The first rule that applies to an event.
    fn misbehaves(&self, seq: u64, payload: &[u8]) -> Option<Behaviour> {
        let account = || {
            let did = p2pds_replica::peek(payload).ok()?.did?;
            self.world.lock().expect("not poisoned").place(did)
        };
        let mut rules = self.rules.lock().expect("not poisoned");
        for (rule, fired) in rules.iter_mut() {
            let left = rule.times.is_none_or(|times| *fired < times);
            if left && serve::applies(rule.when, seq, account) {
                *fired += 1;
                return Some(rule.what.clone());
            }
        }
        None
    }
}
