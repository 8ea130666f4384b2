//! The examples of RFC 4251 section 5, and the edges.

use super::{Reader, WireError, Writer};
use std::vec::Vec;

fn written(write: impl FnOnce(&mut Writer<'_>) -> Result<(), WireError>) -> Vec<u8> {
    let mut bytes = [0; 64];
    let mut to = Writer::new(&mut bytes);
    write(&mut to).unwrap();
    to.into_written().to_vec()
}

#[test]
fn the_examples_of_the_rfc() {
    assert_eq!(written(|to| to.uint32(699_921_578)), [0x29, 0xb7, 0xf4, 0xaa]);
    assert_eq!(written(|to| to.string(b"testing")), b"\0\0\0\x07testing");
    assert_eq!(written(|to| to.mpint(&[0])), [0, 0, 0, 0]);
    let number = [0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7];
    assert_eq!(written(|to| to.mpint(&number)), [&[0, 0, 0, 8], &number[..]].concat());
    assert_eq!(written(|to| to.mpint(&[0x80])), [0, 0, 0, 2, 0, 0x80]);
}

#[test]
fn a_number_has_no_leading_zeros_but_the_one_that_makes_it_positive() {
    assert_eq!(written(|to| to.mpint(&[0, 0, 0x7f])), [0, 0, 0, 1, 0x7f]);
    assert_eq!(written(|to| to.mpint(&[0, 0, 0xff])), [0, 0, 0, 2, 0, 0xff]);
}

#[test]
fn values_are_read_in_turn() {
    let bytes = b"\x07\x01\x00\x02\x29\xb7\xf4\xaa\0\0\0\x03abc\0\0\0\x00rest";
    let mut from = Reader::new(bytes);
    assert_eq!(from.byte(), Ok(7));
    assert_eq!((from.boolean(), from.boolean(), from.boolean()), (Ok(true), Ok(false), Ok(true)));
    assert_eq!(from.uint32(), Ok(699_921_578));
    assert_eq!(from.text(), Ok("abc"));
    assert_eq!(from.string(), Ok(&b""[..]));
    assert_eq!(from.rest(), b"rest");
    assert_eq!(from.clone().finish(), Err(WireError::Trailing));
    assert_eq!(from.array::<4>(), Ok(b"rest"));
    assert_eq!(from.finish(), Ok(()));
}

#[test]
fn a_string_longer_than_what_is_left_is_not_read() {
    for bytes in [&b"\0\0\0\x04abc"[..], b"\xff\xff\xff\xff", b"\0\0\0"] {
        assert_eq!(Reader::new(bytes).string(), Err(WireError::Truncated));
    }
    assert_eq!(Reader::new(b"\0\0\0\x01\xc3").text(), Err(WireError::NotText));
}

#[test]
fn what_does_not_fit_leaves_what_was_written_in_place() {
    let mut bytes = [0; 3];
    let mut to = Writer::new(&mut bytes);
    to.byte(1).unwrap();
    assert_eq!(to.bytes(&[2, 3, 4]), Err(WireError::NoRoom));
    assert_eq!(to.written(), 1);
    assert_eq!(to.into_written(), [1]);
}

#[test]
fn a_string_may_be_put_together() {
    assert_eq!(written(|to| to.string_of(&[b"ab", b"", b"c"])), b"\0\0\0\x03abc");
}
