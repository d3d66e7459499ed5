//! The pages that there is one of: the first, months, collections, search, how to restore.

use std::cmp::Reverse;

use maud::{Markup, html};
use p2pds_archive::{plural, size};
use p2pds_ipld::cbor::Value;
use p2pds_store::CollectionCount;

use super::layout::{POSTS, Place, Site, Tab, anchor, heading, known, page};
use super::media::{Shape, blob_cid};
use super::shown::{line, shown};
use super::when::When;
use crate::manifest::{MANIFEST, SUMS};

/// Collections named on the first page.
const FIRST: usize = 12;
/// Bytes of the text on how to restore.
const TEXT: usize = 64 << 10;
/// Collections on one page.
const COLLECTIONS: usize = 500;

/// What the first page says of the account.
#[derive(Debug)]
pub(super) struct About<'a> {
    pub(super) profile: Option<&'a Value>,
    pub(super) records: u64,
    pub(super) blobs: u64,
    pub(super) blob_bytes: u64,
    pub(super) missing_blobs: u64,
    pub(super) missing_records: u64,
    pub(super) verified: bool,
}

/// The account, above its newest posts.
pub(super) fn account(place: Place<'_>, about: &About<'_>) -> Markup {
    let site = place.site;
    let empty = Value::Null;
    let profile = about.profile.unwrap_or(&empty);
    let picture = |name: &str| {
        let cid = profile.get(name).and_then(blob_cid)?;
        let (path, shape) = site.media.find(&cid).ok()?;
        (shape == Shape::Picture).then(|| place.href(&path))
    };
    let since = profile.get("createdAt").map(|_| When::of(profile, "self").day());
    html! {
        @if let Some(banner) = picture("banner") { img.banner src=(banner) alt=""; }
        @if let Some(avatar) = picture("avatar") { img.avatar src=(avatar) alt=""; }
        h1 dir="auto" { (line(&site.name, 200)) }
        @if let Some(handle) = &site.handle { p.uri { "@" bdi { (line(handle, 260)) } } }
        @if let Some(text) = profile.get("description").and_then(Value::as_text) {
            p.about dir="auto" { (shown(text, 10_000).text) }
        }
        dl {
            dt { "Identity" } dd { (site.did) }
            @if let Some(since) = since { dt { "Since" } dd { (since) } }
            dt { "Records" } dd {
                (about.records)
                @if about.missing_records > 0 {
                    ", " (about.missing_records) " of them without their content: their source had lost it ("
                    a href=(place.href(MANIFEST)) { "manifest.json" } " names them)"
                }
            }
            dt { "Media" } dd {
                (plural(about.blobs, "file", "files")) ", " (size(about.blob_bytes))
                @if about.missing_blobs > 0 {
                    "; " (about.missing_blobs) " missing, "
                    a href=(place.href(MANIFEST)) { "manifest.json" } " says why"
                }
            }
            dt { "Revision" } dd {
                (site.rev)
                @if !about.verified { ", unverified: nothing vouches for the key that signed it" }
            }
        }
        p {
            a href=(place.href("repo.car")) { "repo.car" } ", " a href=(place.href(MANIFEST)) { "manifest.json" }
            " and " a href=(place.href(SUMS)) { "SHA256SUMS" } " are what proves and restores it: "
            a href=(place.href(Tab::Restore.path())) { "how to restore" } "."
        }
        @if !site.collections.is_empty() {
            h2 { "What there is" }
            (counts(place, largest(site).into_iter().take(FIRST)))
            @if site.collections.len() > FIRST {
                p { a href=(place.href(Tab::Collections.path())) { "All " (site.collections.len()) " collections" } }
            }
        }
    }
}

/// The collections, those with the most records first.
fn largest(site: &Site) -> Vec<&CollectionCount> {
    let mut rows: Vec<&CollectionCount> = site.collections.iter().collect();
    rows.sort_by_key(|row| Reverse(row.records));
    rows
}

fn counts<'a>(place: Place<'a>, rows: impl Iterator<Item = &'a CollectionCount>) -> Markup {
    html! {
        ul {
            @for row in rows {
                li {
                    a href=(place.href(&place.site.page(&row.collection, 1))) { (heading(&row.collection)) }
                    ": " (row.records)
                    @if known(&row.collection).is_some() { " " span.uri { (line(&row.collection, 200)) } }
                }
            }
        }
    }
}

/// The months and where their newest posts are.
pub(super) fn months(site: &Site) -> String {
    let place = Place::of(site, Tab::Months.path());
    let months = site.timeline.months();
    let mut years: Vec<Option<u16>> = months.iter().map(|row| row.month.map(|month| month.year)).collect();
    years.dedup();
    let body = html! {
        h1 { "Posts by month" }
        @if months.is_empty() { p { "There are no posts." } }
        @for year in years {
            h2 { @match year { Some(year) => (year), None => "Without a date" } }
            ul {
                @for row in months.iter().filter(|row| row.month.map(|month| month.year) == year) {
                    li {
                        a href={ (place.href(&site.page(POSTS, row.page))) "#" (anchor(&row.rkey)) } {
                            @match row.month {
                                Some(month) => { (month.name()) " " (month.year) }
                                None => "Posts without a date",
                            }
                        }
                        ": " (plural(row.posts, "post", "posts"))
                    }
                }
            }
        }
    };
    page(place, Tab::Months, "Months", &body)
}

/// Pages that all collections need.
pub(super) fn collection_pages(site: &Site) -> usize {
    site.collections.len().div_ceil(COLLECTIONS).max(1)
}

/// One page of all collections: its path and itself.
pub(super) fn collections(site: &Site, number: usize) -> (String, String) {
    let path = |number: usize| match number {
        1 => Tab::Collections.path().to_owned(),
        n => format!("pages/collections-{n}.html"),
    };
    let (last, here) = (collection_pages(site), path(number));
    let place = Place::of(site, &here);
    let from = number.saturating_sub(1).saturating_mul(COLLECTIONS);
    let body = html! {
        h1 { "Everything" }
        @if site.collections.is_empty() { p { "There are no records." } }
        (counts(place, site.collections.iter().skip(from).take(COLLECTIONS)))
        @if last > 1 {
            nav.pager aria-label="Pages" {
                @if number > 1 { a rel="prev" href=(place.href(&path(number.saturating_sub(1)))) { "Before" } }
                span { "Page " (number) " of " (last) }
                @if number < last { a rel="next" href=(place.href(&path(number.saturating_add(1)))) { "After" } }
            }
        }
    };
    let html = page(place, Tab::Collections, "Everything", &body);
    (here, html)
}

/// The search.
pub(super) fn search(site: &Site, pieces: u32) -> String {
    let place = Place::of(site, Tab::Search.path());
    let body = html! {
        h1 { "Search" }
        noscript {
            p {
                "Searching needs JavaScript, which is off. "
                a href=(place.href(Tab::Months.path())) { "The posts by month" } " and "
                a href=(place.href(Tab::Collections.path())) { "all collections" } " do without."
            }
        }
        form #search data-pieces=(pieces) hidden {
            label { "All of these words" input #words type="search" autocomplete="off"; }
            label {
                "In"
                select #which {
                    option value="" { "everything" }
                    @for row in site.collections.iter().take(COLLECTIONS) {
                        @let name = heading(&row.collection);
                        option value=(name) { (name) }
                    }
                }
            }
            button type="submit" { "Search" }
        }
        p #status role="status" {}
        ul #found {}
        button #more type="button" hidden { "Show more" }
    };
    page(place, Tab::Search, "Search", &body)
}

/// The text on how to restore.
pub(super) fn restore(site: &Site, text: &str) -> String {
    let place = Place::of(site, Tab::Restore.path());
    let body = html! {
        h1 { "How to restore" }
        p { "The same is in " a href=(place.href("RESTORE.txt")) { "RESTORE.txt" } "." }
        div.scroll role="region" aria-label="Steps" tabindex="0" { pre { (shown(text, TEXT).text) } }
    };
    page(place, Tab::Restore, "How to restore", &body)
}
