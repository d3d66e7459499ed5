//! Where a promotion is: one row of the store, written with each step.

use data_encoding::BASE64;
use p2pds_host::PROMOTION;
use p2pds_identity::plc::Operation;
use p2pds_store::{Store, Unit, WorkerRow};
use p2pds_syntax::Did;
use serde::{Deserialize, Serialize};

use crate::error::{RecoveryError, RecoveryResult};

/// What was done last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    /// Decided, and signed where there is something to sign.
    Signed,
    /// The account is a hosted one, switched off.
    Hosted,
    /// The directory has the operation.
    Submitted,
}

impl Step {
    /// In plain words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Signed => "the operation is signed",
            Self::Hosted => "the account is prepared here",
            Self::Submitted => "the identity names this node",
        }
    }
}

/// The journal of one promotion. It holds no secret: the new signing key is sealed, the user's key is not in it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Journal {
    pub(crate) did: Did,
    pub(crate) step: Step,
    /// The new signing key, sealed under the node's key, as base64.
    sealed: String,
    /// Its public half.
    pub(crate) signing_key: String,
    /// The signed operation; `None` for a did:web.
    operation: Option<serde_json::Value>,
    /// The handle that the account will have.
    pub(crate) handle: Option<String>,
    pub(crate) email: String,
    pub(crate) begun_at: i64,
}

impl Journal {
    pub(crate) fn new(
        did: Did,
        sealed: &[u8],
        signing_key: String,
        operation: Option<&Operation>,
        handle: Option<String>,
        email: String,
        now: i64,
    ) -> Self {
        Self {
            did,
            step: Step::Signed,
            sealed: BASE64.encode(sealed),
            signing_key,
            operation: operation.map(Operation::to_json),
            handle,
            email,
            begun_at: now,
        }
    }

    /// The one that is under way; `None` when none is.
    pub(crate) async fn read(store: &dyn Store, did: &Did) -> RecoveryResult<Option<Self>> {
        let Some(row) = store.worker(&name(did)).await? else { return Ok(None) };
        let journal = serde_json::from_str(&row.notes)
            .map_err(|error| RecoveryError::Bug(format!("the journal of the promotion of {did}: {error}")))?;
        Ok(Some(journal))
    }

    /// The unit that keeps it.
    pub(crate) fn put(&self, now: i64) -> RecoveryResult<Unit> {
        let notes = serde_json::to_string(self).map_err(|error| RecoveryError::Bug(error.to_string()))?;
        Ok(Unit::PutWorker(WorkerRow {
            name: name(&self.did),
            did: Some(self.did.clone()),
            state: format!("promotion under way: {}", self.step.words()),
            done: self.step as u64,
            total: Step::Submitted as u64,
            notes,
            last_error: None,
            next_run: None,
            updated_at: now,
        }))
    }

    /// The unit that ends it.
    pub(crate) fn end(&self) -> Unit {
        Unit::DropWorker { name: name(&self.did) }
    }

    /// The sealed signing key.
    pub(crate) fn sealed(&self) -> RecoveryResult<Vec<u8>> {
        BASE64.decode(self.sealed.as_bytes()).map_err(|error| RecoveryError::Bug(error.to_string()))
    }

    /// The signed operation.
    pub(crate) fn operation(&self) -> RecoveryResult<Option<Operation>> {
        let Some(json) = &self.operation else { return Ok(None) };
        Operation::from_json(json).map(Some).map_err(|error| RecoveryError::Bug(error.to_string()))
    }

    /// Another operation: the log had moved on.
    pub(crate) fn set_operation(&mut self, operation: &Operation) {
        self.operation = Some(operation.to_json());
    }
}

fn name(did: &Did) -> String {
    format!("{PROMOTION}:{did}")
}
