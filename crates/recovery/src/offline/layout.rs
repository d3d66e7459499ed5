//! What every page has: head, navigation, foot; and where things lie in the folder.

use std::collections::HashMap;

use maud::{DOCTYPE, Markup, html};
use p2pds_store::CollectionCount;

use super::media::Media;
use super::shown::line;
use super::timeline::Timeline;
use crate::names::rkey_file;

/// Nothing but the folder's own files is asked for, and no code runs that stands in a page. `file:` is there for
/// browsers in which a page from disk has no origin that `'self'` could mean.
pub(super) const POLICY: &str = "default-src 'none'; img-src 'self' file:; media-src 'self' file:; \
    style-src 'self' file:; script-src 'self' file:; base-uri 'none'; form-action 'none'";

/// The collection of posts.
pub(super) const POSTS: &str = "app.bsky.feed.post";
/// The stylesheet.
pub(super) const STYLE: &str = "pages/style.css";
/// The script of the search.
pub(super) const SCRIPT: &str = "pages/search.js";
/// Longest name shown.
const NAME: usize = 200;

/// The pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Timeline,
    Months,
    Collections,
    Search,
    Restore,
}

impl Tab {
    const ALL: [Self; 5] = [Self::Timeline, Self::Months, Self::Collections, Self::Search, Self::Restore];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Timeline => super::INDEX,
            Self::Months => "pages/months.html",
            Self::Collections => "pages/collections.html",
            Self::Search => "pages/search.html",
            Self::Restore => "pages/restore.html",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Timeline => "Posts",
            Self::Months => "Months",
            Self::Collections => "Everything",
            Self::Search => "Search",
            Self::Restore => "How to restore",
        }
    }
}

/// The account and what its pages refer to.
#[derive(Debug, Default)]
pub(super) struct Site {
    pub(super) did: String,
    pub(super) handle: Option<String>,
    /// The name that it gives itself, or its handle, or its DID.
    pub(super) name: String,
    pub(super) rev: String,
    pub(super) tool: String,
    pub(super) media: Media,
    pub(super) timeline: Timeline,
    pub(super) collections: Vec<CollectionCount>,
    /// The number of each collection, from 1.
    pub(super) numbers: HashMap<String, usize>,
    /// Directory of each collection in `records/`.
    pub(super) dirs: HashMap<String, String>,
}

impl Site {
    /// Pages of a collection, without the number of the page.
    pub(super) fn folder(&self, collection: &str) -> String {
        match collection {
            POSTS => "pages/posts/".to_owned(),
            other => format!("pages/c{}/", self.numbers.get(other).unwrap_or(&0)),
        }
    }

    /// A page of a collection.
    pub(super) fn page(&self, collection: &str, page: u32) -> String {
        match (collection, page) {
            (POSTS, 0 | 1) => Tab::Timeline.path().to_owned(),
            _ => format!("{}{page}.html", self.folder(collection)),
        }
    }

    /// A record's JSON file, if there is one for it.
    pub(super) fn json(&self, collection: &str, rkey: &str) -> Option<String> {
        self.dirs.get(collection).map(|dir| format!("records/{dir}/{}.json", rkey_file(rkey)))
    }
}

/// One page's place, from which its links lead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) site: &'a Site,
    /// The way up to the folder.
    root: &'static str,
}

impl<'a> Place<'a> {
    /// The place of a page by its path.
    pub(super) fn of(site: &'a Site, path: &str) -> Self {
        let root = match path.matches('/').count() {
            0 => "",
            1 => "../",
            _ => "../../",
        };
        Self { site, root }
    }

    /// A link to a file of the folder.
    pub(super) fn href(self, path: &str) -> String {
        format!("{}{}", self.root, path.replace('%', "%25"))
    }

    /// A link to a post of the account.
    pub(super) fn post(self, rkey: &str) -> Option<String> {
        let page = self.site.timeline.page_of(rkey)?;
        Some(format!("{}#{}", self.href(&self.site.page(POSTS, page)), anchor(rkey)))
    }

    /// Key of a post of the account itself that an address names.
    pub(super) fn own_post(self, uri: &str) -> Option<&str> {
        uri.strip_prefix("at://")?.strip_prefix(self.site.did.as_str())?.strip_prefix("/app.bsky.feed.post/")
    }
}

/// The `id` of a record on its page.
pub(super) fn anchor(rkey: &str) -> String {
    format!("r-{rkey}")
}

/// A collection in words, when it is one that people know by others than its name.
pub(super) fn known(collection: &str) -> Option<&'static str> {
    Some(match collection {
        POSTS => "Posts",
        "app.bsky.feed.like" => "Likes",
        "app.bsky.feed.repost" => "Reposts",
        "app.bsky.graph.follow" => "Follows",
        "app.bsky.graph.block" => "Blocks",
        "app.bsky.graph.list" => "Lists",
        "app.bsky.graph.listitem" => "Members of lists",
        "app.bsky.graph.listblock" => "Blocked lists",
        "app.bsky.graph.starterpack" => "Starter packs",
        "app.bsky.feed.threadgate" => "Who may reply",
        "app.bsky.feed.postgate" => "Who may quote",
        "app.bsky.feed.generator" => "Feeds",
        "app.bsky.labeler.service" => "Labelling service",
        "app.bsky.actor.profile" => "Profile",
        "app.bsky.actor.status" => "Status",
        "chat.bsky.actor.declaration" => "Who may send messages",
        "com.atproto.lexicon.schema" => "Lexicons",
        _ => return None,
    })
}

/// A collection's heading.
pub(super) fn heading(collection: &str) -> String {
    known(collection).map_or_else(|| line(collection, NAME), str::to_owned)
}

/// A whole page.
pub(super) fn page(place: Place<'_>, tab: Tab, title: &str, body: &Markup) -> String {
    let site = place.site;
    let title = format!("{title} · {}", line(&site.name, NAME));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="stylesheet" href=(place.href(STYLE));
                @if tab == Tab::Search {
                    script src=(place.href(SCRIPT)) defer {}
                }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    p.whose { bdi { (line(&site.name, NAME)) } }
                    nav aria-label="Archive" {
                        ul {
                            @for one in Tab::ALL {
                                li {
                                    a href=(place.href(one.path())) aria-current=[(one == tab).then_some("page")] {
                                        (one.words())
                                    }
                                }
                            }
                        }
                    }
                }
                main #main { (body) }
                footer {
                    p {
                        "Offline archive of " bdi { (site.did) } " at revision " (site.rev) ", made by " (site.tool)
                        ". It asks for nothing from the network; links to other sites are followed only when you do."
                    }
                }
            }
        }
    }
    .into_string()
}

/// Where a page stands among those of its collection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Among<'a> {
    pub(super) collection: &'a str,
    pub(super) page: u32,
    /// How many there are, when that is known.
    pub(super) last: Option<u32>,
    /// Whether there is one after it.
    pub(super) more: bool,
}

/// Links to the pages before and after; `name` tells this row of them from the other one.
pub(super) fn pager(place: Place<'_>, among: Among<'_>, name: &str) -> Markup {
    let Among { collection, page, last, more } = among;
    let newer = page.checked_sub(1).filter(|&before| before > 0);
    let older = page.checked_add(1).filter(|_| more);
    html! {
        @if newer.is_some() || older.is_some() {
            nav.pager aria-label=(name) {
                @if let Some(newer) = newer {
                    a rel="prev" href=(place.href(&place.site.page(collection, newer))) { "Newer" }
                }
                span { "Page " (page) @if let Some(last) = last { " of " (last) } }
                @if let Some(older) = older {
                    a rel="next" href=(place.href(&place.site.page(collection, older))) { "Older" }
                }
            }
        }
    }
}
