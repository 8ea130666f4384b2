//! Finds the payload in a flash part of coreboot's. The flash map (Documentation/lib/flashmap.md, little endian) names
//! the area COREBOOT, which is a CBFS (commonlib/bsd/cbfs_serialized.h, big endian).

use core::ops::Range;

/// The payload's name in the CBFS.
pub const PAYLOAD: &str = "fallback/payload";

/// The map begins at a multiple of this on every board, in the first 16 MiB.
const MAP_STEP: usize = 64 * 1024;
const MAP_END: u64 = 16 * 1024 * 1024;

/// CBFS files begin at multiples of this in their area.
const ALIGN: u64 = 64;

/// Reads the bytes at an offset into a slice; whether that worked.
pub type Read<'a> = &'a dyn Fn(u64, &mut [u8]) -> bool;

/// The bytes of the payload, without its CBFS header; None when the part has none, or is damaged.
pub fn payload(read: Read<'_>) -> Option<Range<u64>> {
    let area = area(read)?;
    let mut at = area.start;
    while at < area.end {
        let header: [u8; 24 + PAYLOAD.len() + 1] = bytes(read, at)?;
        let (length, data) = (big_endian(&header, 8), big_endian(&header, 20));
        let end = at + data + length;
        if !header.starts_with(b"LARCHIVE") {
            at += ALIGN;
        } else if header[24..].starts_with(PAYLOAD.as_bytes()) && header.ends_with(b"\0") {
            return (end <= area.end).then_some(at + data..end);
        } else {
            at += (data + length).max(1).next_multiple_of(ALIGN);
        }
    }
    None
}

/// The area COREBOOT.
fn area(read: Read<'_>) -> Option<Range<u64>> {
    let mut places = (0..MAP_END).step_by(MAP_STEP);
    let map = places.find(|&at| bytes(read, at) == Some(*b"__FMAP__"))?;
    let areas = bytes(read, map + 54).map(u16::from_le_bytes)?;
    let row = (0..areas.into()).find_map(|n: u64| {
        let row: [u8; 42] = bytes(read, map + 56 + 42 * n)?;
        row[8..].starts_with(b"COREBOOT\0").then_some(row)
    })?;
    let word = |at: usize| u64::from(u32::from_le_bytes([row[at], row[at + 1], row[at + 2], row[at + 3]]));
    Some(word(0)..word(0) + word(4))
}

fn bytes<const N: usize>(read: Read<'_>, at: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    read(at, &mut bytes).then_some(bytes)
}

fn big_endian(header: &[u8], at: usize) -> u64 {
    header[at..at + 4].iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// A part with a map at 64 KiB and these files in an area from 68 KiB to its end, at 80 KiB.
    fn part(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut part = vec![0xff; 80 * 1024];
        let mut map = b"__FMAP__\x01\x01".to_vec();
        map.resize(54, 0);
        map.extend(2_u16.to_le_bytes());
        for (name, start, size) in [("SETTINGS", 0, 0x10000_u32), ("COREBOOT", 0x11000, 0x3000)] {
            let row = map.len();
            map.extend([u32::to_le_bytes(start), size.to_le_bytes()].concat());
            map.extend(name.as_bytes());
            map.resize(row + 42, 0);
        }
        part[0x10000..][..map.len()].copy_from_slice(&map);
        let mut at = 0x11000;
        for (name, content) in files {
            let data = 24 + name.len() + 1;
            let words = [content.len() as u32, 0x20, 0, data as u32].map(u32::to_be_bytes).concat();
            let file = [b"LARCHIVE".as_slice(), &words, name.as_bytes(), b"\0", content].concat();
            part[at..][..file.len()].copy_from_slice(&file);
            at += file.len().next_multiple_of(64);
        }
        part
    }

    fn found(part: &[u8]) -> Option<&[u8]> {
        let read = |at: u64, out: &mut [u8]| {
            let there = part.get(at as usize..).and_then(|rest| rest.get(..out.len()));
            there.inspect(|there| out.copy_from_slice(there)).is_some()
        };
        payload(&read).map(|place| &part[place.start as usize..place.end as usize])
    }

    #[test]
    fn the_payload_is_found_behind_other_files_and_a_hole_in_their_order() {
        let mut other = part(&[("bootblock", &[7; 100]), ("fallback/payloads", b"no"), (PAYLOAD, b"kernel")]);
        assert_eq!(found(&other), Some(&b"kernel"[..]));
        // What was the first file's header is a hole now.
        other[0x11000..][..8].fill(0xff);
        assert_eq!(found(&other), Some(&b"kernel"[..]));
    }

    #[test]
    fn a_part_without_map_or_payload_or_with_one_that_is_cut_has_none() {
        assert_eq!(found(&[]), None);
        assert_eq!(found(&vec![0xff; 256 * 1024]), None);
        assert_eq!(found(&part(&[("bootblock", &[7; 100])])), None);
        let whole = part(&[(PAYLOAD, &[1; 64])]);
        assert_eq!(found(&whole), Some(&[1; 64][..]));
        let mut long = whole.clone();
        long[0x11000 + 8..][..4].copy_from_slice(&0x3000_u32.to_be_bytes());
        assert_eq!(found(&long), None);
        // A zero length or offset must not stall the search.
        let mut still = whole;
        still[0x11000 + 8..][..16].fill(0);
        still[0x11000 + 24] = b'x';
        assert_eq!(found(&still), None);
        let mut cut = part(&[(PAYLOAD, b"kernel")]);
        cut.truncate(0x11000 + 30);
        assert_eq!(found(&cut), None);
    }
}
