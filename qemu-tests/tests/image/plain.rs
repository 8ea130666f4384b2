//! Guests without files: a plain ssh, and cpu clients told to bring none.

use std::process::Command;

use qemu_tests::keys::{Key, Kind};
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer, openssh};
use qemu_tests::run::{Outcome, run};

use crate::{LIMIT, machine, v3};

fn ssh(port: u16, words: &[&str]) -> Outcome {
    let mut ssh: Command = openssh(&Login { port, key: &Key::user(Kind::Ed25519), rekey: false });
    run(ssh.arg("root@127.0.0.1").args(words), LIMIT)
}

#[test]
fn ssh_is_told_which_words_the_appliance_answers() {
    let vm = machine!(shared);
    or_skip!(Peer::OpenSsh.here());
    let help = ssh(vm.port, &["help"]).ok();
    for word in ["help", "version", "uptime", "sessions", "dmesg", "reboot", "poweroff"] {
        assert!(help.contains(word), "{help}");
    }
}

#[test]
fn ssh_reads_version_uptime_and_the_kernels_messages() {
    let vm = machine!(shared);
    or_skip!(Peer::OpenSsh.here());
    assert!(ssh(vm.port, &["version"]).ok().contains("Linux 6."));
    assert!(ssh(vm.port, &["uptime"]).ok().starts_with("up "));
    assert!(ssh(vm.port, &["dmesg"]).ok().contains("Linux version"));
}

#[test]
fn a_client_that_has_nothing_but_aes_gets_in_where_that_is_slow() {
    let vm = machine!(shared);
    or_skip!(Peer::OpenSsh.here());
    let mut ssh = openssh(&Login { port: vm.port, key: &Key::user(Kind::Ed25519), rekey: false });
    ssh.args(["-c", "aes256-gcm@openssh.com", "root@127.0.0.1", "version"]);
    assert!(run(&mut ssh, LIMIT).ok().contains("Linux 6."));
}

#[test]
fn ssh_lists_the_sessions() {
    let vm = machine!(shared);
    or_skip!(Peer::OpenSsh.here());
    let sessions = ssh(vm.port, &["sessions"]).ok();
    assert!(sessions.contains("root") && sessions.contains("sessions"), "{sessions}");
}

#[test]
fn ssh_without_a_command_gets_a_sentence_and_not_a_hang() {
    let vm = machine!(shared);
    or_skip!(Peer::OpenSsh.here());
    let outcome = ssh(vm.port, &[]);
    assert_ne!(outcome.code(), 0);
    assert!(outcome.complaint().contains("help"), "{}", outcome.complaint());
}

#[test]
fn a_command_of_the_clients_is_not_found_without_its_files() {
    let vm = machine!(shared);
    or_skip!(Peer::OpenSsh.here());
    let outcome = ssh(vm.port, &["ls"]);
    assert_eq!(outcome.code(), 127);
    assert!(outcome.complaint().contains("ls"), "{}", outcome.complaint());
}

#[test]
fn a_cpu_client_without_files_is_told_once_that_its_name_space_is_left_out() {
    let vm = machine!(shared);
    let outcome = v3(vm.port, &["-9p=false"], &["version"]);
    assert!(outcome.ok().contains("Linux"));
    assert_eq!(outcome.complaint().matches("left out").count(), 1, "{}", outcome.complaint());
}
