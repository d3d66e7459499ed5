//! For those whose accounts are hosted here: signing in, signing up, a forgotten password.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use p2pds_host::accounts::{By, NewAccount, Reset};
use p2pds_host::{HostError, Reason};
use p2pds_oauth::{Account, AccountStatus, LoginRefused};
use p2pds_syntax::Did;

use crate::ask::{Ask, Refused, answer};
use crate::browser::{Browser, keep};
use crate::door::Try;
use crate::form::Fields;
use crate::layout::Page;
use crate::node_side::Trouble;
use crate::pages::Sample;
use crate::pages::authorize::{Step, credentials, factor_forms, factor_step, refusal, sign_in_fields};
use crate::parts::{self, Tone, name, segment};
use crate::query;
use crate::web::Web;
use crate::words::Words;

/// What is shown of signing in.
#[derive(Debug, Clone)]
pub struct View {
    /// The token of forms.
    pub csrf: String,
    /// Who is signed in in this browser.
    pub accounts: Vec<Account>,
    /// What is asked.
    pub step: Step,
    /// The options of a passkey, as JSON.
    pub passkey: Option<String>,
    /// Said above all.
    pub done: Option<&'static str>,
}

/// The page of an account's owner.
#[must_use]
pub fn own_path(did: &Did) -> String {
    format!("/account/{}", segment(did.as_str()))
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        div.narrow {
            h1 { (w.t("hosted-title")) }
            @if let Some(done) = view.done { (parts::notice(Tone::Good, html! { p { (w.t(done)) } })) }
            @if !view.accounts.is_empty() {
                ul.cards {
                    @for account in &view.accounts {
                        li { a.button.second href=(own_path(&account.did)) { (name(&account.handle)) } }
                    }
                }
                h2 { (w.t("hosted-another")) }
            }
            @match &view.step {
                Step::Factor { .. } => (factor_forms(w, "/account", &parts::csrf(&view.csrf), &view.step)),
                Step::SignIn { hint, wrong } => {
                    form method="post" action="/account" {
                        (parts::csrf(&view.csrf))
                        (sign_in_fields(w, hint.as_deref(), wrong.as_deref()))
                    }
                    @if let Some(options) = &view.passkey {
                        form method="post" action="/account" data-passkey="get" data-options=(options) hidden {
                            (parts::csrf(&view.csrf))
                            input type="hidden" name="answer" value="";
                            button.second type="submit" { (w.t("hosted-passkey")) }
                            p.wrong role="alert" data-said=(w.t("factor-passkey-failed")) {}
                        }
                    }
                }
                _ => {}
            }
            p { a href="/account/sign-up" { (w.t("log-in-no-account")) } }
            p { a href="/account/forgot" { (w.t("hosted-forgot")) } }
        }
    }
}

fn page(ask: &Ask, view: &View) -> Page {
    Page::new(ask.w.t("hosted-title"), body(&ask.w, view))
}

fn view(web: &Web, ask: &Ask, accounts: Vec<Account>, step: Step) -> View {
    let passkey =
        web.host().and_then(|host| host.begin_passkey_sign_in().ok()).map(|options| options.to_string());
    View { csrf: ask.frame.csrf.clone(), accounts, step, passkey, done: None }
}

/// `GET /account`
pub async fn show(State(web): State<Web>, ask: Ask, browser: Browser, RawQuery(asked): RawQuery) -> Response {
    answer(&ask, async {
        web.oauth().ok_or(Refused::NotFound)?;
        let accounts = browser.accounts(&web).await?;
        let step = Step::SignIn { hint: query::text(asked.as_deref(), "hint"), wrong: None };
        let done = query::text(asked.as_deref(), "done").and_then(|word| {
            ["address", "deleted", "reset", "signed-out", "sent"].into_iter().find(|known| *known == word)
        });
        let done = done.map(|word| match word {
            "address" => "hosted-address",
            "deleted" => "hosted-deleted",
            "reset" => "hosted-reset",
            "sent" => "hosted-sent",
            _ => "hosted-signed-out",
        });
        Ok(ask.show(&page(&ask, &View { done, ..view(&web, &ask, accounts, step) })))
    })
    .await
}

/// `POST /account`: name and password, a second step, or a passkey alone.
///
/// A browser that is not known yet is remembered when somebody proved in it who he is, not before.
pub async fn post(State(web): State<Web>, ask: Ask, browser: Browser, fields: Fields) -> Response {
    answer(&ask, async {
        let (oauth, host) = (web.oauth().ok_or(Refused::NotFound)?, web.host().ok_or(Refused::NotFound)?);
        let alone = !fields.text("answer").is_empty() && fields.text("ticket").is_empty();
        let outcome = if alone {
            match host.sign_in_with_passkey(&fields.text("answer")).await {
                Ok(did) => {
                    let account = account_of(&web, &did).await?;
                    if account.status == AccountStatus::Takendown {
                        let wrong = Some(refusal(&ask.w, &LoginRefused::Takendown));
                        let view = view(&web, &ask, Vec::new(), Step::SignIn { hint: None, wrong });
                        return Ok(ask.show(&page(&ask, &view)));
                    }
                    Ok((account, true))
                }
                Err(error) => {
                    let said = crate::refused::by_host(&error).map(|sentence| sentence.say(&ask.w));
                    let step = Step::SignIn { hint: None, wrong: Some(said.unwrap_or(error.message)) };
                    return Ok(ask.show(&page(&ask, &view(&web, &ask, Vec::new(), step))));
                }
            }
        } else {
            let account = credentials(oauth, &browser, &fields).await;
            account.map(|account| (account, fields.ticked("remember")))
        };
        let step = match outcome {
            Ok((account, remember)) => {
                let (device, _) = browser.device(&web).await?;
                let signed_in = oauth.signed_in(&device, account, remember).await?;
                return Ok(keep(Ask::go(&own_path(&signed_in.account.did)), browser.signed_in(&signed_in)));
            }
            Err(LoginRefused::FactorNeeded(asked)) => factor_step(&asked, fields.ticked("remember"), None),
            Err(refused) => {
                Step::SignIn { hint: Some(fields.text("identifier")), wrong: Some(refusal(&ask.w, &refused)) }
            }
        };
        let accounts = browser.accounts(&web).await?;
        Ok(ask.show(&page(&ask, &view(&web, &ask, accounts, step))))
    })
    .await
}

/// An account as the authorization server knows it.
pub(crate) async fn account_of(web: &Web, did: &Did) -> Result<Account, Refused> {
    let view = web.host().ok_or(Refused::NotFound)?.account_view(did).await?;
    Ok(Account {
        status: match view.status {
            None => AccountStatus::Active,
            Some("takendown") => AccountStatus::Takendown,
            Some(_) => AccountStatus::Deactivated,
        },
        did: view.did,
        handle: view.handle,
        email: view.email,
        email_confirmed: view.email_confirmed,
        display_name: None,
    })
}

/// What is shown of signing up.
#[derive(Debug, Clone, Default)]
pub struct SignUp {
    /// The token of forms.
    pub csrf: String,
    /// Domains under which handles are given out.
    pub domains: Vec<String>,
    /// Whether a code is needed.
    pub invite: bool,
    /// What was typed.
    pub handle: String,
    /// What was typed.
    pub email: String,
    /// Why it was not made.
    pub wrong: Option<Trouble>,
    /// The operator's terms and privacy policy.
    pub links: Vec<(&'static str, String)>,
}

/// The page of signing up.
#[must_use]
pub fn sign_up_body(w: &Words, view: &SignUp) -> Markup {
    html! {
        div.narrow {
            h1 { (w.t("sign-up-title")) }
            p { (w.t("sign-up-lead")) }
            @if let Some(wrong) = &view.wrong { (parts::wrong(w, wrong)) }
            form method="post" action="/account/sign-up" {
                (parts::csrf(&view.csrf))
                div.field {
                    label for="handle" { (w.t("sign-up-handle")) span.hint { (w.t("sign-up-handle-hint")) } }
                    input #handle name="handle" required autocomplete="username" autocapitalize="none" spellcheck="false"
                        dir="ltr" value=(view.handle) pattern="[A-Za-z0-9\\-]{3,18}" aria-invalid=[view.wrong.as_ref().map(|_| "true")];
                }
                div.field {
                    label for="domain" { (w.t("sign-up-domain")) }
                    select #domain name="domain" dir="ltr" translate="no" { @for domain in &view.domains { option value=(domain) { (domain) } } }
                }
                div.field {
                    label for="email" { (w.t("sign-up-email")) span.hint { (w.t("sign-up-email-hint")) } }
                    input #email type="email" name="email" required autocomplete="email" dir="ltr" value=(view.email);
                }
                div.field {
                    label for="password" { (w.t("log-in-password")) span.hint { (w.t("sign-up-password-hint")) } }
                    input #password type="password" name="password" required minlength="8" autocomplete="new-password" dir="ltr";
                }
                @if view.invite {
                    div.field {
                        label for="invite" { (w.t("sign-up-invite")) span.hint { (w.t("sign-up-invite-hint")) } }
                        input #invite name="invite" required autocapitalize="none" spellcheck="false" dir="ltr";
                    }
                }
                details {
                    summary { (w.t("sign-up-key-title")) }
                    p { (w.t("sign-up-key")) }
                    div.field {
                        label for="recovery" { (w.t("sign-up-key-label")) }
                        input #recovery name="recovery" autocapitalize="none" spellcheck="false" dir="ltr" translate="no" placeholder="did:key:…";
                    }
                }
                button type="submit" { (w.t("sign-up-button")) }
            }
            @for (key, url) in &view.links { p { a href=(url) { (w.t(key)) } } }
            p { a href="/account" { (w.t("sign-up-known")) } }
        }
    }
}

fn sign_up_view(web: &Web, ask: &Ask) -> Result<SignUp, Refused> {
    let host = web.host().ok_or(Refused::NotFound)?;
    let (config, own) = (host.config(), web.config());
    let links = [("sign-up-terms", &own.terms_url), ("sign-up-policy", &own.privacy_policy_url)];
    Ok(SignUp {
        csrf: ask.frame.csrf.clone(),
        domains: config.handle_domains.clone(),
        invite: config.invite_required,
        links: links.into_iter().filter_map(|(key, url)| Some((key, url.clone()?))).collect(),
        ..SignUp::default()
    })
}

/// `GET /account/sign-up`
pub async fn sign_up(State(web): State<Web>, ask: Ask) -> Response {
    answer(&ask, async {
        let view = sign_up_view(&web, &ask)?;
        Ok(ask.show(&Page::new(ask.w.t("sign-up-title"), sign_up_body(&ask.w, &view))))
    })
    .await
}

/// A handle as somebody types it: a name alone gets the ending of this server, where there is but one.
pub(crate) fn whole_handle(typed: &str, domains: &[String]) -> String {
    let typed = typed.trim().trim_start_matches('@');
    match domains {
        [domain] if !typed.is_empty() && !typed.contains('.') => format!("{typed}{domain}"),
        _ => typed.to_owned(),
    }
}

/// `POST /account/sign-up`
pub async fn sign_up_post(State(web): State<Web>, ask: Ask, browser: Browser, fields: Fields) -> Response {
    answer(&ask, async {
        let (oauth, host) = (web.oauth().ok_or(Refused::NotFound)?, web.host().ok_or(Refused::NotFound)?);
        browser.may_try(&web, Try::SignUp)?;
        let view = sign_up_view(&web, &ask)?;
        let domain = fields.text("domain");
        let domain = view.domains.iter().find(|known| **known == domain).or(view.domains.first());
        let handle = format!("{}{}", fields.text("handle"), domain.map_or("", String::as_str));
        let some = |name: &str| Some(fields.text(name)).filter(|text| !text.is_empty());
        let asked = NewAccount {
            handle,
            email: some("email"),
            password: fields.first("password").map(str::to_owned),
            invite_code: some("invite"),
            recovery_key: some("recovery"),
            did: None,
            requester: None,
            by: By::Owner,
        };
        let made = match host.create_account(asked).await {
            Ok(made) => made,
            Err(error) => {
                let view = SignUp {
                    handle: fields.text("handle"),
                    email: fields.text("email"),
                    wrong: Some(error.into()),
                    ..view
                };
                let page = Page::new(ask.w.t("sign-up-title"), sign_up_body(&ask.w, &view));
                return Ok(ask.show_as(StatusCode::BAD_REQUEST, &page));
            }
        };
        let (device, _) = browser.device(&web).await?;
        let account = account_of(&web, &made.account.did).await?;
        let signed_in = oauth.signed_in(&device, account, true).await?;
        Ok(keep(Ask::go(&own_path(&made.account.did)), browser.signed_in(&signed_in)))
    })
    .await
}

/// Whether app passwords end with the password: ticked, since who sets a new one may have been robbed of the old one.
#[must_use]
pub(crate) fn end_apps(w: &Words) -> Markup {
    html! { label.choice { input type="checkbox" name="end-apps" value="1" checked; span { (w.t("forgot-end-apps")) } } }
}

/// The page of a forgotten password: first the address, then the code.
#[must_use]
pub fn forgot_body(w: &Words, csrf: &str, wrong: Option<&Trouble>, sent: bool) -> Markup {
    html! {
        div.narrow {
            h1 { (w.t("forgot-title")) }
            @if let Some(wrong) = wrong { (parts::wrong(w, wrong)) }
            @if sent { (parts::notice(Tone::Good, html! { p { (w.t("forgot-sent")) } })) }
            form method="post" action="/account/forgot" {
                (parts::csrf(csrf))
                div.field {
                    label for="email" { (w.t("sign-up-email")) }
                    input #email type="email" name="email" required autocomplete="email" dir="ltr";
                }
                button class=[sent.then_some("second")] type="submit" { (w.t("forgot-send")) }
            }
            h2 { (w.t("forgot-code-title")) }
            form method="post" action="/account/reset" {
                (parts::csrf(csrf))
                div.field {
                    label for="code" { (w.t("forgot-code")) span.hint { (w.t("forgot-code-hint")) } }
                    input #code name="code" required autocomplete="one-time-code" autocapitalize="characters" spellcheck="false" dir="ltr";
                }
                div.field {
                    label for="password" { (w.t("forgot-new")) span.hint { (w.t("sign-up-password-hint")) } }
                    input #password type="password" name="password" required minlength="8" autocomplete="new-password" dir="ltr";
                }
                (end_apps(w))
                button type="submit" { (w.t("forgot-button")) }
            }
        }
    }
}

/// `GET /account/forgot`
pub async fn forgot(State(web): State<Web>, ask: Ask, RawQuery(asked): RawQuery) -> Response {
    answer(&ask, async {
        web.host().ok_or(Refused::NotFound)?;
        let sent = query::text(asked.as_deref(), "sent").is_some();
        let body = forgot_body(&ask.w, &ask.frame.csrf, None, sent);
        Ok(ask.show(&Page::new(ask.w.t("forgot-title"), body)))
    })
    .await
}

fn still_forgot(ask: &Ask, wrong: impl Into<Trouble>) -> Response {
    let body = forgot_body(&ask.w, &ask.frame.csrf, Some(&wrong.into()), true);
    ask.show_as(StatusCode::BAD_REQUEST, &Page::new(ask.w.t("forgot-title"), body))
}

/// `POST /account/forgot`. Whether there is such an account is told to nobody.
pub async fn forgot_post(State(web): State<Web>, ask: Ask, browser: Browser, fields: Fields) -> Response {
    answer(&ask, async {
        let host = web.host().ok_or(Refused::NotFound)?;
        browser.may_try(&web, Try::Mail)?;
        host.request_password_reset(&fields.text("email"));
        Ok(Ask::go("/account/forgot?sent=1"))
    })
    .await
}

/// `POST /account/reset`
pub async fn reset_post(State(web): State<Web>, ask: Ask, browser: Browser, fields: Fields) -> Response {
    answer(&ask, async {
        let host = web.host().ok_or(Refused::NotFound)?;
        browser.may_try(&web, Try::Code)?;
        let (token, address) = (fields.text("code"), browser.address());
        let reset = Reset {
            token: &token,
            password: fields.first("password").unwrap_or_default(),
            end_app_passwords: fields.ticked("end-apps"),
            address: &address,
        };
        match host.reset_password(reset).await {
            Ok(()) => Ok(Ask::go("/account?done=reset")),
            Err(error) => Ok(still_forgot(&ask, error)),
        }
    })
    .await
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let account = made_up();
    let empty = View {
        csrf: "t".to_owned(),
        accounts: Vec::new(),
        step: Step::SignIn { hint: None, wrong: None },
        passkey: Some("{}".to_owned()),
        done: None,
    };
    let wrong = Step::SignIn { hint: Some("alice.example.com".to_owned()), wrong: Some(w.t("log-in-wrong")) };
    let error = View { step: wrong, ..empty.clone() };
    let success = View { accounts: vec![account], done: Some("hosted-reset"), ..empty.clone() };
    let sign_up =
        SignUp { csrf: "t".into(), domains: vec![".example.com".into()], invite: true, ..SignUp::default() };
    let refused = SignUp {
        wrong: Some(HostError::invalid("Handle already taken").because(Reason::HandleTaken).into()),
        handle: "alice".into(),
        ..sign_up.clone()
    };
    vec![
        Sample { page: "hosted", state: "empty", body: body(w, &empty) },
        Sample { page: "hosted", state: "error", body: body(w, &error) },
        Sample { page: "hosted", state: "success", body: body(w, &success) },
        Sample { page: "sign-up", state: "success", body: sign_up_body(w, &sign_up) },
        Sample { page: "sign-up", state: "error", body: sign_up_body(w, &refused) },
        Sample { page: "forgot", state: "empty", body: forgot_body(w, "t", None, false) },
        Sample {
            page: "forgot",
            state: "error",
            body: forgot_body(w, "t", Some(&crate::pages::made_up_trouble()), true),
        },
        Sample { page: "forgot", state: "success", body: forgot_body(w, "t", None, true) },
    ]
}

pub(crate) fn made_up() -> Account {
    Account {
        did: crate::samples::did(),
        handle: "alice.example.com".to_owned(),
        email: Some("alice@example.com".to_owned()),
        email_confirmed: false,
        status: p2pds_oauth::AccountStatus::Active,
        display_name: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_gets_the_only_ending() {
        let one = [".example.com".to_owned()];
        let two = [".example.com".to_owned(), ".example.net".to_owned()];
        assert_eq!(whole_handle(" @newer ", &one), "newer.example.com");
        assert_eq!(whole_handle("newer.example.org", &one), "newer.example.org");
        assert_eq!(whole_handle("newer", &two), "newer");
        assert_eq!(whole_handle("", &one), "");
    }
}
