//! The pages, on what the engine is made of; and what only the node can tell them.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use p2pds_web::{
    AlertNote, CapacityNote, CheckNote, LimitNote, LimitsNote, NodeSide, SettingNote, Trouble, Web,
    WebConfig, WebDeps, WorkerNote,
};

use p2pds_xrpc::in_force;
use p2pds_xrpc::meter::{GET_REPO, RULES};

use crate::alerts;
use crate::config::layers::Resolved;
use crate::doctor::{self, Check, Verdict};
use crate::http::CONNECTIONS;
use crate::node::engine::Engine;
use crate::operator::{Failure, upkeep};
use crate::{capacity, words};

/// The pages of a node.
pub fn router(engine: &Arc<Engine>, settings: Vec<Resolved>) -> Router {
    let config = &engine.config;
    let public_url = config.http.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
    let web = Web::new(WebDeps {
        archive: engine.archive.clone(),
        recovery: engine.recovery.clone(),
        host: engine.host.clone(),
        oauth: engine.oauth.clone(),
        door: engine.door.clone(),
        node: Arc::new(Beside { engine: Arc::clone(engine), settings }),
        config: WebConfig {
            public_url,
            name: config.branding.name.clone(),
            contact: config.branding.contact_email.clone(),
            privacy_policy_url: config.branding.privacy_policy_url.clone(),
            terms_url: config.branding.terms_of_service_url.clone(),
        },
    });
    crate::door::addressed(p2pds_web::router(web), config.serving.trusted_proxies.clone())
}

/// Settings that bound how large something may be, or how much of it there may be.
const BOUNDS: &[&str] = &[
    "archive.blob_quota",
    "archive.keep_free",
    "archive.quota_per_account",
    "archive.quota_total",
    "blobstore.account_bytes",
    "blobstore.account_count",
    "blobstore.upload_limit",
    "firehose.max_buffer",
    "hosting.import_limit",
    "live.max_streams",
    "services.fetch_limit",
    "services.max_response",
    "serving.requests",
    "serving.unknown_cids",
];

struct Beside {
    engine: Arc<Engine>,
    settings: Vec<Resolved>,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::said(failure.message, failure.hint)
    }
}

#[async_trait]
impl NodeSide for Beside {
    async fn alerts(&self) -> Result<Vec<AlertNote>, Trouble> {
        let lines = upkeep::alerts(&self.engine, false).await?;
        let mut notes: Vec<AlertNote> = lines
            .into_iter()
            .map(|line| AlertNote {
                severity: if alerts::is_urgent(&line.kind) { "critical" } else { "warning" }.to_owned(),
                kind: line.kind,
                did: line.did,
                words: line.detail,
                since: line.opened_at,
            })
            .collect();
        notes.sort_by_key(|note| (note.severity != "critical", note.since));
        Ok(notes)
    }

    async fn capacity(&self) -> Result<CapacityNote, Trouble> {
        let report = capacity::report(&self.engine, words::now_micros()).await.map_err(Failure::from)?;
        Ok(CapacityNote {
            stored: report.db_bytes.saturating_add(report.blob_bytes),
            free: report.disk_free,
            disk: report.disk_total,
            keep_free: report.keep_free,
            monthly: report.forecast.per_month.and_then(|bytes| u64::try_from(bytes).ok()),
            full_at: report.forecast.full_at,
        })
    }

    async fn workers(&self) -> Result<Vec<WorkerNote>, Trouble> {
        let note = |line: crate::operator::answer::WorkerLine| WorkerNote {
            name: line.name,
            state: line.state,
            paused: line.paused,
            error: line.last_error,
            next_at: line.next_run,
        };
        Ok(upkeep::workers(&self.engine).await?.into_iter().map(note).collect())
    }

    async fn pause_worker(&self, name: &str, paused: bool) -> Result<(), Trouble> {
        upkeep::pause_worker(&self.engine, name, paused).await?;
        Ok(())
    }

    fn settings(&self) -> Vec<SettingNote> {
        let note = |one: &Resolved| SettingNote {
            name: one.name.clone(),
            value: one.value.clone(),
            origin: one.origin.clone(),
        };
        self.settings.iter().map(note).collect()
    }

    fn limits(&self) -> LimitsNote {
        let bounds = |setting: &SettingNote| BOUNDS.contains(&setting.name.as_str());
        let settings = self.settings().into_iter().filter(bounds).collect();
        // Settings that do not go together let no node start.
        let Ok(door) = crate::serving::settings(&self.engine.config) else {
            return LimitsNote { settings, ..LimitsNote::default() };
        };
        let hits = &self.engine.hits;
        let note = |name: &str, most, seconds| LimitNote {
            name: name.to_owned(),
            most,
            seconds,
            hits: hits.of(name),
        };
        let bounded =
            CONNECTIONS.into_iter().map(|(name, most)| (name, u32::try_from(most).unwrap_or(u32::MAX), None));
        let whole = bounded.chain(in_force(&door));
        let mut rules: Vec<LimitNote> =
            whole.map(|(name, most, seconds)| note(name, most, seconds)).collect();
        if door.rate_limits {
            let hosting = self.engine.host.is_some();
            let held = RULES.iter().filter(|rule| hosting || rule.name == GET_REPO.name);
            rules.extend(held.map(|rule| note(rule.name, rule.points, Some(rule.seconds))));
        }
        rules.extend(self.engine.door.limits());
        LimitsNote { counted: door.rate_limits, rules, settings }
    }

    async fn doctor(&self, network: bool) -> Result<Vec<CheckNote>, Trouble> {
        let (config, dir) = (&self.engine.config, &self.engine.dir);
        let mut checks = doctor::local(config, dir);
        checks.push(doctor::database(
            self.engine.store.check_structure().await.map_err(|error| error.to_string()),
        ));
        checks.extend(doctor::kept(dir));
        if network {
            checks.extend(doctor::outside(config).await);
        }
        checks.extend(crate::operator::handler::check_hosting(&self.engine, !network).await);
        Ok(checks.into_iter().map(note_of).collect())
    }
}

fn note_of(check: Check) -> CheckNote {
    let result = match check.verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Failed => "failed",
        Verdict::Skipped => "skipped",
    };
    let words = match check.why {
        Some(why) => format!("{}: {why}", check.what),
        None => check.what,
    };
    CheckNote { name: check.name.into_owned(), result: result.to_owned(), words, fix: check.fix }
}

#[cfg(test)]
mod tests {
    use p2pds_web::{Locale, Words, limit_key};
    use p2pds_xrpc::XrpcConfig;

    use super::*;
    use crate::config::Config;

    #[test]
    fn every_limit_has_a_sentence_and_every_bound_is_a_setting() {
        for locale in [Locale::En, Locale::De] {
            let w = Words::new(locale, 0);
            let whole = in_force(&XrpcConfig::default());
            let names = whole.iter().map(|(name, ..)| *name).chain(RULES.iter().map(|rule| rule.name));
            let names = names.chain(CONNECTIONS.map(|(name, _)| name));
            for name in names {
                assert!(w.has(&limit_key(name)), "{name}");
            }
        }
        let known: Vec<String> = Config::settings().map(|setting| setting.name()).collect();
        for bound in BOUNDS {
            assert!(known.iter().any(|name| name == bound), "{bound}");
        }
    }
}
