//! The plan: facts first, then what stands in the way.

use std::sync::Arc;

use p2pds_archive::{Archive, ArchiveError, UNEXPECTED};
use p2pds_crypto::PublicKey;
use p2pds_host::Host;
use p2pds_identity::DidDocument;
use p2pds_identity::plc::{Data, Log, LogChange, compare};
use p2pds_store::{Account, VerifiedState};
use p2pds_syntax::{Did, DidMethod, Handle};

use super::PromoteOptions;
use super::draft::{Draft, wrong_key};
use super::journal::Journal;
use super::old_host::{OldHost, made};
use super::registry::Registry;
use super::remark::{Choice, Remark};
use super::report::{Keeper, Plan};
use crate::error::RecoveryResult;

/// Findings read at most.
const FINDINGS: usize = 1_000;

/// Makes the plan.
pub(crate) async fn plan(
    archive: &Archive,
    host: &Host,
    registry: &dyn Registry,
    did: &Did,
    options: &PromoteOptions,
) -> RecoveryResult<Plan> {
    let account = archive.store().account(did).await?;
    let account = account.ok_or_else(|| ArchiveError::NotArchived(did.to_string()))?;
    let mut plan = empty(host, did, &account);
    let journal = Journal::read(host.store(), did).await?;
    if account.hosted && journal.is_none() {
        plan.hosted = true;
        plan.obstacles.extend(moving(host, did).await?);
        return Ok(plan);
    }
    held(archive, &account, &mut plan).await?;
    plan.under_way = journal.map(|journal| journal.step.words().to_owned());
    let handle = match choose_handle(host, did, options).await {
        Ok(handle) => handle,
        Err(why) => {
            plan.obstacles.push(why);
            None
        }
    };
    let old_url = match did.method() {
        DidMethod::Plc => with_log(archive, host, registry, options, handle.as_ref(), &mut plan).await?,
        _ => with_document(archive, host, handle.as_ref(), &mut plan).await,
    };
    plan.old_host = OldHost::ask(host.net(), old_url.as_deref(), &host.config().public_url, did).await;
    plan.old_url = old_url;
    judge_old_host(options, &mut plan);
    judge_name(host, &mut plan).await?;
    Ok(plan)
}

fn empty(host: &Host, did: &Did, account: &Account) -> Plan {
    Plan {
        did: did.clone(),
        handle: account.handle.clone(),
        new_handle: None,
        new_host: host.config().public_url.clone(),
        rev: None,
        made: None,
        records: account.records,
        record_bytes: account.record_bytes,
        missing_records: Vec::new(),
        blobs: account.blobs_held,
        blob_bytes: account.blob_bytes,
        missing_blobs: account.blobs_missing,
        old_url: account.pds.clone(),
        old_host: OldHost::None,
        rotation_keys: Vec::new(),
        log: None,
        changes: Vec::new(),
        kept: Vec::new(),
        document: None,
        obstacles: Vec::new(),
        overruled: Vec::new(),
        notes: Vec::new(),
        under_way: None,
        hosted: false,
    }
}

/// Why an account that its owner is moving here cannot be promoted as well.
pub(super) async fn moving(host: &Host, did: &Did) -> RecoveryResult<Option<Remark>> {
    if !host.is_moving_in(did).await? {
        return Ok(None);
    }
    let words = format!(
        "its owner began to move it here from its host, and is not done: either he finishes that, or `p2pds account delete \
         {did}` ends it (the account is an archived one again then, and nothing is lost), and it can be promoted"
    );
    Ok(Some(words.into()))
}

/// What is held, and whether it is good enough.
async fn held(archive: &Archive, account: &Account, plan: &mut Plan) -> RecoveryResult<()> {
    let store = archive.store();
    let did = &account.did;
    let head = store.live_repo(did).await?.and_then(|repo| repo.head);
    match &head {
        Some(head) => {
            plan.rev = Some(head.rev.to_string());
            plan.made = Some(made(head.rev));
        }
        None => plan.hinder(format!(
            "nothing of its repo is stored in a form that can be written to; `p2pds archive show {did}` says why"
        )),
    }
    for finding in store.findings(did, FINDINGS).await? {
        match finding.kind.as_str() {
            "record-missing" => plan.missing_records.push(finding.subject),
            "record-damaged" | "blob-damaged" => plan.hinder(format!(
                "{} is damaged here ({}); `p2pds verify {did} --read-data --repair` mends what can be mended",
                finding.subject, finding.detail
            )),
            _ => {}
        }
    }
    if head.is_some() && account.verified != VerifiedState::Verified && !account.hosted {
        plan.hinder(format!(
            "nobody vouches for what is stored: its signature was never checked against the identity. Fetch the identity \
             with `p2pds archive sync {did}`, or import it again together with the log of the identity"
        ));
    }
    if account.purging {
        plan.hinder("it is being removed from this archive".to_owned());
    }
    Ok(())
}

/// The handle that is asked for, if it may be had.
async fn choose_handle(host: &Host, did: &Did, options: &PromoteOptions) -> Result<Option<Handle>, Remark> {
    let Some(text) = &options.handle else { return Ok(None) };
    let admitted = host.admit_handle(text, Some(did), p2pds_host::Chooser::Operator).await;
    admitted.map(Some).map_err(|error| format!("the handle {text} cannot be had: {error}").into())
}

/// The identity of a did:plc: our own verified log, compared with what the directory says now.
async fn with_log(
    archive: &Archive,
    host: &Host,
    registry: &dyn Registry,
    options: &PromoteOptions,
    handle: Option<&Handle>,
    plan: &mut Plan,
) -> RecoveryResult<Option<String>> {
    let did = plan.did.clone();
    let Some(own) = archive.stored_plc_log(&did).await? else {
        plan.hinder(format!(
            "the log of the identity is not held here, and the directory's word alone is not enough: `p2pds archive sync \
             {did}` fetches and verifies it"
        ));
        return Ok(plan.old_url.clone());
    };
    let log = match registry.log(&did).await {
        Ok(now) => {
            judge_log(archive, &own, &now, options, plan).await?;
            now
        }
        Err(error) => {
            plan.hinder(format!(
                "the PLC directory cannot be asked now, and it has to take the operation: {error}"
            ));
            Arc::new(own)
        }
    };
    plan.log = Some(log.entries().len() as u64);
    let data = log.data().unwrap_or_default();
    let server_key = host.keys().plc_rotation().public_key().to_did_key();
    plan.rotation_keys = keepers(&log, &data, &options.signers, &server_key);
    if !options.signers.is_empty() && !plan.rotation_keys.iter().any(|keeper| keeper.yours) {
        plan.hinder(wrong_key(&options.signers, &data.rotation_keys));
    }
    plan.new_handle = handle.cloned().or_else(|| data.handle()).map(|handle| handle.as_str().to_owned());
    if plan.handle.is_none() {
        plan.handle = data.handle().map(|handle| handle.as_str().to_owned());
    }
    // Any key does for the words: the real one is made when it is needed.
    let stand_in = host.keys().plc_rotation().public_key();
    match Draft::new(&log, &host.config().public_url, &server_key, &stand_in, handle, options) {
        Ok(draft) => (plan.changes, plan.kept) = (draft.words(), draft.kept()),
        Err(why) => plan.obstacles.push(why),
    }
    Ok(data.pds())
}

/// Whether the directory's log holds anything that is not known to be the owner's.
async fn judge_log(
    archive: &Archive,
    own: &Log,
    now: &Log,
    options: &PromoteOptions,
    plan: &mut Plan,
) -> RecoveryResult<()> {
    let did = &plan.did;
    let mut why = Vec::new();
    if let LogChange::Extended(more) = compare(own, now) {
        let first = own.entries().len();
        for step in now.steps().into_iter().skip(first) {
            let words: Vec<String> = step.differences.iter().map(ToString::to_string).collect();
            why.push(format!(
                "an operation that was not known here until now: {}; {} ({more} in all). If it was the owner's, \
                 acknowledge it: p2pds plc ack {did} {}",
                step.cid,
                if words.is_empty() { "nothing changed".to_owned() } else { words.join(", ") },
                step.cid
            ));
        }
        archive.judge_identity(did).await?;
    }
    for finding in archive.store().findings(did, FINDINGS).await? {
        if finding.kind == UNEXPECTED && !why.iter().any(|said| said.contains(&finding.subject)) {
            why.push(format!(
                "an operation of the identity is not known to be the owner's: {}. If it was, acknowledge it: p2pds plc ack \
                 {did} {}",
                finding.detail, finding.subject
            ));
        }
    }
    let why = why.into_iter().map(Remark::from);
    if options.force {
        plan.overruled.extend(why)
    } else {
        plan.obstacles.extend(why)
    }
    Ok(())
}

fn keepers(log: &Log, data: &Data, yours: &[String], ours: &str) -> Vec<Keeper> {
    let signed = |name: &str| {
        let Ok(key) = PublicKey::from_did_key(name) else { return 0 };
        log.canonical().filter(|entry| entry.operation.verify(&key)).count() as u64
    };
    data.rotation_keys
        .iter()
        .zip(1..)
        .map(|(key, place)| Keeper {
            key: key.clone(),
            place,
            signed: signed(key),
            yours: yours.contains(key),
            ours: key == ours,
        })
        .collect()
}

/// The identity of a did:web: the document that its owner has to publish.
async fn with_document(
    archive: &Archive,
    host: &Host,
    handle: Option<&Handle>,
    plan: &mut Plan,
) -> Option<String> {
    let did = plan.did.clone();
    let stored = host.directory().stored(&did).await.ok().flatten();
    let journal = Journal::read(archive.store().as_ref(), &did).await.ok().flatten();
    let claimed =
        handle.cloned().or_else(|| stored.as_ref().and_then(|found| found.handle.claimed().cloned()));
    plan.new_handle = claimed.as_ref().map(|handle| handle.as_str().to_owned());
    let key = journal
        .map_or_else(|| "did:key:(made when the promotion begins)".to_owned(), |journal| journal.signing_key);
    plan.document = Some(document(&did, &host.config().public_url, &key, claimed.as_ref()));
    stored.and_then(|found| found.pds)
}

/// Where a did:web's document lies, and what it has to say.
pub(crate) fn document(
    did: &Did,
    public_url: &str,
    signing_key: &str,
    handle: Option<&Handle>,
) -> (String, serde_json::Value) {
    let mut data = Data::default();
    data.set_pds(public_url);
    data.verification_methods.insert("atproto".to_owned(), signing_key.to_owned());
    if let Some(handle) = handle {
        data.set_handle(handle);
    }
    let place = p2pds_identity::did_web_url(did).unwrap_or_else(|_| did.to_string());
    (place, DidDocument::from_plc(did, &data).to_json())
}

fn judge_old_host(options: &PromoteOptions, plan: &mut Plan) {
    let OldHost::Answers { rev } = &plan.old_host else { return };
    let newer = match (rev, &plan.rev) {
        (Some(there), Some(here)) if there > here => format!(
            " It has revision {there}, newer than {here}, which is what is held here: `p2pds archive sync {}` fetches what is \
             missing.",
            plan.did
        ),
        _ => String::new(),
    };
    let words = format!(
        "the old host still answers for this account.{newer} While it does, its owner can move the account in the ordinary \
         way, with password, preferences and all. Going on in spite of it is right only if that host is not the owner's any \
         more, or is going for good: what is posted there afterwards is lost"
    );
    let remark = Remark::choosing(words, Choice::Force);
    if options.force { plan.overruled.push(remark) } else { plan.obstacles.push(remark) }
}

/// What becomes of the handle.
async fn judge_name(host: &Host, plan: &mut Plan) -> RecoveryResult<()> {
    let Some(handle) = plan.new_handle.as_deref().and_then(|text| Handle::parse(text).ok()) else {
        return Ok(());
    };
    if let Some(other) = host.store().login_by_handle(handle.as_str()).await?
        && other.did != plan.did
    {
        let words = format!("the handle {handle} belongs to another account of this host: choose another");
        plan.obstacles.push(Remark::choosing(words, Choice::Handle { under: None }));
    }
    let domains = p2pds_archive::given_by_host(handle.as_str(), plan.old_url.as_deref(), None);
    if domains == p2pds_archive::HandleSituation::HostProvided && !host.is_own_handle(&handle) {
        let words = format!(
            "the handle {handle} was given by the old host and ends with it. Apps will show the account as handle.invalid \
             until it has another: choose one now"
        );
        let under = host.config().handle_domains.first().cloned();
        plan.notes.push(Remark::choosing(words, Choice::Handle { under }));
    }
    Ok(())
}
