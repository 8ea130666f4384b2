//! The watchdog: a PID 1 that stops is followed by another boot.

use qemu_tests::board;
use qemu_tests::console::Mark;
use qemu_tests::or_skip;
use qemu_tests::vm::{Machine, Vm};

use crate::{LIMIT, v3};

/// Freezes PID 1 in a control group, as no signal can: a session is root, and its own groups are below its own.
const FREEZE: &str = "nsenter --target 1 --cgroup sh -c 'mkdir /tmp/all && mount -t cgroup2 none /tmp/all && \
    mkdir /tmp/all/stopped && echo 1 >/tmp/all/stopped/cgroup.procs && echo 1 >/tmp/all/stopped/cgroup.freeze'";

const LAST: &str = "the last boot was ended by the watchdog";

fn machine() -> Machine {
    // With the board's own, a machine that has none gets one.
    let flags: &[&str] =
        if board::under_test().get("qemu_devices").contains("i6300esb") { &[] } else { &["-device", "i6300esb"] };
    Machine { restarts: true, words: "cpud.watchdog=30", flags, ..Machine::direct() }
}

#[test]
fn a_pid_1_that_stops_is_followed_by_another_boot_which_says_why() {
    or_skip!(qemu_tests::client::v3());
    or_skip!(qemu_tests::skip::on_path("nsenter"));
    or_skip!(qemu_tests::vm::has_device("i6300esb"));
    let vm = Vm::boot(&machine());
    let said = vm.console.since(Mark::default());
    assert!(said.contains("restarts this machine when cpud stops for") && !said.contains(LAST), "{said}");
    // It is fed as long as cpud runs: longer than it waits.
    v3(vm.port, &[], &["sleep", "40"]).ok();
    // Then it cannot connect to itself.
    let no_loopback = "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; exec sleep 40";
    v3(vm.port, &[], &["sh", "-c", no_loopback]).ok();
    assert_eq!(vm.console.since(Mark::default()).matches("cpud: ready").count(), 1);
    let stopped = vm.console.mark();
    v3(vm.port, &[], &["sh", "-c", FREEZE]);
    vm.console.expect(stopped, &[LAST], LIMIT);
    vm.console.expect(stopped, &["cpud: ready"], LIMIT);
    assert_eq!(v3(vm.port, &[], &["sh", "-c", "echo works"]).ok(), "works");
    // A restart on purpose is none of the watchdog's.
    let asked = vm.console.mark();
    v3(vm.port, &["-9p=false"], &["reboot"]);
    vm.console.expect(asked, &["cpud: ready"], LIMIT);
    let said = vm.console.since(asked);
    assert!(said.contains("cpud: restarting") && !said.contains(LAST), "{said}");
}
