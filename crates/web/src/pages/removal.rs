//! For everybody: how to have one's data removed from here, and a form that tells the operator. What is answered is the
//! same whether or not an account is here.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use p2pds_store::StoreError;
use p2pds_store::hosting::{CONTACT_BYTES, ReportRow, keep_report, words_fit};
use p2pds_syntax::{AtIdentifier, AtUri, Did};

use crate::ask::{Ask, Refused, answer};
use crate::browser::Browser;
use crate::door::Try;
use crate::form::Fields;
use crate::layout::Page;
use crate::pages::Sample;
use crate::parts::{self, Tone, name};
use crate::query;
use crate::web::Web;
use crate::words::Words;

/// What a report of a stranger may be about; the first is what most want.
pub(crate) const KINDS: [&str; 3] = ["removal", "unlawful", "other"];

/// What is shown.
#[derive(Debug, Default, Clone)]
pub struct View {
    /// The token of forms.
    pub csrf: String,
    /// How the operator is reached.
    pub contact: Option<String>,
    /// What was sent is kept.
    pub done: bool,
    /// Why it is not.
    pub wrong: Option<Wrong>,
    /// What was typed.
    pub typed: Typed,
}

/// What was typed.
#[derive(Debug, Default, Clone)]
pub struct Typed {
    /// The account, or the address of a record.
    pub account: String,
    /// What it is about.
    pub kind: String,
    /// The words.
    pub words: String,
    /// How to be answered.
    pub answer: String,
}

/// Why a report is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// No account was named.
    Account,
    /// The words are too long.
    Words,
    /// The address to answer to is too long.
    Answer,
    /// Too many wait already.
    Full,
}

impl Wrong {
    const ALL: [Self; 4] = [Self::Account, Self::Words, Self::Answer, Self::Full];

    fn key(self) -> &'static str {
        match self {
            Self::Account => "remove-wrong-account",
            Self::Words => "remove-wrong-words",
            Self::Answer => "remove-wrong-answer",
            Self::Full => "remove-wrong-full",
        }
    }

    fn status(self) -> StatusCode {
        if self == Self::Full { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST }
    }
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    if view.done {
        return done(w, view);
    }
    html! {
        h1 { (w.t("remove-title")) }
        p { (w.t("remove-lead")) }
        ol {
            li { (w.t("remove-delete")) }
            li { (w.t("remove-declare")) " " (parts::code("org.user-intents.declaration")) }
            li {
                a href="#form" { (w.t("remove-ask-form")) }
                @if let Some(contact) = &view.contact { " " (w.t("remove-done-contact")) " " (name(contact)) }
            }
        }
        p { (w.t("remove-soon")) }
        h2 #form { (w.t("remove-form")) }
        p { (w.t("remove-form-lead")) }
        (form(w, view))
    }
}

fn form(w: &Words, view: &View) -> Markup {
    let typed = &view.typed;
    let wrong = |which: Wrong| (view.wrong == Some(which)).then_some("true");
    html! {
        @if let Some(wrong) = view.wrong { p.wrong role="alert" { (w.t(wrong.key())) } }
        form method="post" action="/remove-me" {
            (parts::csrf(&view.csrf))
            div.field {
                label for="account" { (w.t("remove-account")) span.hint { (w.t("remove-account-hint")) } }
                input #account name="account" required dir="ltr" autocomplete="off" autocapitalize="none" spellcheck="false"
                    value=(typed.account) aria-invalid=[wrong(Wrong::Account)];
            }
            div.field {
                label for="about" { (w.t("remove-about")) }
                select #about name="about" { @for kind in KINDS {
                    option value=(kind) selected[typed.kind == kind] { (w.t(&format!("remove-about-{kind}"))) }
                } }
            }
            div.field {
                label for="words" { (w.t("remove-words")) span.hint { (w.t("remove-words-hint")) } }
                textarea #words name="words" dir="auto" rows="5" aria-invalid=[wrong(Wrong::Words)] { (typed.words) }
            }
            div.field {
                label for="answer" { (w.t("remove-answer")) span.hint { (w.t("remove-answer-hint")) } }
                input #answer name="answer" dir="ltr" autocomplete="email" autocapitalize="none" spellcheck="false"
                    value=(typed.answer) aria-invalid=[wrong(Wrong::Answer)];
            }
            button type="submit" { (w.t("remove-send")) }
        }
    }
}

fn done(w: &Words, view: &View) -> Markup {
    html! {
        h1 { (w.t("remove-done-title")) }
        (parts::notice(Tone::Good, html! { p role="status" { (w.t("remove-done")) } }))
        ul {
            li { (w.t("remove-done-read")) }
            li { (w.t("remove-done-answer")) }
            li { (w.t("remove-done-kept")) }
            li { (w.t("remove-done-delete")) }
        }
        @if let Some(contact) = &view.contact { p { (w.t("remove-done-contact")) " " (name(contact)) } }
    }
}

fn page(ask: &Ask, view: &View) -> Page {
    let title = if view.done { "remove-done-title" } else { "remove-title" };
    Page::new(ask.w.t(title), body(&ask.w, view))
}

fn view(web: &Web, ask: &Ask) -> View {
    View { csrf: ask.frame.csrf.clone(), contact: web.config().contact.clone(), ..View::default() }
}

/// `GET /remove-me`
pub async fn show(State(web): State<Web>, ask: Ask, RawQuery(asked): RawQuery) -> Response {
    answer(&ask, async {
        let done = query::text(asked.as_deref(), "done").is_some();
        Ok(ask.show(&page(&ask, &View { done, ..view(&web, &ask) })))
    })
    .await
}

/// `POST /remove-me`
pub async fn post(State(web): State<Web>, ask: Ask, browser: Browser, fields: Fields) -> Response {
    answer(&ask, async {
        browser.may_try(&web, Try::Report)?;
        let kind = fields.text("about");
        let typed = Typed {
            account: fields.text("account"),
            kind: KINDS.iter().find(|known| **known == kind).map_or("other", |known| known).to_owned(),
            words: fields.text("words").replace("\r\n", "\n"),
            answer: fields.text("answer"),
        };
        match keep(&web, &typed).await? {
            Ok(()) => Ok(Ask::go("/remove-me?done=1")),
            Err(wrong) => {
                let view = View { wrong: Some(wrong), typed, ..view(&web, &ask) };
                Ok(ask.show_as(wrong.status(), &page(&ask, &view)))
            }
        }
    })
    .await
}

async fn keep(web: &Web, typed: &Typed) -> Result<Result<(), Wrong>, Refused> {
    let Some((whose, subject)) = subject(&typed.account) else { return Ok(Err(Wrong::Account)) };
    if !words_fit(&typed.words) {
        return Ok(Err(Wrong::Words));
    }
    if typed.answer.len() > CONTACT_BYTES || typed.answer.chars().any(char::is_control) {
        return Ok(Err(Wrong::Answer));
    }
    let did: Option<Did> = match &whose {
        AtIdentifier::Did(did) => Some(did.clone()),
        // What is stored decides; nobody is asked because a stranger typed something.
        AtIdentifier::Handle(handle) => web.archive().find_here(handle.as_str()).await?,
    };
    let row = ReportRow {
        id: 0,
        at: web.now(),
        by: None,
        contact: typed.answer.clone(),
        did,
        subject,
        cid: None,
        kind: typed.kind.clone(),
        words: typed.words.clone(),
        closed: None,
    };
    match keep_report(web.archive().store().as_ref(), row).await {
        Ok(Some(_)) => Ok(Ok(())),
        // To a stranger a full disk is a full list.
        Ok(None) | Err(StoreError::DiskFull { .. }) => Ok(Err(Wrong::Full)),
        Err(error) => Err(error.into()),
    }
}

/// Whose it is, and what is kept of it: an account, or the address of a record.
fn subject(text: &str) -> Option<(AtIdentifier, String)> {
    if let Ok(uri) = AtUri::parse(text) {
        let whose = AtIdentifier::parse(&uri.authority().to_string()).ok()?;
        return Some((whose, uri.to_string()));
    }
    let bare = text.strip_prefix('@').unwrap_or(text);
    let whose = AtIdentifier::parse(bare).ok()?;
    let text = whose.to_string();
    Some((whose, text))
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let contact = Some("op@example.com".to_owned());
    let typed = Typed {
        account: "alice.example.com".into(),
        kind: "unlawful".into(),
        words: "A picture of me.\nI did not allow it.".into(),
        answer: "alice@example.com".into(),
    };
    let of = |state, view: &View| Sample { page: "remove-me", state, body: body(w, view) };
    let asked = View { csrf: "t".into(), contact: contact.clone(), ..View::default() };
    let mut all = vec![
        of("empty", &View { csrf: "t".into(), ..View::default() }),
        of("partial", &asked),
        of("success", &View { done: true, ..asked.clone() }),
    ];
    all.extend(
        Wrong::ALL
            .map(|wrong| of("error", &View { wrong: Some(wrong), typed: typed.clone(), ..asked.clone() })),
    );
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_and_records_are_named() {
        let of = |text: &str| subject(text).map(|(whose, kept)| (whose.to_string(), kept));
        let same =
            |text: &str, name: &str| assert_eq!(of(text), Some((name.to_owned(), name.to_owned())), "{text}");
        same("alice.example.com", "alice.example.com");
        same("@alice.example.com", "alice.example.com");
        same("did:plc:z72i7hdynmk6r22z27h6tvur", "did:plc:z72i7hdynmk6r22z27h6tvur");
        let record = "at://alice.example.com/app.bsky.feed.post/3k";
        assert_eq!(of(record), Some(("alice.example.com".to_owned(), record.to_owned())));
        for wrong in ["", "@", "alice", "https://example.com/alice", "at://", "did:plc:", "a b.example"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
