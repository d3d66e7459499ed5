//! The page of a hosted account's owner: everything about it, and everything that can be done with it.

mod act;
mod view;

use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use p2pds_reading::Viewer;

use crate::ask::{Ask, Refused, answer};
use crate::browser::Browser;
use crate::layout::Page;
use crate::query;
use crate::web::Web;

pub use act::post;
pub use view::{DONE, Secret, View, body, samples};

/// `GET /account/{did}`
pub async fn show(
    State(web): State<Web>,
    ask: Ask,
    browser: Browser,
    Path(did): Path<String>,
    RawQuery(asked): RawQuery,
) -> Response {
    answer(&ask, async {
        let done = query::text(asked.as_deref(), "done");
        let done = DONE.iter().find(|known| done.as_deref() == Some(known)).copied();
        let view = View { done, ..gather(&web, &ask, &browser, &did).await? };
        Ok(ask.show(&Page::new(ask.w.t("own-title"), body(&ask.w, &view))))
    })
    .await
}

/// The page with something on it that is shown once, or with what did not work.
fn with(ask: &Ask, view: &View) -> Response {
    let status = if view.trouble.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    ask.show_as(status, &Page::new(ask.w.t("own-title"), body(&ask.w, view)))
}

/// All that the page shows.
async fn gather(web: &Web, ask: &Ask, browser: &Browser, did: &str) -> Result<View, Refused> {
    let (did, account) = browser.account(web, did).await?;
    let (host, oauth) = (web.host().ok_or(Refused::NotFound)?, web.oauth().ok_or(Refused::NotFound)?);
    let here = browser.known(web).await?;
    let factors = host.factors(&did).await?;
    let passkey = host.begin_passkey(&did).await.ok().map(|options| options.to_string());
    let devices = oauth.devices(&did).await?;
    Ok(View {
        csrf: ask.frame.csrf.clone(),
        account,
        devices: devices.into_iter().map(|device| (here.as_ref() == Some(&device.id), device)).collect(),
        grants: oauth.grants(&did).await?,
        app_passwords: host.app_passwords(&did).await?,
        factors,
        passkey,
        domains: host.config().handle_domains.clone(),
        secret: None,
        done: None,
        trouble: None,
    })
}

/// `GET /account/{did}/repo.car`: all records, signed, as other servers take them.
pub async fn car(State(web): State<Web>, ask: Ask, browser: Browser, Path(did): Path<String>) -> Response {
    answer(&ask, async {
        let (did, _) = browser.account(&web, &did).await?;
        let host = web.host().ok_or(Refused::NotFound)?;
        let reading = host.reading();
        let trouble = |refusal: p2pds_reading::Refusal| {
            Refused::Trouble(crate::node_side::Trouble::said(refusal.to_string(), None))
        };
        let seen = reading.view(Viewer::Operator, &did).await.map_err(trouble)?;
        let name = format!("attachment; filename=\"{}.car\"", seen.head.rev);
        let pieces = reading.car(Viewer::Operator, seen, None).await.map_err(trouble)?;
        let body = axum::body::Body::from_stream(pieces);
        let headers = [
            (header::CONTENT_TYPE, "application/vnd.ipld.car".to_owned()),
            (header::CONTENT_DISPOSITION, name),
        ];
        Ok((headers, body).into_response())
    })
    .await
}
