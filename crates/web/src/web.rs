//! What the pages share.

use std::sync::Arc;

use p2pds_archive::Archive;
use p2pds_host::Host;
use p2pds_oauth::OAuth;
use p2pds_reading::Reading;
use p2pds_recovery::Recovery;

use crate::door::Door;
use crate::identities::Identities;
use crate::jobs::Jobs;
use crate::node_side::NodeSide;
use crate::pages::identity::key::Pending;
use crate::plans::Plans;

/// What the pages stand on.
pub struct WebDeps {
    /// Archiving.
    pub archive: Archive,
    /// Exports, drills, promotions.
    pub recovery: Recovery,
    /// The hosted accounts, if this node hosts any.
    pub host: Option<Host>,
    /// Its authorization server.
    pub oauth: Option<OAuth>,
    /// Who may look.
    pub door: Door,
    /// What only the node knows.
    pub node: Arc<dyn NodeSide>,
    /// Settings.
    pub config: WebConfig,
}

/// Settings of the pages.
#[derive(Debug, Clone, Default)]
pub struct WebConfig {
    /// The address under which people reach the node: `https://pds.example.com`, without a slash at its end. On
    /// loopback without one.
    pub public_url: Option<String>,
    /// What the operator calls the node.
    pub name: Option<String>,
    /// How the operator is reached.
    pub contact: Option<String>,
    /// The operator's own privacy policy.
    pub privacy_policy_url: Option<String>,
    /// The operator's terms.
    pub terms_url: Option<String>,
}

/// The pages of a node. Cheap to clone.
#[derive(Clone)]
pub struct Web(Arc<Inner>);

struct Inner {
    deps: WebDeps,
    jobs: Jobs,
    identities: Identities,
    reading: Reading,
    keys: Pending,
    plans: Plans,
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Web").finish_non_exhaustive()
    }
}

impl Web {
    /// Pages on these parts.
    #[must_use]
    pub fn new(deps: WebDeps) -> Self {
        let reading = Reading::new(Arc::clone(deps.archive.store()), deps.archive.blobs().clone());
        let identities = Identities::default();
        let (jobs, keys, plans) = (Jobs::default(), Pending::default(), Plans::default());
        Self(Arc::new(Inner { deps, jobs, identities, reading, keys, plans }))
    }

    /// Archiving.
    #[must_use]
    pub fn archive(&self) -> &Archive {
        &self.0.deps.archive
    }

    /// Exports, drills, promotions.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.0.deps.recovery
    }

    /// The hosted accounts.
    #[must_use]
    pub fn host(&self) -> Option<&Host> {
        self.0.deps.host.as_ref()
    }

    /// Who may look.
    #[must_use]
    pub fn door(&self) -> &Door {
        &self.0.deps.door
    }

    /// The authorization server of the hosted accounts.
    #[must_use]
    pub fn oauth(&self) -> Option<&OAuth> {
        self.0.deps.oauth.as_ref()
    }

    /// What only the node knows.
    #[must_use]
    pub fn node(&self) -> &dyn NodeSide {
        self.0.deps.node.as_ref()
    }

    /// Settings.
    #[must_use]
    pub fn config(&self) -> &WebConfig {
        &self.0.deps.config
    }

    /// Work that pages began.
    #[must_use]
    pub fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    /// Who can move which identity.
    #[must_use]
    pub(crate) fn identities(&self) -> &Identities {
        &self.0.identities
    }

    /// The door to stored bytes. The pages go through it as the operator, who is asked of no list.
    #[must_use]
    pub(crate) fn reading(&self) -> &Reading {
        &self.0.reading
    }

    /// Rotation keys that are being added.
    #[must_use]
    pub(crate) fn keys(&self) -> &Pending {
        &self.0.keys
    }

    /// Accounts that somebody wants to add, until he decides.
    #[must_use]
    pub(crate) fn plans(&self) -> &Plans {
        &self.0.plans
    }

    /// The time, microseconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.archive().now()
    }
}
