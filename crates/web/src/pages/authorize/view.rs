//! How the pages of an authorization look.

use maud::{Markup, html};
use p2pds_oauth::scope::Sentence;
use p2pds_syntax::Did;

use crate::pages::Sample;
use crate::parts::{self, Tone, name, said};
use crate::words::{Arg, Words};

/// What is shown.
#[derive(Debug, Clone)]
pub struct View {
    /// The token of forms.
    pub csrf: String,
    /// Brought again by forms.
    pub client_id: String,
    /// Brought again by forms.
    pub request_uri: String,
    /// The host that speaks for the application.
    pub host: String,
    /// It runs on the machine of whoever looks: no host speaks for it.
    pub local: bool,
    /// What it calls itself.
    pub name: Option<String>,
    /// Its privacy policy.
    pub policy: Option<String>,
    /// Its terms.
    pub terms: Option<String>,
    /// What it asks for.
    pub asked: Vec<Asked>,
    /// It would like an account to be made.
    pub create: bool,
    /// What is asked now.
    pub step: Step,
}

/// One thing that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The scope.
    pub scope: String,
    /// In words.
    pub lines: Vec<Line>,
    /// Whether it reaches far.
    pub grave: bool,
    /// Whether it cannot be refused alone.
    pub needed: bool,
}

/// A line about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A sentence of ours: its key, and what is put into it.
    Ours(&'static str, Vec<(&'static str, String)>),
    /// A sentence of whoever made the permission set.
    Theirs(String),
}

impl Line {
    /// Of a scope's sentence.
    #[must_use]
    pub fn of(sentence: Sentence) -> Self {
        Self::Ours(sentence.key, sentence.args)
    }
}

/// What is asked now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Name and password.
    SignIn {
        /// Whom the application means.
        hint: Option<String>,
        /// Why the last try failed.
        wrong: Option<String>,
    },
    /// A second factor.
    Factor {
        /// Says that the password was right.
        ticket: String,
        /// A code of an app is good.
        app: bool,
        /// A code by e-mail is good.
        email: bool,
        /// A backup code is good.
        backup: bool,
        /// A passkey is good: its options as JSON.
        passkey: Option<String>,
        /// Whether to stay signed in.
        remember: bool,
        /// Why the last try failed.
        wrong: Option<String>,
    },
    /// Which account.
    Choose {
        /// Those that are signed in.
        accounts: Vec<(Did, String)>,
    },
    /// Whether he agrees.
    Consent {
        /// The account.
        did: Did,
        /// Its handle.
        handle: String,
    },
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        div.narrow {
            h1 { (w.t(title(&view.step))) }
            p {
                strong {
                    @if view.local { (w.t("authorize-local")) }
                    @else { (name(view.name.as_deref().unwrap_or(&view.host))) }
                }
                " " (w.t("authorize-wants"))
            }
            p.soft {
                @if view.local { (w.t("authorize-from-local")) }
                @else { (w.t("authorize-from")) " " (name(&view.host)) }
            }
            @match &view.step {
                Step::SignIn { hint, wrong } => (sign_in(w, view, hint.as_deref(), wrong.as_deref())),
                Step::Factor { .. } => (factor_forms(w, "/oauth/authorize", &hidden(view, "prove"), &view.step)),
                Step::Choose { accounts } => (choose(w, view, accounts)),
                Step::Consent { did, handle } => (consent(w, view, did, handle)),
            }
            (refuse(w, view))
            @if view.policy.is_some() || view.terms.is_some() {
                p.soft {
                    @if let Some(url) = view.policy.as_deref().filter(|url| safe(url)) { a href=(url) rel="noreferrer" { (w.t("authorize-policy")) } " " }
                    @if let Some(url) = view.terms.as_deref().filter(|url| safe(url)) { a href=(url) rel="noreferrer" { (w.t("authorize-terms")) } }
                }
            }
        }
    }
}

fn safe(url: &str) -> bool {
    url.starts_with("https://")
}

fn title(step: &Step) -> &'static str {
    match step {
        Step::SignIn { .. } => "log-in-title",
        Step::Factor { .. } => "factor-title",
        Step::Choose { .. } => "choose-title",
        Step::Consent { .. } => "consent-title",
    }
}

fn hidden(view: &View, step: &str) -> Markup {
    html! {
        (parts::csrf(&view.csrf))
        input type="hidden" name="client_id" value=(view.client_id);
        input type="hidden" name="request_uri" value=(view.request_uri);
        input type="hidden" name="step" value=(step);
    }
}

fn sign_in(w: &Words, view: &View, hint: Option<&str>, wrong: Option<&str>) -> Markup {
    html! {
        form method="post" action="/oauth/authorize" { (hidden(view, "sign-in")) (sign_in_fields(w, hint, wrong)) }
        @if view.create { p { a href="/account/sign-up" { (w.t("log-in-no-account")) } } }
    }
}

/// Name and password, for this page and for the account's own.
pub(crate) fn sign_in_fields(w: &Words, hint: Option<&str>, wrong: Option<&str>) -> Markup {
    let invalid = wrong.is_some().then_some("true");
    html! {
        @if let Some(wrong) = wrong { p.wrong #wrong role="alert" { (wrong) } }
        div.field {
            label for="identifier" { (w.t("log-in-name")) }
            input #identifier name="identifier" required autocomplete="username" autocapitalize="none" spellcheck="false"
                dir="ltr" value=[hint] aria-invalid=[invalid] aria-describedby=[wrong.map(|_| "wrong")];
        }
        div.field {
            label for="password" { (w.t("log-in-password")) span.hint { (w.t("log-in-password-hint")) } }
            input #password type="password" name="password" required autocomplete="current-password" dir="ltr" aria-invalid=[invalid];
        }
        label.choice { input type="checkbox" name="remember" value="1"; span { (w.t("log-in-remember")) } }
        button type="submit" { (w.t("log-in-button")) }
    }
}

/// The second step, for this page and for the account's own.
pub(crate) fn factor_forms(w: &Words, action: &str, hidden: &Markup, step: &Step) -> Markup {
    let Step::Factor { ticket, app, email, backup, passkey, remember, wrong } = step else { return html! {} };
    let carried = html! {
        (hidden)
        input type="hidden" name="ticket" value=(ticket);
        @if *remember { input type="hidden" name="remember" value="1"; }
    };
    html! {
        @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong) } }
        @if let Some(options) = passkey {
            form method="post" action=(action) data-passkey="get" data-options=(options) hidden {
                (carried)
                input type="hidden" name="answer" value="";
                button type="submit" { (w.t("factor-passkey")) }
                p.wrong role="alert" data-said=(w.t("factor-passkey-failed")) {}
            }
        }
        @if *app || *email || *backup {
            form method="post" action=(action) {
                (carried)
                div.field {
                    label for="code" {
                        (w.t("factor-code"))
                        span.hint {
                            @if *app { (w.t("factor-app")) " " }
                            @if *email { (w.t("factor-email")) " " }
                            @if *backup { (w.t("factor-backup")) }
                        }
                    }
                    input #code name="code" required autocomplete="one-time-code" autocapitalize="none" spellcheck="false" dir="ltr";
                }
                button type="submit" { (w.t("factor-button")) }
            }
        }
    }
}

fn link(view: &View, account: &str) -> String {
    let pairs =
        [("client_id", view.client_id.as_str()), ("request_uri", &view.request_uri), ("account", account)];
    let asked = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("/oauth/authorize?{asked}")
}

fn choose(w: &Words, view: &View, accounts: &[(Did, String)]) -> Markup {
    html! {
        ul.cards {
            @for (did, handle) in accounts {
                li { a.button.second href=(link(view, did.as_str())) { (name(handle)) } }
            }
            li { a.button.second href=(link(view, "other")) { (w.t("choose-other")) } }
        }
    }
}

fn consent(w: &Words, view: &View, did: &Did, handle: &str) -> Markup {
    html! {
        p { (w.t("consent-as")) " " strong { (name(handle)) } " · " a href=(link(view, "other")) { (w.t("consent-other")) } }
        form method="post" action="/oauth/authorize" {
            (hidden(view, "accept"))
            input type="hidden" name="did" value=(did.as_str());
            fieldset {
                legend { (w.t("consent-asked")) }
                @for asked in &view.asked {
                    label.choice {
                        @if asked.needed { input type="checkbox" checked disabled; }
                        @else { input type="checkbox" name="scope" value=(asked.scope) checked; }
                        span {
                            @for line in &asked.lines { (self::line(w, line)) br; }
                            @if asked.grave { span.warn-ink { (w.t("consent-grave")) } br; }
                            small { (parts::code(&asked.scope)) }
                        }
                    }
                }
            }
            @if view.asked.iter().any(|asked| !asked.needed) { p.soft { (w.t("consent-untick")) } }
            button type="submit" { (w.t("consent-accept")) }
        }
    }
}

fn line(w: &Words, line: &Line) -> Markup {
    match line {
        Line::Theirs(text) => html! { (w.t("consent-theirs")) " " (said(text)) },
        Line::Ours(key, args) => {
            // The names in a sentence stand beside it: nobody translates them.
            let given: Vec<(&str, Arg<'_>)> =
                args.iter().map(|(name, text)| (*name, text.as_str().into())).collect();
            let names: Vec<&str> = args
                .iter()
                .filter(|(name, _)| !["actions", "kind"].contains(name))
                .map(|(_, text)| text.as_str())
                .collect();
            html! { (w.f(key, &given)) @for text in names { " " (parts::code(text)) } }
        }
    }
}

fn refuse(w: &Words, view: &View) -> Markup {
    html! {
        form method="post" action="/oauth/authorize" {
            (hidden(view, "refuse"))
            button.quiet type="submit" { (w.t("authorize-refuse")) }
        }
    }
}

/// The answer to an application that wants it posted.
#[must_use]
pub fn form_post(w: &Words, action: &str, params: &[(String, String)]) -> Markup {
    html! {
        div.narrow {
            h1 { (w.t("authorize-back-title")) }
            form method="post" action=(action) data-send="1" {
                @for (name, value) in params { input type="hidden" name=(name) value=(value); }
                button type="submit" { (w.t("authorize-back")) }
            }
        }
    }
}

/// A request that cannot be answered.
#[must_use]
pub fn wrong(w: &Words, why: &Markup) -> Markup {
    html! {
        div.narrow {
            h1 { (w.t("authorize-wrong-title")) }
            (parts::notice(Tone::Bad, html! { p { (why) } }))
            p { (w.t("authorize-wrong")) }
        }
    }
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let asked = p2pds_oauth::scope::KEYS.iter().map(|key| Asked {
        scope: "repo:app.bsky.feed.post".to_owned(),
        lines: vec![Line::Ours(
            key,
            ["actions", "collection", "method", "service", "type", "kind", "set"]
                .map(|name| {
                    (name, if name == "actions" { "create-delete".to_owned() } else { "x".to_owned() })
                })
                .into(),
        )],
        grave: true,
        needed: *key == "scope-atproto",
    });
    let base = View {
        csrf: "t".to_owned(),
        client_id: "https://app.example/client.json".to_owned(),
        request_uri: "urn:ietf:params:oauth:request_uri:req-x".to_owned(),
        host: "app.example".to_owned(),
        local: false,
        name: Some("Example".to_owned()),
        policy: Some("https://app.example/privacy".to_owned()),
        terms: None,
        asked: asked.collect(),
        create: true,
        step: Step::SignIn { hint: None, wrong: None },
    };
    let wrong = Step::SignIn { hint: Some("alice.example.com".to_owned()), wrong: Some(w.t("log-in-wrong")) };
    let factor = Step::Factor {
        ticket: "t".into(),
        app: true,
        email: true,
        backup: true,
        passkey: Some("{}".into()),
        remember: true,
        wrong: None,
    };
    let did = crate::samples::did();
    let choose = Step::Choose { accounts: vec![(did.clone(), "alice.example.com".to_owned())] };
    let consent = Step::Consent { did, handle: "alice.example.com".to_owned() };
    let shown = |step| body(w, &View { step, ..base.clone() });
    vec![
        Sample { page: "authorize", state: "empty", body: shown(base.step.clone()) },
        Sample { page: "authorize", state: "error", body: shown(wrong) },
        Sample { page: "authorize", state: "factor", body: shown(factor) },
        Sample { page: "authorize", state: "partial", body: shown(choose) },
        Sample {
            page: "authorize",
            state: "local",
            body: body(w, &View { step: consent.clone(), local: true, ..base.clone() }),
        },
        Sample { page: "authorize", state: "success", body: shown(consent) },
        Sample { page: "authorize", state: "refused", body: self::wrong(w, &said("this request is over")) },
    ]
}
