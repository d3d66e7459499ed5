//! Many accounts on their way: they are noted durably first, then the node's own schedule fetches them, and a job looks
//! on. What the job shows is lost with this process; the accounts and the fetching are not.

use std::time::Duration;

use p2pds_archive::{Archive, Choice, Intake, Phase, Progress, Unit};
use p2pds_syntax::Did;

use super::plan;
use crate::ask::{Ask, Refused, Shown};
use crate::jobs::{End, Kind, Stop};
use crate::pages::act::failed;
use crate::web::Web;

/// Time between two looks.
const PACE: Duration = Duration::from_secs(1);
/// Accounts looked at each time: those that are waited for and come first in the node's schedule.
const LOOKED_AT: usize = 256;

/// Notes the accounts of a plan and shows how far they are.
///
/// # Errors
/// They could not be noted.
pub async fn start(web: &Web, plan: &Intake) -> Shown {
    web.archive().take_in(&plan.found).await?;
    let mut dids: Vec<Did> = plan.found.iter().map(|one| one.did.clone()).collect();
    // In the order of the schedule, so that what is looked at is what is being fetched.
    dids.sort();
    let (archive, stop) = (web.archive().clone(), Stop::default());
    let told = stop.clone();
    let work = move |progress| async move {
        match look_on(&archive, dids, &told, &progress).await {
            Ok(end) => end,
            Err(error) => failed(error),
        }
    };
    let subject = plan::subject(&plan.source);
    let begun = web.jobs().begin_with(Kind::TakeIn, &subject, web.now(), Some(stop), work);
    match begun {
        Ok(id) => Ok(Ask::go(&format!("/jobs/{id}"))),
        // They are noted; only the page about it is not to be had.
        Err(busy) => Err(Refused::Trouble(busy.into())),
    }
}

async fn look_on(
    archive: &Archive,
    mut waiting: Vec<Did>,
    stop: &Stop,
    progress: &Progress,
) -> p2pds_archive::ArchiveResult<End> {
    let total = u64::try_from(waiting.len()).ok();
    let counter = progress.begin(Phase::Fetch, Unit::Steps, total, "fetching them one by one");
    let (mut arrived, mut failed, mut stopped) = (0_usize, 0_usize, 0_usize);
    while !waiting.is_empty() {
        let some: Vec<Did> = waiting.iter().take(LOOKED_AT).cloned().collect();
        let news = archive.arrivals(&some).await?;
        for (_, name, why) in &news.failed {
            progress.warn(Phase::Fetch, format!("{name}: {why}"));
        }
        arrived = arrived.saturating_add(news.arrived.len());
        failed = failed.saturating_add(news.failed.len());
        stopped = stopped.saturating_add(news.stopped.len());
        let tried = news.failed.iter().map(|(did, _, _)| did);
        let known: std::collections::HashSet<&Did> =
            news.arrived.iter().chain(&news.stopped).chain(tried).collect();
        waiting.retain(|did| !known.contains(did));
        counter.set(u64::try_from(arrived.saturating_add(failed)).unwrap_or(u64::MAX));
        if waiting.is_empty() {
            break;
        }
        if known.len() == some.len() {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(PACE) => {}
            () = stop.told() => {
                stopped = stopped.saturating_add(waiting.len());
                let pause = Choice { paused: Some(true), ..Choice::default() };
                let left = archive.choose(&waiting, pause).await;
                for (did, error) in &left {
                    progress.warn(Phase::Fetch, format!("{did}: {error}"));
                }
                return Ok(ended(arrived, failed, stopped, "paused"));
            }
        }
    }
    counter.finish(String::new());
    Ok(ended(arrived, failed, stopped, if failed > 0 { "failing" } else { "all" }))
}

fn ended(arrived: usize, failed: usize, stopped: usize, show: &str) -> End {
    let words = format!(
        "{arrived} here now; {failed} failed at their first try and are tried again by the schedule; {stopped} paused or removed"
    );
    End::Done { next: format!("/accounts?show={show}"), words }
}
