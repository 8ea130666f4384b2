//! Commands: how they end, what they are sent, and what becomes of their output.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use qemu_tests::artifacts::{Artifact, scratch};
use qemu_tests::daemon::Daemon;
use qemu_tests::keys::{Key, Kind, authorize};
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer, openssh, shell};
use qemu_tests::run::{Outcome, feed, run, sha256, spawn};
use qemu_tests::skip::Reason;

const SOON: Duration = Duration::from_secs(30);

/// Runs `remote` by the Go client with options of its own.
fn go(daemon: &Daemon, options: &[&str], remote: &str) -> Outcome {
    let key = Key::user(Kind::Ed25519);
    let whole = Peer::Go.exec(&Login { port: daemon.port, key: &key, rekey: false }, remote);
    // Flags come before the command.
    let mut command = Command::new(whole.get_program());
    command.args(options).args(whole.get_args());
    run(&mut command, SOON)
}

#[test]
fn every_signal_that_ssh_knows_reaches_the_command() {
    or_skip!(Peer::Go.here());
    let daemon = Daemon::start();
    for signal in ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "TERM"] {
        let remote = format!("trap 'echo caught; exit 5' {signal}; echo ready; while :; do sleep 0.05; done");
        let outcome = go(&daemon, &["-on", &format!("ready=signal {signal}")], &remote);
        assert_eq!((outcome.code(), outcome.text().as_str()), (5, "ready\ncaught\n"), "{signal}");
    }
}

#[test]
fn a_signal_that_the_daemon_was_started_without_reaches_the_command() {
    or_skip!(Peer::Go.here());
    let keys = scratch("daemon").join("authorized_keys");
    authorize(&keys);
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$@\"", "nohup"]).arg(Artifact::Cpud.path("qemu-q35"));
    let daemon = Daemon::under(nohup, "127.0.0.1", &keys, &["--no-9p"]);
    let outcome = go(&daemon, &["-on", "ready=signal HUP"], "echo ready; exec sleep 60");
    assert!(outcome.complaint().contains("signal HUP\n"), "{}", outcome.complaint());
}

#[test]
fn a_command_that_a_signal_killed_is_reported_by_that_signals_name() {
    or_skip!(Peer::Go.here());
    let daemon = Daemon::start();
    for signal in ["ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"] {
        let outcome = go(&daemon, &["-on", &format!("ready=signal {signal}")], "echo ready; exec sleep 60");
        assert!(outcome.complaint().contains(&format!("signal {signal}\n")), "{signal}: {}", outcome.complaint());
        assert_eq!(outcome.text(), "ready\n", "{signal}");
    }
}

#[test]
fn the_variables_that_were_sent_are_there_and_nothing_of_the_daemons() {
    or_skip!(Peer::Go.here());
    let daemon = Daemon::start();
    let outcome = go(&daemon, &["-env", "COLOUR=green = 'blue'", "-env", "COLOUR=red"], "env");
    let text = outcome.ok();
    assert!(text.lines().any(|line| line == "COLOUR=red"), "the last one holds:\n{text}");
    for ours in ["CARGO", "CPUNONCE", "CPU_FSTAB", "LC_GLENDA_CPU_FSTAB"] {
        assert!(!text.lines().any(|line| line.starts_with(ours)), "{ours}:\n{text}");
    }
}

#[test]
fn a_variable_of_100_kib_arrives_whole() {
    or_skip!(Peer::Go.here());
    let daemon = Daemon::start();
    let large = format!("LARGE={}", "x".repeat(100 << 10));
    assert_eq!(go(&daemon, &["-env", &large], "printf %s \"$LARGE\" | wc -c").ok(), "102400");
}

#[test]
fn a_variable_too_large_for_linux_is_refused_and_the_connection_lives() {
    or_skip!(Peer::Go.here());
    let daemon = Daemon::start();
    let outcome = go(&daemon, &["-large", "LARGE=200000"], "true");
    assert_eq!(outcome.code(), 255);
    assert!(outcome.complaint().contains("LARGE"), "{}", outcome.complaint());
    assert!(!outcome.complaint().contains("EOF"), "{}", outcome.complaint());
}

#[test]
fn an_overlong_command_line_is_refused_with_the_limit() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false };
    // Linux takes no argument of more than 128 KiB; ssh puts them together.
    let (word, host) = ("x".repeat(100_000), "root@127.0.0.1");
    let outcome = run(openssh(&login).args([host, &word, &word]), SOON);
    assert_eq!(outcome.code(), 1);
    let complaint = outcome.complaint();
    assert!(complaint.contains("the command line has 200001 bytes, the most is 196603\n"), "{complaint}");
}

#[test]
fn the_path_search_reports_eacces_over_enoent() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let folder = scratch("not-executable");
    fs::write(folder.join("tool"), "").expect("scratch is writable");
    let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false };
    let path = format!("SetEnv=PATH={}:/nonexistent", folder.display());
    let outcome = run(openssh(&login).args(["-o", &path, "root@127.0.0.1", "'tool'"]), SOON);
    assert_eq!((outcome.code(), outcome.complaint().as_str()), (126, "cpud: \"tool\": permission denied\n"));
}

#[test]
fn a_file_is_bound_over_whatever_is_there() {
    or_skip!(Peer::Go.here());
    or_skip!(may_mount());
    let daemon = Daemon::start();
    let folder = scratch("bound");
    let (file, fifo) = (folder.join("file"), folder.join("fifo"));
    let _ = fs::remove_file(&fifo);
    run(Command::new("mkfifo").arg(&fifo), SOON).ok();
    fs::write(&file, "bound").expect("scratch is writable");
    for over in [fifo.as_path(), Path::new("/proc/version")] {
        let fstab = format!("CPU_FSTAB={} {} none bind 0 0", file.display(), over.display());
        assert_eq!(go(&daemon, &["-env", &fstab], &format!("cat {}", over.display())).ok(), "bound");
    }
}

/// A session of the daemon makes a name space of its own only where it is root.
fn may_mount() -> Result<(), Reason> {
    let made = Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|made| made.status.success());
    made.then_some(()).ok_or_else(|| "no name space for mounts without root".into())
}

#[test]
fn stdin_of_64_mib_ends_at_its_end() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false };
    let outcome = feed(&mut Peer::OpenSsh.exec(&login, "wc -c"), vec![b'x'; 64 << 20], SOON);
    assert_eq!(outcome.ok(), "67108864");
}

#[test]
fn a_command_that_does_not_read_its_stdin_still_ends() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false };
    let outcome = feed(&mut Peer::OpenSsh.exec(&login, "sleep 1; exit 3"), vec![b'x'; 64 << 20], SOON);
    assert_eq!(outcome.code(), 3);
}

#[test]
fn more_than_a_gigabyte_passes_through_the_servers_own_change_of_keys() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false };
    let mut ssh = openssh(&login);
    ssh.args(["-v", "root@127.0.0.1", &shell("head -c 1200000000 /dev/zero")]);
    let outcome = run(&mut ssh, Duration::from_secs(240));
    assert_eq!((outcome.code(), outcome.stdout.len()), (0, 1_200_000_000));
    // Who asks sends first: the client for the first keys, the server for the others.
    let complaint = outcome.complaint();
    let asked: Vec<&str> =
        complaint.lines().filter_map(|line| line.strip_prefix("debug1: SSH2_MSG_KEXINIT ")).collect();
    assert_eq!(asked.get(..4), Some(&["sent", "received", "received", "sent"][..]), "{complaint}");
}

#[test]
fn the_tail_of_a_large_output_reaches_a_slow_reader() {
    // The server has long finished when the reader comes to the end.
    all_reaches(|_| Duration::from_millis(10));
}

#[test]
fn all_of_a_large_output_reaches_a_reader_who_rests_on_its_first_page() {
    all_reaches(|seen| if seen == 0 { Duration::from_secs(12) } else { Duration::ZERO });
}

/// Reads by a client that ends at CLOSE, as the stock one does, and waits before each block for what `rest` says of the
/// number of bytes before it.
fn all_reaches(rest: fn(usize) -> Duration) {
    or_skip!(Peer::Go.here());
    let daemon = Daemon::start();
    let key = Key::user(Kind::Ed25519);
    let whole = Peer::Go.exec(&Login { port: daemon.port, key: &key, rekey: false }, "seq 1 500000");
    let mut client = Command::new(whole.get_program());
    client.arg("-hasty").args(whole.get_args()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut client = spawn(&mut client);
    let mut stdout = client.stdout.take().expect("piped");
    let (mut seen, mut block) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        thread::sleep(rest(seen.len()));
        match stdout.read(&mut block).expect("a pipe can be read") {
            0 => break,
            n => seen.extend_from_slice(&block[..n]),
        }
    }
    assert!(client.wait().expect("a child can be waited for").success());
    let expected: String = (1..=500_000).map(|n| format!("{n}\n")).collect();
    assert_eq!((seen.len(), sha256(&seen)), (expected.len(), sha256(expected.as_bytes())));
}

#[test]
fn a_line_as_people_type_it_is_read_by_a_shell() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let typed = |line: &str| {
        let mut ssh = openssh(&Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false });
        run(ssh.args(["root@127.0.0.1", line]), SOON)
    };
    assert_eq!(typed("echo a | tr a b").ok(), "b");
    assert_eq!(typed("cd /usr && NAME=value; export NAME; echo $PWD $NAME").ok(), "/usr value");
    assert_eq!(typed("false || exit 7").code(), 7);
    assert_eq!(typed("nothing-of-that-name").code(), 127);
    // The stock client's words are nobody's to read again.
    assert_eq!(typed("'echo' 'a | $HOME'").ok(), "a | $HOME");
}
