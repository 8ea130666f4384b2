//! Answers that do not hold any more when they come, or are not about what was asked.

use super::*;
use crate::msg::Tlopen;
use crate::relay::testkit::refuse;

#[test]
fn a_file_that_was_replaced_before_it_is_opened_is_looked_for_again() {
    for path in ["/usr/bin/true", "/usr/empty"] {
        let mut b = Bench::new(server());
        let fid = b.walk(path).unwrap();
        b.server.unlink(path);
        if path == "/usr/empty" {
            b.server.dir(path);
            b.server.file("/usr/empty/new", b"x");
        } else {
            b.server.file(path, b"another");
        }
        // The kernel looks again.
        assert_eq!(b.ask(&Tlopen { fid, flags: 0 }), Err(Errno::ESTALE));
        b.now += 2 * FRESH;
        assert!(b.attr(fid).is_err());
        if path == "/usr/empty" {
            assert_eq!(b.list(path).unwrap().len(), 3);
            let made = b.walk(path).unwrap();
            b.ask(&Tmkdir { dfid: made, name: b"made", mode: 0o755, gid: 0 }).unwrap();
        } else {
            assert_eq!(b.cat(path).unwrap(), b"another");
        }
    }
}

#[test]
fn an_open_file_that_the_client_replaced_is_never_the_new_one() {
    let mut b = Bench::new(server());
    b.cat("/usr/bin/true").unwrap();
    let mut b = b.next_session();
    // All of it is in the cache, so the server is not asked to open it.
    let fid = b.open("/usr/bin/true", 0).unwrap();
    assert_eq!(asked(&b, "Tlopen"), 0);
    b.server.unlink("/usr/bin/true");
    b.now += 2 * FRESH;
    assert_eq!(b.stat("/usr/bin/true"), Err(Errno::ENOENT));
    b.server.file("/usr/bin/true", &[7; 30_000]);
    b.now += 2 * FRESH;
    match b.read_at(fid, 0, 100) {
        Ok(data) => assert_eq!(data, bytes(100)),
        Err(errno) => assert_eq!(errno, Errno::ESTALE),
    }
    assert_eq!(b.cat("/usr/bin/true").unwrap(), [7; 30_000]);
}

#[test]
fn who_asks_about_an_open_file_again_and_again_does_not_keep_its_name() {
    let mut b = Bench::new(server());
    let held = b.open("/usr/bin/true", 2).unwrap();
    let old = b.attr(held).unwrap();
    b.server.unlink("/usr/bin/true");
    b.server.file("/usr/bin/true", b"another");
    for _ in 0..6 {
        b.now += FRESH / 2;
        assert_eq!(b.attr(held).unwrap().size, old.size);
    }
    assert_eq!(b.cat("/usr/bin/true").unwrap(), b"another");
}

#[test]
fn a_name_that_was_absent_before_the_session_made_it_is_there_afterwards() {
    for mkdir_first in [true, false] {
        let mut b = Bench::new(server());
        let (dfid, newfid) = (b.walk("/usr").unwrap(), b.new_fid());
        b.send(1, &Twalk { fid: dfid, newfid, wname: heapless::Vec::from_slice(&[&b"new"[..]]).unwrap() });
        b.pump();
        b.send(2, &Tmkdir { dfid, name: b"new", mode: 0o755, gid: 0 });
        b.pump();
        if mkdir_first {
            b.deliver(1);
        }
        b.settle();
        while b.reply().is_some() {}
        assert!(b.stat("/usr/new").is_ok(), "{mkdir_first}");
    }
}

#[test]
fn a_read_that_failed_for_another_is_asked_again() {
    let mut b = Bench::new(server());
    let fid = b.open("/usr/bin/true", 0).unwrap();
    b.send(1, &Tread { fid, offset: 0, count: 100 });
    b.pump();
    refuse(&mut b.replies[0]);
    b.settle();
    assert_eq!(b.reply(), Some((1, Owned::Data(bytes(100)))));
}

#[test]
fn what_its_attributes_do_not_tell_about_has_no_version() {
    let version = |freshness_ms| {
        let config = Config { freshness_ms, ..CONFIG };
        let mut b = Bench::with(server(), config, memory(200, 16 * 1024), cache(64));
        let fid = b.walk("/usr/bin/true").unwrap();
        match b.ask(&Tgetattr { fid, request_mask: 0x7ff }) {
            Ok(Owned::Attr(_, _, version)) => version,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(version(0), 0);
    assert_ne!(version(FRESH), 0);
}

/// The answer to a walk that nobody waits for any more comes after the one to a change of the same name.
fn late_walk(b: &mut Bench, dfid: u32, name: &[u8], change: impl FnOnce(&mut Bench)) {
    let newfid = b.new_fid();
    b.send(1, &Twalk { fid: dfid, newfid, wname: heapless::Vec::from_slice(&[name]).unwrap() });
    b.pump();
    b.send(3, &Tflush { oldtag: 1 });
    change(b);
    b.pump();
    while let Some(last) = b.replies.len().checked_sub(1) {
        b.deliver(last);
    }
}

#[test]
fn a_name_that_was_given_away_before_its_walk_is_answered_is_absent() {
    let mut b = Bench::new(server());
    let dir = b.walk("/usr/bin").unwrap();
    late_walk(&mut b, dir, b"small", |b| {
        b.send(2, &Trenameat { olddirfid: dir, oldname: b"small", newdirfid: dir, newname: b"other" });
    });
    b.received.clear();
    assert_eq!(b.stat("/usr/bin/small").map(|a| a.size), Err(Errno::ENOENT));
    b.now += 3 * FRESH;
    assert_eq!(b.stat("/usr/bin/small").map(|a| a.size), Err(Errno::ENOENT));
    assert!(b.stat("/usr/bin/other").is_ok());
}

#[test]
fn a_name_that_another_was_given_before_its_walk_is_answered_is_the_other_s() {
    let mut b = Bench::new(server());
    let dir = b.walk("/usr/bin").unwrap();
    let open = b.open("/usr/bin/true", 2).unwrap();
    late_walk(&mut b, dir, b"small", |b| {
        b.send(2, &Trenameat { olddirfid: dir, oldname: b"true", newdirfid: dir, newname: b"small" });
    });
    b.received.clear();
    b.truncate(open, 5).unwrap();
    assert_eq!(b.server.at("/usr/bin/small").unwrap().data, &bytes(30_000)[..5]);
}

#[test]
fn a_directory_that_was_made_before_its_walk_is_answered_is_made() {
    let mut b = Bench::new(server());
    let dfid = b.walk("/usr/bin").unwrap();
    late_walk(&mut b, dfid, b"new", |b| b.send(2, &Tmkdir { dfid, name: b"new", mode: 0o755, gid: 0 }));
    let answers: Vec<_> = core::iter::from_fn(|| b.reply()).collect();
    assert!(answers.contains(&(2, Owned::Other(73))), "{answers:?}");
}

#[test]
fn a_change_of_a_file_that_is_replaced_meanwhile_ends() {
    let mut b = Bench::new(server());
    let fid = b.walk("/usr/bin/small").unwrap();
    b.now += FRESH;
    b.server.unlink("/usr/bin/small");
    b.server.file("/usr/bin/small", b"another");
    b.send(1, &Tgetattr { fid, request_mask: 0x7ff });
    b.send(2, &Tsetattr { fid, valid: 1, mode: 0o100_600, ..Tsetattr::default() });
    b.settle();
    assert!(b.relay.tree.nodes.iter().all(|node| node.changing == 0));
}

#[test]
fn a_file_is_opened_for_reading_and_for_writing_at_once() {
    let mut b = Bench::new(server());
    let fids = [b.walk("/usr/bin/true").unwrap(), b.walk("/usr/bin/true").unwrap()];
    for (tag, &fid) in (0..).zip(&fids) {
        b.send(tag, &Tlopen { fid, flags: tag.into() });
    }
    b.settle();
    assert_eq!([b.reply(), b.reply()], [0, 1].map(|tag| Some((tag, Owned::Other(13)))));
}

#[test]
fn a_file_of_which_there_could_be_no_other_fid_keeps_no_place() {
    let mut b = Bench::new(server());
    for name in ["true", "small"] {
        // The only upstream fid is the open one.
        let fid = b.open(&std::format!("/usr/bin/{name}"), 0).unwrap();
        b.now += 20 * FRESH;
        b.server.unlink(&std::format!("/usr/bin/{name}"));
        b.truncate(fid, 5).unwrap();
        b.clunk(fid);
    }
    assert_eq!(b.relay.tree.nodes.iter().filter(|n| n.gone).count(), 0);
}

#[test]
fn after_four_billion_upstream_fids_those_in_use_stay_what_they_are() {
    let mut server = server();
    (0..30).for_each(|i| server.file(&std::format!("/usr/empty/{i}"), b"x"));
    let mut b = Bench::new(server);
    let fid = b.open("/usr/bin/true", 2).unwrap();
    b.relay.next_ffid = (crate::limits::NOFID - 4).into();
    for i in 0..30 {
        assert_eq!(b.cat(&std::format!("/usr/empty/{i}")).unwrap(), b"x");
    }
    let tree = &b.relay.tree;
    let nodes = tree.nodes.iter().map(|n| n.ffid);
    let mut all: Vec<u32> = nodes.chain(tree.opens.iter().map(|o| o.ffid)).filter(|&ffid| ffid != 0).collect();
    all.sort_unstable();
    assert!(all.is_sorted_by(|a, b| a < b) && !all.contains(&crate::limits::NOFID), "{all:?}");
    b.write_at(fid, 0, b"mine").unwrap();
    assert_eq!(&b.server.at("/usr/bin/true").unwrap().data[..4], b"mine");
}

#[test]
fn a_time_that_is_set_alone_leaves_the_other_as_the_last_write_made_it() {
    let mut b = Bench::new(server());
    let fid = b.open("/usr/bin/true", 1).unwrap();
    let before = b.attr(fid).unwrap().mtime_sec;
    // Asked again while it is still good, and answered after the write that it knows nothing of.
    b.now += FRESH * 9 / 10;
    b.send(1, &Tgetattr { fid, request_mask: 0x7ff });
    b.pump();
    b.send(2, &crate::msg::Twrite { fid, offset: 0, data: crate::wire::Data(b"later") });
    b.pump();
    assert_eq!(b.replies.len(), 2);
    b.deliver(1);
    b.settle();
    b.received.clear();
    // Of atime, by its value.
    b.ask(&Tsetattr { fid, valid: 0x90, atime_sec: 7, ..Tsetattr::default() }).unwrap();
    assert_eq!(b.server.set.atime_sec, 7);
    assert!(b.server.set.valid & 0x100 == 0 || b.server.set.mtime_sec > before, "{:?} {before}", b.server.set);
}
