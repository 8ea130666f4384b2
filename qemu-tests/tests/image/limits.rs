//! Sessions that take everything there is, beside one that does its work: on a machine with the board's least memory for
//! real use.

use std::fs;
use std::time::Instant;

use qemu_tests::artifacts::scratch;
use qemu_tests::client::Client;
use qemu_tests::console::Mark;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer, openssh};
use qemu_tests::run::{Running, run, start};
use qemu_tests::vm::{Lease, Machine, Shared, Vm, served};

use crate::{LIMIT, v3};

static SMALL: Shared = Shared::new(|| Machine { memory: "256".into(), ..Machine::ours() });

type Alone = Lease<std::sync::RwLockWriteGuard<'static, ()>>;

/// A command of the shell's, in a session.
fn session(vm: &Vm, script: &str) -> Running {
    let mut client = Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}"));
    start(client.command(&["sh", "-c", script]), Vec::new())
}

/// Does `harm` beside a session that reads a file again and again, and whose every answer must be right.
fn beside_an_honest_session(name: &str, harm: impl FnOnce(&Alone)) {
    or_skip!(qemu_tests::client::v3());
    or_skip!(qemu_tests::skip::on_path(&qemu_tests::board::under_test().qemu()));
    let vm = SMALL.alone();
    let before = vm.processes();
    let flag = scratch("limits").join(name);
    let _ = fs::remove_file(&flag);
    let script = format!(
        "echo starts >/dev/console; while [ ! -e {} ]; do sha256sum </usr/lib/os-release; done",
        served(&flag).as_str()
    );
    let honest = session(&vm, &script);
    vm.expect(&["starts"]);
    harm(&vm);
    fs::write(&flag, "").expect("scratch is writable");
    let said = honest.finish(LIMIT).ok();
    let right = run(std::process::Command::new("sha256sum").arg("/usr/lib/os-release"), LIMIT).ok();
    let right = right.split_whitespace().next().expect("a hash");
    assert!(!said.is_empty() && said.lines().all(|line| line.starts_with(right)), "{said}");
    expect_nothing_left(&vm);
    let after = vm.processes();
    assert_eq!((before[0].pid, after[0].pid), (1, 1));
    // A stack may be a page or two deeper.
    assert!(after[0].anonymous <= before[0].anonymous + 8, "{:?} {:?}", before[0], after[0]);
}

/// The control groups of sessions that are there, as an ssh without files sees them: its own is one.
fn groups(vm: &Vm) -> usize {
    let mut ssh = openssh(&Login { port: vm.port, key: &Key::user(Kind::Ed25519), rekey: false });
    let list = run(ssh.args(["root@127.0.0.1", "ls", "/sys/fs/cgroup/cpud"]), LIMIT).ok();
    list.lines().filter(|name| name.split('.').all(|part| part.parse::<u32>().is_ok())).count()
}

fn expect_nothing_left(vm: &Vm) {
    if Peer::OpenSsh.here().is_err() {
        return;
    }
    let start = Instant::now();
    while groups(vm) > 1 {
        assert!(start.elapsed() < LIMIT, "sessions' control groups are left");
    }
}

/// The next session works while `running` goes on, which then ends with its client.
fn works_while(vm: &Vm, running: Running) {
    for _ in 0..3 {
        assert_eq!(v3(vm.port, &[], &["sh", "-c", "echo works"]).ok(), "works");
    }
    running.signal("TERM");
    let _ = running.within(LIMIT);
}

#[test]
fn a_program_that_takes_all_memory_ends_its_own_session_and_no_other() {
    beside_an_honest_session("memory", |vm| {
        let outcome = session(vm, "tail /dev/zero; echo survived").finish(LIMIT);
        assert_eq!((outcome.code(), outcome.text().as_str()), (128 + 9, ""), "{}", outcome.complaint());
        vm.expect(&["was ended by signal 9, since its memory ran out"]);
    });
}

#[test]
fn a_session_that_fills_its_file_systems_ends_and_no_other() {
    beside_an_honest_session("files", |vm| {
        let script = "for d in /tmp /run /dev/shm; do dd if=/dev/zero of=$d/x bs=1M; done; echo survived";
        let outcome = session(vm, script).finish(LIMIT);
        assert_eq!((outcome.code(), outcome.text().as_str()), (128 + 9, ""), "{}", outcome.complaint());
        vm.expect(&["was ended by signal 9, since its memory ran out"]);
    });
}

#[test]
fn a_fork_bomb_leaves_room_for_other_sessions() {
    beside_an_honest_session("forks", |vm| {
        let bomb = session(vm, "b() { b & b & wait; }; echo bomb >/dev/console; while :; do b 2>/dev/null; done");
        vm.expect(&["bomb"]);
        works_while(vm, bomb);
    });
}

#[test]
fn a_session_with_more_open_files_than_the_machine_has_leaves_others_theirs() {
    or_skip!(qemu_tests::skip::on_path("bash"));
    beside_an_honest_session("descriptors", |vm| {
        let script = "ulimit -n $(ulimit -Hn); for i in 1 2 3 4 5 6 7 8; do \
            (while exec {fd}</dev/null; do :; done; echo all of $i >/dev/console; sleep 1000) 2>/dev/null & done; wait";
        let mut client = Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}"));
        let opens = start(client.command(&["bash", "-c", script]), Vec::new());
        for i in 1..=8 {
            vm.expect(&[&format!("all of {i}")]);
        }
        works_while(vm, opens);
    });
}

#[test]
fn what_leaves_its_process_group_or_makes_groups_of_its_own_ends_with_its_session() {
    beside_an_honest_session("groups", |vm| {
        let script = "cd /sys/fs/cgroup && mkdir -p own/below && (echo $$ >own/below/cgroup.procs; setsid sleep 1234 & \
            setsid sh -c 'sleep 1234 & exit' &) && cat /proc/self/cgroup && ! echo max 2>/dev/null >memory.max";
        let outcome = session(vm, script).finish(LIMIT);
        assert_eq!(outcome.ok(), "0::/own/below");
        let left = vm.processes();
        assert!(!left.iter().any(|process| process.name.contains("sleep")), "{left:#?}");
    });
}

#[test]
fn the_kernels_command_line_sets_what_a_session_may_use() {
    or_skip!(qemu_tests::client::v3());
    let vm = Vm::boot(&Machine { words: "cpud.memory=32M cpud.pids=40 cpud.relay=1K", ..Machine::direct() });
    let said = vm.console.since(Mark::default());
    assert_eq!(said.matches("no size from 256K to 64M").count(), 1, "{said}");
    let script = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; \
        i=0; while [ $i -lt 100 ]; do sleep 100 & i=$((i+1)); done";
    let outcome = session(&vm, script).finish(LIMIT);
    assert_eq!(outcome.text(), "33554432\n40\n");
    assert!(outcome.complaint().contains("fork"), "{}", outcome.complaint());
}
