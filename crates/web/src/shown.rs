//! What others wrote, made fit to be shown: bounded, without what rearranges a page, addresses only where they are safe to
//! follow. Escaping is the markup's business; nothing here is whole, the stored bytes are.

use maud::{Markup, html};
use serde_json::{Map, Value};
use url::Url;

use crate::args;
use crate::parts::{account_path, code};
use crate::words::Words;

/// Longest text, bytes.
const LONGEST: usize = 4_000;
/// Longest JSON, bytes.
const LONGEST_JSON: usize = 60_000;
/// Longest address that becomes a link.
const LONGEST_ADDRESS: usize = 2_048;
/// How deep fields are unfolded.
const DEEPEST: usize = 5;
/// Fields or entries of one value that are shown.
const MOST: usize = 40;
/// Pictures of one record.
const PICTURES: usize = 12;

/// Text of others: bounded, without control characters and without what reverses the direction of all that follows.
#[must_use]
pub fn text(text: &str, most: usize) -> String {
    let end = text.floor_char_boundary(most);
    let mut kept: String = text.get(..end).unwrap_or_default().chars().map(harmless).collect();
    if end < text.len() {
        kept.push('…');
    }
    kept
}

fn harmless(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        // Overrides: no honest text needs them, and they hide what a name or an address is.
        '\u{202a}'..='\u{202e}' => char::REPLACEMENT_CHARACTER,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// JSON as it can be read.
#[must_use]
pub fn json(value: &Value) -> String {
    text(&serde_json::to_string_pretty(value).unwrap_or_default(), LONGEST_JSON)
}

/// An address that a reader may follow: only `http:` and `https:`.
#[must_use]
pub fn web_address(text: &str) -> Option<String> {
    if text.len() > LONGEST_ADDRESS {
        return None;
    }
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    url.host_str()?;
    Some(url.into())
}

/// A link to an address of others, or its text where it is not safe to follow.
#[must_use]
pub fn link(address: &str) -> Markup {
    let said = text(address, 300);
    html! {
        @match web_address(address) {
            Some(url) => a href=(url) rel="noreferrer noopener nofollow ugc" translate="no" { bdi { (said) } },
            None => bdi translate="no" { (said) },
        }
    }
}

/// A blob that a value names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its CID.
    pub cid: String,
    /// Its type, by the record.
    pub mime: String,
    /// Its size, by the record.
    pub size: Option<u64>,
}

impl Blob {
    /// The blob that a value is.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        if value.get("$type")?.as_str()? != "blob" {
            return None;
        }
        let cid = value.get("ref")?.get("$link")?.as_str()?;
        let mime = value.get("mimeType").and_then(Value::as_str).unwrap_or_default();
        Some(Self {
            cid: text(cid, 100),
            mime: text(mime, 100),
            size: value.get("size").and_then(Value::as_u64),
        })
    }

    fn is(&self, kind: &str) -> bool {
        self.mime.starts_with(kind)
    }
}

/// A small picture of a blob, or a link to it.
#[must_use]
pub fn blob(w: &Words, did: &str, blob: &Blob, alt: &str) -> Markup {
    let path = format!("{}/blob/{}", account_path(did), crate::parts::segment(&blob.cid));
    html! {
        figure translate="no" {
            @if blob.is("image/") {
                a href=(path) { img src=(path) alt=(text(if alt.is_empty() { &blob.cid } else { alt }, 500)) loading="lazy"; }
            } @else if blob.is("video/") {
                video src=(path) controls preload="none" {}
            } @else {
                a href=(path) { (code(&blob.cid)) }
            }
            figcaption.soft { bdi { (blob.mime) } @if let Some(size) = blob.size { ", " (w.size(size)) } }
        }
    }
}

/// A record as a person reads it: posts as posts, the rest as a list of what is in it.
#[must_use]
pub fn record(w: &Words, did: &str, value: &Value) -> Markup {
    match value.get("$type").and_then(Value::as_str) {
        Some("app.bsky.feed.post") => post(w, did, value),
        _ => html! { div translate="no" { (fields(w, did, value, 0)) } },
    }
}

fn post(w: &Words, did: &str, value: &Value) -> Markup {
    let said = value.get("text").and_then(Value::as_str).unwrap_or_default();
    let embed = value.get("embed");
    let pictures = pictures(embed);
    let reply = value.get("reply").and_then(|reply| reply.get("parent")?.get("uri")?.as_str());
    html! {
        @if let Some(uri) = reply { p.soft { (w.t("post-reply")) " " (code(&text(uri, 300))) } }
        p.text dir="auto" translate="no" { bdi { (text(said, LONGEST)) } }
        @if !pictures.is_empty() {
            ul.media { @for (picture, alt) in &pictures { li { (blob(w, did, picture, alt)) } } }
        }
        @if let Some(external) = part(embed, "external") {
            p { (w.t("post-link")) " " (link(external.get("uri").and_then(Value::as_str).unwrap_or_default())) }
        }
        @if let Some(uri) = part(embed, "record").and_then(quoted) { p { (w.t("post-quote")) " " (code(&text(uri, 300))) } }
    }
}

/// A part of an embed, also of one that carries a quotation and media.
fn part<'v>(embed: Option<&'v Value>, name: &str) -> Option<&'v Value> {
    let embed = embed?;
    embed.get(name).or_else(|| embed.get("media")?.get(name))
}

fn quoted(record: &Value) -> Option<&str> {
    record.get("uri").or_else(|| record.get("record")?.get("uri"))?.as_str()
}

fn pictures(embed: Option<&Value>) -> Vec<(Blob, String)> {
    let alt = |value: &Value| value.get("alt").and_then(Value::as_str).unwrap_or_default().to_owned();
    let images = part(embed, "images").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let images = images.iter().filter_map(|image| Some((Blob::of(image.get("image")?)?, alt(image))));
    let video = part(embed, "video").and_then(Blob::of);
    let video = video.map(|video| (video, embed.map(alt).unwrap_or_default()));
    images.chain(video).take(PICTURES).collect()
}

fn fields(w: &Words, did: &str, value: &Value, depth: usize) -> Markup {
    if let Some(found) = Blob::of(value) {
        return blob(w, did, &found, "");
    }
    match value {
        Value::Object(map) if depth < DEEPEST => object(w, did, map, depth),
        Value::Array(all) if depth < DEEPEST => html! {
            ul {
                @for each in all.iter().take(MOST) { li { (fields(w, did, each, depth.saturating_add(1))) } }
                @if all.len() > MOST { li { (w.f("record-more", args!(count = all.len().saturating_sub(MOST)))) } }
            }
        },
        Value::Object(_) | Value::Array(_) => html! { code dir="ltr" { (text(&value.to_string(), 500)) } },
        Value::String(said) if web_address(said).is_some() => link(said),
        Value::String(said) => html! { bdi.text { (text(said, LONGEST)) } },
        other => html! { (other.to_string()) },
    }
}

fn object(w: &Words, did: &str, map: &Map<String, Value>, depth: usize) -> Markup {
    html! {
        dl.facts {
            @for (key, value) in map.iter().take(MOST) {
                dt { bdi { (text(key, 100)) } }
                dd { (fields(w, did, value, depth.saturating_add(1))) }
            }
        }
        @if map.len() > MOST { p { (w.f("record-more", args!(count = map.len().saturating_sub(MOST)))) } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::words::Locale;

    fn shown(value: &Value) -> String {
        record(&Words::new(Locale::En, 0), "did:plc:z72i7hdynmk6r22z27h6tvur", value).into_string()
    }

    #[test]
    fn what_others_wrote_stays_text() {
        let hostile = json!({
            "$type": "app.bsky.feed.post",
            "text": "<script>alert(1)</script> \u{202e}gpj.exe",
            "embed": {
                "$type": "app.bsky.embed.external",
                "external": { "uri": "javascript:alert(1)", "title": "<b>", "description": "" },
            },
        });
        let html = shown(&hostile);
        assert!(!html.contains("<script") && html.contains("&lt;script&gt;"), "{html}");
        assert!(!html.contains('\u{202e}') && !html.contains("href=\"javascript"), "{html}");
        let other = json!({ "a\"><img src=x>": { "b": ["</dl><script>", "https://a.example/\" onclick=\"x", "data:text/html,x"] } });
        let html = shown(&other);
        assert!(
            !html.contains("<script") && !html.contains("<img") && !html.contains(" onclick=\""),
            "{html}"
        );
        assert_eq!(html.matches("href=").count(), 1, "{html}");
    }

    #[test]
    fn what_is_huge_is_cut() {
        let long = "x".repeat(3 << 20);
        let many: Vec<Value> = (0..100_000).map(Value::from).collect();
        let html = shown(
            &json!({ "$type": "com.example.thing", "text": long, "many": many, "name": "é".repeat(100_000) }),
        );
        assert!(html.len() < 20_000, "{}", html.len());
        let mut deep = Value::Null;
        for _ in 0..100 {
            deep = json!({ "in": [deep] });
        }
        assert!(shown(&deep).len() < 20_000);
        assert!(json(&json!({ "text": "x".repeat(1 << 20) })).len() < 61_000);
    }

    #[test]
    fn pictures_are_shown_from_here() {
        let image = |link: &str| json!({ "$type": "blob", "ref": { "$link": link }, "mimeType": "image/png", "size": 5 });
        let post = json!({
            "$type": "app.bsky.feed.post",
            "text": "look",
            "embed": { "$type": "app.bsky.embed.recordWithMedia",
                "media": { "$type": "app.bsky.embed.images", "images": [{ "alt": "a \"dog\"", "image": image("bafkreia") }] },
                "record": { "record": { "uri": "at://did:plc:a/b/c" } } },
        });
        let html = shown(&post);
        assert!(html.contains("src=\"/archive/did:plc:z72i7hdynmk6r22z27h6tvur/blob/bafkreia\""), "{html}");
        assert!(html.contains("alt=\"a &quot;dog&quot;\"") && html.contains("at://did:plc:a/b/c"), "{html}");
        let odd = json!({ "$type": "com.example.thing", "file": image("../../x") });
        assert!(shown(&odd).contains("/blob/..%2F..%2Fx"));
    }
}
