//! Base 64 (RFC 4648 section 4), strict: padding is required, unused bits must be zero.
//!
//! No crate's, for two reasons: a key file has line ends of any kind anywhere, so the text comes as an
//! iterator; and of a file that is too long the beginning is decoded, which says what kind of key it is.

use core::fmt;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Base64Error {
    /// A character that is not of the alphabet, wrong padding, or unused bits that are not zero.
    Invalid,
    /// The output is full. It holds the beginning, and no byte is unused when its size is a multiple of 3.
    NoRoom,
}

/// Decodes `text` into `out` and gives the number of bytes.
pub fn decode(text: &mut dyn Iterator<Item = u8>, out: &mut [u8]) -> Result<usize, Base64Error> {
    let mut end = 0;
    while let Some(first) = text.next() {
        let mut next = || text.next().ok_or(Base64Error::Invalid);
        let group = [first, next()?, next()?, next()?];
        let padding = match group {
            [.., b'=', b'='] => 2,
            [.., b'='] => 1,
            _ => 0,
        };
        let mut bits = 0;
        for &symbol in &group[..4 - padding] {
            bits = bits << 6 | value(symbol).ok_or(Base64Error::Invalid)?;
        }
        let [_, bytes @ ..] = (bits << (6 * padding)).to_be_bytes();
        let (bytes, unused) = bytes.split_at(3 - padding);
        if unused.iter().any(|&b| b != 0) || (padding > 0 && text.next().is_some()) {
            return Err(Base64Error::Invalid);
        }
        let room = out.get_mut(end..end + bytes.len()).ok_or(Base64Error::NoRoom)?;
        room.copy_from_slice(bytes);
        end += bytes.len();
    }
    Ok(end)
}

fn value(symbol: u8) -> Option<u32> {
    let value = match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

/// Writes `bytes` without the padding, as fingerprints are.
pub fn encode_unpadded(bytes: &[u8], out: &mut dyn fmt::Write) -> fmt::Result {
    for group in bytes.chunks(3) {
        let mut bits = [0; 4];
        bits[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(bits);
        for symbol in 0..=group.len() {
            let index = bits >> (18 - 6 * symbol) & 0x3f;
            out.write_char(ALPHABET[index as usize].into())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{ALPHABET, Base64Error, decode, encode_unpadded, value};
    use std::string::String;

    /// RFC 4648 section 10.
    const VECTORS: [(&str, &str); 7] = [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ];

    #[test]
    fn decodes_the_vectors_of_rfc_4648() {
        for (plain, text) in VECTORS {
            let mut out = [0; 6];
            assert_eq!(decode(&mut text.bytes(), &mut out), Ok(plain.len()));
            assert_eq!(&out[..plain.len()], plain.as_bytes());
        }
    }

    #[test]
    fn encodes_the_vectors_of_rfc_4648_without_padding() {
        for (plain, text) in VECTORS {
            let mut out = String::new();
            encode_unpadded(plain.as_bytes(), &mut out).unwrap();
            assert_eq!(out, text.trim_end_matches('='));
        }
    }

    #[test]
    fn every_symbol_has_the_value_of_its_place_and_nothing_else_has_one() {
        for symbol in 0..=u8::MAX {
            let place = ALPHABET.iter().position(|&s| s == symbol);
            assert_eq!(value(symbol).map(|v| v as usize), place);
        }
    }

    #[test]
    fn refuses_what_is_not_strictly_base_64() {
        for text in [
            "Z", "Zg", "Zg=", "Zm8", "Zm9vY", "====", "Z===", "=m9v", "Z=9v", "Zm=v", "Zg==Zg==", "Zm8=Zm9v",
            "Zg===", // Unused bits that are not zero (section 3.5).
            "Zh==", "Zm9=", "Zm9-", "Zm9_", "Zm 9", "Zm\n9v",
        ] {
            assert_eq!(decode(&mut text.bytes(), &mut [0; 16]), Err(Base64Error::Invalid), "{text:?}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_leaves_its_beginning() {
        let mut out = [0; 3];
        assert_eq!(decode(&mut "Zm9vYmFy".bytes(), &mut out), Err(Base64Error::NoRoom));
        assert_eq!(&out, b"foo");
    }
}
