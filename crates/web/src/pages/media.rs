//! The pictures and videos of an account: which are missing and why, and those that are here.

use std::ops::Range;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use p2pds_archive::BlobNote;
use p2pds_ipld::Cid;
use p2pds_reading::{Refusal, Viewer};
use p2pds_store::{BlobFilter, BlobRow};

use crate::archived::{Subject, Tab, head};
use crate::args;
use crate::ask::{Ask, Refused, answer};
use crate::layout::Page;
use crate::pages::Sample;
use crate::parts::{code, name, said};
use crate::shown::{Blob, blob};
use crate::web::Web;
use crate::words::Words;

/// Blobs on one page.
const PAGE: usize = 48;

/// What is shown.
#[derive(Debug)]
pub struct View {
    /// Whose page it is.
    pub subject: Subject,
    /// How many are here, and their bytes.
    pub held: (u64, u64),
    /// How many are missing.
    pub missing: u64,
    /// Those missing or gone, the first of them.
    pub absent: Vec<BlobNote>,
    /// Those here, a page of them.
    pub shown: Vec<Blob>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        (head(w, &view.subject, Tab::Media, &html! { (w.t("media-title")) }))
        p {
            (w.f("media-held", args!(count = w.number(view.held.0), size = w.size(view.held.1)))) " "
            (w.f("media-missing", args!(count = view.missing)))
        }
        @if !view.absent.is_empty() {
            h2 { (w.t("media-absent-title")) }
            p { (w.t("media-absent-words")) }
            div.scroll tabindex="0" { table {
                thead { tr {
                    th scope="col" { (w.t("media-file")) }
                    th scope="col" { (w.t("media-why")) }
                    th.number scope="col" { (w.t("media-tries")) }
                    th scope="col" { (w.t("media-next")) }
                } }
                tbody { @for note in &view.absent {
                    tr {
                        th scope="row" { (code(&note.cid)) br; span.soft { (name(&note.mime)) @if note.size > 0 { ", " (w.size(note.size)) } } }
                        td { (said(&note.reason)) }
                        td.number { (w.number(u64::from(note.tries))) }
                        td { @match note.next_try {
                            None => (w.t("media-never")),
                            Some(at) if at <= w.now() => (w.t("media-soon")),
                            Some(at) => (w.time(at)),
                        } }
                    }
                } }
            } }
        }
        h2 { (w.t("media-here-title")) }
        @if view.shown.is_empty() { p.empty { (w.t("media-empty")) } }
        @else {
            p.soft { (w.t("media-here-words")) }
            ul.media { @for each in &view.shown { li { (blob(w, view.subject.did.as_str(), each, "")) } } }
            @if let Some(next) = &view.next {
                p { a.button.second href={ (view.subject.path("/media")) "?after=" (next) } { (w.t("more")) } }
            }
        }
    }
}

/// `GET /archive/{did}/media`
pub async fn show(State(web): State<Web>, ask: Ask, Path(did): Path<String>, query: RawQuery) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let after = crate::query::text(query.0.as_deref(), "after").and_then(|cid| cid.parse::<Cid>().ok());
        let details = web.archive().show(&subject.did).await?;
        let held = web.archive().store().blobs(&subject.did, BlobFilter::Held, after.as_ref(), PAGE).await;
        let held: Vec<BlobRow> = held.map_err(p2pds_archive::ArchiveError::from)?;
        let next = held.get(PAGE.saturating_sub(1)).map(|row| row.cid.to_string());
        let shown = held.into_iter().map(|row| Blob {
            cid: row.cid.to_string(),
            mime: row.mime,
            size: Some(row.size),
        });
        let view = View {
            held: (details.line.blobs_held, details.line.blob_bytes),
            missing: details.line.blobs_missing,
            absent: details.missing_blobs,
            shown: shown.collect(),
            next,
            subject,
        };
        Ok(ask.show(&Page::new(ask.w.t("media-title"), body(&ask.w, &view))))
    })
    .await
}

/// What a browser may show by itself, told from the first bytes: what a record says of a blob is somebody's text.
fn kind(head: &[u8]) -> Option<&'static str> {
    let at = |from: usize, bytes: &[u8]| head.get(from..).is_some_and(|rest| rest.starts_with(bytes));
    let brand = |names: &[&[u8]]| at(4, b"ftyp") && names.iter().any(|name| at(8, name));
    if at(0, b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if at(0, b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if at(0, b"GIF87a") || at(0, b"GIF89a") {
        Some("image/gif")
    } else if at(0, b"RIFF") && at(8, b"WEBP") {
        Some("image/webp")
    } else if brand(&[b"avif", b"avis"]) {
        Some("image/avif")
    } else if brand(&[b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"M4V ", b"iso5", b"iso6", b"dash"]) {
        Some("video/mp4")
    } else {
        None
    }
}

/// The part that is asked for, of so many bytes: `bytes=FROM-`, `bytes=FROM-TO`. Anything else asks for all of it, as
/// RFC 9110 (14.2) allows; a part that begins past the end is `Err`.
fn part(range: Option<&str>, size: u64) -> Result<Option<Range<u64>>, ()> {
    let asked =
        range.and_then(|range| range.trim().strip_prefix("bytes=")).and_then(|range| range.split_once('-'));
    let Some((from, to)) = asked else { return Ok(None) };
    let Ok(from) = from.parse::<u64>() else { return Ok(None) };
    let end = match to {
        "" => size,
        to => match to.parse::<u64>() {
            Ok(last) => last.saturating_add(1).min(size),
            Err(_) => return Ok(None),
        },
    };
    if from >= size {
        return Err(());
    }
    Ok((from < end).then_some(from..end))
}

/// `GET /archive/{did}/blob/{cid}`: the bytes, as a picture or video where they are one, else to be saved.
pub async fn bytes(
    State(web): State<Web>,
    ask: Ask,
    asked: HeaderMap,
    Path((did, cid)): Path<(String, String)>,
) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let cid: Cid = cid.parse().map_err(|_| Refused::NotFound)?;
        let mut reader = match web.reading().blob(Viewer::Operator, &subject.did, &cid).await {
            Ok(blob) => blob.bytes,
            Err(Refusal::NoBlob { .. } | Refusal::BlobNotHeld { .. }) => return Err(Refused::NotFound),
            Err(refusal) => return Err(crate::ask::refused(refusal)),
        };
        let size = reader.size();
        let unread = |error: p2pds_blobs::BlobError| Refused::from(p2pds_archive::ArchiveError::from(error));
        let kind = kind(&reader.chunk().await.map_err(unread)?.unwrap_or_default());
        let range = asked.get(header::RANGE).and_then(|range| range.to_str().ok());
        let Ok(part) = part(range, size) else {
            let whole = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, whole).into_response());
        };
        let status = if part.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let sent = part.clone().unwrap_or(0..size);
        let length = sent.end.saturating_sub(sent.start);
        let pieces = web.reading().blob_stream(Viewer::Operator, &subject.did, &cid, sent.clone()).await;
        let mut response = (status, Body::from_stream(pieces.map_err(crate::ask::refused)?)).into_response();
        let headers = response.headers_mut();
        let fixed = [
            (header::CONTENT_TYPE, kind.unwrap_or("application/octet-stream")),
            (header::CONTENT_DISPOSITION, if kind.is_some() { "inline" } else { "attachment" }),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
            (header::CACHE_CONTROL, "private, max-age=3600"),
            (header::ACCEPT_RANGES, "bytes"),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        if part.is_some() {
            let range = format!("bytes {}-{}/{size}", sent.start, sent.end.saturating_sub(1));
            if let Ok(range) = HeaderValue::try_from(range) {
                headers.insert(header::CONTENT_RANGE, range);
            }
        }
        Ok(response)
    })
    .await
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    use crate::samples::NOW;
    let note = |next_try| BlobNote {
        cid: "bafkreimissing".to_owned(),
        mime: "image/jpeg".to_owned(),
        size: 120_000,
        state: "missing".to_owned(),
        tries: 4,
        reason: "the host says that it does not have it".to_owned(),
        next_try,
    };
    let file =
        |mime: &str| Blob { cid: "bafkreihere".to_owned(), mime: mime.to_owned(), size: Some(120_000) };
    let view = |absent: Vec<BlobNote>, shown: Vec<Blob>| View {
        subject: crate::archived::made_up(),
        held: (u64::try_from(shown.len()).unwrap_or(0), 120_000),
        missing: u64::try_from(absent.len()).unwrap_or(0),
        next: (shown.len() > 2).then(|| "bafkreihere".to_owned()),
        absent,
        shown,
    };
    let all = vec![file("image/png"), file("video/mp4"), file("application/pdf")];
    [
        ("empty", view(Vec::new(), Vec::new())),
        (
            "partial",
            view(vec![note(None), note(Some(0)), note(Some(NOW.saturating_add(9_000_000_000)))], all.clone()),
        ),
        ("success", view(Vec::new(), all)),
    ]
    .map(|(state, view)| Sample { page: "media", state, body: body(w, &view) })
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_film() {
        assert_eq!(part(None, 10), Ok(None));
        assert_eq!(part(Some("bytes=0-"), 10), Ok(Some(0..10)));
        assert_eq!(part(Some("bytes=2-5"), 10), Ok(Some(2..6)));
        assert_eq!(part(Some("bytes=2-99"), 10), Ok(Some(2..10)));
        assert_eq!(part(Some("bytes=10-"), 10), Err(()));
        for all in ["bytes=5-2", "bytes=-5", "bytes=a-b", "lines=1-2", "bytes=1-2,4-5", ""] {
            assert_eq!(part(Some(all), 10), Ok(None), "{all}");
        }
    }

    #[test]
    fn only_what_is_known_is_shown_in_place() {
        assert_eq!(kind(b"\x89PNG\r\n\x1a\nrest"), Some("image/png"));
        assert_eq!(kind(b"\xff\xd8\xff\xe0"), Some("image/jpeg"));
        assert_eq!(kind(b"RIFF\x00\x00\x00\x00WEBPVP8 "), Some("image/webp"));
        assert_eq!(kind(b"\x00\x00\x00\x20ftypavif"), Some("image/avif"));
        assert_eq!(kind(b"\x00\x00\x00\x20ftypisom"), Some("video/mp4"));
        for other in
            [&b"<svg xmlns="[..], b"<!doctype html><script>", b"%PDF-1.4", b"", b"RIFF\x00\x00\x00\x00WAVE"]
        {
            assert_eq!(kind(other), None);
        }
    }
}
