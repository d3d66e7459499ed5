//! The dry run: everything is read and verified, nothing is stored.

use std::ops::ControlFlow;
use std::path::Path;

use p2pds_archive::CarFile;
use p2pds_crypto::{PrivateKey, Signer as _};
use p2pds_ipld::Cid;
use p2pds_repo::car_in::{ReadOptions, Sink, Spool};
use p2pds_repo::commit::Commit;
use p2pds_store::foreign::{ForeignAccount, ForeignBlob};

use super::account::{Failed, LISTED, Whose, note_repo};
use super::report::{PdsAccount, PdsOutcome};
use super::{Taking, line_of};
use crate::error::{RecoveryError, RecoveryResult};
use crate::folder::{blocking, hash_file};

/// What reading a repo found.
#[derive(Default)]
struct Found {
    commit: Option<(Cid, Commit)>,
    records: u64,
    missing: Vec<String>,
}

impl Sink for Found {
    fn commit(&mut self, cid: &Cid, commit: &Commit) -> ControlFlow<()> {
        self.commit = Some((*cid, commit.clone()));
        ControlFlow::Continue(())
    }

    fn record(&mut self, key: &[u8], cid: &Cid, body: Option<&[u8]>) -> ControlFlow<()> {
        self.records = self.records.saturating_add(1);
        if body.is_none() && self.missing.len() < LISTED {
            self.missing.push(format!("record {} ({cid})", String::from_utf8_lossy(key)));
        }
        ControlFlow::Continue(())
    }
}

impl Taking<'_> {
    /// Says whether an account could be taken over.
    pub(super) async fn check_account(&self, account: &ForeignAccount) -> RecoveryResult<PdsAccount> {
        let mut line = line_of(account);
        match self.try_check(account, &mut line).await {
            Ok(outcome) => line.outcome = outcome,
            Err(Failed::Alone(why)) => line.why = Some(why),
            Err(Failed::With(error)) => return Err(error),
        }
        Ok(line)
    }

    async fn try_check(&self, account: &ForeignAccount, line: &mut PdsAccount) -> Result<PdsOutcome, Failed> {
        let whose = Whose::read(account).map_err(Failed::Alone)?;
        line.status = whose.status().as_str().to_owned();
        let here = self.host.store().account(&whose.did).await?;
        if here.as_ref().is_some_and(|here| here.hosted) {
            return Ok(PdsOutcome::AlreadyHere);
        }
        let key = self.signing_key(&whose.did).await?;
        let (car, copied) = self.copy_repo(&whose.did).await?;
        note_repo(&copied, line);
        let found = blocking(move || read_repo(&car)).await?.map_err(Failed::Alone)?;
        let Some((cid, commit)) = found.commit else {
            return Err(Failed::Alone("its repo has no commit".to_owned()));
        };
        self.check_head(&whose, &commit, &key, line)?;
        if let Some(newer) = here.and_then(|here| here.rev).filter(|rev| *rev > commit.rev) {
            return Err(Failed::Alone(format!(
                "this node's archive has revision {newer} of it, which is newer than {} there: find out where it is \
                 hosted now",
                commit.rev
            )));
        }
        (line.rev, line.commit) = (Some(commit.rev.to_string()), Some(cid.to_string()));
        line.records = found.records;
        line.missing.extend(found.missing);
        line.elsewhere = self.elsewhere(&whose, &key).await?;
        self.check_rest(&whose, line).await?;
        Ok(PdsOutcome::Ready)
    }

    fn check_head(
        &self,
        whose: &Whose,
        commit: &Commit,
        key: &PrivateKey,
        line: &mut PdsAccount,
    ) -> Result<(), Failed> {
        if commit.did != whose.did {
            return Err(Failed::Alone(format!("what lies there as its repo is that of {}", commit.did)));
        }
        if commit.verify(&key.public_key()).is_err() {
            line.notes.push(
                "its head is not signed by its key there. That is so when it moved there and has not written since: its \
                 identity's log will be asked for the key it had before"
                    .to_owned(),
            );
        }
        Ok(())
    }

    async fn check_rest(&self, whose: &Whose, line: &mut PdsAccount) -> Result<(), Failed> {
        let name = whose.did.to_string();
        let (blobs, passwords, preferences) = self
            .read(move |from| Ok((from.blobs(&name)?, from.app_passwords(&name)?, from.preferences(&name)?)))
            .await?;
        line.app_passwords = passwords.len() as u64;
        line.preferences = preferences.len() as u64;
        for blob in blobs {
            let checked = blocking(move || Ok(check_blob(&blob))).await?;
            match checked {
                Ok(size) => {
                    line.blobs = line.blobs.saturating_add(1);
                    line.blob_bytes = line.blob_bytes.saturating_add(size);
                }
                Err(what) if what.ends_with("not there") => line.missing.push(what),
                Err(what) => line.damaged.push(what),
            }
        }
        Ok(())
    }
}

fn read_repo(path: &Path) -> RecoveryResult<Result<Found, String>> {
    let file = CarFile::open(path).map_err(RecoveryError::io("open", path))?;
    let mut found = Found::default();
    Ok(match Spool::read(file, ReadOptions::DEFAULT, &mut found) {
        Ok(_) => Ok(found),
        Err(error) => Err(format!("its repo cannot be taken over: {error}")),
    })
}

/// Its size, when its bytes hash to it.
fn check_blob(blob: &ForeignBlob) -> Result<u64, String> {
    let name = &blob.cid;
    let cid: Cid = name.parse().map_err(|_| format!("blob {name}: its name is no CID"))?;
    let path = blob.path.as_ref().ok_or_else(|| format!("blob {name}: its file is not there"))?;
    let hashed = hash_file(path).map_err(|error| format!("blob {name}: {error}"))?;
    let hashed = hashed.ok_or_else(|| format!("blob {name}: its file is not there"))?;
    if Cid::new(cid.codec(), hashed.sha256) == cid {
        Ok(hashed.size)
    } else {
        Err(format!("blob {name}: its bytes do not hash to it"))
    }
}
