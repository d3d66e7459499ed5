//! How that page looks.

use maud::{Markup, html};
use p2pds_archive::{
    Announcement, IdentityHistory, KeyNote, KeySituation, KeyState, OperationLine, Verdict, WebVersion,
};
use p2pds_identity::plc::Difference;

use super::{LONGEST_HOURS, LONGEST_REASON};
use crate::archived::{Subject, Tab, head};
use crate::args;
use crate::node_side::Trouble;
use crate::pages::Sample;
use crate::parts::{self, Tone, code, name};
use crate::words::Words;

/// Operations on the page; older ones are counted.
const MOST: usize = 100;

/// What was done: what became of a key that was added, or of an announcement; `identity-done-WORD` says it.
pub const DONE: [&str; 3] = [ADDED, LATER, WITHDRAWN];
/// The directory shows it.
pub(super) const ADDED: &str = "added";
/// The directory does not show it yet.
pub(super) const LATER: &str = "later";
/// An announcement was taken back.
pub(super) const WITHDRAWN: &str = "withdrawn";

/// One operation, and what it changed.
#[derive(Debug)]
pub struct Operation {
    /// Its line.
    pub line: OperationLine,
    /// What it changed.
    pub differences: Vec<Difference>,
}

/// What is shown.
#[derive(Debug)]
pub struct View {
    /// Whose page it is.
    pub subject: Subject,
    /// The token of forms.
    pub csrf: String,
    /// Who can move it.
    pub keys: KeySituation,
    /// Keys that the owner said are his.
    pub own: Vec<String>,
    /// The operations, the newest first.
    pub operations: Vec<Operation>,
    /// What else is known of its history.
    pub history: IdentityHistory,
    /// What was done.
    pub done: Option<&'static str>,
    /// Why something that was asked for was not done.
    pub trouble: Option<Trouble>,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        (head(w, &view.subject, Tab::Identity, &html! { (w.t("identity-title")) }))
        @if let Some(done) = view.done {
            @let tone = if done == LATER { Tone::Warn } else { Tone::Good };
            (parts::notice(tone, html! { p role="status" { (w.t(&format!("identity-done-{done}"))) } }))
        }
        @if let Some(trouble) = &view.trouble { (parts::trouble(w, trouble)) }
        @for operation in view.operations.iter().filter(|operation| alarms(operation)) { (alarm(w, view, operation)) }
        (situation(w, view))
        @if !view.keys.rotation_keys.is_empty() { (keys(w, view)) }
        @if let Some(key) = &view.keys.signing_key {
            h2 { (w.t("identity-signing-title")) }
            p { (w.t("identity-signing-words")) " " (code(key)) }
        }
        (announcements(w, view))
        h2 { (w.t("identity-history-title")) }
        p.soft {
            (w.t("identity-directory")) " " (name(&view.history.directory))
            @if let Some(at) = view.history.fetched_at { ", " (w.t("identity-asked")) " " (w.time(at)) }
        }
        @if view.operations.is_empty() && view.history.documents.is_empty() { p.empty { (w.t("identity-history-empty")) } }
        @for operation in view.operations.iter().take(MOST) { (one(w, view, operation)) }
        @if view.operations.len() > MOST { p.soft { (w.f("record-more", args!(count = view.operations.len().saturating_sub(MOST)))) } }
        @if !view.history.documents.is_empty() { (documents(w, &view.history.documents)) }
    }
}

/// Whether an operation is one that nobody expected and that can still be undone, or is grave.
fn alarms(operation: &Operation) -> bool {
    operation.line.verdict == Verdict::Unexpected && !operation.line.nullified
}

fn alarm(w: &Words, view: &View, operation: &Operation) -> Markup {
    let line = &operation.line;
    let tone = if line.grave { Tone::Bad } else { Tone::Warn };
    parts::notice(
        tone,
        html! {
            h2 { (w.t("alarm-title")) }
            p { (w.t("alarm-words")) " " (w.exact(line.at)) }
            ul { @for difference in &operation.differences { li { (change(w, difference)) } } }
            @match &line.undo {
                Some(undo) => {
                    p { strong { (w.t("alarm-undo")) " " (w.exact(undo.until)) " (" (w.time(undo.until)) ")" } }
                    p { (w.t("alarm-keys")) }
                    ul { @for key in &undo.keys { li { (code(key)) @if view.own.contains(key) { " " span.tag { (w.t("key-yours")) } } } } }
                    p { (w.t("alarm-how")) }
                }
                None => p { strong { (w.t("alarm-too-late")) } },
            }
            (acknowledge(w, view, &line.cid))
        },
    )
}

fn acknowledge(w: &Words, view: &View, cid: &str) -> Markup {
    let id = format!("reason-{cid}");
    html! {
        form method="post" action=(view.subject.path("/identity/acknowledge")) {
            (parts::csrf(&view.csrf))
            input type="hidden" name="operation" value=(cid);
            div.field {
                label for=(id) { (w.t("ack-reason")) span.hint { (w.t("ack-hint")) } }
                input id=(id) name="reason" required maxlength=(LONGEST_REASON);
            }
            button.second type="submit" { (w.t("ack-button")) }
        }
    }
}

fn situation(w: &Words, view: &View) -> Markup {
    let (tone, words) = match view.keys.state {
        KeyState::PerhapsOwner if is_safe(&view.keys.rotation_keys, &view.own) => {
            (Tone::Good, "light-identity-good")
        }
        KeyState::PerhapsOwner => (Tone::Warn, "light-identity-perhaps"),
        KeyState::HostOnly => (Tone::Bad, "light-identity-host"),
        KeyState::Frozen => (Tone::Warn, "light-identity-frozen"),
        KeyState::Tombstoned => (Tone::Bad, "light-identity-tombstone"),
        KeyState::NoLog if view.keys.web => (Tone::Warn, "light-identity-web"),
        KeyState::NoLog => (Tone::Unknown, "light-identity-unknown"),
    };
    // Whoever has one already needs no other.
    let has_one = is_safe(&view.keys.rotation_keys, &view.own);
    let (class, add) =
        if has_one { ("button second", "identity-add-another") } else { ("button", "mend-add-key") };
    let may_add = matches!(view.keys.state, KeyState::HostOnly | KeyState::PerhapsOwner);
    html! {
        (parts::notice(tone, html! {
            p { strong { (w.t(words)) } }
            @if may_add { p { a class=(class) href=(view.subject.path("/identity/key")) { (w.t(add)) } } }
        }))
    }
}

/// Whether one of the owner's keys stands above the host's.
#[must_use]
pub fn is_safe(keys: &[KeyNote], own: &[String]) -> bool {
    let host = keys
        .iter()
        .filter(|note| note.likely_host && !own.contains(&note.key))
        .map(|note| note.position)
        .min();
    keys.iter().any(|note| own.contains(&note.key) && host.is_none_or(|host| note.position < host))
}

fn keys(w: &Words, view: &View) -> Markup {
    html! {
        h2 { (w.t("keys-title")) }
        p { (w.t("keys-words")) }
        div.scroll tabindex="0" { table.stack {
            thead { tr {
                th.number scope="col" { (w.t("keys-place")) }
                th scope="col" { (w.t("keys-key")) }
                th scope="col" { (w.t("keys-whose")) }
                th.number scope="col" { (w.t("keys-signed")) }
                th scope="col" { (w.t("keys-say")) }
            } }
            tbody { @for note in &view.keys.rotation_keys {
                @let mine = view.own.contains(&note.key);
                tr {
                    td.number data-label=(w.t("keys-place")) { (note.position) }
                    th scope="row" { (code(&note.key)) }
                    td data-label=(w.t("keys-whose")) {
                        (w.t(if mine { "key-yours" } else if note.likely_host { "key-host" } else { "key-unknown" }))
                    }
                    td.number data-label=(w.t("keys-signed")) { (w.number(note.signed)) }
                    td {
                        form method="post" action=(view.subject.path("/identity/own")) {
                            (parts::csrf(&view.csrf))
                            input type="hidden" name="key" value=(note.key);
                            @if !mine { input type="hidden" name="mine" value="1"; }
                            button.quiet type="submit" { (w.t(if mine { "key-not-mine" } else { "key-mine" })) }
                        }
                    }
                }
            } }
        } }
    }
}

/// What was said of a change: by somebody in his own words, or by these pages.
fn reason(w: &Words, reason: &str) -> Markup {
    if reason == super::key::REASON {
        html! { (w.t("operation-by-pages")) }
    } else {
        name(reason)
    }
}

fn announcements(w: &Words, view: &View) -> Markup {
    html! {
        h2 { (w.t("announce-title")) }
        p { (w.t("announce-words")) }
        @if let Some(Announcement { until, reason, .. }) = &view.history.announced {
            (parts::notice(Tone::Unknown, html! {
                p { (w.t("announce-now")) " " (w.exact(*until)) ": " (self::reason(w, reason)) }
                p { (w.t("announce-withdraw-words")) }
                (parts::button(&view.csrf, &view.subject.path("/identity/withdraw"), "second", &w.t("announce-withdraw")))
            }))
        }
        form method="post" action=(view.subject.path("/identity/announce")) {
            (parts::csrf(&view.csrf))
            div.field {
                label for="hours" { (w.t("announce-hours")) }
                input #hours name="hours" type="number" min="1" max=(LONGEST_HOURS) value="24" required inputmode="numeric";
            }
            div.field {
                label for="reason" { (w.t("announce-reason")) }
                input #reason name="reason" required maxlength=(LONGEST_REASON);
            }
            button.second type="submit" { (w.t("announce-button")) }
        }
    }
}

fn one(w: &Words, view: &View, operation: &Operation) -> Markup {
    let line = &operation.line;
    html! {
        article.record.gone[line.nullified] {
            header {
                strong { (w.f("operation-number", args!(number = line.number))) }
                (w.exact(line.at))
                span.tag { (w.t(&format!("verdict-{}", line.verdict.word()))) }
                @if line.nullified { span.tag { (w.t("operation-void")) } }
            }
            ul {
                @for difference in &operation.differences { li { (change(w, difference)) } }
                @if operation.differences.is_empty() { li { (w.t("operation-nothing")) } }
            }
            @if let Some(reason) = line.verdict.reason() { p { (w.t("operation-reason")) " " (self::reason(w, reason)) } }
            @if let Some(signer) = &line.signer {
                p.soft {
                    @match (line.signer_position, line.signer_of) {
                        (Some(place), Some(of)) => (w.f("operation-signed-place", args!(place = place, of = of))),
                        _ => (w.t("operation-signed")),
                    }
                    " " (code(signer)) @if view.own.contains(signer) { " " span.tag { (w.t("key-yours")) } }
                }
            }
            @if !line.undid.is_empty() {
                p { (w.t("operation-undid")) " " (name(&line.undid.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))) }
            }
            @if let Some(undo) = &line.undo { p.soft { (w.t("operation-undo-until")) " " (w.exact(undo.until)) } }
            details { summary { (name("CID")) } p { (code(&line.cid)) } }
        }
    }
}

/// What an operation changed, in words.
#[must_use]
pub fn change(w: &Words, difference: &Difference) -> Markup {
    let place = |position: &usize| position.saturating_add(1);
    let or_none = |text: &Option<String>| match text {
        Some(text) => code(text),
        None => html! { (w.t("none")) },
    };
    let from_to = |words: &str, from: &Option<String>, to: &Option<String>| {
        html! { (w.t(words)) " " (or_none(from)) " " span.arrow { "→" } " " (or_none(to)) }
    };
    match difference {
        Difference::Created => html! { (w.t("change-was-created")) },
        Difference::Deleted => html! { (w.t("change-was-deleted")) },
        Difference::Revived => html! { (w.t("change-was-revived")) },
        Difference::RotationKeyAdded { key, position } => {
            html! { (w.f("change-key-added", args!(place = place(position)))) " " (code(key)) }
        }
        Difference::RotationKeyRemoved { key, position } => {
            html! { (w.f("change-key-removed", args!(place = place(position)))) " " (code(key)) }
        }
        Difference::RotationKeysReordered => html! { (w.t("change-keys-reordered")) },
        Difference::SigningKey { from, to } => from_to("change-signing-key", from, to),
        Difference::Host { from, to } => from_to("change-host", from, to),
        Difference::Handle { from, to } => from_to("change-handle", from, to),
        Difference::OtherNames => html! { (w.t("change-other-names")) },
        Difference::Other { name } => {
            html! { (w.t("change-other")) " " (code(&crate::shown::text(name, 100))) }
        }
    }
}

fn documents(w: &Words, documents: &[WebVersion]) -> Markup {
    let or_none = |text: &Option<String>| match text {
        Some(text) => code(text),
        None => html! { (w.t("none")) },
    };
    html! {
        h3 { (w.t("documents-title")) }
        div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { (w.t("documents-since")) }
                th scope="col" { (w.t("documents-host")) }
                th scope="col" { (w.t("documents-handle")) }
                th scope="col" { (w.t("documents-key")) }
            } }
            tbody { @for document in documents {
                tr {
                    th scope="row" { (w.exact(document.at)) }
                    td { (or_none(&document.host)) }
                    td { (or_none(&document.handle)) }
                    td { (or_none(&document.signing_key)) }
                }
            } }
        } }
    }
}

fn made_up(verdict: Verdict, undo: bool) -> Operation {
    use crate::samples::NOW;
    Operation {
        line: OperationLine {
            number: 2,
            cid: "bafyreioperation".to_owned(),
            at: NOW,
            nullified: false,
            changes: Vec::new(),
            grave: true,
            signer: Some("did:key:zQ3shhost".to_owned()),
            signer_position: Some(1),
            signer_of: Some(1),
            undid: vec![1],
            rotation_keys: Vec::new(),
            undo: undo.then(|| p2pds_archive::UndoLine {
                until: NOW.saturating_add(200_000_000_000),
                continue_from: "bafyreibefore".to_owned(),
                keys: vec!["did:key:zQ3shmine".to_owned()],
            }),
            verdict,
        },
        differences: vec![
            Difference::Host { from: Some("https://a.example".to_owned()), to: None },
            Difference::RotationKeyAdded { key: "did:key:zQ3shother".to_owned(), position: 0 },
            Difference::OtherNames,
        ],
    }
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    use crate::samples::NOW;
    let view = |state, operations: Vec<Operation>| View {
        subject: crate::archived::made_up(),
        csrf: "t".to_owned(),
        keys: KeySituation {
            state,
            rotation_keys: ["did:key:zQ3shmine", "did:key:zQ3shhost"]
                .into_iter()
                .zip([1, 2])
                .filter(|_| state != KeyState::NoLog)
                .map(|(key, position)| KeyNote {
                    key: key.to_owned(),
                    position,
                    signed: 2,
                    likely_host: position == 2,
                })
                .collect(),
            signing_key: Some("did:key:zQ3shsigning".to_owned()),
            operations: 2,
            web: false,
        },
        own: vec!["did:key:zQ3shmine".to_owned()],
        history: IdentityHistory {
            did: crate::samples::did(),
            method: "plc".to_owned(),
            directory: "https://plc.directory".to_owned(),
            fetched_at: Some(NOW),
            state: "active".to_owned(),
            operations: Vec::new(),
            documents: Vec::new(),
            announced: None,
        },
        operations,
        done: None,
        trouble: None,
    };
    let announced =
        Announcement { did: crate::samples::did(), at: NOW, until: NOW, reason: "moving".to_owned() };
    let document = WebVersion {
        at: NOW,
        cid: String::new(),
        signing_key: None,
        host: None,
        handle: Some("a.example".to_owned()),
    };
    let mut partial = view(KeyState::NoLog, Vec::new());
    partial.history.documents = vec![document];
    let mut error = view(
        KeyState::HostOnly,
        vec![made_up(Verdict::Unexpected, true), made_up(Verdict::Unexpected, false)],
    );
    error.trouble = Some(crate::pages::made_up_trouble());
    let known = Verdict::Announced { reason: "moving".to_owned() };
    let mut success =
        view(KeyState::PerhapsOwner, vec![made_up(known, true), made_up(Verdict::Before, false)]);
    success.history.announced = Some(announced);
    success.done = Some(ADDED);
    partial.done = Some(LATER);
    let mut empty = view(KeyState::NoLog, Vec::new());
    empty.done = Some(WITHDRAWN);
    [("empty", empty), ("partial", partial), ("error", error), ("success", success)]
        .map(|(state, view)| Sample { page: "identity", state, body: body(w, &view) })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_ones_own_counts_above_the_hosts() {
        let note = |key: &str, position, likely_host| KeyNote {
            key: key.to_owned(),
            position,
            signed: 0,
            likely_host,
        };
        let mine = ["m".to_owned()];
        assert!(is_safe(&[note("m", 1, false), note("h", 2, true)], &mine));
        assert!(!is_safe(&[note("h", 1, true), note("m", 2, false)], &mine));
        assert!(!is_safe(&[note("m", 1, false), note("h", 2, true)], &[]));
        // A host that used the owner's key to sign does not make it the host's.
        assert!(is_safe(&[note("m", 1, true), note("h", 2, true)], &mine));
        assert!(is_safe(&[note("m", 1, false)], &mine));
    }
}
