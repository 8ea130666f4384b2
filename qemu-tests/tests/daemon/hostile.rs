//! Peers that do not behave, and the daemon as it was after each.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use qemu_tests::artifacts::{Artifact, scratch};
use qemu_tests::console::Mark;
use qemu_tests::daemon::{Daemon, free_port};
use qemu_tests::hostile::{Manner, knock};
use qemu_tests::keys::{Key, Kind, authorize};
use qemu_tests::look::{Process, family, processes};
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer, openssh, shell};
use qemu_tests::run::{run, spawn, start};
use qemu_tests::skip::{Reason, ipv6, on_path};

const SOON: Duration = Duration::from_secs(20);

/// The daemon's first process, once all others have ended.
fn settled(daemon: &Daemon) -> Process {
    let deadline = std::time::Instant::now() + SOON;
    loop {
        let all = family(&processes(), daemon.pid());
        match all.as_slice() {
            [only] => return only.clone(),
            _ if std::time::Instant::now() > deadline => panic!("processes are left over: {all:#?}"),
            _ => std::thread::yield_now(),
        }
    }
}

/// The last words of who has left may still be under way.
fn assert_as_it_was(before: &Process, daemon: &Daemon) {
    let deadline = std::time::Instant::now() + SOON;
    let mut after = settled(daemon);
    while before.descriptors != after.descriptors && std::time::Instant::now() < deadline {
        after = settled(daemon);
    }
    assert_eq!(before.descriptors, after.descriptors);
    // A stack may be a page or two deeper.
    assert!(after.anonymous <= before.anonymous + 8, "{} KiB grew to {} KiB", before.anonymous, after.anonymous);
}

#[test]
fn no_manner_of_misbehaving_leaves_a_trace() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false };
    run(&mut Peer::OpenSsh.exec(&login, "true"), SOON).ok();
    let before = settled(&daemon);
    for manner in Manner::ALL {
        manner.show(daemon.port, SOON);
        assert_as_it_was(&before, &daemon);
        assert_eq!(run(&mut Peer::OpenSsh.exec(&login, "echo alive"), SOON).ok(), "alive", "{manner:?}");
    }
}

#[test]
fn a_protocol_error_is_answered_with_a_disconnect_and_a_sentence() {
    let daemon = Daemon::start();
    for manner in [Manner::HugePacket, Manner::BadPublicKey] {
        let said = manner.show(daemon.port, SOON);
        // SSH_MSG_DISCONNECT is 1; its sentence is plain text before keys are exchanged.
        let text = String::from_utf8_lossy(&said);
        let sentence = text.rsplit_once("SSH-2.0-").map(|(_, rest)| rest).unwrap_or_default();
        let words = sentence.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() > 2).count();
        assert!(words > 30, "{manner:?}: {sentence:?}");
    }
}

#[test]
fn ten_thousand_connections_in_a_row_leave_the_daemon_as_it_was() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false };
    // From where somebody has logged in many are served.
    run(&mut Peer::OpenSsh.exec(&login, "true"), SOON).ok();
    knock(daemon.port, 100);
    let before = settled(&daemon);
    assert!(knock(daemon.port, 10_000) > 400);
    assert_as_it_was(&before, &daemon);
    let mut ssh = openssh(&login);
    ssh.args(["-b", "127.0.0.2", "root@127.0.0.1", &shell("echo alive")]);
    assert_eq!(run(&mut ssh, SOON).ok(), "alive");
}

#[test]
fn what_a_panic_says_reaches_no_session() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false };
    let mut ssh = spawn(Peer::OpenSsh.exec(&login, "cat").stdin(Stdio::piped()).stdout(Stdio::piped()));
    ssh.stdin.as_mut().expect("piped").write_all(b"x").expect("it reads");
    ssh.stdout.as_mut().expect("piped").read_exact(&mut [0]).expect("it answers");
    let all = family(&processes(), daemon.pid());
    let wire = all.iter().find(|process| process.filtered).expect("a connection has a wire");
    for stream in 0..3 {
        let leads = fs::read_link(format!("/proc/{}/fd/{stream}", wire.pid)).expect("it is open");
        assert_eq!(leads.to_str(), Some("/dev/null"), "{stream} of {wire:?}");
    }
    ssh.kill().expect("it runs");
    ssh.wait().expect("a child can be waited for");
}

#[test]
fn a_daemon_without_standard_streams_says_its_lines_to_nobody() {
    let port = free_port();
    let mut daemon = Command::new("sh");
    daemon.args(["-c", r#"exec "$0" "$@" <&- >&- 2>&-"#]).arg(Artifact::Cpud.path("qemu-q35"));
    daemon.args(["--no-9p", "--listen", &format!("127.0.0.1:{port}"), "--host-key"]).arg(Key::host().private);
    let mut daemon = spawn(daemon.args(["--authorized-keys", "/dev/null"]));
    let deadline = std::time::Instant::now() + SOON;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(std::time::Instant::now() < deadline, "it does not listen");
    }
    let leads =
        [0, 1, 2].map(|stream| fs::read_link(format!("/proc/{}/fd/{stream}", daemon.id())).expect("it is open"));
    daemon.kill().expect("it runs");
    daemon.wait().expect("a child can be waited for");
    assert_eq!(leads.map(|leads| leads.display().to_string()), ["/dev/null"; 3]);
}

#[test]
fn a_daemon_whose_standard_error_nobody_reads_serves_all_the_same() {
    or_skip!(Peer::OpenSsh.here());
    let (_reader, mut full) = std::io::pipe().expect("a pipe");
    // pipe(7): so much it holds.
    full.write_all(&[b'\n'; 64 * 1024]).expect("it fits");
    let file = scratch("daemon").join("authorized_keys.full");
    authorize(&file);
    let port = free_port();
    let mut daemon = Command::new(Artifact::Cpud.path("qemu-q35"));
    daemon.args(["--no-9p", "--listen", &format!("127.0.0.1:{port}"), "--host-key"]).arg(Key::host().private);
    let mut daemon = spawn(daemon.arg("--authorized-keys").arg(file).stderr(full));
    let deadline = std::time::Instant::now() + SOON;
    while TcpStream::connect(("127.0.0.1", port)).is_err() && std::time::Instant::now() < deadline {}
    let login = Login { port, key: &Key::user(Kind::Ed25519), rekey: false };
    let said = start(&mut Peer::OpenSsh.exec(&login, "echo alive"), Vec::new()).within(SOON);
    daemon.kill().expect("it runs");
    daemon.wait().expect("a child can be waited for");
    assert_eq!(said.map(|outcome| outcome.text()), Ok("alive\n".into()));
}

#[test]
fn a_daemon_without_close_range_does_not_serve() {
    let mut strace = Command::new(or_skip!(on_path("strace")));
    // As in containers whose filter of system calls does not know this one.
    strace.args(["-o", "/dev/null", "-e", "inject=close_range:error=EPERM"]).arg(Artifact::Cpud.path("qemu-q35"));
    strace.args(["--no-9p", "--listen", "127.0.0.1:0", "--host-key"]).arg(Key::host().private);
    let end = run(strace.args(["--authorized-keys", "/dev/null"]), SOON);
    assert!(String::from_utf8_lossy(&end.stderr).contains("close_range"));
    assert_eq!(end.code(), 1);
}

#[test]
fn a_daemon_without_descriptors_to_spare_makes_no_second_one() {
    let prlimit = or_skip!(on_path("prlimit"));
    let daemon = Daemon::start();
    let limit = |most: usize| {
        let pid = daemon.pid().to_string();
        run(Command::new(&prlimit).args(["--pid", &pid, &format!("--nofile={most}:1024")]), SOON).ok();
    };
    let open = settled(&daemon).descriptors.len();
    for spare in 0..5 {
        limit(open + spare);
        drop(TcpStream::connect(("127.0.0.1", daemon.port)));
        settled(&daemon);
    }
    limit(1024);
    knock(daemon.port, 10);
    settled(&daemon);
}

#[test]
fn a_crowd_of_strangers_ends_none_but_its_own_connections() {
    or_skip!(ipv6());
    let file = scratch("daemon").join("authorized_keys.crowd");
    authorize(&file);
    let daemon = Daemon::with("[::]", &file, &["--no-9p"]);
    let connect = |host: &str| TcpStream::connect((host, daemon.port)).expect("the daemon listens");
    let mut owner = connect("127.0.0.1");
    owner.set_read_timeout(Some(SOON)).expect("a time limit is not zero");
    owner.read_exact(&mut [0; 8]).expect("a version");
    // All at once: the daemon shall not take one that is ending for one that it has ended for each of them.
    let mut crowd: Vec<TcpStream> = (0..100).map(|_| connect("::1")).collect();
    owner.write_all(b"no ssh\r\n").expect("it is still there");
    let mut said = Vec::new();
    owner.read_to_end(&mut said).expect("it is closed in order");
    assert!(String::from_utf8_lossy(&said).contains("identification"), "{said:?}");
    let alive = |socket: &mut TcpStream| {
        socket.set_read_timeout(Some(Duration::from_millis(1))).expect("a time limit is not zero");
        let mut rest = [0; 4096];
        std::iter::repeat_with(|| socket.read(&mut rest))
            .find(|read| !matches!(read, Ok(1..)))
            .is_some_and(|read| read.is_err_and(|e| matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)))
    };
    let deadline = std::time::Instant::now() + SOON;
    loop {
        crowd.retain_mut(alive);
        if crowd.len() <= 64 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{} of the crowd are still served", crowd.len());
    }
}

#[test]
fn a_thousand_processes_that_left_their_session_end_with_the_connection() {
    or_skip!(Peer::OpenSsh.here());
    let sleep = or_skip!(on_path("ps").and(on_path("sleep")));
    let daemon = Daemon::start();
    let lingering = scratch("bin").join("lingering");
    fs::copy(sleep, &lingering).expect("room for a program");
    // Each has left the session's process group before the command ends.
    let remote = format!(
        "for n in $(seq 1000); do setsid {} 1000 >&- 2>&- & done; \
         until [ $(ps -C lingering -o sid= | grep -vcw $$) = 1000 ]; do :; done",
        lingering.display()
    );
    let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false };
    run(&mut Peer::OpenSsh.exec(&login, &remote), Duration::from_secs(60)).ok();
    let deadline = std::time::Instant::now() + SOON;
    while let left @ 1.. = processes().iter().filter(|process| process.name == "lingering").count() {
        assert!(std::time::Instant::now() < deadline, "{left} are left over");
    }
}

#[test]
fn a_daemon_that_may_not_become_nobody_serves_nobody_and_says_why() {
    let mut unshare = Command::new(or_skip!(on_path("unshare")));
    // A user name space with root in it and nobody else, as a container without privileges has it.
    unshare.args(["--user", "--map-root-user"]);
    or_skip!(own_user_name_space(&unshare));
    unshare.arg(Artifact::Cpud.path("qemu-q35"));
    let file = scratch("daemon").join("authorized_keys.container");
    authorize(&file);
    let daemon = Daemon::under(unshare, "127.0.0.1", &file, &["--no-9p"]);
    let mut socket = TcpStream::connect(("127.0.0.1", daemon.port)).expect("the daemon listens");
    let mut said = Vec::new();
    let _ = socket.read_to_end(&mut said);
    assert_eq!(said, []);
    daemon.console.expect(Mark::default(), &["cannot give up privileges"], SOON);
}

fn own_user_name_space(unshare: &Command) -> Result<(), Reason> {
    let mut attempt = Command::new(unshare.get_program());
    let made = attempt.args(unshare.get_args()).arg("true").output().is_ok_and(|output| output.status.success());
    if made { Ok(()) } else { Err("no user name spaces here".into()) }
}

#[test]
fn a_session_that_cannot_be_opened_costs_no_place() {
    let prlimit = or_skip!(on_path("prlimit"));
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false };
    let way = scratch("daemon").join(format!("mux.{}", daemon.port));
    let ssh = |options: &[&str], remote| {
        let mut ssh = Command::new("ssh");
        ssh.arg("-S").arg(&way).args(options).args(Peer::OpenSsh.exec(&login, remote).get_args());
        ssh
    };
    let mut master = spawn(ssh(&["-M"], "sleep 60").stdin(Stdio::null()).stdout(Stdio::null()));
    daemon.console.expect(Mark::default(), &["accepted"], SOON);
    // Without the master it would connect anew.
    let open = || run(&mut ssh(&["-o", "ProxyCommand=false"], "echo alive"), SOON);
    assert_eq!(open().ok(), "alive");
    let all = family(&processes(), daemon.pid());
    let guard = all.iter().find(|p| p.parent == daemon.pid() && !p.filtered).expect("a connection has a guard");
    let limit = |most: usize| {
        let pid = guard.pid.to_string();
        run(Command::new(&prlimit).args(["--pid", &pid, &format!("--nofile={most}:1024")]), SOON).ok();
    };
    limit(guard.descriptors.len());
    for _ in 0..10 {
        assert_ne!(open().code(), 0);
    }
    limit(1024);
    assert_eq!(open().ok(), "alive");
    master.kill().expect("it runs");
    master.wait().expect("a child can be waited for");
}

#[test]
fn a_client_that_is_stopped_for_a_while_goes_on_where_it_was() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false };
    let mut ssh = Peer::OpenSsh.exec(&login, "echo; sleep 1; head -c 20000000 /dev/zero");
    let mut ssh = spawn(ssh.stdin(Stdio::null()).stdout(Stdio::piped()));
    let mut stdout = ssh.stdout.take().expect("piped");
    stdout.read_exact(&mut [0]).expect("the command runs");
    let signal = |name: &str| run(Command::new("kill").args([name, &ssh.id().to_string()]), SOON).ok();
    signal("-STOP");
    std::thread::sleep(Duration::from_secs(20));
    signal("-CONT");
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).expect("a pipe can be read");
    assert_eq!(rest.len(), 20_000_000);
    assert!(ssh.wait().expect("a child can be waited for").success());
}
