//! What is appended is at the end of the file, whoever else appends to it.

use super::*;
use crate::msg::{Tfsync, Twrite};
use crate::wire::Data;

const WRONLY_APPEND: u32 = 0o2001;

/// A client whose machine runs Linux.
fn linux() -> Model {
    let mut server = server();
    server.mounts("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
    server
}

fn append(b: &mut Bench, fid: u32, data: &[u8]) -> Result<Owned, Errno> {
    b.ask(&Twrite { fid, offset: u64::MAX, data: Data(data) })
}

fn appended(b: &mut Bench, fid: u32, data: &[u8]) {
    assert_eq!(append(b, fid, data), Ok(Owned::Count(data.len() as u32)));
}

/// As a program on the client's own machine does.
fn append_at_home(b: &mut Bench, path: &str, data: &[u8]) {
    b.server.at(path).unwrap().data.extend_from_slice(data);
}

/// Requests since the counters were cleared, but for those that let go.
fn costs(b: &Bench) -> Vec<(&'static str, usize)> {
    b.server.asked.iter().filter(|(name, _)| **name != "Tclunk").map(|(&name, &n)| (name, n)).collect()
}

#[test]
fn the_end_is_one_for_all_opens_all_sessions_and_the_client_itself() {
    let mut b = Bench::new(linux());
    let mut other = b.other_session();
    let (one, two) = (b.open("/usr/bin/small", WRONLY_APPEND).unwrap(), b.open("/usr/bin/small", 0o2002).unwrap());
    appended(&mut b, one, b"one\n");
    b.in_session(&mut other, |b| {
        let fid = b.open("/usr/bin/small", WRONLY_APPEND).unwrap();
        appended(b, fid, b"other\n");
    });
    appended(&mut b, two, b"two\n");
    append_at_home(&mut b, "/usr/bin/small", b"home\n");
    appended(&mut b, one, b"last\n");
    assert_eq!(b.cat("/usr/bin/small").unwrap(), b"#!/bin/sh\none\nother\ntwo\nhome\nlast\n");
    assert_eq!(b.attr(two).unwrap().size, 34);
}

#[test]
fn a_file_that_is_appended_to_costs_a_walk_and_an_open_more() {
    let mut b = Bench::new(linux());
    let first = b.open("/usr/bin/small", WRONLY_APPEND).unwrap();
    b.server.asked.clear();
    appended(&mut b, first, b"1");
    assert_eq!(costs(&b), [("Tlopen", 1), ("Twalk", 1), ("Twrite", 1)]);
    b.server.asked.clear();
    let fid = b.open("/usr/bin/true", WRONLY_APPEND).unwrap();
    let opened = costs(&b);
    let second = b.open("/usr/bin/true", WRONLY_APPEND).unwrap();
    assert_eq!(costs(&b), opened);
    b.server.asked.clear();
    for _ in 0..3 {
        appended(&mut b, fid, b"1");
        appended(&mut b, second, b"2");
    }
    assert_eq!(costs(&b), [("Tlopen", 1), ("Twalk", 1), ("Twrite", 6)]);
    b.server.asked.clear();
    b.clunk(fid);
    appended(&mut b, second, b"3");
    assert_eq!(costs(&b), [("Twrite", 1)]);
    b.clunk(second);
    b.clunk(first);
    b.settle();
    // That of the client's mounts.
    assert_eq!(b.server.open_fids(), 1);
    // What was not appended to costs nothing.
    let fid = b.open("/usr/bin/true", WRONLY_APPEND).unwrap();
    b.server.asked.clear();
    b.write_at(fid, 0, b"x").unwrap();
    assert_eq!(costs(&b), [("Twrite", 1)]);
}

#[test]
fn what_is_written_elsewhere_stays_where_it_belongs() {
    let mut b = Bench::new(linux());
    let fid = b.open("/usr/bin/small", 0o2002).unwrap();
    appended(&mut b, fid, b"end");
    b.write_at(fid, 0, b"##").unwrap();
    assert_eq!(b.read_all(fid).unwrap(), b"##/bin/sh\nend");
    assert_eq!(b.ask(&Tfsync { fid, datasync: 0 }), Ok(Owned::Other(51)));
}

#[test]
fn a_file_without_a_name_is_appended_to_as_before() {
    let mut b = Bench::new(linux());
    // By a fid that was opened before the name went, whether it has been appended to by then or not.
    let fid = b.open("/usr/bin/small", WRONLY_APPEND).unwrap();
    let made = b.create("/usr/empty", "f", 0o2101).unwrap();
    appended(&mut b, made, b"1");
    b.unlink("/usr/bin", "small").unwrap();
    b.unlink("/usr/empty", "f").unwrap();
    b.server.asked.clear();
    appended(&mut b, fid, b"1");
    appended(&mut b, made, b"2");
    assert_eq!(costs(&b), [("Twrite", 2)]);
    assert_eq!((b.attr(fid).unwrap().size, b.attr(made).unwrap().size), (11, 2));
    b.clunk(fid);
    b.clunk(made);
    b.settle();
    // That of the client's mounts.
    assert_eq!(b.server.open_fids(), 1);
}

#[test]
fn a_file_whose_size_is_our_own_ends_there() {
    let mut b = Bench::new(linux());
    let fid = b.create("/usr/empty", "f", 0o2102).unwrap();
    appended(&mut b, fid, &bytes(3000));
    b.unlink("/usr/empty", "f").unwrap();
    b.truncate(fid, 10).unwrap();
    appended(&mut b, fid, b"on");
    b.send(1, &Twrite { fid, offset: u64::MAX, data: Data(b"and") });
    b.send(2, &Twrite { fid, offset: u64::MAX, data: Data(b"on") });
    b.settle();
    b.received.clear();
    assert_eq!(b.attr(fid).unwrap().size, 17);
    assert_eq!(b.read_all(fid).unwrap(), [&bytes(10)[..], b"onandon"].concat());
    b.truncate(fid, 20).unwrap();
    appended(&mut b, fid, b"!");
    assert_eq!(b.read_all(fid).unwrap(), [&bytes(10)[..], b"onandon\0\0\0!"].concat());
}

#[test]
fn a_renamed_file_is_the_one_that_is_appended_to() {
    let mut b = Bench::new(linux());
    let fid = b.open("/usr/bin/small", WRONLY_APPEND).unwrap();
    let dir = b.walk("/usr/bin").unwrap();
    b.ask(&Trenameat { olddirfid: dir, oldname: b"small", newdirfid: dir, newname: b"moved" }).unwrap();
    b.server.file("/usr/bin/small", b"new");
    appended(&mut b, fid, b"1");
    assert_eq!(b.cat("/usr/bin/moved").unwrap(), b"#!/bin/sh\n1");
    b.now += FRESH;
    assert_eq!(b.cat("/usr/bin/small").unwrap(), b"new");
}

#[test]
fn what_the_client_puts_in_its_place_is_not_appended_to() {
    for replaced in [true, false] {
        let mut b = Bench::new(linux());
        let fid = b.open("/usr/bin/small", 0o2002).unwrap();
        b.server.unlink("/usr/bin/small");
        if replaced {
            b.server.file("/usr/bin/small", b"new");
        }
        appended(&mut b, fid, b"1");
        appended(&mut b, fid, b"2");
        assert_eq!(b.read_all(fid).unwrap(), b"#!/bin/sh\n12");
        b.now += FRESH;
        assert_eq!(b.cat("/usr/bin/small").ok(), replaced.then(|| b"new".to_vec()));
    }
}

#[test]
fn a_server_that_takes_the_flag_for_another_is_not_shown_it() {
    for (google, darwin) in [(true, true), (false, false)] {
        let mut server = if darwin { server() } else { linux() };
        (server.google, server.darwin) = (google, darwin);
        let mut b = Bench::new(server);
        let fids = [WRONLY_APPEND, 0o2002].map(|flags| b.open("/usr/bin/small", flags).unwrap());
        appended(&mut b, fids[0], b"1");
        append_at_home(&mut b, "/usr/bin/small", b"2");
        // Two at the same moment.
        b.send(1, &Twrite { fid: fids[0], offset: u64::MAX, data: Data(b"3") });
        b.send(2, &Twrite { fid: fids[1], offset: u64::MAX, data: Data(b"4") });
        b.settle();
        assert_eq!([b.reply(), b.reply()], [Some((1, Owned::Count(1))), Some((2, Owned::Count(1)))]);
        assert_eq!(b.cat("/usr/bin/small").unwrap(), b"#!/bin/sh\n1234");
    }
}

#[test]
fn appends_of_several_at_the_same_moment_are_all_there() {
    let mut b = Bench::new(linux());
    let fids = [0; 4].map(|_| b.open("/usr/bin/small", WRONLY_APPEND).unwrap());
    for (tag, fid) in (1..).zip(fids) {
        b.send(tag, &Twrite { fid, offset: u64::MAX, data: Data(&[b'0' + tag as u8; 100]) });
    }
    b.settle();
    b.received.clear();
    let all = b.cat("/usr/bin/small").unwrap();
    let mut lines: Vec<_> = all[10..].chunks(100).collect();
    lines.sort();
    assert_eq!(lines, [[b'1'; 100], [b'2'; 100], [b'3'; 100], [b'4'; 100]]);
}

#[test]
fn who_waits_for_the_disk_and_who_does_not_have_a_fid_each() {
    let mut b = Bench::new(linux());
    let fids = [WRONLY_APPEND, WRONLY_APPEND | 0o4_010_000].map(|flags| b.open("/usr/bin/small", flags).unwrap());
    b.server.asked.clear();
    for fid in fids {
        appended(&mut b, fid, b"1");
        appended(&mut b, fid, b"2");
    }
    assert_eq!(asked(&b, "Tlopen"), 2);
    assert_eq!(b.cat("/usr/bin/small").unwrap(), b"#!/bin/sh\n1212");
}

#[test]
fn a_write_that_the_server_takes_a_part_of_says_so() {
    let mut b = Bench::new(linux());
    let fid = b.open("/usr/bin/small", 0o2002).unwrap();
    b.server.write_most = 2;
    assert_eq!(append(&mut b, fid, b"123"), Ok(Owned::Count(2)));
    // The kernel would try again for ever.
    b.server.write_most = 0;
    assert_eq!(append(&mut b, fid, b"3"), Err(Errno::EIO));
    assert_eq!(b.ask(&Twrite { fid, offset: 0, data: Data(b"3") }), Err(Errno::EIO));
    assert_eq!(b.ask(&Twrite { fid, offset: 0, data: Data(b"") }), Ok(Owned::Count(0)));
    assert_eq!(b.read_all(fid).unwrap(), b"#!/bin/sh\n12");
}

#[test]
fn what_was_not_opened_for_writing_is_not_appended_to() {
    let mut b = Bench::new(linux());
    let fid = b.open("/usr/bin/small", 0o2000).unwrap();
    assert_eq!(append(&mut b, fid, b"x"), Err(Errno::EBADF));
}

#[test]
fn while_a_line_waits_for_its_fid_others_are_answered() {
    let mut b = Bench::new(linux());
    let fid = b.open("/usr/bin/small", WRONLY_APPEND).unwrap();
    b.send(1, &Twrite { fid, offset: u64::MAX, data: Data(b"line\n") });
    b.send(2, &Tgetattr { fid: ROOT, request_mask: 0x7ff });
    b.pump();
    assert!(matches!(b.reply(), Some((2, Owned::Attr(..)))));
    b.settle();
    assert_eq!(b.reply(), Some((1, Owned::Count(5))));
}

#[test]
fn a_line_that_is_flushed_before_it_was_sent_is_not_written() {
    for darwin in [false, true] {
        let mut server = if darwin { server() } else { linux() };
        server.darwin = darwin;
        let mut b = Bench::new(server);
        let fid = b.open("/usr/bin/small", 0o2002).unwrap();
        appended(&mut b, fid, b"1");
        b.clunk(fid);
        let fid = b.open("/usr/bin/small", 0o2002).unwrap();
        b.send(1, &Twrite { fid, offset: u64::MAX, data: Data(b"2") });
        b.send(2, &Tflush { oldtag: 1 });
        b.settle();
        assert_eq!((b.reply(), b.reply()), (Some((2, Owned::Other(109))), None));
        append_at_home(&mut b, "/usr/bin/small", b"home");
        appended(&mut b, fid, b"3");
        assert_eq!(b.cat("/usr/bin/small").unwrap(), b"#!/bin/sh\n1home3");
    }
}

#[test]
fn the_end_that_was_asked_for_is_not_the_one_before_a_write_that_came_between() {
    let mut server = server();
    server.google = false;
    let mut b = Bench::new(server);
    let fid = b.open("/usr/bin/small", 0o2002).unwrap();
    b.send(1, &Twrite { fid, offset: u64::MAX, data: Data(b"last") });
    b.pump();
    b.send(2, &Twrite { fid, offset: 10, data: Data(b"first") });
    b.settle();
    b.received.clear();
    assert_eq!(b.read_all(fid).unwrap(), b"#!/bin/sh\nfirstlast");
}
