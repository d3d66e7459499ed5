//! What every handler of a page is given: the words, the frame, who asks; and how it answers.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use crate::args;
use crate::door::{Visitor, Who};
use crate::layout::{Frame, Page, document};
use crate::node_side::Trouble;
use crate::pages::nowhere;
use crate::parts;
use crate::web::Web;
use crate::words::{LANGUAGE_COOKIE, Negotiated, Sentence, Words};

/// A request for a page.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The words of its language.
    pub w: Words,
    /// What stands around the page.
    pub frame: Frame,
    /// Who asks.
    pub visitor: Visitor,
    /// The language was chosen just now.
    chosen: bool,
}

impl FromRequestParts<Web> for Ask {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Infallible> {
        let language = Negotiated::of(parts.uri.query(), &parts.headers);
        let visitor = Visitor::from_request_parts(parts, web).await?;
        let frame = Frame {
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            owner: visitor.who != Who::Nobody,
            signed_in: visitor.name.clone(),
            csrf: visitor.csrf.clone(),
            hosting: web.host().is_some(),
        };
        Ok(Self { w: Words::new(language.locale, web.now()), frame, visitor, chosen: language.chosen })
    }
}

impl Ask {
    /// Whether the asker runs this node: its owner, or whoever has just claimed it.
    ///
    /// # Errors
    /// What he is shown instead: the way to sign in.
    pub fn operator(&self) -> Result<(), Refused> {
        match self.visitor.who {
            Who::Claimant | Who::Owner(_) => Ok(()),
            Who::Nobody => Err(Refused::SignIn(self.frame.path.clone())),
        }
    }

    /// The answer: a whole document.
    #[must_use]
    pub fn show(&self, page: &Page) -> Response {
        self.show_as(StatusCode::OK, page)
    }

    /// The answer with another status.
    #[must_use]
    pub fn show_as(&self, status: StatusCode, page: &Page) -> Response {
        let mut response = (status, document(&self.w, &self.frame, page)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::VARY, HeaderValue::from_static("Cookie, Accept-Language"));
        if self.chosen {
            let kept = format!(
                "{LANGUAGE_COOKIE}={}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly",
                self.w.locale().tag()
            );
            if let Ok(value) = HeaderValue::try_from(kept) {
                headers.append(header::SET_COOKIE, value);
            }
        }
        response
    }

    /// A page that says what did not work.
    #[must_use]
    pub fn trouble(&self, status: StatusCode, trouble: &Trouble) -> Response {
        let title = self.w.t("error-title");
        let body = html! { h1 { (title) } (parts::trouble(&self.w, trouble)) };
        self.show_as(status, &Page::new(title, body))
    }

    /// There is no such page.
    #[must_use]
    pub fn not_found(&self) -> Response {
        nowhere::page(self, StatusCode::NOT_FOUND)
    }

    /// Too much was tried: come back later.
    fn wait(&self, seconds: u64) -> Response {
        let title = self.w.t("error-title");
        let said = self.w.f("sign-in-wait", args!(minutes = seconds.div_ceil(60)));
        let body = html! { h1 { (title) } p role="alert" { (said) } };
        let mut response = self.show_as(StatusCode::TOO_MANY_REQUESTS, &Page::new(title, body));
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        response
    }

    /// The answer to a form that worked: another page, asked for anew.
    #[must_use]
    pub fn go(to: &str) -> Response {
        Redirect::to(to).into_response()
    }
}

/// Why a page is not shown.
#[derive(Debug)]
pub enum Refused {
    /// Whoever asks must sign in; where he wanted to go.
    SignIn(String),
    /// It did not work.
    Trouble(Trouble),
    /// There is no such thing.
    NotFound,
    /// Too much was tried from there: for so many seconds.
    Wait(u64),
}

impl Refused {
    /// As a page of whoever asked.
    #[must_use]
    pub fn page(self, ask: &Ask) -> Response {
        match self {
            // Accounts that live here sign in at their own page, and not as the owner of the node.
            Self::SignIn(path) if path == "/account" || path.starts_with("/account/") => Ask::go("/account"),
            Self::SignIn(path) => {
                let to: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
                Ask::go(&format!("/sign-in?to={to}"))
            }
            Self::Trouble(trouble) => ask.trouble(StatusCode::SERVICE_UNAVAILABLE, &trouble),
            Self::NotFound => ask.not_found(),
            Self::Wait(seconds) => ask.wait(seconds),
        }
    }
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<p2pds_archive::ArchiveError> for Trouble {
    fn from(error: p2pds_archive::ArchiveError) -> Self {
        let sentence = crate::refused::by_archive(&error);
        Self { message: error.to_string(), hint: error.hint().map(|hint| hint.to_string()), sentence }
    }
}

impl From<p2pds_recovery::RecoveryError> for Trouble {
    fn from(error: p2pds_recovery::RecoveryError) -> Self {
        let sentence = match &error {
            p2pds_recovery::RecoveryError::Archive(error) => crate::refused::by_archive(error),
            _ => None,
        };
        Self { message: error.to_string(), hint: error.hint().map(|hint| hint.to_string()), sentence }
    }
}

impl From<p2pds_host::HostError> for Trouble {
    fn from(error: p2pds_host::HostError) -> Self {
        let sentence = crate::refused::by_host(&error);
        Self { message: error.message, hint: None, sentence }
    }
}

impl From<crate::jobs::Busy> for Trouble {
    fn from(_: crate::jobs::Busy) -> Self {
        Self::of(Sentence::of("refused-busy"))
    }
}

impl From<p2pds_store::StoreError> for Refused {
    fn from(error: p2pds_store::StoreError) -> Self {
        Self::Trouble(Trouble::said(error.to_string(), None))
    }
}

impl From<p2pds_archive::ArchiveError> for Refused {
    fn from(error: p2pds_archive::ArchiveError) -> Self {
        match error.kind() {
            p2pds_syntax::ErrorKind::NotFound => Self::NotFound,
            _ => Self::Trouble(error.into()),
        }
    }
}

/// What the door to stored bytes refuses the operator is absent or wrong.
pub(crate) fn refused(refusal: p2pds_reading::Refusal) -> Refused {
    match refusal.kind() {
        p2pds_syntax::ErrorKind::NotFound => Refused::NotFound,
        _ => Refused::Trouble(Trouble::said(refusal.to_string(), None)),
    }
}

/// What handlers answer: a page, or why not.
pub type Shown = Result<Response, Refused>;

/// Runs a handler's work and turns what stands in its way into a page.
pub async fn answer(ask: &Ask, work: impl Future<Output = Shown>) -> Response {
    match work.await {
        Ok(response) => response,
        Err(refused) => refused.page(ask),
    }
}
