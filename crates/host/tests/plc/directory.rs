//! A PLC directory in this process that keeps the rules and, when it is told to, answers badly.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use p2pds_identity::plc::{LogEntry, Operation, parse_audit, validate_log, write_audit};
use p2pds_syntax::{Datetime, Did};

/// How the next operation that is handed in is met.
pub enum Mood {
    /// Taken, and not a word said.
    Hush,
    /// Taken, and nothing can be read from then on.
    HushAndDark,
    /// Not taken: try later.
    Busy,
    /// Not taken: too often.
    TooOften,
    /// Not taken, because this one comes first.
    Overtaken(Operation),
}

#[derive(Default)]
pub struct State {
    logs: BTreeMap<String, Vec<LogEntry>>,
    pub moods: VecDeque<Mood>,
    pub dark: bool,
    pub posts: usize,
    /// Called with each operation before it is looked at.
    pub witness: Option<Box<dyn Fn() + Send>>,
}

#[derive(Clone)]
pub struct Plc {
    pub url: String,
    pub state: Arc<Mutex<State>>,
}

impl Plc {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&serving);
                std::thread::spawn(move || drop(serve(&stream, &state)));
            }
        });
        Self { url, state }
    }

    pub fn next(&self, moods: impl IntoIterator<Item = Mood>) {
        let mut state = self.state.lock().unwrap();
        state.posts = 0;
        state.dark = false;
        state.moods = moods.into_iter().collect();
    }

    pub fn posts(&self) -> usize {
        self.state.lock().unwrap().posts
    }

    pub fn put(&self, did: &Did, entries: Vec<LogEntry>) {
        self.state.lock().unwrap().logs.insert(did.to_string(), entries);
    }

    pub fn log(&self, did: &Did) -> Vec<LogEntry> {
        self.state.lock().unwrap().logs.get(did.as_str()).cloned().unwrap_or_default()
    }
}

impl State {
    /// Takes an operation if the rules allow it.
    fn take(&mut self, did: &str, operation: Operation) -> Result<(), String> {
        let log = self.logs.entry(did.to_owned()).or_default();
        let second = 1_767_225_600 + i64::try_from(log.len()).unwrap();
        let (did, cid) = (Did::parse(did).unwrap(), operation.cid());
        let created_at = Datetime::from_unix_micros(second * 1_000_000).unwrap();
        let mut entries = log.clone();
        let head = entries.last().map(|entry| entry.cid);
        if operation.prev() != head.as_ref() {
            return Err("Operations not correctly ordered".to_owned());
        }
        entries.push(LogEntry { did: did.clone(), operation, cid, nullified: false, created_at });
        validate_log(&did, &entries).map_err(|error| error.to_string())?;
        *log = entries;
        Ok(())
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap().trim_start_matches('/'));
        let (status, answer) = match method {
            "GET" => read(&state.lock().unwrap(), path),
            _ => match post(&mut state.lock().unwrap(), path, &body) {
                Some(answer) => answer,
                None => return Ok(()),
            },
        };
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", answer.len());
        let mut stream = stream;
        stream.write_all(head.as_bytes())?;
        stream.write_all(b"Content-Type: application/json\r\n\r\n")?;
        stream.write_all(&answer)?;
    }
}

fn read(state: &State, path: &str) -> (u16, Vec<u8>) {
    let did = path.trim_end_matches("/log/audit").replace("%3A", ":");
    match state.logs.get(&did) {
        _ if state.dark => (503, Vec::new()),
        Some(entries) if path.ends_with("/log/audit") => (200, write_audit(entries)),
        _ => (404, br#"{"message":"DID not registered"}"#.to_vec()),
    }
}

fn post(state: &mut State, path: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let did = path.replace("%3A", ":");
    state.posts += 1;
    if let Some(witness) = &state.witness {
        witness();
    }
    let operation = Operation::from_json(&serde_json::from_slice(body).unwrap()).unwrap();
    let mood = state.moods.pop_front();
    match &mood {
        Some(Mood::Busy) => return Some((503, Vec::new())),
        Some(Mood::TooOften) => return Some((429, Vec::new())),
        Some(Mood::Overtaken(first)) => state.take(&did, first.clone()).unwrap(),
        _ => {}
    }
    let taken = state.take(&did, operation);
    match (mood, taken) {
        (Some(Mood::Hush), Ok(())) => None,
        (Some(Mood::HushAndDark), Ok(())) => {
            state.dark = true;
            None
        }
        (_, Ok(())) => Some((200, Vec::new())),
        (_, Err(message)) => Some((400, serde_json::json!({ "message": message }).to_string().into_bytes())),
    }
}

/// The entries as a reader of the directory gets them.
pub fn readable(entries: &[LogEntry]) -> bool {
    parse_audit(&write_audit(entries)).is_ok_and(|read| read == entries)
}
