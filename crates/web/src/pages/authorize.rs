//! An application asks for access to a hosted account: who are you, and do you agree?
//!
//! What it asks for stands there in words, each thing on a line of its own that can be refused, except the proof of who
//! the account is, without which there is nothing to agree to.

mod view;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect as Send, Response};
use maud::{Markup, html};
use p2pds_oauth::scope::{PermissionSet, Scope, Scopes};
use p2pds_oauth::{
    Authorization, Begun, Factor, FactorAsked, LogIn, LoginRefused, Mode, OAuth, Prompt, Prove, Redirect,
};
use p2pds_syntax::{Did, Nsid};
use zeroize::Zeroizing;

use crate::ask::{Ask, Refused, answer};
use crate::browser::{Browser, keep};
use crate::form::Fields;
use crate::layout::Page;
use crate::parts::said;
use crate::query;
use crate::web::Web;
use crate::words::Words;

pub use view::{Asked, Line, Step, View, samples};
pub(crate) use view::{factor_forms, sign_in_fields};

/// `GET /oauth/authorize`
pub async fn show(State(web): State<Web>, ask: Ask, browser: Browser, RawQuery(asked): RawQuery) -> Response {
    answer(&ask, async {
        let oauth = web.oauth().ok_or(Refused::NotFound)?;
        let asked = asked.as_deref();
        let (Some(client), Some(uri)) = (query::text(asked, "client_id"), query::text(asked, "request_uri"))
        else {
            return Ok(wrong(&ask, &html! { (ask.w.t("authorize-incomplete")) }));
        };
        let (device, cookie) = match browser.with_request(&web, &client, &uri).await? {
            Ok(known) => known,
            Err(error) => return Ok(wrong(&ask, &said(&error.to_string()))),
        };
        let begun = match oauth.begin(&client, &uri, &device).await {
            Ok(begun) => begun,
            Err(error) => return Ok(keep(wrong(&ask, &said(&error.to_string())), cookie)),
        };
        let response = match begun {
            Begun::Redirect(redirect) => sent(&ask, &redirect),
            Begun::Show(authorization) => {
                let chosen = query::text(asked, "account");
                let step = step(&authorization, chosen.as_deref());
                page(&ask, &authorization, step)
            }
        };
        Ok(keep(response, cookie))
    })
    .await
}

/// What is asked next.
fn step(authorization: &Authorization, chosen: Option<&str>) -> Step {
    let sign_in = |hint: Option<String>| Step::SignIn { hint, wrong: None };
    if chosen == Some("other") {
        return sign_in(authorization.hint.clone());
    }
    let wanted = chosen.or(authorization.selected.as_ref().map(Did::as_str));
    let account = authorization.accounts.iter().find(|known| Some(known.account.did.as_str()) == wanted);
    match account {
        Some(known) if known.login_required => sign_in(Some(known.account.handle.clone())),
        Some(known) => Step::Consent { did: known.account.did.clone(), handle: known.account.handle.clone() },
        None if authorization.accounts.is_empty() || authorization.hint.is_some() => {
            sign_in(authorization.hint.clone())
        }
        None => Step::Choose {
            accounts: authorization
                .accounts
                .iter()
                .map(|known| (known.account.did.clone(), known.account.handle.clone()))
                .collect(),
        },
    }
}

fn view(ask: &Ask, authorization: &Authorization, step: Step) -> View {
    let client = &authorization.client;
    let name = client.name.clone().filter(|_| !client.is_loopback());
    View {
        csrf: ask.frame.csrf.clone(),
        client_id: client.id.clone(),
        request_uri: authorization.request_uri.clone(),
        host: client.host.clone(),
        local: client.is_loopback(),
        name,
        policy: client.policy_uri.clone(),
        terms: client.tos_uri.clone(),
        asked: asked(&ask.w, authorization),
        create: authorization.parameters.prompt == Some(Prompt::Create),
        step,
    }
}

/// The scopes, each with its sentences.
fn asked(w: &Words, authorization: &Authorization) -> Vec<Asked> {
    authorization
        .scopes
        .iter()
        .map(|(text, scope)| Asked {
            scope: text.to_owned(),
            lines: sentences(w, scope, &authorization.sets),
            grave: scope.is_grave(),
            needed: text == "atproto",
        })
        .collect()
}

/// What a scope means: in the words of its permission set where it includes one, which nothing else does, and in ours.
fn sentences(w: &Words, scope: &Scope, sets: &[(Nsid, PermissionSet)]) -> Vec<Line> {
    let set = match scope {
        Scope::Include(include) => sets.iter().find(|(nsid, _)| *nsid == include.nsid),
        _ => None,
    };
    let mut lines: Vec<Line> = match set {
        Some((_, set)) => {
            let (title, detail) = set.words(w.locale().tag());
            title.into_iter().chain(detail).map(|text| Line::Theirs(text.to_owned())).collect()
        }
        None => Vec::new(),
    };
    if lines.is_empty() {
        lines = scope.words().into_iter().map(Line::of).collect();
    }
    lines
}

/// The page; its forms may lead on to the application, which the policy has to allow.
fn page(ask: &Ask, authorization: &Authorization, step: Step) -> Response {
    let view = view(ask, authorization, step);
    let title = ask.w.t("authorize-title");
    let response = ask.show(&Page::new(title, view::body(&ask.w, &view)));
    leading_to(response, &authorization.parameters.redirect_uri)
}

fn leading_to(mut response: Response, uri: &str) -> Response {
    if let Some(target) = target(uri) {
        let policy =
            crate::router::POLICY.replace("form-action 'self'", &format!("form-action 'self' {target}"));
        if let Ok(value) = HeaderValue::try_from(policy) {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, value);
        }
    }
    response
}

/// Where a form may lead on to, as a policy names it: the origin of the address, or its scheme where policies have no
/// name for the origin (apps of phones, and numbers of IPv6).
fn target(uri: &str) -> Option<String> {
    let url = url::Url::parse(uri).ok()?;
    let origin = url.origin();
    let named = origin.is_tuple() && !matches!(url.host(), Some(url::Host::Ipv6(_)));
    Some(if named { origin.ascii_serialization() } else { format!("{}:", url.scheme()) })
}

/// Back to the application.
fn sent(ask: &Ask, redirect: &Redirect) -> Response {
    if redirect.mode != Mode::FormPost {
        return Send::to(&redirect.location()).into_response();
    }
    let body = view::form_post(&ask.w, &redirect.location(), &redirect.params);
    leading_to(ask.show(&Page::new(ask.w.t("authorize-title"), body)), &redirect.uri)
}

/// Nobody may be sent anywhere: the person is told.
fn wrong(ask: &Ask, why: &Markup) -> Response {
    let body = view::wrong(&ask.w, why);
    ask.show_as(StatusCode::BAD_REQUEST, &Page::new(ask.w.t("authorize-wrong-title"), body))
}

/// `POST /oauth/authorize`
pub async fn post(State(web): State<Web>, ask: Ask, browser: Browser, fields: Fields) -> Response {
    answer(&ask, async {
        let oauth = web.oauth().ok_or(Refused::NotFound)?;
        let (client, uri) = (fields.text("client_id"), fields.text("request_uri"));
        let (device, cookie) = match browser.with_request(&web, &client, &uri).await? {
            Ok(known) => known,
            Err(error) => return Ok(wrong(&ask, &said(&error.to_string()))),
        };
        let begun = match oauth.begin(&client, &uri, &device).await {
            Ok(begun) => begun,
            Err(error) => return Ok(keep(wrong(&ask, &said(&error.to_string())), cookie)),
        };
        let authorization = match begun {
            Begun::Redirect(redirect) => return Ok(keep(sent(&ask, &redirect), cookie)),
            Begun::Show(authorization) => authorization,
        };
        let response = match fields.text("step").as_str() {
            "sign-in" | "prove" => {
                match sign_in(&ask, oauth, &browser, &device, &authorization, &fields).await {
                    // With its new cookie.
                    Ok(response) => return Ok(response),
                    Err(response) => response,
                }
            }
            "refuse" => sent(&ask, &oauth.refuse(&authorization).await?),
            "accept" => accept(&ask, oauth, &device, &authorization, &fields).await?,
            _ => wrong(&ask, &html! { (ask.w.t("authorize-incomplete")) }),
        };
        Ok(keep(response, cookie))
    })
    .await
}

async fn accept(
    ask: &Ask,
    oauth: &OAuth,
    device: &p2pds_oauth::DeviceId,
    authorization: &Authorization,
    fields: &Fields,
) -> Result<Response, Refused> {
    let Ok(did) = Did::parse(&fields.text("did")) else { return Err(Refused::NotFound) };
    let mut granted = vec!["atproto"];
    granted.extend(fields.all("scope").filter(|scope| *scope != "atproto"));
    // What cannot be read is not granted.
    let granted = Scopes::known(&granted.join(" ")).map(|(scopes, _)| scopes).unwrap_or_default();
    match oauth.accept(authorization, device, &did, &granted).await {
        Ok(redirect) => Ok(sent(ask, &redirect)),
        Err(p2pds_oauth::OAuthError::LoginRequired) => {
            Ok(page(ask, authorization, step(authorization, Some(did.as_str()))))
        }
        Err(error) => Ok(wrong(ask, &said(&error.to_string()))),
    }
}

async fn sign_in(
    ask: &Ask,
    oauth: &OAuth,
    browser: &Browser,
    device: &p2pds_oauth::DeviceId,
    authorization: &Authorization,
    fields: &Fields,
) -> Result<Response, Response> {
    let identifier = fields.text("identifier");
    let signed_in = match credentials(oauth, browser, fields).await {
        Ok(account) => oauth
            .signed_in(device, account, fields.ticked("remember"))
            .await
            .map_err(|error| LoginRefused::Unavailable(error.to_string())),
        Err(refused) => Err(refused),
    };
    match signed_in {
        Ok(signed_in) => {
            let cookie = browser.signed_in(&signed_in);
            let pairs = [
                ("client_id", authorization.client.id.as_str()),
                ("request_uri", authorization.request_uri.as_str()),
                ("account", signed_in.account.did.as_str()),
            ];
            let asked = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            Ok(keep(Ask::go(&format!("/oauth/authorize?{asked}")), cookie))
        }
        Err(LoginRefused::FactorNeeded(asked)) => {
            Err(page(ask, authorization, factor_step(&asked, fields.ticked("remember"), None)))
        }
        Err(refused) => {
            let step = Step::SignIn { hint: Some(identifier), wrong: Some(refusal(&ask.w, &refused)) };
            Err(page(ask, authorization, step))
        }
    }
}

/// Looks at what a form brought to sign in with: a password, or the second step after one.
pub(crate) async fn credentials(
    oauth: &OAuth,
    browser: &Browser,
    fields: &Fields,
) -> Result<p2pds_oauth::Account, LoginRefused> {
    let secret = |name: &str| Zeroizing::new(fields.first(name).unwrap_or_default().to_owned());
    let factor = match (fields.text("answer"), fields.text("code")) {
        (answer, _) if !answer.is_empty() => Some(Factor::Passkey(answer)),
        (_, code) if !code.is_empty() => Some(Factor::Code(Zeroizing::new(code))),
        _ => None,
    };
    let ticket = secret("ticket");
    if let (false, Some(factor)) = (ticket.is_empty(), factor.clone()) {
        return oauth.log_in_further(Prove { ticket, factor, address: browser.address() }).await;
    }
    let ask = LogIn {
        identifier: fields.text("identifier").trim_start_matches('@').to_owned(),
        password: secret("password"),
        factor,
        address: browser.address(),
    };
    oauth.log_in(ask).await
}

/// What a second step asks for.
pub(crate) fn factor_step(asked: &FactorAsked, remember: bool, wrong: Option<String>) -> Step {
    Step::Factor {
        ticket: asked.ticket.to_string(),
        app: asked.app,
        email: asked.email,
        backup: asked.backup_code,
        passkey: asked.passkey.as_ref().map(ToString::to_string),
        remember,
        wrong,
    }
}

/// Why somebody is not signed in, in words.
pub(crate) fn refusal(w: &Words, refused: &LoginRefused) -> String {
    match refused {
        LoginRefused::Wrong => w.t("log-in-wrong"),
        LoginRefused::FactorNeeded(_) | LoginRefused::FactorWrong => w.t("log-in-factor-wrong"),
        LoginRefused::Takendown => w.t("log-in-takendown"),
        LoginRefused::TooMany { seconds } => w.f("log-in-too-many", crate::args!(seconds = *seconds)),
        LoginRefused::Unavailable(_) => w.t("log-in-unavailable"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Locale;
    use serde_json::json;

    /// A scope whose text has the name of a set in it is not what that set says that it is.
    #[test]
    fn the_words_of_a_set_stand_with_the_scope_that_includes_it_and_nowhere_else() {
        let w = Words::new(Locale::En, 0);
        let set = |title: &str| {
            let main = json!({ "type": "permission-set", "title": title, "permissions": [] });
            PermissionSet::from_json(&main).unwrap()
        };
        let nsid = |name: &str| Nsid::parse(name).unwrap();
        let sets =
            [(nsid("com.example.auth"), set("See your name")), (nsid("com.example.authFull"), set("All"))];
        let said = |scope: &str| sentences(&w, &Scope::parse(scope).unwrap(), &sets);
        let theirs = |text: &str| vec![Line::Theirs(text.to_owned())];
        assert_eq!(said("include:com.example.auth"), theirs("See your name"));
        assert_eq!(said("include:com.example.authFull"), theirs("All"));
        assert_eq!(said("include:com.example.auth?aud=did:web:x.example%23svc"), theirs("See your name"));
        for other in [
            "repo:com.example.auth",
            "repo?collection=*&collection=com.example.auth",
            "rpc:com.example.auth?aud=*",
            "include:com.example.authOther",
        ] {
            let lines = said(other);
            assert!(!lines.is_empty() && lines.iter().all(|line| matches!(line, Line::Ours(..))), "{other}");
        }
    }

    #[test]
    fn where_forms_lead_on_to() {
        for (uri, expected) in [
            ("https://app.example.com/callback?a=b", "https://app.example.com"),
            ("http://127.0.0.1:5000/callback", "http://127.0.0.1:5000"),
            // A policy has no way to write this number.
            ("http://[::1]:5000/callback", "http:"),
            ("com.example.app:/callback", "com.example.app:"),
        ] {
            assert_eq!(target(uri).as_deref(), Some(expected));
        }
    }
}
