use crate::wire::Reader;

/// Reads an `mpint` that must be greater than zero; gives its big-endian digits, the first one not
/// zero.
///
/// `None` is a truncated, zero, negative or overlong number: RFC 4251 section 5 has one form for
/// each value, and keys are compared by their bytes.
pub fn positive<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    match reader.string().ok()? {
        [0, digits @ ..] if digits.first().is_some_and(|&digit| digit >= 0x80) => Some(digits),
        digits @ [1..=0x7f, ..] => Some(digits),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::positive;
    use crate::wire::Reader;

    #[test]
    fn takes_the_one_form_of_each_number() {
        for (encoded, digits) in [
            (&b"\0\0\0\x01\x01"[..], &b"\x01"[..]),
            (b"\0\0\0\x01\x7f", b"\x7f"),
            (b"\0\0\0\x02\0\x80", b"\x80"),
            // An example of RFC 4251 section 5.
            (b"\0\0\0\x08\x09\xa3\x78\xf9\xb2\xe3\x32\xa7", b"\x09\xa3\x78\xf9\xb2\xe3\x32\xa7"),
        ] {
            assert_eq!(positive(&mut Reader::new(encoded)), Some(digits));
        }
    }

    #[test]
    fn refuses_zero_negative_overlong_and_truncated_numbers() {
        for encoded in [
            &b"\0\0\0\0"[..],
            b"\0\0\0\x01\0",
            b"\0\0\0\x01\x80",
            b"\0\0\0\x02\xed\xcc",
            b"\0\0\0\x02\0\x7f",
            b"\0\0\0\x03\0\0\x80",
            b"\0\0\0\x02\x01",
            b"\0\0\0",
        ] {
            assert_eq!(positive(&mut Reader::new(encoded)), None, "{encoded:x?}");
        }
    }
}
