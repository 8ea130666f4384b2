//! Guests without files: a plain ssh, and cpu clients told to bring none.

use std::fs;
use std::path::Path;
use std::process::Command;

use qemu_tests::artifacts::{Artifact, payload, sha256};
use qemu_tests::board;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer, by_python, openssh, python};
use qemu_tests::run::{Outcome, feed, run};
use qemu_tests::vm::{Machine, Vm};

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
    for word in ["help", "version", "uptime", "sessions", "log", "dmesg", "reboot", "poweroff", "halt"] {
        assert!(help.contains(word), "{help}");
    }
}

#[test]
fn ssh_reads_version_uptime_and_the_kernels_messages() {
    let vm = machine!(shared);
    or_skip!(Peer::OpenSsh.here());
    let version = ssh(vm.port, &["version"]).ok();
    assert!(version.contains("Linux 6."), "{version}");
    let read = |path: &Path| fs::read(path).expect("it was booted");
    let what_runs = match &vm.flash {
        // QEMU's ARM machine keeps the part with the ROM from Linux.
        Some(rom) if board::under_test().name == "qemu-q35" => {
            format!("{}  fallback/payload", sha256(payload(&read(rom))))
        }
        _ => format!("{}  cpud", sha256(&read(&Artifact::Cpud.path(&board::under_test().name)))),
    };
    assert_eq!(version.lines().last(), Some(what_runs.as_str()));
    assert!(ssh(vm.port, &["uptime"]).ok().starts_with("up "));
    assert!(ssh(vm.port, &["dmesg"]).ok().contains("Linux version"));
}

#[test]
fn ssh_reads_what_the_console_says() {
    let vm = machine!(shared);
    or_skip!(Peer::OpenSsh.here());
    let login = Login { port: vm.port, key: &Key::stranger(Kind::Ed25519), rekey: false };
    let refused = run(openssh(&login).arg("root@127.0.0.1").arg("log"), LIMIT);
    assert_eq!(refused.code(), 255, "{}", refused.complaint());
    let log = ssh(vm.port, &["log"]).ok();
    for line in ["listening on", "accepted \"root\"", "session 0 ended with", &login.key.fingerprint()] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert_eq!(log.lines().find(|line| !line.split_once("] ").is_some_and(|(_, line)| line.starts_with("cpud"))), None);
    let file = ssh(vm.port, &["cat", "/run/cpud/log"]).ok();
    assert!(file.contains("session 0 ended with"), "{file}");
    assert!(ssh(vm.port, &["dmesg"]).ok().contains("listening on"));
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
    let outcome = ssh(vm.port, &["make"]);
    assert_eq!(outcome.code(), 127);
    assert!(outcome.complaint().contains("make"), "{}", outcome.complaint());
}

#[test]
fn labgrid_runs_a_word_on_a_box() {
    let vm = machine!(shared);
    or_skip!(Peer::OpenSsh.here());
    or_skip!(python());
    let login = Login { port: vm.port, key: &Key::user(Kind::Ed25519), rekey: false };
    assert!(run(&mut by_python("with_labgrid.py", &login, "version"), LIMIT).ok().contains("Linux 6."));
}

#[test]
fn words_that_other_programs_use_as_keepalives_are_answered() {
    let vm = machine!(shared);
    or_skip!(Peer::OpenSsh.here());
    assert_eq!(ssh(vm.port, &["true"]).ok(), "");
    assert_eq!(ssh(vm.port, &["echo 'a  b' c"]).ok(), "a  b c");
    assert!(ssh(vm.port, &["ls -l /"]).ok().lines().any(|name| name == "proc"));
    let mut ssh: Command = openssh(&Login { port: vm.port, key: &Key::user(Kind::Ed25519), rekey: false });
    let cat = feed(ssh.args(["root@127.0.0.1", "cat"]), b"until its end\n".to_vec(), LIMIT);
    assert_eq!(cat.ok(), "until its end");
}

#[test]
fn a_line_that_needs_a_shell_is_refused_where_there_is_none() {
    let vm = machine!(shared);
    or_skip!(Peer::OpenSsh.here());
    for line in ["echo a | cat", "version; version", "dmesg > /tmp/log", "echo $HOME"] {
        let outcome = ssh(vm.port, &[line]);
        assert_eq!((outcome.code(), outcome.text().as_str()), (127, ""), "{line}");
        assert!(outcome.complaint().contains("needs a shell"), "{line}: {}", outcome.complaint());
    }
}

#[test]
fn who_switches_the_box_off_hears_that_it_was_done() {
    let _turn = machine!(alone);
    or_skip!(Peer::OpenSsh.here());
    for (word, said) in [("poweroff", "switching off"), ("reboot", "rebooting"), ("halt", "halting")] {
        let vm = Vm::boot(&Machine::ours());
        assert_eq!(ssh(vm.port, &[word]).ok(), said);
    }
}

#[test]
fn a_client_without_files_gets_one_notice_about_its_name_space() {
    let vm = machine!(shared);
    let outcome = v3(vm.port, &["-9p=false"], &["version"]);
    assert!(outcome.ok().contains("Linux"));
    assert_eq!(outcome.complaint().matches("left out").count(), 1, "{}", outcome.complaint());
}
