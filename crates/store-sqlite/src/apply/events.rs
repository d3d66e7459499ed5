//! Numbering, storing, pruning and erasing events.

use std::sync::Arc;

use bytes::Bytes;
use p2pds_store::events::TailChange;
use p2pds_store::{Applied, CHUNK_ROWS, EventKind, EventRow, Jump, NewEvent, StoreError};
use p2pds_syntax::Did;
use rusqlite::{OptionalExtension, params};

use super::Apply;
use crate::codes::{event_kind, int, len, uint};
use crate::fault::Outcome;

/// Most bytes of frames that one step of pruning or erasing deletes: each deleted page is overwritten.
const PRUNED_BYTES: i64 = 4 << 20;

/// Numbers stay exact in JSON readers that know floating point only.
const LARGEST: i64 = (1 << 53) - 1;

/// What a group did to the events so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The greatest number given, once it was looked up.
    last: Option<i64>,
    /// For the tail, once the group is durable.
    changes: Vec<TailChange>,
    events: i64,
    bytes: i64,
}

/// A state of the ledger to go back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    last: Option<i64>,
    changes: usize,
    events: i64,
    bytes: i64,
}

impl Ledger {
    pub(super) fn mark(&self) -> Mark {
        Mark { last: self.last, changes: self.changes.len(), events: self.events, bytes: self.bytes }
    }

    pub(super) fn rewind(&mut self, mark: Mark) {
        self.changes.truncate(mark.changes);
        (self.last, self.events, self.bytes) = (mark.last, mark.events, mark.bytes);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn moved(&mut self, events: i64, bytes: i64) {
        self.events = self.events.saturating_add(events);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Apply {
    /// Before a group is committed: the totals, once for all of it.
    pub(super) fn settle_events(&mut self) -> Outcome<()> {
        let (events, bytes) = (self.events.events, self.events.bytes);
        if (events, bytes) != (0, 0) {
            self.conn
                .prepare_cached(
                    "UPDATE event_total SET events = events + ?1, bytes = bytes + ?2 WHERE id = 1",
                )?
                .execute([events, bytes])?;
        }
        Ok(())
    }

    /// After a group was committed: the tail hears of it.
    pub(super) fn publish_events(&mut self) {
        (self.events.events, self.events.bytes) = (0, 0);
        if !self.events.changes.is_empty() {
            self.tail.publish(self.events.changes.drain(..));
        }
    }

    fn last_seq(&mut self) -> Outcome<i64> {
        if let Some(last) = self.events.last {
            return Ok(last);
        }
        let last = crate::read::events::last_seq(&self.conn)?;
        self.events.last = Some(last);
        Ok(last)
    }

    pub(super) fn emit(&mut self, event: &NewEvent) -> Outcome<Applied> {
        let seq = self.last_seq()?.saturating_add(1);
        let frame = Bytes::from(event.frame(seq));
        self.conn.prepare_cached("INSERT INTO event VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
            seq,
            event.did.as_str(),
            event_kind(event.kind),
            event.at,
            &*frame
        ])?;
        self.events.last = Some(seq);
        self.events.moved(1, len(frame.len()));
        let row = EventRow { seq, did: event.did.clone(), kind: event.kind, at: event.at, frame };
        self.events.changes.push(TailChange::New(Arc::new(row)));
        Ok(Applied::Event { seq })
    }

    pub(super) fn jump_seq(&mut self, jump: Jump) -> Outcome<Applied> {
        let last = self.last_seq()?;
        let to = match jump {
            Jump::By(by) => last.saturating_add(int(by)),
            Jump::To(to) => to.max(last),
        };
        if to > LARGEST {
            return Err(StoreError::InvalidUnit(format!("a jump of the sequence numbers to {to}")).into());
        }
        let known = self
            .conn
            .prepare_cached("UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'event'")?
            .execute([to])?;
        if known == 0 {
            self.conn
                .prepare_cached("INSERT INTO sqlite_sequence (name, seq) VALUES ('event', ?1)")?
                .execute([to])?;
        }
        self.events.last = Some(to);
        self.events.changes.push(TailChange::Jumped(to));
        Ok(Applied::Event { seq: to })
    }

    pub(super) fn prune_events(
        &mut self,
        before_at: i64,
        keep_count: u64,
        max_bytes: u64,
    ) -> Outcome<Applied> {
        let (events, bytes): (i64, i64) = self
            .conn
            .prepare_cached("SELECT events, bytes FROM event_total WHERE id = 1")?
            .query_row([], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()?
            .unwrap_or((0, 0));
        let mut events = events.saturating_add(self.events.events);
        let mut bytes = bytes.saturating_add(self.events.bytes);
        let (mut gone, mut gone_bytes, mut upto, mut done) = (0_i64, 0_i64, None, true);
        let mut select =
            self.conn.prepare_cached("SELECT seq, at, length(frame) FROM event ORDER BY seq LIMIT ?1")?;
        let mut rows = select.query([len(CHUNK_ROWS)])?;
        while let Some(row) = rows.next()? {
            let (seq, at, size): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if at >= before_at && uint(events) <= keep_count && uint(bytes) <= max_bytes {
                break;
            }
            upto = Some(seq);
            (events, bytes) = (events.saturating_sub(1), bytes.saturating_sub(size));
            (gone, gone_bytes) = (gone.saturating_add(1), gone_bytes.saturating_add(size));
            done = gone < len(CHUNK_ROWS) && gone_bytes < PRUNED_BYTES;
            if !done {
                break;
            }
        }
        drop(rows);
        drop(select);
        if let Some(upto) = upto {
            self.conn.prepare_cached("DELETE FROM event WHERE seq <= ?1")?.execute([upto])?;
            self.events.moved(gone.saturating_neg(), gone_bytes.saturating_neg());
            self.events.changes.push(TailChange::Pruned(upto));
        }
        Ok(Applied::Chunk { rows: uint(gone), done })
    }

    /// Deletes at most `most` events of an account; answers how many, and whether none is left.
    pub(super) fn erase_events(&mut self, did: &Did, most: usize) -> Outcome<(usize, bool)> {
        if most == 0 {
            return Ok((0, false));
        }
        let newest: Option<(i64, i64)> = self
            .conn
            .prepare_cached("SELECT seq, kind FROM event WHERE did = ?1 ORDER BY seq DESC LIMIT 1")?
            .query_row([did.as_str()], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()?;
        let Some((newest, of)) = newest else { return Ok((0, true)) };
        // Subscribers that come back must hear that it is gone.
        let before = if of == event_kind(EventKind::Account) { newest } else { newest.saturating_add(1) };
        let found: Vec<(i64, i64)> = self
            .conn
            .prepare_cached(
                "SELECT seq, length(frame) FROM event WHERE did = ?1 AND seq < ?2 ORDER BY seq LIMIT ?3",
            )?
            .query_map(params![did.as_str(), before, len(most)], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let mut delete = self.conn.prepare_cached("DELETE FROM event WHERE seq = ?1")?;
        let (mut gone, mut bytes) = (0_usize, 0_i64);
        for (seq, size) in &found {
            delete.execute([seq])?;
            (gone, bytes) = (gone.saturating_add(1), bytes.saturating_add(*size));
            if bytes >= PRUNED_BYTES {
                break;
            }
        }
        drop(delete);
        let all = found.len() < most && gone == found.len();
        self.events.moved(len(gone).saturating_neg(), bytes.saturating_neg());
        if gone > 0 {
            self.events.changes.push(TailChange::Erased(did.clone()));
        }
        Ok((gone, all))
    }
}
