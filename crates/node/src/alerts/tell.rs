//! Telling the operator: the log, and a webhook if one is set.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::http::{HeaderName, HeaderValue};
use bytes::Bytes;
use p2pds_net::{Client, GetOptions, NetError};
use p2pds_store::{AlertRow, Store, Unit};
use serde::{Deserialize, Serialize};

use super::payload::{Event, Payload};
use super::sign::{HEADER, signature};
use crate::node::engine::Engine;
use crate::words;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a webhook that failed; doubled with each failure.
const PAUSE: i64 = 5_000_000;
/// Longest such pause.
const LONGEST_PAUSE: i64 = 3_600_000_000;
/// What was over for longer before anybody could be told of it is not told any more.
const STALE: i64 = 86_400_000_000;
/// Alerts looked at for what is untold.
const LOOKED_AT: usize = 1_000;

/// What came of telling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// By which way: `log`, `webhook`.
    pub sink: String,
    /// Whether it worked; else why not.
    pub error: Option<String>,
}

/// Tells.
pub struct Teller {
    store: Arc<dyn Store>,
    net: Client,
    webhook: Option<Webhook>,
    node: String,
    /// Something may be untold.
    pending: bool,
    failures: u32,
    not_before: i64,
}

#[derive(Clone)]
struct Webhook {
    url: String,
    secret: Option<String>,
}

impl std::fmt::Debug for Teller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Teller").field("webhook", &self.webhook.is_some()).finish_non_exhaustive()
    }
}

impl Teller {
    /// With the configured ways.
    #[must_use]
    pub fn new(engine: &Engine) -> Self {
        let config = &engine.config.alerts;
        let webhook = config.webhook_url.as_ref().map(|url| Webhook {
            url: url.expose().to_owned(),
            secret: config.webhook_secret.as_ref().map(|secret| secret.expose().to_owned()),
        });
        let node = engine.config.http.hostname.clone().unwrap_or_else(|| engine.dir.display().to_string());
        Self {
            store: Arc::clone(&engine.store),
            net: engine.archive.net().clone(),
            webhook,
            node,
            pending: true,
            failures: 0,
            not_before: 0,
        }
    }

    /// One line in the log.
    pub fn log(&mut self, row: &AlertRow, event: Event) {
        self.pending = true;
        let did = row.did.as_ref().map(|did| did.as_str());
        let (kind, subject, detail, id) = (&row.kind, &row.subject, &row.detail, &row.id);
        match event {
            Event::Recovered => {
                tracing::warn!(event = "alert.recovered", id, kind, did, subject, "over: {kind}: {detail}");
            }
            Event::Fault | Event::Test => {
                tracing::error!(event = "alert.open", id, kind, did, subject, "{kind}: {detail}");
            }
        }
        metrics::counter!("p2pds_alerts_total", "sink" => "log", "outcome" => "ok").increment(1);
    }

    /// Sends what is untold to the webhook, oldest first; whether rows have changed.
    pub(super) async fn deliver(&mut self, now: i64) -> anyhow::Result<bool> {
        if self.webhook.is_none() || !self.pending || now < self.not_before {
            return Ok(false);
        }
        let mut changed = false;
        let mut rows = self.store.alerts(false, LOOKED_AT).await?;
        rows.reverse();
        for mut row in rows {
            let stale = row.closed_at.is_some_and(|at| now.saturating_sub(at) > STALE);
            if stale {
                continue;
            }
            if !row.told {
                if !self.send(&row, Event::Fault, now).await {
                    return Ok(changed);
                }
                row.told = true;
                self.store.apply(Unit::PutAlert(row.clone())).await?;
                changed = true;
            }
            if row.closed_at.is_some() && !row.told_recovery {
                if !self.send(&row, Event::Recovered, now).await {
                    return Ok(changed);
                }
                row.told_recovery = true;
                self.store.apply(Unit::PutAlert(row)).await?;
                changed = true;
            }
        }
        self.pending = false;
        Ok(changed)
    }

    async fn send(&mut self, row: &AlertRow, event: Event, now: i64) -> bool {
        let handle = match &row.did {
            Some(did) => self.store.account(did).await.ok().flatten().and_then(|account| account.handle),
            None => None,
        };
        match self.post(&Payload::of(row, event, handle, &self.node)).await {
            Ok(()) => {
                self.failures = 0;
                metrics::counter!("p2pds_alerts_total", "sink" => "webhook", "outcome" => "ok").increment(1);
                true
            }
            Err(error) => {
                let doubled = PAUSE.saturating_mul(1_i64.checked_shl(self.failures.min(20)).unwrap_or(1));
                self.not_before = now.saturating_add(doubled.min(LONGEST_PAUSE));
                self.failures = self.failures.saturating_add(1);
                metrics::counter!("p2pds_alerts_total", "sink" => "webhook", "outcome" => "failed")
                    .increment(1);
                tracing::warn!(
                    event = "alert.webhook-failed",
                    "an alert could not be sent to the webhook, it is tried again {}: {error:#}",
                    words::ago(self.not_before)
                );
                false
            }
        }
    }

    async fn post(&self, payload: &Payload) -> anyhow::Result<()> {
        let Some(webhook) = &self.webhook else { anyhow::bail!("no webhook is set (alerts.webhook_url)") };
        let body = serde_json::to_vec(payload)?;
        let mut options = GetOptions { deadline: PATIENCE, retries: 0, ..GetOptions::metadata() };
        if let Some(secret) = &webhook.secret {
            let value = HeaderValue::from_str(&signature(secret, words::now(), &body))?;
            options.headers.push((HeaderName::from_static(HEADER), value));
        }
        // The address may carry a token: errors name the host only.
        let answer = self
            .net
            .post(&webhook.url, "application/json", Bytes::from(body), &options)
            .await
            .map_err(|error| match error {
                NetError::BadUrl { why, .. } => anyhow::anyhow!("alerts.webhook_url cannot be used: {why}"),
                other => anyhow::Error::from(other).context("the webhook cannot be reached"),
            })?;
        answer.success().context("the webhook refuses alerts")?;
        Ok(())
    }

    /// Sends a test by every way that is set.
    pub async fn test(&mut self) -> Vec<Told> {
        let now = words::now_micros();
        let row = AlertRow {
            id: format!("test-{now}"),
            did: None,
            kind: "test".to_owned(),
            subject: String::new(),
            detail: "somebody ran `p2pds alerts test`; nothing is wrong".to_owned(),
            opened_at: now,
            closed_at: None,
            told: true,
            told_recovery: true,
        };
        tracing::warn!(event = "alert.test", "{}", row.detail);
        let mut all = vec![Told { sink: "log".to_owned(), error: None }];
        if self.webhook.is_some() {
            let sent = self.post(&Payload::of(&row, Event::Test, None, &self.node)).await;
            all.push(Told {
                sink: "webhook".to_owned(),
                error: sent.err().map(|error| format!("{error:#}")),
            });
        }
        all
    }
}
