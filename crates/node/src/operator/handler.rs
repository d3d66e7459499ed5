//! Who answers a command: the one place that calls the services on the operator's behalf.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, Stream, StreamExt as _};
use p2pds_archive::{ArchiveError, Progress, VerifyOptions, VerifyReport};
use p2pds_host::passwords::random_base32;
use p2pds_reading::Refusal;
use p2pds_recovery::{ExportOptions, RecoveryError};
use p2pds_store::StoreError;
use p2pds_syntax::Did;
use tokio::sync::mpsc;

use crate::doctor::{self, Check};
use crate::node::engine::Engine;
use crate::node::lock;
use crate::operator::answer::{Answer, ClaimLine, Paused, Synced};
use crate::operator::{Command, Event, Failure, lexicons, memory, takeover, upkeep};

/// Progress events that may wait for a slow reader; more are left out.
const WAITING_EVENTS: usize = 1_024;

/// Runs a command and gives its events. The command runs while the stream is read, and ends
/// when the stream is dropped.
pub fn events(engine: Arc<Engine>, command: Command) -> impl Stream<Item = Event> + Send {
    let (to, events) = mpsc::channel(WAITING_EVENTS);
    let progress = Progress::to(move |event| {
        // Each event stands for itself, so a full queue may lose some.
        let _ = to.try_send(Event::Progress(event));
    });
    let work = async move {
        match answer(&engine, command, &progress).await {
            Ok(answer) => Event::Result { outcome: Box::new(answer) },
            Err(failure) => Event::Error { failure },
        }
    }
    .boxed();
    futures::stream::unfold(Running { events, work: Some(work), last: None }, |mut running| async move {
        running.next().await.map(|event| (event, running))
    })
}

struct Running {
    events: mpsc::Receiver<Event>,
    work: Option<BoxFuture<'static, Event>>,
    last: Option<Event>,
}

impl Running {
    async fn next(&mut self) -> Option<Event> {
        while let Some(work) = &mut self.work {
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => return Some(event),
                end = work => {
                    self.last = Some(end);
                    self.work = None;
                }
            }
        }
        // What was queued before the end comes before the end.
        match self.events.try_recv() {
            Ok(event) => Some(event),
            Err(_) => self.last.take(),
        }
    }
}

async fn answer(engine: &Engine, command: Command, progress: &Progress) -> Result<Answer, Failure> {
    let archive = &engine.archive;
    Ok(match command {
        Command::Add { account } => Answer::Added(Box::new(archive.add(&account, progress).await?)),
        Command::LookAt { source } => Answer::Intake(Box::new(archive.look_at(&source, progress).await?)),
        Command::TakeIn { candidates } => Answer::TakenIn(archive.take_in(&candidates).await?),
        Command::List => Answer::Accounts(archive.list().await?),
        Command::Show { account } => {
            Answer::Details(Box::new(archive.show(&archive.find(&account).await?).await?))
        }
        Command::Sync { account } => Answer::Synced(sync(engine, account, progress).await?),
        Command::Pause { account, paused } => Answer::Paused(pause(engine, &account, paused).await?),
        Command::Remove { account, dry_run } => Answer::Removed(Box::new(
            archive.remove(&archive.find(&account).await?, dry_run, progress).await?,
        )),
        Command::Verify { account, read_data, repair } => {
            Answer::Verified(verify(engine, account, VerifyOptions { read_data, repair }, progress).await?)
        }
        Command::Record { uri, at } => {
            Answer::Record(Box::new(memory::record(engine, &uri, at.as_deref()).await?))
        }
        command @ (Command::History { .. }
        | Command::Diff { .. }
        | Command::RestoreRecord { .. }
        | Command::AcceptHead { .. }
        | Command::Keep { .. }) => memory::answer(engine, command, progress).await?,
        Command::Export { account, out, html } => {
            let did = archive.find(&account).await?;
            let options = ExportOptions { html, ..ExportOptions::default() };
            Answer::Exported(Box::new(engine.recovery.export_with(&did, &out, options, progress).await?))
        }
        Command::Import { car, plc_log } => {
            Answer::Imported(Box::new(archive.import(&car, plc_log.as_deref(), progress).await?))
        }
        Command::Promote { account, ask, how } => {
            takeover::promote(engine, &account, ask, *how, progress).await?
        }
        command @ Command::Backup { .. } => upkeep::backup(engine, command, progress).await?,
        Command::ImportPds { dir, env, blobs, dry_run } => Answer::PdsImported(Box::new(
            takeover::import_pds(engine, dir, &env, blobs, dry_run, progress).await?,
        )),
        Command::Drill { account } => {
            let did = archive.find(&account).await?;
            Answer::Drilled(Box::new(engine.recovery.drill(&did, progress).await?))
        }
        command @ (Command::PlcLog { .. } | Command::PlcAnnounce { .. } | Command::PlcAck { .. }) => {
            super::identity::answer(archive, command).await?
        }
        command @ (Command::Serve { .. }
        | Command::BlockCid { .. }
        | Command::UnblockCid { .. }
        | Command::Blocked) => super::serving::answer(engine, command).await?,
        Command::Lexicons { prefix, limit } => {
            Answer::Lexicons(lexicons::lines(engine, prefix.as_deref(), limit).await?)
        }
        Command::LexiconTotals => Answer::LexiconTotals(lexicons::totals(engine).await?),
        Command::Workers => Answer::Workers(upkeep::workers(engine).await?),
        Command::PauseWorker { name, paused } => {
            Answer::WorkerPaused(upkeep::pause_worker(engine, &name, paused).await?)
        }
        Command::Priority { account, priority } => {
            Answer::Priority(upkeep::prioritize(engine, &account, priority).await?)
        }
        Command::Quota { account, quota } => Answer::Quota(upkeep::limit(engine, &account, quota).await?),
        Command::Claim { again } => Answer::Claim(claim(engine, again).await?),
        Command::Capacity => {
            Answer::Capacity(Box::new(crate::capacity::report(engine, crate::words::now_micros()).await?))
        }
        Command::Alerts { history } => Answer::Alerts(upkeep::alerts(engine, history).await?),
        Command::TestAlert => Answer::AlertTest(upkeep::test_alert(engine).await),
        Command::Hosting { ask } => super::hosting::answer(engine, *ask).await?,
        Command::CheckHosting { offline } => Answer::Checks(check_hosting(engine, offline).await),
        Command::CheckStructure => Answer::Structure(engine.store.check_structure().await?),
    })
}

/// A new address that claims the node.
async fn claim(engine: &Engine, again: bool) -> Result<ClaimLine, Failure> {
    if let Some(address) = engine.door.claim_address(again).await? {
        return Ok(ClaimLine { address, again });
    }
    let owner = engine.door.owner().await?;
    let owner = owner.map_or_else(|| "somebody".to_owned(), |did| did.to_string());
    let words = format!("this node belongs to {owner}, who can sign in at its page /sign-in");
    let hint = "if access was lost, `p2pds claim --again` prints an address that takes the node from its present owner";
    Err(Failure::new("conflict", words).hint(hint))
}

/// The checks of a hosting node; none when this node hosts nobody.
pub(crate) async fn check_hosting(engine: &Engine, offline: bool) -> Vec<Check> {
    let Some(host) = &engine.host else { return Vec::new() };
    let node_runs = lock::state(&engine.dir).is_ok_and(|state| state.is_node());
    let own = match random_base32(32) {
        Ok(key) => engine.own_calls.begin(key),
        Err(error) => return vec![Check::skipped("public-url", error.to_string())],
    };
    doctor::hosting::all(&engine.config, host, node_runs.then_some(&own), offline).await
}

/// Streams the CAR of an account's current revision.
///
/// # Errors
/// The account is not archived, or there is nothing of it to send.
pub async fn car(
    engine: Arc<Engine>,
    account: &str,
) -> Result<BoxStream<'static, anyhow::Result<Bytes>>, Failure> {
    let did = engine.archive.find(account).await?;
    // Held until the last byte, so that no sync moves the head meanwhile.
    let held = engine.archive.hold(&did).await;
    let pieces = engine.recovery.export_car(&did).await?;
    Ok(pieces
        .map(move |piece| {
            let _ = &held;
            piece.map_err(|refusal| Failure::from(refusal).into())
        })
        .boxed())
}

async fn sync(engine: &Engine, account: Option<String>, progress: &Progress) -> Result<Vec<Synced>, Failure> {
    if let Some(account) = account {
        let summary = engine.archive.sync(&engine.archive.find(&account).await?, progress).await?;
        return Ok(vec![Synced {
            did: summary.did.to_string(),
            handle: summary.handle.clone(),
            summary: Some(Box::new(summary)),
            failure: None,
        }]);
    }
    let mut all = Vec::new();
    for line in engine.archive.list().await? {
        if line.removing || line.origin == "file" {
            continue;
        }
        let (summary, failure) = match engine.archive.sync(&line.did, progress).await {
            Ok(summary) => (Some(Box::new(summary)), None),
            Err(error) => (None, Some(error.into())),
        };
        all.push(Synced { did: line.did.to_string(), handle: line.handle, summary, failure });
    }
    Ok(all)
}

async fn verify(
    engine: &Engine,
    account: Option<String>,
    options: VerifyOptions,
    progress: &Progress,
) -> Result<Vec<VerifyReport>, Failure> {
    let dids = match account {
        Some(account) => vec![engine.archive.find(&account).await?],
        None => engine
            .archive
            .list()
            .await?
            .into_iter()
            .filter(|line| !line.removing)
            .map(|line| line.did)
            .collect(),
    };
    let mut reports = Vec::new();
    for did in dids {
        reports.push(verify_one(engine, &did, options, progress).await?);
    }
    Ok(reports)
}

/// Verifies one account; writes to one that is hosted here wait for the end of it.
async fn verify_one(
    engine: &Engine,
    did: &Did,
    options: VerifyOptions,
    progress: &Progress,
) -> Result<VerifyReport, Failure> {
    let hosted = engine.store.account(did).await?.is_some_and(|account| account.hosted);
    let Some(host) = engine.host.as_ref().filter(|_| hosted) else {
        return Ok(engine.archive.verify(did, options, progress).await?);
    };
    let lock = host.account_lock(did).await?;
    let _held = lock.hold().await;
    Ok(engine.archive.verify(did, options, progress).await?)
}

async fn pause(engine: &Engine, account: &str, paused: bool) -> Result<Paused, Failure> {
    let did = engine.archive.find(account).await?;
    engine.archive.pause(&did, paused).await?;
    let handle = engine.store.account(&did).await?.and_then(|account| account.handle);
    Ok(Paused { did: did.to_string(), handle, paused })
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        let failure = Self::new(error.kind().as_str(), error.to_string());
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<RecoveryError> for Failure {
    fn from(error: RecoveryError) -> Self {
        let failure = Self::new(error.kind().as_str(), super::promotion::refused(&error));
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.kind().as_str(), refusal.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(error.kind().as_str(), error.to_string())
    }
}
