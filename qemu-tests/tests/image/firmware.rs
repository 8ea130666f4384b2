//! What the machine hands to the appliance: qemu-q35's ROM at every boot, with as little memory as the board says, and
//! what it lacks.

use qemu_tests::board;
use qemu_tests::client::v3 as client;
use qemu_tests::console::Mark;
use qemu_tests::or_skip;
use qemu_tests::vm::{Machine, Vm};

use crate::{LIMIT, v3};

#[test]
fn acpi_tables_are_unique_at_every_boot_and_poweroff_works() {
    or_skip!(client());
    let vm = Vm::boot(&Machine { restarts: true, ..Machine::direct().in_rom("acpi", &[]) });
    let tables = |boot: usize| {
        let log = v3(vm.port, &[], &["dmesg"]).ok();
        assert!(!log.contains("multiple APIC/MADT"), "boot {boot}: {log}");
        let tables =
            log.lines().filter_map(|line| line.split_once("ACPI: ")?.1.split_once(" 0x").map(|(name, _)| name));
        let mut tables: Vec<_> = tables.map(str::to_owned).collect();
        tables.sort();
        tables
    };
    let first = tables(1);
    assert_eq!(first.iter().filter(|&name| name == "APIC").count(), 1, "{first:?}");
    for boot in 2..=5 {
        let before = vm.console.mark();
        // The connection breaks.
        let _ = v3(vm.port, &[], &["sh", "-c", "kill -TERM 1"]);
        vm.console.expect(before, &["cpud: ready"], LIMIT);
        assert_eq!(tables(boot), first, "boot {boot}");
    }
    let _ = v3(vm.port, &[], &["sh", "-c", "kill -USR2 1"]);
    vm.console.expect(Mark::default(), &["cpud: switching off"], LIMIT);
    vm.expect_off(LIMIT);
}

#[test]
fn the_power_button_switches_the_machine_off() {
    let vm = Vm::boot(&Machine::direct());
    vm.press_power_button();
    vm.console.expect(Mark::default(), &["cpud: switching off"], LIMIT);
    vm.expect_off(LIMIT);
}

#[test]
fn the_image_starts_with_the_memory_that_the_board_says() {
    let memory = board::under_test().get("min_memory").to_owned();
    let vm = Vm::boot(&Machine { memory, ..Machine::direct().in_rom("least", &[]) });
    assert!(vm.console.since(Mark::default()).contains("listening on 10.0.2.15"));
}

#[test]
fn a_clock_that_is_not_set_begins_at_the_commits_time_and_the_console_says_so() {
    let vm = Vm::boot(&Machine { flags: &["-rtc", "base=1970-01-02"], ..Machine::direct() });
    vm.console.expect(Mark::default(), &["the clock is not set"], LIMIT);
    or_skip!(client());
    let year = v3(vm.port, &[], &["date", "+%Y"]).ok();
    assert!(year.parse().is_ok_and(|year: u32| (2025..2100).contains(&year)), "{year}");
    let vm = Vm::boot(&Machine::direct());
    assert!(!vm.console.since(Mark::default()).contains("the clock is not set"));
}

#[test]
fn the_console_says_that_there_is_no_network_card_with_a_driver() {
    // Its driver is not in the kernel.
    let vm = Vm::power_on(&Machine { card: "e1000", ..Machine::direct() });
    vm.console.expect(Mark::default(), &["no network card that its kernel has a driver for"], LIMIT);
}
