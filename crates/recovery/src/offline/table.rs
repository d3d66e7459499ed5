//! Records of any collection as rows of a table.

use maud::{Markup, html};
use p2pds_ipld::cbor::Value;

use super::layout::{Place, anchor};
use super::media::{Shape, blob_cid};
use super::post::{address, moment, outside};
use super::shown::{line, web_address};
use super::when::When;

/// Records on one page.
pub(super) const PER_PAGE: usize = 200;
/// Fields of a record that are shown.
const FIELDS: usize = 12;
/// Bytes of a field that are shown.
const FIELD: usize = 300;
/// Bytes of a record that can be found by searching.
const FINDABLE: usize = 2_000;
/// Values looked at for them.
const LOOKED_AT: usize = 500;

/// A record of any collection. `None`: its bytes are not strict enough to be read as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) rkey: String,
    pub(super) value: Option<Value>,
}

impl Record {
    pub(super) fn when(&self) -> When {
        When::of(self.value.as_ref().unwrap_or(&Value::Null), &self.rkey)
    }

    /// What can be found by searching: all texts in it but names of types and CIDs.
    pub(super) fn words(&self) -> String {
        let mut words = String::new();
        let mut stack: Vec<&Value> = self.value.iter().collect();
        let mut looked_at = 0_usize;
        while let Some(value) = stack.pop() {
            looked_at = looked_at.saturating_add(1);
            if words.len() >= FINDABLE || looked_at > LOOKED_AT {
                break;
            }
            match value {
                Value::Text(text) => {
                    words.push_str(text.get(..text.floor_char_boundary(FINDABLE)).unwrap_or_default());
                    words.push('\n');
                }
                Value::Array(items) => stack.extend(items.iter().take(LOOKED_AT).rev()),
                Value::Map(entries) => {
                    let told = |name: &str| !matches!(name, "$type" | "cid" | "createdAt" | "mimeType");
                    let entries = entries.iter().take(LOOKED_AT).rev();
                    stack.extend(entries.filter(|(name, _)| told(name)).map(|(_, value)| value));
                }
                _ => {}
            }
        }
        words
    }
}

/// The table.
pub(super) fn table(place: Place<'_>, collection: &str, heading: &str, records: &[Record]) -> Markup {
    html! {
        div.scroll role="region" aria-labelledby="rows" tabindex="0" {
            table {
                caption #rows { (heading) }
                thead { tr { th scope="col" { "When" } th scope="col" { "What" } th scope="col" { "Record" } } }
                tbody {
                    @for record in records {
                        tr id=(anchor(&record.rkey)) {
                            td.when { (moment(record.when())) }
                            td { (contents(place, record)) }
                            td { (key(place, collection, &record.rkey)) }
                        }
                    }
                }
            }
        }
    }
}

fn key(place: Place<'_>, collection: &str, rkey: &str) -> Markup {
    html! {
        @match place.site.json(collection, rkey) {
            Some(json) => a href=(place.href(&json)) { (line(rkey, 80)) },
            None => (line(rkey, 80)),
        }
    }
}

fn contents(place: Place<'_>, record: &Record) -> Markup {
    let Some(value) = &record.value else {
        return html! { "not a record that can be read; its JSON file has its bytes" };
    };
    let subject = value.get("subject");
    let uri = subject.and_then(|subject| subject.get("uri")).and_then(Value::as_text);
    let entries = value.as_map().unwrap_or_default();
    let told: Vec<&(String, Value)> =
        entries.iter().filter(|(name, _)| !matches!(name.as_str(), "$type" | "createdAt")).collect();
    html! {
        // Likes, reposts, follows and blocks are their subject.
        @if let (Some(uri), 1) = (uri, told.len()) {
            (address(place, uri))
        } @else if let (Some(did), 1) = (subject.and_then(Value::as_text), told.len()) {
            span.uri { (line(did, FIELD)) }
        } @else if told.is_empty() {
            "nothing more"
        } @else {
            ul.fields {
                @for (name, value) in told.iter().take(FIELDS) {
                    li { span.name { (line(name, 80)) ": " } (field(place, value)) }
                }
                @if told.len() > FIELDS { li { (told.len().saturating_sub(FIELDS)) " more fields" } }
            }
        }
    }
}

fn field(place: Place<'_>, value: &Value) -> Markup {
    if let Some(cid) = blob_cid(value) {
        return html! {
            @match place.site.media.find(&cid) {
                Ok((path, shape)) => {
                    @let kind = match shape { Shape::Picture => "picture", Shape::Video => "video", Shape::Other => "file" };
                    a href=(place.href(&path)) { (kind) " " (cid) }
                }
                Err(why) => { "blob " (cid) ", not in the archive (" (line(why, FIELD)) ")" }
            }
        };
    }
    html! {
        @match value {
            Value::Null => "nothing",
            Value::Bool(yes) => (if *yes { "yes" } else { "no" }),
            Value::Int(number) => (number),
            Value::Bytes(bytes) => { (bytes.len()) " bytes" }
            Value::Text(text) if web_address(text).is_some() => (outside(&line(text, FIELD), text)),
            Value::Text(text) => span dir="auto" { (line(text, FIELD)) },
            Value::Link(cid) => (cid),
            Value::OddLink(_) => "a link",
            Value::Array(items) => { (items.len()) @if items.len() == 1 { " item" } @else { " items" } }
            Value::Map(entries) => {
                @match value.get("uri").and_then(Value::as_text) {
                    Some(uri) => (address(place, uri)),
                    None => { (entries.len()) @if entries.len() == 1 { " field" } @else { " fields" } }
                }
            }
        }
    }
}
