//! What is on its way to a consumer: frames as they lie in memory, each behind its header.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::Bytes;
use p2pds_host::firehose::Page;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

/// Frames that one write may cover.
const AT_ONCE: usize = 64;

/// Frames in the order in which they go out.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    parts: VecDeque<Part>,
    /// Bytes of the first part that are out already.
    sent: usize,
    /// Bytes of all parts.
    bytes: usize,
    /// What the frames' memory is counted on.
    pages: VecDeque<(Instant, Page)>,
}

#[derive(Debug)]
struct Part {
    header: [u8; 10],
    header_len: u8,
    body: Bytes,
    /// Number of the event.
    seq: Option<i64>,
    /// The last frame of the oldest page.
    ends_page: bool,
}

impl Part {
    fn new(first: u8, body: Bytes, seq: Option<i64>) -> Self {
        let mut header = [0; 10];
        let length = body.len() as u64;
        let [.., a, b] = length.to_be_bytes();
        let header_len = match body.len() {
            ..126 => write(&mut header, &[first, b]),
            126..0x1_0000 => write(&mut header, &[first, 126, a, b]),
            _ => {
                let used = write(&mut header, &[first, 127]);
                if let Some(rest) = header.get_mut(2..) {
                    rest.copy_from_slice(&length.to_be_bytes());
                }
                used.saturating_add(8)
            }
        };
        Self { header, header_len, body, seq, ends_page: false }
    }

    fn header(&self) -> &[u8] {
        self.header.get(..usize::from(self.header_len)).unwrap_or_default()
    }

    fn len(&self) -> usize {
        usize::from(self.header_len).saturating_add(self.body.len())
    }
}

fn write(header: &mut [u8; 10], bytes: &[u8]) -> u8 {
    for (to, from) in header.iter_mut().zip(bytes) {
        *to = *from;
    }
    u8::try_from(bytes.len()).unwrap_or(0)
}

impl Outbound {
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// For how long the oldest page has been on the way.
    pub(super) fn oldest_page(&self, now: Instant) -> Duration {
        self.pages.front().map_or(Duration::ZERO, |(since, _)| now.saturating_duration_since(*since))
    }

    /// A page of events.
    pub(super) fn page(&mut self, mut page: Page) {
        let frames = std::mem::take(&mut page.frames);
        if frames.is_empty() {
            return;
        }
        for (seq, frame) in frames {
            self.push(Part::new(0x82, frame, Some(seq)));
        }
        if let Some(last) = self.parts.back_mut() {
            last.ends_page = true;
        }
        self.pages.push_back((Instant::now(), page));
    }

    /// A frame that is no event: `#info`, or an error.
    pub(super) fn word(&mut self, frame: Vec<u8>) {
        self.push(Part::new(0x82, frame.into(), None));
    }

    /// A ping.
    pub(super) fn ping(&mut self) {
        self.push(Part::new(0x89, Bytes::new(), None));
    }

    /// The answer to a ping; behind no more than one whole page.
    pub(super) fn pong(&mut self, payload: Vec<u8>) {
        self.push(Part::new(0x8a, payload.into(), None));
    }

    /// Goodbye.
    pub(super) fn close(&mut self, code: u16) {
        self.push(Part::new(0x88, code.to_be_bytes().to_vec().into(), None));
    }

    fn push(&mut self, part: Part) {
        self.bytes = self.bytes.saturating_add(part.len());
        self.parts.push_back(part);
    }

    /// Forgets the events behind the frame that is under way. If there were any: the number after which they begin.
    pub(super) fn cut(&mut self) -> Option<i64> {
        let under_way = usize::from(self.sent > 0);
        let kept = self.parts.front().filter(|_| under_way == 1).and_then(|part| part.seq);
        let first_lost = self.parts.iter().skip(under_way).find_map(|part| part.seq);
        let mut index = 0_usize;
        self.parts.retain_mut(|part| {
            part.ends_page = false;
            index = index.saturating_add(1);
            index <= under_way || part.seq.is_none()
        });
        self.bytes = self.parts.iter().map(Part::len).sum::<usize>().saturating_sub(self.sent);
        self.pages.clear();
        first_lost.map(|lost| kept.unwrap_or_else(|| lost.saturating_sub(1)))
    }

    /// Writes as much as the socket takes now, at least one byte; bytes and whole events that are out. May be dropped
    /// and called again.
    ///
    /// # Errors
    /// The socket is gone.
    pub(super) async fn write<W: AsyncWrite + Unpin>(&mut self, socket: &mut W) -> io::Result<(usize, u64)> {
        let written = if self.parts.is_empty() {
            0
        } else {
            let mut slices = [IoSlice::new(&[]); AT_ONCE * 2];
            let used = self.slices(&mut slices);
            socket.write_vectored(slices.get(..used).unwrap_or_default()).await?
        };
        if written == 0 && !self.parts.is_empty() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok((written, self.advance(written)))
    }

    /// Points the slices at what comes next; how many there are.
    fn slices<'p>(&'p self, slices: &mut [IoSlice<'p>; AT_ONCE * 2]) -> usize {
        let mut skip = self.sent;
        let mut used = 0_usize;
        for part in self.parts.iter().take(AT_ONCE) {
            for bytes in [part.header(), &part.body] {
                let rest = bytes.get(skip.min(bytes.len())..).unwrap_or_default();
                skip = skip.saturating_sub(bytes.len());
                if let (false, Some(slot)) = (rest.is_empty(), slices.get_mut(used)) {
                    *slot = IoSlice::new(rest);
                    used = used.saturating_add(1);
                }
            }
        }
        used
    }

    /// Takes out what was written; how many events of it are whole.
    fn advance(&mut self, written: usize) -> u64 {
        self.bytes = self.bytes.saturating_sub(written);
        self.sent = self.sent.saturating_add(written);
        let mut events = 0_u64;
        while let Some(first) = self.parts.front().filter(|part| part.len() <= self.sent) {
            self.sent = self.sent.saturating_sub(first.len());
            events = events.saturating_add(u64::from(first.seq.is_some()));
            if first.ends_page {
                self.pages.pop_front();
            }
            self.parts.pop_front();
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(outbound: &Outbound) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &outbound.parts {
            out.extend_from_slice(part.header());
            out.extend_from_slice(&part.body);
        }
        out
    }

    fn page(seqs: std::ops::Range<i64>, size: usize) -> Page {
        Page::new(seqs.map(|seq| (seq, Bytes::from(vec![u8::try_from(seq % 200).unwrap(); size]))).collect())
    }

    #[tokio::test]
    async fn what_is_written_in_pieces_is_what_was_queued() {
        for size in [0, 1, 125, 126, 300, 65_535, 65_536, 200_000] {
            let mut outbound = Outbound::default();
            outbound.word(b"info".to_vec());
            outbound.page(page(1..4, size));
            outbound.ping();
            let expected = bytes_of(&outbound);
            assert_eq!(outbound.bytes(), expected.len());
            let (mut ours, mut theirs) = tokio::io::duplex(777);
            let read = async move {
                let mut got = Vec::new();
                tokio::io::AsyncReadExt::read_to_end(&mut theirs, &mut got).await.unwrap();
                got
            };
            let written = async move {
                let mut events = 0;
                while !outbound.is_empty() {
                    events += outbound.write(&mut ours).await.unwrap().1;
                }
                assert_eq!((outbound.bytes(), outbound.pages.len(), outbound.sent), (0, 0, 0));
                events
            };
            let (got, events) = tokio::join!(read, written);
            assert_eq!((got == expected, events), (true, 3), "{size}");
        }
    }

    #[test]
    fn what_is_not_under_way_can_be_forgotten() {
        let mut outbound = Outbound::default();
        outbound.page(page(5..9, 1_000));
        outbound.pong(Vec::new());
        assert_eq!(outbound.advance(1_500), 1);
        assert_eq!(outbound.cut(), Some(6), "the second is half out");
        assert_eq!((outbound.bytes(), outbound.parts.len()), (2 * 1_004 - 1_500 + 2, 2));
        assert_eq!((outbound.pages.len(), outbound.cut()), (0, None));
        assert_eq!((outbound.advance(outbound.bytes()), outbound.is_empty()), (1, true));
        outbound.page(page(7..9, 10));
        assert_eq!((outbound.cut(), outbound.is_empty()), (Some(6), true), "nothing of it was out");
    }
}
