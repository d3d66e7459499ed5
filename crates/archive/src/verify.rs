//! Checking what is stored, by the stored bytes alone, and mending damage from the source.
//!
//! The checks ask nobody. Mending asks the host, proves what comes like anything else, and afterwards everything is
//! checked again: what the second look does not find any more has been mended.

mod blobs;
mod mend;
pub(crate) mod scrub;
mod tree;

use p2pds_crypto::PublicKey;
use p2pds_directory::log_of_rows;
use p2pds_identity::plc::{Log, write_audit};
use p2pds_repo::commit::Commit;
use p2pds_store::{Account, AccountPatch, Head, Repo, StoreError};
use p2pds_syntax::{Did, DidMethod, ErrorKind};
use tokio::time::Instant;

use crate::archive::{Archive, Inner};
use crate::error::{ArchiveError, ArchiveResult};
use crate::identity::keys_of_log;
use crate::progress::{Phase, Progress};
use crate::report::{Check, CheckName, CheckResult, VerifyOptions, VerifyReport};
use crate::words::plural;

impl Archive {
    /// Checks all that is stored of an account and, if wished, mends damage from the source. Of an account that is hosted
    /// here the caller sees to it that nobody writes meanwhile.
    ///
    /// # Errors
    /// [`ArchiveError::NotArchived`], a store that cannot be read at all. Damage is not an error: it is the answer.
    pub async fn verify(
        &self,
        did: &Did,
        options: VerifyOptions,
        progress: &Progress,
    ) -> ArchiveResult<VerifyReport> {
        let begun = Instant::now();
        let progress = progress.about(did);
        let _guard = self.inner().locks().enter(did).await;
        let inner = self.inner();
        let account = inner.account(did).await?;
        let mut checks = inner.examine(&account, options, &progress).await?;
        let found_damage = checks.iter().any(|check| check.result == CheckResult::Damaged);
        // What is hosted here has no other source: asking its host would be asking ourselves.
        if found_damage && options.repair && !account.hosted {
            progress.warn(Phase::Repair, "damage was found; mending it from the source");
            let trouble = inner.mend(&account, &checks, &progress).await?;
            let again = inner.examine(&inner.account(did).await?, options, &progress).await?;
            checks = merge(checks, again, &trouble);
        }
        let ok = !checks.iter().any(|check| check.result == CheckResult::Damaged);
        inner.note_verified(did, &checks, ok).await?;
        let rev =
            inner.store().live_repo(did).await?.and_then(|repo| repo.head).map(|head| head.rev.to_string());
        Ok(VerifyReport {
            did: did.clone(),
            handle: account.handle,
            rev,
            at: inner.now(),
            ok,
            found_damage,
            checks,
            took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// What the first look found, with what the second look found no more.
fn merge(first: Vec<Check>, second: Vec<Check>, trouble: &[String]) -> Vec<Check> {
    first
        .into_iter()
        .zip(second)
        .map(|(before, after)| {
            if before.result != CheckResult::Damaged {
                return after;
            }
            let repaired: Vec<String> =
                before.damaged.iter().filter(|item| !after.damaged.contains(item)).cloned().collect();
            let mended = after.result != CheckResult::Damaged;
            let result = if mended { CheckResult::Repaired } else { CheckResult::Damaged };
            let detail = if mended {
                format!("{}; mended, now {}", before.detail, after.detail)
            } else {
                let why =
                    if trouble.is_empty() { String::new() } else { format!(" ({})", trouble.join("; ")) };
                format!("{}; not all of it could be mended{why}", after.detail)
            };
            Check { name: before.name, result, detail, damaged: before.damaged, repaired }
        })
        .collect()
}

impl Inner {
    /// The five checks, in their order.
    async fn examine(
        &self,
        account: &Account,
        options: VerifyOptions,
        progress: &Progress,
    ) -> ArchiveResult<Vec<Check>> {
        let did = &account.did;
        let log = self.stored_log(did).await?;
        let live = damage_or(self.store().live_repo(did).await)?;
        let mut checks = Vec::with_capacity(5);
        match live {
            Err(why) => {
                checks.push(Check::damaged(CheckName::CommitRoot, why.clone(), vec!["commit".to_owned()]));
                checks.push(Check::damaged(CheckName::Tree, why, vec!["index".to_owned()]));
                checks.push(Check::skipped(
                    CheckName::Records,
                    "without a readable head there is nothing to check",
                ));
            }
            Ok(None) => {
                let why = self.nothing_live(did)?;
                for name in [CheckName::CommitRoot, CheckName::Tree, CheckName::Records] {
                    checks.push(Check::skipped(name, why.clone()));
                }
            }
            Ok(Some(repo)) => match &repo.head {
                None => return Err(ArchiveError::Bug(format!("the live repo of {did} has no head"))),
                Some(head) => {
                    let index = self.read_index(&repo, head).await?;
                    checks.push(self.check_commit(&repo, head, &log, &index).await?);
                    let (tree, records) = self.check_tree(&repo, head, index, progress).await?;
                    checks.push(tree);
                    checks.push(records);
                }
            },
        }
        checks.push(self.check_blobs(account, options.read_data, progress).await?);
        checks.push(check_log(did, &log));
        Ok(checks)
    }

    fn nothing_live(&self, did: &Did) -> ArchiveResult<String> {
        Ok(match self.spool().verbatim(did)?.as_slice() {
            [] => "nothing of its repo is stored yet".to_owned(),
            files => format!(
                "its repo is kept as it came, in {}, and cannot be checked as records",
                files.join(", ")
            ),
        })
    }

    /// The stored log: none, valid, or why not.
    pub(crate) async fn stored_log(&self, did: &Did) -> ArchiveResult<Option<Result<Log, String>>> {
        match damage_or(self.store().plc_log(did).await)? {
            Err(why) => Ok(Some(Err(why))),
            Ok(rows) if rows.is_empty() => Ok(None),
            Ok(rows) => Ok(Some(log_of_rows(did, &rows))),
        }
    }

    /// Commit, signature, key, index.
    async fn check_commit(
        &self,
        repo: &Repo,
        head: &Head,
        log: &Option<Result<Log, String>>,
        index: &tree::Index,
    ) -> ArchiveResult<Check> {
        let name = CheckName::CommitRoot;
        let did = &repo.did;
        let mut damaged = Vec::new();
        let mut words = Vec::new();
        let mut vouched = true;
        let commit =
            Commit { did: did.clone(), rev: head.rev, data: head.data, sig: head.sig, raw: head.raw.clone() };
        let same =
            Commit::decode(&commit.encode()).is_ok_and(|read| read.data == head.data && read.rev == head.rev);
        if commit.cid() != head.commit || !same {
            damaged.push("commit".to_owned());
            words.push(format!("the stored commit does not hash to {}", head.commit));
        }
        match self.known_key(did, head, log, &commit).await? {
            Key::Good(by) => words.push(format!("commit {} signed by {by}", head.commit)),
            Key::Nobody => {
                vouched = false;
                words.push("nothing vouches for the key that signed it".to_owned());
            }
            Key::Bad(why) => {
                damaged.push("signature".to_owned());
                words.push(why);
            }
        }
        match &index.spine_root {
            Ok(root) if *root == head.data => words.push(format!("root {root}")),
            Ok(root) => {
                damaged.push("index root".to_owned());
                words.push(format!("the index leads to {root}, the commit names {}", head.data));
            }
            Err(why) => {
                damaged.push("index root".to_owned());
                words.push(why.clone());
            }
        }
        let detail = words.join(", ");
        Ok(match (damaged.is_empty(), vouched) {
            (false, _) => Check::damaged(name, detail, damaged),
            (true, true) => Check::ok(name, detail),
            (true, false) => Check { result: CheckResult::Incomplete, ..Check::ok(name, detail) },
        })
    }

    pub(crate) async fn known_key(
        &self,
        did: &Did,
        head: &Head,
        log: &Option<Result<Log, String>>,
        commit: &Commit,
    ) -> ArchiveResult<Key> {
        let named: Vec<PublicKey> = match log {
            Some(Ok(log)) => {
                let keys = keys_of_log(log);
                keys.current.iter().chain(keys.at(commit.rev)).cloned().collect()
            }
            Some(Err(_)) => Vec::new(),
            None => match self.directory().stored(did).await {
                Ok(Some(identity)) => identity.signing_key.into_iter().collect(),
                Ok(None) | Err(_) => Vec::new(),
            },
        };
        if let Some(key) = named.iter().find(|key| commit.verify(key).is_ok()) {
            return Ok(Key::Good(key.to_did_key()));
        }
        if head.key.is_empty() && named.is_empty() {
            return Ok(Key::Nobody);
        }
        let noted = PublicKey::from_did_key(&head.key).ok();
        match noted.filter(|key| commit.verify(key).is_ok()) {
            // The key was good when it was stored. A did:web keeps no history of its keys, and a damaged log is a
            // finding of its own.
            Some(key) if named.is_empty() || did.method() != DidMethod::Plc => {
                Ok(Key::Good(key.to_did_key()))
            }
            Some(key) => Ok(Key::Bad(format!(
                "it is signed by {}, which the stored log does not name",
                key.to_did_key()
            ))),
            None => Ok(Key::Bad("its signature does not verify".to_owned())),
        }
    }

    async fn note_verified(&self, did: &Did, checks: &[Check], ok: bool) -> ArchiveResult<()> {
        const LISTED: usize = 50;
        self.resolve_faults(did, "damaged", None).await?;
        for check in checks.iter().filter(|check| check.result == CheckResult::Damaged) {
            let left = check.damaged.iter().filter(|item| !check.repaired.contains(item));
            for item in left.take(LISTED) {
                self.find_fault(did, "damaged", item, &format!("{}: {}", check.name, check.detail)).await?;
            }
        }
        let patch = AccountPatch {
            last_verified_at: Some(Some(self.now())),
            last_verify_ok: Some(Some(ok)),
            ..AccountPatch::default()
        };
        self.patch(did, patch).await
    }
}

/// Whose key it is.
pub(crate) enum Key {
    Good(String),
    Nobody,
    Bad(String),
}

fn check_log(did: &Did, log: &Option<Result<Log, String>>) -> Check {
    let name = CheckName::PlcLog;
    match log {
        _ if did.method() != DidMethod::Plc => Check::skipped(name, "a did:web has no log"),
        None => Check {
            result: CheckResult::Incomplete,
            ..Check::ok(name, "no log is stored; a sync fetches it from the directory")
        },
        Some(Err(why)) => {
            Check::damaged(name, format!("the stored log is not valid: {why}"), vec!["plc log".to_owned()])
        }
        Some(Ok(log)) => {
            let operations = u64::try_from(log.entries().len()).unwrap_or(u64::MAX);
            let bytes = write_audit(log.entries()).len();
            let words = plural(operations, "operation", "operations");
            Check::ok(name, format!("{words} ({bytes} bytes) valid from the first, which gives the DID"))
        }
    }
}

/// Damage that the store itself reports is a finding, anything else an error.
pub(crate) fn damage_or<T>(outcome: Result<T, StoreError>) -> ArchiveResult<Result<T, String>> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}
