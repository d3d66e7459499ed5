//! Reports: what people told the operator. They come to nodes that host nobody too.

use p2pds_host::accounts::By;
use p2pds_store::Store;
use p2pds_store::hosting::{NOTE_BYTES, ReportClosed, ReportRow, close_report};

use super::{Done, MOST, ReportLine};
use crate::operator::Failure;
use crate::operator::answer::Answer;
use crate::words::now_micros;

/// Open ones, those that wait longest first; behind them, if they are asked for, those that were settled.
pub(super) async fn list(store: &dyn Store, closed: bool) -> Result<Answer, Failure> {
    let mut rows = store.open_reports(0, MOST).await?;
    if closed {
        rows.extend(store.closed_reports(MOST).await?);
    }
    Ok(Answer::Reports(rows.into_iter().map(line).collect()))
}

/// Settles one.
pub(super) async fn close(store: &dyn Store, id: i64, note: &str) -> Result<Answer, Failure> {
    let note = note.trim().to_owned();
    if note.len() > NOTE_BYTES {
        let words = format!("the note has {} bytes, at most {NOTE_BYTES} are kept", note.len());
        return Err(Failure::new("invalid", words));
    }
    let closed = ReportClosed { at: now_micros(), note };
    if close_report(store, id, By::Operator.as_str(), closed).await? {
        return Ok(Answer::HostingDone(Done { subject: format!("report {id}"), done: "closed".to_owned() }));
    }
    let words = format!("there is no open report {id}; `p2pds admin reports` lists them");
    Err(Failure::new("notfound", words))
}

fn line(row: ReportRow) -> ReportLine {
    ReportLine {
        id: row.id,
        at: row.at,
        by: row.by.map(|did| did.to_string()),
        contact: Some(row.contact).filter(|text| !text.is_empty()),
        did: row.did.map(|did| did.to_string()),
        subject: row.subject,
        cid: row.cid,
        kind: row.kind,
        words: row.words,
        closed_at: row.closed.as_ref().map(|closed| closed.at),
        note: row.closed.map(|closed| closed.note),
    }
}
