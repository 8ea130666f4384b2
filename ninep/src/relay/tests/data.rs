//! Bytes and names that are kept are those of the file they are shown for, whoever changes it when.

use std::format;

use super::*;
use crate::msg::{Tfsync, Tlink, Tlock, Tlopen, Twrite};
use crate::wire::Data;

#[test]
fn what_was_read_of_a_file_before_it_turns_out_to_be_another_is_not_kept() {
    for name in ["f", "s"] {
        let mut server = server();
        for (directory, byte) in [("/usr/a", b'a'), ("/usr/b", b'b')] {
            server.dir(directory);
            server.file(&format!("{directory}/f"), &[byte; 5000]);
            server.dir(&format!("{directory}/s"));
            server.file(&format!("{directory}/s/{}", char::from(byte)), b"x");
        }
        let mut b = Bench::new(server);
        let fid = b.walk(&format!("/usr/a/{name}")).unwrap();
        // The client puts one directory in the other's place.
        let names = &mut b.server.at("/usr").unwrap().children;
        let (first, second) = (names[&b"a"[..]], names[&b"b"[..]]);
        names.insert(b"a".to_vec(), second);
        names.insert(b"b".to_vec(), first);
        b.send(1, &Tlopen { fid, flags: 0 });
        b.pump();
        b.now += 3;
        b.settle();
        assert_eq!(b.reply(), Some((1, Owned::Error(Errno::ESTALE))));
        b.clunk(fid);
        b.now += 2 * FRESH;
        if name == "f" {
            assert!(b.cat("/usr/b/f").unwrap() == [b'a'; 5000]);
        } else {
            assert_eq!(b.list("/usr/b/s").unwrap()[2], (b"a".to_vec(), 8));
        }
    }
}

#[test]
fn what_is_written_side_by_side_to_an_unlinked_file_that_was_cut_stays() {
    let mut b = Bench::new(server());
    let fid = b.create("/usr/empty", "f", 0o102).unwrap();
    b.write_at(fid, 0, &bytes(5000)).unwrap();
    b.unlink("/usr/empty", "f").unwrap();
    b.truncate(fid, 0).unwrap();
    b.send(1, &Twrite { fid, offset: 0, data: Data(&[1; 1000]) });
    b.send(2, &Twrite { fid, offset: 1000, data: Data(&[2; 1000]) });
    b.settle();
    b.received.clear();
    assert!(b.read_all(fid).unwrap() == [[1; 1000], [2; 1000]].concat());
}

/// What changed it last did so within the tick of the change before.
fn same_tick(b: &mut Bench, path: &str) {
    b.server.at(path).unwrap().changed = 77;
}

#[test]
fn a_session_reads_what_it_wrote_though_another_has_read_within_the_same_tick() {
    let mut b = Bench::new(server());
    let mut reader = b.other_session();
    let fid = b.open("/usr/bin/small", 2).unwrap();
    for text in [b"one", b"two"] {
        b.write_at(fid, 0, text).unwrap();
        same_tick(&mut b, "/usr/bin/small");
        if text == b"one" {
            b.in_session(&mut reader, |b| assert_eq!(&b.cat("/usr/bin/small").unwrap()[..3], text));
        }
    }
    b.stat("/usr/bin/small").unwrap();
    assert_eq!(b.read_at(fid, 0, 3).unwrap(), b"two");
}

#[test]
fn a_session_finds_what_it_made_though_another_has_listed_within_the_same_tick() {
    let mut b = Bench::new(server());
    let mut reader = b.other_session();
    let dfid = b.walk("/usr/empty").unwrap();
    for name in ["a", "b"] {
        b.ask(&Tmkdir { dfid, name: name.as_bytes(), mode: 0o755, gid: 0 }).unwrap();
        same_tick(&mut b, "/usr/empty");
        if name == "a" {
            b.in_session(&mut reader, |b| assert_eq!(b.list("/usr/empty").unwrap().len(), 3));
        }
    }
    b.now += 2 * FRESH;
    assert_eq!(b.stat("/usr/empty/b").map(|a| a.size), Ok(4096));
    assert_eq!(b.list("/usr/empty").unwrap().len(), 4);
}

#[test]
fn both_names_of_a_file_show_a_write_within_one_tick() {
    let mut b = Bench::new(server());
    let dfid = b.walk("/usr/bin").unwrap();
    let fid = b.walk("/usr/bin/small").unwrap();
    b.ask(&Tlink { dfid, fid, name: b"other" }).unwrap();
    let fid = b.open("/usr/bin/small", 2).unwrap();
    for text in [b"one", b"two"] {
        b.write_at(fid, 0, text).unwrap();
        same_tick(&mut b, "/usr/bin/small");
        assert_eq!(&b.cat("/usr/bin/other").unwrap()[..3], text);
    }
}

#[test]
fn names_of_a_directory_whose_attributes_tell_nothing_are_asked_for_again() {
    for freshness_ms in [0, FRESH] {
        let mut server = server();
        server.at("/usr/empty").unwrap().untold = true;
        let mut b = Bench::with(server, Config { freshness_ms, ..CONFIG }, memory(200, 16 * 1024), cache(64));
        same_tick(&mut b, "/usr/empty");
        assert_eq!(b.stat("/usr/empty/1").map(|a| a.size), Err(Errno::ENOENT));
        assert_eq!(b.list("/usr/empty").unwrap().len(), 2);
        b.server.file("/usr/empty/1", b"");
        same_tick(&mut b, "/usr/empty");
        b.now += freshness_ms;
        assert_eq!(b.stat("/usr/empty/1").map(|a| a.size), Ok(0));
        assert_eq!(b.list("/usr/empty").unwrap().len(), 3);
        let mut b = b.next_session();
        b.server.file("/usr/empty/2", b"");
        same_tick(&mut b, "/usr/empty");
        assert_eq!(b.stat("/usr/empty/2").map(|a| a.size), Ok(0));
        assert_eq!(b.list("/usr/empty").unwrap().len(), 4);
    }
}

#[test]
fn a_change_of_an_open_file_does_not_reach_the_one_that_has_taken_its_name() {
    for (removed, clunked) in [(false, false), (false, true), (true, false)] {
        let mut b = Bench::new(server());
        let other = b.walk("/usr/bin/true").unwrap();
        let fid = b.open("/usr/bin/true", 2).unwrap();
        if clunked {
            b.clunk(other);
        }
        b.now += 20 * FRESH;
        // As an editor saves.
        b.server.unlink("/usr/bin/true");
        if !removed {
            b.server.file("/usr/bin/true", b"another");
        }
        b.truncate(fid, 5).unwrap();
        b.ask(&Tsetattr { fid, valid: 1, mode: 0o100_600, ..Tsetattr::default() }).unwrap();
        assert_eq!(b.attr(fid).map(|a| (a.size, a.mode)), Ok((5, 0o100_600)));
        let there = b.server.at("/usr/bin/true").map(|inode| (inode.data.clone(), inode.mode));
        assert_eq!(there, (!removed).then(|| (b"another".to_vec(), 0o100_644)));
    }
}

#[test]
fn a_name_that_cannot_be_looked_for_is_no_endless_question() {
    let mut server = server();
    server.uid = 1000;
    let mut b = Bench::new(server);
    let fid = b.open("/usr/bin/true", 2).unwrap();
    b.now += 20 * FRESH;
    b.server.at("/usr/bin").unwrap().mode = 0o040_600;
    for _ in 0..2 {
        assert_eq!(b.truncate(fid, 5), Err(Errno::EACCES));
    }
}

#[test]
fn a_file_that_was_opened_a_moment_ago_is_not_looked_for_before_it_is_cut() {
    let mut b = Bench::new(server());
    let fid = b.open("/usr/bin/true", 2).unwrap();
    b.server.asked.clear();
    b.truncate(fid, 0).unwrap();
    assert_eq!(b.server.total(), 1, "{:?}", b.server.asked);
    b.now += 20 * FRESH;
    b.truncate(fid, 7).unwrap();
    assert_eq!(b.server.at("/usr/bin/true").unwrap().data, [0; 7]);
}

#[test]
fn what_is_locked_is_never_stale() {
    let mut b = Bench::new(server());
    let fid = b.open("/usr/bin/small", 0).unwrap();
    assert_eq!(b.read_all(fid).unwrap(), b"#!/bin/sh\n");
    b.server.file("/usr/bin/small", b"changed");
    assert_eq!(b.read_all(fid).unwrap(), b"#!/bin/sh\n", "within the bound");
    let (kind, flags, length, client_id) = (1, 0, u64::MAX, &b"box"[..]);
    b.ask(&Tlock { fid, kind, flags, start: 0, length, proc_id: 7, client_id }).unwrap();
    assert_eq!(b.read_all(fid).unwrap(), b"changed");
    assert_eq!(b.attr(fid).unwrap().size, 7);
}

#[test]
fn what_was_asked_before_a_lock_and_answered_after_it_is_stale() {
    for google in [false, true] {
        let mut server = server();
        server.google = google;
        let mut b = Bench::new(server);
        let fid = b.open("/usr/bin/small", 0).unwrap();
        assert_eq!(b.read_all(fid).unwrap(), b"#!/bin/sh\n");
        b.now += 2 * FRESH;
        let (dir, newfid) = (b.walk("/usr/bin").unwrap(), b.new_fid());
        if google {
            b.send(1, &Tgetattr { fid, request_mask: 0x7ff });
        } else {
            b.send(1, &Twalk { fid: dir, newfid, wname: heapless::Vec::from_slice(&[&b"small"[..]]).unwrap() });
        }
        b.pump();
        if !google {
            // Its attributes are another question.
            b.deliver(0);
        }
        b.server.file("/usr/bin/small", b"changed");
        let (kind, flags, length, client_id) = (1, 0, u64::MAX, &b"box"[..]);
        b.send(2, &Tlock { fid, kind, flags, start: 0, length, proc_id: 7, client_id });
        b.settle();
        b.received.clear();
        assert_eq!(b.read_all(fid).unwrap(), b"changed", "{google}");
    }
}

#[test]
fn what_the_servers_disk_says_of_a_sync_is_what_the_program_hears() {
    let mut b = Bench::new(server());
    let fid = b.open("/usr/bin/small", 2).unwrap();
    b.write_at(fid, 0, b"x").unwrap();
    b.server.disk = Err(Errno::EIO);
    assert_eq!(b.ask(&Tfsync { fid, datasync: 0 }), Err(Errno::EIO));
    b.server.disk = Ok(());
    b.ask(&Tfsync { fid, datasync: 0 }).unwrap();
    assert_eq!(asked(&b, "Tfsync"), 2);
}

#[test]
fn names_that_were_changed_are_on_the_disk_when_the_directory_is() {
    let mut b = Bench::new(server());
    let dir = b.open("/usr/bin", 0o200_000).unwrap();
    b.list_fid(dir, 2000).unwrap();
    let d = b.walk("/usr/bin").unwrap();
    b.ask(&Trenameat { olddirfid: d, oldname: b"true", newdirfid: d, newname: b"small" }).unwrap();
    b.ask(&Tfsync { fid: dir, datasync: 0 }).unwrap();
    assert_eq!(asked(&b, "Tfsync"), 1);
    b.unlink("/usr/bin", "small").unwrap();
    b.unlink("/usr", "bin").unwrap();
    b.ask(&Tfsync { fid: dir, datasync: 0 }).unwrap();
}

#[test]
fn a_file_is_opened_once_for_each_way_of_writing_it() {
    const SYNC: u32 = 0o4_010_000;
    let mut b = Bench::new(server());
    let fids = [2 | SYNC, 2, 2 | SYNC, SYNC, 0].map(|flags| b.open("/usr/bin/true", flags).unwrap());
    assert_eq!((asked(&b, "Tlopen"), b.server.open_fids()), (4, 4), "{:?}", b.server.asked);
    b.write_at(fids[0], 0, b"x").unwrap();
    fids.into_iter().for_each(|fid| b.clunk(fid));
}

#[test]
fn what_another_has_written_is_on_the_disk_when_a_reader_syncs() {
    let mut b = Bench::new(server());
    let fid = b.open("/usr/bin/small", 2).unwrap();
    b.write_at(fid, 0, b"x").unwrap();
    b.clunk(fid);
    b.cat("/usr/bin/small").unwrap();
    let mut b = b.next_session();
    let fid = b.open("/usr/bin/small", 0).unwrap();
    assert_eq!(asked(&b, "Tlopen"), 0);
    b.server.disk = Err(Errno::EIO);
    assert_eq!(b.ask(&Tfsync { fid, datasync: 0 }), Err(Errno::EIO));
    assert_eq!((asked(&b, "Tlopen"), asked(&b, "Tfsync")), (1, 1));
}

#[test]
fn a_link_whose_attributes_tell_nothing_is_read_again() {
    let mut server = server();
    server.link("/cwd", "usr/bin");
    server.at("/cwd").unwrap().untold = true;
    let mut b = Bench::new(server);
    assert_eq!(b.readlink("/cwd").unwrap(), b"usr/bin");
    // As when a process of the client's goes elsewhere.
    b.server.at("/cwd").unwrap().data = b"usr".to_vec();
    b.now += 2 * FRESH;
    assert_eq!(b.readlink("/cwd").unwrap(), b"usr");
}

#[test]
fn who_reads_behind_the_end_of_a_file_reads_nothing() {
    let mut b = Bench::new(server());
    let fid = b.open("/usr/bin/true", 0).unwrap();
    b.read_at(fid, 0, 10).unwrap();
    for offset in [30_000, 30_000, u64::MAX, u64::MAX] {
        assert_eq!(b.read_at(fid, offset, 10).unwrap(), b"");
    }
}

#[test]
fn a_file_of_somebody_else_that_may_be_written_to_may_be_cut() {
    let mut server = server();
    server.at("/usr/bin/small").unwrap().theirs = true;
    let mut b = Bench::new(server);
    let fid = b.open("/usr/bin/small", 1).unwrap();
    // As O_TRUNC and ftruncate(2) ask for it.
    for size in [0, 5] {
        b.ask(&Tsetattr { fid, valid: 0x68, size, ..Tsetattr::default() }).unwrap();
        assert_eq!(b.server.at("/usr/bin/small").unwrap().data.len() as u64, size);
    }
}

#[test]
fn without_a_bound_what_another_session_has_kept_is_asked_for_too() {
    let mut b = Bench::new(server());
    b.cat("/usr/bin/true").unwrap();
    b.readlink("/bin").unwrap();
    let Bench { relay, mut cache, mut server, .. } = b;
    relay.into_memory(&mut cache);
    server.asked.clear();
    let mut b = Bench::with(server, Config { freshness_ms: 0, ..CONFIG }, memory(200, 16 * 1024), cache);
    b.open("/usr/bin/true", 0).unwrap();
    b.readlink("/bin").unwrap();
    assert_eq!((asked(&b, "Tlopen"), asked(&b, "Treadlink")), (1, 1));
}

#[test]
fn a_file_that_would_be_larger_than_files_can_be_is_too_large() {
    let mut b = Bench::new(server());
    let fid = b.open("/usr/bin/small", 2).unwrap();
    assert_eq!(b.truncate(fid, 1 << 50), Err(Errno::EFBIG));
    assert_eq!(b.attr(fid).unwrap().size, 10);
    // What is not known to be that is what the server says.
    b.server.largest = 1000;
    assert_eq!(b.truncate(fid, 1001), Err(Errno::EIO));
    assert_eq!(asked(&b, "Twrite"), 1);
    let fid = b.walk("/usr/bin/small").unwrap();
    assert_eq!(b.truncate(fid, 1 << 50), Err(Errno::EIO));
}

#[test]
fn a_file_larger_than_the_cache_reads_as_it_is() {
    let mut server = server();
    server.file("/big", &bytes(1_000_000));
    let mut b = Bench::with(server, CONFIG, memory(64, 16 * 1024), cache(16));
    assert_eq!(b.cat("/big").unwrap(), bytes(1_000_000));
    let fid = b.open("/big", 0).unwrap();
    for at in [999_999, 4095, 500_001, 0, 999_000] {
        assert_eq!(
            b.read_at(fid, at, 8000).unwrap(),
            bytes(1_000_000)[at as usize..][..8000.min(1_000_000 - at as usize)]
        );
    }
}

#[test]
fn what_the_kernel_took_back_is_asked_for_again() {
    let mut server = server();
    server.file("/zeroes-first", &[&[0; 5000], &*bytes(9000)].concat());
    let mut b = Bench::new(server);
    let whole = b.cat("/zeroes-first").unwrap();
    let names = b.list("/usr/bin").unwrap();
    let pages = b.cache.reclaimable().expect("there are new bytes");
    pages.fill(0);
    assert!(b.cache.reclaimable().is_none());
    b.server.asked.clear();
    assert_eq!(b.cat("/zeroes-first").unwrap(), whole);
    assert_eq!(b.list("/usr/bin").unwrap(), names);
    assert!(asked(&b, "Tread") > 0 && asked(&b, "Treaddir") > 0);
    assert!(b.cache.reclaimable().is_some());
}

#[test]
fn sequential_reading_is_supplied_ahead() {
    let mut server = server();
    server.file("/big", &bytes(4_000_000));
    let mut b = Bench::with(server, CONFIG, memory(64, 16 * 1024), cache(1024));
    assert_eq!(b.cat("/big").unwrap(), bytes(4_000_000));
    assert!(asked(&b, "Tread") < 20, "{:?}", b.server.asked);
}

#[test]
fn a_program_that_is_read_here_and_there_is_fetched_as_a_whole() {
    let mut server = server();
    server.file("/program", &bytes(6_000_000));
    let mut b = Bench::with(server, CONFIG, memory(64, 16 * 1024), cache(4096));
    let fid = b.open("/program", 0).unwrap();
    for at in [0, 5_000_000, 2_000_000] {
        b.read_at(fid, at, 4096).unwrap();
    }
    b.server.asked.clear();
    assert_eq!(b.read_all(fid).unwrap(), bytes(6_000_000));
    assert_eq!(b.server.total(), 0, "{:?}", b.server.asked);
}

#[test]
fn what_is_read_once_is_fetched_once() {
    let mut server = server();
    server.file("/big", &bytes(30_000_000));
    let mut b = Bench::with(server, CONFIG, memory(64, 128 * 1024), cache(2048));
    for _ in 0..2 {
        let before = b.relay.counters.read;
        let fid = b.open("/big", 0).unwrap();
        let mut offset = 0;
        loop {
            let n = b.read_at(fid, offset, 128 * 1024 - 24).unwrap().len();
            offset += n as u64;
            if n == 0 {
                break;
            }
        }
        b.clunk(fid);
        let fetched = b.relay.counters.read - before;
        assert!(fetched < 30_100_000, "{fetched} {:?}", b.server.asked);
    }
}
