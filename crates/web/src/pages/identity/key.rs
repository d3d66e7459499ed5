//! Adding a rotation key of one's own above the host's: choose the key, ask the host for the token that it sends by
//! e-mail, let it sign, look at what it signed, hand it in.
//!
//! What is under way is held in memory, for an hour. A secret key that was made here is in it until its owner says that he
//! has written it down, and is kept nowhere.

mod forms;
mod pending;

use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use maud::{Markup, html};
use p2pds_agent::{Agent, Need, Secret};
use p2pds_crypto::{Curve, PrivateKey, PublicKey, Signer as _};
use p2pds_identity::plc::{Difference, Operation, Unsigned, differences};
use p2pds_syntax::Datetime;
use serde_json::{Value, json};
use zeroize::Zeroizing;

pub(crate) use pending::{Flow, Pending, Stage};

use forms::{in_groups, multibase};

use super::view::{ADDED, LATER};
use super::{change, note_own};
use crate::archived::{Subject, Tab, head};
use crate::ask::{Ask, Refused, Shown, answer};
use crate::form::Fields;
use crate::layout::Page;
use crate::node_side::Trouble;
use crate::pages::Sample;
use crate::parts::{self, Tone, code};
use crate::web::Web;
use crate::words::{Sentence, Words};

/// For how long the change is expected.
const ANNOUNCED: Duration = Duration::from_secs(3_600);

/// What is shown. It can hold a secret key, so nothing prints it.
pub struct View {
    /// Whose page it is.
    pub subject: Subject,
    /// The token of forms.
    pub csrf: String,
    /// What is under way, and its name.
    pub flow: Option<(String, Step)>,
    /// The account lives on this node.
    pub hosted: bool,
    /// There is a session at the host that may change the identity.
    pub session: bool,
    /// What did not work.
    pub trouble: Option<Trouble>,
}

/// Where somebody is.
pub enum Step {
    /// The key was made: it is to be written down.
    WriteDown {
        /// The public half, as did:key.
        key: String,
        /// The secret half.
        secret: Zeroizing<String>,
    },
    /// The host is to be asked for a token.
    Ask(String),
    /// The token has been sent.
    Token(String),
    /// The host has signed.
    Signed {
        /// The public half of the key, as did:key.
        key: String,
        /// What the operation changes.
        changes: Vec<Difference>,
        /// It changes nothing but what was asked for.
        as_asked: bool,
    },
}

/// The page.
#[must_use]
pub fn body(w: &Words, view: &View) -> Markup {
    html! {
        (head(w, &view.subject, Tab::Identity, &html! { (w.t("add-key-title")) }))
        p { a href=(view.subject.path("/identity")) { (w.t("add-key-back")) } }
        @if let Some(trouble) = &view.trouble { (parts::trouble(w, trouble)) }
        (steps(w, view.flow.as_ref().map(|(_, step)| step)))
        @match &view.flow {
            None => (choose(w, view)),
            Some((id, step)) => (now(w, view, id, step)),
        }
    }
}

fn steps(w: &Words, step: Option<&Step>) -> Markup {
    let at = match step {
        None => 0,
        Some(Step::WriteDown { .. }) => 1,
        Some(Step::Ask(_)) => 2,
        Some(Step::Token(_)) => 3,
        Some(Step::Signed { .. }) => 4,
    };
    let all = [
        "add-key-step-choose",
        "add-key-step-write",
        "add-key-step-ask",
        "add-key-step-token",
        "add-key-step-submit",
    ];
    html! {
        ol.steps {
            @for (place, words) in all.into_iter().enumerate() {
                li class=(if place < at { "done" } else if place == at { "now" } else { "later" })
                    aria-current=[(place == at).then_some("step")] { (w.t(words)) }
            }
        }
    }
}

fn form(view: &View, rest: &str, id: Option<&str>, content: &Markup) -> Markup {
    // Only the first step takes a file.
    let kind = rest.is_empty().then_some("multipart/form-data");
    html! {
        form method="post" action=(view.subject.path(&format!("/identity/key{rest}"))) enctype=[kind] {
            (parts::csrf(&view.csrf))
            @if let Some(id) = id { input type="hidden" name="flow" value=(id); }
            (content)
        }
    }
}

fn choose(w: &Words, view: &View) -> Markup {
    html! {
        p { (w.t("add-key-why")) }
        h2 { (w.t("add-key-make-title")) }
        p { (w.t("add-key-make-words")) }
        (form(view, "", None, &html! { button type="submit" name="make" value="1" { (w.t("add-key-make")) } }))
        h2 { (w.t("add-key-have-title")) }
        (form(view, "", None, &html! {
            div.field {
                label for="key" { (w.t("add-key-have")) span.hint { (w.t("add-key-have-hint")) } }
                input #key name="key" translate="no" placeholder="did:key:z…" dir="ltr" autocapitalize="none" spellcheck="false" autocomplete="off";
            }
            div.field {
                label for="key-file" { (w.t("add-key-file")) }
                input #key-file name="key-file" type="file";
            }
            button.second type="submit" { (w.t("add-key-have-button")) }
        }))
    }
}

fn now(w: &Words, view: &View, id: &str, step: &Step) -> Markup {
    match step {
        Step::WriteDown { key, secret } => html! {
            (parts::notice(Tone::Warn, html! { p { strong { (w.t("add-key-once")) } } p { (w.t("add-key-once-words")) } }))
            p { (w.t("add-key-secret")) }
            pre.code-words dir="ltr" translate="no" { (in_groups(secret)) }
            @if let Some(text) = multibase(secret) {
                p { (w.t("add-key-secret-z")) }
                pre.code-words dir="ltr" translate="no" { (*text) }
            }
            p { (w.t("add-key-public")) " " (code(key)) }
            (form(view, "/written", Some(id), &html! {
                label.choice { input type="checkbox" name="written" value="1" required; span { (w.t("add-key-written")) } }
                button type="submit" { (w.t("add-key-next")) }
            }))
        },
        Step::Ask(key) => html! {
            p { (w.t("add-key-public")) " " (code(key)) }
            @if view.hosted {
                p { (w.t("add-key-hosted")) }
                (form(view, "/submit", Some(id), &html! { button type="submit" { (w.t("add-key-add-here")) } }))
            } @else { (ask(w, view, id)) }
        },
        Step::Token(key) => html! {
            p { (w.t("add-key-public")) " " (code(key)) }
            p { (w.t("add-key-mailed")) }
            (form(view, "/sign", Some(id), &html! {
                div.field {
                    label for="token" { (w.t("add-key-token")) }
                    input #token name="token" required autocomplete="one-time-code" autocapitalize="characters" spellcheck="false" dir="ltr";
                }
                button type="submit" { (w.t("add-key-sign")) }
            }))
        },
        Step::Signed { key, changes, as_asked } => html! {
            p { (w.t("add-key-public")) " " (code(key)) }
            h2 { (w.t("add-key-signed-title")) }
            ul { @for difference in changes { li { (change(w, difference)) } } }
            @if *as_asked {
                p { (w.t("add-key-signed-words")) }
                (form(view, "/submit", Some(id), &html! { button type="submit" { (w.t("add-key-submit")) } }))
            } @else {
                (parts::notice(Tone::Bad, html! { p { strong { (w.t("add-key-other")) } } p { (w.t("add-key-other-words")) } }))
            }
        },
    }
}

fn ask(w: &Words, view: &View, id: &str) -> Markup {
    html! {
        p { (w.t("add-key-ask-words")) }
        (form(view, "/ask", Some(id), &html! {
            @if view.session { p { (w.t("add-key-session")) } }
            @else {
                div.field {
                    label for="password" { (w.t("add-key-password")) span.hint { (w.t("add-key-password-hint")) } }
                    input #password name="password" type="password" autocomplete="off" dir="ltr" required;
                }
            }
            button type="submit" { (w.t("add-key-ask")) }
        }))
        @if !view.session {
            p { (w.t("restore-or")) }
            form method="post" action=(view.subject.path("/consent")) {
                (parts::csrf(&view.csrf))
                input type="hidden" name="need" value="identity";
                input type="hidden" name="to" value={ (view.subject.path("/identity/key")) "?flow=" (id) };
                button.second type="submit" { (w.t("add-key-consent")) }
            }
        }
    }
}

/// `GET /archive/{did}/identity/key`
pub async fn show(State(web): State<Web>, ask: Ask, Path(did): Path<String>, query: RawQuery) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        page(&web, &ask, subject, crate::query::text(query.0.as_deref(), "flow"), None).await
    })
    .await
}

async fn page(web: &Web, ask: &Ask, subject: Subject, id: Option<String>, trouble: Option<Trouble>) -> Shown {
    let account = web.archive().store().account(&subject.did).await?;
    let flow = id.and_then(|id| {
        let step = web.keys().look(&id, &subject.did, web.now(), |flow| match &flow.stage {
            Stage::Made(secret) => Step::WriteDown { key: flow.key.clone(), secret: secret.clone() },
            Stage::Chosen => Step::Ask(flow.key.clone()),
            Stage::Asked => Step::Token(flow.key.clone()),
            Stage::Signed { changes, as_asked, .. } => {
                Step::Signed { key: flow.key.clone(), changes: changes.clone(), as_asked: *as_asked }
            }
        })?;
        Some((id, step))
    });
    let status = if trouble.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let view = View {
        csrf: ask.frame.csrf.clone(),
        flow,
        hosted: account.is_some_and(|account| account.hosted),
        session: web.door().agents().may(&subject.did, &Need::Identity).await.unwrap_or(false),
        trouble,
        subject,
    };
    Ok(ask.show_as(status, &Page::new(ask.w.t("add-key-title"), body(&ask.w, &view))))
}

fn said(message: impl ToString) -> Trouble {
    Trouble::said(message.to_string(), None)
}

fn to(subject: &Subject, id: &str) -> Response {
    Ask::go(&format!("{}?flow={}", subject.path("/identity/key"), parts::segment(id)))
}

/// `POST /archive/{did}/identity/key`: a key is made, or one that somebody has is taken.
pub async fn post(State(web): State<Web>, ask: Ask, Path(did): Path<String>, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let (key, stage) = if fields.ticked("make") {
            let (key, secret) = make().map_err(|words| Refused::Trouble(said(words)))?;
            (key, Stage::Made(secret))
        } else {
            let (typed, file) = (fields.text("key"), fields.text("key-file"));
            match PublicKey::from_did_key(if typed.is_empty() { &file } else { &typed }) {
                Ok(key) => (key.to_did_key(), Stage::Chosen),
                Err(_) => {
                    let trouble = Trouble::of(Sentence::of("refused-public-key"));
                    return page(&web, &ask, subject, None, Some(trouble)).await;
                }
            }
        };
        let flow = Flow { did: subject.did.clone(), key, stage, agent: None, begun: web.now() };
        let id = web
            .keys()
            .begin(flow)
            .ok_or_else(|| Refused::Trouble(said("there are no random numbers to be had")))?;
        Ok(to(&subject, &id))
    })
    .await
}

/// A new key: its public half as did:key, its secret half in hexadecimal digits.
fn make() -> Result<(String, Zeroizing<String>), String> {
    let mut entropy = Zeroizing::new([0_u8; 32]);
    getrandom::fill(entropy.as_mut_slice()).map_err(|error| error.to_string())?;
    let key = PrivateKey::from_entropy(Curve::K256, *entropy);
    let secret = Zeroizing::new(HEXLOWER.encode(&*key.to_secret_bytes()));
    Ok((key.public_key().to_did_key(), secret))
}

/// `POST /archive/{did}/identity/key/written`: the secret key is wiped.
pub async fn written(State(web): State<Web>, ask: Ask, Path(did): Path<String>, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let id = fields.text("flow");
        if fields.ticked("written") {
            web.keys().change(&id, &subject.did, web.now(), |flow| flow.stage = Stage::Chosen);
        }
        Ok(to(&subject, &id))
    })
    .await
}

/// `POST /archive/{did}/identity/key/ask`: the host is asked to send a token.
pub async fn request(State(web): State<Web>, ask: Ask, Path(did): Path<String>, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let id = fields.text("flow");
        let password = fields.first("password").filter(|password| !password.is_empty()).map(Secret::new);
        match requested(&web, &subject, password).await {
            Ok(agent) => {
                web.keys().change(&id, &subject.did, web.now(), |flow| {
                    flow.agent = Some(agent);
                    flow.stage = Stage::Asked;
                });
                Ok(to(&subject, &id))
            }
            Err(trouble) => page(&web, &ask, subject, Some(id), Some(trouble)).await,
        }
    })
    .await
}

async fn requested(web: &Web, subject: &Subject, password: Option<Secret>) -> Result<Agent, Trouble> {
    let mut agent = match password {
        None => {
            let agent = web.door().agents().agent(&subject.did).await.map_err(said)?;
            agent.ok_or_else(|| said("there is no session at the account's server: give the password"))?
        }
        Some(password) => {
            let host = web.archive().line(&subject.did).await?.host;
            let host = host.ok_or_else(|| said("the identity names no server"))?;
            Agent::login(web.archive().net().clone(), &host, &subject.did, &password).await.map_err(said)?
        }
    };
    let nsid = "com.atproto.identity.requestPlcOperationSignature";
    agent.upload(nsid, "", Bytes::new()).await.map_err(said)?;
    Ok(agent)
}

/// `POST /archive/{did}/identity/key/sign`: the host signs, and what it signed is read.
pub async fn sign(State(web): State<Web>, ask: Ask, Path(did): Path<String>, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let (id, token) = (fields.text("flow"), fields.text("token"));
        let taken =
            web.keys().change(&id, &subject.did, web.now(), |flow| (flow.key.clone(), flow.agent.take()));
        let Some((key, Some(mut agent))) = taken else { return Ok(to(&subject, &id)) };
        let signed = signed(&web, &subject, &mut agent, &key, &token).await;
        web.keys().change(&id, &subject.did, web.now(), |flow| flow.agent = Some(agent));
        match signed {
            Ok(stage) => {
                web.keys().change(&id, &subject.did, web.now(), |flow| flow.stage = stage);
                Ok(to(&subject, &id))
            }
            Err(trouble) => page(&web, &ask, subject, Some(id), Some(trouble)).await,
        }
    })
    .await
}

async fn signed(
    web: &Web,
    subject: &Subject,
    agent: &mut Agent,
    key: &str,
    token: &str,
) -> Result<Stage, Trouble> {
    // Keys that somebody added meanwhile are not to be lost.
    web.archive().watch(&subject.did, &[]).await?;
    let log = web.archive().stored_plc_log(&subject.did).await?;
    let log =
        log.ok_or_else(|| said("the log of this identity is not stored here yet: fetch the account first"))?;
    let before = log.data().ok_or_else(|| said("this identity was given up"))?;
    let mut keys = vec![key.to_owned()];
    keys.extend(before.rotation_keys.iter().filter(|known| *known != key).cloned());
    let body = json!({ "token": token, "rotationKeys": keys });
    let answer = agent.post("com.atproto.identity.signPlcOperation", &body).await.map_err(said)?;
    let operation = answer.get("operation").cloned().unwrap_or(Value::Null);
    let read = Operation::from_json(&operation).map_err(said)?;
    let at =
        Datetime::from_unix_micros(web.now()).ok_or_else(|| said("the clock of this machine is wrong"))?;
    // Signed by a key of the account, on top of its log: what the directory would say too.
    log.append(read.clone(), at).map_err(said)?;
    let Unsigned::Update { data, .. } = read.unsigned() else {
        return Err(said("the server signed something else"));
    };
    let changes = differences(&before, data);
    let mut wanted = before;
    wanted.rotation_keys = keys;
    Ok(Stage::Signed { as_asked: *data == wanted, operation, changes })
}

/// `POST /archive/{did}/identity/key/submit`: the directory gets it.
pub async fn submit(State(web): State<Web>, ask: Ask, Path(did): Path<String>, fields: Fields) -> Response {
    answer(&ask, async {
        ask.operator()?;
        let subject = Subject::find(&web, &did).await?;
        let id = fields.text("flow");
        match submitted(&web, &subject, &id).await {
            Ok(key) => {
                note_own(&web, &subject, key.clone(), true).await?;
                web.keys().end(&id);
                let done = if seen(&web, &subject, &key).await { ADDED } else { LATER };
                Ok(Ask::go(&format!("{}?done={done}", subject.path("/identity"))))
            }
            Err(trouble) => page(&web, &ask, subject, Some(id), Some(trouble)).await,
        }
    })
    .await
}

/// Asks the directory for the log as it is now; whether the key stands in it.
async fn seen(web: &Web, subject: &Subject, key: &str) -> bool {
    let did = &subject.did;
    // What the directory said a moment ago, before the key was handed in, is remembered for a minute.
    web.archive().forget_identity(did);
    if let Err(error) = web.archive().watch(did, &[]).await {
        tracing::debug!(event = "web.identity-later", %did, %error, "the new log is read later");
    }
    web.identities().forget(did);
    let log = web.archive().stored_plc_log(did).await.ok().flatten();
    let seen = log.and_then(|log| log.data()).is_some_and(|data| data.rotation_keys.iter().any(|k| k == key));
    if !seen {
        // Whoever asks next gets no answer from before it showed.
        web.archive().forget_identity(did);
    }
    seen
}

/// Why an operation of these pages is expected, as it is kept with the account.
pub(super) const REASON: &str = "a rotation key of the owner, added on the pages of this node";

/// Hands the operation in; gives the key back that it added.
async fn submitted(web: &Web, subject: &Subject, id: &str) -> Result<String, Trouble> {
    let did = &subject.did;
    let gone = || said("this took too long and was forgotten: begin again");
    let hosted =
        web.archive().store().account(did).await.map_err(said)?.is_some_and(|account| account.hosted);
    let reason = REASON;
    if let (Some(host), true) = (web.host(), hosted) {
        let key = web.keys().look(id, did, web.now(), |flow| flow.key.clone()).ok_or_else(gone)?;
        web.archive().announce(did, ANNOUNCED, reason).await?;
        let added = key.clone();
        let add = move |data: &mut p2pds_identity::plc::Data| {
            data.rotation_keys.retain(|known| *known != added);
            data.rotation_keys.insert(0, added.clone());
        };
        host.update_plc(did, add).await?;
        return Ok(key);
    }
    let taken = web.keys().change(id, did, web.now(), |flow| {
        let Stage::Signed { operation, as_asked: true, .. } = &flow.stage else { return None };
        Some((flow.key.clone(), operation.clone(), flow.agent.take()))
    });
    let Some(Some((key, operation, Some(mut agent)))) = taken else { return Err(gone()) };
    web.archive().announce(did, ANNOUNCED, reason).await?;
    let body = json!({ "operation": operation });
    let done = agent.post("com.atproto.identity.submitPlcOperation", &body).await;
    web.keys().change(id, did, web.now(), |flow| flow.agent = Some(agent));
    done.map_err(said)?;
    tracing::info!(event = "web.key-added", %did, key, "the owner added a rotation key");
    Ok(key)
}

/// One of each state.
#[must_use]
pub fn samples(w: &Words) -> Vec<Sample> {
    let key = || "did:key:zQ3shmine".to_owned();
    let view = |step: Option<Step>| View {
        subject: crate::archived::made_up(),
        csrf: "t".to_owned(),
        flow: step.map(|step| ("flow".to_owned(), step)),
        hosted: false,
        session: false,
        trouble: None,
    };
    let secret = Zeroizing::new("0123456789abcdef".repeat(4));
    let changes = || vec![Difference::RotationKeyAdded { key: key(), position: 0 }];
    let signed = |as_asked| Step::Signed { key: key(), changes: changes(), as_asked };
    [
        ("empty", view(None)),
        ("loading", view(Some(Step::Token(key())))),
        ("partial", view(Some(Step::WriteDown { key: key(), secret }))),
        ("error", View { trouble: Some(crate::pages::made_up_trouble()), ..view(Some(signed(false))) }),
        ("ask", view(Some(Step::Ask(key())))),
        ("success", view(Some(signed(true)))),
    ]
    .map(|(state, view)| Sample { page: "add-key", state, body: body(w, &view) })
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_made_can_be_read_again() {
        let (public, secret) = make().unwrap();
        let written: String = in_groups(&secret).split(' ').collect();
        let read = p2pds_recovery::RotationKey::read(&written).unwrap();
        assert!(read.did_keys().contains(&public));
        assert_eq!(in_groups(&secret).split(' ').count(), 16);
        let read = p2pds_recovery::RotationKey::read(&multibase(&secret).unwrap()).unwrap();
        assert_eq!(read.did_keys(), [public], "this form says its curve");
    }
}
