//! Whether the node can do its work: what the health routes and the workers ask.

use std::sync::Arc;

use p2pds_store::Store;

/// Asks the store.
pub struct Health {
    store: Arc<dyn Store>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").finish_non_exhaustive()
    }
}

impl Health {
    /// Health of a node with this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Whether the store answers and accepts writes.
    ///
    /// # Errors
    /// Why not, in plain words.
    pub async fn check(&self) -> Result<(), String> {
        let stats = self.store.stats().await.map_err(|error| error.to_string())?;
        match stats.stopped {
            Some(reason) => Err(format!("the store has stopped writing: {reason}")),
            None if stats.disk_full => Err("the disk is full: nothing new can be stored".to_owned()),
            None => Ok(()),
        }
    }
}
