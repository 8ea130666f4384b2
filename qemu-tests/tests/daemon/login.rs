//! Who gets in, and what the others are told.

use std::process::Command;
use std::time::Duration;

use qemu_tests::artifacts::scratch;
use qemu_tests::console::Mark;
use qemu_tests::daemon::Daemon;
use qemu_tests::keys::{Key, Kind, authorize, write_public};
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer, openssh, python};
use qemu_tests::run::run;
use qemu_tests::skip::{ipv6, on_path};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn the_console_names_the_user_and_the_key_that_got_in() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let key = Key::user(Kind::Rsa3072);
    run(&mut Peer::OpenSsh.exec(&Login { port: daemon.port, key: &key, rekey: false }, "true"), SOON).ok();
    daemon.console.expect(Mark::default(), &["root", &key.fingerprint()], SOON);
}

#[test]
fn the_console_names_the_key_that_was_refused() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let key = Key::stranger(Kind::Ed25519);
    run(&mut Peer::OpenSsh.exec(&Login { port: daemon.port, key: &key, rekey: false }, "true"), SOON);
    daemon.console.expect(Mark::default(), &["refused", &key.fingerprint()], SOON);
}

#[test]
fn without_a_key_ssh_is_told_that_only_keys_count() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let key = Key::user(Kind::Ed25519);
    for methods in ["none", "password", "keyboard-interactive"] {
        let mut ssh = openssh(&Login { port: daemon.port, key: &key, rekey: false });
        ssh.args(["-o", &format!("PreferredAuthentications={methods}"), "root@127.0.0.1", "true"]);
        let outcome = run(&mut ssh, SOON);
        assert_eq!(outcome.code(), 255, "{methods}");
        assert!(outcome.complaint().contains("Permission denied (publickey)"), "{methods}: {}", outcome.complaint());
    }
}

#[test]
fn a_password_does_not_help() {
    or_skip!(Peer::Paramiko.here());
    let daemon = Daemon::start();
    let attempt = format!(
        "import paramiko\n\
         transport = paramiko.Transport(('127.0.0.1', {}))\n\
         transport.start_client()\n\
         try:\n    transport.auth_password('root', 'secret')\n\
         except paramiko.BadAuthenticationType as e:\n    print(e.allowed_types)\n",
        daemon.port
    );
    let outcome = run(or_skip!(python()).args(["-c", &attempt]), SOON);
    assert_eq!(outcome.ok(), "['publickey']");
}

#[test]
fn a_key_with_an_option_that_is_not_supported_is_refused_and_the_console_says_why() {
    or_skip!(Peer::OpenSsh.here());
    let key = Key::user(Kind::Ed25519);
    let file = scratch("daemon").join("authorized_keys.options");
    write_public(&file, &format!("restrict {}\n{}\n", key.line(), Key::user(Kind::Rsa2048).line()));
    let daemon = Daemon::with("127.0.0.1", &file, &["--no-9p"]);
    let outcome = run(&mut Peer::OpenSsh.exec(&Login { port: daemon.port, key: &key, rekey: false }, "true"), SOON);
    assert_eq!(outcome.code(), 255);
    daemon.console.expect(Mark::default(), &["line 1", "restrict"], SOON);
}

#[test]
fn the_host_key_that_the_console_names_is_the_one_that_ssh_sees() {
    let scan = or_skip!(on_path("ssh-keyscan"));
    let daemon = Daemon::start();
    let said = daemon.console.since(Mark::default());
    assert!(said.contains(&Key::host().fingerprint()), "{said}");
    let scanned = run(Command::new(scan).args(["-p", &daemon.port.to_string(), "127.0.0.1"]), SOON).ok();
    let base64 = Key::host().line();
    let base64 = base64.split_whitespace().nth(1).expect("type, base64, comment");
    assert!(scanned.contains(base64), "{scanned}");
}

#[test]
fn it_listens_on_ipv6_too() {
    or_skip!(ipv6());
    or_skip!(Peer::OpenSsh.here());
    let file = scratch("daemon").join("authorized_keys.ipv6");
    authorize(&file);
    let daemon = Daemon::with("[::1]", &file, &["--no-9p"]);
    let key = Key::user(Kind::Ed25519);
    let mut ssh = openssh(&Login { port: daemon.port, key: &key, rekey: false });
    // known_hosts has 127.0.0.1.
    ssh.args(["-o", &format!("HostKeyAlias=[127.0.0.1]:{}", daemon.port), "root@::1", "/bin/echo six"]);
    assert_eq!(run(&mut ssh, SOON).ok(), "six");
}
