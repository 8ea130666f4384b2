mod ahead;
mod append;
mod data;
mod devices;
mod dialects;
mod directories;
mod errors;
mod modes;
mod overtaken;
mod owners;

use std::string::String;
use std::vec::Vec;

use super::Config;
use super::model::Model;
use super::testkit::{Bench, CONFIG, FRESH, Owned, ROOT, cache, memory};
use crate::errno::Errno;
use crate::msg::{Tclunk, Tflush, Tgetattr, Tlcreate, Tmkdir, Tread, Trenameat, Tsetattr, Twalk};

fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 + i / 251) as u8).collect()
}

fn far() -> Model {
    let mut far = Model::new();
    far.dir("/usr");
    far.dir("/usr/bin");
    far.file("/usr/bin/true", &bytes(30_000));
    far.file("/usr/bin/small", b"#!/bin/sh\n");
    far.link("/bin", "usr/bin");
    far.dir("/usr/empty");
    far
}

fn asked(bench: &Bench, name: &str) -> usize {
    bench.far.asked.get(name).copied().unwrap_or(0)
}

#[test]
fn a_file_reads_as_it_is() {
    for google in [true, false] {
        let mut far = far();
        far.google = google;
        let mut b = Bench::new(far);
        assert_eq!(b.cat("/usr/bin/true").unwrap(), bytes(30_000));
        assert_eq!(b.cat("/usr/bin/small").unwrap(), b"#!/bin/sh\n");
        assert_eq!(b.readlink("/bin").unwrap(), b"usr/bin");
        assert_eq!(b.cat("/usr/bin/none"), Err(Errno::ENOENT));
    }
}

#[test]
fn a_small_file_costs_a_walk_an_open_and_a_read() {
    let mut b = Bench::new(far());
    b.walk("/usr/bin").unwrap();
    b.far.asked.clear();
    b.cat("/usr/bin/true").unwrap();
    assert_eq!(b.far.total(), 3, "{:?}", b.far.asked);
    b.cat("/usr/bin/true").unwrap();
    assert_eq!(b.far.total(), 3, "{:?}", b.far.asked);
}

#[test]
fn a_directory_costs_a_walk_an_open_and_a_read() {
    let mut b = Bench::new(far());
    b.walk("/usr").unwrap();
    b.far.asked.clear();
    let names = b.list("/usr/bin").unwrap();
    assert_eq!(names, [(b".".to_vec(), 4), (b"..".to_vec(), 4), (b"small".to_vec(), 8), (b"true".to_vec(), 8)]);
    assert_eq!(b.far.total(), 3, "{:?}", b.far.asked);
    // What is not listed is not there.
    assert_eq!(b.stat("/usr/bin/python3"), Err(Errno::ENOENT));
    assert_eq!(b.far.total(), 3, "{:?}", b.far.asked);
    assert_eq!(b.list("/usr/empty").unwrap().len(), 2);
    assert_eq!(
        b.list("/").unwrap(),
        [(b".".to_vec(), 4), (b"..".to_vec(), 4), (b"bin".to_vec(), 10), (b"usr".to_vec(), 4)]
    );
}

#[test]
fn a_second_session_asks_only_whether_files_are_the_same() {
    let mut b = Bench::new(far());
    b.cat("/usr/bin/true").unwrap();
    b.list("/usr/bin").unwrap();
    b.readlink("/bin").unwrap();
    let mut b = b.next_session();
    b.far.asked.clear();
    assert_eq!(b.cat("/usr/bin/true").unwrap(), bytes(30_000));
    assert_eq!(b.readlink("/bin").unwrap(), b"usr/bin");
    assert_eq!(b.list("/usr/bin").unwrap().len(), 4);
    assert_eq!(b.far.total(), asked(&b, "Twalkgetattr"), "{:?}", b.far.asked);
    assert_eq!(b.far.total(), 4, "{:?}", b.far.asked);
}

#[test]
fn a_second_session_asks_a_directory_for_names_that_were_absent() {
    let mut b = Bench::new(far());
    let absent = ["/usr/bin/a", "/usr/bin/b", "/usr/bin/c"];
    let all_absent = |b: &mut Bench| assert!(absent.iter().all(|name| b.walk(name) == Err(Errno::ENOENT)));
    all_absent(&mut b);
    let mut b = b.next_session();
    b.far.asked.clear();
    all_absent(&mut b);
    assert_eq!(b.far.total(), 2, "{:?}", b.far.asked);
    b.far.file("/usr/bin/b", b"new");
    let mut b = b.next_session();
    assert_eq!(b.cat("/usr/bin/b").unwrap(), b"new");
    b.unlink("/usr/bin", "b").unwrap();
    assert_eq!(b.walk("/usr/bin/b"), Err(Errno::ENOENT));
    b.create("/usr/bin", "b", 0o302).unwrap();
    b.now += 2 * FRESH;
    assert!(b.walk("/usr/bin/b").is_ok());
}

#[test]
fn a_second_session_sees_what_has_changed_in_between() {
    let mut b = Bench::new(far());
    b.cat("/usr/bin/true").unwrap();
    b.list("/usr/bin").unwrap();
    b.far.file("/usr/bin/true", b"another");
    b.far.file("/usr/bin/new", b"new");
    let mut b = b.next_session();
    assert_eq!(b.cat("/usr/bin/true").unwrap(), b"another");
    assert_eq!(b.cat("/usr/bin/new").unwrap(), b"new");
    assert_eq!(b.list("/usr/bin").unwrap().len(), 5);
}

#[test]
fn a_change_elsewhere_shows_within_the_bound() {
    let mut b = Bench::new(far());
    assert_eq!(b.cat("/usr/bin/small").unwrap(), b"#!/bin/sh\n");
    assert_eq!(b.stat("/usr/bin/later"), Err(Errno::ENOENT));
    b.list("/usr/bin").unwrap();
    b.far.file("/usr/bin/small", b"changed");
    b.far.file("/usr/bin/later", b"here");
    b.far.unlink("/usr/bin/true");
    b.now += FRESH;
    assert_eq!(b.cat("/usr/bin/small").unwrap(), b"changed");
    assert_eq!(b.cat("/usr/bin/later").unwrap(), b"here");
    assert_eq!(b.stat("/usr/bin/true"), Err(Errno::ENOENT));
    assert_eq!(b.list("/usr/bin").unwrap().len(), 4);
}

#[test]
fn without_a_bound_nothing_is_answered_from_memory() {
    let config = Config { freshness_ms: 0, ..CONFIG };
    let mut b = Bench::with(far(), config, memory(200, 16 * 1024), cache(64));
    for i in 0..20 {
        let text = std::format!("round {i}");
        b.far.file("/usr/bin/small", text.as_bytes());
        assert_eq!(b.cat("/usr/bin/small").unwrap(), text.as_bytes());
        assert_eq!(b.stat("/usr/bin/small").unwrap().size, text.len() as u64);
    }
}

#[test]
fn what_the_session_writes_it_reads_back() {
    let mut b = Bench::new(far());
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
    let mut b = Bench::new(far());
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
    let mut b = Bench::new(far());
    let f = b.open("/usr/bin/small", 2).unwrap();
    for text in [b"one", b"two"] {
        b.write_at(f, 0, text).unwrap();
        // As if the file system's clock had not moved.
        b.far.at("/usr/bin/small").unwrap().changed = 77;
        b.stat("/usr/bin/small").unwrap();
        assert_eq!(&b.cat("/usr/bin/small").unwrap()[..3], text);
        assert_eq!(b.read_at(f, 0, 3).unwrap(), text);
    }
}

#[test]
fn both_names_of_a_file_show_a_write() {
    let mut b = Bench::new(far());
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
    let mut b = Bench::new(far());
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
    let mut b = Bench::new(far());
    assert_eq!(b.stat("/usr/empty/lock"), Err(Errno::ENOENT));
    b.far.file("/usr/empty/lock", b"mine");
    assert_eq!(b.create("/usr/empty", "lock", 0o301), Err(Errno::EEXIST));
    // The kernel looks again.
    assert_eq!(b.create("/usr/empty", "lock", 0o101), Err(Errno::ESTALE));
    assert_eq!(b.cat("/usr/empty/lock").unwrap(), b"mine");
}

#[test]
fn an_unlinked_file_that_is_open_goes_on() {
    let mut b = Bench::new(far());
    b.cat("/usr/bin/small").unwrap();
    b.cat("/usr/bin/true").unwrap();
    let mut b = b.next_session();
    // All of it is in the cache, so the far side has not opened it.
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
    assert_eq!(b.far.open_fids(), 0);
}

#[test]
fn an_unlinked_file_has_a_size_and_a_mode_of_its_own() {
    let mut b = Bench::new(far());
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
    assert_eq!(b.far.open_fids(), 0);
}

#[test]
fn what_is_set_on_a_link_does_not_reach_its_target() {
    let mut b = Bench::new(far());
    let fid = b.walk("/bin").unwrap();
    b.ask(&Tsetattr { fid, valid: 0x1b0, mtime_sec: 7, ..Tsetattr::default() }).unwrap();
    b.ask(&Tsetattr { fid, valid: 2, uid: 0, ..Tsetattr::default() }).unwrap();
    assert_eq!(b.ask(&Tsetattr { fid, valid: 2, uid: 7, ..Tsetattr::default() }), Err(Errno::EPERM));
    assert_eq!(asked(&b, "Tsetattr"), 0);
}

#[test]
fn a_name_that_somebody_else_removed_is_an_error_and_no_endless_question() {
    let mut b = Bench::new(far());
    b.cat("/usr/bin/small").unwrap();
    let mut b = b.next_session();
    // In the cache, so the far side has not opened it.
    b.open("/usr/bin/small", 0).unwrap();
    b.far.unlink("/usr/bin/small");
    assert_eq!(b.unlink("/usr/bin", "small"), Err(Errno::ENOENT));
    b.list("/usr/empty").unwrap();
    let dfid = b.walk("/usr/empty").unwrap();
    b.far.unlink("/usr/empty");
    let mkdir = Tmkdir { dfid, name: b"made", mode: 0o755, gid: 0 };
    assert_eq!(b.ask(&mkdir), Err(Errno::ESTALE));
}

#[test]
fn the_kernel_numbers_files_as_they_are_numbered_at_home() {
    let mut b = Bench::new(far());
    let fid = b.walk("/usr/bin/small").unwrap();
    let Owned::Attr(_, path, _) = b.ask(&Tgetattr { fid, request_mask: 0x7ff }).unwrap() else { panic!("no Rgetattr") };
    // v9fs adds 2.
    assert_eq!(Some(path + 2), b.far.ino("/usr/bin/small"));
}

#[test]
fn a_rename_over_an_open_file_leaves_both_readable() {
    let mut b = Bench::new(far());
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
    let mut b = Bench::new(far());
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
fn names_that_are_asked_for_in_order_are_asked_ahead() {
    let mut far = far();
    (0..40).for_each(|i| far.file(&std::format!("/usr/empty/{i:02}"), b"x"));
    let mut b = Bench::new(far);
    let stat = |b: &mut Bench, i: usize| assert!(b.stat(&std::format!("/usr/empty/{i:02}")).is_ok());
    b.list("/usr/empty").unwrap();
    b.far.asked.clear();
    let mut trips = 0;
    for i in 0..40 {
        let before = b.far.total();
        stat(&mut b, i);
        trips += usize::from(b.far.total() > before);
    }
    assert_eq!((b.far.total(), trips), (40, 6), "{:?}", b.far.asked);
    // Without a listing, after some names.
    let mut b = b.next_session();
    b.far.file("/usr/empty/99", b"new");
    b.far.asked.clear();
    (0..40).for_each(|i| stat(&mut b, i));
    assert_eq!(b.far.total(), 44, "{:?}", b.far.asked);
}

#[test]
fn a_change_waits_for_a_directory_that_is_being_opened() {
    let mut b = Bench::new(far());
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
fn a_directory_that_the_session_changes_is_not_listed_ahead() {
    let mut b = Bench::new(far());
    for i in 0..30 {
        let fid = b.create("/usr/empty", &std::format!("{i}"), 0o102).unwrap();
        b.clunk(fid);
        assert_eq!(b.stat(&std::format!("/usr/empty/none{i}")), Err(Errno::ENOENT));
    }
    assert_eq!(asked(&b, "Treaddir"), 0);
}

#[test]
fn who_visits_all_directories_finds_them_listed() {
    let mut far = far();
    for i in 0..10 {
        far.dir(&std::format!("/usr/empty/{i}"));
        far.file(&std::format!("/usr/empty/{i}/f"), b"x");
    }
    let mut b = Bench::new(far);
    b.list("/usr/empty").unwrap();
    b.far.asked.clear();
    let mut trips = 0;
    for i in 0..10 {
        let before = b.far.total();
        assert_eq!(b.list(&std::format!("/usr/empty/{i}")).unwrap().len(), 3);
        trips += usize::from(b.far.total() > before);
    }
    assert_eq!((b.far.total(), trips), (30, 3), "{:?}", b.far.asked);
}

#[test]
fn a_long_listing_comes_in_several_messages() {
    for google in [true, false] {
        let mut far = far();
        (far.google, far.msize) = (google, 8192);
        (0..300).for_each(|i| far.file(&std::format!("/usr/empty/{i:0200}"), b"x"));
        let mut b = Bench::new(far);
        assert_eq!(b.list("/usr/empty").unwrap().len(), 302);
        assert_eq!(asked(&b, "Treaddir"), if google { 9 } else { 10 });
    }
}

#[test]
fn a_listing_that_does_not_fit_is_passed_on() {
    let mut far = far();
    let names: Vec<String> = (0..3000).map(|i| std::format!("a-file-with-a-rather-long-name-{i:05}")).collect();
    names.iter().for_each(|name| far.file(&std::format!("/usr/empty/{name}"), b"x"));
    let mut b = Bench::with(far, CONFIG, memory(64, 16 * 1024), cache(16));
    let listed = b.list("/usr/empty").unwrap();
    let listed: Vec<_> = listed.into_iter().filter(|(name, _)| name.len() > 2).collect();
    assert_eq!(listed.len(), 3000);
    assert!(listed.iter().zip(&names).all(|((name, kind), wanted)| name == wanted.as_bytes() && *kind == 8));
}

#[test]
fn a_file_larger_than_the_cache_reads_as_it_is() {
    let mut far = far();
    far.file("/big", &bytes(1_000_000));
    let mut b = Bench::with(far, CONFIG, memory(64, 16 * 1024), cache(16));
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
    let mut far = far();
    far.file("/zeroes-first", &[&[0; 5000], &*bytes(9000)].concat());
    let mut b = Bench::new(far);
    let whole = b.cat("/zeroes-first").unwrap();
    let names = b.list("/usr/bin").unwrap();
    let pages = b.cache.reclaimable().expect("there are new bytes");
    pages.fill(0);
    assert!(b.cache.reclaimable().is_none());
    b.far.asked.clear();
    assert_eq!(b.cat("/zeroes-first").unwrap(), whole);
    assert_eq!(b.list("/usr/bin").unwrap(), names);
    assert!(asked(&b, "Tread") > 0 && asked(&b, "Treaddir") > 0);
    assert!(b.cache.reclaimable().is_some());
}

#[test]
fn more_files_than_places_are_walked_again() {
    let mut far = far();
    for i in 0..300 {
        far.file(&std::format!("/usr/empty/{i}"), &bytes(i));
    }
    let mut b = Bench::with(far, CONFIG, memory(40, 16 * 1024), cache(16));
    for _ in 0..2 {
        for i in 0..300 {
            assert_eq!(b.cat(&std::format!("/usr/empty/{i}")).unwrap(), bytes(i), "{i}");
        }
    }
}

#[test]
fn the_far_user_is_user_0_and_may_give_files_to_himself() {
    let mut far = far();
    far.uid = 1000;
    far.dir("/home");
    let mut b = Bench::with(far, Config { home: b"/home", ..CONFIG }, memory(200, 16 * 1024), cache(64));
    assert_eq!(b.stat("/usr/bin/small").unwrap().uid, 0);
    let fid = b.walk("/usr/bin/small").unwrap();
    let chown = |uid| Tsetattr { fid, valid: 2 | 4 | 64, uid, gid: uid, ..Tsetattr::default() };
    b.ask(&chown(0)).unwrap();
    b.ask(&chown(1000)).unwrap();
    assert_eq!(b.ask(&chown(33)), Err(Errno::EPERM));
}

#[test]
fn a_directory_whose_names_cannot_be_looked_up_is_not_shown_as_empty() {
    let mut far = far();
    far.uid = 1000;
    far.dir("/home");
    far.at("/usr/bin").unwrap().mode = 0o040_600;
    let mut b = Bench::with(far, Config { home: b"/home", ..CONFIG }, memory(200, 16 * 1024), cache(64));
    assert_eq!(b.list("/usr/bin"), Err(Errno::EACCES));
    assert_eq!(b.stat("/usr/bin/small"), Err(Errno::EACCES));
    b.far.at("/usr/bin").unwrap().mode = 0o040_700;
    b.now += FRESH;
    assert_eq!(b.list("/usr/bin").unwrap().len(), 4);
}

#[test]
fn a_refused_change_says_whether_a_directory_or_the_file_is_in_the_way() {
    for (home, chmod_of_a_file_that_is_not_his) in [("/home", Errno::EACCES), ("", Errno::EPERM)] {
        let mut far = far();
        far.uid = 1000;
        far.dir("/home");
        let config = Config { home: home.as_bytes(), ..CONFIG };
        let mut b = Bench::with(far, config, memory(200, 16 * 1024), cache(64));
        let fid = b.walk("/usr/bin/small").unwrap();
        b.far.at("/usr/bin").unwrap().mode = 0o040_600;
        let refused = |valid| Tsetattr { fid, valid, ..Tsetattr::default() };
        assert_eq!(b.ask(&refused(1)), Err(chmod_of_a_file_that_is_not_his));
        // Times: those of now, for which it is enough that one may write.
        assert_eq!(b.ask(&refused(0x70)), Err(Errno::EACCES));
    }
}

#[test]
fn a_umask_that_a_program_has_set_takes_the_place_of_the_clients() {
    let mut far = far();
    far.umask = 0o077;
    let mut b = Bench::new(far);
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
    let mut b = Bench::new(far());
    let fid = b.walk("/usr/bin/small").unwrap();
    let modified = b.attr(fid).unwrap().mtime_sec;
    b.ask(&Tsetattr { fid, valid: 0xd0, atime_sec: 7, ..Tsetattr::default() }).unwrap();
    assert_eq!((b.far.set.valid, b.far.set.atime_sec, b.far.set.mtime_sec), (0x1f0, 7, modified));
    b.stat("/usr/bin/small").unwrap();
    b.ask(&Tsetattr { fid, valid: 0x160, mtime_sec: 7, ..Tsetattr::default() }).unwrap();
    assert_eq!((b.far.set.valid, b.far.set.atime_sec, b.far.set.mtime_sec), (0x1f0, 0, 7));
}

#[test]
fn replies_may_come_in_any_order() {
    let mut b = Bench::new(far());
    let (one, two) = (b.open("/usr/bin/small", 0).unwrap(), b.open("/usr/bin/true", 0).unwrap());
    b.send(1, &Tread { fid: one, offset: 0, count: 4 });
    b.send(2, &Tread { fid: two, offset: 0, count: 4 });
    b.pump();
    assert_eq!(b.replies.len(), 2);
    b.deliver(1);
    assert_eq!(b.reply(), Some((2, Owned::Data(bytes(4)))));
    b.settle();
    assert_eq!(b.reply(), Some((1, Owned::Data(b"#!/b".to_vec()))));
}

#[test]
fn a_flushed_question_is_not_answered_and_a_flushed_change_is() {
    let mut b = Bench::new(far());
    let newfid = b.new_fid();
    b.send(1, &Twalk { fid: ROOT, newfid, wname: heapless::Vec::from_slice(&[b"usr".as_slice()]).unwrap() });
    b.send(2, &Tflush { oldtag: 1 });
    b.settle();
    assert_eq!(b.reply(), Some((2, Owned::Other(109))));
    assert_eq!(b.reply(), None);
    // The fid is free.
    b.ask(&Twalk { fid: ROOT, newfid, wname: heapless::Vec::new() }).unwrap();

    b.send(1, &Tmkdir { dfid: ROOT, name: b"made", mode: 0o755, gid: 0 });
    b.send(2, &Tflush { oldtag: 1 });
    b.settle();
    assert_eq!(b.reply(), Some((1, Owned::Other(73))));
    assert_eq!(b.reply(), Some((2, Owned::Other(109))));
}

#[test]
fn when_the_far_side_is_gone_everything_is_an_error_at_once() {
    let mut b = Bench::new(far());
    let fid = b.open("/usr/bin/small", 2).unwrap();
    b.send(1, &Tread { fid, offset: 0, count: 4 });
    b.send(2, &crate::msg::Twrite { fid, offset: 0, data: crate::wire::Data(b"x") });
    b.relay.upstream_closed(&mut b.cache);
    b.pump();
    assert_eq!(b.reply(), Some((1, Owned::Error(Errno::EIO))));
    assert_eq!(b.reply(), Some((2, Owned::Error(Errno::EIO))));
    b.send(3, &Tgetattr { fid, request_mask: 0x7ff });
    b.send(4, &Tclunk { fid });
    b.pump();
    assert_eq!(b.reply(), Some((3, Owned::Error(Errno::EIO))));
    assert_eq!(b.reply(), Some((4, Owned::Other(121))));
}

#[test]
fn a_malformed_frame_of_either_side_is_named() {
    let mut b = Bench::new(far());
    let error = b.send_bytes(&[7, 0, 0, 0, 99, 1, 0]).unwrap_err();
    assert_eq!(std::format!("{error}"), "9P frame from the kernel: type 99, tag 1, size 7: there is no such message");
    let mut b = Bench::new(far());
    let Bench { relay, cache, .. } = &mut b;
    let error = relay.upstream_input(&[7, 0, 0, 0, 121, 9, 0], 1, cache).unwrap_err();
    assert_eq!(
        std::format!("{error}"),
        "9P frame from the far side: Rclunk, tag 9, size 7: nothing was asked with its tag"
    );
}

#[test]
fn sequential_reading_is_supplied_ahead() {
    let mut far = far();
    far.file("/big", &bytes(4_000_000));
    let mut b = Bench::with(far, CONFIG, memory(64, 16 * 1024), cache(1024));
    assert_eq!(b.cat("/big").unwrap(), bytes(4_000_000));
    assert!(asked(&b, "Tread") < 20, "{:?}", b.far.asked);
}

#[test]
fn a_program_that_is_read_here_and_there_is_fetched_as_a_whole() {
    let mut far = far();
    far.file("/program", &bytes(6_000_000));
    let mut b = Bench::with(far, CONFIG, memory(64, 16 * 1024), cache(4096));
    let fid = b.open("/program", 0).unwrap();
    for at in [0, 5_000_000, 2_000_000] {
        b.read_at(fid, at, 4096).unwrap();
    }
    b.far.asked.clear();
    assert_eq!(b.read_all(fid).unwrap(), bytes(6_000_000));
    assert_eq!(b.far.total(), 0, "{:?}", b.far.asked);
}

#[test]
fn what_is_read_once_is_fetched_once() {
    let mut far = far();
    far.file("/big", &bytes(30_000_000));
    let mut b = Bench::with(far, CONFIG, memory(64, 128 * 1024), cache(2048));
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
        assert!(fetched < 30_100_000, "{fetched} {:?}", b.far.asked);
    }
}
