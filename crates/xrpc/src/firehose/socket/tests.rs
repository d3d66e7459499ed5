//! A socket against consumers of every kind, on a clock that jumps to whatever is due next.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use p2pds_replica::decode;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::firehose::Seats;

/// Events of 1,000 bytes whose first eight say their number; there are as many as `newest` says.
#[derive(Clone)]
struct Made {
    at: i64,
    newest: watch::Receiver<i64>,
    /// Pages that were taken.
    pages: Arc<AtomicI64>,
}

impl Feed for Made {
    async fn next(&mut self) -> HostResult<Page> {
        let at = self.at;
        let _ = self.newest.wait_for(|newest| *newest > at).await;
        let last = (*self.newest.borrow()).min(at + 64);
        self.pages.fetch_add(1, Ordering::Relaxed);
        self.at = last;
        Ok(Page::new((at + 1..=last).map(|seq| (seq, event(seq))).collect()))
    }

    fn behind(&self) -> u64 {
        u64::try_from(*self.newest.borrow() - self.at).unwrap()
    }

    fn go_back(&mut self, seq: i64) {
        self.at = seq;
    }
}

fn event(seq: i64) -> Bytes {
    let mut bytes = vec![7; 1_000];
    bytes[..8].copy_from_slice(&seq.to_be_bytes());
    bytes.into()
}

struct Scene {
    seats: Arc<Seats>,
    newest: watch::Sender<i64>,
    pages: Arc<AtomicI64>,
    theirs: DuplexStream,
    ended: JoinHandle<&'static str>,
}

/// A consumer with this many bytes between it and the socket.
fn scene(between: usize) -> Scene {
    let (seats, newest, pages) = (Arc::new(Seats::default()), watch::Sender::new(0), Arc::default());
    let made = Made { at: 0, newest: newest.subscribe(), pages: Arc::clone(&pages) };
    let seat = Seats::take(&seats, "192.0.2.1".parse().unwrap()).unwrap();
    let (ours, theirs) = duplex(between);
    let ended = tokio::spawn(run(ours, First::Event(made), seat, 500, Times::default()));
    Scene { seats, newest, pages, theirs, ended }
}

/// One frame: its first byte and its payload.
async fn frame(from: &mut DuplexStream) -> Option<(u8, Vec<u8>)> {
    let first = from.read_u8().await.ok()?;
    let length = match from.read_u8().await.unwrap() {
        126 => usize::from(from.read_u16().await.unwrap()),
        127 => usize::try_from(from.read_u64().await.unwrap()).unwrap(),
        short => usize::from(short),
    };
    let mut payload = vec![0; length];
    from.read_exact(&mut payload).await.unwrap();
    Some((first, payload))
}

async fn seq(from: &mut DuplexStream) -> i64 {
    let (first, payload) = frame(from).await.unwrap();
    assert_eq!((first, payload.len()), (0x82, 1_000));
    i64::from_be_bytes(payload[..8].try_into().unwrap())
}

/// A masked frame with a mask of zeros.
fn said(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
    out.extend(payload);
    out
}

fn goodbye(frame: Option<(u8, Vec<u8>)>) -> u16 {
    let (first, payload) = frame.unwrap();
    assert_eq!(first, 0x88);
    u16::from_be_bytes(payload.try_into().unwrap())
}

#[tokio::test(start_paused = true)]
async fn events_come_in_order_and_as_they_happen() {
    let mut scene = scene(4_096);
    scene.newest.send_replace(1_000);
    for expected in 1..=1_000 {
        assert_eq!(seq(&mut scene.theirs).await, expected);
    }
    for expected in 1_001..1_010 {
        scene.newest.send_replace(expected);
        assert_eq!(seq(&mut scene.theirs).await, expected);
    }
    drop(scene.theirs);
    assert_eq!(scene.ended.await.unwrap(), "gone");
}

#[tokio::test(start_paused = true)]
async fn who_stops_reading_holds_one_frame_and_goes_on_where_it_stopped() {
    let mut scene = scene(2_500);
    scene.newest.send_replace(400);
    assert_eq!(seq(&mut scene.theirs).await, 1);
    // It is behind by less than its buffer: it is waited for, and nothing is fetched for it meanwhile.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let pages = scene.pages.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(scene.pages.load(Ordering::Relaxed), pages);
    for expected in 2..=400 {
        assert_eq!(seq(&mut scene.theirs).await, expected, "nothing is lost, nothing comes twice");
    }
    assert!(!scene.ended.is_finished());
}

#[tokio::test(start_paused = true)]
async fn who_is_too_slow_is_told_and_sent_away() {
    let mut scene = scene(2_500);
    scene.newest.send_replace(5_000);
    assert_eq!(seq(&mut scene.theirs).await, 1);
    tokio::time::sleep(Duration::from_secs(12)).await;
    // Now that it reads again: the frame that was under way, the reason, goodbye.
    let mut last = 1;
    let (_, payload) = loop {
        let (first, payload) = frame(&mut scene.theirs).await.unwrap();
        if payload.len() != 1_000 {
            break (first, payload);
        }
        last += 1;
        assert_eq!(i64::from_be_bytes(payload[..8].try_into().unwrap()), last);
    };
    let Frame::Error(failure) = decode(&payload).unwrap() else { panic!("an error") };
    assert_eq!(failure.error, "ConsumerTooSlow");
    assert!(failure.message.unwrap().contains("cursor") && last < 10, "{last}");
    assert_eq!(goodbye(frame(&mut scene.theirs).await), code::POLICY);
    assert_eq!(frame(&mut scene.theirs).await, None);
    drop(scene.theirs);
    assert_eq!(scene.ended.await.unwrap(), "ConsumerTooSlow");
}

#[tokio::test(start_paused = true)]
async fn who_never_reads_again_is_gone_in_the_end() {
    let scene = scene(2_500);
    scene.newest.send_replace(5_000);
    assert_eq!(scene.ended.await.unwrap(), "ConsumerTooSlow");
    // A trickle is no reading either: one byte a second, of frames of 1,000.
    let mut trickle = self::scene(64);
    trickle.newest.send_replace(5_000);
    let reading = async {
        while trickle.theirs.read_u8().await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    reading.await;
    assert_eq!(trickle.ended.await.unwrap(), "ConsumerTooSlow");
}

#[tokio::test(start_paused = true)]
async fn the_silent_are_pinged_and_given_up_when_they_do_not_answer() {
    let mut scene = scene(4_096);
    for _ in 0..3 {
        assert_eq!(frame(&mut scene.theirs).await, Some((0x89, Vec::new())));
        scene.theirs.write_all(&said(0x8a, b"")).await.unwrap();
    }
    scene.newest.send_replace(1);
    assert_eq!(seq(&mut scene.theirs).await, 1);
    assert_eq!(frame(&mut scene.theirs).await, Some((0x89, Vec::new())));
    assert_eq!(scene.ended.await.unwrap(), "gone");
}

#[tokio::test(start_paused = true)]
async fn what_a_consumer_may_say_and_what_not() {
    let mut scene = scene(4_096);
    scene.theirs.write_all(&said(0x89, b"hello")).await.unwrap();
    assert_eq!(frame(&mut scene.theirs).await, Some((0x8a, b"hello".to_vec())));
    scene.theirs.write_all(&said(0x81, b"some text")).await.unwrap();
    scene.newest.send_replace(1);
    assert_eq!(seq(&mut scene.theirs).await, 1);
    scene.theirs.write_all(&said(0x88, &[3, 232])).await.unwrap();
    assert_eq!(goodbye(frame(&mut scene.theirs).await), 1000);
    drop(scene.theirs);
    assert_eq!(scene.ended.await.unwrap(), "closed");

    let unmasked = vec![0x82, 1, 1];
    let flood: Vec<u8> = (0..=FLOOD).flat_map(|_| said(0x8a, b"")).collect();
    let huge = [vec![0x82, 0xff], vec![0x7f; 8]].concat();
    let cases = [
        ("unmasked", unmasked, code::PROTOCOL),
        ("a flood", flood, code::POLICY),
        ("huge", huge, code::TOO_BIG),
        ("compressed", said(0xc1, b"x"), code::PROTOCOL),
    ];
    for (what, bytes, code) in cases {
        let mut scene = self::scene(4_096);
        scene.theirs.write_all(&bytes).await.unwrap();
        assert_eq!(goodbye(frame(&mut scene.theirs).await), code, "{what}");
        drop(scene.theirs);
        assert_eq!(scene.ended.await.unwrap(), "protocol", "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_node_stops_with_a_goodbye_behind_a_whole_frame() {
    let mut scene = scene(1_500);
    scene.newest.send_replace(300);
    assert_eq!(seq(&mut scene.theirs).await, 1);
    let closing = tokio::spawn({
        let seats = Arc::clone(&scene.seats);
        async move { seats.close().await }
    });
    let last = loop {
        let got = frame(&mut scene.theirs).await;
        if got.as_ref().is_some_and(|(first, _)| *first == 0x88) {
            break got;
        }
    };
    assert_eq!(goodbye(last), code::AWAY);
    drop(scene.theirs);
    closing.await.unwrap();
    assert_eq!(scene.ended.await.unwrap(), "stopping");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_begin_says_why() {
    let seats = Arc::new(Seats::default());
    let seat = Seats::take(&seats, "192.0.2.1".parse().unwrap()).unwrap();
    let (ours, mut theirs) = duplex(4_096);
    let first = First::<Made>::Refused { error: "FutureCursor", message: "Cursor in the future.".to_owned() };
    let ended = tokio::spawn(run(ours, first, seat, 500, Times::default()));
    let (_, payload) = frame(&mut theirs).await.unwrap();
    assert!(matches!(decode(&payload), Ok(Frame::Error(failure)) if failure.error == "FutureCursor"));
    assert_eq!(goodbye(frame(&mut theirs).await), code::POLICY);
    drop(theirs);
    assert_eq!(ended.await.unwrap(), "FutureCursor");
}
