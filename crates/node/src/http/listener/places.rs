//! Who has a connection, and who gives his up.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;

/// Connections open at a time.
pub const MAX_CONNECTIONS: usize = 2_048;
/// Connections of one address.
pub const MAX_OF_ONE: usize = 64;
/// The name of the one limit, and of the other.
pub const OF_ALL: &str = "connections";
/// See there.
pub const OF_ONE: &str = "connections-of-one";

#[derive(Debug, Clone, Default)]
struct Line {
    /// Requests that are being answered.
    busy: Arc<AtomicUsize>,
    /// Those of them whose body is still to come.
    arriving: Arc<AtomicUsize>,
    /// Told when the connection is to make room.
    wanted: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// In the order in which they came.
    lines: BTreeMap<u64, Line>,
    of: HashMap<IpAddr, usize>,
}

/// All places.
#[derive(Debug, Default)]
pub struct Places(Mutex<Table>);

impl Places {
    fn table<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A place for a new connection.
    ///
    /// # Errors
    /// Its caller has enough ([`OF_ONE`]), or all are busy ([`OF_ALL`]).
    pub fn take(places: &Arc<Self>, address: IpAddr, proxy: bool) -> Result<Place, &'static str> {
        let (number, line) = places.table(|table| {
            if !proxy && table.of.get(&address).is_some_and(|count| *count >= MAX_OF_ONE) {
                return Err(OF_ONE);
            }
            if table.lines.len() >= MAX_CONNECTIONS {
                let idle = |line: &Line| line.busy.load(Ordering::Acquire) == 0;
                // Bodies that never end would hold all places otherwise; the oldest of them gives way last.
                let arriving = |line: &Line| line.arriving.load(Ordering::Acquire) > 0;
                let mut lines = table.lines.iter();
                let found = lines.find(|(_, line)| idle(line));
                let found = found.or_else(|| table.lines.iter().find(|(_, line)| arriving(line)));
                let oldest = found.map(|(number, _)| *number).ok_or(OF_ALL)?;
                // Its own end then frees its count.
                table.lines.remove(&oldest).inspect(|line| line.wanted.notify_one());
            }
            table.next = table.next.saturating_add(1);
            let (number, line) = (table.next, Line::default());
            table.lines.insert(number, line.clone());
            let count = table.of.entry(address).or_default();
            *count = count.saturating_add(1);
            Ok((number, line))
        })?;
        Ok(Place { places: Arc::clone(places), number, address, line })
    }
}

/// The place of one connection.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    number: u64,
    address: IpAddr,
    line: Line,
}

impl Place {
    /// Ends when somebody else needs the place.
    pub async fn wanted(&self) {
        self.line.wanted.notified().await;
    }

    /// Where requests are noted.
    pub fn activity(&self) -> Activity {
        Activity { busy: Arc::clone(&self.line.busy), arriving: Arc::clone(&self.line.arriving) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.table(|table| {
            table.lines.remove(&self.number);
            if let Some(count) = table.of.get_mut(&self.address) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    table.of.remove(&self.address);
                }
            }
        });
    }
}

/// Counts the requests of a connection.
#[derive(Debug, Clone)]
pub struct Activity {
    busy: Arc<AtomicUsize>,
    arriving: Arc<AtomicUsize>,
}

impl Activity {
    /// A request begins.
    pub fn begin(&self) -> Busy {
        self.busy.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(&self.busy))
    }

    /// The body of a request begins to come.
    pub fn arrives(&self) -> Busy {
        self.arriving.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(&self.arriving))
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Busy(Arc<AtomicUsize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A request's body, which is arriving until its last byte is here or nobody wants it.
#[derive(Debug)]
pub struct Arriving {
    body: Body,
    coming: Option<Busy>,
}

impl Arriving {
    /// The same body.
    pub fn new(body: Body, activity: &Activity) -> Self {
        let coming = (!body.is_end_stream()).then(|| activity.arrives());
        Self { body, coming }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) || self.body.is_end_stream() {
            self.coming = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that keeps its connection busy.
#[derive(Debug)]
pub struct Holding {
    body: Body,
    _busy: Busy,
}

impl Holding {
    /// The same body.
    pub fn new(body: Body, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }
}

impl HttpBody for Holding {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn one_caller_has_a_share_and_a_proxy_has_none() {
        let places = Arc::new(Places::default());
        let held: Vec<_> =
            (0..MAX_OF_ONE).map(|_| Places::take(&places, address(1), false).unwrap()).collect();
        assert!(Places::take(&places, address(1), false).is_err());
        assert!(Places::take(&places, address(1), true).is_ok());
        assert!(Places::take(&places, address(2), false).is_ok());
        drop(held);
        assert!(Places::take(&places, address(1), false).is_ok());
        assert!(places.0.lock().unwrap().of.is_empty());
    }

    #[tokio::test]
    async fn bodies_that_never_end_make_room_when_nobody_is_idle() {
        let places = Arc::new(Places::default());
        let held: Vec<_> = (0..MAX_CONNECTIONS)
            .map(|n| Places::take(&places, address(u32::try_from(n).unwrap()), false).unwrap())
            .collect();
        let busy: Vec<_> = held.iter().map(|place| place.activity().begin()).collect();
        assert!(Places::take(&places, address(9_999_999), false).is_err(), "all are being answered");
        let body = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let coming = Arriving::new(body, &held[7].activity());
        let none = Arriving::new(Body::empty(), &held[3].activity());
        let new = Places::take(&places, address(9_999_999), false).unwrap();
        held[7].wanted().await;
        drop((coming, none, new, busy));
    }

    #[tokio::test]
    async fn the_oldest_idle_connection_makes_room() {
        let places = Arc::new(Places::default());
        let mut held: Vec<_> = (0..MAX_CONNECTIONS)
            .map(|n| Places::take(&places, address(u32::try_from(n).unwrap()), false).unwrap())
            .collect();
        let busy = held[0].activity().begin();
        let new = Places::take(&places, address(9_999_999), false).unwrap();
        held[1].wanted().await;
        drop(held.remove(1));
        assert_eq!(places.0.lock().unwrap().lines.len(), MAX_CONNECTIONS);
        let all: Vec<_> = held.iter().chain([&new]).map(|place| place.activity().begin()).collect();
        assert!(Places::take(&places, address(5), false).is_err(), "all are busy");
        drop((busy, all));
        assert!(Places::take(&places, address(5), false).is_ok());
    }
}
