//! One record: as it reads, as it is stored, its versions, what proves it, and putting an earlier version back.

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use p2pds_archive::{ArchiveError, At, HistoryQuery, OldRecord, Progress, Proof};
use p2pds_ipld::car::{write_header, write_section};
use p2pds_reading::Viewer;
use p2pds_syntax::{AtUri, Did, RecordPath, Tid};
use serde_json::Value;

use crate::archived::{Subject, Tab, head};
use crate::ask::{Ask, Refused, answer, refused};
use crate::layout::Page;
use crate::node_side::Trouble;
use crate::pages::Sample;
use crate::pages::time::{as_of, record_path};
use crate::parts::{self, Tone, code, said};
use crate::web::Web;
use crate::words::Words;

pub mod restore;

use restore::Restore;

/// A version of the record that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its CID.
    pub cid: String,
    /// The revision with which it came.
    pub since: Tid,
    /// The revision with which it went; `None` for the current one.
    pub until: Option<Tid>,
}

/// What is shown.
#[derive(Debug)]
pub struct View {
    /// Whose record it is.
    pub subject: Subject,
    /// Collection and key.
    pub path: RecordPath,
    /// The point in time that was asked for; empty for the present.
    pub at: String,
    /// The token of forms.
    pub csrf: String,
    /// Its CID.
    pub cid: String,
    /// As JSON; `None` when its bytes are not strict enough to be read.
    pub value: Option<Value>,
    /// The state of before that it is from.
    pub old: Option<OldRecord>,
    /// The versions that are kept, the newest first.
    pub versions: Vec<Version>,
    /// What proving the revision showed.
    pub proof: Option<Proof>,
    /// How it can be put back.
    pub restore: Option<Restore>,
    /// Why it was not put back.
    pub trouble: Option<Trouble>,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    let did = view.subject.did.as_str();
    html! {
        (head(w, &view.subject, Tab::Time, &html! { (w.t("record-title")) }))
        p { (code(&format!("at://{did}/{}", view.path))) }
        @if let Some(trouble) = &view.trouble { (parts::trouble(w, trouble)) }
        @if let Some(old) = &view.old { (then(w, old)) }
        article.record.gone[view.old.as_ref().is_some_and(|old| old.now.is_none())] {
            @match &view.value {
                Some(value) => (crate::shown::record(w, did, value)),
                None => p { (w.t("record-unreadable")) },
            }
        }
        details {
            summary { (w.t("show-raw")) }
            @if let Some(value) = &view.value { pre dir="ltr" translate="no" { (crate::shown::json(value)) } }
            p { (parts::name("CID")) " " (code(&view.cid)) }
        }
        (versions(w, view))
        (proof(w, view))
        @if let (Some(old), Some(restore)) = (&view.old, &view.restore) { (restore::form(w, view, old, restore)) }
    }
}

fn then(w: &Words, old: &OldRecord) -> Markup {
    let (tone, words) = match &old.now {
        None => (Tone::Warn, "record-now-nothing"),
        Some(now) if *now == old.cid => (Tone::Good, "record-now-same"),
        Some(_) => (Tone::Warn, "record-now-other"),
    };
    html! {
        (as_of(w, &old.as_of))
        (parts::notice(tone, html! { p { (w.t(words)) } }))
    }
}

fn versions(w: &Words, view: &View) -> Markup {
    let (collection, rkey) = (view.path.collection(), view.path.rkey());
    html! {
        @if !view.versions.is_empty() {
            h2 { (w.t("versions-title")) }
            div.scroll tabindex="0" { table {
                thead { tr {
                    th scope="col" { (w.t("versions-since")) }
                    th scope="col" { (w.t("versions-until")) }
                    th scope="col" { (w.t("revisions-see")) }
                } }
                tbody { @for version in &view.versions {
                    tr {
                        th scope="row" { (w.exact(micros(version.since))) }
                        td { @match version.until { Some(until) => (w.exact(micros(until))), None => (w.t("versions-now")) } }
                        td {
                            @let at = if version.until.is_none() { String::new() } else { version.since.to_string() };
                            a href=(record_path(&view.subject, collection, rkey, &at)) aria-current=[(version.cid == view.cid).then_some("true")] {
                                (code(&version.cid))
                            }
                        }
                    }
                } }
            } }
        }
    }
}

fn micros(rev: Tid) -> i64 {
    i64::try_from(rev.micros()).unwrap_or(i64::MAX)
}

fn proof(w: &Words, view: &View) -> Markup {
    let here = record_path(&view.subject, view.path.collection(), view.path.rkey(), &view.at);
    html! {
        h2 { (w.t("proof-title")) }
        p { (w.t("proof-words")) }
        @match &view.proof {
            Some(proof) => {
                (parts::notice(if proof.ok { Tone::Good } else { Tone::Bad }, html! {
                    p { strong { (w.t(if proof.ok { "proof-ok" } else { "proof-failed" })) } }
                    p { (said(&proof.words)) }
                    dl.facts {
                        dt { (w.t("head-root")) } dd { (code(&proof.signed_root)) }
                        @if let Some(key) = &proof.key { dt { (w.t("head-key")) } dd { (code(key)) } }
                    }
                }))
            }
            None => p { a.button.second href={ (here) "&prove=1" } { (w.t("proof-button")) } },
        }
        @if view.old.is_none() {
            p { a href={ (view.subject.path("/proof")) "?path=" (parts::segment(view.path.as_str())) } { (w.t("proof-download")) } }
        }
    }
}

/// The record that a query names.
pub(crate) fn path(query: Option<&str>) -> Result<RecordPath, Refused> {
    let text = crate::query::text(query, "path").ok_or(Refused::NotFound)?;
    RecordPath::parse(&text).map_err(|_| Refused::NotFound)
}

/// Its address.
pub(crate) fn uri(did: &Did, path: &RecordPath) -> Result<AtUri, Refused> {
    AtUri::parse(&format!("at://{did}/{path}")).map_err(|_| Refused::NotFound)
}

/// `GET /archive/{did}/record`
pub async fn show(State(web): State<Web>, ask: Ask, Path(did): Path<String>, query: RawQuery) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let query = query.0.as_deref();
        let at = crate::query::text(query, "at").unwrap_or_default();
        let mut view = view(&web, &ask, subject, path(query)?, at).await?;
        if crate::query::text(query, "prove").is_some() {
            view.proof = prove(&web, &view).await?;
        }
        Ok(ask.show(&Page::new(ask.w.t("record-title"), body(&ask.w, &view))))
    })
    .await
}

/// What the page shows.
pub(crate) async fn view(
    web: &Web,
    ask: &Ask,
    subject: Subject,
    path: RecordPath,
    at: String,
) -> Result<View, Refused> {
    let archive = web.archive();
    let address = uri(&subject.did, &path)?;
    let old = match at.is_empty() {
        false => Some(archive.old_record(&address, Some(At::parse(&at)?)).await?),
        true => None,
    };
    let (cid, value, old) = match old {
        Some(old) => (old.cid.clone(), old.value.clone(), Some(old)),
        None => match archive.record(&address).await {
            Ok(now) => (now.cid, now.value, None),
            // It was deleted: the last version of it, if that is kept.
            Err(ArchiveError::NoRecord(_)) => {
                let old = archive.old_record(&address, None).await?;
                (old.cid.clone(), old.value.clone(), Some(old))
            }
            Err(error) => return Err(error.into()),
        },
    };
    let rows = archive.store().versions(&subject.did, &path).await.map_err(ArchiveError::from)?;
    let mut versions: Vec<Version> = rows
        .into_iter()
        .map(|(row, until)| Version { cid: row.cid.to_string(), since: row.since, until })
        .collect();
    versions.sort_by_key(|version| std::cmp::Reverse(version.since));
    versions.truncate(100);
    let restore = match &old {
        Some(old) if old.now.as_ref() != Some(&old.cid) => {
            Some(Restore::of(web, &subject.did, &path, old).await)
        }
        _ => None,
    };
    let csrf = ask.frame.csrf.clone();
    Ok(View { subject, path, at, csrf, cid, value, old, versions, proof: None, restore, trouble: None })
}

/// Proves the revision that the record is from.
async fn prove(web: &Web, view: &View) -> Result<Option<Proof>, Refused> {
    let rev = match &view.old {
        Some(old) => old.as_of.rev.clone(),
        None => web.archive().line(&view.subject.did).await?.rev.unwrap_or_default(),
    };
    let only = Tid::parse(&rev).map_err(|_| Refused::NotFound)?;
    let query = HistoryQuery { prove: true, only: Some(only), ..HistoryQuery::default() };
    let report = web.archive().history(&view.subject.did, query, &Progress::none()).await?;
    Ok(report.revisions.into_iter().find_map(|revision| revision.proof))
}

/// `GET /archive/{did}/proof`: the record with the blocks that prove it, as a CAR.
pub async fn download(
    State(web): State<Web>,
    ask: Ask,
    Path(did): Path<String>,
    query: RawQuery,
) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let path = path(query.0.as_deref())?;
        let seen = web.reading().view(Viewer::Operator, &subject.did).await.map_err(refused)?;
        let proved = web.reading().proof(Viewer::Operator, &seen, &path).await.map_err(refused)?;
        let mut out = Vec::new();
        write_header(&mut out, &[proved.commit.0]);
        for (cid, bytes) in [&proved.commit].into_iter().chain(&proved.nodes).chain(&proved.record) {
            write_section(&mut out, cid, bytes);
        }
        let headers = [
            (header::CONTENT_TYPE, "application/vnd.ipld.car"),
            (header::CONTENT_DISPOSITION, "attachment; filename=\"record.car\""),
            (header::CACHE_CONTROL, "no-store"),
        ];
        Ok((headers.map(|(name, value)| (name, HeaderValue::from_static(value))), out).into_response())
    })
    .await
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let rev = Tid::from_micros(u64::try_from(crate::samples::NOW).unwrap_or(0), 0);
    let Ok(path) = RecordPath::parse("app.bsky.feed.post/3mbk2ozmcss2w") else { return Vec::new() };
    let plain = |old: Option<OldRecord>| View {
        subject: crate::archived::made_up(),
        path: path.clone(),
        at: String::new(),
        csrf: "t".to_owned(),
        cid: "bafyreirecord".to_owned(),
        value: crate::pages::time::made_up_glance("3mbk2ozmcss2w", "hello").value,
        restore: old.as_ref().map(|_| Restore {
            session: false,
            hosted: false,
            collection: "app.bsky.feed.post".to_owned(),
            blobs: true,
        }),
        old,
        versions: vec![Version { cid: "bafyreirecord".to_owned(), since: rev, until: None }],
        proof: None,
        trouble: None,
    };
    let old = |now: Option<&str>| OldRecord {
        uri: "at://did:plc:z72i7hdynmk6r22z27h6tvur/app.bsky.feed.post/3mbk2ozmcss2w".to_owned(),
        as_of: crate::pages::time::made_up_state(None),
        cid: "bafyreirecord".to_owned(),
        value: None,
        block: String::new(),
        blobs: vec![p2pds_archive::NamedBlob {
            cid: "bafkreipicture".to_owned(),
            mime: "image/png".to_owned(),
            size: 40,
            held: false,
        }],
        now: now.map(str::to_owned),
        now_value: None,
        written: None,
    };
    let proof = |ok| Proof {
        ok,
        root: None,
        signed_root: "bafyreiroot".to_owned(),
        key: Some("did:key:zQ3shsigning".to_owned()),
        records: 12_345,
        bytes: 8_400_000,
        without_bytes: 0,
        damaged: Vec::new(),
        words: "its records build the root that was signed".to_owned(),
    };
    let mut session = plain(Some(old(Some("bafyreiother"))));
    session.restore = session.restore.map(|restore| Restore { session: true, ..restore });
    [
        ("empty", View { value: None, versions: Vec::new(), ..plain(None) }),
        ("partial", session),
        (
            "error",
            View {
                trouble: Some(crate::pages::made_up_trouble()),
                proof: Some(proof(false)),
                ..plain(Some(old(None)))
            },
        ),
        ("success", View { proof: Some(proof(true)), ..plain(None) }),
    ]
    .map(|(state, view)| Sample { page: "record", state, body: body(w, &view) })
    .into()
}
