//! Many rows in two buffers.

use p2pds_ipld::Cid;

/// Key, CID and body of one row of a page.
pub type PageRow<'a> = (&'a [u8], Cid, Option<&'a [u8]>);

/// Room for a key: a collection's name, a slash, and a timestamp as record key.
const KEY_ROOM: usize = 40;

/// A page of records whose keys and bodies lie in one buffer each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowPage {
    keys: Vec<u8>,
    bodies: Vec<u8>,
    rows: Vec<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// Where its key ends; it begins where the one before ends.
    key_end: usize,
    /// Where its body ends.
    body_end: usize,
    has_body: bool,
    cid: Cid,
}

impl RowPage {
    /// An empty page with room for so many rows and bytes of bodies, so that filling it moves nothing.
    #[must_use]
    pub fn with_room(rows: usize, bodies: usize) -> Self {
        Self {
            keys: Vec::with_capacity(rows.saturating_mul(KEY_ROOM)),
            bodies: Vec::with_capacity(bodies),
            rows: Vec::with_capacity(rows),
        }
    }

    /// Rows in the page.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of all bodies.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.bodies.len()
    }

    /// Adds a row: its key in two parts, its CID, and a function that writes its body behind what
    /// is there and answers `None` when there is no body.
    ///
    /// # Errors
    /// What `write` says.
    pub fn push_with<T, E>(
        &mut self,
        key: [&str; 2],
        cid: Cid,
        write: impl FnOnce(&mut Vec<u8>) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        let written = write(&mut self.bodies)?;
        key.iter().for_each(|part| self.keys.extend_from_slice(part.as_bytes()));
        self.rows.push(Entry {
            key_end: self.keys.len(),
            body_end: self.bodies.len(),
            has_body: written.is_some(),
            cid,
        });
        Ok(written)
    }

    /// Key, CID and body of a row.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<PageRow<'_>> {
        let row = self.rows.get(at)?;
        let (key_start, body_start) = match at.checked_sub(1).and_then(|before| self.rows.get(before)) {
            Some(before) => (before.key_end, before.body_end),
            None => (0, 0),
        };
        let body = self.bodies.get(body_start..row.body_end).filter(|_| row.has_body);
        Some((self.keys.get(key_start..row.key_end)?, row.cid, body))
    }

    /// Key of the last row.
    #[must_use]
    pub fn last_key(&self) -> Option<&[u8]> {
        self.get(self.len().checked_sub(1)?).map(|(key, ..)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_went_in() {
        let mut page = RowPage::default();
        assert_eq!((page.get(0), page.last_key()), (None, None));
        let cid = Cid::of_cbor(b"x");
        let mut push = |key: [&str; 2], body: Option<&[u8]>| {
            let written = page.push_with(key, cid, |out| Ok::<_, ()>(body.map(|b| out.extend_from_slice(b))));
            assert_eq!(written.unwrap().is_some(), body.is_some());
        };
        push(["a/", "1"], Some(b"one"));
        push(["a/", "2"], None);
        push(["b/", ""], Some(b""));
        assert_eq!(page.get(0), Some((&b"a/1"[..], cid, Some(&b"one"[..]))));
        assert_eq!(page.get(1), Some((&b"a/2"[..], cid, None)));
        assert_eq!(page.get(2), Some((&b"b/"[..], cid, Some(&b""[..]))));
        assert_eq!((page.len(), page.body_bytes(), page.last_key()), (3, 3, Some(&b"b/"[..])));
    }
}
