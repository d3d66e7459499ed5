//! What the operator chooses for one account, each choice a form of its own.

use maud::{Markup, html};
use p2pds_archive::{
    CollectionLine, Details, EvidenceNote, FindingNote, HeadNote, KeyNote, KeySituation, KeyState,
    ServingNote,
};

use super::View;
use crate::archived::made_up as somebody;
use crate::parts::{self, Tone, said};
use crate::safety::Facts;
use crate::samples::{NOW, drill, line};
use crate::words::Words;

/// All of them.
pub(super) fn all(w: &Words, view: &View) -> Markup {
    html! {
        h2 { (w.t("account-choices-title")) }
        (serving(w, view))
        (keep(w, view))
        (limits(w, view))
    }
}

fn form(view: &View, rest: &str, content: &Markup) -> Markup {
    html! {
        form method="post" action=(view.subject.path(rest)) {
            (parts::csrf(&view.csrf))
            (content)
        }
    }
}

fn serving(w: &Words, view: &View) -> Markup {
    let note = &view.details.serving;
    form(
        view,
        "/serve",
        &html! {
            fieldset {
                legend { (w.t("serve-title")) }
                p { (w.t("serve-words")) }
                @if note.declared == "refused" { p { (w.t("serve-declared-refused")) } }
                @if let Some(why) = &note.refused { (parts::notice(Tone::Warn, html! { p { (w.t("serve-refused")) " " (said(why)) } })) }
                @for to in ["nobody", "peers", "public"] {
                    label.choice {
                        input type="radio" name="to" value=(to) checked[note.serve == to];
                        span { (w.t(&format!("serve-{to}"))) }
                    }
                }
                div.field {
                    label for="basis" { (w.t("serve-basis")) span.hint { (w.t("serve-basis-hint")) } }
                    input #basis name="basis" maxlength="2000" value=[note.basis.as_deref()];
                }
                button.second type="submit" { (w.t("save")) }
            }
        },
    )
}

fn keep(w: &Words, view: &View) -> Markup {
    let line = &view.details.line;
    form(
        view,
        "/keep",
        &html! {
            fieldset {
                legend { (w.t("keep-title")) }
                @for keep in ["all", "window"] {
                    label.choice {
                        input type="radio" name="keep" value=(keep) checked[line.keep == keep];
                        span { (w.t(&format!("keep-{keep}"))) }
                    }
                }
                div.field {
                    label for="keep-basis" { (w.t("keep-basis")) span.hint { (w.t("keep-basis-hint")) } }
                    input #keep-basis name="basis" maxlength="2000" value=[line.keep_basis.as_deref()];
                }
                button.second type="submit" { (w.t("save")) }
            }
        },
    )
}

fn limits(w: &Words, view: &View) -> Markup {
    let line = &view.details.line;
    form(
        view,
        "/limits",
        &html! {
            fieldset {
                legend { (w.t("limits-title")) }
                div.field {
                    label for="quota" { (w.t("limits-quota")) span.hint { (w.t("limits-quota-hint")) } }
                    input #quota name="quota" type="number" min="1" step="1" inputmode="numeric" value=[line.quota.map(|bytes| bytes / 1_000_000)];
                }
                div.field {
                    label for="priority" { (w.t("limits-priority")) span.hint { (w.t("limits-priority-hint")) } }
                    input #priority name="priority" type="number" min="-1000" max="1000" step="1" inputmode="numeric" value=(line.priority);
                }
                button.second type="submit" { (w.t("save")) }
            }
        },
    )
}

/// A made-up account.
pub(super) fn made_up(verified: &str, troubled: bool) -> View {
    let mut line = line("alice.example.com");
    line.verified = verified.to_owned();
    if verified == "nothing" {
        (line.records, line.rev, line.rev_at, line.last_sync_at) = (0, None, None, None);
    }
    if troubled {
        line.blobs_missing = 3;
        line.last_error = Some("the host does not answer".to_owned());
        line.paused = true;
        line.full = Some("the limit of the account is reached".to_owned());
        line.withdrawal = Some(p2pds_archive::Withdrawal {
            since: NOW,
            erased_at: Some(NOW),
            basis: None,
            words: "deleted at its source".to_owned(),
        });
    }
    let report = drill(true, NOW.saturating_sub(86_400_000_000));
    let known = verified != "nothing";
    let key = |text: &str, position| KeyNote { key: text.to_owned(), position, signed: 2, likely_host: true };
    let lights = Facts {
        line: &line,
        drill: known.then_some(&report),
        keys: Some(KeyState::HostOnly),
        own_key: false,
        alarm: None,
        taken: None,
        hosted: false,
        mine: true,
        now: NOW,
    }
    .lights();
    let details = Details {
        head: known.then(|| HeadNote {
            rev: "3mbk2ozmcss2w".to_owned(),
            commit: "bafyreicommit".to_owned(),
            data: "bafyreiroot".to_owned(),
            key: "did:key:zQ3shsigning".to_owned(),
        }),
        collections: known
            .then(|| CollectionLine { collection: "app.bsky.feed.post".to_owned(), records: 12_000 })
            .into_iter()
            .collect(),
        serving: ServingNote {
            did: None,
            serve: "public".to_owned(),
            basis: Some("its owner asked me to".to_owned()),
            declared: "refused".to_owned(),
            refused: troubled.then(|| "its owner declared against it".to_owned()),
        },
        keys: KeySituation {
            state: KeyState::HostOnly,
            rotation_keys: vec![key("did:key:zQ3shhost", 1)],
            signing_key: Some("did:key:zQ3shsigning".to_owned()),
            operations: 2,
            web: false,
        },
        plc: None,
        missing_blobs: Vec::new(),
        findings: troubled
            .then(|| FindingNote {
                kind: "record-missing".to_owned(),
                subject: "app.bsky.feed.post/3mbk2ozmcss2w".to_owned(),
                detail: "the host did not send it".to_owned(),
                since: NOW,
            })
            .into_iter()
            .collect(),
        evidence: troubled
            .then(|| EvidenceNote {
                at: NOW,
                kind: "status".to_owned(),
                detail: serde_json::json!({ "words": "it says that the account is gone", "status": "deleted" }),
                proof_bytes: 400,
                times: 3,
                last_at: NOW,
            })
            .into_iter()
            .collect(),
        verbatim: Vec::new(),
        not_contained: Vec::new(),
        line,
    };
    View {
        subject: somebody(),
        csrf: "t".to_owned(),
        details,
        lights,
        hosted: known && !troubled,
        jobs: Vec::new(),
        trouble: None,
    }
}
