//! A kernel that panics starts again, and the next boot says why.

use qemu_tests::client::Client;
use qemu_tests::or_skip;
use qemu_tests::run::start;
use qemu_tests::vm::{Machine, Vm};

use crate::{LIMIT, v3};

/// Overwrites the program text of PID 1, which ends it at its next step, and so the kernel. A session is root.
const RUIN: &str = "map=$(grep -m 1 r-xp /proc/1/maps) && from=${map%%-*} && \
    dd if=/dev/zero of=/proc/1/mem bs=4096 seek=$((0x$from / 4096)) count=16 conv=notrunc";

#[test]
fn the_boot_after_a_panic_says_why_the_last_one_ended_and_the_next_does_not() {
    or_skip!(qemu_tests::client::v3());
    or_skip!(qemu_tests::skip::on_path(&qemu_tests::board::under_test().qemu()));
    let vm = Vm::boot(&Machine { restarts: true, ..Machine::ours() });
    let on = vm.console.mark();
    let mut client = Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}"));
    // Nobody tells it that the machine is gone.
    let ruins = start(client.command(&["sh", "-c", RUIN]), Vec::new());
    vm.console.expect(on, &["cpud: the last boot", "Kernel panic - not syncing: Attempted to kill init!"], LIMIT);
    ruins.signal("KILL");
    vm.console.expect(on, &["cpud: ready"], LIMIT);
    assert!(v3(vm.port, &["-9p=false"], &["cat", "/run/cpud/panic"]).ok().contains("Attempted to kill init!"));
    let asked = vm.console.mark();
    v3(vm.port, &["-9p=false"], &["reboot"]);
    vm.console.expect(asked, &["cpud: ready"], LIMIT);
    assert!(!vm.console.since(asked).contains("Kernel panic"), "{}", vm.console.since(asked));
}
