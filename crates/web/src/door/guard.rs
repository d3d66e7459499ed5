//! What is looked at before every page: the name that was asked for, the page that a form came from, and the cookies.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use data_encoding::BASE64URL_NOPAD;
use p2pds_store::StoreError;
use p2pds_store::hosting::{OwnerUnit, WebSessionRow};
use p2pds_syntax::Did;

use super::place::{Place, only_looks};
use super::{Door, LASTS, LASTS_SECONDS, NOTED_EVERY, Visitor, VisitorAddress, Who};
use super::{derived, digest, new_cookie};
use crate::cookies::cookie;
use crate::web::Web;

/// Longest text of a browser about itself that is kept.
const LONGEST_AGENT: usize = 200;
/// How long a stranger's cookie lasts, seconds: long enough to sign in.
const VISIT_SECONDS: i64 = 3_600;
/// Where strangers find forms.
const FORMS_OF_STRANGERS: [&str; 5] = ["/claim", "/sign-in", "/account", "/oauth/", "/remove-me"];

/// What is known of a request before its page looks at it.
#[derive(Debug)]
pub struct Seen {
    place: Place,
    /// Where it comes from.
    pub(crate) address: IpAddr,
    agent: String,
    /// The session of whoever asks.
    pub(crate) session: Option<WebSessionRow>,
    name: Option<String>,
    /// The cookie that counts: of the session, else of the visit.
    held: Option<String>,
}

impl Seen {
    pub(super) fn visitor(&self) -> Visitor {
        let (who, name) = match &self.session {
            None => (Who::Nobody, None),
            Some(WebSessionRow { did: None, .. }) => (Who::Claimant, None),
            Some(WebSessionRow { did: Some(did), .. }) => (Who::Owner(did.clone()), self.name.clone()),
        };
        let token = |held: &String| BASE64URL_NOPAD.encode(&derived("p2pds csrf", held));
        Visitor { who, name, csrf: self.held.as_ref().map(token).unwrap_or_default() }
    }

    /// What the browser is known by while it is away; `None` when it holds nothing.
    pub(crate) fn browser(&self) -> Option<[u8; 32]> {
        self.held.as_ref().map(|held| derived("p2pds browser", held))
    }

    /// Whether somebody can sign in here.
    pub(crate) fn keeps_cookies(&self) -> bool {
        self.place.keeps_cookies()
    }

    /// The port on this machine that the browser asks.
    pub(crate) fn local_port(&self) -> Option<u16> {
        self.place.local_port()
    }

    /// A new session for whoever asks, and the cookie that opens it.
    pub(crate) fn new_session(
        &self,
        did: Option<Did>,
        now: i64,
    ) -> Result<(WebSessionRow, Vec<HeaderValue>), StoreError> {
        let value = new_cookie()?;
        let row = WebSessionRow {
            token: digest(&value),
            did,
            created_at: now,
            used_at: now,
            ends_at: now.saturating_add(LASTS),
            address: self.address.to_string(),
            agent: self.agent.clone(),
        };
        let cookies = vec![self.cookie(OWNER, &value, LASTS_SECONDS), self.cookie(VISIT, "", 0)];
        Ok((row, cookies.into_iter().flatten().collect()))
    }

    /// The cookie of a browser in which hosted accounts are signed in.
    pub(crate) fn device_cookie<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        cookie(headers, &cookie_name(&self.place, DEVICE))
            .filter(|value| !value.is_empty() && value.len() <= 128)
    }

    /// Sets it.
    pub(crate) fn set_device_cookie(&self, value: &str) -> Option<HeaderValue> {
        self.cookie(DEVICE, value, DEVICE_SECONDS)
    }

    /// Makes a browser forget all.
    pub(crate) fn forget(&self) -> Vec<HeaderValue> {
        [self.cookie(OWNER, "", 0), self.cookie(VISIT, "", 0)].into_iter().flatten().collect()
    }

    fn cookie(&self, what: &str, value: &str, seconds: i64) -> Option<HeaderValue> {
        let name = cookie_name(&self.place, what);
        let safe = if self.place.is_local() { "" } else { "; Secure" };
        let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{safe}");
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

const OWNER: &str = "owner";
const VISIT: &str = "visit";
const DEVICE: &str = "device";
/// How long a browser is remembered in which nobody does anything, seconds.
const DEVICE_SECONDS: i64 = 400 * 86_400;

/// Sent safely only, to this name only, by no other name set. On this machine, where there is no https, the port is in
/// the name: browsers tell programs on one machine apart by that alone.
fn cookie_name(place: &Place, what: &str) -> String {
    match place.local_port() {
        Some(port) => format!("p2pds-{what}-{port}"),
        None => format!("__Host-p2pds-{what}"),
    }
}

/// Stands in front of all pages.
pub(crate) async fn guard(State(web): State<Web>, request: Request, next: Next) -> Response {
    guarded(web.door(), request, next).await
}

pub(super) async fn guarded(door: &Door, mut request: Request, next: Next) -> Response {
    let Some(place) = Place::of(&door.0.names, request.headers(), request.uri()) else {
        let words = "this node does not answer to that host name; its operator can set http.hostname\n";
        return (StatusCode::MISDIRECTED_REQUEST, words).into_response();
    };
    if let Some(there) = place.in_one_form(request.uri())
        && only_looks(request.method())
    {
        return Redirect::temporary(&there).into_response();
    }
    if !only_looks(request.method()) && !place.is_own_page(request.headers()) {
        let words = "this was not sent by a page of this node, and nothing was done: open the page itself and try there\n";
        return (StatusCode::FORBIDDEN, words).into_response();
    }
    let shown = Shown::of(&request);
    let (seen, set) = match look(door, place, shown).await {
        Ok(seen) => seen,
        Err(error) => {
            tracing::error!(event = "web.door", %error, "who asks could not be looked up");
            let words = "this node cannot look up who you are just now; its log says why\n";
            return (StatusCode::SERVICE_UNAVAILABLE, words).into_response();
        }
    };
    request.extensions_mut().insert(Arc::new(seen));
    let mut response = next.run(request).await;
    for value in set {
        // A page that began or ended a session knows better.
        let name =
            |value: &HeaderValue| value.as_bytes().split(|byte| *byte == b'=').next().map(<[u8]>::to_vec);
        let set_already =
            response.headers().get_all(header::SET_COOKIE).iter().any(|by| name(by) == name(&value));
        if !set_already {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

/// What is looked at of a request.
struct Shown {
    headers: HeaderMap,
    address: IpAddr,
    /// A page that may have a form for strangers.
    form: bool,
}

impl Shown {
    fn of(request: &Request) -> Self {
        let path = request.uri().path();
        let form = FORMS_OF_STRANGERS.iter().any(|begin| path.starts_with(begin));
        Self {
            headers: request.headers().clone(),
            address: request.extensions().get::<VisitorAddress>().copied().unwrap_or_default().0,
            form: form && *request.method() == Method::GET,
        }
    }
}

/// Who asks, and the cookies to be set.
async fn look(door: &Door, place: Place, shown: Shown) -> Result<(Seen, Vec<HeaderValue>), StoreError> {
    let now = door.now();
    let Shown { headers, address, form } = shown;
    let of = |what: &str| {
        let value = cookie(&headers, &cookie_name(&place, what))?;
        (value.len() == 43).then(|| value.to_owned())
    };
    let (mut held, mut session, mut set) = (None, None, Vec::new());
    let mut touched = false;
    if let Some(value) = of(OWNER) {
        session = door.store().web_session(digest(&value), now).await?;
        if let Some(row) = &mut session {
            if row.did.is_some() {
                door.0.limits.owner_at(address);
            }
            touched = touch(door, row, address, now).await?;
            held = Some(value);
        }
    }
    let mut fresh = false;
    if session.is_none() {
        held = of(VISIT);
        if held.is_none() && form {
            held = Some(new_cookie()?);
            fresh = true;
        }
    }
    let name = match session.as_ref().and_then(|row| row.did.as_ref()) {
        Some(did) => Some(door.name_of(did).await),
        None => None,
    };
    let seen = Seen { place, address, agent: agent(&headers), session, name, held };
    let value = seen.held.as_deref().unwrap_or_default();
    if touched {
        set.extend(seen.cookie(OWNER, value, LASTS_SECONDS));
    }
    if fresh {
        set.extend(seen.cookie(VISIT, value, VISIT_SECONDS));
    }
    Ok((seen, set))
}

/// Notes a use, not more often than is worth a write.
async fn touch(door: &Door, row: &mut WebSessionRow, address: IpAddr, now: i64) -> Result<bool, StoreError> {
    let moved = row.address != address.to_string();
    if !moved && now.saturating_sub(row.used_at) < NOTED_EVERY {
        return Ok(false);
    }
    row.used_at = now;
    row.ends_at = now.saturating_add(LASTS);
    row.address = address.to_string();
    let (token, address) = (row.token, row.address.clone());
    door.owner_unit(OwnerUnit::TouchSession { token, at: now, ends_at: row.ends_at, address }).await?;
    Ok(true)
}

fn agent(headers: &HeaderMap) -> String {
    let text = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).take(LONGEST_AGENT).collect()
}
