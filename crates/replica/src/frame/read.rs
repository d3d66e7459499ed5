//! From bytes to frames.

use p2pds_ipld::cbor::Reader;
use p2pds_ipld::{CborError, Cid};
use p2pds_repo::event::{Action, CommitEvent, EventOp, MAX_BLOCKS, MAX_OPS, MAX_SYNC};
use p2pds_syntax::{RecordPath, Tid};

use super::fields::{Faults, boolean, did, nullable_text, seq, text, wrong};
use super::{
    Account, Commit, Failure, Frame, FrameError, Identity, Info, LIMITS, Legacy, MAX_FRAME, Sync, Unknown,
};

/// Type of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `#commit`
    Commit,
    /// `#sync`
    Sync,
    /// `#identity`
    Identity,
    /// `#account`
    Account,
    /// `#info`
    Info,
    /// An error frame.
    Error,
    /// Anything else.
    Unknown,
}

impl Kind {
    /// A word for counters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Sync => "sync",
            Self::Identity => "identity",
            Self::Account => "account",
            Self::Info => "info",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}

/// What a glance at a frame shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peek<'a> {
    /// Type.
    pub kind: Kind,
    /// Number in the stream.
    pub seq: Option<u64>,
    /// Account, as text that nobody parsed.
    pub did: Option<&'a str>,
}

struct Header<'a> {
    op: i64,
    kind: Option<&'a str>,
}

fn header<'a>(reader: &mut Reader<'a>) -> Result<Header<'a>, CborError> {
    let (mut op, mut kind) = (None, None);
    for _ in 0..reader.map()? {
        match reader.text()? {
            "op" => op = Some(reader.int()?),
            "t" => kind = Some(reader.text()?),
            _ => reader.skip(&LIMITS)?,
        }
    }
    match op {
        Some(op) => Ok(Header { op, kind }),
        None => reader.expected("a header with `op`"),
    }
}

fn kind(header: &Header<'_>) -> Kind {
    match (header.op, header.kind) {
        (1, Some("#commit")) => Kind::Commit,
        (1, Some("#sync")) => Kind::Sync,
        (1, Some("#identity")) => Kind::Identity,
        (1, Some("#account")) => Kind::Account,
        (1, Some("#info")) => Kind::Info,
        (-1, _) => Kind::Error,
        _ => Kind::Unknown,
    }
}

/// Type, number and account of a frame; reads no further than it has to, so the rest may still be damaged.
///
/// # Errors
/// [`FrameError::TooLong`] and [`FrameError::Malformed`].
pub fn peek(bytes: &[u8]) -> Result<Peek<'_>, FrameError> {
    let mut reader = begin(bytes)?;
    let kind = kind(&header(&mut reader)?);
    let mut found = Peek { kind, seq: None, did: None };
    if matches!(kind, Kind::Info | Kind::Error) {
        return Ok(found);
    }
    let name = if kind == Kind::Commit { "repo" } else { "did" };
    let entries = match reader.map() {
        Ok(entries) => entries,
        // What is not known may look like anything.
        Err(_) if kind == Kind::Unknown => return Ok(found),
        Err(error) => return Err(error.into()),
    };
    for _ in 0..entries {
        let key = reader.text()?;
        let mut ahead = reader.clone();
        if key == "seq" {
            found.seq = seq(&mut ahead).ok();
        } else if key == name {
            found.did = text(&mut ahead).ok();
        }
        if found.seq.is_some() && found.did.is_some() {
            break;
        }
        reader.skip(&LIMITS)?;
    }
    Ok(found)
}

/// Reads a frame.
///
/// # Errors
/// [`FrameError`] names the first thing that is wrong.
pub fn decode(bytes: &[u8]) -> Result<Frame<'_>, FrameError> {
    let mut reader = begin(bytes)?;
    let header = header(&mut reader)?;
    let frame = match kind(&header) {
        Kind::Commit => commit(&mut reader)?.map(Frame::Commit),
        Kind::Sync => sync(&mut reader)?.map(Frame::Sync),
        Kind::Identity => identity(&mut reader)?.map(Frame::Identity),
        Kind::Account => account(&mut reader)?.map(Frame::Account),
        Kind::Info => info(&mut reader)?.map(Frame::Info),
        Kind::Error => failure(&mut reader)?.map(Frame::Error),
        Kind::Unknown => Ok(Frame::Unknown(unknown(&mut reader, &header)?)),
    };
    reader.finish()?;
    frame
}

fn begin(bytes: &[u8]) -> Result<Reader<'_>, FrameError> {
    if bytes.len() > MAX_FRAME { Err(FrameError::TooLong(bytes.len())) } else { Ok(Reader::new(bytes)) }
}

/// CBOR that cannot be read ends the frame; an event that breaks its schema is read to its end first.
type Outcome<T> = Result<Result<T, FrameError>, CborError>;

fn commit<'a>(reader: &mut Reader<'a>) -> Outcome<Commit<'a>> {
    let mut faults = Faults::new("#commit");
    let (mut number, mut time, mut repo, mut rev, mut since) = (None, None, None, None, None);
    let (mut cid, mut blocks, mut operations, mut before) = (None, None, None, None);
    let (mut too_big, mut rebase) = (None, None);
    for _ in 0..reader.map()? {
        match reader.text()? {
            "seq" => faults.read(reader, "seq", &mut number, seq)?,
            "time" => faults.read(reader, "time", &mut time, text)?,
            "repo" => faults.read(reader, "repo", &mut repo, did)?,
            "rev" => faults.read(reader, "rev", &mut rev, tid)?,
            "since" => faults.read(reader, "since", &mut since, nullable_tid)?,
            "commit" => faults.read(reader, "commit", &mut cid, link)?,
            "blocks" => faults.read(reader, "blocks", &mut blocks, |reader| bytes(reader, MAX_BLOCKS))?,
            "ops" => faults.read(reader, "ops", &mut operations, ops)?,
            "prevData" => faults.read(reader, "prevData", &mut before, nullable_link)?,
            "tooBig" => faults.read(reader, "tooBig", &mut too_big, boolean)?,
            "rebase" => faults.read(reader, "rebase", &mut rebase, boolean)?,
            _ => reader.skip(&LIMITS)?,
        }
    }
    let legacy = match (too_big, rebase) {
        (Some(true), _) => Some(Legacy::TooBig),
        (_, Some(true)) => Some(Legacy::Rebase),
        _ => None,
    };
    let (rev, cid) = (faults.need("rev", rev), faults.need("commit", cid));
    let (blocks, operations) = (faults.need("blocks", blocks), faults.need("ops", operations));
    let (number, repo) = (faults.need("seq", number), faults.need("repo", repo));
    let whole = (|| {
        let event = CommitEvent {
            repo: repo.clone()?,
            rev: rev?,
            since: since.flatten(),
            commit: cid?,
            blocks: blocks?,
            ops: operations?,
            prev_data: before.flatten(),
        };
        Some(Commit { seq: number?, time: time.unwrap_or_default(), event, legacy })
    })();
    Ok(faults.end(whole, number, repo))
}

fn sync<'a>(reader: &mut Reader<'a>) -> Outcome<Sync<'a>> {
    let mut faults = Faults::new("#sync");
    let (mut number, mut time, mut repo, mut rev, mut blocks) = (None, None, None, None, None);
    for _ in 0..reader.map()? {
        match reader.text()? {
            "seq" => faults.read(reader, "seq", &mut number, seq)?,
            "time" => faults.read(reader, "time", &mut time, text)?,
            "did" => faults.read(reader, "did", &mut repo, did)?,
            "rev" => faults.read(reader, "rev", &mut rev, tid)?,
            "blocks" => faults.read(reader, "blocks", &mut blocks, |reader| bytes(reader, MAX_SYNC))?,
            _ => reader.skip(&LIMITS)?,
        }
    }
    let (rev, blocks) = (faults.need("rev", rev), faults.need("blocks", blocks));
    let (number, repo) = (faults.need("seq", number), faults.need("did", repo));
    let time = time.unwrap_or_default();
    let whole = (|| Some(Sync { seq: number?, time, did: repo.clone()?, rev: rev?, blocks: blocks? }))();
    Ok(faults.end(whole, number, repo))
}

fn identity<'a>(reader: &mut Reader<'a>) -> Outcome<Identity<'a>> {
    let mut faults = Faults::new("#identity");
    let (mut number, mut time, mut repo, mut handle) = (None, None, None, None);
    for _ in 0..reader.map()? {
        match reader.text()? {
            "seq" => faults.read(reader, "seq", &mut number, seq)?,
            "time" => faults.read(reader, "time", &mut time, text)?,
            "did" => faults.read(reader, "did", &mut repo, did)?,
            "handle" => faults.read(reader, "handle", &mut handle, nullable_text)?,
            _ => reader.skip(&LIMITS)?,
        }
    }
    let (number, repo) = (faults.need("seq", number), faults.need("did", repo));
    let (time, handle) = (time.unwrap_or_default(), handle.flatten());
    let whole = (|| Some(Identity { seq: number?, time, did: repo.clone()?, handle }))();
    Ok(faults.end(whole, number, repo))
}

fn account<'a>(reader: &mut Reader<'a>) -> Outcome<Account<'a>> {
    let mut faults = Faults::new("#account");
    let (mut number, mut time, mut repo, mut active, mut status) = (None, None, None, None, None);
    for _ in 0..reader.map()? {
        match reader.text()? {
            "seq" => faults.read(reader, "seq", &mut number, seq)?,
            "time" => faults.read(reader, "time", &mut time, text)?,
            "did" => faults.read(reader, "did", &mut repo, did)?,
            "active" => faults.read(reader, "active", &mut active, boolean)?,
            "status" => faults.read(reader, "status", &mut status, nullable_text)?,
            _ => reader.skip(&LIMITS)?,
        }
    }
    let active = faults.need("active", active);
    let (number, repo) = (faults.need("seq", number), faults.need("did", repo));
    let (time, status) = (time.unwrap_or_default(), status.flatten());
    let whole = (|| Some(Account { seq: number?, time, did: repo.clone()?, active: active?, status }))();
    Ok(faults.end(whole, number, repo))
}

fn info<'a>(reader: &mut Reader<'a>) -> Outcome<Info<'a>> {
    let mut faults = Faults::new("#info");
    let (name, message) = words(reader, &mut faults, "name")?;
    let whole = name.map(|name| Info { name, message });
    Ok(faults.end(whole, None, None))
}

fn failure<'a>(reader: &mut Reader<'a>) -> Outcome<Failure<'a>> {
    let mut faults = Faults::new("error");
    let (error, message) = words(reader, &mut faults, "error")?;
    let whole = error.map(|error| Failure { error, message });
    Ok(faults.end(whole, None, None))
}

type Words<'a> = (Option<&'a str>, Option<&'a str>);

fn words<'a>(
    reader: &mut Reader<'a>,
    faults: &mut Faults,
    name: &'static str,
) -> Result<Words<'a>, CborError> {
    let (mut word, mut message) = (None, None);
    for _ in 0..reader.map()? {
        match reader.text()? {
            key if key == name => faults.read(reader, name, &mut word, text)?,
            "message" => faults.read(reader, "message", &mut message, nullable_text)?,
            _ => reader.skip(&LIMITS)?,
        }
    }
    Ok((faults.need(name, word), message.flatten()))
}

fn unknown<'a>(reader: &mut Reader<'a>, header: &Header<'a>) -> Result<Unknown<'a>, CborError> {
    let mut ahead = reader.clone();
    reader.skip(&LIMITS)?;
    let mut found = None;
    if let Ok(count) = ahead.map() {
        for _ in 0..count {
            if ahead.text()? == "seq" {
                found = seq(&mut ahead).ok();
                break;
            }
            ahead.skip(&LIMITS)?;
        }
    }
    Ok(Unknown { op: header.op, kind: header.kind, seq: found })
}

fn tid(reader: &mut Reader<'_>) -> Result<Tid, String> {
    Tid::parse(text(reader)?).map_err(wrong)
}

fn nullable_tid(reader: &mut Reader<'_>) -> Result<Option<Tid>, String> {
    if reader.null() { Ok(None) } else { tid(reader).map(Some) }
}

fn link(reader: &mut Reader<'_>) -> Result<Cid, String> {
    reader.link().map_err(wrong)
}

fn nullable_link(reader: &mut Reader<'_>) -> Result<Option<Cid>, String> {
    reader.nullable_link().map_err(wrong)
}

fn bytes<'a>(reader: &mut Reader<'a>, most: u64) -> Result<&'a [u8], String> {
    let bytes = reader.bytes().map_err(wrong)?;
    if bytes.len() as u64 > most {
        return Err(format!("has {} bytes, at most {most} are read", bytes.len()));
    }
    Ok(bytes)
}

fn ops(reader: &mut Reader<'_>) -> Result<Vec<EventOp>, String> {
    reader.clone().skip(&LIMITS).map_err(wrong)?;
    let count = reader.array().map_err(wrong)?;
    if count > MAX_OPS {
        return Err(format!("has {count} operations, at most {MAX_OPS} are accepted"));
    }
    (0..count).map(|_| op(reader)).collect()
}

fn op(reader: &mut Reader<'_>) -> Result<EventOp, String> {
    let (mut path, mut action, mut cid, mut prev) = (None, None, None, None);
    for _ in 0..reader.map().map_err(wrong)? {
        let twice = match reader.text().map_err(wrong)? {
            "path" => path.replace(RecordPath::parse(text(reader)?).map_err(wrong)?).is_some(),
            "action" => action.replace(self::action(text(reader)?)?).is_some(),
            "cid" => cid.replace(nullable_link(reader)?).is_some(),
            "prev" => prev.replace(nullable_link(reader)?).is_some(),
            _ => {
                reader.skip(&LIMITS).map_err(wrong)?;
                false
            }
        };
        if twice {
            return Err("has an operation that says a thing twice".to_owned());
        }
    }
    let missing = || "has an operation without `path` or `action`".to_owned();
    Ok(EventOp {
        path: path.ok_or_else(missing)?,
        action: action.ok_or_else(missing)?,
        cid: cid.flatten(),
        prev: prev.flatten(),
    })
}

fn action(word: &str) -> Result<Action, String> {
    match word {
        "create" => Ok(Action::Create),
        "update" => Ok(Action::Update),
        "delete" => Ok(Action::Delete),
        _ => Err("has an operation other than create, update and delete".to_owned()),
    }
}
