//! Putting a record of before back where its account lives: with the session that is there, or with an app password that
//! is used once and kept nowhere.

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};
use p2pds_agent::{Need, Secret};
use p2pds_archive::{At, OldRecord};
use p2pds_syntax::{Did, RecordPath};

use super::{View, uri, view};
use crate::archived::Subject;
use crate::args;
use crate::ask::{Ask, Refused, answer};
use crate::form::Fields;
use crate::jobs::{End, Kind};
use crate::layout::Page;
use crate::node_side::Trouble;
use crate::pages::act::{begin, failed};
use crate::pages::time::record_path;
use crate::parts::{self, code};
use crate::web::Web;
use crate::words::{Sentence, Words};

/// How a record can be put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    /// There is a session that may do it.
    pub session: bool,
    /// The account lives on this node.
    pub hosted: bool,
    /// The collection.
    pub collection: String,
    /// Whether pictures and the like go with it.
    pub blobs: bool,
}

impl Restore {
    /// What there is for a record.
    pub(super) async fn of(web: &Web, did: &Did, path: &RecordPath, old: &OldRecord) -> Self {
        let need = need(path.collection(), !old.blobs.is_empty());
        let account = web.archive().store().account(did).await.ok().flatten();
        Self {
            session: web.door().agents().may(did, &need).await.unwrap_or(false),
            hosted: account.is_some_and(|account| account.hosted),
            collection: path.collection().to_owned(),
            blobs: !old.blobs.is_empty(),
        }
    }
}

fn need(collection: &str, blobs: bool) -> Need {
    Need::Restore { collection: collection.to_owned(), blobs }
}

/// The form.
pub(super) fn form(w: &Words, view: &View, old: &OldRecord, restore: &Restore) -> Markup {
    html! {
        h2 { (w.t("restore-title")) }
        p { (w.t("restore-words")) }
        @let lost = old.blobs.iter().filter(|blob| !blob.held).count();
        @if lost > 0 { p { (w.f("restore-lost", args!(count = lost))) } }
        @if restore.hosted { p { (w.t("restore-hosted")) } }
        @else {
            form method="post" action=(view.subject.path("/restore")) {
                (parts::csrf(&view.csrf))
                input type="hidden" name="path" value=(view.path.as_str());
                input type="hidden" name="at" value=(old.as_of.rev);
                @if restore.session { p { (w.t("restore-session")) } }
                @else {
                    div.field {
                        label for="password" { (w.t("restore-password")) span.hint { (w.t("restore-password-hint")) } }
                        input #password name="password" type="password" autocomplete="off" dir="ltr" required;
                    }
                }
                button type="submit" data-confirm=(w.t("restore-sure")) { (w.t("restore-button")) }
            }
            @if !restore.session {
                p { (w.t("restore-or")) }
                (consent(w, view, &restore.collection, restore.blobs))
            }
        }
    }
}

/// The way to let this node write to one collection, with a consent at the account's host.
fn consent(w: &Words, view: &View, collection: &str, blobs: bool) -> Markup {
    let to = record_path(&view.subject, view.path.collection(), view.path.rkey(), &view.at);
    html! {
        form method="post" action=(view.subject.path("/consent")) {
            (parts::csrf(&view.csrf))
            input type="hidden" name="need" value="restore";
            input type="hidden" name="collection" value=(collection);
            @if blobs { input type="hidden" name="blobs" value="1"; }
            input type="hidden" name="to" value=(to);
            button.second type="submit" { (w.t("restore-consent")) " " (code(collection)) }
        }
    }
}

/// `POST /archive/{did}/restore`
pub async fn post(State(web): State<Web>, ask: Ask, Path(did): Path<String>, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let path = RecordPath::parse(&fields.text("path")).map_err(|_| Refused::NotFound)?;
        let address = uri(&subject.did, &path)?;
        let rev = fields.text("at");
        let at = At::parse(&rev)?;
        let password = fields.first("password").filter(|password| !password.is_empty()).map(Secret::new);
        let agent = match &password {
            Some(_) => None,
            None => web
                .door()
                .agents()
                .agent(&subject.did)
                .await
                .map_err(|error| Refused::Trouble(trouble(&error)))?,
        };
        if agent.is_none() && password.is_none() {
            let mut view = view(&web, &ask, subject, path, rev).await?;
            view.trouble = Some(Trouble::of(Sentence::of("restore-needs")));
            let page = Page::new(ask.w.t("record-title"), super::body(&ask.w, &view));
            return Ok(ask.show_as(axum::http::StatusCode::BAD_REQUEST, &page));
        }
        let next = record_path(&subject, path.collection(), path.rkey(), "");
        let (archive, did) = (web.archive().clone(), subject.did.clone());
        begin(&web, &subject, Kind::Restore, move |progress| async move {
            let done = match (agent, password) {
                (Some(agent), _) => archive.put_back_as(&address, Some(at), agent, &progress).await,
                (None, Some(password)) => archive.put_back(&address, Some(at), &password, &progress).await,
                (None, None) => return End::Failed(Trouble::of(Sentence::of("restore-needs"))),
            };
            let old = match done {
                Ok(old) => old,
                Err(error) => return failed(error),
            };
            tracing::info!(event = "history.restored", uri = old.uri, "a record of before was put back");
            // What was written is there already; that it is not fetched yet is no failure.
            if let Err(error) = archive.sync(&did, &progress).await {
                tracing::debug!(event = "web.sync-later", %error, "the new revision is fetched later");
            }
            End::Done { next, words: old.to_string() }
        })
    })
    .await
}

fn trouble(error: &p2pds_agent::SignInError) -> Trouble {
    Trouble::said(error.to_string(), None)
}
