//! A post as markup: its text with links, pictures, videos, what it quotes and answers.

use std::collections::HashMap;

use maud::{Markup, html};
use p2pds_ipld::Cid;
use p2pds_ipld::cbor::Value;

use super::layout::{POSTS, Place, anchor};
use super::media::{Shape, blob_cid};
use super::shown::{Piece, language, line, pieces, shown, web_address};
use super::when::When;

/// Bytes of a text that are shown.
const TEXT: usize = 20_000;
/// Bytes of a description or title.
const ASIDE: usize = 2_000;
/// Pictures of one post.
const PICTURES: usize = 20;
/// Largest side of a picture that is believed.
const SIDE: i64 = 20_000;

/// A post with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Post {
    pub(super) rkey: String,
    pub(super) value: Value,
}

/// Posts of the account that others of a page quote, by their key.
pub(super) type Quoted = HashMap<String, Post>;

impl Post {
    pub(super) fn when(&self) -> When {
        When::of(&self.value, &self.rkey)
    }

    fn text(&self) -> &str {
        self.value.get("text").and_then(Value::as_text).unwrap_or_default()
    }

    /// Address of the record that it quotes.
    pub(super) fn quotes(&self) -> Option<&str> {
        let embed = self.value.get("embed")?;
        let record = embed.get("record")?;
        // A quote with media wraps the quote once more.
        record.get("uri").or_else(|| record.get("record")?.get("uri"))?.as_text()
    }

    fn answers(&self) -> Option<&str> {
        self.value.get("reply")?.get("parent")?.get("uri")?.as_text()
    }

    /// What can be found by searching: text, descriptions of pictures, titles and addresses of links.
    pub(super) fn words(&self) -> String {
        let mut said: Vec<Option<&Value>> = vec![self.value.get("text")];
        for embed in embeds(&self.value) {
            said.push(embed.get("alt"));
            said.extend(list(embed, "images").iter().map(|image| image.get("alt")));
            let external = embed.get("external");
            said.extend(
                ["title", "description", "uri"].map(|field| external.and_then(|card| card.get(field))),
            );
        }
        said.extend(list(&self.value, "tags").iter().map(Some));
        let words: Vec<&str> = said.into_iter().flatten().filter_map(Value::as_text).collect();
        words.join("\n")
    }
}

/// The embed and, of a quote with media, the media.
fn embeds(value: &Value) -> impl Iterator<Item = &Value> {
    let embed = value.get("embed");
    embed.into_iter().chain(embed.and_then(|embed| embed.get("media")))
}

/// The items of a list; none when it is no list.
fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).unwrap_or_default()
}

/// The post on its page.
pub(super) fn post(place: Place<'_>, post: &Post, quoted: &Quoted) -> Markup {
    let (id, when) = (anchor(&post.rkey), post.when());
    let time = format!("t-{}", post.rkey);
    html! {
        article.post id=(id) aria-labelledby=(time) {
            p.when id=(time) { a href=(format!("#{id}")) { (moment(when)) } }
            @if let Some(parent) = post.answers() { p.reply { "Reply to " (address(place, parent)) } }
            (labels(&post.value))
            (text_of(post))
            @for embed in embeds(&post.value) { (media(place, embed)) (external(place, embed)) }
            @if let Some(uri) = post.quotes() { (quote(place, uri, quoted)) }
            @if let Some(json) = place.site.json(POSTS, &post.rkey) {
                p.raw { a href=(place.href(&json)) { "Record as JSON" } }
            }
        }
    }
}

/// A time, for people and programs.
pub(super) fn moment(when: When) -> Markup {
    html! {
        @match when.machine() {
            Some(machine) => time datetime=(machine) { (when.words()) },
            None => (when.words()),
        }
    }
}

/// An address of a record: a link if it is a post of this account, else text.
pub(super) fn address(place: Place<'_>, uri: &str) -> Markup {
    let own = place.own_post(uri);
    html! {
        @match own.and_then(|rkey| place.post(rkey)) {
            Some(href) => a href=(href) { "an own post" },
            None if own.is_some() => "an own post that is not there any more",
            None => span.uri { (line(uri, ASIDE)) },
        }
    }
}

/// A link to somewhere else, with the host behind it when its text does not name it.
pub(super) fn outside(text: &str, uri: &str) -> Markup {
    html! {
        @match web_address(uri) {
            Some((address, host)) => {
                a href=(address) rel="noreferrer noopener nofollow external" { bdi { (shown(text, ASIDE).text) } }
                @if !text.contains(&host) { " " span.host { "[" (host) "]" } }
            }
            None => {
                bdi { (shown(text, ASIDE).text) }
                @if text != uri { " " span.host { "[" (line(uri, 200)) "]" } }
            }
        }
    }
}

fn text_of(post: &Post) -> Markup {
    let shown_text = shown(post.text(), TEXT);
    // Facets count bytes of the text as it is: what was made harmless has other lengths, so each piece is made so.
    let kept = post.text().get(..post.text().floor_char_boundary(TEXT)).unwrap_or_default();
    html! {
        @if !kept.is_empty() {
            p.text dir="auto" lang=[language(&post.value)] {
                @for piece in pieces(kept, post.value.get("facets")) {
                    @match piece {
                        Piece::Plain(text) => (shown(text, TEXT).text),
                        Piece::Link { text, uri } => (outside(text, uri)),
                        Piece::Mention { text, did } => span.mention title=(line(did, 200)) { (line(text, 300)) },
                        Piece::Tag(text) => span.tag { (line(text, 700)) },
                    }
                }
                @if shown_text.cut { "…" }
            }
            @if shown_text.cut { p.note { "The text goes on: the record as JSON has all of it." } }
        }
    }
}

fn labels(value: &Value) -> Markup {
    let values = value.get("labels").and_then(|labels| labels.get("values")).and_then(Value::as_array);
    let words: Vec<String> = values
        .unwrap_or_default()
        .iter()
        .filter_map(|label| Some(line(label.get("val")?.as_text()?, 100)))
        .take(10)
        .collect();
    html! { @if !words.is_empty() { p.note { "Marked by its author: " (words.join(", ")) } } }
}

/// Pictures or a video of an embed.
fn media(place: Place<'_>, embed: &Value) -> Markup {
    let images = list(embed, "images");
    let more = images.len().saturating_sub(PICTURES);
    html! {
        @if !images.is_empty() {
            div.media {
                @for image in images.iter().take(PICTURES) {
                    @if let Some(cid) = image.get("image").and_then(blob_cid) { (file(place, &cid, image)) }
                }
            }
            @if more > 0 { p.note { (more) " more: the record as JSON names them." } }
        }
        // Other embeds name a blob under a name of their own.
        @for name in ["video", "image"] {
            @if let Some(cid) = embed.get(name).and_then(blob_cid) { div.media { (file(place, &cid, embed)) } }
        }
        @for caption in list(embed, "captions").iter().take(PICTURES) {
            @if let Some(cid) = caption.get("file").and_then(blob_cid) {
                @if let Ok((path, _)) = place.site.media.find(&cid) {
                    p.note {
                        a href=(place.href(&path)) {
                            "Captions (" (line(caption.get("lang").and_then(Value::as_text).unwrap_or("?"), 40)) ")"
                        }
                    }
                }
            }
        }
    }
}

/// A blob: shown, linked, or said to be missing. `about` has its description and shape.
pub(super) fn file(place: Place<'_>, cid: &Cid, about: &Value) -> Markup {
    let said = about.get("alt").and_then(Value::as_text).filter(|alt| !alt.trim().is_empty());
    let side =
        |name: &str| about.get("aspectRatio")?.get(name)?.as_int().filter(|side| (1..=SIDE).contains(side));
    let size = side("width").zip(side("height"));
    let (width, height) = (size.map(|size| size.0), size.map(|size| size.1));
    html! {
        @match place.site.media.find(cid) {
            Ok((path, Shape::Picture)) => {
                @let alt = said.map_or_else(|| "Picture without a description".to_owned(), |said| line(said, ASIDE));
                img src=(place.href(&path)) alt=(alt) width=[width] height=[height] loading="lazy" decoding="async";
            }
            Ok((path, Shape::Video)) => {
                @let alt = said.map_or_else(|| "Video without a description".to_owned(), |said| line(said, ASIDE));
                video src=(place.href(&path)) controls preload="none" aria-label=(alt) width=[width] height=[height] {}
                p.note { a href=(place.href(&path)) { "Open the video" } }
            }
            Ok((path, Shape::Other)) => p.note { a href=(place.href(&path)) { "File " (cid) } },
            Err(why) => {
                p.missing {
                    "Not in the archive: " @if let Some(said) = said { "“" (line(said, ASIDE)) "”, " }
                    "blob " (cid) " (" (line(why, 300)) ")"
                }
            }
        }
    }
}

/// The card of a link.
fn external(place: Place<'_>, embed: &Value) -> Markup {
    let Some(external) = embed.get("external") else { return html! {} };
    let text = |name: &str| external.get(name).and_then(Value::as_text).unwrap_or_default();
    let (uri, title) = (text("uri"), text("title"));
    let name = if title.trim().is_empty() { uri } else { title };
    html! {
        div.card {
            @if let Some(cid) = external.get("thumb").and_then(blob_cid) {
                @if let Ok((path, Shape::Picture)) = place.site.media.find(&cid) {
                    img src=(place.href(&path)) alt="" loading="lazy" decoding="async";
                }
            }
            p { (outside(name, uri)) }
            @if !text("description").is_empty() { p.note dir="auto" { (line(text("description"), ASIDE)) } }
        }
    }
}

/// What it quotes: an own post with its text, anything else by its address.
fn quote(place: Place<'_>, uri: &str, quoted: &Quoted) -> Markup {
    let own = place.own_post(uri).and_then(|rkey| quoted.get(rkey));
    html! {
        blockquote {
            @match own {
                Some(post) => {
                    p.when { "Own post, " (moment(post.when())) }
                    p.text dir="auto" lang=[language(&post.value)] { (shown(post.text(), ASIDE).text) }
                    @if let Some(href) = place.post(&post.rkey) { p.raw { a href=(href) { "Go to it" } } }
                }
                None => p { "Quotes " (address(place, uri)) },
            }
        }
    }
}
