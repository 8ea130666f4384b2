//! The walls, tried from inside: in an image whose `cpud` has a hole, a test has wire and relay make any system call,
//! where one would whose code somebody has changed (docs/threat-model.md).

mod attempts;

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use qemu_tests::artifacts::{Artifact, scratch};
use qemu_tests::board;
use qemu_tests::client::{self, Client};
use qemu_tests::hole::Hole;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::look::{Process, others};
use qemu_tests::or_skip;
use qemu_tests::run::{run, spawn};
use qemu_tests::skip::{self, Reason};
use qemu_tests::vm::{Machine, Vm, script};

use crate::walls::base64;
use crate::{LIMIT, v3};
use attempts::{ALLOWED, EISCONN, FATAL, NUMBERS, OTHER, REFUSED};

/// The machine with the hole, a test at a time.
fn machine() -> Result<(MutexGuard<'static, ()>, &'static Vm), Reason> {
    static BOOTED: OnceLock<Vm> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    client::v3()?;
    skip::on_path(&board::under_test().qemu())?;
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((turn, BOOTED.get_or_init(|| Vm::boot(&Machine::with_hole()))))
}

/// A user's session that was there before, with files by a relay of its own, and PID 1 as it was.
struct Witness<'a> {
    vm: &'a Vm,
    session: Child,
    init: Process,
}

impl<'a> Witness<'a> {
    fn new(vm: &'a Vm) -> Self {
        let mut client = Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}")).with(&["-key"]);
        let key = Key::user(Kind::Ed25519).private;
        let command = client.command(&[key.to_str().expect("UTF-8"), "cat"]);
        let mut session = spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        echo(&mut session);
        Self { vm, session, init: vm.processes().swap_remove(0) }
    }

    /// Nothing has happened to it.
    fn assert_well(mut self) {
        echo(&mut self.session);
        assert_eq!(v3(self.vm.port, &[], &["echo", "next"]).ok(), "next");
        let over = Instant::now();
        loop {
            let init = self.vm.processes().swap_remove(0);
            if init.pid == 1 && init.descriptors.len() <= self.init.descriptors.len() {
                break;
            }
            // Of a stranger init has the socket until his wire has ended.
            assert!(over.elapsed() < LIMIT, "{init:?} was {:?}", self.init);
        }
    }
}

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        let _ = self.session.kill();
        let _ = self.session.wait();
    }
}

fn echo(session: &mut Child) {
    session.stdin.as_mut().expect("piped").write_all(b"alive").expect("it reads");
    let mut said = [0; 5];
    session.stdout.as_mut().expect("piped").read_exact(&mut said).expect("it answers");
    assert_eq!(&said, b"alive");
}

/// The relay of a user who logs in for it.
fn relay(vm: &Vm) -> Hole {
    Hole::relay(Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}")))
}

/// Has a process call the kernel, and waits for its end.
fn assert_ends(vm: &Vm, mut hole: Hole, role: &str, what: &str, number: u32, args: &[u64], bytes: &[u8]) {
    let mark = vm.console.mark();
    let answer = hole.call(number, args, bytes).map(|(result, _)| result);
    assert_eq!(answer, None, "{role}: {what} ({number})");
    // SIGSYS, by which seccomp(2) kills.
    vm.console.expect(mark, &[role, "was ended by signal 31"], LIMIT);
}

/// Has it make the calls that are refused.
fn assert_refused(mut hole: Hole) {
    for ((what, call, args, bytes), error) in REFUSED {
        let other = hole.others()[0];
        let args: Vec<u64> = args.iter().map(|&arg| if arg == OTHER { other } else { arg }).collect();
        let answer = hole.call(call.number(), &args, bytes);
        assert_eq!(answer.map(|(result, _)| result), Some(-error), "{what}");
    }
    // TCP's sendmsg(2) connects what is not connected.
    assert_eq!(hole.connect(hole.peer), -EISCONN);
}

#[test]
fn a_wire_that_was_taken_over_ends_at_whatever_it_tries() {
    let (_turn, vm) = or_skip!(machine());
    let witness = Witness::new(vm);
    for (what, call, args, bytes) in FATAL {
        assert_ends(vm, Hole::wire(vm.port), "wire", what, call.number(), args, bytes);
    }
    assert_refused(Hole::wire(vm.port));
    witness.assert_well();
}

#[test]
fn a_relay_that_was_taken_over_ends_at_whatever_it_tries() {
    let (_turn, vm) = or_skip!(machine());
    let witness = Witness::new(vm);
    for (what, call, args, bytes) in FATAL {
        assert_ends(vm, relay(vm), "relay", what, call.number(), args, bytes);
    }
    assert_refused(relay(vm));
    witness.assert_well();
}

#[test]
fn every_system_call_but_sixteen_ends_wire() {
    let (_turn, vm) = or_skip!(machine());
    let witness = Witness::new(vm);
    let allowed: Vec<u32> = ALLOWED.iter().map(|call| call.number()).collect();
    for number in NUMBERS.into_iter().flatten().filter(|number| !allowed.contains(number)) {
        assert_ends(vm, Hole::wire(vm.port), "wire", "a number", number, &[], b"");
    }
    witness.assert_well();
}

/// Messages to guard (cpud-min/src/guard/protocol.rs): a byte for the kind, and the types of RFC 4251 section 5.
const SIGN: [&[u8]; 2] = [&[1], &[7; 32]];
const OPEN: &[u8] = &[4, 0, 0, 0, 0];
const SIGNAL_9: &[u8] = &[5, 0, 0, 0, 0, 0, 0, 0, 9];
const CLOSE: &[u8] = &[6, 0, 0, 0, 0];
/// Its answers.
const SIGNATURE: u8 = 2;
const VERDICT: u8 = 3;
const OPENED: u8 = 4;

fn strings(head: &[u8], fields: &[&[u8]]) -> Vec<u8> {
    let string = |field: &&[u8]| [&(field.len() as u32).to_be_bytes(), *field].concat();
    [head.to_vec(), fields.iter().flat_map(string).collect()].concat()
}

/// What guard answers, and whether it gives a descriptor.
fn ask(hole: &mut Hole, guard: u64, message: &[u8], descriptors: &[u64]) -> (Vec<u8>, bool) {
    assert_eq!(hole.send(guard, message, descriptors), Some(message.len() as i64));
    hole.receive(guard)
}

/// How many descriptors PID 1's own processes have, but for the look's and those in the cage.
fn descriptors(vm: &Vm) -> Vec<(u32, usize)> {
    let all = vm.processes();
    let free = others(&all).into_iter().filter(|process| !process.filtered);
    free.map(|process| (process.pid, process.descriptors.len())).collect()
}

#[test]
fn guard_opens_no_session_for_a_wire_that_was_taken_over() {
    let (_turn, vm) = or_skip!(machine());
    let witness = Witness::new(vm);
    let mut hole = Hole::wire(vm.port);
    let [guard] = hole.others()[..] else { panic!("it has more than guard: {:?}", hole.others()) };
    let (not_opened, before) = ((vec![OPENED, 0], false), descriptors(vm));
    // Of a session that is not there.
    for message in [SIGNAL_9, CLOSE] {
        assert_eq!(hole.send(guard, message, &[]), Some(message.len() as i64));
    }
    assert_eq!(ask(&mut hole, guard, OPEN, &[]), not_opened);

    let key = base64(Key::user(Kind::Ed25519).line().split(' ').nth(1).expect("type, base64"));
    let signature = strings(&[], &[b"ssh-ed25519", &[0; 64]]);
    let verify = strings(&[3, 0], &[b"root", b"ssh-connection", b"ssh-ed25519", &key, &signature]);
    let query = strings(&[2], &[b"root", b"ssh-ed25519", &key]);
    // Before guard has signed anything there is nothing that a signature could be over, and no answer.
    assert_eq!(hole.send(guard, &verify, &[]), Some(verify.len() as i64));
    assert_eq!(ask(&mut hole, guard, OPEN, &[]), not_opened);
    let (signed, _) = ask(&mut hole, guard, &SIGN.concat(), &[]);
    assert_eq!((signed[0], signed.len()), (SIGNATURE, 65));
    assert_eq!(ask(&mut hole, guard, &query, &[]), (vec![VERDICT, 1], false));
    assert_eq!(ask(&mut hole, guard, &verify, &[]), (vec![VERDICT, 0], false));
    assert_eq!(ask(&mut hole, guard, OPEN, &[]), not_opened);

    let all = [0, 1, hole.peer, guard];
    for _ in 0..8 {
        assert_eq!(ask(&mut hole, guard, OPEN, &all), not_opened);
    }
    assert_eq!(descriptors(vm), before);
    // What is no message ends guard.
    assert_eq!(ask(&mut hole, guard, &[99], &[]), (vec![], false));
    drop(hole);
    witness.assert_well();
}

#[test]
fn whatever_a_relay_that_was_taken_over_says_harms_nobody() {
    let (_turn, vm) = or_skip!(machine());
    let witness = Witness::new(vm);
    let mut hole = relay(vm);
    let mut others = hole.others();
    // init, a wire, the kernel, and the file for the counters; the kernel's came with, and before, the one by which it hears.
    assert_eq!(others.len(), 4);
    let kernel = hole.peer - 1;
    others.sort_by_key(|&other| other == kernel);
    for &other in &others {
        for message in [&[1][..], &[0xff; 600]] {
            let sent = [hole.send(other, message, &[]), hole.send(other, message, &others)];
            // What the kernel is told ends the session, and with that the way to this relay.
            assert!(other == kernel || sent.iter().all(Option::is_some), "{other} of {others:?}");
        }
    }
    assert_eq!(others.last(), Some(&kernel));
    witness.assert_well();
}

#[test]
fn no_image_is_made_of_a_program_with_the_hole() {
    let board = board::under_test();
    let [ordinary, holed] = [board.name.clone(), format!("{}-hole", board.name)].map(|b| Artifact::Cpud.path(&b));
    let bytes = fs::read(ordinary).expect("it is there");
    assert!(!bytes.windows(9).any(|at| at == b"test-hole"));
    let mut make = script("build-initramfs.sh");
    make.args(["--bare", "--arch", board.get("arch"), "--cpud"]).arg(holed).arg("--out").arg(scratch("no-image"));
    let made = run(&mut make, LIMIT);
    assert_eq!((made.code(), made.text().as_str()), (1, ""));
    assert!(made.complaint().contains("has the hole of the tests"), "{}", made.complaint());
}
