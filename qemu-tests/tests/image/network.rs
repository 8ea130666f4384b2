//! The machine's network: addresses that come, are renewed, refused, contested and lost, on links that the tests make.

use std::net::Ipv4Addr;
use std::time::Duration;

use qemu_tests::board;
use qemu_tests::console::Mark;
use qemu_tests::lan::{Lan, OTHER, Rule, SERVER, Seen};
use qemu_tests::look::Process;
use qemu_tests::or_skip;
use qemu_tests::skip::{self, Reason};
use qemu_tests::vm::{self, Machine, Vm};

use crate::{machine, v3};

const FIRST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 15);
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 16);
const LIMIT: Duration = Duration::from_secs(120);

fn give(address: Ipv4Addr, seconds: u32) -> Rule {
    Rule::Give(address, seconds, Vec::new())
}

/// A machine with this link, and no other, that is ready.
fn on(lan: &Lan, words: &'static str) -> Result<Vm, Reason> {
    skip::on_path(&board::under_test().qemu())?;
    vm::has_netdev("dgram")?;
    let machine = Machine { netdev: Some(lan.netdev("net")), words, ..Machine::direct() };
    let vm = Vm::power_on(&machine);
    vm.console.expect(Mark::default(), &["cpud: ready"], LIMIT);
    Ok(vm)
}

/// A line of the console's after `mark`.
#[track_caller]
fn said(vm: &Vm, mark: Mark, words: &[&str]) -> String {
    vm.console.expect(mark, words, LIMIT)
}

fn replug(vm: &Vm) {
    for (into, words) in [(false, "eth0: unplugged"), (true, "eth0: plugged in")] {
        let mark = vm.console.mark();
        vm.plug(into);
        said(vm, mark, &[words]);
    }
}

fn renewal(of: Ipv4Addr, alone: bool) -> impl Fn(&Seen) -> bool {
    move |seen| matches!(seen, Seen::Request { renewed: Some(a), unicast, .. } if *a == of && *unicast == alone)
}

fn is_request_for(of: Ipv4Addr) -> impl Fn(&Seen) -> bool {
    move |seen| matches!(seen, Seen::Request { requested: Some(a), .. } if *a == of)
}

#[test]
fn a_lease_of_seconds_is_renewed_rebound_lost_and_had_again() {
    let lan = Lan::new(give(FIRST, 8));
    let vm = or_skip!(on(&lan, ""));
    let start = Mark::default();
    said(&vm, start, &["listening on 10.77.0.15:17010", "eth0", "from 10.77.0.1 for 8 s"]);
    lan.ping(FIRST);
    let mut mark = lan.mark();
    for _ in 0..5 {
        mark = lan.expect(mark, "renewal", renewal(FIRST, true));
    }
    // A renewal is no news.
    assert_eq!(vm.console.since(start).matches("listening on 10.77").count(), 1);
    let mark = lan.set(Rule::Silent);
    lan.expect(mark, "rebinding", renewal(FIRST, false));
    said(&vm, start, &["10.77.0.15 is given up: no DHCP server has renewed it in time"]);
    said(&vm, start, &["no DHCP server answers so far"]);
    let line = said(&vm, start, &["listening on 169.254.", "made up until a DHCP server answers"]);
    let address = line.split(['n', ':']).find_map(|word| word.trim().parse().ok()).expect("an address");
    lan.ping(address);
    let before = vm.console.mark();
    lan.set(give(SECOND, 600));
    said(&vm, before, &["listening on 10.77.0.16:17010"]);
    lan.ping(SECOND);
}

#[test]
fn a_server_that_is_late_by_minutes_is_found_and_the_machine_is_ready_meanwhile() {
    let lan = Lan::new(Rule::Silent);
    let vm = or_skip!(on(&lan, ""));
    let start = Mark::default();
    said(&vm, start, &["no DHCP server answers so far"]);
    let mut mark = lan.mark();
    for _ in 0..3 {
        mark = lan.expect(mark, "discover", |seen| *seen == Seen::Discover);
    }
    lan.set(give(FIRST, 600));
    said(&vm, start, &["listening on 10.77.0.15:17010"]);
    lan.ping(FIRST);
}

#[test]
fn a_refusal_is_followed_by_another_address_at_once() {
    let lan = Lan::new(give(FIRST, 8));
    let vm = or_skip!(on(&lan, ""));
    said(&vm, Mark::default(), &["listening on 10.77.0.15:17010"]);
    let mark = lan.set(give(SECOND, 600));
    let mark = lan.expect(mark, "renewal", renewal(FIRST, true));
    said(&vm, Mark::default(), &["10.77.0.15 is not ours any more, says a DHCP server"]);
    said(&vm, Mark::default(), &["listening on 10.77.0.16:17010"]);
    let after = lan.since(mark);
    let questions: Vec<_> = after.iter().filter(|seen| !matches!(seen, Seen::Arp(..))).collect();
    assert!(matches!(questions[..2], [Seen::Discover, Seen::Request { .. }]), "{questions:?}");
    lan.ping(SECOND);
    // One that offers and refuses for ever does not set the pace.
    let mark = lan.set(Rule::Refuse);
    replug(&vm);
    let mark = (0..4).fold(mark, |mark, _| lan.expect(mark, "discover", |seen| *seen == Seen::Discover));
    assert!(lan.since(mark).len() < 20);
}

#[test]
fn an_address_that_somebody_has_is_declined_and_one_that_is_free_is_kept() {
    let lan = Lan::new(give(FIRST, 600));
    lan.take(FIRST);
    let vm = or_skip!(on(&lan, ""));
    let mark = lan.expect(Lan::START, "decline", |seen| *seen == Seen::Decline(FIRST));
    said(&vm, Mark::default(), &["10.77.0.15 is 02:00:00:00:00:09's already, and declined"]);
    lan.set(give(SECOND, 600));
    lan.expect(mark, "request", is_request_for(SECOND));
    said(&vm, Mark::default(), &["listening on 10.77.0.16:17010"]);
    // It is announced once it has been probed for; who comes later does not get it.
    let mark = lan.expect(mark, "announcement", |seen| *seen == Seen::Arp(SECOND, SECOND));
    lan.claim(SECOND);
    said(&vm, Mark::default(), &[&shown(OTHER), "uses 10.77.0.16, too, which is ours"]);
    lan.expect(mark, "defence", |seen| *seen == Seen::Arp(SECOND, SECOND));
    lan.ping(SECOND);
}

fn shown(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[test]
fn a_cable_that_is_pulled_and_plugged_in_again_finds_the_same_or_another_network() {
    let lan = Lan::new(give(FIRST, 600));
    let vm = or_skip!(on(&lan, ""));
    said(&vm, Mark::default(), &["listening on 10.77.0.15:17010"]);
    let (mark, before) = (lan.mark(), vm.console.mark());
    replug(&vm);
    let mark = lan.expect(mark, "question for the address of before", is_request_for(FIRST));
    lan.ping(FIRST);
    assert!(!lan.since(mark).contains(&Seen::Discover));
    // Another network, whose server refuses.
    let mark = lan.set(give(SECOND, 600));
    replug(&vm);
    lan.expect(mark, "question for the address of before", is_request_for(FIRST));
    said(&vm, before, &["listening on 10.77.0.16:17010"]);
    // And one whose server is silent at what it does not know: the address goes on, and another is asked for.
    let mark = lan.set(Rule::Silent);
    replug(&vm);
    lan.expect(mark, "discover", |seen| *seen == Seen::Discover);
    lan.ping(SECOND);
}

#[test]
fn garbage_does_not_cost_the_lease_nor_fill_the_console() {
    let lan = Lan::new(Rule::Damage);
    let vm = or_skip!(on(&lan, ""));
    let start = Mark::default();
    said(&vm, start, &["eth0", "DHCP messages are damaged, the last from 02:00:00:00:00:01"]);
    lan.set(give(FIRST, 600));
    said(&vm, start, &["listening on 10.77.0.15:17010"]);
    let before = vm.console.mark();
    lan.flood(20_000);
    lan.ping(FIRST);
    let said = vm.console.since(before);
    assert!(!said.contains("net ") && said.lines().count() < 4, "{said}");
}

#[test]
fn an_address_of_the_command_line_needs_no_server() {
    let lan = Lan::new(give(SECOND, 600));
    let words = "cpud.address=10.77.0.15/24 cpud.gateway=10.77.0.1 ip=10.0.0.1::: cpud.adress=1";
    let vm = or_skip!(on(&lan, words));
    said(&vm, Mark::default(), &["listening on 10.77.0.15:17010 (eth0, as set)"]);
    lan.ping(FIRST);
    let said = vm.console.since(Mark::default());
    assert!(said.contains("ip=\"10.0.0.1:::\": write cpud.address=ADDRESS/BITS"), "{said}");
    assert!(said.contains("\"cpud.adress=1\": no word that this cpud knows"), "{said}");
    assert!(!lan.since(Lan::START).contains(&Seen::Discover));
}

#[test]
fn two_networks_have_an_address_each_and_neither_a_killed_net_nor_a_card_that_goes_ends_that() {
    or_skip!(qemu_tests::client::v3());
    or_skip!(skip::on_path(&board::under_test().qemu()));
    or_skip!(vm::has_netdev("dgram"));
    let options = [(6, SERVER.octets().to_vec()), (12, b"box-7".to_vec()), (15, b"lab.example".to_vec())];
    let lan = Lan::new(Rule::Give(FIRST, 600, options.to_vec()));
    let flags: Vec<&str> = vec!["-netdev", Box::leak(lan.netdev("second").into_boxed_str())];
    let flags = [flags, vec!["-device", "virtio-net-pci,netdev=second,romfile=,mac=52:54:00:12:34:57"]].concat();
    let vm = Vm::boot(&Machine { flags: flags.leak(), ..Machine::direct() });
    for words in [["listening on 10.77.0.15:17010", "eth0"], ["listening on 10.0.2.15:17010", "eth1"]] {
        said(&vm, Mark::default(), &words);
    }
    lan.ping(FIRST);
    let find = |vm: &Vm| vm.processes().into_iter().find(Process::is_net);
    let net = find(&vm).unwrap_or_else(|| panic!("{:#?}", vm.processes()));
    assert!(net.resident <= 200, "{net:?}");
    let ids = v3(vm.port, &[], &["grep", "^[UG]id", &format!("/proc/{}/status", net.pid)]).ok();
    assert!(ids.lines().all(|line| line.ends_with("65534\t65534\t65534\t65534")), "{ids}");
    let (mark, before) = (lan.mark(), vm.console.mark());
    v3(vm.port, &[], &["kill", "-KILL", &net.pid.to_string()]).ok();
    said(&vm, before, &["net was ended by signal 9 and is started again"]);
    lan.expect(mark, "question for the address of before", is_request_for(FIRST));
    said(&vm, before, &["listening on 10.77.0.15:17010"]);
    assert_ne!(find(&vm).expect("it runs again").pid, net.pid);
    lan.ping(FIRST);
    // A card that goes, and comes later than all else.
    let before = vm.console.mark();
    let device = v3(vm.port, &[], &["readlink", "/sys/class/net/eth0/device"]).ok();
    let device = device.rsplit('/').next().expect("a path");
    for (verb, words) in [("unbind", "eth0: gone"), ("bind", "listening on 10.77.0.15:17010 (eth0, from 10.77.0.1")] {
        let script = format!("echo {device} >/sys/bus/virtio/drivers/virtio_net/{verb}");
        v3(vm.port, &[], &["sh", "-c", &script]).ok();
        said(&vm, before, &[words]);
    }
    lan.ping(FIRST);
}

#[test]
fn ipv6_addresses_come_by_themselves_and_are_named() {
    let vm = machine!(shared);
    // Its own, and one of the network that QEMU's router announces.
    for words in ["listening on [fe80::", "listening on [fec0::"] {
        said(&vm, Mark::default(), &[words, "]:17010 (eth0)"]);
    }
}

#[test]
fn what_a_lease_says_besides_is_the_machines() {
    let vm = machine!(shared);
    let resolvers = v3(vm.port, &[], &["cat", "/run/cpud/resolv.conf"]).ok();
    assert!(resolvers.contains("nameserver 10.0.2.3"), "{resolvers}");
    // Of a machine without a name.
    assert_eq!(v3(vm.port, &[], &["uname", "-n"]).ok(), "10.0.2.15");
}
