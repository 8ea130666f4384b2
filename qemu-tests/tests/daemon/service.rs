//! `cpud` as systemd starts it, by a stand-in that sets what systemd sets.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Stdio};
use std::time::Duration;

use qemu_tests::artifacts::{Artifact, scratch};
use qemu_tests::keys::{Key, Kind, authorize};
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer};
use qemu_tests::run::{run, spawn};

const SOON: Duration = Duration::from_secs(30);

/// Hands its standard input over as the first passed descriptor. The process id is the service's own.
const PASS: &str = r#"LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&0 </dev/null"#;

/// Starts it with this socket and somebody who listens for its notice at `notify`, named `name` in the environment.
fn starts(passed: OwnedFd, port: u16, notify: &UnixDatagram, name: &str) {
    let keys = scratch("service").join("authorized_keys");
    authorize(&keys);
    let mut service = Command::new("sh");
    service.args(["-c", PASS, "sh"]).arg(Artifact::Cpud.path("qemu-q35")).arg("--no-9p");
    service.arg("--authorized-keys").arg(keys).arg("--host-key").arg(Key::host().private);
    let mut service = spawn(service.env("NOTIFY_SOCKET", name).stdin(passed).stderr(Stdio::null()));
    notify.set_read_timeout(Some(SOON)).expect("a time limit");
    let mut notice = [0; 64];
    let received = notify.recv(&mut notice).expect("a notice in time");
    assert_eq!(&notice[..received], b"READY=1");
    let login = Login { port, key: &Key::user(Kind::Ed25519), rekey: false };
    let outcome = run(&mut Peer::OpenSsh.exec(&login, "echo works"), SOON);
    let _ = service.kill();
    let _ = service.wait();
    assert_eq!(outcome.ok(), "works");
}

#[test]
fn a_service_takes_the_socket_that_it_is_passed_and_says_when_it_is_ready() {
    or_skip!(Peer::OpenSsh.here());
    let listener = || TcpListener::bind("127.0.0.1:0").expect("a free port");
    let path = scratch("service").join("notify");
    let _ = std::fs::remove_file(&path);
    let named = UnixDatagram::bind(&path).expect("scratch is writable");
    let first = listener();
    let port = first.local_addr().expect("it is bound").port();
    starts(first.into(), port, &named, path.to_str().expect("in UTF-8"));

    let name = format!("cpud-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a short name");
    let hidden = UnixDatagram::bind_addr(&address).expect("nobody has it");
    let second = listener();
    let port = second.local_addr().expect("it is bound").port();
    starts(second.into(), port, &hidden, &format!("@{name}"));
}

#[test]
fn a_service_that_is_passed_something_else_says_so() {
    let mut service = Command::new("sh");
    service.args(["-c", PASS, "sh"]).arg(Artifact::Cpud.path("qemu-q35")).arg("--no-9p").arg("--authorized-keys");
    service.arg(Key::user(Kind::Ed25519).public).arg("--host-key").arg(Key::host().private);
    let outcome = run(&mut service, SOON);
    assert_eq!(outcome.code(), 1);
    assert!(outcome.complaint().contains("LISTEN_FDS is no TCP socket"), "{}", outcome.complaint());
}
