mod ahead;
mod append;
mod changes;
mod data;
mod devices;
mod dialects;
mod directories;
mod errors;
mod layers;
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

fn server() -> Model {
    let mut server = Model::new();
    server.dir("/usr");
    server.dir("/usr/bin");
    server.file("/usr/bin/true", &bytes(30_000));
    server.file("/usr/bin/small", b"#!/bin/sh\n");
    server.link("/bin", "usr/bin");
    server.dir("/usr/empty");
    server
}

fn asked(bench: &Bench, name: &str) -> usize {
    bench.server.asked.get(name).copied().unwrap_or(0)
}

#[test]
fn a_file_reads_as_it_is() {
    for google in [true, false] {
        let mut server = server();
        server.google = google;
        let mut b = Bench::new(server);
        assert_eq!(b.cat("/usr/bin/true").unwrap(), bytes(30_000));
        assert_eq!(b.cat("/usr/bin/small").unwrap(), b"#!/bin/sh\n");
        assert_eq!(b.readlink("/bin").unwrap(), b"usr/bin");
        assert_eq!(b.cat("/usr/bin/none"), Err(Errno::ENOENT));
    }
}

#[test]
fn a_small_file_costs_a_walk_an_open_and_a_read() {
    let mut b = Bench::new(server());
    b.walk("/usr/bin").unwrap();
    b.server.asked.clear();
    b.cat("/usr/bin/true").unwrap();
    assert_eq!(b.server.total(), 3, "{:?}", b.server.asked);
    b.cat("/usr/bin/true").unwrap();
    assert_eq!(b.server.total(), 3, "{:?}", b.server.asked);
}

#[test]
fn a_directory_costs_a_walk_an_open_and_a_read() {
    let mut b = Bench::new(server());
    b.walk("/usr").unwrap();
    b.server.asked.clear();
    let names = b.list("/usr/bin").unwrap();
    assert_eq!(names, [(b".".to_vec(), 4), (b"..".to_vec(), 4), (b"small".to_vec(), 8), (b"true".to_vec(), 8)]);
    assert_eq!(b.server.total(), 3, "{:?}", b.server.asked);
    // What is not listed is not there.
    assert_eq!(b.stat("/usr/bin/python3"), Err(Errno::ENOENT));
    assert_eq!(b.server.total(), 3, "{:?}", b.server.asked);
    assert_eq!(b.list("/usr/empty").unwrap().len(), 2);
    assert_eq!(
        b.list("/").unwrap(),
        [(b".".to_vec(), 4), (b"..".to_vec(), 4), (b"bin".to_vec(), 10), (b"usr".to_vec(), 4)]
    );
}

#[test]
fn a_second_session_asks_only_whether_files_are_the_same() {
    let mut b = Bench::new(server());
    b.cat("/usr/bin/true").unwrap();
    b.list("/usr/bin").unwrap();
    b.readlink("/bin").unwrap();
    let mut b = b.next_session();
    b.server.asked.clear();
    assert_eq!(b.cat("/usr/bin/true").unwrap(), bytes(30_000));
    assert_eq!(b.readlink("/bin").unwrap(), b"usr/bin");
    assert_eq!(b.list("/usr/bin").unwrap().len(), 4);
    assert_eq!(b.server.total(), asked(&b, "Twalkgetattr"), "{:?}", b.server.asked);
    assert_eq!(b.server.total(), 4, "{:?}", b.server.asked);
}

#[test]
fn a_second_session_asks_a_directory_for_names_that_were_absent() {
    let mut b = Bench::new(server());
    let absent = ["/usr/bin/a", "/usr/bin/b", "/usr/bin/c"];
    let all_absent = |b: &mut Bench| assert!(absent.iter().all(|name| b.walk(name) == Err(Errno::ENOENT)));
    all_absent(&mut b);
    let mut b = b.next_session();
    b.server.asked.clear();
    all_absent(&mut b);
    assert_eq!(b.server.total(), 2, "{:?}", b.server.asked);
    b.server.file("/usr/bin/b", b"new");
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
    let mut b = Bench::new(server());
    b.cat("/usr/bin/true").unwrap();
    b.list("/usr/bin").unwrap();
    b.server.file("/usr/bin/true", b"another");
    b.server.file("/usr/bin/new", b"new");
    let mut b = b.next_session();
    assert_eq!(b.cat("/usr/bin/true").unwrap(), b"another");
    assert_eq!(b.cat("/usr/bin/new").unwrap(), b"new");
    assert_eq!(b.list("/usr/bin").unwrap().len(), 5);
}

#[test]
fn a_change_elsewhere_shows_within_the_bound() {
    let mut b = Bench::new(server());
    assert_eq!(b.cat("/usr/bin/small").unwrap(), b"#!/bin/sh\n");
    assert_eq!(b.stat("/usr/bin/later"), Err(Errno::ENOENT));
    b.list("/usr/bin").unwrap();
    b.server.file("/usr/bin/small", b"changed");
    b.server.file("/usr/bin/later", b"here");
    b.server.unlink("/usr/bin/true");
    b.now += FRESH;
    assert_eq!(b.cat("/usr/bin/small").unwrap(), b"changed");
    assert_eq!(b.cat("/usr/bin/later").unwrap(), b"here");
    assert_eq!(b.stat("/usr/bin/true"), Err(Errno::ENOENT));
    assert_eq!(b.list("/usr/bin").unwrap().len(), 4);
}

#[test]
fn without_a_bound_nothing_is_answered_from_memory() {
    let config = Config { freshness_ms: 0, ..CONFIG };
    let mut b = Bench::with(server(), config, memory(200, 16 * 1024), cache(64));
    for i in 0..20 {
        let text = std::format!("round {i}");
        b.server.file("/usr/bin/small", text.as_bytes());
        assert_eq!(b.cat("/usr/bin/small").unwrap(), text.as_bytes());
        assert_eq!(b.stat("/usr/bin/small").unwrap().size, text.len() as u64);
    }
}

#[test]
fn a_name_that_somebody_else_removed_is_an_error_and_no_endless_question() {
    let mut b = Bench::new(server());
    b.cat("/usr/bin/small").unwrap();
    let mut b = b.next_session();
    // In the cache, so the server has not opened it.
    b.open("/usr/bin/small", 0).unwrap();
    b.server.unlink("/usr/bin/small");
    assert_eq!(b.unlink("/usr/bin", "small"), Err(Errno::ENOENT));
    b.list("/usr/empty").unwrap();
    let dfid = b.walk("/usr/empty").unwrap();
    b.server.unlink("/usr/empty");
    let mkdir = Tmkdir { dfid, name: b"made", mode: 0o755, gid: 0 };
    assert_eq!(b.ask(&mkdir), Err(Errno::ESTALE));
}

#[test]
fn the_kernel_numbers_files_as_they_are_numbered_at_home() {
    let mut b = Bench::new(server());
    let fid = b.walk("/usr/bin/small").unwrap();
    let Owned::Attr(_, path, _) = b.ask(&Tgetattr { fid, request_mask: 0x7ff }).unwrap() else { panic!("no Rgetattr") };
    // v9fs adds 2.
    assert_eq!(Some(path + 2), b.server.ino("/usr/bin/small"));
}

#[test]
fn more_files_than_places_are_walked_again() {
    let mut server = server();
    for i in 0..300 {
        server.file(&std::format!("/usr/empty/{i}"), &bytes(i));
    }
    let mut b = Bench::with(server, CONFIG, memory(40, 16 * 1024), cache(16));
    for _ in 0..2 {
        for i in 0..300 {
            assert_eq!(b.cat(&std::format!("/usr/empty/{i}")).unwrap(), bytes(i), "{i}");
        }
    }
}

#[test]
fn replies_may_come_in_any_order() {
    let mut b = Bench::new(server());
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
    let mut b = Bench::new(server());
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
fn when_the_server_is_gone_everything_is_an_error_at_once() {
    let mut b = Bench::new(server());
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
    let mut b = Bench::new(server());
    let error = b.send_bytes(&[7, 0, 0, 0, 99, 1, 0]).unwrap_err();
    assert_eq!(std::format!("{error}"), "9P frame from the kernel: type 99, tag 1, size 7: there is no such message");
    let mut b = Bench::new(server());
    let Bench { relay, cache, .. } = &mut b;
    let error = relay.upstream_input(&[7, 0, 0, 0, 121, 9, 0], 1, cache).unwrap_err();
    assert_eq!(
        std::format!("{error}"),
        "9P frame from the client's server: Rclunk, tag 9, size 7: nothing was asked with its tag"
    );
}
