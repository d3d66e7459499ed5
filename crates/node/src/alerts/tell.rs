//! Telling the operator: the log, and a webhook and mail if those are set. Each way is told each thing once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::http::{HeaderName, HeaderValue};
use bytes::Bytes;
use p2pds_net::{Client, GetOptions, NetError};
use p2pds_store::{AlertRow, Store, Unit};
use serde::{Deserialize, Serialize};

use super::heartbeat::Heart;
use super::mail::Mail;
use super::payload::{Event, Payload};
use super::sign::{HEADER, signature};
use crate::node::engine::Engine;
use crate::node::health::Health;
use crate::words;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a way that failed; doubled with each failure.
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
    /// By which way: `log`, `webhook`, `mail`; `heartbeat` in a test.
    pub sink: String,
    /// Whether it worked; else why not.
    pub error: Option<String>,
}

/// Tells.
pub struct Teller {
    store: Arc<dyn Store>,
    net: Client,
    webhook: Option<Webhook>,
    mail: Option<Mail>,
    heart: Option<Heart>,
    node: String,
    /// The ways that take every alert, once each.
    ways: Vec<Way>,
}

#[derive(Clone)]
struct Webhook {
    url: String,
    secret: Option<String>,
}

/// A way that takes alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sink {
    Webhook,
    Mail,
}

impl Sink {
    fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Mail => "mail",
        }
    }

    /// Where a row says that this was told this way.
    fn told(self, row: &mut AlertRow, event: Event) -> &mut bool {
        match (self, event) {
            (Self::Webhook, Event::Recovered) => &mut row.told_recovery,
            (Self::Webhook, _) => &mut row.told,
            (Self::Mail, Event::Recovered) => &mut row.mailed_recovery,
            (Self::Mail, _) => &mut row.mailed,
        }
    }
}

/// How a way has been doing.
#[derive(Debug)]
struct Way {
    sink: Sink,
    /// Something may be untold.
    pending: bool,
    failures: u32,
    not_before: i64,
}

impl std::fmt::Debug for Teller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Teller").field("ways", &self.ways).finish_non_exhaustive()
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
        let mail = Mail::new(&engine.config, engine.host.clone());
        let node = engine.config.http.hostname.clone().unwrap_or_else(|| engine.dir.display().to_string());
        let set = [(Sink::Webhook, webhook.is_some()), (Sink::Mail, mail.is_some())].into_iter();
        let ways = set.filter(|(_, set)| *set).map(|(sink, _)| Way {
            sink,
            pending: true,
            failures: 0,
            not_before: 0,
        });
        Self {
            store: Arc::clone(&engine.store),
            net: engine.archive.net().clone(),
            ways: ways.collect(),
            webhook,
            mail,
            heart: Heart::new(&engine.config),
            node,
        }
    }

    /// One line in the log.
    pub fn log(&mut self, row: &AlertRow, event: Event) {
        for way in &mut self.ways {
            way.pending = true;
        }
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

    /// Tells what is untold by every way, oldest first; whether rows have changed. A way that does not answer keeps
    /// nobody from the others.
    pub(super) async fn deliver(&mut self, now: i64) -> anyhow::Result<bool> {
        let (mut changed, mut ways) = (false, std::mem::take(&mut self.ways));
        let mut outcome = Ok(());
        for way in ways.iter_mut().filter(|way| way.pending && now >= way.not_before) {
            if let Err(error) = self.deliver_by(way, now, &mut changed).await {
                outcome = Err(error);
            }
        }
        self.ways = ways;
        outcome.map(|()| changed)
    }

    async fn deliver_by(&self, way: &mut Way, now: i64, changed: &mut bool) -> anyhow::Result<()> {
        let mut rows = self.store.alerts(false, LOOKED_AT).await?;
        rows.reverse();
        for mut row in rows {
            let stale = row.closed_at.is_some_and(|at| now.saturating_sub(at) > STALE);
            if stale {
                continue;
            }
            for event in [Event::Fault, Event::Recovered] {
                let happened = event == Event::Fault || row.closed_at.is_some();
                if !happened || std::mem::replace(way.sink.told(&mut row, event), true) {
                    continue;
                }
                if !self.send(way, &row, event, now).await {
                    return Ok(());
                }
                *changed = true;
            }
        }
        way.pending = false;
        Ok(())
    }

    /// Tells one thing and writes down that it was told; `row` says so already.
    async fn send(&self, way: &mut Way, row: &AlertRow, event: Event, now: i64) -> bool {
        let sink = way.sink.name();
        match self.tell(way.sink, row, event).await {
            Ok(()) => {
                way.failures = 0;
                metrics::counter!("p2pds_alerts_total", "sink" => sink, "outcome" => "ok").increment(1);
                true
            }
            Err(error) => {
                let doubled = PAUSE.saturating_mul(1_i64.checked_shl(way.failures.min(20)).unwrap_or(1));
                way.not_before = now.saturating_add(doubled.min(LONGEST_PAUSE));
                way.failures = way.failures.saturating_add(1);
                metrics::counter!("p2pds_alerts_total", "sink" => sink, "outcome" => "failed").increment(1);
                let again = words::ago(way.not_before);
                match way.sink {
                    Sink::Webhook => tracing::warn!(
                        event = "alert.webhook-failed",
                        "an alert could not be sent to the webhook, it is tried again {again}: {error:#}"
                    ),
                    Sink::Mail => tracing::warn!(
                        event = "alert.mail-failed",
                        "an alert could not be mailed, it is tried again {again}: {error:#}"
                    ),
                }
                false
            }
        }
    }

    async fn tell(&self, sink: Sink, row: &AlertRow, event: Event) -> anyhow::Result<()> {
        let handle = match &row.did {
            Some(did) => self.store.account(did).await.ok().flatten().and_then(|account| account.handle),
            None => None,
        };
        let payload = Payload::of(row, event, handle, &self.node);
        match (sink, &self.mail) {
            (Sink::Webhook, _) => self.post(&payload).await?,
            (Sink::Mail, None) => {}
            (Sink::Mail, Some(mail)) => {
                if let Some(unit) = mail.queued(&payload, row)? {
                    self.store.apply(unit).await?;
                    mail.wake();
                    return Ok(());
                }
                mail.send(&payload).await?;
            }
        }
        self.store.apply(Unit::PutAlert(row.clone())).await?;
        Ok(())
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
            mailed: true,
            mailed_recovery: true,
        };
        tracing::warn!(event = "alert.test", "{}", row.detail);
        let mut all = vec![Told { sink: "log".to_owned(), error: None }];
        let payload = Payload::of(&row, Event::Test, None, &self.node);
        let mut note = |sink: &str, sent: anyhow::Result<()>| {
            let error = sent.err().map(|error| format!("{error:#}"));
            all.push(Told { sink: sink.to_owned(), error });
        };
        if self.webhook.is_some() {
            note("webhook", self.post(&payload).await);
        }
        if let Some(mail) = &self.mail {
            note("mail", mail.send(&payload).await);
        }
        if let Some(heart) = &self.heart {
            note("heartbeat", heart.beat(&Health::new(Arc::clone(&self.store)).check().await).await);
        }
        all
    }
}
