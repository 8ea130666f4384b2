//! The table a second time, as bytes: numbers from RFC 4250 section 4.1.2, RFC 8308 section 2.3 and RFC 5656 section 7.1,
//! fields from the section that each row of the table names.

use super::*;
use std::{vec, vec::Vec};

struct Row {
    message: Message<'static>,
    bytes: &'static [u8],
    /// Bytes at the end, of a shape that this table does not know.
    rest_len: usize,
}

fn row(bytes: &'static [u8], message: Message<'static>) -> Row {
    Row { message, bytes, rest_len: 0 }
}

fn open(rest_len: usize, bytes: &'static [u8], message: Message<'static>) -> Row {
    Row { message, bytes, rest_len }
}

/// One message of each kind. In texts there is the letter `T`, in other strings `B`, and neither is anywhere else.
fn rows() -> Vec<Row> {
    transport_rows().into_iter().chain(userauth_rows()).chain(connection_rows()).collect()
}

fn transport_rows() -> Vec<Row> {
    vec![
        row(
            b"\x01\0\0\0\x0b\0\0\0\x02T1\0\0\0\x01T",
            Message::Disconnect(Disconnect { reason: 11, description: "T1", language: "T" }),
        ),
        row(b"\x02\0\0\0\x02B\xff", Message::Ignore(Ignore { data: b"B\xff" })),
        row(b"\x03\x01\x02\x03\x04", Message::Unimplemented(Unimplemented { sequence: 0x0102_0304 })),
        row(
            b"\x04\x01\0\0\0\x02B1\0\0\0\x01B",
            Message::Debug(Debug { always_display: true, message: b"B1", language: b"B" }),
        ),
        row(b"\x05\0\0\0\x01T", Message::ServiceRequest(ServiceRequest { service: "T" })),
        row(b"\x06\0\0\0\x01T", Message::ServiceAccept(ServiceAccept { service: "T" })),
        open(3, b"\x07\0\0\0\x01any", Message::ExtInfo(ExtInfo { count: 1, extensions: Rest(b"any") })),
        row(
            b"\x140123456789abcdef\0\0\0\x02T0\0\0\0\x02T1\0\0\0\x02T2\0\0\0\x02T3\0\0\0\x02T4\
              \0\0\0\x02T5\0\0\0\x02T6\0\0\0\x02T7\0\0\0\x02T8\0\0\0\x02T9\x01\0\0\0\x09",
            Message::KexInit(KexInit {
                cookie: b"0123456789abcdef",
                kex: "T0",
                host_key: "T1",
                cipher_to_server: "T2",
                cipher_to_client: "T3",
                mac_to_server: "T4",
                mac_to_client: "T5",
                compression_to_server: "T6",
                compression_to_client: "T7",
                language_to_server: "T8",
                language_to_client: "T9",
                first_kex_packet_follows: true,
                reserved: 9,
            }),
        ),
        row(b"\x15", Message::NewKeys(NewKeys {})),
        row(b"\x1e\0\0\0\x01B", Message::KexEcdhInit(KexEcdhInit { public: b"B" })),
        row(
            b"\x1f\0\0\0\x01B\0\0\0\x02B1\0\0\0\x03B22",
            Message::KexEcdhReply(KexEcdhReply { host_key: b"B", public: b"B1", signature: b"B22" }),
        ),
    ]
}

fn userauth_rows() -> Vec<Row> {
    vec![
        open(
            3,
            b"\x32\0\0\0\x01T\0\0\0\x02T1\0\0\0\x03T22any",
            Message::UserauthRequest(UserauthRequest { user: "T", service: "T1", method: "T22", fields: Rest(b"any") }),
        ),
        row(
            b"\x33\0\0\0\x03T,T\x01",
            Message::UserauthFailure(UserauthFailure { can_continue: "T,T", partial_success: true }),
        ),
        row(b"\x34", Message::UserauthSuccess(UserauthSuccess {})),
        row(b"\x35\0\0\0\x02T1\0\0\0\x01T", Message::UserauthBanner(UserauthBanner { message: "T1", language: "T" })),
        row(b"\x3c\0\0\0\x01T\0\0\0\x01B", Message::UserauthPkOk(UserauthPkOk { algorithm: "T", key: b"B" })),
    ]
}

fn connection_rows() -> Vec<Row> {
    vec![
        open(
            3,
            b"\x50\0\0\0\x01T\x01any",
            Message::GlobalRequest(GlobalRequest { name: "T", want_reply: true, fields: Rest(b"any") }),
        ),
        open(3, b"\x51any", Message::RequestSuccess(RequestSuccess { fields: Rest(b"any") })),
        row(b"\x52", Message::RequestFailure(RequestFailure {})),
        open(
            3,
            b"\x5a\0\0\0\x01T\0\0\0\x01\0\0\0\x02\0\0\0\x03any",
            Message::ChannelOpen(ChannelOpen {
                kind: "T",
                sender: 1,
                window: 2,
                maximum_packet: 3,
                fields: Rest(b"any"),
            }),
        ),
        open(
            3,
            b"\x5b\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04any",
            Message::ChannelOpenConfirmation(ChannelOpenConfirmation {
                recipient: 1,
                sender: 2,
                window: 3,
                maximum_packet: 4,
                fields: Rest(b"any"),
            }),
        ),
        row(
            b"\x5c\0\0\0\x01\0\0\0\x02\0\0\0\x02T1\0\0\0\x01T",
            Message::ChannelOpenFailure(ChannelOpenFailure {
                recipient: 1,
                reason: 2,
                description: "T1",
                language: "T",
            }),
        ),
        row(b"\x5d\0\0\0\x01\0\0\0\x02", Message::ChannelWindowAdjust(ChannelWindowAdjust { recipient: 1, bytes: 2 })),
        row(b"\x5e\0\0\0\x01\0\0\0\x01B", Message::ChannelData(ChannelData { recipient: 1, data: b"B" })),
        row(
            b"\x5f\0\0\0\x01\0\0\0\x02\0\0\0\x01B",
            Message::ChannelExtendedData(ChannelExtendedData { recipient: 1, data_type: 2, data: b"B" }),
        ),
        row(b"\x60\0\0\0\x01", Message::ChannelEof(ChannelEof { recipient: 1 })),
        row(b"\x61\0\0\0\x01", Message::ChannelClose(ChannelClose { recipient: 1 })),
        open(
            3,
            b"\x62\0\0\0\x01\0\0\0\x01T\x01any",
            Message::ChannelRequest(ChannelRequest { recipient: 1, name: "T", want_reply: true, fields: Rest(b"any") }),
        ),
        row(b"\x63\0\0\0\x01", Message::ChannelSuccess(ChannelSuccess { recipient: 1 })),
        row(b"\x64\0\0\0\x01", Message::ChannelFailure(ChannelFailure { recipient: 1 })),
    ]
}

/// Every number that `from` may send in this phase.
fn sent(from: SentBy, phase: Phase) -> Vec<u8> {
    (0..=u8::MAX).filter(|&number| legal(number, from, phase) == Some(true)).collect()
}

#[test]
fn every_message_is_read_and_written_as_its_section_has_it() {
    for Row { message, bytes, .. } in rows() {
        assert_eq!(Message::decode(bytes), Ok(message));
        let mut room = [0; 128];
        let mut to = Writer::new(&mut room);
        assert_eq!(message.encode(&mut to), Ok(()));
        assert_eq!(to.into_written(), bytes);
    }
}

#[test]
fn the_rows_are_the_whole_table_and_other_numbers_are_unknown() {
    let numbers: Vec<u8> = rows().iter().map(|row| row.bytes[0]).collect();
    for number in 0..=u8::MAX {
        let known = numbers.contains(&number);
        assert_eq!(legal(number, SentBy::Client, Phase::Open).is_some(), known, "{number}");
        // What is behind an unknown number is nobody's business.
        let is_unknown = Message::decode(&[number, 0xff, 0]) == Ok(Message::Unknown(number));
        assert_eq!(is_unknown, !known, "{number}");
    }
    let mut room = [0; 2];
    let mut to = Writer::new(&mut room);
    assert_eq!(Message::Unknown(200).encode(&mut to), Ok(()));
    assert_eq!(to.into_written(), [200]);
}

#[test]
fn a_message_that_is_cut_anywhere_is_truncated() {
    for Row { bytes, rest_len, .. } in rows() {
        for len in 0..bytes.len() - rest_len {
            assert_eq!(Message::decode(&bytes[..len]), Err(WireError::Truncated), "{bytes:?}, {len} bytes");
        }
        assert!(Message::decode(&bytes[..bytes.len() - rest_len]).is_ok(), "{bytes:?} with an empty rest");
    }
}

#[test]
fn a_byte_too_many_is_an_error_unless_it_belongs_to_the_rest() {
    for Row { bytes, rest_len, .. } in rows() {
        let longer = [bytes, b"x"].concat();
        match Message::decode(&longer) {
            Err(error) => assert_eq!((error, rest_len), (WireError::Trailing, 0), "{bytes:?}"),
            Ok(message) => {
                assert_ne!(rest_len, 0, "{bytes:?}");
                let mut room = vec![0; longer.len()];
                message.encode(&mut Writer::new(&mut room)).unwrap();
                assert_eq!(room, longer);
            }
        }
    }
}

#[test]
fn text_is_utf_8_and_other_strings_are_any_bytes() {
    for Row { bytes, .. } in rows() {
        for at in 1..bytes.len() {
            let mut altered = bytes.to_vec();
            altered[at] = 0xff;
            match bytes[at] {
                b'T' => assert_eq!(Message::decode(&altered), Err(WireError::NotText), "{bytes:?}, byte {at}"),
                b'B' => assert!(Message::decode(&altered).is_ok(), "{bytes:?}, byte {at}"),
                _ => {}
            }
        }
    }
}

#[test]
fn a_message_is_written_whole_or_not_at_all() {
    for Row { message, bytes, .. } in rows() {
        for len in 0..bytes.len() {
            let mut room = vec![0; len];
            assert_eq!(message.encode(&mut Writer::new(&mut room)), Err(WireError::NoRoom), "{bytes:?}, {len} bytes");
        }
    }
}

#[test]
fn under_strict_kex_only_the_exchange_itself_goes() {
    assert_eq!(sent(SentBy::Client, Phase::StrictKex), [1, 21, 30]);
    assert_eq!(sent(SentBy::Server, Phase::StrictKex), [1, 21, 31]);
}

#[test]
fn during_a_key_exchange_only_the_transport_speaks() {
    // RFC 4253 section 7.1: no SERVICE_REQUEST, no SERVICE_ACCEPT.
    assert_eq!(sent(SentBy::Client, Phase::Kex), [1, 2, 3, 4, 20, 21, 30]);
    assert_eq!(sent(SentBy::Server, Phase::Kex), [1, 2, 3, 4, 20, 21, 31]);
}

#[test]
fn before_the_login_nobody_uses_the_connection() {
    // RFC 4252 section 6: numbers from 80 on.
    assert_eq!(sent(SentBy::Client, Phase::Login), [1, 2, 3, 4, 5, 7, 20, 50]);
    assert_eq!(sent(SentBy::Server, Phase::Login), [1, 2, 3, 4, 6, 7, 20, 51, 52, 53, 60]);
}

#[test]
fn after_the_login_both_use_the_connection() {
    let either = [1, 2, 3, 4, 7, 20, 80, 81, 82, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100];
    assert_eq!(sent(SentBy::Server, Phase::Open), either);
    // RFC 4252 section 5.1: a request to log in is ignored now, and so is no error.
    let client = [&either[..6], &[50], &either[6..]].concat();
    assert_eq!(sent(SentBy::Client, Phase::Open), client);
}
