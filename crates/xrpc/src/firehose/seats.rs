//! Who has a socket, and how all of them end.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{MOST_OF_ONE, MOST_SOCKETS};
use crate::error::XrpcError;

/// How long goodbyes may take altogether.
const GOODBYE: Duration = Duration::from_secs(5);

/// All seats.
#[derive(Debug)]
pub(crate) struct Seats {
    table: Mutex<Table>,
    /// Told once, when the node stops.
    closing: watch::Sender<bool>,
    taken: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Table {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

impl Default for Seats {
    fn default() -> Self {
        Self { table: Mutex::default(), closing: watch::Sender::new(false), taken: watch::Sender::new(0) }
    }
}

impl Seats {
    /// A seat for a consumer from this address. What runs on this machine has as many as there are.
    pub(crate) fn take(seats: &Arc<Self>, from: IpAddr) -> Result<Seat, XrpcError> {
        if *seats.closing.borrow() {
            return Err(XrpcError::too_many(10, "this host is being stopped: connect again in a moment"));
        }
        let all = seats.table(|table| {
            let own = table.of.get(&from).copied().unwrap_or(0);
            if own >= MOST_OF_ONE && !from.is_loopback() {
                return Err("too many streams from one address: close one of them");
            }
            if table.all >= MOST_SOCKETS {
                return Err("all streams of this host are taken: try again later");
            }
            table.of.insert(from, own.saturating_add(1));
            table.all = table.all.saturating_add(1);
            Ok(table.all)
        });
        let all = all.map_err(|why| XrpcError::too_many(30, why))?;
        seats.count(all);
        Ok(Seat { seats: Arc::clone(seats), from, closing: seats.closing.subscribe() })
    }

    /// Says goodbye to everybody, and waits until they are gone, or for a moment.
    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        let mut taken = self.taken.subscribe();
        let _ = tokio::time::timeout(GOODBYE, taken.wait_for(|taken| *taken == 0)).await;
    }

    fn table<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        change(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self, all: usize) {
        self.taken.send_replace(all);
        metrics::gauge!("p2pds_firehose_consumers").set(u32::try_from(all).unwrap_or(u32::MAX));
    }
}

/// The seat of one consumer.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    from: IpAddr,
    closing: watch::Receiver<bool>,
}

impl Seat {
    /// Resolves when the node stops.
    pub(crate) async fn closing(&mut self) {
        let _ = self.closing.wait_for(|closing| *closing).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let all = self.seats.table(|table| {
            if let Some(own) = table.of.get_mut(&self.from) {
                *own = own.saturating_sub(1);
                if *own == 0 {
                    table.of.remove(&self.from);
                }
            }
            table.all = table.all.saturating_sub(1);
            table.all
        });
        self.seats.count(all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn seats_are_shared_given_back_and_closed() {
        let seats = Arc::new(Seats::default());
        let (one, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let mut held: Vec<_> = (0..MOST_OF_ONE).map(|_| Seats::take(&seats, one).unwrap()).collect();
        assert_eq!(Seats::take(&seats, one).unwrap_err().status.as_u16(), 429);
        assert!(Seats::take(&seats, other).is_ok());
        held.pop();
        held.push(Seats::take(&seats, one).unwrap());
        let local: IpAddr = "127.0.0.1".parse().unwrap();
        let beside: Vec<_> =
            (held.len()..MOST_SOCKETS).map(|_| Seats::take(&seats, local).unwrap()).collect();
        assert!(Seats::take(&seats, other).is_err());
        drop(beside);
        let mut last = held.swap_remove(0);
        drop(held);
        let closing = tokio::spawn({
            let seats = Arc::clone(&seats);
            async move { seats.close().await }
        });
        last.closing().await;
        assert!(Seats::take(&seats, other).is_err(), "nobody comes in while all go");
        drop(last);
        closing.await.unwrap();
        assert_eq!(*seats.taken.borrow(), 0);
    }
}
