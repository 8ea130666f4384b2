//! Who gets in, and what the others are told.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use qemu_tests::artifacts::scratch;
use qemu_tests::console::Mark;
use qemu_tests::daemon::Daemon;
use qemu_tests::keys::{Key, Kind, authorize, write_public};
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer, openssh, python};
use qemu_tests::run::{run, spawn};
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
    daemon.console.expect(Mark::default(), &["refused", "ssh-ed25519", &key.fingerprint(), "not authorized"], SOON);
}

/// A key of a kind that nobody here accepts, and its fingerprint.
fn unusable(kind: &[&str]) -> Key {
    let private = scratch("keys").join(format!("unusable-{}", kind.concat()));
    let _ = fs::remove_file(&private);
    run(Command::new("ssh-keygen").args(["-q", "-N", "", "-f"]).arg(&private).args(kind), SOON).ok();
    Key { public: private.with_extension("pub"), private }
}

#[test]
fn the_console_names_a_key_that_cannot_be_used_and_why() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    for (kind, why) in [
        (&["-t", "ecdsa", "-b", "384"][..], "the signature algorithm is not supported"),
        (&["-t", "rsa", "-b", "1024"], "1024"),
    ] {
        let key = unusable(kind);
        let mut ssh = openssh(&Login { port: daemon.port, key: &key, rekey: false });
        ssh.args(["-o", "RequiredRSASize=1024", "root@127.0.0.1", "true"]);
        assert_eq!(run(&mut ssh, SOON).code(), 255);
        daemon.console.expect(Mark::default(), &["refused \"root\"", &key.fingerprint(), why], SOON);
    }
}

#[test]
fn a_name_is_one_line_of_ascii_between_its_quotes() {
    or_skip!(Peer::Paramiko.here());
    let daemon = Daemon::start();
    // The direction of writing turned, an end of a line of Unicode's, and an end of the name that is none.
    let login = format!(
        "import paramiko\n\
         key = paramiko.Ed25519Key.from_private_key_file('{}')\n\
         transport = paramiko.Transport(('127.0.0.1', {}))\n\
         transport.connect(username='a\\u202eb\\u2028c\", ssh-ed25519', pkey=key)\n\
         transport.close()\n",
        Key::user(Kind::Ed25519).private.display(),
        daemon.port
    );
    run(or_skip!(python()).args(["-c", &login]), SOON).ok();
    daemon.console.expect(Mark::default(), &[r#"accepted "a\u{202e}b\u{2028}c\", ssh-ed25519", ssh-ed25519"#], SOON);
}

#[test]
fn the_end_of_a_session_whose_client_was_killed_has_its_line() {
    or_skip!(Peer::OpenSsh.here());
    let daemon = Daemon::start();
    let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false };
    let mut ssh = spawn(Peer::OpenSsh.exec(&login, "echo; sleep 1000").stdout(Stdio::piped()));
    ssh.stdout.as_mut().expect("piped").read_exact(&mut [0]).expect("the command runs");
    ssh.kill().expect("it runs");
    ssh.wait().expect("a child can be waited for");
    daemon.console.expect(Mark::default(), &["session 0", "its client is gone"], SOON);
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
fn a_key_with_an_unsupported_option_is_refused_with_the_reason_on_the_console() {
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

#[test]
fn a_key_that_was_added_to_an_agent_for_this_host_alone_gets_in() {
    or_skip!(Peer::OpenSsh.here());
    or_skip!(on_path("ssh-agent").and(on_path("ssh-add")));
    let daemon = Daemon::start();
    let key = Key::user(Kind::Ed25519);
    let way = scratch("sockets").join(format!("agent.{}", daemon.port));
    let _ = fs::remove_file(&way);
    let mut agent = spawn(Command::new("ssh-agent").arg("-D").arg("-a").arg(&way).stdout(Stdio::null()));
    let host = format!("[127.0.0.1]:{}", daemon.port);
    let mut add = Command::new("ssh-add");
    add.env("SSH_AUTH_SOCK", &way).args(["-q", "-h", &host, "-H"]).arg(daemon.known_hosts()).arg(&key.private);
    while !way.exists() {
        std::thread::yield_now();
    }
    let added = run(&mut add, SOON);
    let mut ssh = openssh(&Login { port: daemon.port, key: &Key { private: key.public.clone(), ..key }, rekey: false });
    let agent_of = format!("IdentityAgent={}", way.display());
    // The first of an option's values counts.
    let mut with_agent = Command::new("ssh");
    with_agent.args(["-o", &agent_of]).args(ssh.args(["root@127.0.0.1", "echo bound"]).get_args());
    let outcome = run(&mut with_agent, SOON);
    agent.kill().expect("it runs");
    agent.wait().expect("a child can be waited for");
    assert_eq!(added.code(), 0, "{}", added.complaint());
    assert_eq!(outcome.ok(), "bound");
}
