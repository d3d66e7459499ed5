//! Proving a state of before: the tree built anew from its records, against the root that was signed then.

use p2pds_identity::plc::Log;
use p2pds_reading::Past;
use p2pds_repo::bucket::BucketBuilder;
use p2pds_repo::commit::Commit;
use p2pds_store::Head;
use tokio::runtime::Handle;

use crate::archive::Archive;
use crate::error::ArchiveResult;
use crate::fetch::blocking;
use crate::report::Proof;
use crate::show::from_refusal;
use crate::verify::{Key, damage_or};
use crate::words::{plural, size};

/// What building a state anew gave.
#[derive(Default)]
struct Rebuilt {
    root: Option<p2pds_ipld::Cid>,
    records: u64,
    bytes: u64,
    lost: u64,
    damaged: Vec<String>,
    broken: Option<String>,
}

impl Archive {
    /// Proves one state: signature by a key of its time, tree from the records alone, each record hashed.
    ///
    /// # Errors
    /// Store failures. What is wrong with the state is the answer.
    pub async fn prove(&self, past: &Past) -> ArchiveResult<Proof> {
        let head = past.row().head.clone();
        let inner = self.inner();
        let log: Option<Result<Log, String>> = inner.stored_log(past.did()).await?;
        let raw = head.raw.clone();
        let commit = Commit { did: past.did().clone(), rev: head.rev, data: head.data, sig: head.sig, raw };
        let whole = commit.cid() == head.commit
            && Commit::decode(&commit.encode())
                .is_ok_and(|read| read.data == head.data && read.rev == head.rev);
        let key = inner.known_key(past.did(), &head, &log, &commit).await?;
        let (state, runtime) = (past.clone(), Handle::current());
        let rebuilt = blocking(move || rebuild(&state, &runtime)).await?;
        Ok(verdict(&head, whole, key, rebuilt))
    }
}

/// Reads all records of a state, each hashed on the way, and builds the tree from their keys and CIDs.
fn rebuild(past: &Past, runtime: &Handle) -> ArchiveResult<Rebuilt> {
    let mut rebuilt = Rebuilt::default();
    let mut builder = BucketBuilder::new(|_| {});
    let mut after = None;
    loop {
        let page = runtime.block_on(past.records(after.as_ref(), true)).map_err(from_refusal);
        let page = match page {
            Ok(page) => page,
            Err(crate::ArchiveError::Store(error)) => match damage_or::<()>(Err(error))? {
                Ok(()) => continue,
                Err(why) => {
                    rebuilt.broken = Some(why);
                    return Ok(rebuilt);
                }
            },
            Err(error) => return Err(error),
        };
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        for row in &page {
            if let Err(error) = builder.push(row.key.as_bytes(), &row.cid) {
                rebuilt.broken = Some(error.to_string());
                return Ok(rebuilt);
            }
            match &row.body {
                Some(body) => {
                    rebuilt.bytes = rebuilt.bytes.saturating_add(u64::try_from(body.len()).unwrap_or(0))
                }
                None if row.damaged => {
                    if rebuilt.damaged.len() < Proof::MAX_LISTED {
                        rebuilt.damaged.push(row.key.to_string());
                    }
                }
                None => rebuilt.lost = rebuilt.lost.saturating_add(1),
            }
        }
    }
    let built = builder.finish();
    (rebuilt.root, rebuilt.records) = (Some(built.root), built.records);
    Ok(rebuilt)
}

fn verdict(head: &Head, whole: bool, key: Key, rebuilt: Rebuilt) -> Proof {
    let mut wrong = Vec::new();
    let same = rebuilt.root == Some(head.data);
    match (&rebuilt.broken, rebuilt.root) {
        (Some(why), _) => wrong.push(format!("its records cannot be read in order: {why}")),
        (None, Some(root)) if !same => {
            wrong.push(format!("its records build {root}, the commit names {}", head.data))
        }
        (None, _) => {}
    }
    if !whole {
        wrong.push(format!("the stored commit does not hash to {}", head.commit));
    }
    if !rebuilt.damaged.is_empty() {
        let many = u64::try_from(rebuilt.damaged.len()).unwrap_or(u64::MAX);
        wrong.push(format!("{} damaged", plural(many, "record is", "records are")));
    }
    let key = match key {
        Key::Good(key) => Some(key),
        Key::Nobody => {
            wrong.push("nothing vouches for the key that signed it".to_owned());
            None
        }
        Key::Bad(why) => {
            wrong.push(why);
            None
        }
    };
    let words = if wrong.is_empty() {
        let lost = match rebuilt.lost {
            0 => String::new(),
            lost => format!("; of {} the source had lost the bytes", plural(lost, "record", "records")),
        };
        format!(
            "proved: {} ({}) build the root signed by {}{lost}",
            plural(rebuilt.records, "record", "records"),
            size(rebuilt.bytes),
            key.as_deref().unwrap_or_default()
        )
    } else {
        format!("NOT proved: {}", wrong.join("; "))
    };
    Proof {
        ok: wrong.is_empty(),
        root: rebuilt.root.map(|root| root.to_string()),
        signed_root: head.data.to_string(),
        key,
        records: rebuilt.records,
        bytes: rebuilt.bytes,
        without_bytes: rebuilt.lost,
        damaged: rebuilt.damaged,
        words,
    }
}
