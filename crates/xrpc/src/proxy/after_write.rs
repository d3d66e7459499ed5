//! Read after write: what an account has just written is shown to it, although the AppView has not heard of it yet.
//!
//! Pure: answers of the AppView as JSON go in, with what was written here since the rev that the AppView says it knows;
//! the same answers come out, completed. Whatever does not look as expected is left as it came.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// What the account wrote since the AppView heard of it.
#[derive(Debug, Clone, Default)]
pub struct Local {
    /// Its DID.
    pub did: String,
    /// Its handle.
    pub handle: String,
    /// Its profile, if that was written since.
    pub profile: Option<Written>,
    /// Its profile as it is now, for the author of its posts.
    pub profile_now: Option<Value>,
    /// Posts written since, oldest first.
    pub posts: Vec<Written>,
}

/// One record that was written.
#[derive(Debug, Clone)]
pub struct Written {
    /// Its address.
    pub uri: String,
    /// CID of its block.
    pub cid: String,
    /// When it was written, as the protocol writes times.
    pub at: String,
    /// The record.
    pub record: Value,
}

/// Views of records that posts quote, by address; whoever calls asks the AppView for them.
pub type Quoted = HashMap<String, Value>;

/// How addresses of images are made.
#[derive(Debug, Clone)]
pub enum Images {
    /// A pattern with `%s` for preset, DID and CID, in this order.
    Cdn(String),
    /// This host itself: its origin.
    Here(String),
}

impl Images {
    fn url(&self, preset: &str, did: &str, cid: &str) -> String {
        match self {
            Self::Cdn(pattern) => {
                pattern.replacen("%s", preset, 1).replacen("%s", did, 1).replacen("%s", cid, 1)
            }
            Self::Here(origin) => format!("{origin}/xrpc/com.atproto.sync.getBlob?did={did}&cid={cid}"),
        }
    }
}

/// What to complete an answer with.
#[derive(Debug, Clone)]
pub struct Munge<'l> {
    /// What was written.
    pub local: &'l Local,
    /// Where images are.
    pub images: &'l Images,
    /// What posts quote.
    pub quoted: &'l Quoted,
}

const POST: &str = "app.bsky.feed.post";
const THREAD: &str = "app.bsky.feed.defs#threadViewPost";
/// Deepest thread that is searched for the place of a reply.
const DEEPEST: usize = 100;

impl Local {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.profile.is_none() && self.posts.is_empty()
    }

    /// When the oldest of it was written.
    #[must_use]
    pub fn oldest(&self) -> Option<&str> {
        self.profile.iter().chain(&self.posts).map(|written| written.at.as_str()).min()
    }

    /// Addresses of the records that its posts quote.
    #[must_use]
    pub fn quotes(&self) -> Vec<String> {
        self.posts.iter().filter_map(|post| quoted_uri(post.record.get("embed")?)).collect()
    }
}

fn quoted_uri(embed: &Value) -> Option<String> {
    let record = match kind(embed) {
        "app.bsky.embed.record" => embed.get("record")?,
        "app.bsky.embed.recordWithMedia" => embed.get("record")?.get("record")?,
        _ => return None,
    };
    Some(text(record, "uri").to_owned())
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn kind(value: &Value) -> &str {
    text(value, "$type")
}

/// CID of a blob in a record, as JSON has it.
fn blob(value: &Value) -> Option<&str> {
    value.get("ref")?.get("$link")?.as_str()
}

impl Munge<'_> {
    /// `app.bsky.actor.getProfile`.
    #[must_use]
    pub fn profile(&self, mut answer: Value) -> Value {
        if let Some(profile) = &self.local.profile
            && text(&answer, "did") == self.local.did
        {
            self.detailed(&mut answer, &profile.record);
        }
        answer
    }

    /// `app.bsky.actor.getProfiles`.
    #[must_use]
    pub fn profiles(&self, mut answer: Value) -> Value {
        if let Some(profile) = &self.local.profile
            && let Some(all) = answer.get_mut("profiles").and_then(Value::as_array_mut)
        {
            for one in all.iter_mut().filter(|one| text(one, "did") == self.local.did) {
                self.detailed(one, &profile.record);
            }
        }
        answer
    }

    /// `app.bsky.feed.getTimeline`.
    #[must_use]
    pub fn timeline(&self, mut answer: Value) -> Value {
        if let Some(feed) = answer.get_mut("feed").and_then(Value::as_array_mut) {
            self.insert_posts(feed);
        }
        answer
    }

    /// `app.bsky.feed.getAuthorFeed`, when it is the account's own.
    #[must_use]
    pub fn author_feed(&self, mut answer: Value) -> Value {
        let own =
            answer.get("feed").and_then(Value::as_array).and_then(|feed| feed.first()).is_some_and(|first| {
                match first.get("reason") {
                    None => author(first) == self.local.did,
                    Some(reason) => {
                        kind(reason) == "app.bsky.feed.defs#reasonRepost"
                            && reason.get("by").map(|by| text(by, "did")) == Some(self.local.did.as_str())
                    }
                }
            });
        if own && let Some(feed) = answer.get_mut("feed").and_then(Value::as_array_mut) {
            self.own_authors(feed);
            self.insert_posts(feed);
        }
        answer
    }

    /// `app.bsky.feed.getActorLikes`.
    #[must_use]
    pub fn likes(&self, mut answer: Value) -> Value {
        if let Some(feed) = answer.get_mut("feed").and_then(Value::as_array_mut) {
            self.own_authors(feed);
        }
        answer
    }

    /// `app.bsky.feed.getPostThread`.
    #[must_use]
    pub fn thread(&self, mut answer: Value) -> Value {
        if let Some(thread) = answer.get_mut("thread").filter(|thread| kind(thread) == THREAD) {
            self.grow(thread, None);
        }
        answer
    }

    /// The thread of a post that the AppView does not know yet, and the post above it that the AppView may know.
    #[must_use]
    pub fn thread_of(&self, uri: &str) -> Option<(Value, Option<String>)> {
        let post = self.local.posts.iter().find(|post| post.uri == uri)?;
        let mut thread = self.thread_post(post);
        self.grow(&mut thread, Some(uri));
        let parent = parent_of(&post.record).map(str::to_owned);
        Some((thread, parent))
    }

    fn detailed(&self, view: &mut Value, record: &Value) {
        self.basic(view, record);
        set(view, "description", record.get("description").cloned());
        let banner = record.get("banner").and_then(blob).map(|cid| self.image("banner", cid));
        set(view, "banner", banner);
    }

    fn basic(&self, view: &mut Value, record: &Value) {
        set(view, "displayName", record.get("displayName").cloned());
        let avatar = record.get("avatar").and_then(blob).map(|cid| self.image("avatar", cid));
        set(view, "avatar", avatar);
    }

    fn image(&self, preset: &str, cid: &str) -> Value {
        Value::String(self.images.url(preset, &self.local.did, cid))
    }

    fn own_authors(&self, feed: &mut [Value]) {
        let Some(profile) = &self.local.profile else { return };
        for item in feed.iter_mut().filter(|item| author(item) == self.local.did) {
            if let Some(author) = item.get_mut("post").and_then(|post| post.get_mut("author")) {
                self.basic(author, &profile.record);
            }
        }
    }

    /// Puts the posts that belong into this page where their time puts them; the feed is newest first.
    fn insert_posts(&self, feed: &mut Vec<Value>) {
        let last = feed.last().map(indexed_at).unwrap_or_default().to_owned();
        let known: Vec<String> =
            feed.iter().filter_map(|item| Some(text(item.get("post")?, "uri").to_owned())).collect();
        let newer = self.local.posts.iter().filter(|post| post.at > last && !known.contains(&post.uri));
        for post in newer.rev() {
            let at = feed.iter().position(|item| indexed_at(item) < post.at.as_str()).unwrap_or(feed.len());
            feed.insert(at, json!({ "post": self.post(post) }));
        }
    }

    /// Hangs the replies that were written here below the posts that they answer.
    fn grow(&self, thread: &mut Value, except: Option<&str>) {
        let post = thread.get("post").cloned().unwrap_or_default();
        let top = text(&post, "uri");
        let root = post.get("record").map(root_of).unwrap_or_default().unwrap_or_default();
        for reply in &self.local.posts {
            let Some(of) = root_of(&reply.record) else { continue };
            if Some(reply.uri.as_str()) != except && (of == top || of == root) {
                self.hang(thread, reply, 0);
            }
        }
    }

    fn hang(&self, view: &mut Value, reply: &Written, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        let here = view.get("post").map(|post| text(post, "uri")).unwrap_or_default();
        let answers = parent_of(&reply.record) == Some(here);
        let replies = view.get_mut("replies").and_then(Value::as_array_mut);
        match (answers, replies) {
            (true, Some(replies)) => {
                let there = |one: &Value| one.get("post").is_some_and(|post| text(post, "uri") == reply.uri);
                if !replies.iter().any(there) {
                    replies.insert(0, self.thread_post(reply));
                }
            }
            (true, None) => set(view, "replies", Some(Value::Array(vec![self.thread_post(reply)]))),
            (false, Some(replies)) => {
                for one in replies.iter_mut().filter(|one| kind(one) == THREAD) {
                    self.hang(one, reply, depth.saturating_add(1));
                }
            }
            (false, None) => {}
        }
    }

    fn thread_post(&self, post: &Written) -> Value {
        json!({ "$type": THREAD, "post": self.post(post) })
    }

    fn post(&self, post: &Written) -> Value {
        let mut author = json!({ "did": self.local.did, "handle": self.local.handle });
        if let Some(profile) = &self.local.profile_now {
            self.basic(&mut author, profile);
        }
        let mut view = json!({
            "uri": post.uri, "cid": post.cid, "author": author, "record": post.record,
            "likeCount": 0, "replyCount": 0, "repostCount": 0, "quoteCount": 0, "indexedAt": post.at,
        });
        if let Some(embed) = post.record.get("embed").and_then(|embed| self.embed(embed)) {
            set(&mut view, "embed", Some(embed));
        }
        view
    }

    fn embed(&self, embed: &Value) -> Option<Value> {
        match kind(embed) {
            "app.bsky.embed.images" | "app.bsky.embed.external" => self.media(embed),
            "app.bsky.embed.record" => Some(self.record(embed)),
            "app.bsky.embed.recordWithMedia" => Some(json!({
                "$type": "app.bsky.embed.recordWithMedia#view",
                "media": self.media(embed.get("media")?)?,
                "record": self.record(embed.get("record")?),
            })),
            _ => None,
        }
    }

    fn media(&self, embed: &Value) -> Option<Value> {
        match kind(embed) {
            "app.bsky.embed.images" => {
                let images = embed.get("images")?.as_array()?.iter().filter_map(|image| {
                    let cid = blob(image.get("image")?)?;
                    let mut view = json!({
                        "thumb": self.image("feed_thumbnail", cid),
                        "fullsize": self.image("feed_fullsize", cid),
                        "alt": text(image, "alt"),
                    });
                    set(&mut view, "aspectRatio", image.get("aspectRatio").cloned());
                    Some(view)
                });
                Some(json!({ "$type": "app.bsky.embed.images#view", "images": images.collect::<Vec<_>>() }))
            }
            "app.bsky.embed.external" => {
                let external = embed.get("external")?;
                let mut view = json!({
                    "uri": text(external, "uri"), "title": text(external, "title"),
                    "description": text(external, "description"),
                });
                let thumb = external.get("thumb").and_then(blob);
                set(&mut view, "thumb", thumb.map(|cid| self.image("feed_thumbnail", cid)));
                Some(json!({ "$type": "app.bsky.embed.external#view", "external": view }))
            }
            _ => None,
        }
    }

    fn record(&self, embed: &Value) -> Value {
        let uri = embed.get("record").map(|record| text(record, "uri")).unwrap_or_default();
        let view = self.quoted.get(uri).cloned().unwrap_or_else(
            || json!({ "$type": "app.bsky.embed.record#viewNotFound", "uri": uri, "notFound": true }),
        );
        json!({ "$type": "app.bsky.embed.record#view", "record": view })
    }
}

/// The view of a quoted record from what the AppView answers for it.
#[must_use]
pub fn quoted_view(uri: &str, answer: &Value) -> Option<Value> {
    if uri.contains(&format!("/{POST}/")) {
        let post = answer.get("posts")?.as_array()?.first()?;
        let mut view = json!({
            "$type": "app.bsky.embed.record#viewRecord",
            "uri": post.get("uri")?, "cid": post.get("cid")?, "author": post.get("author")?,
            "value": post.get("record")?, "indexedAt": post.get("indexedAt")?,
        });
        set(&mut view, "labels", post.get("labels").cloned());
        set(&mut view, "embeds", post.get("embed").map(|embed| json!([embed])));
        return Some(view);
    }
    let (key, kind) = if answer.get("view").is_some() {
        ("view", "app.bsky.feed.defs#generatorView")
    } else {
        ("list", "app.bsky.graph.defs#listView")
    };
    let mut view = answer.get(key)?.clone();
    set(&mut view, "$type", Some(Value::String(kind.to_owned())));
    Some(view)
}

fn author(item: &Value) -> &str {
    item.get("post").and_then(|post| post.get("author")).map(|author| text(author, "did")).unwrap_or_default()
}

fn indexed_at(item: &Value) -> &str {
    item.get("post").map(|post| text(post, "indexedAt")).unwrap_or_default()
}

fn root_of(record: &Value) -> Option<&str> {
    record.get("reply")?.get("root")?.get("uri")?.as_str()
}

fn parent_of(record: &Value) -> Option<&str> {
    record.get("reply")?.get("parent")?.get("uri")?.as_str()
}

/// Sets a field, or removes it.
fn set(object: &mut Value, key: &str, value: Option<Value>) {
    if let Value::Object(map) = object {
        match value {
            Some(value) => {
                map.insert(key.to_owned(), value);
            }
            None => remove(map, key),
        }
    }
}

fn remove(map: &mut Map<String, Value>, key: &str) {
    map.shift_remove(key);
}

#[cfg(test)]
mod tests;
