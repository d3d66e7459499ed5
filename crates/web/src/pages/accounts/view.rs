//! How the list looks: the search, the table, and the form for those that are ticked.

use maud::{Markup, html};
use p2pds_archive::{AccountLine, ServingNote, Show, Sort};

use super::{PAGE, Row, View};
use crate::args;
use crate::parts::{self, Tone, account_path, name, said};
use crate::words::Words;

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    let all = view.counts.first().copied().unwrap_or(0);
    html! {
        h1 { (w.t("accounts-title")) }
        @if let Some(trouble) = &view.trouble { (parts::trouble(w, trouble)) }
        (failed(w, view))
        @if let Some(done) = view.done.filter(|_| view.failed.is_empty()) {
            (parts::notice(Tone::Good, html! { p role="status" { (w.f("accounts-done", args!(count = done))) } }))
        }
        @if all == 0 && view.trouble.is_none() {
            div.empty {
                h2 { (w.t("home-empty-title")) }
                p { (w.t("home-empty")) }
                p { a.button href="/add" { (w.t("home-empty-button")) } }
            }
        } @else {
            (search(w, view))
            @if view.rows.is_empty() { p.empty { (w.t("accounts-none")) } }
            @else { (list(w, view)) }
        }
    }
}

fn failed(w: &Words, view: &View) -> Markup {
    html! {
        @if !view.failed.is_empty() {
            div.notice.bad role="alert" {
                p { strong { (w.f("accounts-failed", args!(count = view.failed.len()))) } }
                ul { @for (who, why) in &view.failed { li { (name(who)) ": " (said(why)) } } }
            }
        }
    }
}

fn search(w: &Words, view: &View) -> Markup {
    html! {
        form.row.end method="get" action="/accounts" {
            div {
                label for="search" { (w.t("accounts-search")) }
                input #search name="search" type="search" autocapitalize="none" spellcheck="false" dir="ltr" value=(view.wanted.search);
            }
            div {
                label for="show" { (w.t("accounts-show")) }
                select #show name="show" {
                    @for (show, count) in Show::ALL.into_iter().zip(view.counts) {
                        option value=(show.as_str()) selected[view.wanted.show == show] {
                            (w.f(&format!("accounts-show-{}", show.as_str()), args!(count = count)))
                        }
                    }
                }
            }
            div {
                label for="sort" { (w.t("accounts-sort")) }
                select #sort name="sort" {
                    @for sort in Sort::ALL {
                        option value=(sort.as_str()) selected[view.wanted.sort == sort] { (w.t(&format!("accounts-sort-{}", sort.as_str()))) }
                    }
                }
            }
            button.second type="submit" { (w.t("search")) }
        }
    }
}

/// The list and what is chosen for those on it: one form, so that the ticks go with the choice.
fn list(w: &Words, view: &View) -> Markup {
    const HEADS: [(&str, bool); 8] = [
        ("accounts-tick", false),
        ("found-account", false),
        ("accounts-size", true),
        ("accounts-current", false),
        ("accounts-state", false),
        ("limits-priority", true),
        ("accounts-quota", true),
        ("accounts-served", false),
    ];
    html! {
        form method="post" action="/accounts" {
            (parts::csrf(&view.csrf))
            input type="hidden" name="back" value=(view.wanted.query());
            div.scroll tabindex="0" { table.stack {
                thead { tr { @for (key, number) in HEADS { th.number[number] scope="col" { (w.t(key)) } } } }
                tbody { @for (place, row) in view.rows.iter().enumerate() { (one(w, place, row)) } }
            } }
            (choice(w, view))
        }
        (pager(w, view))
    }
}

fn one(w: &Words, place: usize, row: &Row) -> Markup {
    let line = &row.line;
    let id = format!("account-{place}");
    html! {
        tr {
            td {
                input type="checkbox" name="did" value=(line.did) aria-labelledby=(id);
                input type="hidden" name="shown" value=(line.did);
            }
            th scope="row" {
                a id=(id) href=(account_path(line.did.as_str())) { (name(line.handle.as_deref().unwrap_or(line.did.as_str()))) }
            }
            td.number data-label=(w.t("accounts-size")) { (w.size(line.record_bytes.saturating_add(line.blob_bytes))) }
            td data-label=(w.t("accounts-current")) { @match line.last_sync_at { Some(at) => (w.time(at)), None => (w.t("never")) } }
            td data-label=(w.t("accounts-state")) { (state(w, line)) }
            td.number data-label=(w.t("limits-priority")) { (line.priority) }
            td.number data-label=(w.t("accounts-quota")) { @match line.quota { Some(bytes) => (w.size(bytes)), None => (w.t("none")) } }
            td data-label=(w.t("accounts-served")) { (served(w, row)) }
        }
    }
}

/// What is going on with it, the gravest first.
fn state(w: &Words, line: &AccountLine) -> Markup {
    html! {
        @if line.removing { span.bad-ink { (w.t("accounts-removing")) } br; }
        @if line.paused { (w.t("home-paused")) br; }
        @if let Some(doing) = &line.doing { (said(doing)) br; }
        @if line.last_verify_ok == Some(false) { span.bad-ink { (w.t("fact-damaged")) } br; }
        @if let Some(error) = &line.last_error { span.bad-ink { (said(error)) } br; }
        @if let Some(full) = &line.full { span.warn-ink { (said(full)) } br; }
        @if line.blobs_missing > 0 { (w.t("fact-media")) ": " (w.f("fact-media-missing", args!(count = line.blobs_missing))) br; }
        @if line.status != "active" { (w.word("status", &line.status)) br; }
        @if line.verified == "nothing" && line.last_error.is_none() && line.doing.is_none() { (w.t("accounts-waits")) }
        @else { (w.t(&format!("accounts-verified-{}", line.verified))) }
    }
}

/// To whom it is shown, and by which right.
fn served(w: &Words, row: &Row) -> Markup {
    let Some(note) = &row.serving else { return html! { (w.t("serve-nobody")) } };
    html! {
        (w.t(&format!("serve-{}", note.serve)))
        @if note.serve != "nobody" {
            br; span.soft {
                (w.t(basis(row, note)))
                @if let Some(basis) = &note.basis { ": " span dir="auto" translate="no" { (basis) } }
            }
            @if let Some(refused) = &note.refused { br; span.warn-ink { (w.t("serve-refused")) " " (said(refused)) } }
        } @else if note.declared == "refused" { br; span.soft { (w.t("basis-refused")) } }
    }
}

/// The strongest right there is: the owner's declaration, that it is one's own, what the operator wrote down.
fn basis(row: &Row, note: &ServingNote) -> &'static str {
    match (note.declared.as_str(), row.own) {
        ("allowed", _) => "basis-declared",
        (_, true) => "basis-own",
        _ => "basis-word",
    }
}

fn choice(w: &Words, view: &View) -> Markup {
    const DO: [&str; 5] = ["pause", "resume", "priority", "quota", "serve"];
    html! {
        fieldset {
            legend { (w.t("accounts-choose")) }
            div.field {
                label for="whom" { (w.t("accounts-whom")) }
                select #whom name="whom" {
                    option value="ticked" { (w.t("accounts-whom-ticked")) }
                    option value="shown" { (w.f("accounts-whom-shown", args!(count = view.rows.len()))) }
                    option value="matching" { (w.f("accounts-whom-matching", args!(count = view.matching))) }
                }
            }
            div.field {
                label for="do" { (w.t("accounts-do")) }
                select #do name="do" required {
                    option value="" { (w.t("accounts-do-choose")) }
                    @for what in DO { option value=(what) { (w.t(&format!("accounts-do-{what}"))) } }
                }
            }
            details {
                summary { (w.t("accounts-values")) }
                div.field {
                    label for="priority" { (w.t("limits-priority")) span.hint { (w.t("limits-priority-hint")) } }
                    input #priority name="priority" type="number" min="-1000" max="1000" step="1" inputmode="numeric" value="0";
                }
                div.field {
                    label for="quota" { (w.t("limits-quota")) span.hint { (w.t("limits-quota-hint")) } }
                    input #quota name="quota" type="number" min="1" step="1" inputmode="numeric";
                }
                div.field {
                    label for="to" { (w.t("serve-title")) span.hint { (w.t("serve-words")) } }
                    select #to name="to" { @for to in ["nobody", "peers", "public"] { option value=(to) { (w.t(&format!("serve-{to}"))) } } }
                }
                div.field {
                    label for="basis" { (w.t("serve-basis")) span.hint { (w.t("serve-basis-hint")) } }
                    input #basis name="basis" maxlength="2000";
                }
            }
            button.second type="submit" { (w.t("accounts-act")) }
        }
    }
}

fn pager(w: &Words, view: &View) -> Markup {
    let (page, pages) = (view.wanted.page, view.matching.div_ceil(PAGE).max(1));
    html! {
        @if pages > 1 {
            nav.row aria-label=(w.t("home-pages")) {
                @if page > 1 { a.button.second href=(view.wanted.page(page.saturating_sub(1)).path()) { (w.t("back")) } }
                span { (w.f("home-page", args!(page = page, pages = pages))) }
                @if page < pages { a.button.second href=(view.wanted.page(page.saturating_add(1)).path()) { (w.t("more")) } }
            }
        }
    }
}
