//! What the session changes, and what it sees of that.

use super::*;

#[test]
fn what_the_session_writes_it_reads_back() {
    let mut b = Bench::new(server());
    b.list("/usr/empty").unwrap();
    assert_eq!(b.stat("/usr/empty/f"), Err(Errno::ENOENT));
    let f = b.create("/usr/empty", "f", 0o102).unwrap();
    b.write_at(f, 0, b"hello").unwrap();
    assert_eq!(b.read_all(f).unwrap(), b"hello");
    assert_eq!(b.stat("/usr/empty/f").unwrap().size, 5);
    b.write_at(f, 1, b"a").unwrap();
    assert_eq!(b.cat("/usr/empty/f").unwrap(), b"hallo");
    b.truncate(f, 2).unwrap();
    assert_eq!(b.cat("/usr/empty/f").unwrap(), b"ha");
    assert_eq!(b.list("/usr/empty").unwrap().len(), 3);
    b.clunk(f);
    b.unlink("/usr/empty", "f").unwrap();
    assert_eq!(b.stat("/usr/empty/f"), Err(Errno::ENOENT));
    assert_eq!(b.list("/usr/empty").unwrap().len(), 2);
}

#[test]
fn of_a_file_that_is_changed_here_and_there_only_what_is_asked_for_is_fetched() {
    let mut b = Bench::new(server());
    let f = b.open("/usr/bin/true", 2).unwrap();
    for n in 1..4 {
        b.write_at(f, 100 * n, b"x").unwrap();
        b.stat("/usr/bin/true").unwrap();
        b.read_at(f, 9000 * n, 10).unwrap();
    }
    assert!(b.relay.counters.read < 3 * 4096, "{}", b.relay.counters.read);
}

#[test]
fn a_write_within_one_tick_of_the_clock_is_read_back() {
    let mut b = Bench::new(server());
    let f = b.open("/usr/bin/small", 2).unwrap();
    for text in [b"one", b"two"] {
        b.write_at(f, 0, text).unwrap();
        // As if the file system's clock had not moved.
        b.server.at("/usr/bin/small").unwrap().changed = 77;
        b.stat("/usr/bin/small").unwrap();
        assert_eq!(&b.cat("/usr/bin/small").unwrap()[..3], text);
        assert_eq!(b.read_at(f, 0, 3).unwrap(), text);
    }
}

#[test]
fn both_names_of_a_file_show_a_write() {
    let mut b = Bench::new(server());
    let dfid = b.walk("/usr/bin").unwrap();
    let fid = b.walk("/usr/bin/small").unwrap();
    b.ask(&crate::msg::Tlink { dfid, fid, name: b"other" }).unwrap();
    assert_eq!(b.stat("/usr/bin/other").unwrap().nlink, 2);
    assert_eq!(b.stat("/usr/bin/small").unwrap().nlink, 2);
    let f = b.open("/usr/bin/small", 1).unwrap();
    b.write_at(f, 10, b"more").unwrap();
    assert_eq!(b.stat("/usr/bin/other").unwrap().size, 14);
    assert_eq!(b.cat("/usr/bin/other").unwrap(), b"#!/bin/sh\nmore");
}

#[test]
fn a_rename_of_one_name_of_a_file_onto_the_other_leaves_both() {
    let mut b = Bench::new(server());
    let dir = b.walk("/usr/bin").unwrap();
    let fid = b.walk("/usr/bin/small").unwrap();
    b.ask(&crate::msg::Tlink { dfid: dir, fid, name: b"other" }).unwrap();
    b.stat("/usr/bin/other").unwrap();
    b.ask(&Trenameat { olddirfid: dir, oldname: b"small", newdirfid: dir, newname: b"other" }).unwrap();
    for path in ["/usr/bin/small", "/usr/bin/other"] {
        let fid = b.open(path, 1).unwrap();
        b.write_at(fid, 0, path.as_bytes()).unwrap();
        b.truncate(fid, 8).unwrap();
        assert_eq!(b.cat(path).unwrap(), b"/usr/bin");
    }
    b.unlink("/usr/bin", "other").unwrap();
    assert_eq!(b.stat("/usr/bin/small").unwrap().nlink, 1);
}

#[test]
fn an_exclusive_create_finds_what_somebody_else_made() {
    let mut b = Bench::new(server());
    assert_eq!(b.stat("/usr/empty/lock"), Err(Errno::ENOENT));
    b.server.file("/usr/empty/lock", b"mine");
    assert_eq!(b.create("/usr/empty", "lock", 0o301), Err(Errno::EEXIST));
    // The kernel looks again.
    assert_eq!(b.create("/usr/empty", "lock", 0o101), Err(Errno::ESTALE));
    assert_eq!(b.cat("/usr/empty/lock").unwrap(), b"mine");
}

#[test]
fn an_unlinked_file_that_is_open_goes_on() {
    let mut b = Bench::new(server());
    b.cat("/usr/bin/small").unwrap();
    b.cat("/usr/bin/true").unwrap();
    let mut b = b.next_session();
    // All of it is in the cache, so the server has not opened it.
    let f = b.open("/usr/bin/true", 0).unwrap();
    assert_eq!(asked(&b, "Tlopen"), 0);
    b.unlink("/usr/bin", "true").unwrap();
    let w = b.open("/usr/bin/small", 2).unwrap();
    b.unlink("/usr/bin", "small").unwrap();
    b.now += FRESH;
    assert_eq!(b.read_all(f).unwrap(), bytes(30_000));
    b.write_at(w, 0, b"still").unwrap();
    assert_eq!(&b.read_all(w).unwrap()[..5], b"still");
    assert_eq!(b.attr(w).unwrap().size, 10);
    b.clunk(f);
    b.clunk(w);
    b.settle();
    assert_eq!(b.server.open_fids(), 0);
}

#[test]
fn an_unlinked_file_has_a_size_and_a_mode_of_its_own() {
    let mut b = Bench::new(server());
    let f = b.create("/usr/empty", "f", 0o102).unwrap();
    b.write_at(f, 0, &bytes(3000)).unwrap();
    b.unlink("/usr/empty", "f").unwrap();
    b.truncate(f, 10).unwrap();
    assert_eq!((b.attr(f).unwrap().size, b.read_all(f).unwrap()), (10, bytes(10)));
    b.write_at(f, 10, b"on").unwrap();
    b.write_at(f, 2500, b"x").unwrap();
    b.truncate(f, 2800).unwrap();
    let mut wanted = [&bytes(10)[..], b"on"].concat();
    wanted.resize(2500, 0);
    wanted.push(b'x');
    wanted.resize(2800, 0);
    assert!(b.read_all(f).unwrap() == wanted);
    b.truncate(f, 5000).unwrap();
    b.now += FRESH;
    wanted.resize(5000, 0);
    assert!(b.attr(f).unwrap().size == 5000 && b.read_all(f).unwrap() == wanted);
    b.ask(&Tsetattr { fid: f, valid: 1, mode: 0o600, ..Tsetattr::default() }).unwrap();
    assert_eq!(b.attr(f).unwrap().mode, 0o100_600);
    assert_eq!(b.ask(&Tsetattr { fid: f, valid: 2, uid: 7, ..Tsetattr::default() }), Err(Errno::EPERM));
    b.clunk(f);
    b.settle();
    assert_eq!(b.server.open_fids(), 0);
}

#[test]
fn what_is_set_on_a_link_does_not_reach_its_target() {
    let mut b = Bench::new(server());
    let fid = b.walk("/bin").unwrap();
    b.ask(&Tsetattr { fid, valid: 0x1b0, mtime_sec: 7, ..Tsetattr::default() }).unwrap();
    b.ask(&Tsetattr { fid, valid: 2, uid: 0, ..Tsetattr::default() }).unwrap();
    assert_eq!(b.ask(&Tsetattr { fid, valid: 2, uid: 7, ..Tsetattr::default() }), Err(Errno::EPERM));
    assert_eq!(asked(&b, "Tsetattr"), 0);
}

#[test]
fn a_rename_over_an_open_file_leaves_both_readable() {
    let mut b = Bench::new(server());
    let old = b.open("/usr/bin/small", 0).unwrap();
    let dir = b.walk("/usr/bin").unwrap();
    let rename = Trenameat { olddirfid: dir, oldname: b"true", newdirfid: dir, newname: b"small" };
    b.stat("/usr/bin/true").unwrap();
    b.ask(&rename).unwrap();
    assert_eq!(b.cat("/usr/bin/small").unwrap(), bytes(30_000));
    assert_eq!(b.read_all(old).unwrap(), b"#!/bin/sh\n");
    assert_eq!(b.stat("/usr/bin/true"), Err(Errno::ENOENT));
}

#[test]
fn a_directory_that_was_read_can_be_changed() {
    let mut b = Bench::new(server());
    let f = b.open("/usr/bin", 0).unwrap();
    assert_eq!(b.list_fid(f, 100).unwrap().len(), 4);
    b.unlink("/usr/bin", "small").unwrap();
    assert_eq!(b.unlink("/usr", "bin"), Err(Errno::ENOTEMPTY));
    b.unlink("/usr/bin", "true").unwrap();
    assert_eq!(b.list_fid(f, 100).unwrap().len(), 2);
    b.unlink("/usr", "bin").unwrap();
    assert_eq!(b.stat("/usr/bin"), Err(Errno::ENOENT));
}

#[test]
fn a_change_waits_for_a_directory_that_is_being_opened() {
    let mut b = Bench::new(server());
    let dfid = b.walk("/usr/empty").unwrap();
    let reader = b.walk("/usr/empty").unwrap();
    b.send(1, &crate::msg::Tlopen { fid: reader, flags: 0 });
    b.pump();
    assert_eq!(asked(&b, "Tlopen"), 1);
    b.send(2, &crate::msg::Tmkdir { dfid, name: b"made", mode: 0o755, gid: 0 });
    b.settle();
    let answers = [b.reply(), b.reply()].map(|reply| reply.unwrap().1);
    assert!(!answers.iter().any(|answer| matches!(answer, Owned::Error(_))), "{answers:?}");
    assert!(b.stat("/usr/empty/made").is_ok());
}

#[test]
fn the_upstream_user_is_user_0_and_may_give_files_to_himself() {
    let mut server = server();
    server.uid = 1000;
    server.dir("/home");
    let mut b = Bench::with(server, Config { home: b"/home", ..CONFIG }, memory(200, 16 * 1024), cache(64));
    assert_eq!(b.stat("/usr/bin/small").unwrap().uid, 0);
    let fid = b.walk("/usr/bin/small").unwrap();
    let chown = |uid| Tsetattr { fid, valid: 2 | 4 | 64, uid, gid: uid, ..Tsetattr::default() };
    b.ask(&chown(0)).unwrap();
    b.ask(&chown(1000)).unwrap();
    assert_eq!(b.ask(&chown(33)), Err(Errno::EPERM));
}

#[test]
fn a_refused_change_says_whether_a_directory_or_the_file_is_in_the_way() {
    for (home, chmod_of_a_file_that_is_not_his) in [("/home", Errno::EACCES), ("", Errno::EPERM)] {
        let mut server = server();
        server.uid = 1000;
        server.dir("/home");
        let config = Config { home: home.as_bytes(), ..CONFIG };
        let mut b = Bench::with(server, config, memory(200, 16 * 1024), cache(64));
        let fid = b.walk("/usr/bin/small").unwrap();
        b.server.at("/usr/bin").unwrap().mode = 0o040_600;
        let refused = |valid| Tsetattr { fid, valid, ..Tsetattr::default() };
        assert_eq!(b.ask(&refused(1)), Err(chmod_of_a_file_that_is_not_his));
        // Times: those of now, for which it is enough that one may write.
        assert_eq!(b.ask(&refused(0x70)), Err(Errno::EACCES));
    }
}

#[test]
fn a_umask_that_a_program_has_set_takes_the_place_of_the_clients() {
    let mut server = server();
    server.umask = 0o077;
    let mut b = Bench::new(server);
    let made = |b: &mut Bench, mode: u32| {
        let (dfid, fid) = (b.walk("/usr/empty").unwrap(), b.walk("/usr/empty").unwrap());
        let (directory, file) = (std::format!("d{mode:o}"), std::format!("f{mode:o}"));
        b.ask(&Tmkdir { dfid, name: directory.as_bytes(), mode: 0o040_000 | mode, gid: 0 }).unwrap();
        b.ask(&Tlcreate { fid, name: file.as_bytes(), flags: 2, mode: 0o100_000 | mode, gid: 0 }).unwrap();
        [directory, file].map(|name| b.stat(&std::format!("/usr/empty/{name}")).unwrap().mode)
    };
    assert_eq!(made(&mut b, 0o755), [0o040_700, 0o100_700]);
    assert_eq!(asked(&b, "Tsetattr"), 0);
    assert_eq!(made(&mut b, 0o1755), [0o041_700, 0o101_700]);
    assert_eq!(made(&mut b, 0o775), [0o040_775, 0o100_775]);
    assert_eq!(asked(&b, "Tsetattr"), 4);
}

#[test]
fn of_two_times_one_may_stay_as_it_is() {
    let mut b = Bench::new(server());
    let fid = b.walk("/usr/bin/small").unwrap();
    let modified = b.attr(fid).unwrap().mtime_sec;
    b.ask(&Tsetattr { fid, valid: 0xd0, atime_sec: 7, ..Tsetattr::default() }).unwrap();
    assert_eq!((b.server.set.valid, b.server.set.atime_sec, b.server.set.mtime_sec), (0x1f0, 7, modified));
    b.stat("/usr/bin/small").unwrap();
    b.ask(&Tsetattr { fid, valid: 0x160, mtime_sec: 7, ..Tsetattr::default() }).unwrap();
    assert_eq!((b.server.set.valid, b.server.set.atime_sec, b.server.set.mtime_sec), (0x1f0, 0, 7));
}
