//! The second half of a drill: the export is promoted in a host of its own, and compared with what came out of it.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use p2pds_archive::{CarFile, Progress, count, plural, size};
use p2pds_blobs::Check;
use p2pds_crypto::PublicKey;
use p2pds_host::accounts::{By, Credentials};
use p2pds_host::write::{Validate, Write, WriteOptions};
use p2pds_identity::DidDocument;
use p2pds_identity::plc::{Data, Difference, Log, differences};
use p2pds_ipld::Cid;
use p2pds_ipld::cbor::Value;
use p2pds_repo::car_in::{ReadOptions, Sink, Spool};
use p2pds_repo::commit::Commit;
use p2pds_store::{BlobFilter, BlobState, Unit};
use p2pds_syntax::{Did, DidMethod, Nsid};

use super::failed;
use super::host::{Pretended, Scratch};
use crate::error::{RecoveryError, RecoveryResult};
use crate::export::{DOC, PLC, REPO};
use crate::folder::blocking;
use crate::manifest::Manifest;
use crate::promote::{PromoteOptions, RotationKey};
use crate::report::DrillStep;
use crate::{Recovery, ScratchStore};

/// One promotion for practice.
pub(super) struct Drill<'a> {
    pub(super) recovery: &'a Recovery,
    pub(super) open: &'a ScratchStore,
    /// The export.
    pub(super) from: &'a Path,
    /// Where the host may work.
    pub(super) dir: &'a Path,
    pub(super) did: &'a Did,
}

/// What was wrong, and with what.
struct Wrong(String, Vec<String>);

impl From<String> for Wrong {
    fn from(what: String) -> Self {
        Self(what, Vec::new())
    }
}

type Outcome = Result<String, Wrong>;

/// A CAR that was read back.
#[derive(Default)]
struct Car {
    commit: Option<(Cid, Commit)>,
    records: u64,
    lost: u64,
}

impl Sink for Car {
    fn commit(&mut self, cid: &Cid, commit: &Commit) -> ControlFlow<()> {
        self.commit = Some((*cid, commit.clone()));
        ControlFlow::Continue(())
    }

    fn record(&mut self, _: &[u8], _: &Cid, body: Option<&[u8]>) -> ControlFlow<()> {
        self.records = self.records.saturating_add(1);
        self.lost = self.lost.saturating_add(u64::from(body.is_none()));
        ControlFlow::Continue(())
    }
}

impl Drill<'_> {
    /// The steps, up to the first that fails.
    pub(super) async fn run(&self, manifest: Option<&Manifest>) -> RecoveryResult<Vec<DrillStep>> {
        let Some(manifest) = manifest else { return Ok(Vec::new()) };
        let dir = self.dir.join("host");
        let scratch = Scratch::open(self.open, self.recovery.archive(), &dir)?;
        let mut steps = Vec::new();
        self.steps(&scratch, manifest, &mut steps).await;
        scratch.host.store().close().await?;
        Ok(steps)
    }

    async fn steps(&self, scratch: &Scratch, manifest: &Manifest, steps: &mut Vec<DrillStep>) {
        let before = match self.data().await {
            Ok(data) => data,
            Err(wrong) => return push(steps, "restore", Err(wrong)),
        };
        if !note(steps, "restore", self.restore(scratch, manifest).await) {
            return;
        }
        let registry = match self.pretended(before.as_ref()) {
            Ok(registry) => registry,
            Err(why) => return push(steps, "promote", Err(why.into())),
        };
        let (registry, key) = registry;
        if !note(steps, "promote", self.promote(scratch, registry.as_ref(), key).await) {
            return;
        }
        if let (Some(registry), Some(before)) = (&registry, &before)
            && !note(steps, "identity", identity(before, &registry.now(), scratch))
        {
            return;
        }
        if !note(steps, "re-export", self.compare(scratch, manifest).await) {
            return;
        }
        push(steps, "re-blobs", self.blobs(scratch, manifest).await);
        push(steps, "owner", self.owner(scratch).await);
    }

    /// What the exported log says of the identity now; `None` for a did:web.
    async fn data(&self) -> Result<Option<Data>, Wrong> {
        if self.did.method() != DidMethod::Plc {
            return Ok(None);
        }
        let log = self.recovery.archive().stored_plc_log(self.did).await.map_err(words)?;
        let log = log.ok_or_else(|| "the log of the identity is not held".to_owned())?;
        log.data().map(Some).ok_or_else(|| "the identity was given up (a tombstone)".to_owned().into())
    }

    fn pretended(&self, data: Option<&Data>) -> Result<(Option<Pretended>, Option<RotationKey>), String> {
        let Some(data) = data else { return Ok((None, None)) };
        let (registry, key) = Pretended::new(data, self.recovery.archive().now())?;
        Ok((Some(registry), Some(RotationKey::of(key))))
    }

    /// The export becomes an archived account of the drill's own node.
    async fn restore(&self, scratch: &Scratch, manifest: &Manifest) -> Outcome {
        let (car, none) = (self.from.join(REPO), Progress::none());
        let imported = if self.did.method() == DidMethod::Plc {
            scratch.archive.import(&car, Some(&self.from.join(PLC)), &none).await
        } else {
            let key = self.document_key().await?;
            scratch.archive.import_with_key(&car, &key, &none).await
        };
        let summary = imported.map_err(words)?.summary;
        for blob in &manifest.blobs {
            self.restore_blob(scratch, &blob.cid).await?;
        }
        Ok(format!(
            "{} and {} taken over from the export by a node that had nothing",
            plural(summary.records, "record", "records"),
            plural(manifest.blobs.len() as u64, "blob", "blobs")
        ))
    }

    async fn document_key(&self) -> Result<PublicKey, Wrong> {
        let path = self.from.join(DOC);
        let bytes = blocking({
            let path = path.clone();
            move || std::fs::read(&path).map_err(RecoveryError::io("read", &path))
        })
        .await
        .map_err(words)?;
        let document = DidDocument::parse(&bytes, self.did).map_err(words)?;
        let key = document.signing_key().ok_or_else(|| "the document names no signing key".to_owned())?;
        key.map_err(words)
    }

    /// Hard links: the bytes are read and hashed afterwards, from the new place.
    async fn restore_blob(&self, scratch: &Scratch, name: &str) -> Result<(), Wrong> {
        let cid: Cid = name.parse().map_err(words)?;
        let (from, to) = (self.from.join("blobs").join(name), scratch.host.blobs().path(self.did, &cid));
        let linked = blocking(move || {
            if let Some(dir) = to.parent() {
                std::fs::create_dir_all(dir).map_err(RecoveryError::io("create", dir))?;
            }
            if std::fs::hard_link(&from, &to).is_err() {
                std::fs::copy(&from, &to).map_err(RecoveryError::io("copy", &from))?;
            }
            Ok(std::fs::metadata(&to).map_err(RecoveryError::io("read", &to))?.len())
        });
        let bytes = linked.await.map_err(words)?;
        let unit = Unit::PutBlob {
            did: self.did.clone(),
            cid,
            size: Some(bytes),
            state: BlobState::Held,
            mime: None,
        };
        scratch.host.store().apply(unit).await.map_err(words)?;
        Ok(())
    }

    /// The same code as `p2pds promote`, with the stand-in key.
    async fn promote(
        &self,
        scratch: &Scratch,
        registry: Option<&Pretended>,
        key: Option<RotationKey>,
    ) -> Outcome {
        let Some(registry) = registry else {
            return Ok(
                "a did:web: its owner publishes a document, which no drill can; the account was prepared"
                    .to_owned(),
            );
        };
        let options = PromoteOptions {
            signers: key.as_ref().map(RotationKey::did_keys).unwrap_or_default(),
            ..PromoteOptions::default()
        };
        let done = scratch
            .recovery
            .promote_with(
                &scratch.host,
                registry,
                self.did,
                &options,
                key,
                self.did.as_str(),
                &Progress::none(),
            )
            .await
            .map_err(words)?;
        if done.rev.is_none() {
            return Err(words("the new host signed no commit"));
        }
        Ok("hosted, at a new and later revision, under a new signing key; the operation was signed by a key made for this \
            drill, in the place of the first rotation key"
            .to_owned())
    }

    /// What the new host gives out is the account, signed by its new key.
    async fn compare(&self, scratch: &Scratch, manifest: &Manifest) -> Outcome {
        let path = self.dir.join("again.car");
        self.write_car(scratch, path.clone()).await?;
        let read = blocking(move || {
            let file = CarFile::open(&path).map_err(RecoveryError::io("open", &path))?;
            let mut car = Car::default();
            Ok(Spool::read(file, ReadOptions::DEFAULT, &mut car)
                .map(|_| car)
                .map_err(|error| error.to_string()))
        });
        let car = read.await.map_err(words)??;
        let (_, commit) = car.commit.ok_or_else(|| "it has no commit".to_owned())?;
        let login = scratch.host.store().login(self.did).await.map_err(words)?;
        if commit.data.to_string() != manifest.head.data {
            return Err(
                format!("its root is {}, the archive's is {}", commit.data, manifest.head.data).into()
            );
        }
        if car.records != manifest.records {
            return Err(
                format!("it has {} records, the archive has {}", car.records, manifest.records).into()
            );
        }
        if let Some(login) = login {
            let key = PublicKey::from_did_key(&login.signing_did_key).map_err(words)?;
            commit
                .verify(&key)
                .map_err(|error| format!("its commit is not signed by the new key: {error}"))?;
            if commit.rev.to_string() <= manifest.head.rev {
                return Err(
                    format!("its revision {} is not newer than {}", commit.rev, manifest.head.rev).into()
                );
            }
        }
        Ok(format!(
            "same root {}, same {}, commit verified by a stranger",
            commit.data,
            plural(car.records, "record", "records")
        ))
    }

    async fn write_car(&self, scratch: &Scratch, path: PathBuf) -> Result<(), Wrong> {
        let pieces = scratch.recovery.export_car(self.did).await.map_err(words)?;
        let mut pieces = std::pin::pin!(pieces);
        let mut file = std::fs::File::create(&path).map_err(words)?;
        while let Some(piece) = pieces.next().await {
            file.write_all(&piece.map_err(words)?).map_err(words)?;
        }
        Ok(())
    }

    async fn blobs(&self, scratch: &Scratch, manifest: &Manifest) -> Outcome {
        let (mut bytes, mut held, mut after) = (0_u64, 0_u64, None);
        let mut damaged = Vec::new();
        loop {
            let page = scratch.host.store().blobs(self.did, BlobFilter::Held, after.as_ref(), 500).await;
            let page = page.map_err(words)?;
            let Some(last) = page.last() else { break };
            after = Some(last.cid);
            for row in &page {
                held = held.saturating_add(1);
                match scratch.host.blobs().verify(self.did, &row.cid).await.map_err(words)? {
                    Check::Good { size } => bytes = bytes.saturating_add(size),
                    Check::Missing | Check::Damaged { .. } => damaged.push(row.cid.to_string()),
                }
            }
        }
        if !damaged.is_empty() {
            return Err(Wrong(
                format!("{} of the new host are damaged", count(damaged.len() as u64)),
                damaged,
            ));
        }
        if held != manifest.blobs.len() as u64 {
            return Err(
                format!("the new host has {held} blobs, the archive has {}", manifest.blobs.len()).into()
            );
        }
        Ok(format!("{} ({}) hashed in the new host", plural(held, "blob", "blobs"), size(bytes)))
    }

    /// Its owner gets a password, logs in and posts.
    async fn owner(&self, scratch: &Scratch) -> Outcome {
        let host = &scratch.host;
        if host.store().login(self.did).await.map_err(words)?.is_none() {
            return Ok("not tried: the account waits for its document".to_owned());
        }
        let mut secret = [0_u8; 16];
        getrandom::fill(&mut secret).map_err(words)?;
        let password = data_encoding::HEXLOWER.encode(&secret);
        host.admin_set_password(&By::Operator, self.did, &password).await.map_err(words)?;
        let given = Credentials {
            identifier: self.did.as_str(),
            password: &password,
            auth_factor_token: None,
            allow_takendown: false,
            address: "drill",
        };
        host.log_in(given).await.map_err(|error| format!("logging in: {error}"))?;
        let collection = Nsid::parse("org.p2pds.drill").map_err(words)?;
        let record = Value::map([("text", Value::Text("written in a drill".to_owned()))]);
        let write = Write::Create { collection, rkey: None, record };
        let options = WriteOptions { validate: Validate::Skip, ..WriteOptions::default() };
        let written = host.write(self.did, vec![write], options).await;
        let written = written.map_err(|error| format!("writing: {error}"))?;
        if !written.changed {
            return Err(words("writing changed nothing"));
        }
        Ok("a password was set, a session opened, a record written".to_owned())
    }
}

/// Only what had to change did.
fn identity(before: &Data, now: &Log, scratch: &Scratch) -> Outcome {
    let Some(after) = now.data() else { return Err("it was given up".to_owned().into()) };
    let url = &scratch.host.config().public_url;
    if after.pds().as_ref() != Some(url) {
        return Err(format!("it names {:?} as its host", after.pds()).into());
    }
    // The stand-in is in the place of the first key; with that key back, the rest must be as it was.
    let mut compared = after.clone();
    if let (Some(first), Some(own)) = (compared.rotation_keys.first_mut(), before.rotation_keys.first()) {
        first.clone_from(own);
    }
    let odd: Vec<String> = differences(before, &compared)
        .into_iter()
        .filter(|difference| {
            !matches!(
                difference,
                Difference::Host { .. } | Difference::SigningKey { .. } | Difference::RotationKeyAdded { .. }
            )
        })
        .map(|difference| difference.to_string())
        .collect();
    if !odd.is_empty() {
        return Err(Wrong("more than host and signing key changed".to_owned(), odd));
    }
    Ok("host and signing key changed, this node's rotation key came last, everything else stayed".to_owned())
}

fn words(error: impl std::fmt::Display) -> Wrong {
    Wrong(error.to_string(), Vec::new())
}

/// Adds a step and says whether it holds.
fn note(steps: &mut Vec<DrillStep>, name: &str, outcome: Outcome) -> bool {
    push(steps, name, outcome);
    steps.last().is_some_and(|step| step.ok)
}

fn push(steps: &mut Vec<DrillStep>, name: &str, outcome: Outcome) {
    steps.push(match outcome {
        Ok(detail) => DrillStep { name: name.to_owned(), ok: true, detail, damaged: Vec::new() },
        Err(Wrong(what, damaged)) => {
            let damaged = if damaged.is_empty() { vec![name.to_owned()] } else { damaged };
            failed(name, what, damaged)
        }
    });
}
