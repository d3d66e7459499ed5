//! A DNS server for tests: TXT, A and AAAA records on a loopback port, over UDP
//! and TCP, changeable while it runs, with answers that change from one question
//! to the next (DNS rebinding) and with silence.
//!
//! Every answer has a time to live of 0, so that no resolver keeps it.
//! It needs nothing but the standard library and runs on threads of its own, so
//! that synchronous and asynchronous tests can use it alike.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const A: u16 = 1;
const TXT: u16 = 16;
const AAAA: u16 = 28;
/// Answers longer than this are sent truncated over UDP; the resolver comes back over TCP.
const MAX_UDP: usize = 1200;
/// How often the threads look whether they should end.
const TICK: Duration = Duration::from_millis(50);

/// A running server; it ends when dropped.
pub struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    zone: Mutex<Zone>,
    stop: AtomicBool,
}

#[derive(Default)]
struct Zone {
    /// Answers by (name, type): the sets that are given one after the other; the last one stays.
    records: HashMap<(String, u16), Vec<Vec<Vec<u8>>>>,
    failing: HashMap<String, Failure>,
    questions: HashMap<(String, u16), u64>,
}

/// How a name misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The server answers SERVFAIL.
    ServFail,
    /// The server does not answer.
    Silence,
}

impl Server {
    /// Starts a server without records on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start() -> std::io::Result<Self> {
        let (udp, tcp) = bind()?;
        let addr = udp.local_addr()?;
        udp.set_read_timeout(Some(TICK))?;
        tcp.set_nonblocking(true)?;
        let shared = Arc::new(Shared::default());
        let (for_udp, for_tcp) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            std::thread::Builder::new().name("dns-udp".into()).spawn(move || serve_udp(&udp, &for_udp))?,
            std::thread::Builder::new().name("dns-tcp".into()).spawn(move || serve_tcp(&tcp, &for_tcp))?,
        ];
        Ok(Self { addr, shared, threads })
    }

    /// Where it listens, over UDP and TCP.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Sets the TXT records of `name`. Texts above 255 bytes are split as DNS demands.
    pub fn set_txt(&self, name: &str, texts: &[&str]) {
        let set = texts.iter().map(|t| txt_data(t)).collect();
        self.zone().records.insert((key(name), TXT), vec![set]);
    }

    /// Sets the addresses of `name`, v4 and v6.
    pub fn set_addresses(&self, name: &str, addresses: &[IpAddr]) {
        self.set_address_sequence(name, &[addresses]);
    }

    /// Sets addresses that change: the first question gets the first set, and so on; the last one stays.
    pub fn set_address_sequence(&self, name: &str, sets: &[&[IpAddr]]) {
        let pick = |v4: bool| -> Vec<Vec<Vec<u8>>> {
            sets.iter()
                .map(|set| set.iter().filter(|ip| ip.is_ipv4() == v4).map(address_data).collect())
                .collect()
        };
        let mut zone = self.zone();
        zone.records.insert((key(name), A), pick(true));
        zone.records.insert((key(name), AAAA), pick(false));
    }

    /// Makes `name` fail, or (`None`) answer again.
    pub fn set_failure(&self, name: &str, failure: Option<Failure>) {
        match failure {
            Some(failure) => self.zone().failing.insert(key(name), failure),
            None => self.zone().failing.remove(&key(name)),
        };
    }

    /// Forgets `name`: the answer is then that it does not exist.
    pub fn remove(&self, name: &str) {
        let name = key(name);
        self.zone().records.retain(|(n, _), _| *n != name);
    }

    /// How many TXT questions there were for `name`.
    #[must_use]
    pub fn txt_questions(&self, name: &str) -> u64 {
        self.zone().questions.get(&(key(name), TXT)).copied().unwrap_or(0)
    }

    /// How many address (A) questions there were for `name`.
    #[must_use]
    pub fn address_questions(&self, name: &str) -> u64 {
        self.zone().questions.get(&(key(name), A)).copied().unwrap_or(0)
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        lock(&self.shared.zone)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The same port for UDP and TCP.
fn bind() -> std::io::Result<(UdpSocket, TcpListener)> {
    let mut last = None;
    for _ in 0..20 {
        let udp = UdpSocket::bind("127.0.0.1:0")?;
        match TcpListener::bind(udp.local_addr()?) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(|| std::io::Error::other("no free port")))
}

fn serve_udp(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0_u8; 4096];
    while !shared.stop.load(Ordering::SeqCst) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let Some(answer) = buffer.get(..length).and_then(|q| answer(&shared.zone, q, Some(MAX_UDP))) else {
            continue;
        };
        let _ = socket.send_to(&answer, from);
    }
}

fn serve_tcp(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.stop.load(Ordering::SeqCst) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(TICK);
            continue;
        };
        let shared = Arc::clone(shared);
        std::thread::spawn(move || while exchange(&stream, &shared).is_some() {});
    }
}

/// One question and answer over TCP, each behind its length.
fn exchange(mut stream: &TcpStream, shared: &Shared) -> Option<()> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let mut length = [0_u8; 2];
    stream.read_exact(&mut length).ok()?;
    let mut question = vec![0_u8; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut question).ok()?;
    let answer = answer(&shared.zone, &question, None)?;
    stream.write_all(&u16::try_from(answer.len()).ok()?.to_be_bytes()).ok()?;
    stream.write_all(&answer).ok()
}

/// The answer to one message (RFC 1035 4); `None` for silence.
fn answer(zone: &Mutex<Zone>, question: &[u8], max: Option<usize>) -> Option<Vec<u8>> {
    let id = question.get(..2)?;
    let (name, end) = name_at(question, 12)?;
    let after_type = end.checked_add(2)?;
    let kind = u16::from_be_bytes(question.get(end..after_type)?.try_into().ok()?);
    let echoed = question.get(12..after_type.checked_add(2)?)?;

    let mut zone = lock(zone);
    let asked = zone.questions.entry((name.clone(), kind)).or_default();
    *asked = asked.saturating_add(1);
    let (code, records) = match zone.failing.get(&name) {
        Some(Failure::Silence) => return None,
        Some(Failure::ServFail) => (2_u8, Vec::new()),
        None => zone.take(&name, kind),
    };
    drop(zone);

    let build = |records: &[Vec<u8>], truncated: u8| -> Option<Vec<u8>> {
        let mut out = id.to_vec();
        out.extend([0x84 | truncated, 0x80 | code, 0, 1]);
        out.extend(u16::try_from(records.len()).ok()?.to_be_bytes());
        out.extend([0, 0, 0, 0]);
        out.extend(echoed);
        for data in records {
            out.extend([0xc0, 12]);
            out.extend(kind.to_be_bytes());
            out.extend([0, 1, 0, 0, 0, 0]);
            out.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
            out.extend(data);
        }
        Some(out)
    };
    let whole = build(&records, 0)?;
    if max.is_some_and(|max| whole.len() > max) { build(&[], 2) } else { Some(whole) }
}

impl Zone {
    /// Response code and records; moves a sequence on by one.
    fn take(&mut self, name: &str, kind: u16) -> (u8, Vec<Vec<u8>>) {
        if let Some(sets) = self.records.get_mut(&(name.to_owned(), kind)) {
            let now = sets.first().cloned().unwrap_or_default();
            if sets.len() > 1 {
                sets.remove(0);
            }
            return (0, now);
        }
        let exists = self.records.keys().any(|(n, _)| n == name);
        (if exists { 0 } else { 3 }, Vec::new())
    }
}

/// The name at `at`, in lower case without its final dot, and where it ends.
fn name_at(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at = at.checked_add(1)?;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let end = at.checked_add(length)?;
        labels.push(String::from_utf8_lossy(message.get(at..end)?).to_ascii_lowercase());
        at = end;
    }
}

fn txt_data(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    for part in if bytes.is_empty() { [bytes].as_slice().to_vec() } else { bytes.chunks(255).collect() } {
        out.push(u8::try_from(part.len()).unwrap_or(255));
        out.extend(part);
    }
    out
}

fn address_data(ip: &IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn key(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
