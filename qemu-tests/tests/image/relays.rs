//! A relay that does not answer, and what waits for it.

use std::time::{Duration, Instant};

use qemu_tests::client::Client;
use qemu_tests::console::Mark;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::look::others;
use qemu_tests::run::start;
use qemu_tests::vm::Vm;

use crate::{LIMIT, machine, v3};

/// A session's processes are gone within 5 s of its end, where the machine is not an emulated one that shares its
/// processors with other tests.
const BOUND: Duration = Duration::from_secs(20);

/// Stops the relay of the session, which is who holds the file with its counters, by words of the shell's own: they need
/// no file.
const STOP: &str = "for f in /proc/[0-9]*/fd/*; do \
    [ $f -ef /tmp/cpu-stats ] && p=${f#/proc/} && kill -STOP ${p%%/*}; done; echo stopped; ";

/// The console says whose relay is ended, and why.
fn expect_end(vm: &Vm, since: Mark) {
    let words = ["the relay of", &Key::user(Kind::Rsa2048).fingerprint(), "has not answered for 3 s"];
    vm.console.expect(since, &words, BOUND);
}

/// No more processes than before, and files for the same user's next session.
fn expect_nothing_left(vm: &Vm, before: usize) {
    let start = Instant::now();
    loop {
        let all = vm.processes();
        let left = others(&all);
        if left.len() <= before {
            break;
        }
        assert!(start.elapsed() < BOUND, "left over: {left:#?}");
    }
    assert_eq!(v3(vm.port, &[], &["sh", "-c", "echo works"]).ok(), "works");
}

#[test]
fn kill_works_while_the_relay_is_stopped_and_the_client_is_told() {
    let vm = machine!(alone);
    let before = others(&vm.processes()).len();
    for waiting in ["cat /usr/lib/os-release", "ls -R /etc & wait", "while :; do ls /usr/games; done"] {
        let mark = vm.console.mark();
        let killed = v3(vm.port, &["-on", "stopped=signal KILL"], &["sh", "-c", &format!("{STOP}{waiting}")]);
        assert_eq!(killed.code(), 128 + 9, "{}", killed.complaint());
        expect_end(&vm, mark);
        expect_nothing_left(&vm, before);
    }
}

#[test]
fn a_client_that_goes_while_its_relay_is_stopped_leaves_nothing() {
    let vm = machine!(alone);
    let before = others(&vm.processes()).len();
    let mark = vm.console.mark();
    let script = format!("(while :; do cat /usr/lib/os-release; done) & {STOP} ls /usr/games");
    assert_eq!(v3(vm.port, &["-on", "stopped=die"], &["sh", "-c", &script]).code(), 128 + 9);
    expect_end(&vm, mark);
    expect_nothing_left(&vm, before);
}

#[test]
fn the_login_after_one_with_a_stopped_relay_gets_a_new_relay() {
    let vm = machine!(alone);
    let before = others(&vm.processes()).len();
    let mark = vm.console.mark();
    let mut client = Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}"));
    let words = ["sh", "-c", &format!("{STOP} echo here > /dev/console; while :; do :; done")];
    let stays = start(client.command(&words), Vec::new());
    vm.console.expect(mark, &["here"], LIMIT);
    assert_ne!(v3(vm.port, &[], &["echo", "no files"]).code(), 0);
    expect_end(&vm, mark);
    assert_eq!(v3(vm.port, &[], &["echo", "files"]).ok(), "files");
    stays.signal("KILL");
    let _ = stays.within(LIMIT);
    expect_nothing_left(&vm, before);
}
