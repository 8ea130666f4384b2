//! The box's architecture and the client's: whose programs run, and which instructions are used.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use qemu_tests::artifacts::scratch;
use qemu_tests::board;
use qemu_tests::client::Client;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::peer::{Login, Peer, openssh};
use qemu_tests::programs;
use qemu_tests::run::run;
use qemu_tests::vm::{Machine, Vm, served};
use qemu_tests::{or_skip, skip};

use crate::{LIMIT, machine, v3};

/// The start of an ELF file for the other architecture (elf(5)), executable.
fn foreign_program() -> (PathBuf, &'static str, &'static str) {
    let (number, theirs, ours) = match board::under_test().get("arch") {
        "aarch64" => (62, "x86-64", "aarch64"),
        _ => (183, "aarch64", "x86-64"),
    };
    let mut head = [0; 64];
    head[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    head[16] = 2;
    head[18] = number;
    let path = scratch("files").join(theirs);
    fs::write(&path, head).and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o755))).expect("a file");
    (path, theirs, ours)
}

#[test]
fn a_program_of_the_wrong_architecture_is_named_and_exits_126() {
    let vm = machine!(shared);
    let (path, theirs, ours) = foreign_program();
    let outcome = v3(vm.port, &[], &[&served(&path)]);
    assert_eq!(outcome.code(), 126);
    let expected =
        format!("\"{}\" is {theirs}, this box is {ours}; use -namespace, see docs/cpu-compat.md", served(&path));
    assert!(outcome.complaint().contains(&expected), "{}", outcome.complaint());
}

#[test]
fn a_script_with_a_foreign_interpreter_names_the_interpreter() {
    let vm = machine!(shared);
    let (interpreter, theirs, _) = foreign_program();
    let path = scratch("files").join("script");
    fs::write(&path, format!("#!{} -x\n", served(&interpreter))).expect("a file");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("a file");
    let outcome = v3(vm.port, &[], &[&served(&path)]);
    assert_eq!(outcome.code(), 126);
    let expected = format!("\"{}\" is {theirs}", served(&interpreter));
    assert!(outcome.complaint().contains(&expected), "{}", outcome.complaint());
}

fn foreign() -> Result<(), skip::Reason> {
    programs::are_foreign().then_some(()).ok_or_else(|| "this board runs the client's own programs".to_owned())
}

/// The stock client with a name space of its own, which `options` say, and a working directory in it.
fn stock(vm: &Vm, options: &[&str], directory: &str) -> Result<Client, skip::Reason> {
    foreign()?;
    Ok(Client::stock(vm.port)?.with(options).env("PWD", directory))
}

/// A static program of the box's architecture, in a folder of its own.
fn busybox() -> Result<PathBuf, skip::Reason> {
    foreign()?;
    let path = scratch("home-of-arm").join("busybox");
    fs::copy(programs::at_home("/bin/busybox"), &path).expect("busybox-static is unpacked");
    Ok(path)
}

#[test]
fn cpu_runs_an_aarch64_python_by_its_name_space() {
    let vm = machine!(shared);
    let mut cpu = or_skip!(stock(&vm, &[], "/usr"));
    let words = ["python3", "-c", "import platform; print(platform.machine())"];
    assert_eq!(run(cpu.command(&words), LIMIT).ok(), "aarch64");
}

#[test]
fn cpu_with_only_home_runs_a_static_aarch64_program_in_it() {
    let vm = machine!(shared);
    let home = format!("/home={}", or_skip!(busybox()).parent().expect("it is in a folder").display());
    let mut cpu = or_skip!(stock(&vm, &["-namespace", &home], "/home"));
    assert_eq!(run(cpu.command(&["./busybox", "uname", "-m"]), LIMIT).ok(), "aarch64");
}

#[test]
fn cpu_without_a_name_space_runs_an_aarch64_program_below_tmp_cpu() {
    let vm = machine!(shared);
    let busybox = or_skip!(busybox());
    let mut cpu = or_skip!(stock(&vm, &["-namespace", "none"], "/"));
    assert_eq!(run(cpu.command(&[&served(&busybox), "uname", "-m"]), LIMIT).ok(), "aarch64");
}

#[test]
fn cpu_serves_a_folder_as_its_root() {
    let vm = machine!(shared);
    let root = programs::at_home("/").display().to_string();
    let options = ["-root", &root, "-namespace", "/lib:/usr:/bin:/etc:/home"];
    let mut cpu = or_skip!(stock(&vm, &options, "/usr"));
    assert_eq!(run(cpu.command(&["uname", "-m"]), LIMIT).ok(), "aarch64");
}

#[test]
fn cpu_with_its_own_programs_is_told_of_the_name_space() {
    let vm = machine!(shared);
    let mut cpu = or_skip!(stock(&vm, &["-namespace", "/lib:/lib64:/usr:/bin:/etc:/home"], "/usr"));
    let outcome = run(cpu.command(&["uname", "-m"]), LIMIT);
    assert_eq!(outcome.code(), 126);
    assert!(outcome.complaint().contains("is x86-64, this box is aarch64"), "{}", outcome.complaint());
}

#[test]
fn aes_is_offered_where_the_processor_has_it() {
    let vm = machine!(shared);
    for cipher in ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"] {
        v3(vm.port, &["-cipher", cipher], &["true"]).ok();
    }
}

#[test]
fn slow_aes_is_not_offered_to_go_and_openssh_may_choose_it() {
    or_skip!(qemu_tests::client::v3());
    or_skip!(Peer::OpenSsh.here());
    let vm = Vm::boot(&Machine { aes: false, ..Machine::direct() });
    let mut ssh = openssh(&Login { port: vm.port, key: &Key::user(Kind::Ed25519), rekey: false });
    ssh.args(["-c", "aes256-gcm@openssh.com", "root@127.0.0.1", "version"]);
    assert!(run(&mut ssh, LIMIT).ok().contains("Linux"));
    // Go's list would choose it.
    v3(vm.port, &["-cipher", "chacha20-poly1305@openssh.com"], &["true"]).ok();
    let refused = v3(vm.port, &["-cipher", "aes256-gcm@openssh.com"], &["true"]);
    assert_eq!(refused.code(), 255);
    assert!(refused.complaint().contains("no common algorithm"), "{}", refused.complaint());
}
