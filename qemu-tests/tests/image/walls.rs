//! The walls between the roles, and what is left when a client vanishes.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use qemu_tests::artifacts::scratch;
use qemu_tests::board;
use qemu_tests::client::Client;
use qemu_tests::console::Mark;
use qemu_tests::keys::Key;
use qemu_tests::look::{Process, others, shared_sockets};
use qemu_tests::programs;
use qemu_tests::run::{noise, start};
use qemu_tests::vm::{Vm, parse, served};

use crate::{LIMIT, machine, v3};

/// How long a vanished client's session may linger.
const SECONDS: u64 = 20;

/// A session that has said `ready` and stays until the returned client is ended.
fn waiting_session(vm: &Vm) -> qemu_tests::run::Running {
    let mark = vm.console.mark();
    let mut client = Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}"));
    let running = start(client.command(&["sleep", "1000"]), Vec::new());
    vm.console.expect(mark, &["accepted"], LIMIT);
    running
}

#[test]
fn nobody_but_its_owner_holds_a_socket_of_a_session() {
    let vm = machine!(alone);
    let session = waiting_session(&vm);
    let all = vm.processes();
    session.signal("TERM");
    session.finish(LIMIT);
    let mut shared = shared_sockets(&all);
    // Every guard tells PID 1 what to print on one socket of PID 1's; a wire has nothing to do with that either.
    let wire = |pid: &u32| all.iter().any(|process| process.pid == *pid && process.filtered);
    shared.retain(|_, holders| !holders.contains(&1) || holders.iter().any(wire));
    assert_eq!(shared, BTreeMap::new(), "{all:#?}");
}

#[test]
fn wire_and_relay_have_a_filter_and_no_capability_no_key_and_no_file() {
    let vm = machine!(alone);
    let seed = seed();
    let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    let session = waiting_session(&vm);
    let text = vm.look(&[&hex]);
    session.signal("TERM");
    session.finish(LIMIT);
    let all = parse(&text);
    let wires: Vec<&Process> = all.iter().filter(|process| process.filtered && !process.is_net()).collect();
    // The waiting session's, the look's, their user's relay, and those of users who were here before.
    assert!(wires.len() >= 3, "{all:#?}");
    for wire in &wires {
        assert_eq!(wire.capabilities, 0, "{wire:?}");
        // The last is a session's page of its relay's counters, on a file system that is gone with the session.
        let own = ["socket:", "pipe:", "anon_inode:", "/dev/null", "/dev/ptmx", "/tmp/cpu-stats"];
        let foreign = |link: &&String| !own.iter().any(|own| link.starts_with(own));
        assert_eq!(wire.descriptors.iter().find(foreign), None, "{wire:?}");
    }
    let remember: Vec<u32> = text.lines().filter_map(|line| line.strip_prefix("remembers ")?.parse().ok()).collect();
    // Its guard has it, so it can be found.
    assert!(!remember.is_empty(), "{text}");
    for pid in remember {
        let holder = all.iter().find(|process| process.pid == pid).expect("a process of the list");
        assert!(pid != 1 && !holder.filtered, "{holder:?} has the host key in memory");
    }
}

/// The private half of the tests' host key: the last of the private section's strings but one holds seed and public
/// key (openssh's PROTOCOL.key).
fn seed() -> Vec<u8> {
    let pem = fs::read_to_string(Key::host().private).expect("the host key was made");
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = base64(&body);
    let public = base64(Key::host().line().split_whitespace().nth(1).expect("type, base64"));
    let public = &public[public.len() - 32..];
    let at = bytes.windows(32).rposition(|window| window == public).expect("the public key follows the seed");
    bytes[at - 32..at].to_vec()
}

pub fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter_map(|byte| ALPHABET.iter().position(|&digit| digit == byte));
    let bits: Vec<bool> = digits.flat_map(|digit| (0..6).rev().map(move |bit| digit >> bit & 1 == 1)).collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |value, &bit| value << 1 | u8::from(bit))).collect()
}

#[test]
fn a_client_killed_in_mid_read_takes_its_session_along() {
    let vm = machine!(alone);
    let before = others(&vm.processes()).len();
    let path = scratch("files").join("endless");
    fs::write(&path, noise(50_000_000)).expect("50 MB of room");
    let dead = v3(vm.port, &["-die-after-reads", "100"], &["sha256sum", &served(&path)]);
    assert_eq!(dead.code(), 128 + 9);
    let gone = Instant::now();
    loop {
        let all = vm.processes();
        let left = others(&all);
        if left.len() <= before {
            break;
        }
        assert!(gone.elapsed().as_secs() < SECONDS, "left over, some perhaps in state D: {left:#?}");
    }
}

#[test]
fn a_client_that_dies_while_its_command_runs_ends_that_command() {
    let vm = machine!(alone);
    let dead = v3(vm.port, &["-on", "ready=die"], &["sh", "-c", "echo ready; sleep 1000 & sleep 1000"]);
    assert_eq!(dead.code(), 128 + 9);
    let gone = Instant::now();
    while vm.processes().iter().any(|process| process.name == "sleep") {
        assert!(gone.elapsed().as_secs() < SECONDS, "a command outlives its client");
    }
}

#[test]
fn pid_1_is_small_and_has_few_descriptors() {
    let vm = machine!(alone);
    let all = vm.processes();
    let init = &all[0];
    assert_eq!(init.pid, 1);
    // Most of it is the text that ran last, mapped 64 KiB at a time. On ARM 200 KiB were seen.
    let limit = if board::under_test().get("arch") == "aarch64" { 208 } else { 160 };
    assert!(init.resident <= limit, "PID 1 has {} KiB resident", init.resident);
    assert!(init.descriptors.len() <= 16, "{:?}", init.descriptors);
    assert!(vm.console.since(Mark::default()).contains("ready"));
}

#[test]
fn what_a_mount_may_not_its_binds_and_remounts_may_not_either() {
    let vm = machine!(shared);
    let table = scratch("walls").join("fstab");
    // Spelled otherwise than where the client's files are, bound once more, and mounted anew.
    let binds =
        "//tmp/cpu/usr /mnt none bind,noatime\n/mnt /srv none bind,ro,suid,dev\nx /tmp/cpu none remount,noatime\n";
    fs::write(&table, programs::binds() + binds).expect("a file in the scratch folder");
    let mounts = v3(vm.port, &["-fstab", table.to_str().expect("UTF-8")], &["cat", "/proc/self/mounts"]).ok();
    for place in ["/mnt", "/srv", "/tmp/cpu"] {
        let mount = mounts.lines().find(|line| line.split(' ').nth(1) == Some(place));
        let options = mount.and_then(|line| line.split(' ').nth(3)).unwrap_or_default();
        let has = |option| options.split(',').any(|each| each == option);
        assert!(has("nosuid") && has("nodev"), "{place}: {mounts}");
        assert!(has(if place == "/srv" { "ro" } else { "noatime" }), "{place}: {mounts}");
    }
}
