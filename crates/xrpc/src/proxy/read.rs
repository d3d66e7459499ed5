//! Answers of the AppView, completed with what the account wrote since the AppView heard of it.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use p2pds_host::Host;
use p2pds_ipld::cbor::{self, Limits};
use p2pds_ipld::json::to_json;
use p2pds_store::RecordRow;
use p2pds_syntax::{Datetime, Did, Tid};
use serde_json::Value;

use super::after_write::{Images, Local, Munge, Quoted, Written, quoted_view};
use super::{Passed, Passing, ProxyConfig};
use crate::error::XrpcError;

/// How long the newest of it has been waiting, milliseconds.
const LAG: &str = "atproto-upstream-lag";
/// What was written so short a time ago is shown even when the AppView says that it has heard of it: it may have put its
/// answer together before.
const GRACE: i64 = 5_000_000;
/// Quoted records that are asked for to complete one answer.
const MOST_QUOTES: usize = 5;

/// What a completed answer is made of.
type Complete = fn(&Munge<'_>, Value) -> Value;

/// Passes a read on, and completes its answer.
pub(crate) async fn read(
    host: &Host,
    config: &ProxyConfig,
    did: &Did,
    passing: &Passing<'_>,
    complete: Complete,
) -> Result<Response, XrpcError> {
    let passed = passing.pass(host, config, did).await?;
    let Some(since) = rev_of(&passed).filter(|_| passed.is_success() && passed.is_json()) else {
        return Ok(passed.respond().await);
    };
    let Some(local) = local(host, did, since).await else { return Ok(passed.respond().await) };
    let (headers, body) = passed.read(config.max_response).await?;
    let Ok(answer) = serde_json::from_slice::<Value>(&body) else { return Ok(whole(headers, body)) };
    let quoted = quotes(host, config, did, passing, &local).await;
    let images = images(host, config);
    let munge = Munge { local: &local, images: &images, quoted: &quoted };
    Ok(completed(headers, &complete(&munge, answer), &local, host.now()))
}

/// As [`read`], for a thread: of a post that the AppView does not know yet, it is made here.
pub(crate) async fn read_thread(
    host: &Host,
    config: &ProxyConfig,
    did: &Did,
    passing: &Passing<'_>,
    uri: &str,
) -> Result<Response, XrpcError> {
    let service = passing.target(host, config).await?;
    let passed = passing.pass_to(host, config, did, &service).await?;
    let since = rev_of(&passed);
    if passed.is_success() || since.is_none() || !passed.is_json() {
        return match since {
            Some(since) if passed.is_success() && passed.is_json() => {
                finish_thread(host, config, did, passing, passed, since).await
            }
            _ => Ok(passed.respond().await),
        };
    }
    let own = own_uri(host, did, uri).await;
    let made = match (since, own) {
        (Some(since), Some(own)) => made_here(host, config, did, passing, &own, since).await,
        _ => None,
    };
    match made {
        Some((thread, local)) => Ok(completed(HeaderMap::new(), &thread, &local, host.now())),
        None => Ok(passed.respond().await),
    }
}

async fn finish_thread(
    host: &Host,
    config: &ProxyConfig,
    did: &Did,
    passing: &Passing<'_>,
    passed: Passed,
    since: Tid,
) -> Result<Response, XrpcError> {
    let Some(local) = local(host, did, since).await else { return Ok(passed.respond().await) };
    let (headers, body) = passed.read(config.max_response).await?;
    let Ok(answer) = serde_json::from_slice::<Value>(&body) else { return Ok(whole(headers, body)) };
    let quoted = quotes(host, config, did, passing, &local).await;
    let images = images(host, config);
    let munge = Munge { local: &local, images: &images, quoted: &quoted };
    Ok(completed(headers, &munge.thread(answer), &local, host.now()))
}

/// The thread of one's own new post, with what the AppView has above it.
async fn made_here(
    host: &Host,
    config: &ProxyConfig,
    did: &Did,
    passing: &Passing<'_>,
    uri: &str,
    since: Tid,
) -> Option<(Value, Local)> {
    let local = local(host, did, since).await?;
    let quoted = quotes(host, config, did, passing, &local).await;
    let images = images(host, config);
    let (mut thread, parent) = Munge { local: &local, images: &images, quoted: &quoted }.thread_of(uri)?;
    if let Some(parent) = parent {
        let query = query(&[("uri", &parent), ("depth", "0")]);
        if let Some(mut answer) = ask(host, config, did, passing, "app.bsky.feed.getPostThread", &query).await
            && let Some(above) = answer.get_mut("thread")
            && let Value::Object(thread) = &mut thread
        {
            thread.insert("parent".to_owned(), above.take());
        }
    }
    Some((serde_json::json!({ "thread": thread }), local))
}

/// The address with the account's DID, when it is the account's.
async fn own_uri(host: &Host, did: &Did, uri: &str) -> Option<String> {
    let rest = uri.strip_prefix("at://")?;
    let (authority, path) = rest.split_once('/')?;
    if authority == did.as_str() {
        return Some(uri.to_owned());
    }
    let account = host.store().account(did).await.ok()??;
    (account.handle.as_deref() == Some(&authority.to_ascii_lowercase())).then(|| format!("at://{did}/{path}"))
}

/// The rev of the account that the AppView has heard of.
fn rev_of(passed: &Passed) -> Option<Tid> {
    Tid::parse(passed.header("atproto-repo-rev")?).ok()
}

async fn local(host: &Host, did: &Did, since: Tid) -> Option<Local> {
    let recent = u64::try_from(host.now().saturating_sub(GRACE)).unwrap_or_default();
    let since = since.min(Tid::from_micros(recent, 0));
    let found = match host.since(did, since).await {
        Ok(found) => found?,
        Err(error) => {
            tracing::warn!(event = "proxy.local", %error, "what was just written could not be read");
            return None;
        }
    };
    let local = Local {
        did: did.to_string(),
        handle: found.handle.unwrap_or_else(|| "handle.invalid".to_owned()),
        profile: found.profile.and_then(|row| written(did, row)),
        profile_now: found.profile_now.and_then(|row| written(did, row)).map(|written| written.record),
        posts: found.posts.into_iter().filter_map(|row| written(did, row)).collect(),
    };
    (!local.is_empty()).then_some(local)
}

fn written(did: &Did, row: RecordRow) -> Option<Written> {
    let record = to_json(&cbor::decode(&row.body?, &Limits::RECORD).ok()?);
    let at = Datetime::from_unix_micros(i64::try_from(row.since.micros()).ok()?)?;
    Some(Written {
        uri: format!("at://{did}/{}", row.key),
        cid: row.cid.to_string(),
        at: millis(at.as_str()),
        record,
    })
}

/// The protocol's usual form: three digits after the second, so that times compare as text.
fn millis(text: &str) -> String {
    match text.split_once('.') {
        Some((seconds, rest)) => {
            let digits: String =
                rest.chars().take_while(char::is_ascii_digit).chain("000".chars()).take(3).collect();
            format!("{seconds}.{digits}Z")
        }
        None => format!("{}.000Z", text.trim_end_matches('Z')),
    }
}

fn images(host: &Host, config: &ProxyConfig) -> Images {
    match &config.cdn {
        Some(pattern) => Images::Cdn(pattern.clone()),
        None => Images::Here(host.config().public_url.clone()),
    }
}

/// What the posts quote, as the AppView shows it.
async fn quotes(
    host: &Host,
    config: &ProxyConfig,
    did: &Did,
    passing: &Passing<'_>,
    local: &Local,
) -> Quoted {
    let mut found = Quoted::new();
    for uri in local.quotes().into_iter().take(MOST_QUOTES) {
        let (nsid, name) = if uri.contains("/app.bsky.feed.post/") {
            ("app.bsky.feed.getPosts", "uris")
        } else if uri.contains("/app.bsky.feed.generator/") {
            ("app.bsky.feed.getFeedGenerator", "feed")
        } else if uri.contains("/app.bsky.graph.list/") {
            ("app.bsky.graph.getList", "list")
        } else {
            continue;
        };
        if found.contains_key(&uri) {
            continue;
        }
        let answer = ask(host, config, did, passing, nsid, &query(&[(name, &uri)])).await;
        if let Some(view) = answer.and_then(|answer| quoted_view(&uri, &answer)) {
            found.insert(uri, view);
        }
    }
    found
}

pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Asks the AppView something for the account, on the way to another answer.
async fn ask(
    host: &Host,
    config: &ProxyConfig,
    did: &Did,
    passing: &Passing<'_>,
    nsid: &str,
    query: &str,
) -> Option<Value> {
    let service = config.app_view.as_ref()?;
    let asking = Passing {
        method: axum::http::Method::GET,
        nsid,
        query: Some(query),
        headers: passing.headers,
        body: None,
        token_for: None,
    };
    let passed = asking.pass_to(host, config, did, service).await.ok().filter(Passed::is_success)?;
    let (_, body) = passed.read(config.max_response).await.ok()?;
    serde_json::from_slice(&body).ok()
}

fn whole(headers: HeaderMap, body: Bytes) -> Response {
    (headers, body).into_response()
}

fn completed(mut headers: HeaderMap, answer: &Value, local: &Local, now: i64) -> Response {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let oldest = local.oldest().and_then(|at| Datetime::parse(at).ok()).map(|at| at.unix_micros());
    if let Some(oldest) = oldest {
        let lag = now.saturating_sub(oldest).max(0) / 1_000;
        headers.insert(HeaderName::from_static(LAG), HeaderValue::from(lag));
    }
    (headers, answer.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::millis;

    #[test]
    fn times_compare_as_text() {
        assert_eq!(millis("2026-01-01T00:00:00.123456Z"), "2026-01-01T00:00:00.123Z");
        assert_eq!(millis("2026-01-01T00:00:00.1Z"), "2026-01-01T00:00:00.100Z");
        assert_eq!(millis("2026-01-01T00:00:00Z"), "2026-01-01T00:00:00.000Z");
    }
}
