//! Life that goes on: every few seconds somebody does something.

use std::sync::Arc;
use std::time::Duration;

use crate::chance::Chance;
use crate::error::DemoError;
use crate::people::{self, Resident};
use crate::place::Place;

/// How much goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Somebody does something each so often.
    Every(Duration),
    /// Nothing happens by itself.
    Quiet,
}

/// Lets life go on until it is dropped.
pub(crate) async fn go_on(
    mut residents: Vec<Resident>,
    places: Arc<Vec<Place>>,
    mut chance: Chance,
    every: Duration,
) {
    loop {
        tokio::time::sleep(every).await;
        if let Err(error) = one(&mut residents, &places, &mut chance).await {
            // An account may have been deactivated, deleted or moved by whoever tries the demo.
            tracing::debug!(event = "demo.life", %error, "somebody of the demo could not do what they wanted");
        }
    }
}

async fn one(residents: &mut [Resident], places: &[Place], chance: &mut Chance) -> Result<(), DemoError> {
    let other = chance.one(residents).and_then(|other| chance.one(&other.posts).cloned());
    let who = chance.below(u64::try_from(residents.len()).unwrap_or(0));
    let Some(resident) = residents.get_mut(usize::try_from(who).unwrap_or(0)) else { return Ok(()) };
    let Some(place) = places.get(resident.place).filter(|place| place.is_there()) else { return Ok(()) };
    match (chance.below(100), other) {
        (0..=44, _) | (_, None) => people::say(resident, place, chance).await,
        (45..=79, Some(post)) => people::react(resident, place, &post, chance).await,
        (80..=89, _) => people::edit(resident, place, chance).await,
        _ => people::delete(resident, place, chance).await,
    }
}
