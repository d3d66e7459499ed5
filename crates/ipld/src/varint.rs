//! Unsigned LEB128 as CAR uses it: shortest form, nine bytes at most.

/// Why bytes are not a varint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VarintFault {
    /// More bytes are needed.
    Short,
    /// A longer form than needed, or more than nine bytes.
    Bad,
}

/// Reads the varint at the start of `bytes`: value and length.
#[inline(always)]
pub(crate) fn read(bytes: &[u8]) -> Result<(u64, usize), VarintFault> {
    match *bytes {
        [a, ..] if a < 0x80 => Ok((u64::from(a), 1)),
        [a, b, ..] if b < 0x80 && b != 0 => Ok((u64::from(a & 0x7f) | (u64::from(b) << 7), 2)),
        _ => long(bytes),
    }
}

fn long(bytes: &[u8]) -> Result<(u64, usize), VarintFault> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        // Nine bytes hold 63 bits, so nothing is shifted out.
        value |= u64::from(byte & 0x7f) << index.saturating_mul(7);
        if byte & 0x80 == 0 {
            return if *byte == 0 && index > 0 {
                Err(VarintFault::Bad)
            } else {
                Ok((value, index.saturating_add(1)))
            };
        }
    }
    Err(if bytes.len() < 9 { VarintFault::Short } else { VarintFault::Bad })
}

/// Appends a varint.
#[expect(clippy::cast_possible_truncation, reason = "masked to seven bits")]
pub(crate) fn write(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        for value in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::from(u32::MAX), (1 << 63) - 1] {
            let mut out = Vec::new();
            write(&mut out, value);
            assert_eq!(read(&out), Ok((value, out.len())));
            for cut in 0..out.len() {
                assert_eq!(read(&out[..cut]), Err(VarintFault::Short));
            }
        }
        let mut large = Vec::new();
        write(&mut large, 1 << 63);
        assert_eq!(read(&large), Err(VarintFault::Bad));
        for bad in [&[0x80, 0x00][..], &[0xff, 0x80, 0x00], &[0x81, 0x00], &[0x80; 9], &[0x80; 10]] {
            assert_eq!(read(bad), Err(VarintFault::Bad), "{bad:?}");
        }
    }
}
