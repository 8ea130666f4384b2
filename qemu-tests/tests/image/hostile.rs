//! Peers that do not behave, and PID 1 as it was after each.

use std::io::{Read, Write};
use std::net::TcpStream;

use qemu_tests::hostile::{Manner, knock, unknown_messages};
use qemu_tests::keys::{Key, Kind};
use qemu_tests::look::Process;
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer, openssh};
use qemu_tests::run::run;
use qemu_tests::vm::Vm;

use crate::{LIMIT, machine, v3};

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

#[test]
fn a_stranger_costs_the_box_no_more_than_the_threat_model_says() {
    let vm = machine!(alone);
    // Of their processes and of the kernel for them: memory, page tables, stacks, and all small things.
    let used = || {
        let memory = v3(vm.port, &[], &["cat", "/proc/meminfo"]).ok();
        let rows = memory.lines().filter_map(|line| line.split_once(':'));
        let ours = rows.filter(|(name, _)| ["AnonPages", "PageTables", "KernelStack", "Slab"].contains(name));
        ours.map(|(_, kib)| kib.trim().split(' ').next().expect("a number").parse::<i64>().expect("of KiB"))
            .sum::<i64>()
    };
    // What the sessions themselves leave behind is there both times.
    let before = [(); 3].map(|()| used())[2];
    let flood = unknown_messages(100);
    let strangers: Vec<TcpStream> = (0..48)
        .map(|_| {
            let mut socket = TcpStream::connect(("127.0.0.1", vm.port)).expect("the box listens");
            socket.read_exact(&mut [0; 8]).expect("a version");
            socket.write_all(&flood).expect("it fits into the kernel");
            socket
        })
        .collect();
    let each = (used() - before) / strangers.len() as i64;
    assert!(each <= 288, "{each} KiB");
}
