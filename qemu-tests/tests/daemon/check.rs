//! `cpud --check`, which the scripts ask, and what the daemon itself says of the same files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use qemu_tests::artifacts::{Artifact, scratch};
use qemu_tests::console::Mark;
use qemu_tests::daemon::Daemon;
use qemu_tests::keys::{Key, Kind, authorize};
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer};
use qemu_tests::run::{Outcome, run};

const SOON: Duration = Duration::from_secs(20);

fn check(words: &[&str]) -> Outcome {
    run(Command::new(Artifact::Cpud.path("qemu-q35")).arg("--check").args(words), SOON)
}

fn copy(of: &Path, name: &str, mode: u32) -> PathBuf {
    let path = scratch("check").join(name);
    fs::copy(of, &path).expect("scratch is writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
    path
}

#[test]
fn check_says_nothing_of_what_is_good_but_the_public_half() {
    let (user, host) = (Key::user(Kind::EcdsaP256), Key::host());
    let outcome = check(&[
        "--authorized-keys",
        &user.public.display().to_string(),
        "--host-key",
        &host.private.display().to_string(),
        "--cmdline",
        "console=ttyS0 cpud.relay=\"1M\" hostname=box7",
    ]);
    assert_eq!(outcome.complaint(), "");
    assert_eq!(Some(outcome.ok()), host.line().rsplit_once(' ').map(|(line, _comment)| line.to_owned()));
}

#[test]
fn check_names_what_is_bad_in_one_line_and_exits_1() {
    let private = Key::host().private.display().to_string();
    let long = "x".repeat(2048);
    for (words, why) in [
        (["--authorized-keys", private.as_str()], "line 1: a private key"),
        (["--host-key", "/no/such/file"], "no such file"),
        (["--settings", private.as_str()], "the settings are not in cpud's format"),
        (["--cmdline", long.as_str()], "has 2048 bytes, and the kernel keeps 2047"),
        (["--cmdline", "hostname=a/b"], "hostname=\"a/b\": no host name"),
    ] {
        let outcome = check(&words);
        assert_eq!((outcome.code(), outcome.text().as_str()), (1, ""), "{words:?}");
        let complaint = outcome.complaint();
        assert!(complaint.contains(why) && complaint.lines().count() == 1, "{words:?}: {complaint}");
    }
    assert_eq!(check(&[]).code(), 2);
}

#[test]
fn keys_writable_by_others_are_refused_with_the_reason() {
    or_skip!(Peer::OpenSsh.here());
    let good = scratch("check").join("good");
    authorize(&good);
    for mode in [0o664, 0o646] {
        let daemon = Daemon::with("127.0.0.1", &copy(&good, "open", mode), &["--no-9p"]);
        daemon.console.expect(Mark::default(), &["nobody can log in", "its mode leaves it open to others"], SOON);
        let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false };
        assert_eq!(run(&mut Peer::OpenSsh.exec(&login, "true"), SOON).code(), 255, "{mode:o}");
    }
}

#[test]
fn a_host_key_that_others_may_read_is_not_served_with() {
    let open = copy(&Key::host().private, "host", 0o640);
    let mut daemon = Command::new(Artifact::Cpud.path("qemu-q35"));
    daemon.args(["--listen", "127.0.0.1:0", "--authorized-keys"]).arg(Key::user(Kind::Ed25519).public);
    let outcome = run(daemon.arg("--host-key").arg(open), SOON);
    assert_eq!(outcome.code(), 1);
    assert!(outcome.complaint().contains("its mode leaves it open to others"), "{}", outcome.complaint());
}
