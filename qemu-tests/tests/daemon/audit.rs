//! What ssh-audit, by which many look at their servers, has to say of this one.

use std::time::Duration;

use qemu_tests::daemon::Daemon;
use qemu_tests::or_skip;
use qemu_tests::peer::python;
use qemu_tests::run::run;

/// Each is explained in docs/threat-model.md.
const REMARKS: [&str; 3] = [
    "(kex) curve25519-sha256 -- [warn] does not provide protection against post-quantum attacks",
    "(kex) curve25519-sha256@libssh.org -- [warn] does not provide protection against post-quantum attacks",
    "(mac) hmac-sha2-256 -- [warn] using encrypt-and-MAC mode",
];

#[test]
fn it_finds_nothing_that_the_threat_model_does_not_explain() {
    let daemon = Daemon::start();
    let mut audit = or_skip!(python());
    // Without the flood by which it looks how many connections an address gets.
    audit.args(["-m", "ssh_audit.ssh_audit", "--no-colors", "--skip-rate-test", "--level", "warn"]);
    let said = run(audit.args(["--port", &daemon.port.to_string(), "127.0.0.1"]), Duration::from_secs(60));
    let text = said.text();
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let remarks: Vec<_> =
        text.lines().filter(|line| line.contains("[warn]") || line.contains("[fail]")).map(words).collect();
    assert_eq!(remarks, REMARKS, "{text}{}", said.complaint());
}
