//! The image beside a crowd of strangers from ten addresses, by a second card in a network name space of the test's.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use qemu_tests::artifacts::scratch;
use qemu_tests::client::{self, Client};
use qemu_tests::crowd::{self, Crowd, Place};
use qemu_tests::look::{Process, others};
use qemu_tests::programs;
use qemu_tests::run::{Outcome, noise, spawn};
use qemu_tests::skip::on_path;
use qemu_tests::vm::{Machine, Vm, served};
use qemu_tests::{board, or_skip, skip};

use crate::v3;

/// The box, and where nobody is.
const BOX: &str = "10.9.0.2";
const NOBODY: &str = "10.9.1.0";
const PORT: u16 = 17010;

/// The owner's is the first.
const NETWORK: &str = "ip tuntap add tap0 mode tap; ip link set tap0 up; \
                       for n in 1 11 12 13 14 15 16 17 18 19 20; do ip addr add 10.9.0.$n/16 dev tap0; done";
const CARD: &[&str] = &[
    "-netdev",
    "tap,id=tap,ifname=tap0,script=no,downscript=no",
    "-device",
    "virtio-net-pci,netdev=tap,addr=0x10,romfile=",
];

/// How many times as long an owner's commands may take, in the median. Two to three were measured; the crowd and QEMU share
/// two processors with whatever else there is.
const SLOWER: u32 = 6;

const MINUTE: Duration = Duration::from_secs(60);

fn strangers() -> impl Iterator<Item = String> {
    (11..=20).map(|n| format!("10.9.0.{n}"))
}

/// A client of the owner's, from 10.9.0.1.
fn owner() -> Client {
    Client::v3(PORT).unwrap_or_else(|e| panic!("{e}")).with(&["-host", BOX])
}

/// So many connections a second take half the box's processor when all that is done is to accept and close them.
fn half_the_processor() -> u32 {
    let mut client = owner();
    let program = served(&programs::look());
    let command = client.command(&[&program, "accept", "9"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut accepting = spawn(command);
    let mut said = BufReader::new(accepting.stdout.take().expect("piped"));
    said.read_line(&mut String::new()).expect("it listens");
    let crowd = Crowd::start((BOX, 9), 2000, NOBODY, strangers());
    thread::sleep(Duration::from_secs(5));
    drop(accepting.stdin.take());
    let mut numbers = String::new();
    said.read_to_string(&mut numbers).expect("it says how many");
    accepting.wait().expect("a child can be waited for");
    crowd.end();
    let numbers: Vec<f64> = numbers.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    let [accepted, ticks, idle] = numbers[..] else { panic!("{numbers:?}") };
    // USER_HZ, the unit of proc(5), is 100.
    let (a_second, busy) = (accepted / ticks * 100.0, 1.0 - idle / ticks);
    println!("a bare loop: {a_second:.0} connections a second take {busy:.2} of the processor");
    (a_second / busy / 2.0) as u32
}

/// KiB of PID 1's own memory, of TCP's, and of the kernel's that it does not give back by itself; and what runs.
#[derive(Debug)]
struct Held {
    init: u64,
    tcp: u64,
    slabs: u64,
    processes: usize,
}

impl Held {
    fn by(vm: &Vm) -> Self {
        let all: Vec<Process> = vm.processes();
        let text = v3(vm.port, &[], &["cat", "/proc/net/sockstat", "/proc/meminfo"]).ok();
        let after = |word: &str| {
            let mut words = text.split_whitespace().skip_while(|each| *each != word);
            words.nth(1).and_then(|number| number.parse::<u64>().ok()).unwrap_or_else(|| panic!("no {word}: {text}"))
        };
        Self {
            init: all[0].anonymous,
            tcp: after("mem") * 4,
            slabs: after("SUnreclaim:"),
            processes: others(&all).len(),
        }
    }

    /// Whether this is what was there before: a stack may be a page or two deeper, and the looking itself has sockets.
    fn is_as(&self, before: &Self) -> bool {
        self.init <= before.init + 8
            && self.tcp <= before.tcp + 128
            && self.slabs <= before.slabs + 1024
            && self.processes <= before.processes
    }
}

/// An owner, beside a crowd that comes at the rate at which a bare loop would take half the processor.
fn owner_beside_a_crowd(lasts: Duration) {
    or_skip!(client::v3());
    or_skip!(on_path(&board::under_test().qemu()));
    or_skip!(native());
    let place = or_skip!(Place::new(NETWORK));
    place.within(|| {
        let vm = Vm::boot(&Machine { flags: CARD, ..Machine::ours() });
        let setup = format!("ip addr add {BOX}/16 dev eth1 && ip link set eth1 up");
        v3(vm.port, &[], &["sh", "-c", &setup]).ok();

        let file = scratch("crowd").join("8-mb");
        let command = || owner().into_command(&["true"]);
        let read = || {
            // Another file each time: what was read once need not be fetched again.
            fs::write(&file, noise(8 << 20)).expect("room for 8 MB");
            owner().into_command(&["wc", "-c", &served(&file)])
        };
        let is_whole = |outcome: &Outcome| outcome.text().starts_with("8388608 ");
        let rate = half_the_processor();
        let quiet = crowd::owners(1, MINUTE / 4, &command, &read, &is_whole);
        let before = Held::by(&vm);
        let crowd = Crowd::start((BOX, PORT), rate, NOBODY, strangers());
        let beside = crowd::owners(1, lasts, &command, &read, &is_whole);
        let (connections, served) = crowd.end();
        println!("{connections} connections at {rate} a second, {served} served; {quiet:?} became {beside:?}");
        let is_slow = beside.command > quiet.command * SLOWER || beside.read > quiet.read * SLOWER;
        assert!(!is_slow, "{quiet:?} became {beside:?}");
        assert!(connections > u64::from(rate) * lasts.as_secs() / 4, "{connections} connections are no crowd");
        let deadline = Instant::now() + 2 * MINUTE;
        loop {
            let left = Held::by(&vm);
            if left.is_as(&before) {
                return;
            }
            assert!(Instant::now() < deadline, "{left:?} was {before:?}");
        }
    });
}

/// The cards of QEMU's other machines are others, and so are the programs that set an address.
fn native() -> Result<(), skip::Reason> {
    (!programs::are_foreign()).then_some(()).ok_or_else(|| "this board does not run this machine's ip(8)".to_owned())
}

#[test]
fn an_owner_is_served_beside_a_crowd_of_which_nothing_is_left() {
    owner_beside_a_crowd(MINUTE / 2);
}

#[test]
#[ignore = "takes long"]
fn an_owner_is_served_for_three_minutes_beside_a_crowd() {
    owner_beside_a_crowd(3 * MINUTE);
}
