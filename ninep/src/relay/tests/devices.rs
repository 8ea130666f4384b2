//! Devices, inode numbers that change by themselves, and who the client's user is.

use std::borrow::ToOwned;

use super::*;
use crate::msg::{Rstatfs, Tstatfs};
use crate::relay::testkit::STAT;

/// A disk, a second one at /home, a stick whose name has a space, and a directory of the first disk bound to another.
const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 8:2 / /home rw,relatime shared:2 master:7 - ext4 /dev/sdb1 rw
24 23 0:41 / /home/usb\\040stick rw - tmpfs none rw,size=64k
25 22 8:1 /usr/bin /mnt rw,relatime shared:1 - ext4 /dev/sda1 rw
26 22 8:2 /u/file /etc/file rw - ext4 /dev/sdb1 rw
";

fn client() -> Model {
    let mut server = server();
    server.mounts(MOUNTS);
    for directory in ["/home", "/home/u", "/home/usb stick", "/mnt", "/etc"] {
        server.dir(directory);
    }
    for file in ["/home/usb stick/photo", "/home/u/file", "/mnt/true", "/etc/file", "/etc/other"] {
        server.file(file, b"x");
    }
    server
}

fn device(b: &mut Bench, path: &str) -> u64 {
    b.stat(path).unwrap().gen_number
}

#[test]
fn a_file_is_on_the_device_that_the_clients_mounts_say() {
    for google in [true, false] {
        let mut server = client();
        server.google = google;
        let mut b = Bench::new(server);
        let [disk, home, stick] = ["/usr/bin/true", "/home", "/home/usb stick"].map(|path| device(&mut b, path));
        assert!(disk == 0 && home != 0 && stick != 0 && home != stick, "{disk} {home} {stick}");
        for path in ["/", "/mnt", "/mnt/true", "/etc", "/etc/other"] {
            assert_eq!(device(&mut b, path), disk, "{path}");
        }
        for path in ["/home/u", "/home/u/file", "/etc/file"] {
            assert_eq!(device(&mut b, path), home, "{path}");
        }
        assert_eq!(device(&mut b, "/home/usb stick/photo"), stick);
    }
}

#[test]
fn what_asks_before_the_mounts_are_known_waits_for_them() {
    let mut server = client();
    // The root of a file system, which is found before anything is known of the mounts.
    server.number("/home", 2);
    let config = Config { names: b"home", ..CONFIG };
    let mut b = Bench::with(server, config, memory(200, 16 * 1024), cache(64));
    let home = device(&mut b, "/home");
    assert_ne!(home, 0);
    assert_eq!(device(&mut b, "/home/u/file"), home);
    assert_eq!(device(&mut b, "/etc/file"), home);
}

#[test]
fn the_clients_mounts_cost_five_messages_and_spare_two() {
    let count = |server: Model| {
        let mut b = Bench::with(server, Config { home: b"/home", ..CONFIG }, memory(200, 16 * 1024), cache(64));
        b.stat("/usr").unwrap();
        b.server.total()
    };
    let mut without = server();
    without.dir("/home");
    // Version, attach, proc/self in vain, the owner of the home, the name.
    assert_eq!((count(client()), count(without)), (8, 5));
}

#[test]
fn without_a_proc_a_low_inode_number_begins_a_device() {
    let mut server = server();
    server.dir("/data");
    server.number("/data", 2);
    server.file("/data/file", b"x");
    let mut b = Bench::new(server);
    assert_ne!(device(&mut b, "/data"), 0);
    assert_eq!(device(&mut b, "/data/file"), device(&mut b, "/data"));
    assert_eq!(device(&mut b, "/usr"), 0);
}

#[test]
fn low_inode_numbers_within_a_device_begin_none() {
    let mut server = client();
    server.dir("/home/usb stick/album");
    server.number("/home/usb stick/album", 5);
    server.number("/home/usb stick", 1);
    let mut b = Bench::new(server);
    assert_eq!(device(&mut b, "/home/usb stick/album"), device(&mut b, "/home/usb stick"));
}

#[test]
fn a_subvolume_of_btrfs_is_a_device_whether_it_is_mounted_or_not() {
    let mut server = server();
    server.mounts(
        "22 1 0:30 /@ / rw - btrfs /dev/sda rw,subvolid=256,subvol=/@\n\
         23 22 0:30 /@home /home rw - btrfs /dev/sda rw,subvolid=257,subvol=/@home\n",
    );
    for directory in ["/home", "/home/sub", "/home/sub/below"] {
        server.dir(directory);
    }
    server.number("/home/sub", 256);
    let mut b = Bench::new(server);
    let [root, home, sub, below] = ["/usr", "/home", "/home/sub", "/home/sub/below"].map(|path| device(&mut b, path));
    assert!(root == 0 && home != 0 && sub != 0 && sub != home, "{home} {sub}");
    assert_eq!(below, sub);
}

#[test]
fn mounts_beyond_the_room_for_them_are_told_by_their_inode_numbers() {
    let mut server = client();
    let many: String = (0..20).map(|i| std::format!("{i} 22 0:{i} / /run/{i} rw - tmpfs t rw\n")).collect();
    server.mounts(&(MOUNTS.to_owned() + &many + "99 22 0:99 / /last rw - tmpfs t rw\n"));
    server.dir("/last");
    server.number("/last", 1);
    let mut b = Bench::new(server);
    assert_ne!(device(&mut b, "/last"), 0);
    assert_eq!((device(&mut b, "/usr"), device(&mut b, "/mnt")), (0, 0));
    assert_ne!(device(&mut b, "/home"), 0);
}

#[test]
fn a_stick_that_is_mounted_during_a_session_is_a_device_and_none_when_it_is_gone() {
    let mut server = client();
    server.dir("/media");
    server.dir("/media/late");
    let mut b = Bench::new(server);
    assert_eq!(device(&mut b, "/media/late"), 0);
    let plain = b.server.ino("/media/late").unwrap();
    b.server.mounts(&(MOUNTS.to_owned() + "40 22 0:50 / /media/late rw - tmpfs none rw\n"));
    b.server.number("/media/late", 1);
    b.now += 2 * FRESH;
    let late = device(&mut b, "/media/late");
    assert_ne!(late, 0);
    assert_ne!(late, device(&mut b, "/home"));
    b.server.mounts(MOUNTS);
    b.server.number("/media/late", plain);
    b.now += 2 * FRESH;
    assert_eq!(device(&mut b, "/media/late"), 0);
}

#[test]
fn df_names_the_device() {
    let mut b = Bench::new(client());
    for path in ["/usr", "/home/u"] {
        let fid = b.walk(path).unwrap();
        b.send(9, &Tstatfs { fid });
        b.settle();
        let frame = b.received.pop_front().unwrap();
        let (_, message) = crate::msg::Message::decode(&frame).unwrap();
        let crate::msg::Message::Rstatfs(Rstatfs { kind, fsid, .. }) = message else { panic!("{message:?}") };
        assert_eq!((kind, fsid), (0x6573_5546, device(&mut b, path)));
    }
}

#[test]
fn the_upstream_user_is_whose_process_it_is() {
    let mut server = client();
    server.uid = 1000;
    let mut b = Bench::new(server);
    assert_eq!(b.stat("/home").unwrap().uid, 0);
}

#[test]
fn a_directory_whose_inode_number_changes_by_itself_stays_the_same() {
    for (kind, stays) in [("fuse.sshfs", true), ("overlay", true), ("ext4", false)] {
        let mut server = server();
        server.mounts(&std::format!("22 1 0:30 / / rw - {kind} none rw\n"));
        let mut b = Bench::new(server);
        let directory = b.walk("/usr/bin").unwrap();
        let before = b.ask(&Tgetattr { fid: directory, request_mask: STAT });
        b.server.drift = 5000;
        b.now += 2 * FRESH;
        let after = b.ask(&Tgetattr { fid: directory, request_mask: STAT });
        assert_eq!(after == before, stays, "{kind}");
        // Programs in it go on, and find it under its name.
        assert_eq!(b.list("/usr/bin").unwrap().len(), 4);
        assert_eq!(b.cat("/usr/bin/small").unwrap(), b"#!/bin/sh\n");
        let again = b.walk("/usr/bin").unwrap();
        assert_eq!(b.ask(&Tgetattr { fid: again, request_mask: STAT }), after);
    }
}

#[test]
fn a_file_that_is_replaced_there_is_seen_anew() {
    let mut server = server();
    server.mounts("22 1 0:30 / / rw - overlay none rw\n");
    let mut b = Bench::new(server);
    let old = b.open("/usr/bin/small", 0).unwrap();
    assert_eq!(b.read_all(old).unwrap(), b"#!/bin/sh\n");
    let before = b.walk("/usr/bin/small").unwrap();
    let before = b.ask(&Tgetattr { fid: before, request_mask: STAT });
    b.server.unlink("/usr/bin/small");
    b.server.file("/usr/bin/small", b"#!/bin/ls\n");
    b.now += 2 * FRESH;
    assert_eq!(b.cat("/usr/bin/small").unwrap(), b"#!/bin/ls\n");
    let after = b.walk("/usr/bin/small").unwrap();
    assert_ne!(b.ask(&Tgetattr { fid: after, request_mask: STAT }), before);
    // Its number alone may change.
    let before = b.ask(&Tgetattr { fid: after, request_mask: STAT });
    b.server.drift = 5000;
    b.now += 2 * FRESH;
    assert_eq!(b.ask(&Tgetattr { fid: after, request_mask: STAT }), before);
    assert_eq!(b.cat("/usr/bin/small").unwrap(), b"#!/bin/ls\n");
}
