//! CAR files: the reader over a slice and the decoder fed in pieces see the same sections.
#![no_main]

use libfuzzer_sys::fuzz_target;
use p2pds_ipld::car::{CarLimits, Decoder, SliceReader};

/// Lengths and offsets of the sections, and whether the file ended well.
fn in_pieces(bytes: &[u8], piece: usize) -> (Vec<(usize, u64)>, bool) {
    let mut decoder = Decoder::new(CarLimits::default());
    let mut sections = Vec::new();
    for chunk in bytes.chunks(piece.max(1)) {
        if decoder.feed(chunk).is_err() {
            return (sections, false);
        }
        match decoder.header() {
            Ok(Some(_)) => {}
            Ok(None) => continue,
            Err(_) => return (sections, false),
        }
        loop {
            match decoder.section() {
                Ok(Some(section)) => sections.push((section.bytes.len(), section.offset)),
                Ok(None) => break,
                Err(_) => return (sections, false),
            }
        }
    }
    (sections, decoder.finish().is_ok())
}

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let mut whole = Vec::new();
    let mut good = false;
    if let Ok(reader) = SliceReader::new(bytes, CarLimits::default()) {
        good = true;
        for section in reader {
            match section {
                Ok(section) => whole.push((section.bytes.len(), section.offset)),
                Err(_) => {
                    good = false;
                    break;
                }
            }
        }
    }
    let (pieces, pieces_good) = in_pieces(bytes, usize::from(piece));
    assert_eq!(good, pieces_good, "slice reader and decoder disagree about the file");
    if good {
        assert_eq!(whole, pieces);
    }
});
