//! What people told the operator: reports of accounts that live here, and requests that data be removed.

use maud::{Markup, html};
use p2pds_host::accounts::By;
use p2pds_store::hosting::{
    AccountsUnit, AuditRow, NOTE_BYTES, ReportClosed, ReportCounts, ReportRow, close_report,
};
use p2pds_store::{HostingUnit, Serve, StoreError, Unit};
use p2pds_syntax::Did;

use super::MOST;
use super::view::{View, act as act_form, hidden};
use crate::args;
use crate::ask::Refused;
use crate::form::Fields;
use crate::node_side::Trouble;
use crate::parts::{account_path, code, name};
use crate::web::Web;
use crate::words::{Sentence, Words};

/// What stands on the page.
#[derive(Debug, Default)]
pub struct Reports {
    /// How many wait.
    pub counts: ReportCounts,
    /// Those that wait longest.
    pub open: Vec<Report>,
    /// Those that were settled last.
    pub closed: Vec<Report>,
}

/// A report, and how what it is about stands here.
#[derive(Debug, Clone)]
pub struct Report {
    /// As it is stored.
    pub row: ReportRow,
    /// Whether the account is here.
    pub here: Here,
}

/// Whether an account is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    /// It lives here.
    Hosted,
    /// It is archived here, and shown to somebody, or not.
    Archived {
        /// To somebody.
        served: bool,
    },
    /// It is not, or was not found by its name.
    No,
}

/// Reads them.
pub(super) async fn read(web: &Web) -> Result<Reports, Refused> {
    let store = web.archive().store();
    let (mut open, mut closed) = (Vec::new(), Vec::new());
    for row in store.open_reports(0, MOST).await? {
        let here = here(web, row.did.as_ref()).await?;
        open.push(Report { row, here });
    }
    for row in store.closed_reports(MOST).await? {
        let here = here(web, row.did.as_ref()).await?;
        closed.push(Report { row, here });
    }
    Ok(Reports { counts: store.report_counts().await?, open, closed })
}

async fn here(web: &Web, did: Option<&Did>) -> Result<Here, StoreError> {
    let Some(did) = did else { return Ok(Here::No) };
    let account = web.archive().store().account(did).await?;
    Ok(match account.filter(|account| !account.purging) {
        Some(account) if account.hosted => Here::Hosted,
        Some(account) => Here::Archived { served: account.serve != Serve::Nobody },
        None => Here::No,
    })
}

/// What the forms of this page do.
pub(super) async fn act(web: &Web, what: &str, fields: &Fields) -> Result<(), Trouble> {
    let id = fields.text("id").parse::<i64>().unwrap_or_default();
    match what {
        "report-close" => {
            let note = fields.text("note");
            if note.len() > NOTE_BYTES {
                return Err(Trouble::of(Sentence::of("report-note-long")));
            }
            let closed = ReportClosed { at: web.now(), note };
            let done = close_report(web.archive().store().as_ref(), id, By::Operator.as_str(), closed).await;
            if done.map_err(failed)? { Ok(()) } else { Err(Trouble::of(Sentence::of("report-gone"))) }
        }
        "report-hide" => hide(web, id).await,
        _ => Err(Trouble::of(Sentence::of("refused-page-expired"))),
    }
}

fn failed(error: StoreError) -> Trouble {
    Trouble::said(error.to_string(), None)
}

/// Shows the archived account that a report is about to nobody.
async fn hide(web: &Web, id: i64) -> Result<(), Trouble> {
    let store = web.archive().store();
    let row = store.report(id).await.map_err(failed)?.filter(|row| row.closed.is_none());
    let did = row.and_then(|row| row.did).ok_or_else(|| Trouble::of(Sentence::of("report-gone")))?;
    web.archive().serve(&did, "nobody", None).await?;
    let audit = AuditRow {
        id: 0,
        at: web.now(),
        who: By::Operator.as_str().to_owned(),
        what: "stopServing".to_owned(),
        did: Some(did),
        subject: format!("report {id}"),
        detail: String::new(),
    };
    let unit = HostingUnit::Accounts(AccountsUnit::Audit(audit));
    store.apply(Unit::Hosting(Box::new(unit))).await.map(drop).map_err(failed)
}

/// The page.
pub(super) fn body(w: &Words, view: &View, reports: &Reports) -> Markup {
    let waiting = reports.counts.open;
    html! {
        p { (w.t("report-lead")) }
        @if let Some(oldest) = reports.counts.oldest.filter(|_| waiting > 0) {
            p { strong { (w.f("report-open", args!(count = waiting))) } " " (w.t("report-oldest")) " " (w.time(oldest)) }
        }
        @if reports.open.is_empty() { div.empty { p { (w.t("report-none")) } } }
        @for report in &reports.open { (open(w, view, report)) }
        @if waiting > u64::try_from(reports.open.len()).unwrap_or(u64::MAX) { p { (w.t("report-more")) } }
        @if !reports.closed.is_empty() {
            h2 { (w.t("report-closed")) }
            p { (w.t("report-closed-kept")) }
            @for report in &reports.closed {
                details.card {
                    summary { (title(w, &report.row)) " · " (name(&report.row.subject)) }
                    (facts(w, report))
                }
            }
        }
    }
}

fn title(w: &Words, row: &ReportRow) -> Markup {
    // The names of the lexicons end in #reasonSpam and so on.
    let word = row.kind.rsplit_once("#reason").map_or(row.kind.as_str(), |(_, word)| word);
    let key = format!("report-kind-{}", word.to_ascii_lowercase());
    html! {
        (w.f("report-number", args!(id = row.id.to_string()))) ": "
        @if w.has(&key) { (w.t(&key)) } @else { (code(&row.kind)) }
    }
}

fn facts(w: &Words, report: &Report) -> Markup {
    let row = &report.row;
    html! {
        dl.facts {
            dt { (w.t("report-about")) }
            dd {
                (about(report))
                @if let Some(did) = row.did.as_ref().filter(|did| did.as_str() != row.subject) { br; (code(did.as_str())) }
                @if let Some(cid) = &row.cid { br; (code(cid)) }
                br; (w.t(match report.here { Here::Hosted => "report-hosted", Here::Archived { .. } => "report-archived", Here::No => "report-not-here" }))
            }
            dt { (w.t("report-from")) } dd { @match &row.by { Some(by) => (code(by.as_str())), None => (w.t("report-stranger")) } }
            @if !row.contact.is_empty() { dt { (w.t("report-answer")) } dd { (name(&row.contact)) } }
            dt { (w.t("report-came")) } dd { (w.time(row.at)) }
            @if let Some(closed) = &row.closed { dt { (w.t("report-closed-at")) } dd { (w.time(closed.at)) " " (name(&closed.note)) } }
        }
        @if !row.words.is_empty() { pre dir="auto" translate="no" tabindex="0" { (row.words) } }
    }
}

/// What it is about; linked where there is something to look at.
fn about(report: &Report) -> Markup {
    let row = &report.row;
    let to = row.did.as_ref().and_then(|did| match report.here {
        Here::Archived { .. } => Some(account_path(did.as_str())),
        Here::Hosted => Some(format!("/operator/accounts?did={did}")),
        Here::No => None,
    });
    html! { @match to { Some(to) => { a href=(to) { (name(&row.subject)) } } None => { (name(&row.subject)) } } }
}

fn open(w: &Words, view: &View, report: &Report) -> Markup {
    let row = &report.row;
    let id = row.id.to_string();
    let case = format!("report-{id}-case");
    let note = format!("report-{id}-note");
    html! {
        section.card aria-labelledby={ "report-" (id) } {
            h2 id={ "report-" (id) } { (title(w, row)) }
            (facts(w, report))
            @match (report.here, &row.did) {
                (Here::Hosted, Some(_)) => (act_form(w, view, "take-down", &html! {
                    (hidden("subject", &row.subject))
                    div.field {
                        label for=(case) { (w.t("operator-case")) }
                        input id=(case) name="reference" dir="auto" autocomplete="off" value={ "report " (id) };
                    }
                }, "danger", "operator-take-down")),
                (Here::Archived { served }, Some(did)) => {
                    p { (w.t("report-answer-first")) }
                    div.row {
                        @if served { (act_form(w, view, "report-hide", &hidden("id", &id), "second", "report-hide")) }
                        a.button.danger href={ (account_path(did.as_str())) "/remove" } { (w.t("report-remove")) }
                    }
                }
                _ => {}
            }
            (act_form(w, view, "report-close", &html! {
                (hidden("id", &id))
                div.field {
                    label for=(note) { (w.t("report-note")) span.hint { (w.t("report-note-hint")) } }
                    input id=(note) name="note" required dir="auto" autocomplete="off" maxlength="1000";
                }
            }, "", "report-close"))
        }
    }
}

/// Made-up ones: from here and from outside, about all sorts of accounts.
pub(super) fn made_up() -> Reports {
    use crate::samples::{NOW, did};
    let row = ReportRow {
        id: 12,
        at: NOW,
        by: None,
        contact: "alice@example.com".into(),
        did: Some(did()),
        subject: "alice.example.com".into(),
        cid: None,
        kind: "removal".into(),
        words: "This is mine.\nPlease remove it.".into(),
        closed: None,
    };
    let hosted = ReportRow {
        id: 13,
        by: Some(did()),
        contact: String::new(),
        subject: format!("at://{}/app.bsky.feed.post/3mbk2ozmcss2w", did()),
        cid: Some("bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy".into()),
        kind: "com.atproto.moderation.defs#reasonSpam".into(),
        ..row.clone()
    };
    let other = ReportRow {
        id: 14,
        did: None,
        kind: "tools.ozone.report.defs#reasonRuleBanEvasion".into(),
        words: String::new(),
        ..row.clone()
    };
    let closed = Some(ReportClosed { at: NOW, note: "told them".into() });
    let settled = ReportRow { id: 3, closed, ..row.clone() };
    let of = |row: &ReportRow, here| Report { row: row.clone(), here };
    Reports {
        counts: ReportCounts { open: 200, oldest: Some(NOW) },
        open: vec![
            of(&row, Here::Archived { served: true }),
            of(&ReportRow { id: 15, ..row.clone() }, Here::Archived { served: false }),
            of(&hosted, Here::Hosted),
            of(&other, Here::No),
        ],
        closed: vec![of(&settled, Here::No)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Locale;

    #[test]
    fn kinds_have_words_where_there_are_some() {
        let w = Words::new(Locale::En, 0);
        let of = |kind: &str| {
            title(&w, &ReportRow { kind: kind.into(), ..made_up().open[0].row.clone() }).into_string()
        };
        for kind in ["Spam", "Violation", "Misleading", "Sexual", "Rude", "Other", "Appeal"] {
            let said = of(&format!("com.atproto.moderation.defs#reason{kind}"));
            assert!(!said.contains("code") && !said.contains('#'), "{said}");
        }
        for kind in crate::pages::removal::KINDS {
            assert!(!of(kind).contains("code"), "{kind}");
        }
        assert!(of("com.example.defs#reasonNew").contains("com.example.defs#reasonNew"));
        assert!(of("<script>").contains("&lt;script&gt;"));
    }
}
