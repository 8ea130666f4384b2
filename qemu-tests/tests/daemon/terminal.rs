//! Pseudo terminals.

use std::process::Command;
use std::time::Duration;

use qemu_tests::client::v3;
use qemu_tests::daemon::Daemon;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::or_skip;
use qemu_tests::run::run;

const SOON: Duration = Duration::from_secs(20);

/// The RFC 4254 section 8 opcode of ECHO.
const ECHO: u8 = 53;

fn with_terminal(daemon: &Daemon, options: &[&str], remote: &str) -> Result<String, String> {
    let mut client = Command::new(v3()?);
    client.args(["-port", &daemon.port.to_string(), "-key"]).arg(Key::user(Kind::Ed25519).private);
    client.args(["-9p=false", "-inherit=false", "-pwd", "/", "-namespace=", "-pty", "80x24"]).args(options);
    let path = std::env::var("PATH").unwrap_or_default();
    client.args(["-env", &format!("PATH={path}"), "/bin/sh", "-c", remote]);
    Ok(run(&mut client, SOON).ok().replace("\r\n", "\n"))
}

#[test]
fn a_terminal_has_the_size_of_the_window_and_follows_it() {
    let daemon = Daemon::start();
    let remote = "stty size; tty | grep -q /dev/pts/ && echo ready; read -r go; stty size";
    let options = ["-mode", &format!("{ECHO}=0"), "-on", "ready=resize 132x50", "-on", "ready=type go"];
    let text = or_skip!(with_terminal(&daemon, &options, remote));
    assert_eq!(text, "24 80\nready\n50 132");
}

#[test]
fn a_resize_is_announced_to_the_command() {
    let daemon = Daemon::start();
    let remote = "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done";
    let text = or_skip!(with_terminal(&daemon, &["-on", "ready=resize 100x30"], remote));
    assert_eq!(text, "ready\n30 100");
}

#[test]
fn a_terminal_has_the_modes_that_were_asked_for() {
    let daemon = Daemon::start();
    let echo = |value: u8| with_terminal(&daemon, &["-mode", &format!("{ECHO}={value}")], "stty -a");
    let has = |text: &str, word: &str| text.split_whitespace().any(|seen| seen.trim_matches(';') == word);
    assert!(has(&or_skip!(echo(0)), "-echo"));
    assert!(has(&or_skip!(echo(1)), "echo"));
}

#[test]
fn control_c_interrupts_the_command() {
    let daemon = Daemon::start();
    let remote = "trap 'echo interrupted; exit 0' INT; echo ready; while :; do sleep 0.05; done";
    let text = or_skip!(with_terminal(&daemon, &["-on", "ready=type \u{3}"], remote));
    assert!(text.contains("interrupted"), "{text}");
}
