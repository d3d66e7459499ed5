//! Serving to others: the public door's settings, and the worker that keeps its index of CIDs current.

use std::sync::Arc;
use std::time::{Duration, Instant};

use p2pds_xrpc::{OwnCalls, Secret, Xrpc, XrpcConfig};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;
use crate::node::engine::Engine;
use crate::node::supervise::Stop;
use crate::operator::Failure;
use crate::passing;

/// How often the index is brought up to date.
const REFRESH: Duration = Duration::from_secs(3);
/// Files open at a time: connections, and what they read.
const FILES: u64 = 16_384;

/// The public door on what the engine gives out.
///
/// # Errors
/// Settings that do not go together.
pub fn door(engine: &Engine) -> Result<Arc<Xrpc>, Failure> {
    let settings = XrpcConfig {
        archive_only: engine.host.is_none(),
        own_calls: engine.own_calls.clone(),
        hits: engine.hits.clone(),
        ..settings(&engine.config)?
    };
    let door = Xrpc::new(engine.reading.clone(), settings);
    Ok(Arc::new(door.with_host(engine.host.clone()).with_oauth(engine.oauth.clone())))
}

/// Lets the process open as many files as it may: each connection is one.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(FILES, |most| most.min(FILES));
    if limit.current.is_some_and(|now| now < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(event = "node.files", %error, "the limit of open files stays as it is");
        }
    }
}

/// The door's settings, but for what the engine shares with it.
///
/// # Errors
/// Settings that do not go together.
pub fn settings(config: &Config) -> Result<XrpcConfig, Failure> {
    let (serving, limits) = (&config.serving, &config.limits);
    let secret = |text: &crate::config::setting::Secret| Secret::new(text.expose());
    let proxy = passing::proxy(config)?;
    Ok(XrpcConfig {
        peer_tokens: serving.peer_tokens.iter().map(|token| token.expose().to_owned()).collect(),
        mirror_hostname: serving.mirror_hostname.as_ref().map(|name| name.to_ascii_lowercase()),
        archive_only: true,
        gateway: serving.gateway,
        rate_limits: serving.rate_limits,
        requests: serving.requests,
        unknown_cids: serving.unknown_cids,
        trusted_proxies: serving.trusted_proxies.clone(),
        admin_password: config.hosting.admin_password.as_ref().map(secret),
        moderation_service: proxy.moderation.as_ref().map(|service| service.did.clone()),
        bypass_key: limits.bypass_key.as_ref().map(secret),
        own_calls: OwnCalls::default(),
        hits: Default::default(),
        bypass: limits.bypass_ips.clone(),
        proxy,
    })
}

/// Keeps the index of served CIDs current until told to stop.
///
/// # Errors
/// None: what cannot be read now is tried again.
pub async fn index(engine: Arc<Engine>, mut stop: Stop) -> anyhow::Result<()> {
    let most = usize::try_from(engine.config.serving.index_blocks).unwrap_or(usize::MAX);
    let mut left_out = 0;
    loop {
        let begun = Instant::now();
        tokio::select! {
            () = stop.wait() => return Ok(()),
            refreshed = engine.reading.refresh_index(most) => match refreshed {
                Ok(done) if done.left_out != left_out => {
                    left_out = done.left_out;
                    tracing::warn!(
                        event = "serving.index-full", accounts = left_out, blocks = done.blocks,
                        "served accounts cannot be found by CID alone: raise serving.index_blocks",
                    );
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(event = "serving.index", %error, "the index could not be read now"),
            },
        }
        tokio::select! {
            () = stop.wait() => return Ok(()),
            () = engine.reading.index_wanted() => {}
            // Looking costs a fiftieth of the time at most, however many accounts there are.
            () = tokio::time::sleep(begun.elapsed().saturating_mul(50).max(REFRESH)) => {}
        }
    }
}
