use std::string::String;
use std::vec::Vec;

use super::*;
use crate::types::{Attr, Qid};
use crate::wire::{Data, unit};

/// What a field of this type is tested with.
trait Sample {
    /// The type in the letters of Linux's net/9p/protocol.c.
    const LETTERS: &'static str;

    /// A value that no other field of the message has: each takes the next number.
    fn sample(next: &mut u8) -> Self;
}

macro_rules! sample {
    ($($letters:literal $type:ty: |$n:ident| $value:expr;)*) => {$(
        impl Sample for $type {
            const LETTERS: &'static str = $letters;

            fn sample(next: &mut u8) -> Self {
                *next += 1;
                let $n = *next;
                $value
            }
        }
    )*};
}

sample! {
    "b" u8: |n| n;
    "w" u16: |n| u16::from(n) << 8 | 1;
    "d" u32: |n| u32::from(n) << 24 | 2;
    "q" u64: |n| u64::from(n) << 56 | 3;
    "s" &'static [u8]: |n| [b"usr", b"bin".as_slice(), b""][usize::from(n % 3)];
    "D" Data<'static>: |n| Data(if n == 1 { b"\0\x01\xff" } else { b"" });
    "T" heapless::Vec<&'static [u8], 16>: |_n| [b"usr".as_slice(), b"share"].into_iter().collect();
    "Q" Qid: |n| Qid { kind: n, version: 0x0405_0607, path: 0x08090a0b_0c0d0e0f };
    "R" heapless::Vec<Qid, 16>: |n| [Qid { kind: n, version: 1, path: 2 }; 2].into_iter().collect();
    "dddqqqqqqqqqqqqqqq" Attr: |n| Attr { mode: n.into(), data_version: !0, ..Attr::default() };
}

macro_rules! rows {
    ($(
        $(#[$doc:meta])*
        $name:ident $(<$lt:lifetime>)? = $number:literal: $($field:ident [$($unit:tt)+])*;
    )*) => {
        /// One message of each type, with its number, its name and its body in Linux's letters.
        fn rows() -> Vec<(u8, &'static str, String, Message<'static>)> {
            /// Gives `'a` of the table's rows the only life that samples have.
            fn row<'a: 'static>() -> Vec<(u8, &'static str, String, Message<'a>)> {
                std::vec![$({
                    let next = &mut 0;
                    $(let $field = <unit!($($unit)+)>::sample(next);)*
                    let _ = next;
                    let message = Message::$name($name { $($field),* });
                    let letters = [$(<unit!($($unit)+)>::LETTERS,)* ""].concat();
                    ($number, stringify!($name), letters, message)
                }),*]
            }
            row()
        }
    };
}
table::messages!(rows);

/// As declared in include/net/9p/9p.h and as net/9p/client.c writes and reads them (`u` and `g`,
/// ids, as `d`; `A` and `I` spelt out; the `V` of Twrite with its count as `D`), so that the table
/// does not vouch for itself. Tauth, which Linux never sends, is from diod's protocol.md.
const LINUX: &[(u8, &str, &str)] = &[
    (7, "Rlerror", "d"),
    (8, "Tstatfs", "d"),
    (9, "Rstatfs", "ddqqqqqqd"),
    (12, "Tlopen", "dd"),
    (13, "Rlopen", "Qd"),
    (14, "Tlcreate", "dsddd"),
    (15, "Rlcreate", "Qd"),
    (16, "Tsymlink", "dssd"),
    (17, "Rsymlink", "Q"),
    (18, "Tmknod", "dsdddd"),
    (19, "Rmknod", "Q"),
    (20, "Trename", "dds"),
    (21, "Rrename", ""),
    (22, "Treadlink", "d"),
    (23, "Rreadlink", "s"),
    (24, "Tgetattr", "dq"),
    (25, "Rgetattr", "qQdddqqqqqqqqqqqqqqq"),
    (26, "Tsetattr", "dddddqqqqq"),
    (27, "Rsetattr", ""),
    (30, "Txattrwalk", "dds"),
    (31, "Rxattrwalk", "q"),
    (32, "Txattrcreate", "dsqd"),
    (33, "Rxattrcreate", ""),
    (40, "Treaddir", "dqd"),
    (41, "Rreaddir", "D"),
    (50, "Tfsync", "dd"),
    (51, "Rfsync", ""),
    (52, "Tlock", "dbdqqds"),
    (53, "Rlock", "b"),
    (54, "Tgetlock", "dbqqds"),
    (55, "Rgetlock", "bqqds"),
    (70, "Tlink", "dds"),
    (71, "Rlink", ""),
    (72, "Tmkdir", "dsdd"),
    (73, "Rmkdir", "Q"),
    (74, "Trenameat", "dsds"),
    (75, "Rrenameat", ""),
    (76, "Tunlinkat", "dsd"),
    (77, "Runlinkat", ""),
    (100, "Tversion", "ds"),
    (101, "Rversion", "ds"),
    (102, "Tauth", "dssd"),
    (103, "Rauth", "Q"),
    (104, "Tattach", "ddssd"),
    (105, "Rattach", "Q"),
    (108, "Tflush", "w"),
    (109, "Rflush", ""),
    (110, "Twalk", "ddT"),
    (111, "Rwalk", "R"),
    (116, "Tread", "dqd"),
    (117, "Rread", "D"),
    (118, "Twrite", "dqD"),
    (119, "Rwrite", "d"),
    (120, "Tclunk", "d"),
    (121, "Rclunk", ""),
    (122, "Tremove", "d"),
    (123, "Rremove", ""),
];

/// What hugelgupf/p9 adds (its messages.go).
const GOOGLE: [(u8, &str, &str); 2] = [(126, "Twalkgetattr", "ddT"), (127, "Rwalkgetattr", "qdddqqqqqqqqqqqqqqqR")];

#[test]
fn the_table_is_linux_and_googles_extension() {
    let rows = rows();
    let ours: Vec<_> = rows.iter().map(|(number, name, body, _)| (*number, *name, body.as_str())).collect();
    let table: Vec<_> = LINUX.iter().chain(&GOOGLE).copied().collect();
    assert_eq!(ours, table);
}

#[test]
fn types_are_found_by_number_and_nothing_else_is() {
    for number in 0..=u8::MAX {
        let row = LINUX.iter().chain(&GOOGLE).find(|row| row.0 == number).map(|row| row.1);
        assert_eq!(Type::from_number(number).map(Type::name), row, "{number}");
    }
}

#[test]
fn every_message_survives_the_round_trip() {
    for (number, name, _, message) in rows() {
        let mut room = [0; 256];
        let frame = message.encode(0x1234, &mut room).unwrap();
        assert_eq!((frame[4], &frame[5..7]), (number, &[0x34, 0x12][..]), "{name}");
        assert_eq!(Message::decode(frame), Ok((0x1234, message)), "{name}");
    }
}

#[test]
fn every_message_has_a_size_that_its_type_allows() {
    for (number, name, _, message) in rows() {
        let sizes = Type::from_number(number).unwrap().sizes();
        let mut room = [0; 256];
        let size = message.encode(1, &mut room).unwrap().len() as u32;
        assert!(sizes.contains(&size), "{name}: {size} is not in {sizes:?}");
    }
}

#[test]
fn no_message_is_read_from_a_part_of_it() {
    for (number, name, _, message) in rows() {
        let kind = Type::from_number(number).unwrap();
        let mut room = [0; 256];
        let whole = message.encode(1, &mut room).unwrap();
        for end in 0..whole.len() {
            let torn = Message::decode(&whole[..end]);
            assert_eq!(torn, Err(DecodeError::Frame(WireError::Truncated)), "{name} torn at {end}");
            if end >= 7 {
                let mut short = whole[..end].to_vec();
                short[..4].copy_from_slice(&(end as u32).to_le_bytes());
                let short = Message::decode(&short);
                assert_eq!(short, Err(DecodeError::Body(kind, WireError::Truncated)), "{name} cut at {end}");
            }
        }
    }
}

#[test]
fn no_message_has_bytes_after_it() {
    for (number, name, _, message) in rows() {
        let kind = Type::from_number(number).unwrap();
        let mut room = [0; 256];
        let mut long = message.encode(1, &mut room).unwrap().to_vec();
        long.push(0);
        assert_eq!(Message::decode(&long), Err(DecodeError::Frame(WireError::Trailing)), "{name}");
        let size = (long.len() as u32).to_le_bytes();
        long[..4].copy_from_slice(&size);
        assert_eq!(Message::decode(&long), Err(DecodeError::Body(kind, WireError::Trailing)), "{name}");
    }
}

#[test]
fn no_message_is_written_into_too_little_room() {
    for (_, name, _, message) in rows() {
        let mut room = [0; 256];
        let size = message.encode(1, &mut room).unwrap().len();
        for n in 0..size {
            assert_eq!(message.encode(1, &mut room[..n]), Err(WireError::NoRoom), "{name} into {n}");
        }
    }
}

#[test]
fn a_walk_of_two_names_on_the_wire() {
    let walk = Twalk { fid: 1, newfid: 2, wname: [b"usr".as_slice(), b"bin"].into_iter().collect() };
    let mut room = [0; 64];
    assert_eq!(walk.encode(5, &mut room).unwrap(), b"\x1b\0\0\0\x6e\x05\0\x01\0\0\0\x02\0\0\0\x02\0\x03\0usr\x03\0bin");
}

#[test]
fn a_walk_of_seventeen_names_is_refused() {
    let mut walk = [0; 7 + 4 + 4 + 2 + 17 * 2];
    walk[0] = walk.len() as u8;
    walk[4] = 110;
    walk[15] = 17;
    assert_eq!(Message::decode(&walk), Err(DecodeError::Body(Type::Twalk, WireError::TooMany)));
}

#[test]
fn a_name_with_a_nul_is_neither_read_nor_written() {
    let link = Rreadlink { target: b"a\0b" };
    assert_eq!(link.encode(1, &mut [0; 64]), Err(WireError::Nul));
    let frame = b"\x0c\0\0\0\x17\x01\0\x03\0a\0b";
    assert_eq!(Message::decode(frame), Err(DecodeError::Body(Type::Rreadlink, WireError::Nul)));
}

#[test]
fn a_name_of_65536_bytes_is_not_written() {
    let name = std::vec![b'x'; 0x10000];
    assert_eq!(Rreadlink { target: &name }.encode(1, &mut [0; 0x10100]), Err(WireError::NoRoom));
    assert!(Rreadlink { target: &name[1..] }.encode(1, &mut [0; 0x10100]).is_ok());
}

#[test]
fn an_unknown_type_is_named() {
    let stat = b"\x0b\0\0\0\x7c\x01\0\0\0\0\0";
    assert_eq!(Message::decode(stat), Err(DecodeError::UnknownType(124)));
    assert_eq!(std::format!("{}", DecodeError::UnknownType(124)), "unknown 9P message type 124");
}

#[test]
fn a_size_below_the_header_is_no_frame() {
    assert_eq!(Message::decode(b"\x06\0\0\0\x79\x01\0"), Err(DecodeError::Frame(WireError::Truncated)));
}
