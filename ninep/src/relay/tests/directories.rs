//! Directories: read while they change, not to be searched, more than there is room for.

use super::*;
use crate::msg::{Tlopen, Treaddir};

#[test]
fn a_directory_is_read_to_its_end_while_what_was_read_is_removed() {
    let mut server = server();
    let all: Vec<String> = (0..60).map(|i| std::format!("{i:02}{}", "x".repeat(i % 7))).collect();
    all.iter().for_each(|name| server.file(&std::format!("/usr/empty/{name}"), b"x"));
    let mut b = Bench::new(server);
    let fid = b.open("/usr/empty", 0o200_000).unwrap();
    let (mut offset, mut seen) = (0, Vec::new());
    loop {
        let Owned::Entries(entries) = b.ask(&Treaddir { fid, offset, count: 400 }).unwrap() else { panic!() };
        let Some(last) = entries.last() else { break };
        offset = last.2;
        for (name, ..) in entries.iter().filter(|(name, ..)| !name.starts_with(b".")) {
            let name = String::from_utf8(name.clone()).unwrap();
            b.unlink("/usr/empty", &name).unwrap();
            seen.push(name);
        }
    }
    assert_eq!(seen, all);
    assert_eq!(b.list("/usr/empty").unwrap().len(), 2);
}

#[test]
fn an_empty_directory_that_may_not_be_searched_is_listed_if_the_session_has_made_it() {
    let mut server = server();
    server.uid = 1000;
    server.dir("/home");
    let mut b = Bench::with(server, Config { home: b"/home", ..CONFIG }, memory(200, 16 * 1024), cache(64));
    let dfid = b.walk("/usr").unwrap();
    b.ask(&Tmkdir { dfid, name: b"made", mode: 0o040_700, gid: 0 }).unwrap();
    let fid = b.walk("/usr/made").unwrap();
    let mode = |mode| Tsetattr { fid, valid: 1, mode, ..Tsetattr::default() };
    b.ask(&mode(0o040_600)).unwrap();
    assert_eq!(b.list("/usr/made").unwrap().len(), 2);
    b.ask(&mode(0o040_700)).unwrap();
    b.create("/usr/made", "f", 0o102).unwrap();
    b.ask(&mode(0o040_600)).unwrap();
    assert_eq!(b.list("/usr/made"), Err(Errno::EACCES));
}

#[test]
fn who_looks_for_a_name_is_told_that_the_kernel_holds_every_node() {
    let mut server = server();
    (0..20).for_each(|i| server.file(&std::format!("/usr/empty/{i}"), b"x"));
    let mut b = Bench::with(server, CONFIG, memory(12, 16 * 1024), cache(16));
    let held = (0..20).take_while(|i| b.walk(&std::format!("/usr/empty/{i}")).is_ok()).count();
    assert!((1..20).contains(&held), "{held}");
    let newfid = b.new_fid();
    let wname = heapless::Vec::from_slice(&[&b"usr"[..], b"bin"]).unwrap();
    assert_eq!(b.ask(&Twalk { fid: ROOT, newfid, wname }), Err(Errno::ENFILE));
}

#[test]
fn a_fid_that_another_has_replaced_while_a_directory_was_read_is_clunked() {
    let mut b = Bench::new(server());
    let (dfid, reader) = (b.walk("/usr/bin").unwrap(), b.walk("/usr/bin").unwrap());
    b.send(1, &Tlopen { fid: reader, flags: 0 });
    b.pump();
    // The open is answered, the listing is under way.
    b.deliver(0);
    b.send(2, &Tmkdir { dfid, name: b"made", mode: 0o755, gid: 0 });
    b.pump();
    b.deliver(1);
    b.settle();
    b.received.clear();
    b.clunk(reader);
    b.clunk(dfid);
    b.settle();
    assert_eq!(b.server.open_fids(), b.relay.tree.nodes.iter().filter(|n| n.dir_open).count());
}

#[test]
fn who_goes_on_in_a_listing_that_is_another_by_now_reads_no_garbage() {
    let mut server = server();
    let all: Vec<String> = (0..600).map(|i| std::format!("{i:03}{}", "x".repeat(i % 7))).collect();
    all.iter().for_each(|name| server.file(&std::format!("/usr/empty/{name}"), b"x"));
    let mut b = Bench::new(server);
    let fid = b.open("/usr/empty", 0o200_000).unwrap();
    let first = b.ask(&Treaddir { fid, offset: 0, count: 6000 }).unwrap();
    let Owned::Entries(entries) = first else { panic!("{first:?}") };
    let offset = entries.last().unwrap().2;
    all[..3].iter().for_each(|name| b.unlink("/usr/empty", name).unwrap());
    // The kernel has taken back what it was reading.
    b.cache.reclaimable().unwrap().fill(0);
    assert_eq!(b.ask(&Treaddir { fid, offset, count: 6000 }), Err(Errno::EIO));
    assert_eq!(b.list_fid(fid, 6000).unwrap().len(), 599);
}

#[test]
fn who_goes_on_in_a_listing_that_was_fetched_again_misses_nothing() {
    let mut server = server();
    (0..600).for_each(|i| server.file(&std::format!("/usr/empty/{i}"), b"x"));
    let mut b = Bench::new(server);
    let fid = b.open("/usr/empty", 0o200_000).unwrap();
    let first = b.ask(&Treaddir { fid, offset: 0, count: 6000 }).unwrap();
    let Owned::Entries(mut entries) = first else { panic!("{first:?}") };
    b.cache.reclaimable().unwrap().fill(0);
    loop {
        let offset = entries.last().unwrap().2;
        match b.ask(&Treaddir { fid, offset, count: 6000 }).unwrap() {
            Owned::Entries(more) if more.is_empty() => break,
            more => entries.extend(if let Owned::Entries(more) = more { more } else { panic!("{more:?}") }),
        }
    }
    assert_eq!(entries.len(), 602);
}

#[test]
fn of_a_large_directory_that_is_gone_no_fid_is_forgotten() {
    let mut server = server();
    (0..300).for_each(|i| server.file(&std::format!("/usr/empty/{i}"), b"x"));
    let mut b = Bench::with(server, CONFIG, memory(400, 16 * 1024), cache(64));
    (0..300).for_each(|i| assert!(b.stat(&std::format!("/usr/empty/{i}")).is_ok()));
    b.server.unlink("/usr/empty");
    b.now += 2 * FRESH;
    assert_eq!(b.stat("/usr/empty"), Err(Errno::ENOENT));
    b.settle();
    assert_eq!(b.server.fids(), b.relay.tree.nodes.iter().filter(|n| n.ffid != 0).count());
    // The places are free for others.
    (0..500).for_each(|i| b.server.file(&std::format!("/usr/bin/{i}"), b"x"));
    (0..500).for_each(|i| assert!(b.stat(&std::format!("/usr/bin/{i}")).is_ok()));
    assert_eq!(b.server.fids(), b.relay.tree.nodes.iter().filter(|n| n.ffid != 0).count());
}

#[test]
fn a_name_that_no_program_could_open_is_left_out_and_the_others_are_not() {
    for google in [true, false] {
        let mut server = server();
        (server.google, server.msize) = (google, 8192);
        let long = "\u{434}".repeat(255);
        (0..60).for_each(|i| server.file(&std::format!("/usr/empty/{i:02}{}", &long[..(i % 4) * 126]), b"x"));
        server.file(&std::format!("/usr/bin/{long}"), b"x");
        let mut b = Bench::new(server);
        assert_eq!(b.list("/usr/empty").unwrap().len(), 2 + 45);
        assert_eq!(b.list("/usr/bin").unwrap().len(), 4);
        // Also in pieces of any size.
        let (mut pieces, mut seen) = (crate::relay::data::listing::Pieces::new(), Vec::new());
        let mut bytes = [0; 2000];
        let mut writer = crate::wire::Writer::new(&mut bytes);
        for name in [long.as_bytes(), b"a", long.as_bytes()] {
            let entry = crate::types::Dirent { qid: crate::types::Qid::default(), offset: 1, kind: 0, name };
            crate::wire::Wire::write(&entry, &mut writer);
        }
        let end = writer.written().unwrap();
        for mut piece in bytes[..end].chunks(7) {
            while let Some(entry) = pieces.next(&mut piece, false).unwrap() {
                seen.push(entry.name.to_vec());
            }
        }
        assert!(pieces.is_empty());
        assert_eq!(seen, [&b""[..], b"a", b""]);
    }
}

#[test]
fn of_all_directories_that_were_listed_few_stay_open() {
    let mut server = server();
    for i in 0..400 {
        server.dir(&std::format!("/usr/empty/{i}"));
        server.file(&std::format!("/usr/empty/{i}/f"), b"x");
    }
    let mut b = Bench::with(server, CONFIG, memory(2000, 16 * 1024), cache(1024));
    b.list("/usr/empty").unwrap();
    for i in 0..400 {
        assert_eq!(b.list(&std::format!("/usr/empty/{i}")).unwrap().len(), 3);
    }
    assert_eq!(b.server.open_fids(), 256);
    b.now += 2 * FRESH;
    assert_eq!(b.cat("/usr/empty/399/f").unwrap(), b"x");
    b.server.file("/usr/empty/399/g", b"x");
    b.now += 2 * FRESH;
    assert_eq!(b.list("/usr/empty/399").unwrap().len(), 4);
}

#[test]
fn names_that_are_asked_for_in_order_are_asked_ahead() {
    let mut server = server();
    (0..40).for_each(|i| server.file(&std::format!("/usr/empty/{i:02}"), b"x"));
    let mut b = Bench::new(server);
    let stat = |b: &mut Bench, i: usize| assert!(b.stat(&std::format!("/usr/empty/{i:02}")).is_ok());
    b.list("/usr/empty").unwrap();
    b.server.asked.clear();
    let mut trips = 0;
    for i in 0..40 {
        let before = b.server.total();
        stat(&mut b, i);
        trips += usize::from(b.server.total() > before);
    }
    assert_eq!((b.server.total(), trips), (40, 6), "{:?}", b.server.asked);
    // Without a listing, after some names.
    let mut b = b.next_session();
    b.server.file("/usr/empty/99", b"new");
    b.server.asked.clear();
    (0..40).for_each(|i| stat(&mut b, i));
    assert_eq!(b.server.total(), 44, "{:?}", b.server.asked);
}

#[test]
fn a_directory_that_the_session_changes_is_not_listed_ahead() {
    let mut b = Bench::new(server());
    for i in 0..30 {
        let fid = b.create("/usr/empty", &std::format!("{i}"), 0o102).unwrap();
        b.clunk(fid);
        assert_eq!(b.stat(&std::format!("/usr/empty/none{i}")), Err(Errno::ENOENT));
    }
    assert_eq!(asked(&b, "Treaddir"), 0);
}

#[test]
fn who_visits_all_directories_finds_them_listed() {
    let mut server = server();
    for i in 0..10 {
        server.dir(&std::format!("/usr/empty/{i}"));
        server.file(&std::format!("/usr/empty/{i}/f"), b"x");
    }
    let mut b = Bench::new(server);
    b.list("/usr/empty").unwrap();
    b.server.asked.clear();
    let mut trips = 0;
    for i in 0..10 {
        let before = b.server.total();
        assert_eq!(b.list(&std::format!("/usr/empty/{i}")).unwrap().len(), 3);
        trips += usize::from(b.server.total() > before);
    }
    assert_eq!((b.server.total(), trips), (30, 3), "{:?}", b.server.asked);
}

#[test]
fn a_long_listing_comes_in_several_messages() {
    for google in [true, false] {
        let mut server = server();
        (server.google, server.msize) = (google, 8192);
        (0..300).for_each(|i| server.file(&std::format!("/usr/empty/{i:0200}"), b"x"));
        let mut b = Bench::new(server);
        assert_eq!(b.list("/usr/empty").unwrap().len(), 302);
        assert_eq!(asked(&b, "Treaddir"), if google { 9 } else { 10 });
    }
}

#[test]
fn a_listing_that_does_not_fit_is_passed_on() {
    let mut server = server();
    let names: Vec<String> = (0..3000).map(|i| std::format!("a-file-with-a-rather-long-name-{i:05}")).collect();
    names.iter().for_each(|name| server.file(&std::format!("/usr/empty/{name}"), b"x"));
    let mut b = Bench::with(server, CONFIG, memory(64, 16 * 1024), cache(16));
    let listed = b.list("/usr/empty").unwrap();
    let listed: Vec<_> = listed.into_iter().filter(|(name, _)| name.len() > 2).collect();
    assert_eq!(listed.len(), 3000);
    assert!(listed.iter().zip(&names).all(|((name, kind), wanted)| name == wanted.as_bytes() && *kind == 8));
}

#[test]
fn a_directory_whose_names_cannot_be_looked_up_is_not_shown_as_empty() {
    let mut server = server();
    server.uid = 1000;
    server.dir("/home");
    server.at("/usr/bin").unwrap().mode = 0o040_600;
    let mut b = Bench::with(server, Config { home: b"/home", ..CONFIG }, memory(200, 16 * 1024), cache(64));
    assert_eq!(b.list("/usr/bin"), Err(Errno::EACCES));
    assert_eq!(b.stat("/usr/bin/small"), Err(Errno::EACCES));
    b.server.at("/usr/bin").unwrap().mode = 0o040_700;
    b.now += FRESH;
    assert_eq!(b.list("/usr/bin").unwrap().len(), 4);
}
