//! The stock client's `-nfs`, on a kernel with an NFS client and on one without.

use std::fs;
use std::process::Command;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::Instant;

use qemu_tests::artifacts::scratch;
use qemu_tests::client::{self, Client};
use qemu_tests::run::run;
use qemu_tests::skip::{self, Reason};
use qemu_tests::vm::{Machine, Vm, served};
use qemu_tests::{board, or_skip};

use crate::{LIMIT, listing_of_bin, machine, v3};

/// How long what a vanished client leaves behind may last.
const SECONDS: u64 = 5;

/// One of these tests looks for what is left, and no other may have a session then.
static TURN: RwLock<()> = RwLock::new(());

/// A machine that `build-image.sh --nfs` would make.
fn with_nfs() -> Result<&'static Vm, Reason> {
    static BOOTED: OnceLock<Vm> = OnceLock::new();
    client::v3()?;
    skip::on_path(&board::under_test().qemu())?;
    Ok(BOOTED.get_or_init(|| Vm::boot(&Machine::with_nfs())))
}

/// The same, with sessions of other tests on it.
fn with_others() -> Result<(RwLockReadGuard<'static, ()>, &'static Vm), Reason> {
    let vm = with_nfs()?;
    Ok((TURN.read().unwrap_or_else(PoisonError::into_inner), vm))
}

/// Waits until no process of a command by this name is there, and no listener. A mount that cannot end would hold the
/// process that used it last.
fn assert_nothing_is_left(vm: &Vm, name: &str) {
    let gone = Instant::now();
    loop {
        let asked = gone.elapsed().as_secs();
        let processes = vm.processes();
        let left: Vec<_> = processes.iter().filter(|p| p.name == name || p.name == "cpud listener").collect();
        if left.is_empty() {
            break;
        }
        assert!(asked < SECONDS, "left over: {left:#?}");
    }
}

#[test]
fn a_command_sees_the_clients_files() {
    let (_turn, vm) = or_skip!(with_others());
    assert_eq!(v3(vm.port, &["-nfs"], &["ls", "/bin"]).ok(), listing_of_bin());
    assert_eq!(v3(vm.port, &["-nfs"], &["sh", "-c", "exit 7"]).code(), 7);
}

#[test]
fn two_sessions_have_the_same_port_number_and_each_its_own_files() {
    let (_turn, vm) = or_skip!(with_others());
    let sessions = ["one", "two"].map(|word| {
        let name = scratch("files").join(format!("nfs-{word}"));
        fs::write(&name, word).expect("a file");
        let words = format!("cat '{}'; sleep 2; cat '{0}'", served(&name));
        thread::spawn(move || (word, v3(vm.port, &["-nfs"], &["sh", "-c", &words]).ok()))
    });
    for session in sessions {
        let (word, printed) = session.join().expect("no panic");
        assert_eq!(printed, word.repeat(2));
    }
}

#[test]
fn what_the_command_says_to_the_network_is_the_machines() {
    let (_turn, vm) = or_skip!(with_others());
    let devices = |options: &[&str]| v3(vm.port, options, &["cat", "/proc/net/dev"]).ok().contains("eth0:");
    assert!(devices(&[]) && devices(&["-nfs"]));
}

#[test]
fn killing_command_or_client_in_mid_transfer_leaves_no_process_and_no_mount() {
    let vm = or_skip!(with_nfs());
    let _turn = TURN.write().unwrap_or_else(PoisonError::into_inner);
    v3(vm.port, &["-nfs"], &["ls", "/bin"]).ok();
    assert_nothing_is_left(vm, "ls");
    let path = scratch("files").join("nfs-endless");
    fs::write(&path, vec![7; 50_000_000]).expect("50 MB of room");
    let written = path.with_extension("written");
    for (from, to) in [(served(&path), "/dev/null".to_owned()), ("/dev/zero".to_owned(), served(&written))] {
        let words = format!("while :; do dd if='{from}' of='{to}' bs=64k count=500; echo ready; done");
        let dead = v3(vm.port, &["-nfs", "-on", "ready=die"], &["sh", "-c", &words]);
        assert_eq!(dead.code(), 128 + 9);
        assert_nothing_is_left(vm, "dd");
    }
}

#[test]
fn nfs_at_a_port_that_is_not_forwarded_is_refused_by_its_number() {
    let (_turn, vm) = or_skip!(with_others());
    let table = scratch("files").join("fstab.nfs");
    fs::write(&table, "127.0.0.1:/x /tmp/cpu nfs vers=3,nolock,port=7,mountport=7,addr=127.0.0.1 0 0\n")
        .expect("a file");
    let outcome = v3(vm.port, &["-9p=false", "-fstab", table.to_str().expect("UTF-8")], &["ls"]);
    assert_eq!(outcome.code(), 1);
    let expected = "cpud: CPU_FSTAB has NFS at port 7, which this connection does not forward\n";
    assert_eq!(outcome.complaint(), expected);
}

#[test]
fn a_kernel_without_it_says_so() {
    let vm = machine!(shared);
    let outcome = v3(vm.port, &["-nfs"], &["ls"]);
    assert_eq!(outcome.code(), 1);
    assert!(outcome.complaint().contains("this kernel has no NFS client"), "{}", outcome.complaint());
}

/// The stock client, serving by NFS.
fn stock(vm: &Vm, options: &[&str]) -> Result<Client, Reason> {
    Ok(Client::stock(vm.port)?.with(&["-nfs"]).with(options))
}

#[test]
fn cpu_nfs_runs_a_program_of_the_client() {
    let (_turn, vm) = or_skip!(with_others());
    let mut cpu = or_skip!(stock(vm, &[]));
    assert_eq!(run(cpu.command(&["ls", "/bin"]), LIMIT).ok(), listing_of_bin());
}

/// Today's client puts its own tree over the archive's root, so that is what is seen (docs/cpu-compat.md).
#[test]
fn cpu_nfs_cpio_runs_a_program_of_the_client() {
    let (_turn, vm) = or_skip!(with_others());
    or_skip!(stock(vm, &[]));
    let folder = scratch("files/archive");
    fs::write(folder.join("word"), "word").expect("a file");
    let pack = "find . | cpio --quiet -o -H newc >../archive.cpio";
    let packed = Command::new("sh").args(["-c", pack]).current_dir(folder).status();
    assert!(packed.expect("sh runs").success());
    let archive = scratch("files").join("archive.cpio");
    let mut cpu = or_skip!(stock(vm, &["-cpio", archive.to_str().expect("text")]));
    assert_eq!(run(cpu.command(&["ls", "/bin"]), LIMIT).ok(), listing_of_bin());
}
