//! How those pages look.

use maud::{Markup, html};
use p2pds_store::hosting::{AuditRow, InviteRow, MailRow};

use super::reports::Reports;
use super::{limits, reports};
use crate::args;
use crate::node_side::{CapacityNote, CheckNote, LimitsNote, SettingNote, Trouble, WorkerNote};
use crate::pages::Sample;
use crate::parts::{self, Tone, code, name, said};
use crate::words::Words;

/// One of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// Workers, room, settings.
    Node,
    /// What is wrong, and how to mend it.
    Doctor,
    /// Hosted accounts.
    Accounts,
    /// Who may sign up.
    Invites,
    /// What people told the operator.
    Reports,
    /// What operators and moderators did.
    Audit,
    /// Mail that waits.
    Mail,
    /// What may be asked how often.
    Limits,
}

impl Tab {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Node,
        Self::Doctor,
        Self::Limits,
        Self::Reports,
        Self::Accounts,
        Self::Invites,
        Self::Audit,
        Self::Mail,
    ];

    /// Its word in addresses.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Doctor => "doctor",
            Self::Accounts => "accounts",
            Self::Invites => "invites",
            Self::Reports => "reports",
            Self::Limits => "limits",
            Self::Audit => "audit",
            Self::Mail => "mail",
        }
    }

    /// By its word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tab| tab.word() == word)
    }

    /// Whether it is about hosted accounts.
    #[must_use]
    pub fn needs_host(self) -> bool {
        matches!(self, Self::Accounts | Self::Invites | Self::Mail)
    }
}

/// What is shown.
#[derive(Debug)]
pub struct View {
    /// The token of forms.
    pub csrf: String,
    /// The page.
    pub tab: Tab,
    /// Accounts are hosted here.
    pub hosting: bool,
    /// Something was done.
    pub done: bool,
    /// Something did not work.
    pub trouble: Option<Trouble>,
    /// What was made: names, passwords, codes.
    pub once: Vec<Once>,
    /// What stands on it.
    pub content: Content,
}

/// Something that was made.
#[derive(Clone, PartialEq, Eq)]
pub struct Once {
    /// The word of what it is.
    pub what: &'static str,
    /// It.
    pub text: String,
}

impl Once {
    pub(super) fn of(what: &'static str, text: impl ToString) -> Self {
        Self { what, text: text.to_string() }
    }
}

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.what)
    }
}

/// What stands on a page.
#[derive(Debug)]
pub enum Content {
    /// See [`Tab::Node`].
    Node {
        /// The workers.
        workers: Vec<WorkerNote>,
        /// The room.
        capacity: Option<CapacityNote>,
        /// The settings.
        settings: Vec<SettingNote>,
    },
    /// See [`Tab::Doctor`].
    Doctor {
        /// What was looked at.
        checks: Vec<CheckNote>,
        /// Also outside.
        network: bool,
    },
    /// See [`Tab::Accounts`].
    Accounts {
        /// The accounts.
        rows: Vec<HostedRow>,
        /// What was searched for.
        email: String,
        /// Where the next page begins.
        next: Option<String>,
    },
    /// See [`Tab::Invites`].
    Invites {
        /// The codes.
        rows: Vec<InviteRow>,
    },
    /// See [`Tab::Reports`].
    Reports(Reports),
    /// See [`Tab::Limits`].
    Limits(LimitsNote),
    /// See [`Tab::Audit`].
    Audit {
        /// The lines.
        rows: Vec<AuditRow>,
    },
    /// See [`Tab::Mail`].
    Mail {
        /// What waits.
        rows: Vec<MailRow>,
        /// Subject and text of the one that is read.
        letter: Option<(String, String)>,
    },
}

/// A hosted account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedRow {
    /// DID.
    pub did: String,
    /// Handle.
    pub handle: Option<String>,
    /// Address.
    pub email: String,
    /// When it was made.
    pub created_at: i64,
    /// The case for which it was taken down.
    pub takedown: Option<String>,
    /// Switched off by its owner.
    pub deactivated: bool,
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        h1 { (w.t("operator-title")) }
        nav.tabs aria-label=(w.t("operator-title")) { ul {
            @for tab in Tab::ALL.into_iter().filter(|tab| view.hosting || !tab.needs_host()) {
                li { a href={ "/operator/" (tab.word()) } aria-current=[(tab == view.tab).then_some("page")] { (w.t(&format!("operator-{}", tab.word()))) } }
            }
        } }
        @if let Some(trouble) = &view.trouble { (parts::trouble(w, trouble)) }
        @if view.done { (parts::notice(Tone::Good, html! {
            p role="status" { (w.t("operator-done")) }
            @for once in &view.once { p { (w.t(once.what)) } p.code-words { (code(&once.text)) } }
            // Codes stand in the list as well.
            @if !view.once.is_empty() { p { (w.t(if view.tab == Tab::Invites { "operator-codes-made" } else { "own-once" })) } }
        })) }
        @match &view.content {
            Content::Node { workers, capacity, settings } => (node(w, view, workers, *capacity, settings)),
            Content::Doctor { checks, network } => (doctor(w, checks, *network)),
            Content::Accounts { rows, email, next } => (accounts(w, view, rows, email, next.as_deref())),
            Content::Invites { rows } => (invites(w, view, rows)),
            Content::Reports(found) => (reports::body(w, view, found)),
            Content::Limits(found) => (limits::body(w, found)),
            Content::Audit { rows } => (audit(w, rows)),
            Content::Mail { rows, letter } => (mail(w, rows, letter.as_ref())),
        }
    }
}

pub(super) fn act(w: &Words, view: &View, what: &str, fields: &Markup, class: &str, words: &str) -> Markup {
    html! {
        form method="post" action={ "/operator/" (view.tab.word()) } {
            (parts::csrf(&view.csrf))
            input type="hidden" name="do" value=(what);
            (fields)
            button class=(class) type="submit" { (w.t(words)) }
        }
    }
}

pub(super) fn hidden(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}

fn field(w: &Words, id: &str, name: &str, key: &str, needed: bool) -> Markup {
    // A case is a text; the rest are names.
    let dir = if name == "reference" { "auto" } else { "ltr" };
    html! { div.field { label for=(id) { (w.t(key)) } input id=(id) name=(name) required[needed] dir=(dir) autocapitalize="none" spellcheck="false" autocomplete="off"; } }
}

pub(super) fn heads(w: &Words, keys: &[&str]) -> Markup {
    html! { thead { tr { @for key in keys { th scope="col" { (w.t(key)) } } } } }
}

fn node(
    w: &Words,
    view: &View,
    workers: &[WorkerNote],
    capacity: Option<CapacityNote>,
    settings: &[SettingNote],
) -> Markup {
    html! {
        @if let Some(room) = capacity {
            h2 { (w.t("add-room-title")) }
            dl.facts {
                dt { (w.t("operator-stored")) } dd { (w.size(room.stored)) }
                dt { (w.t("operator-free")) } dd { (w.f("operator-free-of", args!(free = w.size(room.free), disk = w.size(room.disk), kept = w.size(room.keep_free)))) }
                @if let Some(monthly) = room.monthly { dt { (w.t("operator-monthly")) } dd { (w.size(monthly)) } }
                @if let Some(at) = room.full_at { dt { (w.t("operator-full")) } dd { (w.date(at)) } }
            }
        }
        h2 { (w.t("operator-workers")) }
        @if workers.is_empty() { p { (w.t("operator-workers-none")) } }
        div.scroll tabindex="0" { table.stack {
            (heads(w, &["operator-worker", "operator-state", "operator-next", "own-act"]))
            tbody { @for worker in workers { tr {
                th scope="row" { (name(&worker.name)) }
                td data-label=(w.t("operator-state")) {
                    @if worker.paused { (w.t("home-paused")) } @else { (said(&worker.state)) }
                    @if let Some(error) = &worker.error { br; span.bad-ink { (said(error)) } }
                }
                td data-label=(w.t("operator-next")) { @if let Some(at) = worker.next_at { (w.time(at)) } }
                td {
                    @if worker.paused { (act(w, view, "worker-resume", &hidden("name", &worker.name), "second", "operator-resume")) }
                    @else { (act(w, view, "worker-pause", &hidden("name", &worker.name), "second", "operator-pause")) }
                }
            } } }
        } }
        h2 { (w.t("operator-settings")) }
        p { (w.t("operator-settings-how")) }
        details {
            summary { (w.f("operator-settings-count", args!(count = settings.len()))) }
            div.scroll tabindex="0" { table.stack {
                (heads(w, &["operator-setting", "operator-value", "operator-from"]))
                tbody { @for setting in settings { tr {
                    th scope="row" { (code(&setting.name)) }
                    td data-label=(w.t("operator-value")) { (value(w, &setting.value)) }
                    td data-label=(w.t("operator-from")) { (said(&setting.origin)) }
                } } }
            } }
        }
    }
}

/// What a setting is; what stands for one in brackets is ours to say.
fn value(w: &Words, value: &str) -> Markup {
    match value {
        "(not set)" => html! { (w.t("operator-not-set")) },
        "(hidden)" => html! { (w.t("operator-hidden")) },
        value => name(value),
    }
}

fn doctor(w: &Words, checks: &[CheckNote], network: bool) -> Markup {
    html! {
        p { (w.t("operator-doctor-lead")) }
        @if !network { p { a.button.second href="/operator/doctor?network=1" { (w.t("operator-doctor-network")) } } }
        ul.lights { @for check in checks {
            @let tone = match check.result.as_str() { "ok" => Tone::Good, "warning" => Tone::Warn, "failed" => Tone::Bad, _ => Tone::Unknown };
            li class={ "light " (tone.class()) } {
                (tone.sign())
                span.name { (name(&check.name)) ": " (w.t(&format!("operator-check-{}", tone.class()))) }
                p { (said(&check.words)) }
                @if let Some(fix) = &check.fix { p { (w.t("operator-fix")) " " (said(fix)) } }
            }
        } }
    }
}

fn accounts(w: &Words, view: &View, rows: &[HostedRow], email: &str, next: Option<&str>) -> Markup {
    html! {
        form.row.end method="get" action="/operator/accounts" role="search" {
            div.field { label for="email" { (w.t("operator-search")) } input #email name="email" value=(email) dir="ltr"; }
            button.second type="submit" { (w.t("search")) }
        }
        @if rows.is_empty() { div.empty { p { (w.t(if email.is_empty() { "operator-accounts-empty" } else { "operator-accounts-none" })) } } }
        @for row in rows {
            details.card {
                summary {
                    (name(row.handle.as_deref().unwrap_or(&row.did))) " · " (name(&row.email)) " "
                    @if row.takedown.is_some() { span.tag.bad-ink { (w.t("operator-down")) } }
                    @if row.deactivated { span.tag { (w.t("operator-off")) } }
                }
                p { (code(&row.did)) " · " (w.time(row.created_at)) }
                @if let Some(reference) = &row.takedown { p { (w.t("operator-case")) " " (name(reference)) } }
                div.row.end {
                    @if row.takedown.is_some() { (act(w, view, "show-again", &hidden("subject", &row.did), "second", "operator-show-again")) }
                    @else { (act(w, view, "take-down", &html! { (hidden("subject", &row.did)) (field(w, &format!("case-{}", row.did), "reference", "operator-case", false)) }, "danger", "operator-take-down")) }
                    (act(w, view, "account-password", &hidden("account", &row.did), "second", "operator-password"))
                }
                (act(w, view, "account-delete", &html! { (hidden("account", &row.did)) (field(w, &format!("again-{}", row.did), "again", "operator-again", true)) }, "danger", "own-delete"))
            }
        }
        @if let Some(next) = next { p { a.button.second href={ "/operator/accounts?after=" (next) } { (w.t("more")) } } }
        h2 { (w.t("operator-create")) }
        (act(w, view, "account-create", &html! {
            (field(w, "handle", "handle", "own-handle", true))
            (field(w, "new-email", "email", "sign-up-email", false))
        }, "", "sign-up-button"))
        h2 { (w.t("operator-record")) }
        p { (w.t("operator-record-how")) }
        (act(w, view, "take-down", &html! {
            (field(w, "subject", "subject", "operator-subject", true))
            (field(w, "reference", "reference", "operator-case", false))
        }, "danger", "operator-take-down"))
        (act(w, view, "show-again", &field(w, "subject-again", "subject", "operator-subject", true), "second", "operator-show-again"))
    }
}

fn invites(w: &Words, view: &View, rows: &[InviteRow]) -> Markup {
    html! {
        (act(w, view, "invite-create", &html! {
            div.row {
                div.field { label for="count" { (w.t("operator-codes")) } input #count name="count" type="number" min="1" max="100" value="1" required; }
                div.field { label for="uses" { (w.t("operator-uses")) } input #uses name="uses" type="number" min="1" max="100" value="1" required; }
            }
        }, "", "operator-codes-make"))
        @if rows.is_empty() { div.empty { p { (w.t("operator-codes-none")) } } } @else {
            div.scroll tabindex="0" { table.stack {
                (heads(w, &["operator-code", "operator-used", "own-since", "own-act"]))
                tbody { @for row in rows { tr {
                    th scope="row" { (code(&row.code)) @if row.disabled { " " span.tag { (w.t("operator-off")) } } }
                    td data-label=(w.t("operator-used")) { (w.f("job-of", args!(done = row.used_up(), total = row.uses))) }
                    td data-label=(w.t("own-since")) { (w.time(row.created_at)) }
                    td { @if !row.disabled { (act(w, view, "invite-disable", &hidden("code", &row.code), "second", "operator-switch-off")) } }
                } } }
            } }
        }
    }
}

fn audit(w: &Words, rows: &[AuditRow]) -> Markup {
    html! {
        @if rows.is_empty() { div.empty { p { (w.t("operator-audit-none")) } } } @else {
            div.scroll tabindex="0" { table.stack {
                (heads(w, &["operator-when", "operator-who", "operator-what", "operator-subject"]))
                tbody { @for row in rows { tr {
                    th scope="row" { (w.exact(row.at)) }
                    td data-label=(w.t("operator-who")) { (name(&row.who)) }
                    td data-label=(w.t("operator-what")) { (name(&row.what)) " " (said(&row.detail)) }
                    td data-label=(w.t("operator-subject")) { @if let Some(did) = &row.did { (code(did.as_str())) } " " (name(&row.subject)) }
                } } }
            } }
        }
    }
}

fn mail(w: &Words, rows: &[MailRow], letter: Option<&(String, String)>) -> Markup {
    html! {
        p { (w.t("operator-mail-lead")) }
        @if let Some((subject, text)) = letter { div.card { h2 { (name(subject)) } pre dir="auto" translate="no" { (text) } } }
        @if rows.is_empty() { div.empty { p { (w.t("operator-mail-none")) } } } @else {
            div.scroll tabindex="0" { table.stack {
                (heads(w, &["operator-to", "operator-what", "own-since", "operator-state"]))
                tbody { @for row in rows { tr {
                    th scope="row" { a href={ "/operator/mail?read=" (row.id) } { (name(&row.to)) } }
                    td data-label=(w.t("operator-what")) { (name(&row.kind)) }
                    td data-label=(w.t("own-since")) { (w.time(row.created_at)) }
                    td data-label=(w.t("operator-state")) { @match &row.last_error { Some(error) => (said(error)), None => (w.t("operator-mail-waits")) } }
                } } }
            } }
        }
    }
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    use crate::samples::{NOW, did};
    let make = |tab, content| View {
        csrf: "t".into(),
        tab,
        hosting: true,
        done: false,
        trouble: None,
        once: Vec::new(),
        content,
    };
    let worker = |paused| WorkerNote {
        name: "sync".into(),
        state: "waits".into(),
        paused,
        error: Some("the host is silent".into()),
        next_at: Some(NOW),
    };
    let room = CapacityNote {
        stored: 1,
        free: 2_000_000,
        disk: 3_000_000,
        keep_free: 4,
        monthly: Some(5),
        full_at: Some(NOW),
    };
    let setting = SettingNote { name: "http.port".into(), value: "3000".into(), origin: "default".into() };
    let node = Content::Node {
        workers: vec![worker(true), worker(false)],
        capacity: Some(room),
        settings: vec![setting],
    };
    let check = |result: &str| CheckNote {
        name: "disk".into(),
        result: result.into(),
        words: "there is room".into(),
        fix: Some("make room".into()),
    };
    let doctor =
        Content::Doctor { checks: ["ok", "warning", "failed", "skipped"].map(check).into(), network: false };
    let hosted = HostedRow {
        did: did().to_string(),
        handle: Some("alice.example.com".into()),
        email: "a@example.com".into(),
        created_at: NOW,
        takedown: None,
        deactivated: true,
    };
    let down = HostedRow {
        takedown: Some("case 1".into()),
        deactivated: false,
        did: "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa".into(),
        ..hosted.clone()
    };
    let accounts =
        Content::Accounts { rows: vec![hosted, down], email: String::new(), next: Some("did:plc:x".into()) };
    let code = InviteRow {
        code: "abc".into(),
        uses: 1,
        disabled: false,
        for_account: "admin".into(),
        created_by: "admin".into(),
        created_at: NOW,
        used: Vec::new(),
        forgotten: 0,
    };
    let audit = AuditRow {
        id: 1,
        at: NOW,
        who: "operator".into(),
        what: "deleteAccount".into(),
        did: Some(did()),
        subject: String::new(),
        detail: "gone".into(),
    };
    let letter = MailRow {
        id: 1,
        did: None,
        to: "a@example.com".into(),
        kind: "confirm".into(),
        sealed: Vec::new(),
        created_at: NOW,
        next_at: NOW,
        expires_at: NOW,
        tries: 1,
        last_error: Some("refused".into()),
        given_up_at: None,
    };
    let empty = [
        make(Tab::Accounts, Content::Accounts { rows: Vec::new(), email: "x".into(), next: None }),
        make(Tab::Accounts, Content::Accounts { rows: Vec::new(), email: String::new(), next: None }),
        make(Tab::Invites, Content::Invites { rows: Vec::new() }),
        make(Tab::Audit, Content::Audit { rows: Vec::new() }),
        make(Tab::Reports, Content::Reports(Reports::default())),
        make(Tab::Limits, Content::Limits(LimitsNote::default())),
        make(Tab::Mail, Content::Mail { rows: Vec::new(), letter: None }),
        make(Tab::Node, Content::Node { workers: Vec::new(), capacity: None, settings: Vec::new() }),
    ];
    let full = [
        make(Tab::Node, node),
        make(Tab::Doctor, doctor),
        View {
            done: true,
            once: vec![Once::of("own-handle-made", "a.example.com"), Once::of("log-in-password", "abc")],
            ..make(Tab::Accounts, accounts)
        },
        View {
            done: true,
            once: vec![Once::of("operator-code", "abc")],
            ..make(Tab::Invites, Content::Invites { rows: vec![code] })
        },
        make(Tab::Audit, Content::Audit { rows: vec![audit] }),
        make(Tab::Reports, Content::Reports(reports::made_up())),
        make(Tab::Limits, Content::Limits(limits::made_up())),
        make(
            Tab::Mail,
            Content::Mail { rows: vec![letter], letter: Some(("Confirm".into(), "text".into())) },
        ),
    ];
    let error = View {
        trouble: Some(crate::pages::made_up_trouble()),
        ..make(Tab::Audit, Content::Audit { rows: Vec::new() })
    };
    let of = |state: &'static str, view: &View| Sample { page: "operator", state, body: body(w, view) };
    let mut all: Vec<Sample> = empty.iter().map(|view| of("empty", view)).collect();
    all.extend(full.iter().map(|view| of("success", view)));
    all.push(of("error", &error));
    all
}
