//! From an honest event and a behaviour to what goes over the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use p2pds_crypto::Signer;
use p2pds_ipld::cbor::{self, Value};
use p2pds_ipld::{Cid, car};
use p2pds_replica::frame::{Account, Failure, Frame, Identity, Info, Legacy, Unknown, decode};
use p2pds_repo::commit::{Commit, Unsigned};
use p2pds_syntax::{Did, Tid};

use super::behaviour::Behaviour;
use super::wire::{self, binary};
use super::world::{TIME, stranger};
use crate::random::Random;

/// One thing that goes over the wire.
pub(super) enum Act {
    /// Bytes.
    Send(Vec<u8>),
    /// Bytes, so many a second.
    Drip(Vec<u8>, u64),
    /// The same bytes again and again, so many milliseconds apart.
    Forever(Vec<u8>, u64),
    /// Nothing for so many milliseconds.
    Wait(u64),
    /// Nothing any more, but the connection stays.
    Hang,
    /// The event after this one first.
    Swap,
    /// The end, after a goodbye if one was sent.
    End,
}

/// What is sent instead of an honest event. `signer` is the key of the event's account, `other` another account.
pub(super) fn acts(what: &Behaviour, honest: &[u8], signer: &dyn Signer, other: &Did) -> Vec<Act> {
    let one = |bytes: Vec<u8>| vec![Act::Send(bytes)];
    let before = |frame: Frame<'_>| vec![Act::Send(binary(&frame.encode())), Act::Send(binary(honest))];
    match what {
        Behaviour::Drop => Vec::new(),
        Behaviour::Duplicate => vec![Act::Send(binary(honest)), Act::Send(binary(honest))],
        Behaviour::Swap => vec![Act::Swap, Act::Send(binary(honest))],
        Behaviour::TruncateFrame(percent) => {
            one(binary(&honest[..honest.len() * usize::from(*percent).min(100) / 100]))
        }
        Behaviour::Garbage(length) => one(binary(&noise(*length))),
        Behaviour::UnknownType => {
            before(Frame::Unknown(Unknown { op: 1, kind: Some("#novelty"), seq: None }))
        }
        Behaviour::UnknownOp => before(Frame::Unknown(Unknown { op: 7, kind: None, seq: None })),
        Behaviour::Info(name) => before(Frame::Info(Info { name, message: Some("made up") })),
        Behaviour::Error(error) => {
            let frame = Frame::Error(Failure { error, message: Some("made up") }).encode();
            vec![Act::Send(binary(&frame)), Act::Send(wire::close(1000, "")), Act::End]
        }
        Behaviour::HugeFrame(length) => one(binary(&vec![0; *length])),
        Behaviour::LongFrame(length) => {
            vec![Act::Send(wire::head(wire::FIN | wire::BINARY, *length)), Act::Send(vec![0]), Act::Hang]
        }
        Behaviour::Trickle(rate) => vec![Act::Drip(binary(honest), *rate)],
        Behaviour::EndlessFragments => {
            let start = wire::head(wire::BINARY, 0);
            vec![Act::Send(start), Act::Forever(wire::head(wire::CONTINUE, 0).repeat(1_000), 0)]
        }
        Behaviour::DripFragments(pause) => {
            let fragment = [wire::head(wire::CONTINUE, 1), vec![0], wire::head(wire::FIN | wire::PING, 0)];
            vec![Act::Send(wire::head(wire::BINARY, 0)), Act::Forever(fragment.concat(), *pause)]
        }
        Behaviour::PingFlood(count) => {
            let ping = [wire::head(wire::FIN | wire::PING, 4), vec![1, 2, 3, 4]].concat();
            vec![Act::Send(ping.repeat(*count as usize)), Act::Send(binary(honest))]
        }
        Behaviour::Text => {
            let text = b"{\"op\":1}";
            one([wire::head(wire::FIN | wire::TEXT, text.len() as u64), text.to_vec()].concat())
        }
        Behaviour::Compressed => {
            one([wire::head(wire::FIN | 0x40 | wire::BINARY, honest.len() as u64), honest.to_vec()].concat())
        }
        Behaviour::Masked => one(masked(honest)),
        Behaviour::Stall(ms) => vec![Act::Wait(*ms), Act::Send(binary(honest))],
        Behaviour::Close(code) => vec![Act::Send(wire::close(*code, "made up")), Act::End],
        Behaviour::Reset => vec![Act::End],
        Behaviour::CutFrame => {
            let whole = binary(honest);
            vec![Act::Send(whole[..whole.len() / 2].to_vec()), Act::End]
        }
        Behaviour::Equivocate => {
            let twin = change(honest, |it| it.sign(it.commit.rev, Cid::of_cbor(b"another tree"), signer));
            vec![Act::Send(binary(honest)), Act::Send(binary(&twin))]
        }
        Behaviour::IdentityFlood(count) => {
            let Some((seq, did)) = named(honest) else { return one(binary(honest)) };
            let frame = Frame::Identity(Identity { seq, time: TIME, did, handle: None }).encode();
            vec![Act::Send(binary(&frame).repeat(*count as usize)), Act::Send(binary(honest))]
        }
        Behaviour::AccountStatus(status) => {
            let Some((seq, did)) = named(honest) else { return one(binary(honest)) };
            let (active, status) = (status.is_empty(), Some(status.as_str()).filter(|text| !text.is_empty()));
            one(binary(&Frame::Account(Account { seq, time: TIME, did, active, status }).encode()))
        }
        Behaviour::BadDid | Behaviour::OldSeq | Behaviour::HugeSeq => one(binary(&reworded(what, honest))),
        changed => one(binary(&change(honest, |it| it.lie(changed, signer, other)))),
    }
}

fn named(honest: &[u8]) -> Option<(u64, Did)> {
    let frame = decode(honest).ok()?;
    Some((frame.seq()?, frame.did()?.clone()))
}

/// The commit event in parts that can be exchanged. Other events pass unchanged.
fn change(honest: &[u8], lie: impl FnOnce(&mut Parts<'_>)) -> Vec<u8> {
    let Ok(Frame::Commit(frame)) = decode(honest) else { return honest.to_vec() };
    let reader = car::SliceReader::new(frame.event.blocks, car::CarLimits::DEFAULT).expect("our own blocks");
    let sections = reader.map(|section| section.expect("our own blocks"));
    let blocks: Vec<(Cid, Vec<u8>)> = sections
        .filter_map(|section| match section.cid {
            car::SectionCid::Plain(cid) => Some((cid, section.bytes.to_vec())),
            _ => None,
        })
        .collect();
    let commit = Commit::decode(&blocks[0].1).expect("our own commit");
    let mut parts = Parts { frame, commit, blocks };
    lie(&mut parts);
    let mut car = Vec::new();
    if !(parts.frame.legacy == Some(Legacy::TooBig)) {
        car::write_header(&mut car, &[parts.frame.event.commit]);
        for (cid, bytes) in &parts.blocks {
            car::write_section(&mut car, cid, bytes);
        }
    }
    let mut frame = parts.frame;
    frame.event.blocks = &car;
    Frame::Commit(frame).encode()
}

struct Parts<'a> {
    frame: p2pds_replica::frame::Commit<'a>,
    commit: Commit,
    /// The commit first.
    blocks: Vec<(Cid, Vec<u8>)>,
}

impl Parts<'_> {
    /// Another commit in place of the first, by this key.
    fn sign(&mut self, rev: Tid, data: Cid, signer: &dyn Signer) {
        let unsigned = Unsigned { did: self.commit.did.clone(), rev, data };
        let block = unsigned.sign(signer).expect("a key in memory signs").encode();
        let cid = Cid::of_cbor(&block);
        self.blocks[0] = (cid, block);
        self.frame.event.commit = cid;
        self.frame.event.rev = rev;
    }

    fn lie(&mut self, what: &Behaviour, signer: &dyn Signer, other: &Did) {
        let (rev, data) = (self.commit.rev, self.commit.data);
        let second = |seconds: u64| seconds * 1_000_000;
        let event = &mut self.frame.event;
        match what {
            Behaviour::ForgeSignature => self.sign(rev, data, &stranger()),
            Behaviour::ForeignDid => event.repo = other.clone(),
            Behaviour::OlderRev(by) => {
                self.sign(Tid::from_micros(rev.micros() - second(*by), 2), data, signer);
            }
            Behaviour::FutureRev(by) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros();
                let now = u64::try_from(now).expect("before the year 586524");
                self.sign(Tid::from_micros(now + second(*by), 2), data, signer);
            }
            Behaviour::WrongPrevData => event.prev_data = Some(Cid::of_cbor(b"no tree")),
            Behaviour::MissingPrevData => {
                event.prev_data = None;
                event.ops.iter_mut().for_each(|op| op.prev = None);
            }
            Behaviour::WrongSince => event.since = Some(Tid::from_micros(rev.micros() - 7, 9)),
            Behaviour::WrongOp => {
                let wrong = Cid::of_cbor(b"no record");
                event.ops.iter_mut().filter(|op| op.cid.is_some()).for_each(|op| op.cid = Some(wrong));
                event.ops.iter_mut().filter(|op| op.cid.is_none()).for_each(|op| op.prev = Some(wrong));
            }
            Behaviour::HideOp => drop(event.ops.pop()),
            // The second block is the root of the tree.
            Behaviour::MissingBlock => drop(self.blocks.remove(1)),
            Behaviour::FlipBlock => self.blocks[1].1[0] ^= 1,
            Behaviour::ExtraBlocks(length) => {
                let noise = noise(*length);
                self.blocks.push((Cid::of_raw(&noise), noise));
            }
            Behaviour::TooBig => {
                self.frame.legacy = Some(Legacy::TooBig);
                event.ops.clear();
            }
            Behaviour::Rebase => self.frame.legacy = Some(Legacy::Rebase),
            other => unreachable!("{other:?} is no lie about a commit"),
        }
    }
}

/// Changes that a typed frame cannot express.
fn reworded(what: &Behaviour, honest: &[u8]) -> Vec<u8> {
    let header = Value::map([("op", Value::Int(1)), ("t", Value::Text("#commit".to_owned()))]);
    let split = cbor::encode(&header).len();
    let limits = cbor::Limits { max_len: 5 << 20, ..cbor::Limits::RECORD };
    let Ok(Value::Map(mut fields)) = cbor::decode(honest.get(split..).unwrap_or_default(), &limits) else {
        return honest.to_vec();
    };
    for (name, value) in &mut fields {
        match (what, name.as_str()) {
            (Behaviour::BadDid, "repo") => *value = Value::Text("did:plc:NOT A DID".to_owned()),
            (Behaviour::OldSeq, "seq") => *value = Value::Int(1),
            (Behaviour::HugeSeq, "seq") => *value = Value::Int(1 << 60),
            _ => {}
        }
    }
    [cbor::encode(&header), cbor::encode(&Value::Map(fields))].concat()
}

fn masked(payload: &[u8]) -> Vec<u8> {
    let mut out = wire::head(wire::FIN | wire::BINARY, payload.len() as u64);
    out[1] |= 0x80;
    out.extend_from_slice(&[1, 2, 3, 4]);
    out.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ [1, 2, 3, 4][at % 4]));
    out
}

fn noise(length: usize) -> Vec<u8> {
    let mut random = Random::new(length as u64);
    (0..length).map(|_| random.number() as u8).collect()
}
