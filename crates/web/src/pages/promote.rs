//! Becoming the host of an archived account: first what that would do, then, typed out and with a rotation key of the
//! owner, doing it. The key is used for one signature and is kept nowhere.

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use p2pds_host::Host;
use p2pds_recovery::{Choice, Keeper, Plan, PromoteOptions, Remark, RotationKey};

use crate::archived::{Subject, Tab, head};
use crate::args;
use crate::ask::{Ask, Refused, Shown, answer};
use crate::form::Fields;
use crate::jobs::{End, Job, Kind};
use crate::layout::Page;
use crate::node_side::Trouble;
use crate::pages::Sample;
use crate::pages::act::{begin, failed};
use crate::pages::job::brief;
use crate::parts::{self, Tone, code, name, said};
use crate::web::Web;
use crate::words::{Sentence, Words};

/// Missing records that are named.
const NAMED: usize = 20;
/// Longest file with a key, bytes.
const LONGEST_KEY: usize = 8 * 1024;

/// What is shown.
#[derive(Debug)]
pub struct View {
    /// Whose page it is.
    pub subject: Subject,
    /// The token of forms.
    pub csrf: String,
    /// What it would do; `None` when this node hosts nobody.
    pub plan: Option<Plan>,
    /// What was chosen.
    pub options: PromoteOptions,
    /// What runs for it now.
    pub jobs: Vec<Job>,
    /// What did not work.
    pub trouble: Option<Trouble>,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        (head(w, &view.subject, Tab::Away, &html! { (w.t("promote-title")) }))
        @if view.plan.as_ref().is_none_or(|plan| !plan.hosted) { p { (w.t("promote-words")) } }
        @if let Some(trouble) = &view.trouble { (parts::trouble(w, trouble)) }
        @for job in &view.jobs { (brief(w, job)) }
        @match &view.plan {
            None if view.trouble.is_none() => (not_hosting(w)),
            None => {}
            Some(plan) if plan.hosted => {
                (parts::notice(Tone::Good, html! { p { strong { (w.t("promote-hosted")) } } p { (w.t("promote-hosted-next")) } }))
                pre dir="ltr" translate="no" { "p2pds account reset-password " (plan.did) }
            }
            Some(plan) => (planned(w, view, plan)),
        }
    }
}

fn not_hosting(w: &Words) -> Markup {
    html! {
        div.empty {
            h2 { (w.t("promote-not-title")) }
            p { (w.t("promote-not-words")) }
            pre dir="ltr" translate="no" { "PDS_HOSTNAME=pds.example.com\nP2PDS_HOSTING=on" }
        }
    }
}

fn planned(w: &Words, view: &View, plan: &Plan) -> Markup {
    html! {
        @if let Some(place) = &plan.under_way {
            (parts::notice(Tone::Warn, html! { p { strong { (w.t("promote-under-way")) } " " (said(place)) } }))
        }
        h2 { (w.t("promote-step-held")) }
        (held(w, plan))
        h2 { (w.t("promote-step-old")) }
        p { (said(&plan.old_host.words(plan.old_url.as_deref().unwrap_or("the old host")))) }
        h2 { (w.t("promote-step-identity")) }
        (identity(w, plan))
        (remarks(w, "promote-notes", &plan.notes))
        (remarks(w, "promote-overruled", &plan.overruled))
        (choices(w, view))
        h2 { (w.t("promote-step-go")) }
        @if plan.obstacles.is_empty() || plan.under_way.is_some() { (go(w, view, plan)) }
        @else {
            (parts::notice(Tone::Bad, html! {
                p { strong { (w.t("promote-obstacles")) } }
                ul { @for obstacle in &plan.obstacles { li { (remark(w, obstacle)) } } }
            }))
        }
    }
}

fn held(w: &Words, plan: &Plan) -> Markup {
    html! {
        dl.facts {
            dt { (w.t("fact-records")) } dd { (w.f("fact-records-in", args!(count = w.number(plan.records), size = w.size(plan.record_bytes)))) }
            dt { (w.t("fact-media")) } dd { (w.f("fact-media-in", args!(count = w.number(plan.blobs), size = w.size(plan.blob_bytes)))) }
            @if let Some(rev) = &plan.rev {
                dt { (w.t("fact-rev")) } dd { (code(rev)) @if let Some(made) = &plan.made { ", " (name(made)) } }
            }
        }
        @if plan.missing_blobs == 0 && plan.missing_records.is_empty() { p { (w.t("promote-whole")) } }
        @if plan.missing_blobs > 0 { p { strong { (w.f("promote-missing-blobs", args!(count = plan.missing_blobs))) } } }
        @if !plan.missing_records.is_empty() {
            p { strong { (w.t("promote-missing-records")) } }
            ul {
                @for path in plan.missing_records.iter().take(NAMED) { li { (code(path)) } }
                @if plan.missing_records.len() > NAMED { li { (w.f("record-more", args!(count = plan.missing_records.len().saturating_sub(NAMED)))) } }
            }
        }
        p.soft { (w.t("promote-not-held")) }
    }
}

fn identity(w: &Words, plan: &Plan) -> Markup {
    html! {
        @if let Some((place, document)) = &plan.document {
            p { (w.t("promote-document")) " " (code(place)) }
            pre dir="ltr" translate="no" { (crate::shown::json(document)) }
        } @else {
            div.scroll tabindex="0" { table {
                thead { tr {
                    th.number scope="col" { (w.t("keys-place")) }
                    th scope="col" { (w.t("keys-key")) }
                    th scope="col" { (w.t("keys-whose")) }
                } }
                tbody { @for keeper in &plan.rotation_keys {
                    tr {
                        td.number { (keeper.place) }
                        th scope="row" { (code(&keeper.key)) }
                        td { (w.t(whose(keeper))) }
                    }
                } }
            } }
            (lines(w, "promote-changes", &plan.changes))
            (lines(w, "promote-kept", &plan.kept))
        }
        @if let Some(handle) = &plan.new_handle { p { (w.t("promote-called")) " " (name(handle)) } }
    }
}

fn whose(keeper: &Keeper) -> &'static str {
    match (keeper.yours, keeper.ours, keeper.signed) {
        (true, ..) => "keeper-yours",
        (_, true, _) => "keeper-ours",
        (_, _, 1..) => "keeper-host",
        _ => "key-unknown",
    }
}

fn lines(w: &Words, title: &str, all: &[String]) -> Markup {
    html! {
        @if !all.is_empty() {
            h3 { (w.t(title)) }
            ul { @for line in all { li { (said(line)) } } }
        }
    }
}

/// What the plan says, and where on this page it is chosen.
fn remark(w: &Words, remark: &Remark) -> Markup {
    html! {
        (said(&remark.words)) ". "
        @match &remark.choice {
            Some(Choice::Handle { under: None }) => (w.t("promote-choose-handle")),
            Some(Choice::Handle { under: Some(under) }) => {
                (w.t("promote-choose-handle")) " " (w.t("promote-choose-such-as")) " " (name(&format!("NAME{under}")))
            }
            Some(Choice::Force) => (w.t("promote-choose-force")),
            Some(Choice::Keys) => (w.t("promote-choose-keys")),
            // Said by what fails, and never by a plan: the form asks for the key, and has the button.
            Some(Choice::Key | Choice::SignAnew | Choice::GiveUp) | None => {}
        }
    }
}

fn remarks(w: &Words, title: &str, all: &[Remark]) -> Markup {
    html! {
        @if !all.is_empty() {
            h3 { (w.t(title)) }
            ul { @for one in all { li { (remark(w, one)) } } }
        }
    }
}

fn choices(w: &Words, view: &View) -> Markup {
    let options = &view.options;
    html! {
        details {
            summary { (w.t("promote-choices")) }
            form method="get" action=(view.subject.path("/promote")) {
                div.field {
                    label for="handle" { (w.t("promote-handle")) span.hint { (w.t("promote-handle-hint")) } }
                    input #handle name="handle" value=[options.handle.as_deref()] autocapitalize="none" spellcheck="false" dir="ltr";
                }
                div.field {
                    label for="email" { (w.t("promote-email")) span.hint { (w.t("promote-email-hint")) } }
                    input #email name="email" type="email" value=[options.email.as_deref()] autocomplete="off" dir="ltr";
                }
                label.choice { input type="checkbox" name="force" value="1" checked[options.force]; span { (w.t("promote-force")) } }
                label.choice { input type="checkbox" name="no-server-key" value="1" checked[options.no_server_key]; span { (w.t("promote-no-key")) } }
                button.second type="submit" { (w.t("promote-look")) }
            }
        }
    }
}

fn go(w: &Words, view: &View, plan: &Plan) -> Markup {
    let (options, subject) = (&view.options, &view.subject);
    let goes_on = plan.under_way.is_some();
    html! {
        p { (w.t(if goes_on { "promote-go-on-words" } else { "promote-go-words" })) }
        form method="post" action=(subject.path("/promote")) enctype="multipart/form-data" {
            (parts::csrf(&view.csrf))
            @if let Some(handle) = &options.handle { input type="hidden" name="handle" value=(handle); }
            @if let Some(email) = &options.email { input type="hidden" name="email" value=(email); }
            @if options.force { input type="hidden" name="force" value="1"; }
            @if options.no_server_key { input type="hidden" name="no-server-key" value="1"; }
            @if plan.log.is_some() {
                div.field {
                    label for="key" { (w.t("promote-key")) span.hint { (w.t("promote-key-hint")) } }
                    input #key name="key" type="password" autocomplete="off" spellcheck="false" dir="ltr";
                }
                div.field {
                    label for="key-file" { (w.t("promote-key-file")) span.hint { (w.t("promote-key-file-hint")) } }
                    input #key-file name="key-file" type="file";
                }
            }
            div.field {
                label for="confirm" { (w.t("promote-confirm")) " " (name(subject.name())) }
                input #confirm name="confirm" required autocomplete="off" autocapitalize="none" spellcheck="false" dir="ltr";
            }
            button type="submit" { (w.t(if goes_on { "promote-go-on" } else { "promote-go" })) }
        }
        @if goes_on {
            form method="post" action=(subject.path("/promote/cancel")) {
                (parts::csrf(&view.csrf))
                button.second type="submit" { (w.t("promote-cancel")) }
                p.soft { (w.t("promote-cancel-words")) }
            }
        }
    }
}

fn text(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// `GET /archive/{did}/promote`
pub async fn show(State(web): State<Web>, ask: Ask, Path(did): Path<String>, query: RawQuery) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let asked = |name| crate::query::text(query.0.as_deref(), name);
        let options = PromoteOptions {
            handle: asked("handle")
                .map(|handle| handle.trim().trim_start_matches('@').to_owned())
                .and_then(text),
            email: asked("email").map(|email| email.trim().to_owned()).and_then(text),
            force: asked("force").is_some(),
            no_server_key: asked("no-server-key").is_some(),
            ..PromoteOptions::default()
        };
        page(&web, &ask, subject, options, None).await
    })
    .await
}

async fn page(
    web: &Web,
    ask: &Ask,
    subject: Subject,
    options: PromoteOptions,
    trouble: Option<Trouble>,
) -> Shown {
    let (plan, trouble) = match web.host() {
        None => (None, trouble),
        Some(host) => match web.recovery().promotion_plan(host, &subject.did, &options).await {
            Ok(plan) => (Some(plan), trouble),
            Err(error) => (None, trouble.or_else(|| Some(error.into()))),
        },
    };
    let mut jobs = web.jobs().running(subject.name());
    jobs.retain(|job| job.kind == Kind::Promote);
    let status = if trouble.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let view = View { csrf: ask.frame.csrf.clone(), plan, options, jobs, trouble, subject };
    Ok(ask.show_as(status, &Page::new(ask.w.t("promote-title"), body(&ask.w, &view))))
}

fn host(web: &Web) -> Result<Host, Refused> {
    web.host().cloned().ok_or(Refused::NotFound)
}

/// The key that a form brought: typed in, or in a file.
fn given_key(fields: &Fields) -> Result<Option<RotationKey>, Sentence> {
    let given = |name| fields.first(name).map(str::trim).filter(|key| !key.is_empty());
    let key = match (given("key"), given("key-file")) {
        (Some(_), Some(_)) => return Err(Sentence::of("refused-two-keys")),
        (_, Some(file)) if file.len() > LONGEST_KEY => return Err(Sentence::of("refused-file-long")),
        (typed, file) => typed.or(file),
    };
    let Some(key) = key else { return Ok(None) };
    // Groups, as somebody wrote it down.
    let key = zeroize::Zeroizing::new(key.split_whitespace().collect::<String>());
    RotationKey::read(&key).map(Some).map_err(|_| Sentence::of("refused-key-unreadable"))
}

/// `POST /archive/{did}/promote`
pub async fn post(State(web): State<Web>, ask: Ask, Path(did): Path<String>, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let (host, subject) = (host(&web)?, Subject::find(&web, &did).await?);
        let options = PromoteOptions {
            handle: text(fields.text("handle")),
            email: text(fields.text("email")),
            force: fields.ticked("force"),
            no_server_key: fields.ticked("no-server-key"),
            ..PromoteOptions::default()
        };
        let typed = fields.text("confirm");
        if !subject.is_typed(&typed) {
            let trouble = Trouble::of(Sentence::of("erase-mistyped"));
            return page(&web, &ask, subject, options, Some(trouble)).await;
        }
        let key = match given_key(&fields) {
            Ok(key) => key,
            Err(sentence) => return page(&web, &ask, subject, options, Some(Trouble::of(sentence))).await,
        };
        let signers = key.as_ref().map(RotationKey::did_keys).unwrap_or_default();
        let options = PromoteOptions { signers, ..options };
        let (recovery, did, next) = (web.recovery().clone(), subject.did.clone(), subject.path("/promote"));
        let pages = web.clone();
        // What was typed is the account's name, as it was checked above.
        let confirmed = subject.did.to_string();
        begin(&web, &subject, Kind::Promote, move |progress| async move {
            let done = recovery.promote(&host, &did, &options, key, &confirmed, &progress).await;
            pages.identities().forget(&did);
            match done {
                Ok(done) => End::Done { next, words: done.to_string() },
                Err(error) => failed(error),
            }
        })
    })
    .await
}

/// `POST /archive/{did}/promote/cancel`
pub async fn cancel(State(web): State<Web>, ask: Ask, Path(did): Path<String>, _: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let (host, subject) = (host(&web)?, Subject::find(&web, &did).await?);
        match web.recovery().cancel_promotion(&host, &subject.did).await {
            Ok(()) => Ok(Ask::go(&subject.path("/promote"))),
            Err(error) => page(&web, &ask, subject, PromoteOptions::default(), Some(error.into())).await,
        }
    })
    .await
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let keeper = |place, yours, ours, signed| Keeper {
        key: "did:key:zQ3shkey".to_owned(),
        place,
        signed,
        yours,
        ours,
    };
    let chosen = |choice| Remark { words: "a sentence".to_owned(), choice: Some(choice) };
    let plan = || Plan {
        did: crate::samples::did(),
        handle: Some("alice.example.com".to_owned()),
        new_handle: Some("alice.pds.example.org".to_owned()),
        new_host: "https://pds.example.org".to_owned(),
        rev: Some("3mbk2ozmcss2w".to_owned()),
        made: Some("2026-11-21 10:26 UTC".to_owned()),
        records: 12_345,
        record_bytes: 8_400_000,
        missing_records: Vec::new(),
        blobs: 321,
        blob_bytes: 412_000_000,
        missing_blobs: 0,
        old_url: Some("https://pds.example.com".to_owned()),
        old_host: p2pds_recovery::OldHost::Silent { why: "it does not answer".to_owned() },
        rotation_keys: vec![
            keeper(1, true, false, 0),
            keeper(2, false, true, 0),
            keeper(3, false, false, 2),
            keeper(4, false, false, 0),
        ],
        log: Some(2),
        changes: vec!["the host changes".to_owned()],
        kept: vec!["the handle".to_owned()],
        document: None,
        obstacles: Vec::new(),
        overruled: Vec::new(),
        notes: vec!["a note".into(), chosen(Choice::Handle { under: Some(".example.org".to_owned()) })],
        under_way: None,
        hosted: false,
    };
    let view = |plan| View {
        subject: crate::archived::made_up(),
        csrf: "t".to_owned(),
        plan,
        options: PromoteOptions {
            handle: Some("alice.pds.example.org".to_owned()),
            force: true,
            ..PromoteOptions::default()
        },
        jobs: Vec::new(),
        trouble: None,
    };
    let obstacles = [Choice::Handle { under: None }, Choice::Force, Choice::Keys].map(chosen).into();
    let missing = Plan { missing_blobs: 3, missing_records: vec!["a.b.c/d".to_owned()], obstacles, ..plan() };
    let web =
        Plan { document: Some(("https://a.example".to_owned(), serde_json::json!({}))), log: None, ..plan() };
    let loading = View {
        jobs: vec![crate::pages::job::made_up(false)],
        ..view(Some(Plan { under_way: Some("signed".to_owned()), ..plan() }))
    };
    let error = View { trouble: Some(crate::pages::made_up_trouble()), ..view(None) };
    [
        ("empty", view(None)),
        ("loading", loading),
        ("partial", view(Some(missing))),
        ("error", error),
        ("web", view(Some(web))),
        ("hosted", view(Some(Plan { hosted: true, ..plan() }))),
        ("success", view(Some(plan()))),
    ]
    .map(|(state, view)| Sample { page: "promote", state, body: body(w, &view) })
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_chosen_is_named_as_on_this_page() {
        let plain = |w: &Words, one: &Remark| remark(w, one).into_string();
        for locale in [crate::words::Locale::En, crate::words::Locale::De] {
            let w = Words::new(locale, 0);
            let of = |choice| plain(&w, &Remark { words: "so it is".to_owned(), choice });
            assert!(!of(None).contains('“') && !of(None).contains('„'), "{}", of(None));
            let fields = [
                (Choice::Handle { under: None }, "promote-handle"),
                (Choice::Handle { under: Some(".example.org".to_owned()) }, "promote-handle"),
                (Choice::Force, "promote-force"),
                (Choice::Keys, "promote-no-key"),
            ];
            for (choice, field) in fields {
                let said = of(Some(choice));
                assert!(said.contains("so it is") && said.contains(&w.t(field)), "{said}");
                assert!(said.contains(&w.t("promote-choices")) && !said.contains("--"), "{said}");
            }
            let under = of(Some(Choice::Handle { under: Some(".example.org".to_owned()) }));
            assert!(under.contains("NAME.example.org"), "{under}");
        }
    }
}
