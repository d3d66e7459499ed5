//! How record bodies are stored: one form byte, then the block.
//!
//! Form 0 is the block as it is. Form 1 is a zstd frame, level 1, with the dictionary that
//! ships in this binary, without the four magic bytes that begin every frame, without
//! dictionary id and checksum (the CID is the checksum). The dictionary was made from synthetic
//! records, never from users' data, because it survives every purge; `examples/dictionary.rs`
//! makes it again, byte for byte. It is part of the file format: a better one gets a new form.

use std::cell::RefCell;
use std::io::Cursor;
use std::sync::LazyLock;

use p2pds_store::StoreError;
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe::{self, CParameter};

const RAW: u8 = 0;
const ZSTD_1: u8 = 1;
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const LEVEL: i32 = 1;

/// Greatest block that is stored; what is larger never passes verification (2 MiB section limit).
const MAX_BODY: usize = 4 << 20;

static DICTIONARY: &[u8] = include_bytes!("dictionary.bin");
static ENCODER: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, LEVEL));
static DECODER: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

struct Press {
    compressor: Compressor<'static>,
    decompressor: Decompressor<'static>,
    scratch: Vec<u8>,
}

impl Press {
    /// Puts a whole frame into `scratch`; answers the size of its block if that can be true.
    fn frame(&mut self, frame: &[u8]) -> Option<usize> {
        self.scratch.clear();
        self.scratch.extend_from_slice(&MAGIC);
        self.scratch.extend_from_slice(frame);
        let size = zstd_safe::get_frame_content_size(&self.scratch).ok().flatten()?;
        usize::try_from(size).ok().filter(|size| *size <= MAX_BODY)
    }
}

fn press() -> Result<Press, StoreError> {
    let broken = |e: std::io::Error| StoreError::Bug(format!("zstd: {e}"));
    let mut compressor = Compressor::with_prepared_dictionary(&ENCODER).map_err(broken)?;
    for parameter in
        [CParameter::DictIdFlag(false), CParameter::ChecksumFlag(false), CParameter::ContentSizeFlag(true)]
    {
        compressor.set_parameter(parameter).map_err(broken)?;
    }
    let decompressor = Decompressor::with_prepared_dictionary(&DECODER).map_err(broken)?;
    Ok(Press { compressor, decompressor, scratch: Vec::new() })
}

thread_local! {
    static PRESS: RefCell<Option<Press>> = const { RefCell::new(None) };
}

fn with_press<T>(work: impl FnOnce(&mut Press) -> Result<T, StoreError>) -> Result<T, StoreError> {
    PRESS.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Some(press()?);
        }
        match slot {
            Some(press) => work(press),
            None => Err(StoreError::Bug("zstd context".into())),
        }
    })
}

/// Packs a block for storing.
pub(crate) fn pack(block: &[u8]) -> Result<Vec<u8>, StoreError> {
    with_press(|press| {
        press.scratch.clear();
        press.scratch.reserve(zstd_safe::compress_bound(block.len()));
        let written = press
            .compressor
            .compress_to_buffer(block, &mut press.scratch)
            .map_err(|e| StoreError::Bug(format!("zstd: {e}")))?;
        let frame = press.scratch.get(MAGIC.len()..written).unwrap_or_default();
        let (form, bytes) =
            if frame.is_empty() || frame.len() >= block.len() { (RAW, block) } else { (ZSTD_1, frame) };
        let mut packed = Vec::with_capacity(bytes.len().saturating_add(1));
        packed.push(form);
        packed.extend_from_slice(bytes);
        Ok(packed)
    })
}

/// Unpacks a stored block; `None` when it is damaged. The caller checks it against its CID.
pub(crate) fn unpack(packed: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    match packed.split_first() {
        Some((&RAW, block)) => Ok(Some(block.to_vec())),
        Some((&ZSTD_1, frame)) => with_press(|press| {
            let Some(size) = press.frame(frame) else { return Ok(None) };
            let mut block = Vec::with_capacity(size);
            Ok(press.decompressor.decompress_to_buffer(&press.scratch, &mut block).ok().map(|_| block))
        }),
        _ => Ok(None),
    }
}

/// Unpacks a stored block behind what is in `out`; `false` when it is damaged.
pub(crate) fn unpack_into(packed: &[u8], out: &mut Vec<u8>) -> Result<bool, StoreError> {
    if let Some((&RAW, block)) = packed.split_first() {
        out.extend_from_slice(block);
        return Ok(true);
    }
    let Some((&ZSTD_1, frame)) = packed.split_first() else { return Ok(false) };
    with_press(|press| {
        let Some(size) = press.frame(frame) else { return Ok(false) };
        let start = out.len();
        out.reserve(size);
        let mut end = Cursor::new(out);
        end.set_position(start as u64);
        Ok(press.decompressor.decompress_to_buffer(&press.scratch, &mut end).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unpack_inverts_pack(block in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let packed = pack(&block).unwrap();
            let mut out = vec![7];
            prop_assert!(unpack_into(&packed, &mut out).unwrap());
            prop_assert_eq!(&out[1..], &block);
            prop_assert_eq!(unpack(&packed).unwrap(), Some(block));
        }

        #[test]
        fn damage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = unpack(&bytes);
            let mut frame = vec![ZSTD_1];
            frame.extend_from_slice(&bytes);
            let _ = unpack(&frame);
        }
    }

    #[test]
    fn likes_shrink_to_two_thirds_at_most() {
        let like = b"\xa3e$typerapp.bsky.feed.likegsubject\xa2ccidx;bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2acurix;at://did:plc:z72i7hdynmk6r22z27h6tvur/app.bsky.feed.post/3l3qo2vuowo2bicreatedAtx\x182024-09-09T19:47:26.000Z";
        let packed = pack(like).unwrap();
        assert!(packed.len() * 3 < like.len() * 2, "{} of {}", packed.len(), like.len());
    }
}
