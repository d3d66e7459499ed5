//! What the forms of that page do.

use axum::extract::{Path, State};
use axum::response::Response;
use data_encoding::BASE64URL_NOPAD;
use p2pds_host::accounts::Reset;
use p2pds_host::accounts::factors::{Added, NewPasskey};
use p2pds_host::{Chooser, Host, HostError, Reason};
use p2pds_oauth::{DeviceId, OAuth};
use p2pds_syntax::Did;

use super::view::{Secret, View};
use super::{gather, with};
use crate::ask::{Ask, Refused, answer};
use crate::browser::Browser;
use crate::door::Try;
use crate::form::Fields;
use crate::node_side::Trouble;
use crate::pages::hosted::{own_path, whole_handle};
use crate::web::Web;

/// What came of it.
enum Outcome {
    /// Done: the word of what is said.
    Done(&'static str),
    /// Done, and something is shown once.
    Once(Secret),
    /// Done, and nobody is signed in to the account here any more.
    Gone(&'static str),
}

/// `POST /account/{did}`: the field `do` says what.
pub async fn post(
    State(web): State<Web>,
    ask: Ask,
    browser: Browser,
    Path(did): Path<String>,
    fields: Fields,
) -> Response {
    answer(&ask, async {
        let (did, account) = browser.account(&web, &did).await?;
        let (host, oauth) = (web.host().ok_or(Refused::NotFound)?, web.oauth().ok_or(Refused::NotFound)?);
        let word = fields.text("do");
        if word.ends_with("-send") || word == "factor-email-on" {
            browser.may_try(&web, Try::Mail)?;
        } else if matches!(word.as_str(), "email-confirm" | "email-change" | "password-change" | "delete") {
            browser.may_try(&web, Try::Code)?;
        }
        let email = account.email.unwrap_or_default();
        let act = Act { host, oauth, did: &did, email: &email, fields: &fields, address: browser.address() };
        let path = own_path(&did);
        match act.run(&browser, &web).await {
            Ok(Outcome::Done(word)) => Ok(Ask::go(&format!("{path}?done={word}"))),
            Ok(Outcome::Gone(word)) => Ok(Ask::go(&format!("/account?done={word}"))),
            Ok(Outcome::Once(secret)) => {
                let view = gather(&web, &ask, &browser, did.as_str()).await?;
                Ok(with(&ask, &View { secret: Some(secret), ..view }))
            }
            Err(error) => {
                let view = gather(&web, &ask, &browser, did.as_str()).await?;
                let secret = (word == "totp-finish")
                    .then(|| again(&fields.text("uri"), fields.text("state"), &error))
                    .flatten();
                let trouble = Some(Trouble::from(error));
                Ok(with(&ask, &View { secret, trouble, ..view }))
            }
        }
    })
    .await
}

struct Act<'a> {
    host: &'a Host,
    oauth: &'a OAuth,
    did: &'a Did,
    email: &'a str,
    fields: &'a Fields,
    address: String,
}

impl Act<'_> {
    fn text(&self, name: &str) -> String {
        self.fields.text(name)
    }

    fn password(&self) -> &str {
        self.fields.first("password").unwrap_or_default()
    }

    /// A browser that is signed in may be in other hands: the password is asked for before what would last.
    async fn confirm(&self) -> Result<(), HostError> {
        self.host.confirm_password(self.did, self.password(), &self.address).await
    }

    fn failed(error: &p2pds_oauth::OAuthError) -> HostError {
        HostError::invalid(error.to_string())
    }

    async fn run(&self, browser: &Browser, web: &Web) -> Result<Outcome, HostError> {
        let word = self.text("do");
        match word.split_once('-').map_or(word.as_str(), |(area, _)| area) {
            "email" | "password" => self.mail(&word).await,
            "totp" | "passkey" | "codes" | "factor" => self.factor(&word).await,
            "app" | "grant" | "device" => self.access(&word, browser, web).await,
            _ => self.account(&word).await,
        }
    }

    async fn mail(&self, word: &str) -> Result<Outcome, HostError> {
        let (host, did) = (self.host, self.did);
        match word {
            "email-confirm-send" => {
                host.request_email_confirmation(did).await.map(|()| Outcome::Done("sent"))
            }
            "email-confirm" => {
                host.confirm_email(did, self.email, &self.text("code")).await?;
                Ok(Outcome::Done("email-confirmed"))
            }
            "email-send" => host.request_email_update(did).await.map(|_| Outcome::Done("sent")),
            "email-change" => {
                self.confirm().await?;
                let token = Some(self.text("code")).filter(|code| !code.is_empty());
                host.update_email(did, &self.text("email"), token.as_deref(), None, "").await?;
                // All sessions have ended, this one too.
                Ok(Outcome::Gone("address"))
            }
            "password-send" => {
                host.request_password_reset(self.email);
                Ok(Outcome::Done("sent"))
            }
            "password-change" => {
                let (token, address) = (self.text("code"), self.address.as_str());
                let end_app_passwords = self.fields.ticked("end-apps");
                let reset = Reset { token: &token, password: self.password(), end_app_passwords, address };
                host.reset_password(reset).await?;
                Ok(Outcome::Gone("reset"))
            }
            _ => Err(unknown()),
        }
    }

    async fn factor(&self, word: &str) -> Result<Outcome, HostError> {
        let (host, did, address) = (self.host, self.did, self.address.as_str());
        let added = |added: Added| match added.backup_codes {
            Some(codes) => Outcome::Once(Secret::Codes(codes.expose().map(str::to_owned).collect())),
            None => Outcome::Done("factor-added"),
        };
        let id = || BASE64URL_NOPAD.decode(self.text("id").as_bytes()).map_err(|_| unknown());
        match word {
            "totp-begin" => {
                let new = host.begin_totp(did).await?;
                Ok(Outcome::Once(Secret::Totp {
                    secret: new.secret.to_string(),
                    uri: new.uri.to_string(),
                    state: new.state.to_string(),
                }))
            }
            "totp-finish" => host
                .finish_totp(did, &self.text("state"), &self.text("code"), self.password(), address)
                .await
                .map(added),
            "totp-remove" => host
                .remove_totp(did, self.password(), address)
                .await
                .map(|()| Outcome::Done("factor-removed")),
            "passkey-add" => {
                let (json, name) = (self.text("answer"), self.text("name"));
                let new = NewPasskey { json: &json, name: &name };
                host.finish_passkey(did, new, self.password(), address).await.map(added)
            }
            "passkey-remove" => {
                host.remove_passkey(did, &id()?, self.password(), address).await?;
                Ok(Outcome::Done("factor-removed"))
            }
            "codes-renew" => {
                let codes = host.renew_backup_codes(did, self.password(), address).await?;
                Ok(Outcome::Once(Secret::Codes(codes.expose().map(str::to_owned).collect())))
            }
            "factor-email-on" => host.set_email_factor(did, true, self.password(), address).await.map(added),
            "factor-email-off" => {
                host.set_email_factor(did, false, self.password(), address).await?;
                Ok(Outcome::Done("factor-removed"))
            }
            _ => Err(unknown()),
        }
    }

    async fn access(&self, word: &str, browser: &Browser, web: &Web) -> Result<Outcome, HostError> {
        let (host, oauth, did) = (self.host, self.oauth, self.did);
        match word {
            "app-add" => {
                self.confirm().await?;
                let (row, secret) = host
                    .create_app_password(did, &self.text("name"), self.fields.ticked("privileged"))
                    .await?;
                Ok(Outcome::Once(Secret::AppPassword { name: row.name, password: secret.to_string() }))
            }
            "app-remove" => {
                host.revoke_app_password(did, &self.text("name")).await.map(|()| Outcome::Done("app-removed"))
            }
            "grant-remove" => {
                oauth.revoke_grant(did, &self.text("id")).await.map_err(|error| Self::failed(&error))?;
                Ok(Outcome::Done("grant-removed"))
            }
            "device-remove" => {
                let device = DeviceId::of_name(&self.text("id"));
                let here = browser.known(web).await.ok().flatten() == Some(device.clone());
                oauth.sign_out(&device, did).await.map_err(|error| Self::failed(&error))?;
                Ok(if here { Outcome::Gone("signed-out") } else { Outcome::Done("device-removed") })
            }
            _ => Err(unknown()),
        }
    }

    async fn account(&self, word: &str) -> Result<Outcome, HostError> {
        let (host, did) = (self.host, self.did);
        match word {
            "handle" => {
                self.confirm().await?;
                let handle = whole_handle(&self.text("handle"), &host.config().handle_domains);
                host.update_handle(did, &handle, Chooser::Owner).await?;
                Ok(Outcome::Done("handle-changed"))
            }
            "deactivate" => {
                self.confirm().await?;
                host.deactivate_account(did, None).await.map(|()| Outcome::Done("deactivated"))
            }
            "activate" => host.activate_account(did).await.map(|()| Outcome::Done("activated")),
            "delete-send" => host.request_account_delete(did).await.map(|()| Outcome::Done("sent")),
            "delete" => {
                host.delete_account(did, self.password(), &self.text("code"), &self.address).await?;
                Ok(Outcome::Gone("deleted"))
            }
            _ => Err(unknown()),
        }
    }
}

/// The app that is being set up, as the form brought it back: after a wrong code its secret still stands, and another one
/// would leave a dead entry in the app.
fn again(uri: &str, state: String, error: &HostError) -> Option<Secret> {
    if error.reason == Some(Reason::PageExpired) {
        return None;
    }
    let uri = url::Url::parse(uri).ok().filter(|uri| uri.scheme() == "otpauth")?;
    let secret = uri.query_pairs().find(|(name, _)| name == "secret")?.1.into_owned();
    Some(Secret::Totp { secret, uri: uri.to_string(), state })
}

fn unknown() -> HostError {
    HostError::invalid("this form is of another version of this page: load the page again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_code_leaves_the_app_that_is_being_set_up() {
        let wrong = HostError::invalid("x").because(Reason::AppCodeWrong);
        let uri = "otpauth://totp/a.example:b.example?secret=JBSWY3DPEHPK3PXP&issuer=a.example";
        let shown = again(uri, "s".to_owned(), &wrong);
        let Some(Secret::Totp { secret, uri: same, state }) = shown else { panic!("it is gone") };
        assert_eq!((secret.as_str(), same.as_str(), state.as_str()), ("JBSWY3DPEHPK3PXP", uri, "s"));
        let expired = HostError::invalid("x").because(Reason::PageExpired);
        assert!(again(uri, "s".to_owned(), &expired).is_none());
        assert!(again("javascript:alert(1)?secret=x", "s".to_owned(), &wrong).is_none());
        assert!(again("", "s".to_owned(), &wrong).is_none());
    }
}
