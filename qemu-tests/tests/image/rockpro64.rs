//! What of the rockpro64 can be had without one: its kernel in QEMU's machine for ARM, and its ROM's layout.

use std::fs;

use qemu_tests::artifacts::{Artifact, root};
use qemu_tests::board;
use qemu_tests::client::v3;
use qemu_tests::or_skip;
use qemu_tests::vm::{Machine, Vm};

#[test]
#[ignore = "its kernel takes as long to build as all others; --all does"]
fn its_kernel_serves_a_session_in_qemus_virt() {
    or_skip!(v3());
    or_skip!(on_arm());
    let vm = Vm::boot(&Machine { kernel: Artifact::Kernel.path("rockpro64"), ..Machine::direct() });
    assert_eq!(crate::v3(vm.port, &[], &["uname", "-m"]).ok(), "aarch64");
}

#[test]
#[ignore = "its kernel takes as long to build as all others; --all does"]
fn its_rom_holds_coreboot_the_secure_worlds_firmware_and_the_payload_in_16_mib() {
    or_skip!(on_arm());
    let layout = root().join("out/rockpro64/layout.txt");
    let layout = fs::read_to_string(&layout)
        .unwrap_or_else(|_| panic!("{} is missing: scripts/build-image.sh rockpro64 makes it", layout.display()));
    for part in ["BOOTBLOCK", "fallback/romstage", "fallback/ramstage", "fallback/bl31", "fallback/payload"] {
        assert!(layout.lines().any(|line| line.starts_with(part)), "{layout}");
    }
    assert!(layout.contains("of 16777216 bytes"), "{layout}");
}

fn on_arm() -> Result<(), String> {
    let arch = board::under_test().get("arch");
    (arch == "aarch64").then_some(()).ok_or_else(|| format!("the machine under test is {arch}"))
}
