//! One connection that carries more than one command.

use std::process::Command;
use std::thread;
use std::time::Duration;

use qemu_tests::artifacts::scratch;
use qemu_tests::daemon::Daemon;
use qemu_tests::keys::{Key, Kind, authorize};
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer, openssh, python, shell};
use qemu_tests::run::{Outcome, run, start};

const SOON: Duration = Duration::from_secs(30);

/// A connection that OpenSSH keeps open for others; ended on drop.
struct Master<'a> {
    daemon: &'a Daemon,
    socket: String,
}

impl<'a> Master<'a> {
    fn open(daemon: &'a Daemon) -> Self {
        let socket = scratch("sockets").join(daemon.port.to_string()).display().to_string();
        let master = Self { daemon, socket };
        // -f: it returns when the connection is made.
        run(master.ssh().args(["-M", "-N", "-f", "root@127.0.0.1"]), SOON).ok();
        master
    }

    fn ssh(&self) -> Command {
        let mut ssh = openssh(&Login { port: self.daemon.port, key: &Key::user(Kind::Ed25519), rekey: false });
        ssh.args(["-S", &self.socket]);
        ssh
    }

    fn control(&self, verb: &str, options: &[&str]) -> Outcome {
        run(self.ssh().args(["-O", verb]).args(options).arg("root@127.0.0.1"), SOON)
    }
}

impl Drop for Master<'_> {
    fn drop(&mut self) {
        self.control("exit", &[]);
    }
}

#[test]
fn ten_commands_run_side_by_side_on_one_connection() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let master = Master::open(&daemon);
    thread::scope(|scope| {
        for n in 0..10 {
            let mut ssh = master.ssh();
            scope.spawn(move || {
                let remote = format!("echo {n}; echo {n} >&2; sleep 0.2; exit {n}");
                let outcome = run(ssh.args(["root@127.0.0.1", &shell(&remote)]), SOON);
                assert_eq!((outcome.code(), outcome.text()), (n, format!("{n}\n")));
            });
        }
    });
}

#[test]
fn a_command_that_does_not_read_stalls_no_other() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let master = Master::open(&daemon);
    let mut deaf = master.ssh();
    deaf.args(["root@127.0.0.1", "sleep 1000"]);
    let deaf = start(&mut deaf, vec![0; 16 << 20]);
    let other = run(master.ssh().args(["root@127.0.0.1", &shell("seq 1 100000 | tail -n 1")]), SOON);
    assert_eq!(other.ok(), "100000");
    // Its streams are the master's, too.
    drop(master);
    deaf.finish(SOON);
}

#[test]
fn a_session_that_takes_a_closed_ones_place_is_not_taken_for_it() {
    or_skip!(Peer::Paramiko.here());
    let daemon = Daemon::start();
    // The first command may take a moment to die; the second has its channel's number by then.
    let sessions = format!(
        "import paramiko\n\
         transport = paramiko.Transport(('127.0.0.1', {}))\n\
         key = paramiko.Ed25519Key.from_private_key_file('{}')\n\
         transport.connect(username='root', pkey=key)\n\
         for n in range(50):\n    \
             first = transport.open_session()\n    \
             first.exec_command('sleep 1000')\n    \
             first.close()\n    \
             second = transport.open_session()\n    \
             second.exec_command('echo %d' % n)\n    \
             assert second.makefile().read() == b'%d\\n' % n\n    \
             second.close()\n\
         transport.close()\n",
        daemon.port,
        Key::user(Kind::Ed25519).private.display()
    );
    run(or_skip!(python()).args(["-c", &sessions]), SOON).ok();
}

#[test]
fn commands_that_end_at_once_take_what_they_left_running_along() {
    or_skip!(Peer::Paramiko.here());
    let daemon = Daemon::start();
    // A background process that is left would hold the output open: recv would time out.
    let sessions = format!(
        "import paramiko\n\
         key = paramiko.Ed25519Key.from_private_key_file('{}')\n\
         for n in range(40):\n    \
             transport = paramiko.Transport(('127.0.0.1', {}))\n    \
             transport.connect(username='root', pkey=key)\n    \
             sessions = [transport.open_session(timeout=20) for _ in range(10)]\n    \
             for session in sessions:\n        \
                 session.settimeout(20)\n        \
                 session.exec_command('/bin/sh -c \"sleep 1000 & echo; read line\"')\n    \
             for session in sessions:\n        \
                 assert session.recv(1) == b'\\n'\n    \
             for session in sessions:\n        \
                 session.send(b'\\n')\n    \
             for session in sessions:\n        \
                 assert session.recv(1) == b''\n    \
             transport.close()\n",
        Key::user(Kind::Ed25519).private.display(),
        daemon.port
    );
    run(or_skip!(python()).args(["-c", &sessions]), Duration::from_secs(120)).ok();
}

#[test]
fn a_remote_forward_gets_a_port_and_gives_it_back() {
    or_skip!(Peer::OpenSsh.here());
    let file = scratch("daemon").join("authorized_keys.forward");
    authorize(&file);
    let daemon = Daemon::with("127.0.0.1", &file, &[]);
    let master = Master::open(&daemon);
    let asked = master.control("forward", &["-R", "127.0.0.1:0:127.0.0.1:9"]).ok();
    let port: u16 = asked.trim().parse().unwrap_or_else(|_| panic!("not a port: {asked:?}"));
    assert_ne!(port, 0);
    let cancelled = master.control("cancel", &["-R", "127.0.0.1:0:127.0.0.1:9"]);
    assert_eq!(cancelled.code(), 0, "{}", cancelled.complaint());
}

#[test]
fn a_client_that_asks_whether_the_server_lives_is_answered() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false };
    let mut ssh = openssh(&login);
    ssh.args(["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"]);
    assert_eq!(run(ssh.args(["root@127.0.0.1", &shell("sleep 4; echo alive")]), SOON).ok(), "alive");
}
