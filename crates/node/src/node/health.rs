//! Whether the node can do its work: what the health routes and the workers ask.

use std::sync::Arc;
use std::time::Duration;

use p2pds_store::Store;

/// A store that says nothing for so long does not answer: a disk that hangs fails no call.
const LONGEST: Duration = Duration::from_secs(5);

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
        let stats = match tokio::time::timeout(LONGEST, self.store.stats()).await {
            Ok(stats) => stats.map_err(|error| error.to_string())?,
            Err(_) => return Err(format!("the store has not answered for {} seconds", LONGEST.as_secs())),
        };
        match stats.stopped {
            Some(reason) => Err(format!("the store has stopped writing: {reason}")),
            None if stats.disk_full => Err("the disk is full: nothing new can be stored".to_owned()),
            None => Ok(()),
        }
    }
}
