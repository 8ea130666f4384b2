//! What of the apu2 can be had without one: its kernel, on the network driver that it needs, and its ROM's layout.

use std::fs;

use qemu_tests::artifacts::{Artifact, root};
use qemu_tests::client::v3;
use qemu_tests::or_skip;
use qemu_tests::run::run;
use qemu_tests::vm::{Machine, Vm, has_device, script};

use crate::LIMIT;

#[test]
fn its_kernel_serves_a_session_over_igb() {
    or_skip!(v3());
    or_skip!(has_device("igb"));
    let vm = Vm::boot(&Machine { kernel: Artifact::Kernel.path("apu2"), card: "igb", ..Machine::direct() });
    let driver = ["readlink", "/sys/class/net/eth0/device/driver"];
    assert!(crate::v3(vm.port, &[], &driver).ok().ends_with("/igb"));
    let sum = crate::v3_reading(vm.port, vec![b'x'; 8 << 20], &["wc", "-c"]).ok();
    assert_eq!(sum, "8388608");
}

#[test]
fn a_rom_with_stand_ins_is_never_flashed() {
    let rom = root().join("out/apu2/apu2.rom");
    assert!(rom.exists(), "{} is missing: scripts/build-image.sh apu2 --stand-ins makes it", rom.display());
    let outcome = run(script("flash.sh").args(["apu2", "nowhere.invalid", "--no-install"]), LIMIT);
    assert_eq!(outcome.code(), 1);
    assert!(outcome.complaint().contains("it would never boot"), "{}", outcome.complaint());
}

#[test]
fn the_vendors_files_that_are_missing_are_named_with_their_sizes() {
    let folder = qemu_tests::artifacts::scratch("blobs");
    fs::create_dir_all(folder.join("PSP")).expect("scratch is writable");
    fs::write(folder.join("AGESA.bin"), vec![0; 504_032]).expect("scratch is writable");
    let outcome = run(script("build-coreboot.sh").args(["--board", "apu2", "--blobs"]).arg(&folder), LIMIT);
    assert_eq!((outcome.code(), outcome.complaint().lines().count()), (1, 1), "{}", outcome.complaint());
    assert!(outcome.complaint().contains("PSP/SmuFirmware.sbin(131328)"), "{}", outcome.complaint());
    assert!(!outcome.complaint().contains("AGESA"), "{}", outcome.complaint());
}

/// A ROM as its vendor made it: our coreboot with another payload, as far as build-rom.sh can tell.
#[test]
fn a_vendors_rom_keeps_everything_but_the_new_payload() {
    let (vendor, ours) =
        (root().join("out/apu2/apu2.rom"), qemu_tests::artifacts::scratch("image").join("apu2-nerf.rom"));
    let machine = Machine::direct();
    let outcome = run(
        script("build-rom.sh")
            .args(["--board", "apu2", "--kernel"])
            .arg(Artifact::Kernel.path("apu2"))
            .arg("--initramfs")
            .arg(&machine.initramfs)
            .arg("--base")
            .arg(&vendor)
            .arg("--out")
            .arg(&ours),
        LIMIT,
    );
    assert_eq!(outcome.code(), 0, "{}", outcome.complaint());
    let report = outcome.complaint();
    let rows: Vec<&str> = report.lines().skip(1).collect();
    let (new, old): (Vec<&str>, Vec<&str>) = rows.iter().partition(|row| row.starts_with("img/nerf"));
    assert!(matches!(new.as_slice(), [row] if row.ends_with("new")), "{report}");
    assert!(old.len() > 8 && old.iter().all(|row| row.ends_with("the same")), "{report}");
    let (vendor, ours) = (fs::read(vendor).expect("asked before"), fs::read(ours).expect("it was just made"));
    let changed = vendor.iter().zip(&ours).filter(|(old, new)| old != new).count();
    assert!(changed > 1 << 20 && changed < 3 << 20, "{changed} bytes differ");
}
