//! Peers that do not behave, and PID 1 as it was after each.

use qemu_tests::hostile::{Manner, knock};
use qemu_tests::keys::{Key, Kind};
use qemu_tests::look::Process;
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer, openssh};
use qemu_tests::run::run;
use qemu_tests::vm::Vm;

use crate::{LIMIT, machine};

fn pid_1(vm: &Vm) -> Process {
    vm.processes().swap_remove(0)
}

fn assert_as_it_was(before: &Process, after: &Process, what: &str) {
    // The looking session's own connection is among the descriptors both times.
    assert_eq!(before.descriptors.len(), after.descriptors.len(), "{what}");
    // A stack may be a page or two deeper.
    let (before, after) = (before.anonymous, after.anonymous);
    assert!(after <= before + 8, "{what}: {before} KiB grew to {after} KiB");
}

#[test]
fn no_manner_of_misbehaving_changes_pid_1() {
    let vm = machine!(alone);
    let before = pid_1(&vm);
    for manner in Manner::ALL {
        manner.show(vm.port, LIMIT);
        assert_as_it_was(&before, &pid_1(&vm), &format!("{manner:?}"));
    }
}

#[test]
fn refused_logins_do_not_change_pid_1() {
    let vm = machine!(alone);
    or_skip!(Peer::OpenSsh.here());
    let before = pid_1(&vm);
    let (user, stranger) = (Key::user(Kind::Ed25519), Key::stranger(Kind::Ed25519));
    for (key, methods) in [(&stranger, "publickey"), (&user, "none"), (&user, "password")] {
        let mut ssh = openssh(&Login { port: vm.port, key, rekey: false });
        ssh.args(["-o", &format!("PreferredAuthentications={methods}"), "root@127.0.0.1", "help"]);
        assert_eq!(run(&mut ssh, LIMIT).code(), 255, "{methods}");
        assert_as_it_was(&before, &pid_1(&vm), methods);
    }
}

#[test]
fn three_hundred_connections_in_a_row_do_not_change_pid_1() {
    let vm = machine!(alone);
    let before = pid_1(&vm);
    // All have the address that the looking session has logged in from.
    assert_eq!(knock(vm.port, 300), 300);
    assert_as_it_was(&before, &pid_1(&vm), "300 connections");
}
