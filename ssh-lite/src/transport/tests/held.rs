//! The queue of messages that cannot be sent yet.

use super::message;
use crate::{
    limits::{ANSWER_ROOM, HELD, PACKET_OVERHEAD},
    msg::Encode,
    transport::held::Held,
    wire::WireError,
};
use std::vec;

/// The longest message's bytes behind its number.
const LONGEST: usize = ANSWER_ROOM - PACKET_OVERHEAD - 1;

fn push(held: &mut Held, message: impl Encode) -> Result<(), WireError> {
    held.push(&|to| message.encode(to))
}

#[test]
fn what_comes_first_goes_first() {
    let mut held = Held::new();
    assert!(held.is_empty());
    assert_eq!(held.first(), None);
    held.pop();
    push(&mut held, message(b"one")).unwrap();
    push(&mut held, message(b"")).unwrap();
    assert_eq!(held.first(), Some(&b"\x51one"[..]));
    held.pop();
    push(&mut held, message(b"three")).unwrap();
    for payload in [&b"\x51"[..], b"\x51three"] {
        assert!(!held.is_empty());
        assert_eq!(held.first(), Some(payload));
        held.pop();
    }
    assert!(held.is_empty());
    assert_eq!(held.first(), None);
}

#[test]
fn its_room_is_used_to_the_last_byte_again_and_again() {
    let mut held = Held::new();
    // Two long ones, and what is left for the third behind its size and number.
    let left = HELD - 2 * (2 + 1 + LONGEST) - (2 + 1);
    for round in 0..3 {
        for len in [LONGEST, LONGEST] {
            push(&mut held, message(&vec![round; len])).unwrap();
        }
        assert_eq!(push(&mut held, message(&vec![round; left + 1])), Err(WireError::NoRoom));
        push(&mut held, message(&vec![round; left])).unwrap();
        assert_eq!(push(&mut held, message(b"")), Err(WireError::NoRoom), "not a byte is left");
        for len in [LONGEST, LONGEST, left] {
            assert_eq!(held.first(), Some(&[&[81][..], &vec![round; len]].concat()[..]));
            held.pop();
        }
        assert!(held.is_empty());
    }
}

#[test]
fn a_message_that_could_never_be_sent_is_not_kept() {
    let mut held = Held::new();
    assert_eq!(push(&mut held, message(&vec![0; LONGEST + 1])), Err(WireError::NoRoom));
    assert!(held.is_empty());
    assert_eq!(push(&mut held, message(&vec![0; LONGEST])), Ok(()));
}
