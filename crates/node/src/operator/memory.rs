//! The operator's commands about what is remembered: revisions, records of before, retention.

use p2pds_archive::{At, HistoryQuery, HistoryReport, Kept, OldRecord, Progress, RecordView};
use p2pds_store::Keep;
use p2pds_syntax::{AtUri, Tid};
use serde::{Deserialize, Serialize};

use crate::node::engine::Engine;
use crate::operator::answer::Answer;
use crate::operator::{Command, Failure};

/// How an account's history is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeping {
    /// DID.
    pub did: String,
    /// Handle.
    pub handle: Option<String>,
    /// `all` or `window`.
    pub keep: String,
    /// Why it is kept after its deletion at the source.
    pub basis: Option<String>,
    /// Length of the undo window in seconds.
    pub window: u64,
    /// What becomes of it, when it was deleted at its source.
    pub withdrawal: Option<p2pds_archive::Withdrawal>,
}

/// Answers one of these commands.
pub(super) async fn answer(
    engine: &Engine,
    command: Command,
    progress: &Progress,
) -> Result<Answer, Failure> {
    let archive = &engine.archive;
    Ok(match command {
        Command::History { account, before, limit, prove } => {
            let did = archive.find(&account).await?;
            let before = before.as_deref().map(rev).transpose()?;
            let query = HistoryQuery { before, limit, ..HistoryQuery::default() };
            let report = match prove.as_deref() {
                None => archive.history(&did, query, progress).await?,
                Some("all") => all(engine, &did, query, progress).await?,
                Some(text) => {
                    let query = HistoryQuery { prove: true, only: Some(rev(text)?), ..query };
                    let report = archive.history(&did, query, progress).await?;
                    if report.revisions.iter().any(|revision| revision.kept == Kept::Pruned) {
                        return Err(Failure::new(
                            "notfound",
                            format!("revision {text} was seen, and its records have been forgotten since"),
                        ));
                    }
                    report
                }
            };
            Answer::History(Box::new(report))
        }
        Command::Diff { account, from, to } => {
            let did = archive.find(&account).await?;
            Answer::Diff(Box::new(archive.diff(&did, At::parse(&from)?, At::parse(&to)?).await?))
        }
        Command::RestoreRecord { uri, at, password } => {
            let (uri, at) = (address(&uri)?, at.as_deref().map(At::parse).transpose()?);
            let old: OldRecord = match password {
                None => archive.old_record(&uri, at).await?,
                Some(password) => {
                    let old = archive.put_back(&uri, at, &password, progress).await?;
                    tracing::info!(
                        event = "history.restored",
                        uri = old.uri,
                        "a record of before was put back"
                    );
                    old
                }
            };
            Answer::OldRecord(Box::new(old))
        }
        Command::AcceptHead { account, reason } => {
            let did = archive.find(&account).await?;
            let summary = archive.accept_head(&did, &reason, progress).await?;
            if summary.accepted_older {
                tracing::warn!(event = "history.accepted", %did, reason, "an older head was accepted");
            }
            Answer::Added(Box::new(summary))
        }
        Command::Keep { account, keep, basis, no_basis } => {
            let did = archive.find(&account).await?;
            let keep = match keep.as_str() {
                "all" => Keep::All,
                "window" => Keep::Window,
                other => return Err(Failure::new("invalid", format!("`{other}` is neither all nor window"))),
            };
            let basis = if no_basis { Some(None) } else { basis.map(Some) };
            archive.keep(&did, keep, basis).await?;
            Answer::Kept(Box::new(keeping(engine, &did).await?))
        }
        _ => return Err(Failure::new("bug", "a command went to the wrong door: a defect in p2pds")),
    })
}

/// One record, of now or of before.
pub(super) async fn record(engine: &Engine, uri: &str, at: Option<&str>) -> Result<RecordView, Failure> {
    let uri = address(uri)?;
    Ok(match at {
        None => engine.archive.record(&uri).await?,
        Some(at) => engine.archive.record_at(&uri, At::parse(at)?).await?,
    })
}

/// The whole history, each revision proved.
async fn all(
    engine: &Engine,
    did: &p2pds_syntax::Did,
    query: HistoryQuery,
    progress: &Progress,
) -> Result<HistoryReport, Failure> {
    let mut query = HistoryQuery { prove: true, limit: 1_000, ..query };
    let mut whole: Option<HistoryReport> = None;
    loop {
        let page = engine.archive.history(did, query, progress).await?;
        let next = page.next.clone();
        match &mut whole {
            None => whole = Some(page),
            Some(report) => {
                report.revisions.extend(page.revisions);
                report.proved = report.proved.saturating_add(page.proved);
                report.failed = report.failed.saturating_add(page.failed);
                report.next.clone_from(&next);
            }
        }
        match next {
            Some(next) => query.before = Some(rev(&next)?),
            None => break,
        }
    }
    whole.ok_or_else(|| Failure::new("bug", "a history without a page: a defect in p2pds"))
}

async fn keeping(engine: &Engine, did: &p2pds_syntax::Did) -> Result<Keeping, Failure> {
    let line = engine.archive.line(did).await?;
    Ok(Keeping {
        did: line.did.to_string(),
        handle: line.handle,
        keep: line.keep,
        basis: line.keep_basis,
        window: engine.archive.config().undo_window.as_secs(),
        withdrawal: line.withdrawal,
    })
}

fn rev(text: &str) -> Result<Tid, Failure> {
    Tid::parse(text.trim()).map_err(|_| {
        Failure::new("invalid", format!("`{text}` is no revision"))
            .hint("a revision looks like 3l6ovsmcvkk2y; `p2pds history ACCOUNT` lists those that were seen")
    })
}

fn address(uri: &str) -> Result<AtUri, Failure> {
    AtUri::parse(uri).map_err(|error| {
        Failure::new("invalid", format!("`{uri}` is not the address of a record: {error}"))
            .hint("an address looks like at://HANDLE-OR-DID/COLLECTION/KEY")
    })
}
