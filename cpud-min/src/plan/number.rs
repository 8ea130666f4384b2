//! Decimal numbers in what clients, files and command lines say.

/// The number that the text is, if `T` holds it.
pub fn number<T: TryFrom<u32>>(text: &[u8]) -> Option<T> {
    decimal(text).and_then(|number| T::try_from(number).ok())
}

#[inline(never)] // `parse` is compiled for each type that it is asked for, and this once
fn decimal(text: &[u8]) -> Option<u32> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a_number_fits_its_type_or_is_none() {
        assert_eq!(number::<u8>(b"255"), Some(255));
        assert_eq!(number::<u8>(b"256"), None);
        assert_eq!(number::<u16>(b"65536"), None);
        assert_eq!(number::<u32>(b"4294967295"), Some(u32::MAX));
        assert_eq!(number::<i32>(b"4294967295"), None);
        for text in [&b""[..], b"-1", b" 1", b"1 ", b"x", b"\xff", b"4294967296"] {
            assert_eq!(number::<u32>(text), None, "{text:?}");
        }
    }
}
