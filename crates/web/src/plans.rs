//! What was found out about accounts that somebody wants to add, until he decides. A plan begins nothing, so nothing is
//! lost with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use p2pds_archive::Intake;

/// Plans remembered; the oldest goes first.
const MOST: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub struct Plans(Mutex<VecDeque<(String, Arc<Intake>)>>);

impl Plans {
    fn all(&self) -> std::sync::MutexGuard<'_, VecDeque<(String, Arc<Intake>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a plan under a name that is not to be guessed; `None` without a source of chance.
    pub fn put(&self, plan: Intake) -> Option<String> {
        let id = crate::jobs::new_id()?;
        let mut all = self.all();
        if all.len() >= MOST {
            all.pop_front();
        }
        all.push_back((id.clone(), Arc::new(plan)));
        Some(id)
    }

    /// A plan, if it is still known.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Arc<Intake>> {
        self.all().iter().find(|(known, _)| known == id).map(|(_, plan)| Arc::clone(plan))
    }
}
