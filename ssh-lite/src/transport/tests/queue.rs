//! The queue of messages that cannot be sent yet.

use super::message;
use crate::{
    limits::{ANSWER_ROOM, PACKET_OVERHEAD, QUEUE},
    msg::Encode,
    transport::queue::Queue,
    wire::WireError,
};
use std::vec;

/// The longest message's bytes behind its number.
const LONGEST: usize = ANSWER_ROOM - PACKET_OVERHEAD - 1;

fn push(queue: &mut Queue, message: impl Encode) -> Result<(), WireError> {
    queue.push(&|to| message.encode(to))
}

#[test]
fn what_comes_first_goes_first() {
    let mut queue = Queue::new();
    assert!(queue.is_empty());
    assert_eq!(queue.first(), None);
    queue.pop();
    push(&mut queue, message(b"one")).unwrap();
    push(&mut queue, message(b"")).unwrap();
    assert_eq!(queue.first(), Some(&b"\x51one"[..]));
    queue.pop();
    push(&mut queue, message(b"three")).unwrap();
    for payload in [&b"\x51"[..], b"\x51three"] {
        assert!(!queue.is_empty());
        assert_eq!(queue.first(), Some(payload));
        queue.pop();
    }
    assert!(queue.is_empty());
    assert_eq!(queue.first(), None);
}

#[test]
fn its_room_is_used_to_the_last_byte_again_and_again() {
    let mut queue = Queue::new();
    // Two long ones, and what is left for the third behind its size and number.
    let left = QUEUE - 2 * (2 + 1 + LONGEST) - (2 + 1);
    for round in 0..3 {
        for len in [LONGEST, LONGEST] {
            push(&mut queue, message(&vec![round; len])).unwrap();
        }
        assert_eq!(push(&mut queue, message(&vec![round; left + 1])), Err(WireError::NoRoom));
        push(&mut queue, message(&vec![round; left])).unwrap();
        assert_eq!(push(&mut queue, message(b"")), Err(WireError::NoRoom), "not a byte is left");
        for len in [LONGEST, LONGEST, left] {
            assert_eq!(queue.first(), Some(&[&[81][..], &vec![round; len]].concat()[..]));
            queue.pop();
        }
        assert!(queue.is_empty());
    }
}

#[test]
fn a_message_that_could_never_be_sent_is_not_kept() {
    let mut queue = Queue::new();
    assert_eq!(push(&mut queue, message(&vec![0; LONGEST + 1])), Err(WireError::NoRoom));
    assert!(queue.is_empty());
    assert_eq!(push(&mut queue, message(&vec![0; LONGEST])), Ok(()));
}
