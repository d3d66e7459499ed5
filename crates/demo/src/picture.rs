//! Pictures that nobody took: a sky, hills and a sun in the colours of chance, as PNG.

use std::io::Write as _;

use flate2::{Compression, Crc, write::ZlibEncoder};

use crate::chance::Chance;

/// A picture of this size.
pub(crate) fn picture(chance: &mut Chance, width: u32, height: u32) -> Vec<u8> {
    let sky = colour(chance, 120, 240);
    let ground = colour(chance, 20, 140);
    let sun = [255, 200_u8.saturating_add(low(chance.below(50))), 90];
    let (sun_x, sun_y) = (chance.below(u64::from(width)), chance.below(u64::from(height / 2)));
    let radius = u64::from(height / 8).max(2);
    let (first, second) = (wave(chance, width), wave(chance, width));
    let mut pixels = Vec::new();
    for y in 0..u64::from(height) {
        // Each line begins with its filter: none.
        pixels.push(0);
        for x in 0..u64::from(width) {
            let near = square(x, sun_x).saturating_add(square(y, sun_y)) <= radius.saturating_mul(radius);
            let hill = u64::from(height / 2).saturating_add(first.at(x, height)) < y;
            let field =
                u64::from(height).saturating_mul(2).saturating_div(3).saturating_add(second.at(x, height))
                    < y;
            let shade = low(y.saturating_mul(80).checked_div(u64::from(height)).unwrap_or(0));
            let base = match (field, hill, near) {
                (true, ..) => ground,
                (_, true, _) => ground.map(|part| part.saturating_add(40)),
                (.., true) => sun,
                _ => sky,
            };
            pixels.extend(base.map(|part| part.saturating_sub(shade)));
        }
    }
    png(width, height, &pixels)
}

/// A row of hills: a triangle wave.
struct Wave {
    length: u64,
    begins: u64,
}

impl Wave {
    fn at(&self, x: u64, height: u32) -> u64 {
        let half = (self.length / 2).max(1);
        let place = x.saturating_add(self.begins).checked_rem(self.length).unwrap_or(0);
        let up = if place < half { place } else { self.length.saturating_sub(place) };
        up.saturating_mul(u64::from(height / 8)).checked_div(half).unwrap_or(0)
    }
}

fn wave(chance: &mut Chance, width: u32) -> Wave {
    let width = u64::from(width).max(4);
    Wave { length: (width / 4).saturating_add(chance.below(width)), begins: chance.below(width) }
}

fn square(a: u64, b: u64) -> u64 {
    let apart = a.abs_diff(b);
    apart.saturating_mul(apart)
}

fn colour(chance: &mut Chance, from: u64, to: u64) -> [u8; 3] {
    [0; 3].map(|_: u8| low(from.saturating_add(chance.below(to.saturating_sub(from)))))
}

fn low(value: u64) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

/// The file: eight bits of red, green and blue, lines with their filter byte.
fn png(width: u32, height: u32, lines: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    head.extend(width.to_be_bytes());
    head.extend(height.to_be_bytes());
    head.extend([8, 2, 0, 0, 0]);
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    // Into memory: it takes everything.
    let packed = packed.write_all(lines).and_then(|()| packed.finish()).unwrap_or_default();
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in [(b"IHDR", head.as_slice()), (b"IDAT", packed.as_slice()), (b"IEND", &[])] {
        out.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
        let mut sum = Crc::new();
        for part in [name.as_slice(), data] {
            out.extend(part);
            sum.update(part);
        }
        out.extend(sum.sum().to_be_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_picture_and_another_one_another() {
        let draw = |seed| picture(&mut Chance::new(seed), 64, 48);
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let file = draw(7);
        assert!(file.starts_with(b"\x89PNG\r\n\x1a\n") && file.ends_with(b"IEND\xae\x42\x60\x82"));
        // The data unpacks to a line of 1 + 3 x 64 bytes for each of the 48.
        let at = file.windows(4).position(|name| name == b"IDAT").unwrap();
        let length = u32::from_be_bytes(file[at - 4..at].try_into().unwrap()) as usize;
        let mut lines = Vec::new();
        let mut packed = flate2::read::ZlibDecoder::new(&file[at + 4..at + 4 + length]);
        std::io::Read::read_to_end(&mut packed, &mut lines).unwrap();
        assert_eq!(lines.len(), 48 * (1 + 3 * 64));
    }
}
