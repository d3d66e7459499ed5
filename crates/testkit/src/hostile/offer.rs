//! Repos that a host claims to have, as data: what is wrong with each, everything else is as it should be.

use p2pds_crypto::Signer;
use p2pds_ipld::cbor::{Value, encode};
use p2pds_ipld::{Cid, car};
use serde::{Deserialize, Serialize};

use super::commit::{der, high_s};
use super::mst::mst_cases;
use crate::madeup::{Content, MadeUp, State};
use crate::oracle::{POST, bulk_key, post_record};

/// A repo that is not what it should be. Steps are revisions of [`MadeUp::sign`], a second apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Offer {
    /// Signed by a key that is not the account's.
    Forged,
    /// Another account's.
    Foreign,
    /// In another account's name, signed by this one's key.
    NamesAnother,
    /// True once: so many steps before the stored one.
    Older(u64),
    /// The same, announced as if it were new.
    Replayed(u64),
    /// Signed under the stored revision, with other records.
    Twin,
    /// Signed under a revision so many seconds ahead of now.
    Future(u64),
    /// A new head is announced, the repo is the stored one.
    OnlyAnnounced,
    /// The announcement names no CID and no revision; the repo is new and true.
    NonsenseAnnounced,
    /// Without a signature.
    Unsigned,
    /// Signed with 64 zeros.
    ZeroSignature,
    /// With the other valid signature of the same bytes (high S).
    HighS,
    /// With the signature in DER.
    Der,
    /// Of this version.
    Version(i64),
    /// The commit names a tree that is not there.
    UnknownRoot,
    /// One byte of a record is another.
    FlippedRecord,
    /// One byte of a node is another.
    FlippedNode,
    /// A record is missing.
    WithoutRecord,
    /// A node is missing.
    WithoutNode,
    /// The commit is missing.
    WithoutCommit,
    /// The file names no root.
    NoRoots,
    /// The file names two roots.
    TwoRoots,
    /// The file's root is a record.
    RootIsRecord,
    /// The tree breaks a rule: a case of [`mst_cases`] by its name, properly signed.
    Tree(String),
    /// Every block comes twice.
    Duplicated,
    /// The blocks come in no order.
    Shuffled,
    /// This many blocks that nothing links to.
    Extra(u64),
    /// So many collections, one record each.
    Collections(u64),
}

/// What the host says then.
#[derive(Debug, Clone)]
pub struct Offered {
    /// CID of the head that it announces.
    pub commit: String,
    /// Its revision.
    pub rev: String,
    /// The repo that it sends, whatever is asked.
    pub car: Vec<u8>,
    /// The state that is true then, when what is sent proves one.
    pub state: Option<State>,
}

/// What a hostile host builds upon.
pub struct Ground<'a> {
    /// The account.
    pub account: &'a MadeUp,
    /// Another one.
    pub other: &'a MadeUp,
    /// What the archive holds, signed at `step`.
    pub content: &'a Content,
    /// The step of the stored state.
    pub step: u64,
}

impl Ground<'_> {
    /// The state after the stored one: one more post, with an image.
    #[must_use]
    pub fn next(&self) -> State {
        let mut content = self.content.clone();
        content.put_image(&bulk_key("next", 1), self.step, 40_000);
        self.account.sign(self.step + 1, &content)
    }

    /// Builds the offer.
    #[must_use]
    pub fn offer(&self, offer: &Offer) -> Offered {
        let next = self.next();
        let (account, other, step) = (self.account, self.other, self.step);
        match offer {
            Offer::Forged => lie(other.sign_for(&account.did, step + 1, self.content)),
            Offer::Foreign => lie(other.sign(step + 1, &Content::posts("foreign", 20))),
            Offer::NamesAnother => lie(account.sign_for(&other.did, step + 1, self.content)),
            Offer::Older(steps) => lie(account.sign(step - steps, &Content::posts("older", 20))),
            Offer::Replayed(steps) => {
                Offered { rev: next.rev, ..lie(account.sign(step - steps, &Content::posts("older", 20))) }
            }
            Offer::Twin => lie(account.sign(step, &Content::posts("twin", 20))),
            Offer::Future(seconds) => lie(account.sign(now_step() + seconds, self.content)),
            Offer::OnlyAnnounced => Offered { car: account.sign(step, self.content).car, ..lie(next) },
            Offer::NonsenseAnnounced => {
                Offered { commit: "no cid".to_owned(), rev: "yesterday".to_owned(), ..truth(next) }
            }
            Offer::Unsigned => self.resigned(&next, |fields, _| fields),
            Offer::ZeroSignature => self.resigned(&next, |fields, _| signed(fields, vec![0; 64])),
            Offer::HighS => self.resigned(&next, |fields, sig| signed(fields, high_s(&sig))),
            Offer::Der => self.resigned(&next, |fields, sig| signed(fields, der(&sig))),
            Offer::Version(version) => self.committed(&next, "version", Value::Int(*version)),
            Offer::UnknownRoot => self.committed(&next, "data", Value::Link(Cid::of_cbor(b"nowhere"))),
            _ => self.mistaken(offer, next),
        }
    }

    /// Offers whose commit is the account's own and whose file is not.
    fn mistaken(&self, offer: &Offer, next: State) -> Offered {
        let mut sections = sections(&next.car);
        let head = sections[0].0;
        let (record, node) = (sections.len() - 1, 1);
        let send = |roots: &[Cid], sections: &[(Cid, Vec<u8>)]| Offered {
            car: written(roots, sections),
            ..lie(next.clone())
        };
        match offer {
            Offer::FlippedRecord => flip(&mut sections[record].1),
            Offer::FlippedNode => flip(&mut sections[node].1),
            Offer::WithoutRecord => {
                // What the host has lost does not keep the rest from being archived.
                let new = &next.records[&format!("{POST}/{}", bulk_key("next", 1))];
                let at = sections.iter().position(|(cid, _)| cid.matches(new)).expect("the new record");
                let (cid, _) = sections.remove(at);
                let mut state = next.clone();
                state.blocks.remove(&cid.to_string());
                return Offered { car: written(&[head], &sections), ..truth(state) };
            }
            Offer::WithoutNode => drop(sections.remove(node)),
            Offer::WithoutCommit => drop(sections.remove(0)),
            Offer::NoRoots => return send(&[], &sections),
            Offer::TwoRoots => return send(&[head, sections[record].0], &sections),
            Offer::RootIsRecord => return send(&[sections[record].0], &sections),
            Offer::Tree(name) => return self.grafted(name, &next),
            Offer::Duplicated => {
                let twice: Vec<_> =
                    sections.iter().flat_map(|section| [section.clone(), section.clone()]).collect();
                return Offered { car: written(&[head], &twice), ..truth(next) };
            }
            Offer::Shuffled => {
                sections.sort();
                return Offered { car: written(&[head], &sections), ..truth(next) };
            }
            Offer::Extra(blocks) => {
                sections.extend((0..*blocks).map(|n| n.to_le_bytes().to_vec()).map(|b| (Cid::of_raw(&b), b)));
                return Offered { car: written(&[head], &sections), ..truth(next) };
            }
            Offer::Collections(number) => {
                let mut content = self.content.clone();
                for n in 0..*number {
                    content.put_at(&format!("com.example.c{n:06}"), "self", &post_record("one of many"));
                }
                return truth(self.account.sign(self.step + 1, &content));
            }
            other => unreachable!("{other:?} is built elsewhere"),
        }
        send(&[head], &sections)
    }

    /// The next commit with another signature, or none.
    fn resigned(&self, next: &State, seal: impl FnOnce(Fields, [u8; 64]) -> Fields) -> Offered {
        let fields = self.fields(next, None);
        let sig = self.sign(&fields);
        with_commit(next, &encode(&Value::map(seal(fields, sig))), None)
    }

    /// The next commit with one field changed, properly signed.
    fn committed(&self, next: &State, name: &'static str, value: Value) -> Offered {
        let fields = self.fields(next, Some((name, value)));
        let sig = self.sign(&fields);
        with_commit(next, &encode(&Value::map(signed(fields, sig.to_vec()))), None)
    }

    /// A hostile tree under a commit of this account.
    fn grafted(&self, name: &str, next: &State) -> Offered {
        let cases = mst_cases();
        let case =
            cases.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no tree is called {name}"));
        let fields = self.fields(next, Some(("data", Value::Link(case.root))));
        let sig = self.sign(&fields);
        let blocks = sections(&case.car).split_off(1);
        with_commit(next, &encode(&Value::map(signed(fields, sig.to_vec()))), Some(blocks))
    }

    fn fields(&self, next: &State, other: Option<(&'static str, Value)>) -> Fields {
        let mut fields = vec![
            ("did", Value::Text(self.account.did.clone())),
            ("version", Value::Int(3)),
            ("data", Value::Link(next.data.parse().expect("a CID"))),
            ("rev", Value::Text(next.rev.clone())),
            ("prev", Value::Null),
        ];
        if let Some((name, value)) = other {
            fields.retain(|(field, _)| *field != name);
            fields.push((name, value));
        }
        fields
    }

    fn sign(&self, fields: &Fields) -> [u8; 64] {
        self.account.signer().sign(&encode(&Value::map(fields.clone()))).expect("a key in memory signs")
    }
}

type Fields = Vec<(&'static str, Value)>;

fn signed(mut fields: Fields, sig: Vec<u8>) -> Fields {
    fields.push(("sig", Value::Bytes(sig)));
    fields
}

fn lie(state: State) -> Offered {
    Offered { commit: state.commit, rev: state.rev, car: state.car, state: None }
}

fn truth(state: State) -> Offered {
    Offered { state: Some(state.clone()), ..lie(state) }
}

/// The state's file with another commit, and other blocks if there are any.
fn with_commit(state: &State, commit: &[u8], blocks: Option<Vec<(Cid, Vec<u8>)>>) -> Offered {
    let head = Cid::of_cbor(commit);
    let mut all = vec![(head, commit.to_vec())];
    all.extend(blocks.unwrap_or_else(|| sections(&state.car).split_off(1)));
    Offered { commit: head.to_string(), rev: state.rev.clone(), car: written(&[head], &all), state: None }
}

fn sections(bytes: &[u8]) -> Vec<(Cid, Vec<u8>)> {
    let reader = car::SliceReader::new(bytes, car::CarLimits::DEFAULT).expect("our own CAR");
    let section = |section: Result<car::Section<'_>, car::CarError>| match section.expect("our own CAR") {
        car::Section { cid: car::SectionCid::Plain(cid), bytes, .. } => (cid, bytes.to_vec()),
        other => panic!("an odd section in our own CAR: {other:?}"),
    };
    reader.map(section).collect()
}

fn written(roots: &[Cid], sections: &[(Cid, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    car::write_header(&mut out, roots);
    for (cid, bytes) in sections {
        car::write_section(&mut out, cid, bytes);
    }
    out
}

fn flip(bytes: &mut [u8]) {
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
}

/// The step of this moment.
fn now_step() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    now.as_secs() - crate::madeup::FIRST
}
