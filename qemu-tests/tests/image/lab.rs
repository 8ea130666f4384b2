//! What tools for hardware find in a session: the clock, the firmware's tables, PCI, the network card, memory, flash.

use std::process::Command;
use std::time::SystemTime;

use qemu_tests::skip::Reason;
use qemu_tests::vm::Vm;
use qemu_tests::{board, or_skip, programs, run};

use crate::{LIMIT, machine, v3};

/// Where sessions have `program`, which one of qemu-tests/packages.txt brings.
fn tool(program: &str) -> Result<String, Reason> {
    let paths = ["/usr/sbin", "/usr/bin"].map(|folder| format!("{folder}/{program}"));
    let found = paths.into_iter().find(|path| programs::at_home(path).is_file());
    found.ok_or_else(|| format!("no {program} among the programs of sessions"))
}

/// A machine whose firmware has SMBIOS tables where the kernel looks: on ARM that takes UEFI.
fn has_smbios() -> Result<(), Reason> {
    let arch = board::under_test().get("arch");
    (arch == "x86_64").then_some(()).ok_or_else(|| format!("no SMBIOS on {arch} without UEFI"))
}

fn is_x86() -> Result<(), Reason> {
    let arch = board::under_test().get("arch");
    (arch == "x86_64").then_some(()).ok_or_else(|| format!("no ports and registers of that kind on {arch}"))
}

/// What /sys says of the machine.
#[track_caller]
fn dmi(vm: &Vm, name: &str) -> String {
    v3(vm.port, &[], &["cat", &format!("/sys/class/dmi/id/{name}")]).ok()
}

#[test]
fn hwclock_reads_the_boards_clock() {
    let vm = machine!(shared);
    // It prints the time and its zone; busybox, which is what sessions on ARM have, the time and, behind two blanks,
    // a fraction of a second.
    let words = match programs::are_foreign() {
        true => vec!["busybox".to_owned(), "hwclock".to_owned(), "-r".to_owned(), "-u".to_owned()],
        false => vec![or_skip!(tool("hwclock")), "-r".to_owned(), "-u".to_owned()],
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let said = v3(vm.port, &[], &words).ok();
    let date = said.split("  ").next().expect("it printed a time");
    let read = run::run(Command::new("date").args(["-u", "-d", date, "+%s"]), LIMIT).ok();
    let read: u64 = read.parse().unwrap_or_else(|e| panic!("{said}: {e}"));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    // A zone that was mistaken would be off by more.
    assert!(now.abs_diff(read) < 600, "{said} is {read}, now is {now}");
}

#[test]
fn dmidecode_reads_the_firmwares_tables_from_sys() {
    or_skip!(has_smbios());
    let vm = machine!(shared);
    // Without a ROM of ours QEMU's own firmware has started it.
    let vendor = if vm.flash.is_some() { "coreboot" } else { "SeaBIOS" };
    assert_eq!((dmi(&vm, "bios_vendor").as_str(), dmi(&vm, "sys_vendor").as_str()), (vendor, "QEMU"));
    assert!(dmi(&vm, "product_name").contains("Q35"));
    let said = v3(vm.port, &[], &[&or_skip!(tool("dmidecode"))]).ok();
    for words in ["Getting SMBIOS data from sysfs", "BIOS Information", &format!("Vendor: {vendor}")] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn lspci_prints_capabilities_and_drivers() {
    let vm = machine!(shared);
    let said = v3(vm.port, &[], &[&or_skip!(tool("lspci")), "-vv"]).ok();
    for words in ["Virtio network device", "Capabilities: [98] MSI-X: Enable+", "Kernel driver in use: virtio-pci"] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn ethtool_prints_the_link_and_the_driver() {
    let vm = machine!(shared);
    let ethtool = or_skip!(tool("ethtool"));
    assert!(v3(vm.port, &[], &[&ethtool, "eth0"]).ok().contains("Link detected: yes"));
    assert!(v3(vm.port, &[], &[&ethtool, "-i", "eth0"]).ok().contains("driver: virtio_net"));
}

#[test]
fn memtester_and_stressapptest_pass() {
    let vm = machine!(shared);
    let memtester = v3(vm.port, &[], &[&or_skip!(tool("memtester")), "1M", "1"]).ok();
    assert!(memtester.ends_with("Done."), "{memtester}");
    let words = [&or_skip!(tool("stressapptest")), "-s", "2", "-M", "16", "-m", "1"].map(str::to_owned);
    let stressapptest = v3(vm.port, &[], &words.each_ref().map(String::as_str)).ok();
    assert!(stressapptest.contains("Status: PASS"), "{stressapptest}");
}

#[test]
fn flashrom_reads_the_part_that_the_machine_started_from() {
    let vm = machine!(shared);
    or_skip!(vm.flash.as_ref().ok_or("booted without a flash part".to_owned()));
    let line = format!("{} -p linux_mtd:dev=0 -r /tmp/part && cmp /tmp/part /dev/mtd0", or_skip!(tool("flashrom")));
    let outcome = v3(vm.port, &[], &["sh", "-c", &line]);
    assert_eq!(outcome.code(), 0, "{}{}", outcome.text(), outcome.complaint());
    assert!(outcome.text().contains("Reading flash... done"), "{}", outcome.text());
}

/// What chipsec opens where it has no kernel module (helper/linuxnative of its sources).
#[test]
fn physical_memory_ports_and_model_specific_registers_are_devices() {
    or_skip!(is_x86());
    let vm = machine!(shared);
    let read = |device: &str, at: u64, bytes: u64| {
        let python = format!("import os; f = os.open('{device}', os.O_RDWR); print(len(os.pread(f, {bytes}, {at})))");
        assert_eq!(v3(vm.port, &[], &["python3", "-c", &python]).ok(), bytes.to_string(), "{device}");
    };
    // The firmware's segment, the timers' port (chipsec's manual has it), the time stamp counter.
    read("/dev/mem", 0xf_0000, 16);
    read("/dev/port", 0x61, 1);
    read("/dev/cpu/0/msr", 0x10, 8);
}
