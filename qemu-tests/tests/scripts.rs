//! The scripts as a new user meets them.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use qemu_tests::artifacts::{Artifact, root, scratch};
use qemu_tests::console::{Console, Mark};
use qemu_tests::daemon::free_port;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::or_skip;
use qemu_tests::run::{run, spawn};
use qemu_tests::skip::{announce, on_path};

/// A first build of everything but the kernel, which the suite has built before, on a busy machine.
const LIMIT: Duration = Duration::from_secs(600);

/// A script as somebody runs it who has no key yet, and whose image lies in `out`.
fn script(name: &str, out: &Path) -> Command {
    let home = std::env::var("HOME").expect("a home");
    let or_home = |variable: &str, folder: &str| std::env::var(variable).unwrap_or(format!("{home}/{folder}"));
    let mut command = Command::new(root().join("scripts").join(name));
    command.arg("--out").arg(out).arg("--no-install").current_dir("/usr").stdin(Stdio::null());
    command.env("CARGO_HOME", or_home("CARGO_HOME", ".cargo")).env("RUSTUP_HOME", or_home("RUSTUP_HOME", ".rustup"));
    command.env("XDG_CACHE_HOME", or_home("XDG_CACHE_HOME", ".cache")).env("HOME", scratch("no-keys"));
    command
}

/// An image folder without what an earlier run made.
fn fresh(name: &str) -> PathBuf {
    let out = scratch(name);
    fs::remove_dir_all(&out).expect("it was just made");
    out
}

/// What runs with this image folder; ended on drop, also when the test fails.
struct Ended<'a>(&'a Path);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        // It says that nothing runs when the test has ended it.
        let _ = script("run-qemu.sh", self.0).arg("--stop").output();
    }
}

fn is_alive(pid: &str) -> bool {
    Path::new("/proc").join(pid.trim()).exists()
}

#[test]
fn run_qemu_detaches_and_the_lines_that_it_prints_work() {
    or_skip!(on_path("qemu-system-x86_64"));
    let (out, port) = (fresh("detached"), free_port());
    let _ended = Ended(&out);
    let start = || run(script("run-qemu.sh", &out).args(["--detach", "--port", &port.to_string()]), LIMIT).ok();
    let printed = start();
    let line = |word: &str| {
        let line = printed.lines().map(str::trim).find(|line| line.split(' ').any(|w| w == word));
        line.unwrap_or_else(|| panic!("no {word} in {printed}"))
    };
    let shell = |line: &str| run(Command::new("sh").args(["-c", line]).current_dir("/usr"), LIMIT).ok();
    assert!(shell(line("ssh")).contains("cpu appliance"), "{printed}");
    match on_path("cpu") {
        Ok(_) => assert_eq!(shell(line("cpu")), shell("ls /bin")),
        Err(reason) => announce(&format!("the line with cpu: {reason}")),
    }
    let public = fs::read_to_string(out.join("host_key.pub")).expect("the image has a host key");
    let fingerprint = shell(&format!("echo '{public}' | ssh-keygen -l -f - | cut -d' ' -f2"));
    assert!(printed.contains(&fingerprint), "{printed}");
    let console = fs::read_to_string(out.join("console.log")).expect("the console goes to a file too");
    assert!(console.contains(&fingerprint), "{console}");

    // Again: the first one ends, and --stop ends the second.
    let first = fs::read_to_string(out.join("qemu.pid")).expect("it left its pid");
    start();
    assert!(!is_alive(&first));
    let second = fs::read_to_string(out.join("qemu.pid")).expect("it left its pid");
    run(script("run-qemu.sh", &out).arg("--stop"), LIMIT).ok();
    assert!(!is_alive(&second));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn ctrl_c_leaves_nothing_running() {
    or_skip!(on_path("qemu-system-x86_64"));
    let (out, port) = (fresh("attached"), free_port());
    let _ended = Ended(&out);
    let mut command = script("run-qemu.sh", &out);
    command.args(["--port", &port.to_string()]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = spawn(&mut command);
    let console = Console::default();
    console.follow(running.stdout.take().expect("piped"));
    console.follow(running.stderr.take().expect("piped"));
    console.expect(Mark::default(), &["Ctrl-C"], LIMIT);
    console.expect(Mark::default(), &["cpud: ready"], LIMIT);
    let qemu = fs::read_to_string(out.join("qemu.pid")).expect("it left its pid");
    assert!(is_alive(&qemu));
    run(Command::new("kill").args(["-s", "INT", &running.id().to_string()]), LIMIT).ok();
    let status = running.wait().expect("it can be waited for");
    assert_eq!(status.code(), Some(130));
    assert!(!is_alive(&qemu));
}

#[test]
fn an_image_that_nobody_could_log_in_to_is_not_built() {
    let out = fresh("no-key");
    // The cpud that checks keys is built, which takes a line for once.
    let good = Key::user(Kind::Ed25519).public;
    run(
        script("build-initramfs.sh", &out).arg("--cpud").arg(Artifact::Cpud.path("qemu-q35")).arg("--key").arg(good),
        LIMIT,
    )
    .ok();
    fs::remove_dir_all(&out).expect("it was just made");
    for (keys, sentence) in [
        (vec![], "no key"),
        (vec!["--key".into(), Key::user(Kind::Ed25519).private], "line 1: a private key"),
        (vec!["--key".into(), Key::host().private.with_file_name("nothing.pub")], "no key file"),
        (vec!["--key".into(), root().join("Cargo.toml")], "line 1: it begins with no type of key"),
        (vec!["--key".into(), Key::stranger(Kind::EcdsaP384).public], "keys of type \"ecdsa-sha2-nistp384\""),
    ] {
        let mut build = script("build-initramfs.sh", &out);
        let outcome = run(build.arg("--cpud").arg(Artifact::Cpud.path("qemu-q35")).args(&keys), LIMIT);
        assert_eq!(outcome.code(), 1, "{keys:?}");
        let complaint = outcome.complaint();
        assert!(complaint.contains(sentence) && complaint.lines().count() == 1, "{keys:?}: {complaint}");
        assert!(!out.join("initramfs.cpio.xz").exists());
    }
}

#[test]
fn words_that_are_no_option_or_board_are_named() {
    let out = scratch("no-option");
    for (name, words, sentence) in [
        ("run-qemu.sh", ["--colour", "red"], "unknown option --colour"),
        ("run-qemu.sh", ["--net", "token-ring"], "--net is virtio or igb, not token-ring"),
        ("build-image.sh", ["apu9000", "--no-install"], "no board apu9000"),
        ("build-cpud.sh", ["--arch", "vax"], "no such architecture: vax"),
    ] {
        let outcome = run(script(name, &out).args(words), LIMIT);
        let complaint = outcome.complaint();
        assert!(outcome.code() == 1 && complaint.contains(sentence), "{name} {words:?}: {complaint}");
    }
}
