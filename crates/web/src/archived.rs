//! An archived account as an address names it, and what stands above each of its pages.

use maud::{Markup, html};
use p2pds_syntax::Did;

use crate::ask::Refused;
use crate::parts::{account_path, name};
use crate::web::Web;
use crate::words::Words;

/// The account that a page is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its DID.
    pub did: Did,
    /// Its handle, if it has one.
    pub handle: Option<String>,
}

impl Subject {
    /// The account that a part of an address names: a DID or a handle.
    ///
    /// # Errors
    /// It is not archived.
    pub async fn find(web: &Web, text: &str) -> Result<Self, Refused> {
        let did = web.archive().find_here(text).await.ok().flatten().ok_or(Refused::NotFound)?;
        let account = web.archive().store().account(&did).await;
        let account = account.map_err(p2pds_archive::ArchiveError::from)?.ok_or(Refused::NotFound)?;
        Ok(Self { did, handle: account.handle })
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.handle.as_deref().unwrap_or(self.did.as_str())
    }

    /// The address of one of its pages.
    #[must_use]
    pub fn path(&self, rest: &str) -> String {
        format!("{}{rest}", account_path(self.did.as_str()))
    }

    /// Whether somebody typed its name, to say that he means it.
    #[must_use]
    pub fn is_typed(&self, text: &str) -> bool {
        let text = text.trim().trim_start_matches('@');
        text == self.did.as_str()
            || self.handle.as_deref().is_some_and(|handle| handle.eq_ignore_ascii_case(text))
    }
}

/// The pages of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// How it stands.
    Overview,
    /// Its records, now and before.
    Time,
    /// Its pictures and videos.
    Media,
    /// What drills showed.
    Drills,
    /// Who can move it.
    Identity,
    /// Taking a copy away, and becoming its host.
    Away,
}

impl Tab {
    const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Overview, "tab-overview", ""),
        (Self::Time, "tab-time", "/time"),
        (Self::Media, "tab-media", "/media"),
        (Self::Drills, "tab-drills", "/drills"),
        (Self::Identity, "tab-identity", "/identity"),
        (Self::Away, "tab-away", "/export"),
    ];
}

/// What stands above each page of an account.
#[must_use]
pub fn head(w: &Words, subject: &Subject, tab: Tab, title: &Markup) -> Markup {
    html! {
        nav.crumbs aria-label=(w.t("tab-where")) {
            a href="/" { (w.t("nav-home")) }
            @if tab != Tab::Overview { " › " a href=(subject.path("")) { (name(subject.name())) } }
        }
        h1 { (title) }
        nav.tabs aria-label=(w.t("tab-label")) { ul {
            @for (each, words, rest) in Tab::ALL {
                li { a href=(subject.path(rest)) aria-current=[(each == tab).then_some("page")] { (w.t(words)) } }
            }
        } }
    }
}

/// A made-up account.
#[must_use]
pub fn made_up() -> Subject {
    Subject { did: crate::samples::did(), handle: Some("alice.example.com".to_owned()) }
}
