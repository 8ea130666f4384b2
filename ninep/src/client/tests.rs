use std::string::ToString;
use std::vec::Vec;

use super::*;
use crate::types::{getattr, open, qt};

/// A server that knows its lines: what it expects and what it then says.
struct Script<'s> {
    lines: &'s [(&'s [u8], &'s [u8])],
    heard: Vec<u8>,
    saying: &'s [u8],
}

const fn script<'s>(lines: &'s [(&'s [u8], &'s [u8])]) -> Script<'s> {
    Script { lines, heard: Vec::new(), saying: b"" }
}

impl embedded_io::ErrorType for Script<'_> {
    type Error = core::convert::Infallible;
}

impl Write for Script<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        self.heard.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        let (expected, said) = self.lines.first().expect("a request after the last line");
        assert_eq!(core::mem::take(&mut self.heard), *expected);
        self.lines = &self.lines[1..];
        self.saying = said;
        Ok(())
    }
}

impl Read for Script<'_> {
    fn read(&mut self, room: &mut [u8]) -> Result<usize, Self::Error> {
        // One byte at a time, since a stream may do that.
        let n = self.saying.len().min(room.len()).min(1);
        room[..n].copy_from_slice(&self.saying[..n]);
        self.saying = &self.saying[n..];
        Ok(n)
    }
}

const TVERSION: &[u8] = b"\x15\0\0\0\x64\xff\xff\0\x02\0\0\x08\09P2000.L";
const RVERSION: &[u8] = b"\x15\0\0\0\x65\xff\xff\0\x01\0\0\x08\09P2000.L";
const VERSION_256: (&[u8], &[u8]) = (TVERSION, RVERSION);
const TATTACH: &[u8] = b"\x19\0\0\0\x68\0\0\0\0\0\0\xff\xff\xff\xff\x02\0me\0\0\xe8\x03\0\0";
const RATTACH: &[u8] = b"\x14\0\0\0\x69\0\0\x80\x01\0\0\0\x02\0\0\0\0\0\0\0";
const ATTACH: (&[u8], &[u8]) = (TATTACH, RATTACH);

/// Plays `lines` after version and attach, and hands `then` the client and the root.
fn play<T>(lines: &[(&[u8], &[u8])], then: impl FnOnce(&mut Client<'_, Script<'_>>, &Fid) -> T) -> T {
    let lines = [&[VERSION_256, ATTACH], lines].concat();
    let mut buffer = [0; 512];
    let mut client = Client::version(script(&lines), &mut buffer).unwrap();
    let (root, qid) = client.attach(b"me", b"", 1000).unwrap();
    assert_eq!(qid, Qid { kind: qt::DIR, version: 1, path: 2 });
    let result = then(&mut client, &root);
    assert!(client.stream.lines.is_empty(), "not all was asked");
    result
}

type Refusal = Error<core::convert::Infallible>;

/// What becomes of a Tclunk that is answered with `reply`.
fn clunked(reply: &[u8]) -> Result<(), Refusal> {
    let tclunk: &[u8] = b"\x0b\0\0\0\x78\0\0\0\0\0\0";
    play(&[(tclunk, reply)], |client, root| client.clunk(Fid(root.0)))
}

#[test]
fn a_file_is_found_and_read() {
    let twalk: &[u8] = b"\x18\0\0\0\x6e\0\0\0\0\0\0\x01\0\0\0\x01\0\x05\0hello";
    let rwalk: &[u8] = b"\x16\0\0\0\x6f\0\0\x01\0\0\0\0\0\0\x07\0\0\0\0\0\0\0";
    let tlopen: &[u8] = b"\x0f\0\0\0\x0c\0\0\x01\0\0\0\0\0\0\0";
    let rlopen: &[u8] = b"\x18\0\0\0\x0d\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0";
    let tread: &[u8] = b"\x17\0\0\0\x74\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\x64\0\0\0";
    let rread: &[u8] = b"\x0e\0\0\0\x75\0\0\x03\0\0\0llo";
    let tclunk: &[u8] = b"\x0b\0\0\0\x78\0\0\x01\0\0\0";
    let rclunk: &[u8] = b"\x07\0\0\0\x79\0\0";
    play(&[(twalk, rwalk), (tlopen, rlopen), (tread, rread), (tclunk, rclunk)], |client, root| {
        let (hello, qids) = client.walk(root, &[b"hello"]).unwrap();
        assert_eq!(qids, [Qid { kind: qt::FILE, version: 0, path: 7 }]);
        assert_eq!(client.lopen(&hello, open::RDONLY).unwrap().qid, qids[0]);
        assert_eq!(client.read(&hello, 2, 100), Ok(b"llo".as_slice()));
        assert_eq!(client.clunk(hello), Ok(()));
    });
}

#[test]
fn a_directory_is_listed() {
    let treaddir: &[u8] = b"\x17\0\0\0\x28\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xe8\0\0\0";
    let rreaddir: &[u8] = b"\x24\0\0\0\x29\0\0\x19\0\0\0\x80\0\0\0\0\x05\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x04\x01\0a";
    play(&[(treaddir, rreaddir)], |client, root| {
        // 232 bytes of entries fit into 256.
        let names: Vec<_> = client.readdir(root, 0, 1000).unwrap().map(|entry| entry.unwrap().name).collect();
        assert_eq!(names, [b"a"]);
    });
}

#[test]
fn attributes_are_asked_for() {
    let tgetattr: &[u8] = b"\x13\0\0\0\x18\0\0\0\0\0\0\xff\x07\0\0\0\0\0\0";
    let mut rgetattr = [0; 160];
    rgetattr[..9].copy_from_slice(b"\xa0\0\0\0\x19\0\0\xff\x07");
    rgetattr[28..32].copy_from_slice(&0o040755u32.to_le_bytes());
    rgetattr[152..].copy_from_slice(&9u64.to_le_bytes());
    play(&[(tgetattr, &rgetattr)], |client, root| {
        let Rgetattr { valid, attr, .. } = client.getattr(root, getattr::BASIC).unwrap();
        assert_eq!((valid, attr.mode, attr.data_version), (getattr::BASIC, 0o040755, 9));
    });
}

#[test]
fn a_walk_that_ends_early_names_the_place() {
    let twalk: &[u8] = b"\x17\0\0\0\x6e\0\0\0\0\0\0\x01\0\0\0\x02\0\x01\0a\x01\0b";
    let rwalk: &[u8] = b"\x16\0\0\0\x6f\0\0\x01\0\x80\0\0\0\0\x07\0\0\0\0\0\0\0";
    play(&[(twalk, rwalk)], |client, root| {
        assert_eq!(client.walk(root, &[b"a", b"b"]), Err(Error::NotFound(1)));
    });
}

#[test]
fn a_walk_of_seventeen_names_is_not_sent() {
    play(&[], |client, root| {
        assert_eq!(client.walk(root, &[b"a".as_slice(); 17]), Err(Error::Request(WireError::TooMany)));
    });
}

#[test]
fn more_than_was_asked_for_is_refused() {
    let tread: &[u8] = b"\x17\0\0\0\x74\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0";
    let rread: &[u8] = b"\x0e\0\0\0\x75\0\0\x03\0\0\0llo";
    play(&[(tread, rread)], |client, root| {
        assert_eq!(client.read(root, 0, 2), Err(Error::Excess(Type::Rread)));
    });
    let twalk: &[u8] = b"\x11\0\0\0\x6e\0\0\0\0\0\0\x01\0\0\0\0\0";
    let rwalk: &[u8] = b"\x16\0\0\0\x6f\0\0\x01\0\x80\0\0\0\0\x07\0\0\0\0\0\0\0";
    play(&[(twalk, rwalk)], |client, root| {
        assert_eq!(client.walk(root, &[]), Err(Error::Excess(Type::Rwalk)));
    });
}

#[test]
fn an_error_of_the_server_is_its_own() {
    assert_eq!(clunked(b"\x0b\0\0\0\x07\0\0\x09\0\0\0"), Err(Error::Refused(Errno::EBADF)));
    assert_eq!(Refusal::Refused(Errno::EBADF).to_string(), "the 9P server answered EBADF");
    assert_eq!(Refusal::Refused(Errno(999)).to_string(), "the 9P server answered error 999");
}

#[test]
fn a_reply_to_something_else_is_refused() {
    assert_eq!(clunked(b"\x07\0\0\0\x7b\0\0"), Err(Error::WrongReply { kind: Type::Rremove, tag: 0 }));
    assert_eq!(clunked(b"\x07\0\0\0\x79\x01\0"), Err(Error::WrongReply { kind: Type::Rclunk, tag: 1 }));
}

#[test]
fn a_reply_that_is_no_message_is_refused() {
    let body = |error| Err(Error::Malformed(DecodeError::Body(Type::Rclunk, error)));
    assert_eq!(clunked(b"\x08\0\0\0\x79\0\0\0"), body(WireError::Trailing));
    assert_eq!(clunked(b"\x07\0\0\0\x7d\0\0"), Err(Error::Malformed(DecodeError::UnknownType(125))));
    assert_eq!(clunked(b"\x06\0\0\0\x79\0"), Err(Error::Size(6)));
    assert_eq!(clunked(b"\x01\x01\0\0\x79\0\0"), Err(Error::Size(257)));
}

#[test]
fn a_reply_that_ends_early_is_the_end() {
    for end in 0..7 {
        assert_eq!(clunked(&b"\x07\0\0\0\x79\0\0"[..end]), Err(Error::Closed));
    }
}

#[test]
fn another_version_or_a_greater_msize_is_refused() {
    for rversion in [
        b"\x14\0\0\0\x65\xff\xff\0\x01\0\0\x07\0unknown".as_slice(),
        b"\x15\0\0\0\x65\xff\xff\x01\x02\0\0\x08\09P2000.L",
    ] {
        let error = Client::version(script(&[(TVERSION, rversion)]), &mut [0; 512]).err();
        assert_eq!(error, Some(Error::Excess(Type::Rversion)));
    }
}
