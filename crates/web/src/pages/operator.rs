//! For whoever runs the node: what runs and how it is set, who lives here, invites, moderation, mail, the doctor.

mod act;
mod limits;
mod reports;
mod view;

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use p2pds_store::hosting::InviteOrder;

use crate::ask::{Ask, Refused, answer};
use crate::layout::Page;
use crate::query;
use crate::web::Web;

pub use act::post;
pub use reports::{Here, Report, Reports};
pub use view::{Content, HostedRow, Tab, View, body, samples};

/// The key of the sentence about a limit, by the limit's name in metrics.
#[must_use]
pub fn limit_key(limit: &str) -> String {
    limits::key(limit)
}

/// Lines on a page.
const MOST: usize = 100;

/// `GET /operator`
pub async fn first(web: State<Web>, ask: Ask, asked: RawQuery) -> Response {
    show(web, ask, Path("node".to_owned()), asked).await
}

/// `GET /operator/{tab}`
pub async fn show(
    State(web): State<Web>,
    ask: Ask,
    Path(tab): Path<String>,
    RawQuery(asked): RawQuery,
) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let tab = Tab::parse(&tab)
            .filter(|tab| web.host().is_some() || !tab.needs_host())
            .ok_or(Refused::NotFound)?;
        let done = query::text(asked.as_deref(), "done").is_some();
        let view = View {
            csrf: ask.frame.csrf.clone(),
            tab,
            hosting: web.host().is_some(),
            done,
            trouble: None,
            once: Vec::new(),
            content: content(&web, tab, asked.as_deref()).await?,
        };
        Ok(ask.show(&Page::new(ask.w.t("operator-title"), body(&ask.w, &view))))
    })
    .await
}

async fn content(web: &Web, tab: Tab, asked: Option<&str>) -> Result<Content, Refused> {
    let host = || web.host().ok_or(Refused::NotFound);
    Ok(match tab {
        Tab::Node => Content::Node {
            workers: web.node().workers().await?,
            capacity: web.node().capacity().await.ok(),
            settings: web.node().settings(),
        },
        Tab::Doctor => {
            let network = query::text(asked, "network").is_some();
            Content::Doctor { checks: web.node().doctor(network).await?, network }
        }
        Tab::Accounts => {
            let email = query::text(asked, "email");
            let after = query::text(asked, "after").and_then(|text| p2pds_syntax::Did::parse(&text).ok());
            let only = query::text(asked, "did").and_then(|text| p2pds_syntax::Did::parse(&text).ok());
            let found = match &only {
                Some(did) => vec![host()?.account_info(did).await?],
                None => host()?.accounts_page(email.as_deref(), after.as_ref(), MOST).await?,
            };
            let next =
                (found.len() == MOST).then(|| found.last().map(|info| info.login.did.to_string())).flatten();
            let rows = found.into_iter().map(|info| HostedRow {
                did: info.login.did.to_string(),
                handle: info.account.handle,
                email: info.login.email,
                created_at: info.login.created_at,
                takedown: info.login.takedown,
                deactivated: info.login.deactivated_at.is_some(),
            });
            Content::Accounts { rows: rows.collect(), email: email.unwrap_or_default(), next }
        }
        Tab::Invites => Content::Invites { rows: host()?.invites(InviteOrder::Recent, None, MOST).await? },
        Tab::Reports => Content::Reports(reports::read(web).await?),
        Tab::Limits => Content::Limits(web.node().limits()),
        Tab::Audit => Content::Audit { rows: web.archive().store().audits(None, None, MOST).await? },
        Tab::Mail => {
            let rows = host()?.mail_list(MOST).await?;
            let read = query::number(asked, "read").and_then(|id| i64::try_from(id).ok());
            let letter = match read {
                Some(id) => host()?
                    .mail_show(id)
                    .await?
                    .and_then(|mail| mail.words)
                    .map(|words| (words.subject, words.text)),
                None => None,
            };
            Content::Mail { rows, letter }
        }
    })
}
