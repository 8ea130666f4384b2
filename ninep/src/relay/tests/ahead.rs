//! What is asked for before the kernel asks.

use super::*;
use crate::msg::Tlopen;
use crate::relay::testkit::refuse;

/// A fid for a file that is not open, whose attributes are known.
fn known(b: &mut Bench, path: &str) -> u32 {
    let fid = b.walk(path).unwrap();
    b.server.asked.clear();
    fid
}

/// Sends Tlopen, whose answer and that to what follows it stay under way.
fn opening(b: &mut Bench, fid: u32) {
    b.send(1, &Tlopen { fid, flags: 0 });
    b.pump();
    assert_eq!((b.server.total(), b.relay.due()), (1, Some(3)), "{:?}", b.server.asked);
    b.now += 3;
    b.pump();
    assert_eq!((b.server.total(), b.replies.len(), b.relay.due()), (2, 2, None), "{:?}", b.server.asked);
}

#[test]
fn what_is_being_opened_is_read_already() {
    let mut b = Bench::new(server());
    let fid = known(&mut b, "/usr/bin/true");
    opening(&mut b, fid);
    b.settle();
    assert_eq!(b.reply(), Some((1, Owned::Other(13))));
    assert_eq!(b.read_all(fid).unwrap(), bytes(30_000));
    assert_eq!(b.server.total(), 2, "{:?}", b.server.asked);

    let fid = known(&mut b, "/usr");
    opening(&mut b, fid);
    b.settle();
    assert_eq!(b.reply(), Some((1, Owned::Other(13))));
    assert_eq!(b.list_fid(fid, 2000).unwrap().len(), 4);
    assert_eq!(b.server.total(), 2, "{:?}", b.server.asked);
}

#[test]
fn a_read_that_overtook_its_open_is_asked_again() {
    // The server answers in either order.
    for first in [0, 1] {
        for (path, kind) in [("/usr/bin/true", "Tread"), ("/usr", "Treaddir")] {
            let mut b = Bench::new(server());
            let fid = known(&mut b, path);
            opening(&mut b, fid);
            refuse(&mut b.replies[1]);
            b.deliver(first);
            b.settle();
            assert_eq!(b.reply(), Some((1, Owned::Other(13))));
            if kind == "Tread" {
                assert_eq!(b.read_all(fid).unwrap(), bytes(30_000));
            } else {
                assert_eq!(b.list_fid(fid, 2000).unwrap().len(), 4);
            }
            assert_eq!((b.server.total(), asked(&b, kind)), (3, 2), "{:?}", b.server.asked);
        }
    }
}

#[test]
fn who_may_not_open_a_file_is_told_so_once() {
    for first in [0, 1] {
        for path in ["/usr/bin/true", "/usr"] {
            let mut b = Bench::new(server());
            let fid = known(&mut b, path);
            opening(&mut b, fid);
            b.replies.iter_mut().for_each(refuse);
            b.deliver(first);
            b.settle();
            assert_eq!(b.reply(), Some((1, Owned::Error(Errno::EINVAL))));
            assert_eq!(b.server.total(), 2, "{:?}", b.server.asked);
        }
    }
}

#[test]
fn attributes_can_be_asked_for_while_a_file_is_being_opened() {
    let mut b = Bench::new(server());
    let fid = known(&mut b, "/usr/bin/true");
    let newfid = b.new_fid();
    b.ask(&Twalk { fid, newfid, wname: heapless::Vec::new() }).unwrap();
    b.send(1, &Tlopen { fid: newfid, flags: 0 });
    b.pump();
    b.now += 2 * FRESH;
    b.send(2, &Tgetattr { fid, request_mask: 0x7ff });
    b.settle();
    assert_eq!(b.reply(), Some((1, Owned::Other(13))));
    assert!(matches!(b.reply(), Some((2, Owned::Attr(..)))));
}

#[test]
fn a_small_directory_is_listed_when_two_names_were_not_in_it() {
    let mut b = Bench::new(server());
    let mut asked = |name: &str| {
        b.server.asked.clear();
        assert_eq!(b.stat(&std::format!("/usr/bin/{name}")), Err(Errno::ENOENT));
        b.server.total()
    };
    assert_eq!(["none", "nobody", "nothing", "nowhere"].map(&mut asked)[2..], [0, 0]);

    // Whoever looks for one program in the folders of PATH does not wait for their listings.
    let mut b = Bench::new(server());
    b.stat("/usr/bin").unwrap();
    b.server.asked.clear();
    assert_eq!(b.stat("/usr/bin/none"), Err(Errno::ENOENT));
    assert_eq!(b.server.total(), 1, "{:?}", b.server.asked);
}

/// Modules of a language that keeps them compiled in a directory beside them.
fn modules() -> Model {
    let mut server = server();
    for directory in ["/usr/lib", "/usr/lib/json"] {
        server.dir(directory);
        server.dir(&std::format!("{directory}/cache"));
        for name in ["a", "b", "c", "d"] {
            server.file(&std::format!("{directory}/{name}.py"), name.as_bytes());
            server.file(&std::format!("{directory}/cache/{name}.311.pyc"), &bytes(5000));
        }
        for name in ["only", "other"] {
            server.file(&std::format!("{directory}/{name}.py"), b"alone");
        }
    }
    server
}

fn import(b: &mut Bench, directory: &str, name: &str) {
    b.stat(&std::format!("{directory}/{name}.py")).unwrap();
    assert_eq!(b.cat(&std::format!("{directory}/cache/{name}.311.pyc")).unwrap(), bytes(5000));
}

#[test]
fn what_was_used_after_a_file_twice_is_asked_for_with_the_next() {
    let mut b = Bench::new(modules());
    import(&mut b, "/usr/lib", "a");
    import(&mut b, "/usr/lib", "b");
    b.server.asked.clear();
    b.stat("/usr/lib/c.py").unwrap();
    assert_eq!((asked(&b, "Twalkgetattr"), asked(&b, "Tlopen")), (2, 1), "{:?}", b.server.asked);
    import(&mut b, "/usr/lib", "c");
    assert_eq!(b.server.total(), 4, "{:?}", b.server.asked);
    // In another directory, of which nothing is known.
    b.walk("/usr/lib/json").unwrap();
    b.server.asked.clear();
    b.stat("/usr/lib/json/a.py").unwrap();
    import(&mut b, "/usr/lib/json", "a");
    assert_eq!(b.server.total(), 5, "{:?}", b.server.asked);
    // That it is not there once is no reason to expect it no more; that it is not there twice is one.
    b.stat("/usr/lib/json/only.py").unwrap();
    b.server.asked.clear();
    b.stat("/usr/lib/only.py").unwrap();
    assert_eq!(asked(&b, "Twalkgetattr"), 2, "{:?}", b.server.asked);
    b.server.asked.clear();
    b.stat("/usr/lib/json/other.py").unwrap();
    assert_eq!(b.server.total(), 1, "{:?}", b.server.asked);
}

#[test]
fn the_kernel_finds_a_file_that_is_being_opened_ahead() {
    let mut b = Bench::new(modules());
    import(&mut b, "/usr/lib", "a");
    import(&mut b, "/usr/lib", "b");
    let (parent, directory) = (b.walk("/usr/lib").unwrap(), b.walk("/usr/lib/cache").unwrap());
    let names = [&b"c.py"[..], b"c.311.pyc"].map(|name| heapless::Vec::from_slice(&[name]).unwrap());
    let [source, compiled] = names;
    let [first, second] = [b.new_fid(), b.new_fid()];
    b.server.asked.clear();
    b.send(1, &Twalk { fid: parent, newfid: first, wname: source });
    b.pump();
    b.deliver(0);
    b.deliver(0);
    // Tlopen is under way.
    assert_eq!(b.replies.len(), 1, "{:?}", b.server.asked);
    b.send(2, &Twalk { fid: directory, newfid: second, wname: compiled });
    b.settle();
    assert_eq!([b.reply(), b.reply()].map(|r| r.unwrap().1), [Owned::Other(111), Owned::Other(111)]);
    assert_eq!((b.server.total(), asked(&b, "Tlopen")), (3, 1), "{:?}", b.server.asked);
}

#[test]
fn a_link_is_read_and_followed_as_soon_as_it_is_found() {
    let mut b = Bench::new(server());
    b.server.asked.clear();
    b.walk("/bin").unwrap();
    assert_eq!((asked(&b, "Treadlink"), asked(&b, "Twalkgetattr")), (1, 2), "{:?}", b.server.asked);
    b.server.asked.clear();
    assert_eq!(b.readlink("/bin").unwrap(), b"usr/bin");
    b.stat("/usr").unwrap();
    assert_eq!(b.server.total(), 0, "{:?}", b.server.asked);

    // By directories that have to be asked for again.
    let mut b = Bench::new(server());
    b.walk("/usr/empty").unwrap();
    b.now += 2 * FRESH;
    b.walk("/bin").unwrap();
    b.server.asked.clear();
    b.stat("/usr/bin").unwrap();
    assert_eq!(b.server.total(), 0, "{:?}", b.server.asked);
}

#[test]
fn the_names_of_the_root_are_asked_for_together() {
    let config = Config { names: b"usr/bin/none/", ..CONFIG };
    let mut b = Bench::with(server(), config, memory(200, 16 * 1024), cache(64));
    // The fourth is what the link says, and one is for the client's mounts.
    assert_eq!(asked(&b, "Twalkgetattr"), 5, "{:?}", b.server.asked);
    b.server.asked.clear();
    b.stat("/usr").unwrap();
    b.readlink("/bin").unwrap();
    assert_eq!(b.stat("/none"), Err(Errno::ENOENT));
    assert_eq!(b.server.total(), 0, "{:?}", b.server.asked);
}

#[test]
fn the_link_that_cpud_makes_again_is_not_followed() {
    let mut server = server();
    server.link("/sbin", "usr/sbin");
    server.dir("/usr/sbin");
    let mut b = Bench::with(server, Config { names: b"sbin", ..CONFIG }, memory(200, 16 * 1024), cache(64));
    assert_eq!(b.readlink("/sbin").unwrap(), b"usr/sbin");
    b.settle();
    // The name of the link, and one for the client's mounts.
    assert_eq!((asked(&b, "Treadlink"), asked(&b, "Twalkgetattr")), (1, 2), "{:?}", b.server.asked);
}

#[test]
fn links_of_the_root_are_followed_at_once_when_an_earlier_session_has_read_them() {
    let mut b = Bench::new(server());
    b.readlink("/bin").unwrap();
    let Bench { relay, mut cache, server, .. } = b;
    relay.into_memory(&mut cache);
    for names in [&b"bin/usr/"[..], b"usr/bin/"] {
        let mut b = Bench::with(server.clone(), Config { names, ..CONFIG }, memory(200, 16 * 1024), cache);
        b.server.asked.clear();
        b.readlink("/bin").unwrap();
        b.stat("/usr/bin").unwrap();
        assert_eq!(b.server.total(), 0, "{:?}", b.server.asked);
        b.relay.into_memory(&mut b.cache);
        cache = b.cache;
    }
}

#[test]
fn what_is_used_is_asked_for_again_before_it_is_too_old() {
    let mut b = Bench::new(server());
    let fid = known(&mut b, "/usr/bin/true");
    for trip in 0..10 {
        b.now += FRESH * 8 / 10;
        b.send(1, &Tgetattr { fid, request_mask: 0x7ff });
        b.pump();
        // It did not have to wait for the question.
        assert!(matches!(b.reply(), Some((1, Owned::Attr(..)))), "{trip}");
        b.settle();
    }
    assert_eq!(b.server.total(), 10, "{:?}", b.server.asked);
    b.server.asked.clear();
    b.now += FRESH / 2;
    b.attr(fid).unwrap();
    assert_eq!(b.server.total(), 0, "{:?}", b.server.asked);
}

#[test]
fn what_was_used_together_is_asked_about_together() {
    let mut server = server();
    (0..20).for_each(|i| server.file(&std::format!("/usr/empty/{}", i * 7 % 20), b"x"));
    let mut b = Bench::new(server);
    let round = |b: &mut Bench| {
        let mut trips = 0;
        for i in 0..20 {
            let before = b.server.total();
            b.stat(&std::format!("/usr/empty/{i}")).unwrap();
            trips += usize::from(b.server.total() > before);
        }
        trips
    };
    // Only what was asked for twice is expected to be asked for again.
    round(&mut b);
    b.now += 2 * FRESH;
    round(&mut b);
    b.server.asked.clear();
    b.now += 2 * FRESH;
    // Each with eight others, or with those that come after it in the listing.
    assert!(round(&mut b) <= 3, "{:?}", b.server.asked);
    assert!(b.server.total() <= 23, "{:?}", b.server.asked);

    // Those that the kernel did not come back to are left alone: the file is asked for, and what is above it.
    let mut asked = || {
        b.now += 2 * FRESH;
        b.server.asked.clear();
        b.stat("/usr/empty/0").unwrap();
        b.server.total()
    };
    let (expected, alone) = (asked(), asked());
    assert!(expected > 8 && alone <= 4, "{expected} {alone}");
}

#[test]
fn the_first_name_of_one_directory_is_asked_for_in_the_next() {
    let mut server = server();
    for package in ["a", "b", "b/cache", "c", "d", "e"] {
        server.dir(&std::format!("/usr/{package}"));
        if package != "d" {
            server.file(&std::format!("/usr/{package}/__init__.py"), b"");
        }
    }
    let mut b = Bench::new(server);
    b.stat("/usr/a/__init__.py").unwrap();
    let asked_for = |b: &mut Bench, path: &str| {
        b.server.asked.clear();
        b.walk(path).map(|_| asked(b, "Twalkgetattr"))
    };
    assert_eq!(asked_for(&mut b, "/usr/b"), Ok(2));
    assert_eq!(asked_for(&mut b, "/usr/b/cache"), Ok(1));
    assert_eq!(asked_for(&mut b, "/usr/c"), Ok(2));
    assert_eq!(asked_for(&mut b, "/usr/c/__init__.py"), Ok(0));
    // It is not there, and not expected any more.
    assert_eq!(asked_for(&mut b, "/usr/d"), Ok(2));
    assert_eq!(asked_for(&mut b, "/usr/e"), Ok(1));
}
