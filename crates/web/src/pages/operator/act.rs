//! What the forms of those pages do. Whatever changes an account is in the audit log, as from the command line.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use p2pds_host::accounts::{ADMIN, By, NewAccount, Subject};
use p2pds_host::passwords::random_base32;
use p2pds_host::{Host, HostError};
use p2pds_syntax::{AtUri, RecordPath};

use super::view::{Once, Tab, View, body};
use super::{content, reports};
use crate::ask::{Ask, Refused, answer};
use crate::form::Fields;
use crate::layout::Page;
use crate::node_side::Trouble;
use crate::pages::hosted::whole_handle;
use crate::web::Web;

/// Most invite codes at a time.
const MOST_CODES: usize = 100;

/// `POST /operator/{tab}`: the field `do` says what.
pub async fn post(State(web): State<Web>, ask: Ask, Path(tab): Path<String>, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let tab = Tab::parse(&tab).ok_or(Refused::NotFound)?;
        match act(&web, &fields).await {
            Ok(once) if once.is_empty() => Ok(Ask::go(&format!("/operator/{}?done=1", tab.word()))),
            outcome => {
                let (once, trouble) = match outcome {
                    Ok(once) => (once, None),
                    Err(trouble) => (Vec::new(), Some(trouble)),
                };
                let status = if trouble.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
                let view = View {
                    csrf: ask.frame.csrf.clone(),
                    tab,
                    hosting: web.host().is_some(),
                    done: trouble.is_none(),
                    trouble,
                    once,
                    content: content(&web, tab, None).await?,
                };
                Ok(ask.show_as(status, &Page::new(ask.w.t("operator-title"), body(&ask.w, &view))))
            }
        }
    })
    .await
}

/// Does it; what is shown once.
async fn act(web: &Web, fields: &Fields) -> Result<Vec<Once>, Trouble> {
    let what = fields.text("do");
    if let "worker-pause" | "worker-resume" = what.as_str() {
        web.node().pause_worker(&fields.text("name"), what == "worker-pause").await?;
        return Ok(Vec::new());
    }
    if what.starts_with("report-") {
        return reports::act(web, &what, fields).await.map(|()| Vec::new());
    }
    let Some(host) = web.host() else { return Err(nobody()) };
    Ok(hosting(host, &what, fields).await?)
}

fn nobody() -> Trouble {
    Trouble::said("this node hosts no accounts", None)
}

async fn hosting(host: &Host, what: &str, fields: &Fields) -> Result<Vec<Once>, HostError> {
    let by = By::Operator;
    match what {
        "account-create" => {
            let password = random_base32(24)?;
            let email = Some(fields.text("email")).filter(|text| !text.is_empty());
            let asked = NewAccount {
                handle: whole_handle(&fields.text("handle"), &host.config().handle_domains),
                email,
                password: Some(password.clone()),
                invite_code: None,
                recovery_key: None,
                did: None,
                requester: None,
                by,
            };
            let made = host.create_account(asked).await?;
            Ok(vec![Once::of("own-handle-made", made.account.handle), Once::of("log-in-password", password)])
        }
        "account-password" => {
            let did = host.hosted_account(&fields.text("account")).await?;
            let password = random_base32(24)?;
            host.admin_set_password(&by, &did, &password).await?;
            Ok(vec![Once::of("operator-password", password)])
        }
        "account-delete" => {
            let did = host.hosted_account(&fields.text("account")).await?;
            if fields.text("again") != fields.text("account") {
                return Err(HostError::invalid("type the account's DID once more: nothing was deleted"));
            }
            host.admin_delete_account(&by, &did).await?;
            Ok(Vec::new())
        }
        "take-down" | "show-again" => {
            let subject = subject(host, &fields.text("subject")).await?;
            if what == "take-down" {
                let reference = Some(fields.text("reference")).filter(|text| !text.is_empty());
                host.take_down(&by, &subject, reference.as_deref()).await?;
            } else {
                host.restore(&by, &subject).await?;
            }
            Ok(Vec::new())
        }
        "invite-create" => {
            let number =
                |name: &str| fields.text(name).parse::<usize>().ok().filter(|n| (1..=MOST_CODES).contains(n));
            let (Some(count), Some(uses)) = (number("count"), number("uses")) else {
                return Err(HostError::invalid(
                    "say how many codes, and for how many accounts each, between 1 and 100",
                ));
            };
            let uses = u32::try_from(uses).unwrap_or(1);
            let made = host.create_invites(&by, &[ADMIN.to_owned()], count, uses).await?;
            Ok(made.into_iter().flat_map(|of| of.codes).map(|code| Once::of("operator-code", code)).collect())
        }
        "invite-disable" => {
            host.disable_invites(&by, vec![fields.text("code")], Vec::new()).await?;
            Ok(Vec::new())
        }
        _ => Err(HostError::invalid("this form is of another version of this page: load the page again")),
    }
}

/// An account, or a record by its AT-URI.
async fn subject(host: &Host, text: &str) -> Result<Subject, HostError> {
    let none = || HostError::invalid("name an account, or a record by its AT-URI");
    if !text.starts_with("at://") {
        return Ok(Subject::Account(host.hosted_account(text).await?));
    }
    let uri = AtUri::parse(text).map_err(|_| none())?;
    let did = host.hosted_account(&uri.authority().to_string()).await?;
    let (collection, rkey) = uri.collection().zip(uri.rkey()).ok_or_else(none)?;
    Ok(Subject::Record(did, RecordPath::new(collection, rkey)))
}
