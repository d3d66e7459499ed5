//! What the store keeps of hosted accounts. One file per part; each has its rows, its units (a variant of
//! [`HostingUnit`]) and its reads (a trait that [`HostingStore`] names).

mod login;

pub use login::{Login, LoginPatch, LoginStore};

use p2pds_syntax::Did;

use crate::StoreResult;
use crate::events::EventStore;

/// Units of the parts of hosting: one variant each, with the part's own enum inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostingUnit {}

impl HostingUnit {
    /// The account whose queue the unit waits in; `None` for the node's own.
    #[must_use]
    pub fn did(&self) -> Option<&Did> {
        match *self {}
    }

    /// Whether it frees space, or must be known even on a full disk.
    #[must_use]
    pub fn frees(&self) -> bool {
        match *self {}
    }

    /// Checks the unit by itself.
    ///
    /// # Errors
    /// [`crate::StoreError::InvalidUnit`] with what is wrong.
    pub fn check(&self) -> StoreResult<()> {
        match *self {}
    }
}

/// All that a store reads for hosted accounts: the parts' traits together.
pub trait HostingStore: EventStore + LoginStore {}

impl<T: EventStore + LoginStore> HostingStore for T {}
