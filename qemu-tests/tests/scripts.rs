//! The scripts as a new user meets them.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use qemu_tests::artifacts::{Artifact, payload, root, scratch, sha256};
use qemu_tests::board;
use qemu_tests::console::{Console, Mark};
use qemu_tests::daemon::free_port;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::or_skip;
use qemu_tests::peer::python;
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

/// The image of the board under test with the tests' own keys, built once.
fn image() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let board = &board::under_test().name;
        let out = fresh(&format!("image-{board}"));
        let mut build = qemu_tests::vm::script("build-image.sh");
        build.args([board, "--no-install", "--key"]).arg(Key::user(Kind::Ed25519).public);
        build.arg("--host-key").arg(Key::host().private).arg("--out").arg(&out);
        if root().join("boards").join(board).join("blobs.list").exists() {
            build.arg("--stand-ins");
        }
        run(&mut build, LIMIT).ok();
        out
    })
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

    // One that cannot be built leaves it running; the next ends it, and --stop ends that.
    let first = fs::read_to_string(out.join("qemu.pid")).expect("it left its pid");
    let odd = script("run-qemu.sh", &out).args(["--detach", "--key", "/dev/null"]).output().expect("bash runs");
    assert!(!odd.status.success() && is_alive(&first));
    start();
    assert!(!is_alive(&first));
    let second = fs::read_to_string(out.join("qemu.pid")).expect("it left its pid");
    run(script("run-qemu.sh", &out).arg("--stop"), LIMIT).ok();
    assert!(!is_alive(&second));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

/// The processes of QEMU that have a file of this folder open.
fn machines(out: &Path) -> usize {
    let processes = fs::read_dir("/proc").expect("/proc is there").flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    let out = out.display().to_string();
    lines
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .filter(|line| line.starts_with("qemu-system") && line.contains(&out))
        .count()
}

#[test]
fn two_simultaneous_starts_leave_one_machine_and_leak_no_descriptor() {
    or_skip!(on_path("qemu-system-x86_64"));
    let (out, port) = (fresh("at-once"), free_port().to_string());
    let _ended = Ended(&out);
    let lock = scratch("at-once-lock").join("lock");
    let start = || {
        let mut command = Command::new("flock");
        let run_qemu = script("run-qemu.sh", &out);
        command.arg("--shared").arg(&lock).arg(run_qemu.get_program()).args(run_qemu.get_args());
        command.envs(run_qemu.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir("/usr");
        qemu_tests::run::start(command.args(["--detach", "--port", &port]), Vec::new())
    };
    let both = [start(), start()];
    for running in both {
        running.finish(LIMIT).ok();
    }
    assert_eq!(machines(&out), 1);
    run(Command::new("flock").args(["--exclusive", "--nonblock"]).arg(&lock).arg("true"), LIMIT).ok();
}

#[test]
fn settings_stay_when_the_rom_is_built_again_and_a_rom_is_booted_as_it_is() {
    or_skip!(on_path("qemu-system-x86_64"));
    let (out, port) = (fresh("kept"), free_port().to_string());
    let _ended = Ended(&out);
    run(&mut script("build-image.sh", &out), LIMIT).ok();
    let rom = out.join("qemu-q35.rom");
    let settings = || qemu_tests::vm::script("settings.sh");
    run(settings().arg(&rom).args(["--hostname", "box-7"]), LIMIT).ok();
    let outcome = run(&mut script("build-image.sh", &out), LIMIT);
    assert!(outcome.complaint().contains("keeping the settings"), "{}", outcome.complaint());
    assert_eq!(run(settings().arg(&rom), LIMIT).ok(), "hostname box-7");

    let other = out.join("other.rom");
    fs::copy(&rom, &other).expect("scratch is writable");
    run(settings().arg(&other).args(["--hostname", "box-8"]), LIMIT).ok();
    run(script("run-qemu.sh", &out).args(["--detach", "--port", &port, "--rom"]).arg(&other), LIMIT).ok();
    let console = fs::read_to_string(out.join("console.log")).expect("the console goes to a file too");
    assert!(console.contains("name \"box-8\"") && console.contains(&version()), "{console}");
    assert_eq!(run(settings().arg(&rom), LIMIT).ok(), "hostname box-7");
}

/// How `cpud` begins its version: git's name of this tree's commit, if it is one of git's.
fn version() -> String {
    let git = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).current_dir(root()).output();
    let commit =
        git.ok().filter(|git| git.status.success()).map(|git| String::from_utf8_lossy(&git.stdout).into_owned());
    format!("cpud {} ({}", env!("CARGO_PKG_VERSION"), commit.as_deref().unwrap_or("unknown").trim_end())
}

/// What a shell may export, and what a script then inherits of it.
const HOSTILE: &str = "
    export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS=-Ctarget-cpu=native RUSTFLAGS=-Copt-level=0 CDPATH=/usr:/
    export CARGO_PROFILE_IMAGE_OPT_LEVEL=0 XZ_DEFAULTS=-T2 XZ_OPT=-0 MAKEFLAGS=-n TAR_OPTIONS=--nonsense KCFLAGS=-O0
    export GREP_OPTIONS=-v POSIXLY_CORRECT=1 CFLAGS=-O0 SOURCE_DATE_EPOCH=1 GIT_DIR=/nowhere TZ=Asia/Tokyo LC_ALL=C
    grep() { echo hostile; }; export -f grep
    set -o noclobber; export SHELLOPTS; umask 777; exec \"$0\" \"$@\"";

/// What cargo takes from a folder above the one where it is started, as from a user's own.
const CONFIG: &str = "
[target.x86_64-unknown-linux-gnu]
rustflags = ['-Ctarget-cpu=native']
linker = '/nowhere/clang'
[build]
rustflags = ['-Copt-level=0']
[profile.release]
lto = false
overflow-checks = true
";

#[test]
fn the_users_environment_reaches_neither_images_nor_scripts() {
    let (key, host_key) = (Key::user(Kind::Ed25519).public, Key::host().private);
    let hashes = |name: &str, command: &mut Command| {
        let out = fresh(name);
        command.arg("--no-install").arg("--key").arg(&key).arg("--host-key").arg(&host_key).arg("--out").arg(&out);
        run(command, LIMIT).ok();
        fs::read_to_string(out.join("hashes.txt")).expect("it is one of the products")
    };
    let usual = hashes("usual", &mut qemu_tests::vm::script("build-image.sh"));
    let rom = fs::read(scratch("usual").join("qemu-q35.rom")).expect("it is one of the products");
    let payload = format!("{}  fallback/payload", sha256(payload(&rom)));
    assert_eq!(usual.lines().last(), Some(payload.as_str()));
    let shown = run(Command::new(scratch("usual").join("cpud")).arg("--version"), LIMIT).ok();
    assert!(shown.starts_with(&version()), "{shown}");
    let folder = scratch("configured");
    fs::create_dir_all(folder.join(".cargo")).expect("scratch is writable");
    fs::write(folder.join(".cargo/config.toml"), CONFIG).expect("scratch is writable");
    let build_image = root().join("scripts/build-image.sh");
    let mut hostile = Command::new("bash");
    hostile.args(["-c", HOSTILE]).arg(build_image).current_dir(folder);
    assert_eq!(hashes("hostile", &mut hostile), usual);
    let mut empty = qemu_tests::vm::script("build-image.sh");
    empty.env_clear();
    // Where this machine has them, when that is not where they usually are.
    for name in ["CARGO_HOME", "RUSTUP_HOME", "XDG_CACHE_HOME"] {
        std::env::var(name).ok().map(|value| empty.env(name, value));
    }
    assert_eq!(hashes("empty", &mut empty), usual);
}

#[test]
fn the_bill_of_materials_passes_spdx_tools_and_ntias_checker() {
    or_skip!(python());
    let bill = fs::read_to_string(image().join("sbom.spdx.json")).expect("it is one of the products");
    for (checker, field, spoilt) in [
        (&["-m", "spdx_tools.spdx.clitools.pyspdxtools", "-i"][..], "GPL-2.0-only", "GPL-9"),
        (&["-m", "ntia_conformance_checker.main"], "Organization: crates.io", "NOASSERTION"),
    ] {
        let passes = |bill: &str| {
            let file = scratch("bill").join("sbom.spdx.json");
            fs::write(&file, bill).expect("scratch is writable");
            run(python().expect("it is here").args(checker).arg(file), LIMIT)
        };
        passes(&bill).ok();
        assert!(bill.contains(field), "{bill}");
        assert_eq!(passes(&bill.replace(field, spoilt)).code(), 1, "{checker:?}");
    }
}

#[test]
fn the_sizes_on_a_boards_page_are_those_of_its_image() {
    let check = |out: &Path| {
        let mut sizes = qemu_tests::vm::script("sizes.sh");
        run(sizes.args([&board::under_test().name, "--check", "--out"]).arg(out), LIMIT)
    };
    let outcome = check(image());
    if outcome.code() == 2 {
        return announce(outcome.complaint().trim().trim_start_matches("==> "));
    }
    outcome.ok();

    let larger = scratch("larger");
    fs::copy(image().join("layout.txt"), larger.join("layout.txt")).expect("scratch is writable");
    let sizes = fs::read_to_string(image().join("sizes.txt")).expect("it is one of the products");
    let cpud = sizes.split_whitespace().nth(1).expect("the first row is cpud's");
    let grown = (cpud.parse::<u32>().expect("bytes") + 4096).to_string();
    fs::write(larger.join("sizes.txt"), sizes.replacen(cpud, &grown, 1)).expect("scratch is writable");
    let outcome = check(&larger);
    let complaint = outcome.complaint();
    assert!(outcome.code() == 1 && complaint.contains("README.md:") && complaint.contains("| `cpud` |"), "{complaint}");
}

#[test]
fn scripts_name_a_cache_that_is_unwritable_or_has_a_bad_path() {
    for (cache, sentence) in
        [("/proc/no", "the cache, /proc/no/cpud, cannot be written"), ("/tmp/an owner's", "an owner's")]
    {
        let outcome = run(qemu_tests::vm::script("build-coreboot.sh").env("XDG_CACHE_HOME", cache), LIMIT);
        let complaint = outcome.complaint();
        assert!(outcome.code() == 1 && complaint.contains(sentence) && complaint.lines().count() == 1, "{complaint}");
    }
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
fn no_crate_needs_a_newer_rust_than_the_readme_asks_for() {
    let mut cargo = Command::new("cargo");
    let metadata = run(cargo.args(["metadata", "--format-version=1", "--locked"]).current_dir(root()), LIMIT).ok();
    let needed = metadata.split("\"rust_version\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    // Not the third: 1.94.0 is no newer than 1.94.
    let number = |version: &str| version.split('.').take(2).map(|part| part.parse().unwrap()).collect::<Vec<u32>>();
    let ours = env!("CARGO_PKG_RUST_VERSION");
    let newer: Vec<_> = needed.filter(|version| number(version) > number(ours)).collect();
    assert!(newer.is_empty(), "{newer:?} are newer than {ours}");
    let readme = fs::read_to_string(root().join("README.md")).expect("it is there");
    assert!(readme.contains(&format!("Rust {ours} or later")), "README.md does not ask for Rust {ours}");
}

#[test]
fn words_that_are_no_option_or_board_are_named() {
    let out = scratch("no-option");
    for (name, words, sentence) in [
        ("run-qemu.sh", ["--colour", "red"], "unknown option --colour"),
        ("run-qemu.sh", ["--net", "token-ring"], "--net is virtio or igb, not token-ring"),
        ("run-qemu.sh", ["--port", "abc"], "--port abc is no port"),
        ("run-qemu.sh", ["--port", "65536"], "--port 65536 is no port"),
        ("run-qemu.sh", ["--smp", "x[$(id)]"], "--smp x[$(id)] is no number of processors"),
        ("run-qemu.sh", ["--memory", "33"], "boards/qemu-q35 starts with 34M or more"),
        ("run-qemu.sh", ["--rom", "Cargo.toml"], "a ROM of qemu-q35 has 4194304"),
        ("build-image.sh", ["apu9000", "--no-install"], "no board apu9000"),
        ("build-cpud.sh", ["--arch", "vax"], "no such architecture: vax"),
    ] {
        let outcome = run(script(name, &out).args(words).current_dir(root()), LIMIT);
        let complaint = outcome.complaint();
        assert!(outcome.code() == 1 && complaint.contains(sentence), "{name} {words:?}: {complaint}");
    }
}
