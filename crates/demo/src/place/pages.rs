//! The pages of a host of the demo: those that its own accounts need, on the same parts as those of any node.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use p2pds_agent::{Agents, AgentsDeps, Seal, Us};
use p2pds_archive::{Archive, ArchiveConfig, ArchiveDeps, SystemClock};
use p2pds_host::{Host, HostDeps};
use p2pds_oauth::OAuth;
use p2pds_recovery::Recovery;
use p2pds_web::{
    AlertNote, CapacityNote, CheckNote, Door, DoorConfig, DoorDeps, LimitsNote, NodeSide, SettingNote,
    Trouble, Web, WebConfig, WebDeps, WorkerNote,
};

use crate::error::DemoError;
use crate::words::now_micros;

/// The pages of a host that listens on this port.
pub(super) fn pages(
    name: &str,
    dir: &Path,
    port: u16,
    deps: &HostDeps,
    host: &Host,
    oauth: &OAuth,
) -> Result<Web, DemoError> {
    let archive = Archive::new(
        ArchiveDeps {
            store: Arc::clone(&deps.store),
            blobs: deps.blobs.clone(),
            net: deps.net.clone(),
            directory: Arc::clone(&deps.directory),
            data_dir: dir.to_owned(),
            clock: Arc::new(SystemClock),
        },
        ArchiveConfig::default(),
    );
    let agents = Agents::new(AgentsDeps {
        net: deps.net.clone(),
        directory: Arc::clone(&deps.directory),
        store: Arc::clone(&deps.store),
        clock: Arc::new(now_micros),
        seal: Seal::in_memory(),
        us: Us::of(None, port),
    });
    let door = Door::new(DoorDeps {
        store: Arc::clone(&deps.store),
        agents,
        clock: Arc::new(now_micros),
        config: DoorConfig { hostname: Some(host.config().hostname.clone()), public_url: None, port },
    });
    Ok(Web::new(WebDeps {
        recovery: Recovery::new(archive.clone()),
        archive,
        host: Some(host.clone()),
        oauth: Some(oauth.clone()),
        door,
        node: Arc::new(Alone),
        config: WebConfig { name: Some(format!("{name} (demo)")), ..WebConfig::default() },
    }))
}

/// There is no node around a host of the demo.
struct Alone;

#[async_trait]
impl NodeSide for Alone {
    async fn alerts(&self) -> Result<Vec<AlertNote>, Trouble> {
        Ok(Vec::new())
    }

    async fn capacity(&self) -> Result<CapacityNote, Trouble> {
        Ok(CapacityNote::default())
    }

    async fn workers(&self) -> Result<Vec<WorkerNote>, Trouble> {
        Ok(Vec::new())
    }

    async fn pause_worker(&self, _: &str, _: bool) -> Result<(), Trouble> {
        Err(Trouble::said("a host of the demo has no workers", None))
    }

    fn settings(&self) -> Vec<SettingNote> {
        Vec::new()
    }

    fn limits(&self) -> LimitsNote {
        LimitsNote::default()
    }

    async fn doctor(&self, _: bool) -> Result<Vec<CheckNote>, Trouble> {
        Ok(Vec::new())
    }
}
