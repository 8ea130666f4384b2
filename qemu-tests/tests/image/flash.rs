//! `scripts/flash.sh` on a machine that runs, and the ROM files that it and `build-rom.sh` refuse.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use qemu_tests::artifacts::scratch;
use qemu_tests::client::v3;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::or_skip;
use qemu_tests::run::{Outcome, run};
use qemu_tests::skip::{announce, on_path};
use qemu_tests::vm::{Machine, Vm, script};

use crate::LIMIT;

/// The machine of the tests with a word more on its command line, which is how a new version is told from the old one.
fn marked(word: &str) -> Machine {
    let line = format!("{} {word}", qemu_tests::board::Board::read("qemu-q35").get("cmdline"));
    Machine { restarts: true, ..Machine::direct().in_rom(word, &["--cmdline", &line]) }
}

fn flash(vm: &Vm, options: &[&str]) -> Outcome {
    let client = v3().expect("asked before").display().to_string();
    let key = Key::user(Kind::Rsa2048).private.display().to_string();
    let client = format!("{client} -port {} -key {key}", vm.port);
    let backup = scratch("image").join("backup.rom").display().to_string();
    let _ = fs::remove_file(&backup);
    run(
        script("flash.sh")
            .args(["qemu-q35", "127.0.0.1", "--client", &client, "--backup", &backup, "--no-install"])
            .args(options),
        LIMIT * 3,
    )
}

#[test]
fn flash_sh_updates_a_running_machine_and_keeps_its_settings() {
    or_skip!(v3());
    or_skip!(on_path("flashcp"));
    let (old, new) = (marked("version=1"), marked("version=2"));
    let settings =
        script("settings.sh").arg(old.rom.as_ref().expect("in a ROM")).args(["--hostname", "box-1"]).output();
    assert!(settings.is_ok_and(|settings| settings.status.success()));
    let vm = Vm::boot(&old);
    assert!(crate::v3(vm.port, &[], &["cat", "/proc/cmdline"]).ok().ends_with("version=1"));
    let start = vm.console.mark();
    let outcome = flash(&vm, &["--rom", &new.rom.as_ref().expect("in a ROM").display().to_string()]);
    assert_eq!(outcome.code(), 0, "{}", outcome.complaint());
    for line in ["written, and read again", "is back: Linux box-1 6."] {
        assert!(outcome.complaint().contains(line), "{}", outcome.complaint());
    }
    vm.console.expect(start, &["cpud: ready"], LIMIT);
    assert!(crate::v3(vm.port, &[], &["cat", "/proc/cmdline"]).ok().ends_with("version=2"));
    let again = flash(&vm, &["--rom", &new.rom.expect("in a ROM").display().to_string()]);
    assert!(again.complaint().contains("has this ROM already"), "{}", again.complaint());
}

/// Stands in for a client and its appliance, whose flash part is a file beside this: the first time, writing it breaks
/// off in the middle.
const BREAKS_OFF: &str = r#"#!/bin/sh
part=${0%/*}/part
case $* in
*flashcp*)
    new=${3#cat /tmp/cpu} new=${new%% *}
    [ -e "$part.failed" ] && exec cp "$new" "$part"
    head -c 2000000 "$new" >"$part"
    : >"$part.failed" && exit 1 ;;
*) exec cat "$part" ;;
esac
"#;

#[test]
fn flash_sh_retries_a_broken_write_from_its_backup_and_keeps_the_backup() {
    or_skip!(on_path("flashcp"));
    let (old, new) = (marked("version=old"), marked("version=new"));
    let (old, new) = (old.rom.expect("in a ROM"), new.rom.expect("in a ROM"));
    let folder = scratch("breaks-off");
    fs::remove_dir_all(&folder).and_then(|()| fs::create_dir(&folder)).expect("it was just made");
    let (client, part, backup) = (folder.join("client"), folder.join("part"), folder.join("backup"));
    fs::write(&client, BREAKS_OFF).expect("scratch is writable");
    fs::set_permissions(&client, Permissions::from_mode(0o755)).expect("a file of our own");
    fs::copy(&old, &part).expect("scratch is writable");
    let flash = |option: &str| {
        let mut command = script("flash.sh");
        command.args(["qemu-q35", "box", "--no-install", "--no-restart", option]).arg(&backup);
        run(command.arg("--client").arg(&client).arg("--rom").arg(&new), LIMIT)
    };
    let is_old = |path: &Path| fs::read(path).ok() == fs::read(&old).ok();

    let outcome = flash("--backup");
    assert_eq!(outcome.code(), 1, "{}", outcome.complaint());
    assert!(outcome.complaint().contains(&format!("--retry {}", backup.display())), "{}", outcome.complaint());
    assert!(is_old(&backup) && !is_old(&part));
    refused(&flash("--backup"), "is there already");
    assert!(is_old(&backup));
    let outcome = flash("--retry");
    assert_eq!(outcome.code(), 0, "{}", outcome.complaint());
    assert!(is_old(&backup) && fs::read(&part).ok() == fs::read(&new).ok());
}

#[test]
fn a_rom_that_would_lock_everybody_out_is_not_written() {
    or_skip!(v3());
    or_skip!(on_path("flashcp"));
    let bare = Machine::bare().in_rom("lockout", &[]).rom.expect("in a ROM").display().to_string();
    let vm = Vm::boot(&Machine::direct().in_rom("locked-in", &[]));
    let part = vm.flash.clone().expect("in a ROM");
    let before = fs::read(&part).expect("it is QEMU's");
    let outcome = flash(&vm, &["--rom", &bare]);
    assert_eq!(outcome.code(), 1);
    assert!(outcome.complaint().contains("nobody could log in"), "{}", outcome.complaint());
    assert!(fs::read(&part).ok() == Some(before));
}

/// A copy of a good ROM, spoiled.
fn spoiled(name: &str, how: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let good = Machine::bare().in_rom("good", &[]).rom.expect("in a ROM");
    let mut bytes = fs::read(&good).expect("it was just made");
    how(&mut bytes);
    let path = good.with_file_name(name);
    fs::write(&path, bytes).expect("scratch is writable");
    path
}

/// Where the flash map is: boards/qemu-q35/flash.fmd.
const MAP: usize = 0x10000;

#[test]
fn a_rom_of_another_board_is_refused_in_one_line_and_leaves_nothing_behind() {
    let machine = Machine::bare();
    let cases = [
        (spoiled("truncated.rom", |rom| rom.truncate(3 << 20)), "has 3145728 bytes; a ROM of qemu-q35 has 4194304"),
        (spoiled("no-map.rom", |rom| rom.fill(0xff)), "has no flash map"),
        (spoiled("map-size.rom", |rom| rom[MAP + 18] ^= 1), "its flash map is for 4194305 bytes"),
        (spoiled("map-area.rom", |rom| rom[MAP + 56 + 7] = 0x70), "its flash map is damaged"),
        (spoiled("no-cbfs.rom", |rom| rom[MAP + 0x1000..].fill(0)), "is damaged"),
        (spoiled("other.rom", |rom| replace(rom, b"QEMU x86 q35/ich9", b"QEMU x86 i440fx/p")), "is no ROM of qemu-q35"),
    ];
    for (rom, why) in cases {
        let out = rom.with_extension("out");
        let outcome = run(
            script("build-rom.sh")
                .arg("--base")
                .arg(&rom)
                .arg("--kernel")
                .arg(&machine.kernel)
                .arg("--initramfs")
                .arg(&machine.initramfs)
                .arg("--out")
                .arg(&out),
            LIMIT,
        );
        refused(&outcome, why);
        assert!(!out.exists(), "{}", out.display());
        let flashed =
            script("flash.sh").args(["qemu-q35", "nowhere.invalid", "--no-install", "--rom"]).arg(&rom).output();
        let flashed = flashed.expect("bash runs");
        assert!(!flashed.status.success() && String::from_utf8_lossy(&flashed.stderr).contains(why));
    }
}

#[test]
fn a_file_whose_name_has_tabs_runs_nothing_on_the_builders_machine() {
    let (folder, machine) = (scratch("tabs"), Machine::bare());
    let mark = folder.join("ran");
    // As long as the name that it replaces. cbfstool parts its columns by tabs, and bash calculates PPID[$(...)] by running it.
    let name = |text: &str| text.bytes().chain(std::iter::repeat(0)).take(34).collect::<Vec<_>>();
    let rom = Machine::bare().in_rom("long-name", &[]).rom.expect("in a ROM");
    let note = folder.join("note");
    fs::write(&note, "note").expect("scratch is writable");
    let cbfstool = run(&mut script("build-coreboot.sh"), LIMIT).ok();
    let long = "n".repeat(33);
    let mut add = Command::new(Path::new(&cbfstool).join("cbfstool"));
    run(add.arg(&rom).args(["add", "-t", "raw", "-n", &long, "-f"]).arg(&note), LIMIT).ok();
    let mut bytes = fs::read(&rom).expect("it was just made");
    replace(&mut bytes, &name(&long), &name("x\tPPID[$(>ran)]"));
    fs::write(&rom, bytes).expect("scratch is writable");
    let mut build = script("build-rom.sh");
    build.arg("--base").arg(&rom).arg("--kernel").arg(&machine.kernel).arg("--initramfs").arg(&machine.initramfs);
    let outcome = run(build.arg("--out").arg(folder.join("out.rom")).current_dir(&folder), LIMIT);
    assert!(!mark.exists(), "{}", outcome.complaint());
    refused(&outcome, "its CBFS is damaged");
}

#[test]
fn a_payload_without_room_names_both_sizes_and_leaves_no_rom() {
    let machine = Machine::bare();
    let large = machine.initramfs.with_extension("large");
    fs::write(&large, vec![0; 4 << 20]).expect("scratch is writable");
    let out = large.with_extension("rom");
    let outcome = run(
        script("build-rom.sh")
            .arg("--kernel")
            .arg(&machine.kernel)
            .arg("--initramfs")
            .arg(&large)
            .arg("--out")
            .arg(&out),
        LIMIT,
    );
    refused(&outcome, "no room: kernel and initramfs are");
    assert!(!out.exists());
}

#[test]
fn a_missing_tool_is_named() {
    let rom = Machine::bare().in_rom("tool", &[]).rom.expect("in a ROM");
    let mut command = script("flash.sh");
    command.args(["qemu-q35", "nowhere.invalid", "--no-install", "--rom"]).arg(rom);
    // Without a cpu client, which lies elsewhere.
    let outcome = run(command.env("PATH", "/usr/bin:/bin"), LIMIT);
    let missing = if on_path("flashcp").is_ok() { "no cpu client on PATH" } else { "missing packages: mtd-utils" };
    refused(&outcome, missing);
}

#[test]
fn a_full_disk_is_named_and_leaves_no_rom() {
    let machine = Machine::bare();
    let folder = scratch("full");
    // A disk of our own in a name space of our own, for root.
    let line = "mount -t tmpfs -o size=1m none \"$1\" || exit 77; shift; \"$@\"; status=$?; ls \"$FULL\"; exit $status";
    let mut unshare = std::process::Command::new("unshare");
    unshare.args(["-m", "sh", "-c", line, "sh"]).arg(&folder).arg(script("build-rom.sh").get_program());
    unshare.arg("--kernel").arg(&machine.kernel).arg("--initramfs").arg(&machine.initramfs);
    let outcome = run(unshare.arg("--out").arg(folder.join("x.rom")).env("FULL", &folder), LIMIT);
    if outcome.code() == 77 || outcome.complaint().contains("unshare") {
        return announce("no disk can be mounted without root");
    }
    refused(&outcome, "cannot be written: is the disk full?");
    assert_eq!(outcome.text(), "");
}

/// One line says why, beside those that say that another run is waited for.
#[track_caller]
fn refused(outcome: &Outcome, why: &str) {
    assert_eq!(outcome.code(), 1, "{}", outcome.complaint());
    let complaint = outcome.complaint();
    let lines = complaint.lines().filter(|line| !line.starts_with("==> waiting for another run"));
    assert_eq!(lines.count(), 1, "{complaint}");
    assert!(outcome.complaint().contains(why), "{}", outcome.complaint());
}

/// Writes `new` over every `old` of the same length.
fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    for at in 0..bytes.len() - old.len() {
        if bytes[at..].starts_with(old) {
            bytes[at..at + old.len()].copy_from_slice(new);
        }
    }
}
