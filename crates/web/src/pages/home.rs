//! Home: each account with its three lights.

use std::collections::HashSet;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use p2pds_archive::{AccountLine, ListQuery};
use p2pds_syntax::Did;

use crate::args;
use crate::ask::{Ask, answer};
use crate::door::Who;
use crate::drills::last_drill;
use crate::jobs::{Job, Kind};
use crate::layout::Page;
use crate::node_side::AlertNote;
use crate::pages::Sample;
use crate::pages::job::brief;
use crate::parts::{self, Tone, account_path, name, said};
use crate::safety::{Facts, Light};
use crate::web::Web;
use crate::words::Words;

/// Accounts on one page.
const PAGE: usize = 20;

/// What is shown.
#[derive(Debug, Default)]
pub struct View {
    /// The token of forms.
    pub csrf: String,
    /// The accounts of this page.
    pub accounts: Vec<Shown>,
    /// How many there are.
    pub total: usize,
    /// The page, from 1.
    pub page: usize,
    /// What is wrong with the node.
    pub alerts: Vec<AlertNote>,
    /// What runs now.
    pub jobs: Vec<Job>,
    /// The node was claimed, and nobody signed in yet.
    pub claimed: bool,
    /// Something could not be read.
    pub trouble: Option<crate::node_side::Trouble>,
}

/// One account.
#[derive(Debug)]
pub struct Shown {
    /// Its line.
    pub line: AccountLine,
    /// Its lights.
    pub lights: [Light; 3],
    /// It is the node owner's own.
    pub mine: bool,
}

impl Shown {
    fn worst(&self) -> Tone {
        self.lights.iter().map(|light| light.tone).max().unwrap_or(Tone::Unknown)
    }
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        h1 { (w.t("home-title")) }
        @if let Some(trouble) = &view.trouble { (parts::trouble(w, trouble)) }
        @if view.claimed {
            (parts::notice(Tone::Warn, html! {
                p { strong { (w.t("home-claimed")) } " " (w.t("home-claimed-next")) }
                p { a.button href="/sign-in" { (w.t("nav-sign-in")) } }
            }))
        }
        @for alert in &view.alerts { (alert_note(w, alert)) }
        @for job in &view.jobs { (brief(w, job)) }
        @if view.accounts.is_empty() && view.trouble.is_none() {
            div.empty {
                h2 { (w.t("home-empty-title")) }
                p { (w.t("home-empty")) }
                p { a.button href="/add" { (w.t("home-empty-button")) } }
            }
        } @else {
            p.soft { (w.f("home-count", args!(count = view.total))) " " a href="/accounts" { (w.t("home-list")) } }
            ul.cards {
                @for shown in &view.accounts { li.card { (account(w, view, shown)) } }
            }
            (pager(w, view))
        }
    }
}

fn alert_note(w: &Words, alert: &AlertNote) -> Markup {
    let tone = if alert.severity == "critical" { Tone::Bad } else { Tone::Warn };
    parts::notice(
        tone,
        html! {
            p { strong { (w.t("home-alert")) } " " (said(&alert.words)) }
            p.soft { (w.t("home-alert-since")) " " (w.time(alert.since)) }
            @if let Some(did) = &alert.did { p { a href=(account_path(did)) { (w.t("home-alert-account")) } } }
        },
    )
}

fn account(w: &Words, view: &View, shown: &Shown) -> Markup {
    let line = &shown.line;
    let called = line.handle.as_deref().unwrap_or(line.did.as_str());
    html! {
        h2 { a href=(account_path(line.did.as_str())) { (name(called)) } }
        p.soft {
            (w.f("home-held", args!(records = w.number(line.records), size = w.size(line.record_bytes.saturating_add(line.blob_bytes)))))
            @if line.paused { " · " (w.t("home-paused")) }
        }
        ul.lights { @for light in &shown.lights { (one_light(w, &view.csrf, light)) } }
    }
}

/// One light: its sign, its name, its sentence, its button.
#[must_use]
pub fn one_light(w: &Words, csrf: &str, light: &Light) -> Markup {
    html! {
        li class={ "light " (light.tone.class()) } {
            (light.tone.sign())
            span.name {
                (w.t(&format!("light-{}", light.of.word())))
                ": " (w.t(&light.standing()))
            }
            p { (light.sentence(w)) }
            @if let Some(at) = light.heard { p.soft { (w.f("light-heard", args!(ago = w.ago(at)))) } }
            @if let Some(mend) = &light.mend {
                div.row {
                    @if mend.acts { (parts::button(csrf, &mend.path, "second", &w.t(mend.words))) }
                    @else { a.button.second href=(mend.path) { (w.t(mend.words)) } }
                }
            }
        }
    }
}

fn pager(w: &Words, view: &View) -> Markup {
    let pages = view.total.div_ceil(PAGE).max(1);
    html! {
        @if pages > 1 {
            nav.row aria-label=(w.t("home-pages")) {
                @if view.page > 1 { a.button.second href={ "/?page=" (view.page.saturating_sub(1)) } { (w.t("back")) } }
                span { (w.f("home-page", args!(page = view.page, pages = pages))) }
                @if view.page < pages { a.button.second href={ "/?page=" (view.page.saturating_add(1)) } { (w.t("more")) } }
            }
        }
    }
}

/// `GET /`
pub async fn show(State(web): State<Web>, ask: Ask, query: axum::extract::RawQuery) -> Response {
    answer(&ask, async {
        if !ask.frame.owner {
            return Ok(crate::pages::about::stranger(&web, &ask));
        }
        let page = crate::query::number(query.0.as_deref(), "page").unwrap_or(1).max(1);
        let view = view(&web, &ask, page).await;
        Ok(ask.show(&Page::new(ask.w.t("home-title"), body(&ask.w, &view))))
    })
    .await
}

async fn view(web: &Web, ask: &Ask, page: usize) -> View {
    let claimed = ask.visitor.who == Who::Claimant;
    let mut view = View { csrf: ask.frame.csrf.clone(), page, claimed, ..View::default() };
    view.jobs =
        web.jobs().list().into_iter().filter(|job| job.end.is_none() && job.kind != Kind::Sync).collect();
    match web.node().alerts().await {
        Ok(alerts) => view.alerts = alerts,
        Err(trouble) => view.trouble = Some(trouble),
    }
    let skip = page.saturating_sub(1).saturating_mul(PAGE);
    let list = match web.archive().page(&ListQuery { skip, most: PAGE, ..ListQuery::default() }).await {
        Ok(list) => list,
        Err(error) => {
            view.trouble = Some(error.into());
            return view;
        }
    };
    view.total = list.all;
    let owner = web.archive().store().owner().await.ok().flatten().map(|owner| owner.did);
    let mut lines = list.lines;
    // The owner's own account stands on the first page, before all others.
    if let Some(owner) = &owner {
        if page > 1 {
            lines.retain(|line| line.did != *owner);
        } else if lines.iter().all(|line| line.did != *owner)
            && let Ok(line) = web.archive().line(owner).await
        {
            lines.push(line);
        }
    }
    let sessions = web.archive().store().agent_sessions(1_000).await.unwrap_or_default();
    let own: HashSet<&Did> = sessions.iter().map(|session| &session.did).chain(&owner).collect();
    for line in lines {
        let mine = own.contains(&line.did);
        let lights = lights_of(web, &line, mine).await;
        view.accounts.push(Shown { line, lights, mine });
    }
    view.accounts.sort_by_key(|shown| {
        (owner.as_ref() != Some(&shown.line.did), !shown.mine, std::cmp::Reverse(shown.worst()))
    });
    view
}

/// Whether an account is the node owner's: the one that he signs in with, or one whose server he gave this node a session
/// at.
async fn is_mine(web: &Web, did: &Did) -> bool {
    let store = web.archive().store();
    let owner = store.owner().await.ok().flatten();
    owner.is_some_and(|owner| owner.did == *did)
        || store.agent_session(did).await.is_ok_and(|row| row.is_some())
}

/// Whether an account lives on this node.
pub async fn is_hosted(web: &Web, did: &Did) -> bool {
    web.archive().store().account(did).await.ok().flatten().is_some_and(|account| account.hosted)
}

/// The lights of an account.
pub async fn lights(web: &Web, line: &AccountLine) -> [Light; 3] {
    lights_of(web, line, is_mine(web, &line.did).await).await
}

async fn lights_of(web: &Web, line: &AccountLine, mine: bool) -> [Light; 3] {
    let drill = last_drill(web.archive(), &line.did).await;
    let identity = web.identities().of(web.archive(), &line.did).await;
    Facts {
        line,
        drill: drill.as_ref(),
        keys: identity.keys,
        own_key: identity.own_key,
        alarm: identity.alarm,
        taken: web.recovery().last_taken(&line.did, line.added_at).await,
        hosted: is_hosted(web, &line.did).await,
        mine,
        now: web.now(),
    }
    .lights()
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    use crate::samples::{NOW, drill, line};
    let shown = |line: AccountLine, proved: bool| {
        let report = drill(true, NOW - 86_400_000_000);
        let facts = Facts {
            line: &line,
            drill: proved.then_some(&report),
            keys: Some(p2pds_archive::KeyState::HostOnly),
            own_key: false,
            alarm: (!proved).then_some(NOW.saturating_add(36_000_000_000)),
            taken: proved.then_some(NOW - 86_400_000_000),
            hosted: false,
            mine: proved,
            now: NOW,
        };
        let lights = facts.lights();
        Shown { line, lights, mine: proved }
    };
    let alert = AlertNote {
        kind: "disk".to_owned(),
        severity: "critical".to_owned(),
        did: Some(crate::samples::did().to_string()),
        words: "the disk is nearly full".to_owned(),
        since: NOW - 7_200_000_000,
    };
    let full = View {
        accounts: vec![shown(line("alice.example.com"), true)],
        total: 41,
        page: 2,
        ..View::default()
    };
    let partial = View {
        accounts: vec![shown(AccountLine { verified: "nothing".into(), ..line("bob.example.com") }, false)],
        total: 1,
        page: 1,
        alerts: vec![alert],
        ..View::default()
    };
    let error = View { trouble: Some(crate::pages::made_up_trouble()), ..View::default() };
    let running = View { claimed: true, jobs: vec![crate::pages::job::made_up(false)], ..View::default() };
    [
        ("empty", View::default()),
        ("loading", running),
        ("partial", partial),
        ("error", error),
        ("success", full),
    ]
    .map(|(state, view)| Sample { page: "home", state, body: body(w, &view) })
    .into()
}
