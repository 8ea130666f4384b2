//! The /dev of a session: what udev would make of it, and nobody else's.

use std::fs;

use qemu_tests::artifacts::scratch;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::programs;
use qemu_tests::skip::announce;

use crate::{machine, v3};

/// A session of another user's: it has another relay, and another key.
fn of_another_user(port: u16, words: &[&str]) -> String {
    let key = Key::user(Kind::Ed25519).private;
    v3(port, &["-user", "glenda", "-key", key.to_str().expect("UTF-8")], words).ok()
}

#[test]
fn descriptors_are_files_below_dev_fd() {
    let vm = machine!(shared);
    assert_eq!(v3(vm.port, &[], &["bash", "-c", "cat <(echo hi)"]).ok(), "hi");
    assert_eq!(v3(vm.port, &[], &["bash", "-c", "paste <(echo a) <(echo b)"]).ok(), "a\tb");
    let names = v3(vm.port, &[], &["sh", "-c", "exec 7</dev/null; ls /dev/fd/; readlink /dev/fd/7"]).ok();
    assert_eq!(names, "0\n1\n2\n3\n7\n/dev/null");
}

#[test]
fn standard_streams_have_names() {
    let vm = machine!(shared);
    let script = "echo y > /dev/stdout; echo z | tee /dev/stderr; echo in | cat /dev/stdin; echo e > /dev/stderr";
    let outcome = v3(vm.port, &[], &["sh", "-c", script]);
    assert_eq!((outcome.ok().as_str(), outcome.complaint().as_str()), ("y\nz\nin", "z\ne\n"));
    let links = v3(vm.port, &[], &["sh", "-c", "cd /dev; for l in fd stdin stdout stderr; do readlink $l; done"]).ok();
    assert_eq!(links, "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2");
}

#[test]
fn processes_share_memory() {
    let vm = machine!(shared);
    if programs::are_foreign() {
        return announce("the python3-minimal of the board's programs has no multiprocessing");
    }
    let script = "import multiprocessing as m\nwith m.Pool(2) as pool: print(pool.map(abs, [-1, -2]))";
    assert_eq!(v3(vm.port, &[], &["/usr/bin/python3", "-c", script]).ok(), "[1, 2]");
    let modes = v3(vm.port, &[], &["stat", "-c", "%a %u", "/dev", "/dev/shm", "/dev/null", "/dev/mem"]).ok();
    assert_eq!(modes, "755 0\n1777 0\n666 0\n600 0");
}

#[test]
fn every_device_of_the_machine_is_there_and_works() {
    let vm = machine!(shared);
    let list = "cd $0 && find . -path ./pts -prune -o \\( -type c -o -type b \\) -exec stat -c '%n %F %t:%T %a' {} +";
    let all = |place| {
        let text = v3(vm.port, &[], &["sh", "-c", list, place]).ok();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let (own, machines) = (all("/dev"), all("/tmp/local/dev"));
    assert!(own.iter().any(|line| line.starts_with("./cpu/") || line.starts_with("./null ")), "{own:?}");
    assert_eq!(own, machines);
    let script = "echo gone > /dev/null; head -c 3 /dev/zero | wc -c; head -c 5 /dev/urandom | wc -c; \
                  echo k > /dev/full || echo full; head -c 1 /tmp/local/dev/zero | wc -c";
    assert_eq!(v3(vm.port, &[], &["sh", "-c", script]).ok(), "3\n5\nfull\n1");
    // A machine that was started without a ROM has none.
    if own.iter().any(|line| line.starts_with("./mtd0 ")) {
        assert_eq!(v3(vm.port, &[], &["sh", "-c", "head -c 4096 /dev/mtd0 | wc -c"]).ok(), "4096");
    }
}

#[test]
fn a_terminal_is_known_by_its_name() {
    let vm = machine!(shared);
    let script = "[ $(tty) = $(readlink /dev/fd/0) ] && echo same > /dev/tty; : > $(tty) && echo written > /dev/stdout";
    let text = v3(vm.port, &["-pty", "80x24"], &["sh", "-c", script]).ok();
    assert_eq!(text.replace('\r', ""), "same\nwritten");
}

#[test]
fn nothing_of_one_session_is_left_for_another() {
    let vm = machine!(shared);
    let leave = "for d in /dev /dev/shm /dev/cpu /run /tmp /; do [ ! -d $d ] || echo secret > $d/left; done; \
                 cat /dev/left; rm /dev/null; echo secret > /tmp/local/dev/left; chmod 600 /tmp/local/dev/zero; \
                 find /dev /run -name left | wc -l";
    let outcome = v3(vm.port, &[], &["sh", "-c", leave]);
    let found: u32 = outcome.ok().lines().last().and_then(|n| n.parse().ok()).expect("a number");
    assert!(outcome.text().starts_with("secret\n") && found >= 3, "{}", outcome.text());
    assert_eq!(outcome.complaint().matches("Read-only file system").count(), 2, "{}", outcome.complaint());
    let look = "find /dev /run -name left; ls -d /left /tmp/left 2>/dev/null; stat -c '%F %a' /dev/null /dev/zero";
    assert_eq!(of_another_user(vm.port, &["sh", "-c", look]), "character special file 666\ncharacter special file 666");
}

/// Such a session has no program of its own, and its mounts are made in a root of its own.
#[test]
fn a_session_without_files_leaves_no_mount_point() {
    let vm = machine!(shared);
    let table = scratch("devs").join("fstab");
    fs::write(&table, "left /dev/left tmpfs size=1m 0 0\nleft /left tmpfs size=1m 0 0\n").expect("a file of our own");
    v3(vm.port, &["-9p=false", "-fstab", table.to_str().expect("UTF-8")], &["version"]).ok();
    let look = "ls -d /tmp/local/left /tmp/local/dev/left /dev/left";
    let outcome = v3(vm.port, &[], &["sh", "-c", look]);
    assert_eq!((outcome.code(), outcome.text().as_str()), (2, ""), "{}", outcome.complaint());
}
