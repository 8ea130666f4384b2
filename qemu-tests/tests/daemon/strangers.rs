//! What those who do not log in may have: of the kernel, of the places, and of an address.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use qemu_tests::console::Mark;
use qemu_tests::crowd::{self, Crowd, Place};
use qemu_tests::daemon::Daemon;
use qemu_tests::hostile::unknown_messages;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::look::{family, processes};
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer, openssh, shell};
use qemu_tests::run::{Outcome, run, spawn};
use qemu_tests::skip::on_path;

const SOON: Duration = Duration::from_secs(20);
const MINUTE: Duration = Duration::from_secs(60);

/// How long the owners are alone, for the times that they are then compared with.
const QUIET: Duration = Duration::from_secs(10);

/// A program that ends with its test, whatever becomes of that.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn connect(daemon: &Daemon) -> TcpStream {
    let socket = TcpStream::connect(("127.0.0.1", daemon.port)).expect("the daemon listens");
    socket.set_read_timeout(Some(SOON)).expect("a time limit is not zero");
    socket
}

/// The bytes that wait in each of the daemon's sockets, written and not acknowledged, and come and not read
/// (proc_pid_net(5), tcp). Those that listen have none; in TIME_WAIT there is no socket any more, but a note of its numbers.
fn queues(daemon: &Daemon) -> Vec<(u64, u64)> {
    let table = fs::read_to_string("/proc/thread-self/net/tcp").expect("Linux has it");
    let here = format!(":{:04X}", daemon.port);
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours =
        rows.filter(|row| row.get(1).is_some_and(|local| local.ends_with(&here)) && !["06", "0A"].contains(&row[3]));
    let number = |hex| u64::from_str_radix(hex, 16).expect("a number");
    ours.map(|row| row[4].split_once(':').expect("two")).map(|(out, come)| (number(out), number(come))).collect()
}

/// An owner's command, from another address than the strangers'.
fn owner(daemon: &Daemon) -> Command {
    owners(daemon, "echo welcome")
}

fn owners(daemon: &Daemon, script: &str) -> Command {
    let mut ssh = openssh(&Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false });
    ssh.args(["-b", "127.0.0.2", "root@127.0.0.1", &shell(script)]);
    ssh
}

#[test]
fn a_stranger_who_sends_and_does_not_read_holds_little_of_the_kernel() {
    let daemon = Daemon::start();
    let mut socket = connect(&daemon);
    socket.set_write_timeout(Some(Duration::from_millis(500))).expect("a time limit is not zero");
    let flood = unknown_messages(1_000_000);
    let end = socket.write_all(&flood).expect_err("no server takes sixteen million bytes of that");
    // It has hung up, or takes no more.
    let full = matches!(end.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    let held: u64 = queues(&daemon).iter().map(|(out, come)| out + come).sum();
    assert!(held <= 32 * 1024, "{held} bytes, {full}");
}

#[test]
fn who_reads_is_told_that_it_was_too_much() {
    let daemon = Daemon::start();
    let mut socket = connect(&daemon);
    socket.write_all(&unknown_messages(200)).expect("it fits into the kernel");
    let mut said = Vec::new();
    let _ = socket.read_to_end(&mut said);
    assert!(String::from_utf8_lossy(&said).contains("too much was sent before the login"), "{said:?}");
    daemon.console.expect(Mark::default(), &["too much was sent before the login"], SOON);
}

#[test]
fn an_evicted_stranger_who_does_not_read_leaves_nothing_in_the_kernel() {
    let daemon = Daemon::start();
    // A window of a kilobyte, which the answers do not fit.
    let deaf = "import socket, sys, time\n\
                s = socket.socket()\n\
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)\n\
                s.connect(('127.0.0.1', int(sys.argv[1])))\n\
                s.sendall(sys.stdin.buffer.read())\n\
                print(flush=True)\n\
                time.sleep(1000)\n";
    let python = or_skip!(on_path("python3"));
    let mut deaf = Killed(spawn(
        Command::new(python).args(["-c", deaf, &daemon.port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped()),
    ));
    deaf.0.stdin.take().expect("piped").write_all(&unknown_messages(200)).expect("it reads");
    deaf.0.stdout.as_mut().expect("piped").read_exact(&mut [0]).expect("it has sent all");
    daemon.console.expect(Mark::default(), &["too much was sent before the login"], Duration::from_secs(150));
    let deadline = Instant::now() + SOON;
    while let left @ 1.. = queues(&daemon).len() {
        assert!(Instant::now() < deadline, "{left} sockets are left");
    }
}

#[test]
fn only_the_address_without_logins_is_refused() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let told = (0..200).find_map(|_| {
        let mut said = Vec::new();
        let mut socket = connect(&daemon);
        socket.write_all(b"no ssh\r\n").ok()?;
        let _ = socket.read_to_end(&mut said);
        String::from_utf8_lossy(&said).starts_with("cpud: too many connections from your address").then_some(())
    });
    assert_eq!(told, Some(()));
    daemon.console.expect(Mark::default(), &["127.0.0.1: one connection in five seconds"], SOON);
    assert_eq!(run(&mut owner(&daemon), SOON).ok(), "welcome");
}

#[test]
fn an_owner_gets_in_where_sixty_four_are_logged_in_and_sixty_four_wait() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false };
    let _users: Vec<_> = (0..64)
        .map(|_| {
            let mut user = Killed(spawn(Peer::OpenSsh.exec(&login, "echo; sleep 1000").stdout(Stdio::piped())));
            user.0.stdout.as_mut().expect("piped").read_exact(&mut [0]).expect("the command runs");
            user
        })
        .collect();
    let _strangers: Vec<_> = (0..64)
        .map(|_| {
            let mut socket = connect(&daemon);
            socket.read_exact(&mut [0; 8]).expect("a version");
            socket
        })
        .collect();
    assert_eq!(run(&mut owner(&daemon), SOON).ok(), "welcome");
}

/// What the kernel and the daemon hold: lines of proc_net(5) sockstat, and KiB.
#[derive(Debug)]
struct Held {
    sockets: usize,
    processes: usize,
    /// Closed by this side lately.
    waiting: u64,
    /// Of TCP, of the whole machine, and the daemon's own.
    kernel: u64,
    memory: u64,
}

impl Held {
    fn by(daemon: &Daemon) -> Self {
        let family = family(&processes(), daemon.pid());
        let statistics = fs::read_to_string("/proc/thread-self/net/sockstat").expect("Linux has it");
        let tcp = statistics.lines().find(|line| line.starts_with("TCP:")).expect("it has TCP");
        let words: Vec<&str> = tcp.split(' ').collect();
        let number = |name| {
            let value = words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1)?.parse().ok());
            value.unwrap_or_else(|| panic!("no {name} in {tcp}"))
        };
        Self {
            sockets: queues(daemon).len(),
            processes: family.len(),
            waiting: number("tw"),
            kernel: number("mem") * 4,
            memory: family[0].anonymous,
        }
    }

    /// Whether this is what was there before; others of this machine may have a megabyte of TCP more, and a stack be a page
    /// or two deeper.
    fn is_as(&self, before: &Self) -> bool {
        (self.sockets, self.processes, self.waiting) == (0, 1, 0)
            && self.kernel <= before.kernel + 1024
            && self.memory <= before.memory + 8
    }
}

/// Four owners, beside a crowd from ten addresses of a name space of their own, and nothing of it left.
fn owners_beside_a_crowd(lasts: Duration) {
    // Where nobody is, and where answers to nobody go.
    const NOBODY: &str = "192.0.2.0";
    or_skip!(Peer::OpenSsh.here());
    let place = or_skip!(Place::new(&format!("ip route add {NOBODY}/24 dev lo")));
    place.within(|| {
        let daemon = Daemon::start();
        let (command, read) = (|| owner(&daemon), || owners(&daemon, "head -c 8388608 /dev/zero"));
        let is_whole = |read: &Outcome| read.stdout.len() == 8 << 20;
        run(&mut command(), SOON).ok();
        let before = Held::by(&daemon);
        let quiet = crowd::owners(4, QUIET, &command, &read, &is_whole);
        let strangers = (1..=10).map(|n| format!("127.0.1.{n}"));
        let crowd = Crowd::start(("127.0.0.1", daemon.port), 1000, NOBODY, strangers);
        let beside = crowd::owners(4, lasts, &command, &read, &is_whole);
        let (connections, served) = crowd.end();
        println!("{connections} connections, {served} of them served; quiet {quiet:?}, beside them {beside:?}");
        assert!(beside.command <= 3 * quiet.command && beside.read <= 3 * quiet.read, "{quiet:?} became {beside:?}");
        assert!(connections > 100 * lasts.as_secs(), "{connections} connections are no crowd");
        // Ten addresses have thirty and one in five seconds, beside those that were under way when the first ended.
        assert!(served <= 10 * (30 + lasts.as_secs() / 5) + 64, "{served} of {connections} were served");
        // The last half-open ones are given up, and the last numbers forgotten, a minute later.
        let deadline = Instant::now() + 2 * MINUTE;
        loop {
            let left = Held::by(&daemon);
            if left.is_as(&before) {
                return;
            }
            assert!(Instant::now() < deadline, "{left:?} was {before:?}");
            thread::sleep(Duration::from_secs(1));
        }
    });
}

#[test]
fn owners_are_served_for_three_minutes_beside_a_crowd_of_which_nothing_is_left() {
    owners_beside_a_crowd(3 * MINUTE);
}

#[test]
#[ignore = "takes long"]
fn owners_are_served_for_twenty_minutes_beside_a_crowd() {
    owners_beside_a_crowd(20 * MINUTE);
}
