//! The heartbeat: a monitor elsewhere is asked regularly while this node is ready, and told when it is not. What an
//! alert cannot say, that the node or its machine is gone, its silence says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use p2pds_net::{Client, GetOptions, NetError};
use url::Url;

use crate::config::Config;
use crate::node::engine::{Engine, net_config};
use crate::node::health::Health;
use crate::node::supervise::Stop;

/// Its name for the supervisor.
pub const NAME: &str = "heartbeat";
/// How long the monitor may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the node's own health is looked at.
const LOOK: Duration = Duration::from_secs(10);
/// After a heartbeat that did not arrive the next follows sooner.
const SOON: Duration = Duration::from_secs(30);
/// Heartbeats that are closer than this help nobody.
const LEAST: Duration = Duration::from_secs(1);

/// Beats until the node stops.
///
/// # Errors
/// Never by itself: what does not arrive is sent again.
pub async fn run(engine: Arc<Engine>, mut stop: Stop) -> anyhow::Result<()> {
    let Some(heart) = Heart::new(&engine.config) else {
        stop.wait().await;
        return Ok(());
    };
    let health = Health::new(Arc::clone(&engine.store));
    let (mut last, mut arrived): (Option<(Instant, bool)>, bool) = (None, true);
    loop {
        let state = health.check().await;
        let wait = if arrived { heart.every } else { heart.every.min(SOON) };
        let due = last.is_none_or(|(at, well)| well != state.is_ok() || at.elapsed() >= wait);
        if due {
            let sent = heart.beat(&state).await;
            metrics::counter!("p2pds_heartbeats_total", "outcome" => if sent.is_ok() { "ok" } else { "failed" })
                .increment(1);
            if let Err(error) = &sent {
                tracing::warn!(
                    event = "heartbeat.failed",
                    "the monitor was not told that this node is there: {error:#}"
                );
            }
            (last, arrived) = (Some((Instant::now(), state.is_ok())), sent.is_ok());
        }
        tokio::select! {
            () = stop.wait() => return Ok(()),
            () = tokio::time::sleep(heart.every.min(LOOK)) => {}
        }
    }
}

/// The monitor.
#[derive(Debug)]
pub struct Heart {
    net: anyhow::Result<Client>,
    url: String,
    every: Duration,
}

impl Heart {
    /// By the settings; `None` when no monitor is set.
    #[must_use]
    pub fn new(config: &Config) -> Option<Self> {
        let url = config.alerts.heartbeat_url.as_ref()?.expose().to_owned();
        let mut settings = net_config(config);
        settings.own_service = Some(url.clone()).filter(|_| config.alerts.heartbeat_private);
        let every = config.alerts.heartbeat_every.max(LEAST);
        Some(Self { net: Client::new(settings).map_err(anyhow::Error::from), url, every })
    }

    /// Tells the monitor that the node is well, or why not.
    ///
    /// # Errors
    /// It cannot be reached or does not answer 2xx. No message has the URL's path, which may be a secret.
    pub async fn beat(&self, state: &Result<(), String>) -> anyhow::Result<()> {
        let url = match state {
            Ok(()) => self.url.clone(),
            Err(_) => failing(&self.url)?,
        };
        let options = GetOptions { deadline: PATIENCE, retries: 0, redirects: 0, ..GetOptions::metadata() };
        let answer = self.net()?.get(&url, &options).await.map_err(quiet)?;
        answer.success().context("the monitor refuses heartbeats (alerts.heartbeat_url)")?;
        Ok(())
    }

    /// Whether the monitor's host answers at all; tells it nothing.
    ///
    /// # Errors
    /// Why not.
    pub async fn check(&self) -> anyhow::Result<()> {
        let mut url = parsed(&self.url)?;
        url.set_path("/");
        url.set_query(None);
        let options = GetOptions { deadline: PATIENCE, retries: 0, redirects: 0, ..GetOptions::metadata() };
        match self.net()?.get(url.as_str(), &options).await {
            // That its first page leads elsewhere is an answer too.
            Ok(_) | Err(NetError::Redirect { .. }) => Ok(()),
            Err(error) => Err(quiet(error)),
        }
    }

    fn net(&self) -> anyhow::Result<&Client> {
        self.net.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))
    }
}

fn parsed(url: &str) -> anyhow::Result<Url> {
    Url::parse(url).map_err(|why| anyhow::anyhow!("alerts.heartbeat_url is no URL: {why}"))
}

/// The address that says that the node is not well: `/fail` behind the path.
fn failing(url: &str) -> anyhow::Result<String> {
    let mut url = parsed(url)?;
    let path = format!("{}/fail", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url.into())
}

/// An error without the address.
fn quiet(error: NetError) -> anyhow::Error {
    match error {
        NetError::BadUrl { why, .. } => anyhow::anyhow!("alerts.heartbeat_url cannot be used: {why}"),
        other => anyhow::Error::from(other).context(
            "the monitor cannot be reached (a monitor of your own with a private address, with http or another port \
             than 443 needs alerts.heartbeat_private)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_well_is_told_at_the_same_address() {
        assert_eq!(failing("https://hc.example/uuid").unwrap(), "https://hc.example/uuid/fail");
        assert_eq!(failing("https://hc.example/uuid/?a=b").unwrap(), "https://hc.example/uuid/fail?a=b");
        let said = format!("{:#}", failing("s3cret").unwrap_err());
        assert!(!said.contains("s3cret"), "{said}");
    }
}
