//! How that page looks.

use data_encoding::BASE64URL_NOPAD;
use maud::{Markup, html};
use p2pds_host::accounts::factors::Factors;
use p2pds_oauth::{Account, Device, Grant};
use p2pds_store::hosting::AppPasswordRow;

use crate::args;
use crate::node_side::Trouble;
use crate::pages::Sample;
use crate::pages::hosted::{end_apps, own_path};
use crate::parts::{self, Tone, code, name};
use crate::qr::qr;
use crate::words::Words;

/// Words of what was done; `own-done-WORD` says it.
pub const DONE: &[&str] = &[
    "activated",
    "app-removed",
    "deactivated",
    "device-removed",
    "email-confirmed",
    "factor-added",
    "factor-removed",
    "grant-removed",
    "handle-changed",
    "sent",
];

/// What is shown.
#[derive(Debug)]
pub struct View {
    /// The token of forms.
    pub csrf: String,
    /// The account.
    pub account: Account,
    /// Browsers in which it is signed in; the first of each pair: this one.
    pub devices: Vec<(bool, Device)>,
    /// Applications that may act for it.
    pub grants: Vec<Grant>,
    /// Its app passwords.
    pub app_passwords: Vec<AppPasswordRow>,
    /// What signing in takes beside the password.
    pub factors: Factors,
    /// The options of a new passkey, as JSON.
    pub passkey: Option<String>,
    /// What names under this server end in.
    pub domains: Vec<String>,
    /// What is shown once.
    pub secret: Option<Secret>,
    /// What was done.
    pub done: Option<&'static str>,
    /// What did not work.
    pub trouble: Option<Trouble>,
}

/// Something that is shown once.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// A new app password.
    AppPassword {
        /// Its name.
        name: String,
        /// It.
        password: String,
    },
    /// Backup codes.
    Codes(Vec<String>),
    /// The secret of an app that is being set up.
    Totp {
        /// For typing in.
        secret: String,
        /// For the app.
        uri: String,
        /// Brought back with the first code.
        state: String,
    },
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

struct Form<'a> {
    w: &'a Words,
    view: &'a View,
}

impl Form<'_> {
    /// A form that does one thing.
    fn of(&self, what: &str, fields: &Markup, class: &str, words: &str) -> Markup {
        html! {
            form method="post" action=(own_path(&self.view.account.did)) {
                (parts::csrf(&self.view.csrf))
                input type="hidden" name="do" value=(what);
                (fields)
                button class=(class) type="submit" { (self.w.t(words)) }
            }
        }
    }

    fn button(&self, what: &str, words: &str) -> Markup {
        self.of(what, &html! {}, "second", words)
    }

    fn field(&self, what: &str, id: &str, key: &str, kind: &str, complete: &str) -> Markup {
        let unique = format!("{what}-{id}");
        html! {
            div.field {
                label for=(unique) { (self.w.t(key)) }
                input id=(unique) name=(id) type=(kind) required autocomplete=(complete) autocapitalize="none"
                    spellcheck="false" dir="ltr";
            }
        }
    }

    fn password(&self, what: &str) -> Markup {
        self.field(what, "password", "log-in-password", "password", "current-password")
    }
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    let f = Form { w, view };
    html! {
        h1 { (name(&view.account.handle)) }
        p { (code(view.account.did.as_str())) }
        @if let Some(done) = view.done { (parts::notice(Tone::Good, html! { p role="status" { (w.t(&format!("own-done-{done}"))) } })) }
        @if let Some(trouble) = &view.trouble { (parts::trouble(w, trouble)) }
        @if let Some(secret) = &view.secret { (once(&f, secret)) }
        @if !view.account.is_active() { (parts::notice(Tone::Warn, html! { p { (w.t("own-inactive")) } (f.button("activate", "own-activate")) })) }
        (applications(&f))
        (devices(&f))
        (app_passwords(&f))
        (factors(&f))
        (mail(&f))
        (rest(&f))
    }
}

fn once(f: &Form<'_>, secret: &Secret) -> Markup {
    let w = f.w;
    parts::notice(
        Tone::Good,
        match secret {
            Secret::AppPassword { name: called, password } => html! {
                p { (w.t("own-app-made")) " " (name(called)) }
                p.code-words { (code(password)) }
                p { (w.t("own-once")) }
            },
            Secret::Codes(codes) => html! {
                p { (w.t("own-codes-made")) }
                ul.codes { @for each in codes { li { (code(each)) } } }
                p { (w.t("own-once")) }
            },
            Secret::Totp { secret, uri, state } => html! {
                p { (w.t("own-totp-type")) }
                @if let Some(drawn) = qr(uri, &w.t("own-totp-qr")) { p { (drawn) } }
                p.code-words { (code(secret)) }
                p { a href=(uri) { (w.t("own-totp-open")) } }
                (f.of("totp-finish", &html! {
                    input type="hidden" name="state" value=(state);
                    input type="hidden" name="uri" value=(uri);
                    (f.field("totp-finish", "code", "factor-code", "text", "one-time-code"))
                    (f.password("totp-finish"))
                }, "", "own-totp-finish"))
            },
        },
    )
}

fn applications(f: &Form<'_>) -> Markup {
    let (w, view) = (f.w, f.view);
    html! {
        h2 #applications { (w.t("own-apps-title")) }
        @if view.grants.is_empty() { p { (w.t("own-apps-none")) } } @else {
            div.scroll tabindex="0" { table.stack {
                thead { tr { th scope="col" { (w.t("own-app")) } th scope="col" { (w.t("own-since")) } th scope="col" { (w.t("own-used")) } th scope="col" { (w.t("own-may")) } th scope="col" { span.hidden-label { (w.t("own-act")) } } } }
                tbody { @for grant in &view.grants { tr {
                    th scope="row" { (name(if grant.client_name.is_empty() { &grant.client_id } else { &grant.client_name })) br; small { (name(&grant.client_id)) } }
                    td data-label=(w.t("own-since")) { (w.time(grant.since)) }
                    td data-label=(w.t("own-used")) { (w.time(grant.used_at)) }
                    td data-label=(w.t("own-may")) { (code(&grant.scope)) }
                    td { (f.of("grant-remove", &html! { input type="hidden" name="id" value=(grant.session); }, "second", "own-remove")) }
                } } }
            } }
        }
    }
}

fn devices(f: &Form<'_>) -> Markup {
    let (w, view) = (f.w, f.view);
    html! {
        h2 #devices { (w.t("own-devices-title")) }
        div.scroll tabindex="0" { table.stack {
            thead { tr { th scope="col" { (w.t("own-device")) } th scope="col" { (w.t("own-since")) } th scope="col" { (w.t("own-used")) } th scope="col" { span.hidden-label { (w.t("own-act")) } } } }
            tbody { @for (here, device) in &view.devices { tr {
                th scope="row" { (name(&device.agent)) @if *here { " " span.tag { (w.t("own-device-here")) } } br; small { (name(&device.address)) } }
                td data-label=(w.t("own-since")) { (w.time(device.signed_in_at)) }
                td data-label=(w.t("own-used")) { (w.time(device.seen_at)) }
                td { (f.of("device-remove", &html! { input type="hidden" name="id" value=(device.id.name()); }, "second", "nav-sign-out")) }
            } } }
        } }
    }
}

fn app_passwords(f: &Form<'_>) -> Markup {
    let (w, view) = (f.w, f.view);
    html! {
        h2 #app-passwords { (w.t("own-app-passwords-title")) }
        p { (w.t("own-app-passwords")) }
        @if !view.app_passwords.is_empty() {
            ul { @for row in &view.app_passwords { li {
                div.row {
                    span { (name(&row.name)) " · " (w.time(row.created_at)) @if row.privileged { " · " (w.t("own-app-privileged")) } }
                    (f.of("app-remove", &html! { input type="hidden" name="name" value=(row.name); }, "quiet", "own-remove"))
                }
            } } }
        }
        (f.of("app-add", &html! {
            (f.field("app-add", "name", "own-app-name", "text", "off"))
            (f.password("app-add"))
            label.choice { input type="checkbox" name="privileged" value="1"; span { (w.t("own-app-privileged-label")) } }
        }, "second", "own-app-add"))
    }
}

fn factors(f: &Form<'_>) -> Markup {
    let (w, view) = (f.w, f.view);
    let set = &view.factors;
    html! {
        h2 #factors { (w.t("own-factors-title")) }
        p { (w.t(if set.any() { "own-factors-some" } else { "own-factors-none" })) }
        h3 { (w.t("own-passkeys")) }
        @for passkey in &set.passkeys {
            details {
                summary { (name(&passkey.name)) " · " (w.time(passkey.created_at)) }
                @let id = BASE64URL_NOPAD.encode(&passkey.id);
                (f.of("passkey-remove", &html! { input type="hidden" name="id" value=(id); (f.password(&format!("passkey-{id}"))) }, "danger", "own-remove"))
            }
        }
        @if let Some(options) = &view.passkey {
            form method="post" action=(own_path(&view.account.did)) data-passkey="create" data-options=(options) hidden {
                (parts::csrf(&view.csrf))
                input type="hidden" name="do" value="passkey-add";
                input type="hidden" name="answer" value="";
                (f.field("passkey-add", "name", "own-passkey-name", "text", "off"))
                (f.password("passkey-add"))
                button.second type="submit" { (w.t("own-passkey-add")) }
                p.wrong role="alert" data-said=(w.t("factor-passkey-failed")) {}
            }
            noscript { p { (w.t("own-passkey-script")) } }
        }
        h3 { (w.t("own-totp")) }
        @match set.app_since {
            Some(at) => {
                p { (w.t("own-totp-since")) " " (w.time(at)) }
                (f.of("totp-remove", &f.password("totp-remove"), "second", "own-remove"))
            }
            None => (f.button("totp-begin", "own-totp-begin")),
        }
        h3 { (w.t("own-email-factor")) }
        @if set.email { (f.of("factor-email-off", &f.password("factor-email-off"), "second", "own-email-factor-off")) }
        @else { (f.of("factor-email-on", &f.password("factor-email-on"), "second", "own-email-factor-on")) }
        @if set.any() {
            h3 { (w.t("own-codes")) }
            @if let Some((at, left)) = set.backup_codes { p { (w.f("own-codes-left", args!(count = left))) " " (w.time(at)) } }
            (f.of("codes-renew", &f.password("codes-renew"), "second", "own-codes-renew"))
        }
    }
}

fn mail(f: &Form<'_>) -> Markup {
    let (w, account) = (f.w, &f.view.account);
    html! {
        h2 #email { (w.t("own-email-title")) }
        p {
            @match &account.email { Some(email) => (name(email)), None => (w.t("none")) }
            " · " (w.t(if account.email_confirmed { "own-email-confirmed" } else { "own-email-unconfirmed" }))
        }
        @if !account.email_confirmed {
            div.row { (f.button("email-confirm-send", "own-email-confirm-send")) }
            (f.of("email-confirm", &f.field("email-confirm", "code", "forgot-code", "text", "one-time-code"), "second", "own-email-confirm"))
        }
        details {
            summary { (w.t("own-email-change")) }
            @if account.email_confirmed { p { (w.t("own-email-change-how")) } (f.button("email-send", "own-send-code")) }
            (f.of("email-change", &html! {
                (f.field("email-change", "email", "sign-up-email", "email", "email"))
                @if account.email_confirmed { (f.field("email-change", "code", "forgot-code", "text", "one-time-code")) }
                (f.password("email-change"))
            }, "second", "own-email-change"))
        }
        h2 #password { (w.t("own-password-title")) }
        p { (w.t("own-password-how")) }
        (f.button("password-send", "own-send-code"))
        (f.of("password-change", &html! {
            (f.field("password-change", "code", "forgot-code", "text", "one-time-code"))
            (f.field("password-change", "password", "forgot-new", "password", "new-password"))
            (end_apps(w))
            @if !f.view.app_passwords.is_empty() { p { (w.f("own-app-passwords-left", args!(count = f.view.app_passwords.len() as u64))) } }
        }, "second", "forgot-button"))
    }
}

fn rest(f: &Form<'_>) -> Markup {
    let (w, account) = (f.w, &f.view.account);
    html! {
        h2 #handle { (w.t("own-handle-title")) }
        p { (w.t("own-handle-how")) }
        @if let [domain] = f.view.domains.as_slice() { p { (w.t("own-handle-ending")) " " (code(domain)) } }
        @else if !f.view.domains.is_empty() { p { (w.t("own-handle-endings")) " " (code(&f.view.domains.join(", "))) } }
        (f.of("handle", &html! { (f.field("handle", "handle", "own-handle", "text", "off")) (f.password("handle")) }, "second", "own-handle-change"))
        h2 #export { (w.t("own-export-title")) }
        p { (w.t("own-export")) }
        p { a.button.second href={ (own_path(&account.did)) "/repo.car" } download { (w.t("own-export-button")) } }
        @if account.is_active() {
            h2 #deactivate { (w.t("own-deactivate-title")) }
            p { (w.t("own-deactivate-how")) }
            (f.of("deactivate", &f.password("deactivate"), "second", "own-deactivate"))
        }
        h2 #delete { (w.t("own-delete-title")) }
        p { (w.t("own-delete-how")) " " (w.t("danger")) }
        (f.button("delete-send", "own-send-code"))
        (f.of("delete", &html! {
            (f.field("delete", "code", "forgot-code", "text", "one-time-code"))
            (f.password("delete"))
        }, "danger", "own-delete"))
    }
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    use crate::samples::{NOW, did};
    use p2pds_host::accounts::factors::Passkey;
    let none = Factors { app_since: None, email: false, passkeys: Vec::new(), backup_codes: None };
    let passkey = Passkey {
        id: vec![1, 2, 3],
        name: "x".into(),
        copied: false,
        discoverable: true,
        created_at: NOW,
        used_at: None,
    };
    let some =
        Factors { app_since: Some(NOW), email: true, passkeys: vec![passkey], backup_codes: Some((NOW, 9)) };
    let make = |factors: Factors, secret, done, trouble| View {
        csrf: "t".into(),
        account: crate::pages::hosted::made_up(),
        devices: Vec::new(),
        grants: Vec::new(),
        app_passwords: Vec::new(),
        factors,
        passkey: Some("{}".into()),
        domains: vec![".example.com".into()],
        secret,
        done,
        trouble,
    };
    let grant = Grant {
        session: "x".into(),
        client_id: format!(
            "http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%3A5000%2F{}",
            "x".repeat(90)
        ),
        client_name: String::new(),
        scope: "atproto".into(),
        since: NOW,
        used_at: NOW,
        expires_at: NOW,
        device: None,
    };
    let row = AppPasswordRow {
        did: did(),
        name: "x".into(),
        password: String::new(),
        privileged: true,
        created_at: NOW,
    };
    let device = Device {
        id: p2pds_oauth::DeviceId::of_name("x"),
        agent: "Firefox".into(),
        address: "192.0.2.1".into(),
        seen_at: NOW,
        signed_in_at: NOW,
        remembered: true,
    };
    let mut inactive = crate::pages::hosted::made_up();
    inactive.status = p2pds_oauth::AccountStatus::Deactivated;
    inactive.email_confirmed = true;
    let full = View {
        grants: vec![grant],
        app_passwords: vec![row],
        devices: vec![(true, device)],
        account: inactive,
        domains: vec![".example.com".into(), ".example.net".into()],
        ..make(some, Some(Secret::Codes(vec!["abcd".into()])), None, None)
    };
    let totp = Secret::Totp {
        secret: "ABCD".into(),
        uri: "otpauth://totp/a.example:b.a.example?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=a.example"
            .into(),
        state: "s".into(),
    };
    let app = Secret::AppPassword { name: "x".into(), password: "abcd-efgh".into() };
    let mut all = vec![
        Sample { page: "own", state: "empty", body: body(w, &make(none.clone(), None, None, None)) },
        Sample { page: "own", state: "partial", body: body(w, &make(none.clone(), Some(totp), None, None)) },
        Sample { page: "own", state: "app", body: body(w, &make(none.clone(), Some(app), None, None)) },
        Sample {
            page: "own",
            state: "error",
            body: body(w, &make(none.clone(), None, None, Some(crate::pages::made_up_trouble()))),
        },
        Sample { page: "own", state: "success", body: body(w, &full) },
    ];
    all.extend(DONE.iter().map(|done| Sample {
        page: "own",
        state: done,
        body: body(w, &make(none.clone(), None, Some(done), None)),
    }));
    all
}
