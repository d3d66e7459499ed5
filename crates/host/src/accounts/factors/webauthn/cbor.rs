//! As much CBOR as authenticators write (CTAP 2, section 8): definite lengths, integer and text keys. It reads what the
//! strict codec of records does not (integer keys, keys in any order, floats in statements that are skipped), never
//! copies, and is bounded in depth and number of items.

/// Items of maps and arrays inside each other.
const DEEPEST: usize = 8;
/// Items in all.
const MOST: usize = 256;

/// One item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// An integer.
    Int(i128),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Text.
    Text(&'a str),
    /// Its items.
    Array(Vec<Item<'a>>),
    /// Its pairs, each key once.
    Map(Vec<(Item<'a>, Item<'a>)>),
    /// `true`, `false`, `null`, floats: nothing that is looked at here.
    Other,
}

impl<'a> Item<'a> {
    /// The value of a text key of a map.
    pub(super) fn text_key(&self, name: &str) -> Option<&Self> {
        self.key(&Item::Text(name))
    }

    /// The value of an integer key of a map.
    pub(super) fn int_key(&self, name: i128) -> Option<&Self> {
        self.key(&Item::Int(name))
    }

    fn key(&self, name: &Item<'_>) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    pub(super) fn bytes(&self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    pub(super) fn int(&self) -> Option<i128> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }
}

/// The first item, and what follows it. `None` for what is cut short, too deep, too long, or of indefinite length.
pub(super) fn first(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let mut reader = Reader { rest: bytes, left: MOST };
    let item = reader.item(DEEPEST)?;
    Some((item, reader.rest))
}

/// The one item that these bytes are.
pub(super) fn whole(bytes: &[u8]) -> Option<Item<'_>> {
    first(bytes).filter(|(_, rest)| rest.is_empty()).map(|(item, _)| item)
}

struct Reader<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn number<const N: usize>(&mut self) -> Option<u64> {
        Some(self.take(N)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn head(&mut self) -> Option<(u8, u64)> {
        let first = *self.take(1)?.first()?;
        let number = match first & 31 {
            small @ 0..=23 => u64::from(small),
            24 => self.number::<1>()?,
            25 => self.number::<2>()?,
            26 => self.number::<4>()?,
            27 => self.number::<8>()?,
            _ => return None,
        };
        Some((first >> 5, number))
    }

    fn item(&mut self, depth: usize) -> Option<Item<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (major, number) = self.head()?;
        let length = || usize::try_from(number).ok();
        match major {
            0 => Some(Item::Int(i128::from(number))),
            1 => Some(Item::Int(!i128::from(number))),
            2 => self.take(length()?).map(Item::Bytes),
            3 => std::str::from_utf8(self.take(length()?)?).ok().map(Item::Text),
            4 => {
                let deeper = depth.checked_sub(1)?;
                let count = length()?.min(MOST.saturating_add(1));
                (0..count).map(|_| self.item(deeper)).collect::<Option<_>>().map(Item::Array)
            }
            5 => {
                let deeper = depth.checked_sub(1)?;
                let mut pairs: Vec<(Item<'a>, Item<'a>)> = Vec::new();
                for _ in 0..length()?.min(MOST.saturating_add(1)) {
                    let pair = (self.item(deeper)?, self.item(deeper)?);
                    if pairs.iter().any(|(key, _)| *key == pair.0) {
                        return None;
                    }
                    pairs.push(pair);
                }
                Some(Item::Map(pairs))
            }
            7 => Some(Item::Other),
            // Tags: no authenticator writes them.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_authenticators_write() {
        let key = whole(&[0xa3, 0x01, 0x02, 0x03, 0x26, 0x20, 0x42, 7, 8]).unwrap();
        assert_eq!(key.int_key(1).and_then(Item::int), Some(2));
        assert_eq!(key.int_key(3).and_then(Item::int), Some(-7));
        assert_eq!(key.int_key(-1).and_then(Item::bytes), Some([7, 8].as_slice()));
        assert_eq!(key.int_key(9), None);
        let (item, rest) = first(&[0xa1, 0x61, b'a', 0xf5, 1, 2]).unwrap();
        assert_eq!((item.text_key("a"), rest), (Some(&Item::Other), [1, 2].as_slice()));
        assert_eq!(
            whole(&[0x1b, 255, 255, 255, 255, 255, 255, 255, 255]),
            Some(Item::Int(i128::from(u64::MAX)))
        );
        assert_eq!(whole(&[0x3b, 255, 255, 255, 255, 255, 255, 255, 255]), Some(Item::Int(-(1 << 64))));
    }

    #[test]
    fn what_is_not_read() {
        let deep = [vec![0x81; DEEPEST + 1], vec![0]].concat();
        let long = [vec![0x99, 1, 1], vec![0; 257]].concat();
        for bytes in [
            &[][..],
            &[0x5f, 0xff],
            &[0xbf, 0xff],
            &[0x42, 1],
            &[0xa1, 1],
            &[0xa2, 1, 1, 1, 1],
            &[0x62, 0xc3, 0x28],
            &[0xc0, 0],
            &[0, 0],
            &[0x5b, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255],
            &[0xbb, 255, 255, 255, 255, 255, 255, 255, 255],
            &deep,
            &long,
        ] {
            assert_eq!(whole(bytes), None, "{bytes:?}");
        }
    }
}
