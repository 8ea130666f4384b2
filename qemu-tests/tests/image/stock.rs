//! Today's stock client, when it is on PATH.

use qemu_tests::client::Client;
use qemu_tests::or_skip;
use qemu_tests::run::{feed, noise, run, sha256};

use crate::{LIMIT, listing_of_bin, machine};

#[test]
fn cpu_ls_bin_prints_the_local_listing() {
    let vm = machine!(shared);
    let mut cpu = or_skip!(Client::stock(vm.port));
    assert_eq!(run(cpu.command(&["ls", "/bin"]), LIMIT).ok(), listing_of_bin());
}

#[test]
fn cpu_exits_with_the_commands_code() {
    let vm = machine!(shared);
    for code in [0, 1, 7] {
        let mut cpu = or_skip!(Client::stock(vm.port));
        assert_eq!(run(cpu.command(&["sh", "-c", &format!("exit {code}")]), LIMIT).code(), code);
    }
}

#[test]
fn cpu_pipes_16_mib_through_a_command_there() {
    let vm = machine!(shared);
    let mut cpu = or_skip!(Client::stock(vm.port));
    let bytes = noise(16 << 20);
    let expected = sha256(&bytes);
    let sum = feed(cpu.command(&["sha256sum"]), bytes, LIMIT).ok();
    assert_eq!(sum.split_whitespace().next(), Some(expected.as_str()));
}
