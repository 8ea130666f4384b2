//! The numbers that every change is held against; scripts/bench.sh builds what this measures.
//!
//! `bench [REFERENCE]`: with another cpud as the reference, it runs as `/init` on the same kernel, the same machine
//! and the same CPU model, in the same run.

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use qemu_tests::artifacts::{Artifact, scratch};
use qemu_tests::client::Client;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::run::{noise, run, start};
use qemu_tests::vm::{Machine, Vm, parse, program, served};

const LIMIT: Duration = Duration::from_secs(120);
const MIB: f64 = 1_048_576.0;
/// What is read and printed in the throughput rows.
const BULK: usize = 64 << 20;
/// How long an appliance is watched doing nothing.
const IDLE: Duration = Duration::from_secs(10);

/// What a row is worth: `limit` bounds our own figure, `factor` is how many times better than the reference it is to be.
enum Goal {
    AtMost(f64),
    TimesLess(f64),
    TimesMore(f64),
}

struct Row {
    name: &'static str,
    unit: &'static str,
    goal: Goal,
    measure: fn(&Subject) -> f64,
}

const ROWS: [Row; 12] = [
    Row { name: "program, stripped", unit: "KiB", goal: Goal::AtMost(256.0), measure: |s| kib(&s.program) },
    Row {
        name: "initramfs, compressed",
        unit: "KiB",
        goal: Goal::AtMost(128.0),
        measure: |s| kib(&s.machine.initramfs),
    },
    Row { name: "bzImage", unit: "KiB", goal: Goal::AtMost(2252.8), measure: |s| kib(&s.machine.kernel) },
    Row { name: "power-on to ready", unit: "s", goal: Goal::TimesLess(2.0), measure: |s| s.ready },
    Row { name: "the same from the ROM", unit: "times", goal: Goal::AtMost(1.3), measure: from_rom },
    Row { name: "PID 1 resident", unit: "KiB", goal: Goal::AtMost(160.0), measure: resident },
    Row { name: "idle connection, private", unit: "KiB", goal: Goal::AtMost(400.0), measure: connection },
    Row { name: "idle, of one processor", unit: "%", goal: Goal::AtMost(5.0), measure: idle },
    Row { name: "/bin/true", unit: "s", goal: Goal::TimesLess(2.0), measure: |s| s.best_of_three(&["/bin/true"]) },
    Row { name: "ls /bin", unit: "s", goal: Goal::TimesLess(2.0), measure: |s| s.best_of_three(&["ls", "/bin"]) },
    Row { name: "64 MiB read", unit: "MiB/s", goal: Goal::TimesMore(2.0), measure: read },
    Row { name: "64 MiB of stdout", unit: "MiB/s", goal: Goal::TimesMore(2.0), measure: print },
];

/// What is measured: a program as PID 1 of a machine that runs.
struct Subject {
    program: PathBuf,
    machine: Machine,
    vm: Vm,
    /// Seconds from power-on until it sent its ssh version.
    ready: f64,
}

fn main() {
    let ours = Subject::boot(Artifact::Cpud.path("qemu-q35"), Machine::direct());
    let figures = ours.figures();
    drop(ours);
    let reference = env::args().nth(1).map(PathBuf::from).map(|program| {
        let machine = Machine { initramfs: reference_image(&program), ..Machine::direct() };
        Subject::boot(program, machine).figures()
    });

    println!("{:26}{:>12}{:>12}{:>8}  goal", "", "cpud", "reference", "better");
    for (n, row) in ROWS.iter().enumerate() {
        let own = figures[n];
        let other = reference.as_ref().map(|figures| figures[n]);
        let (reference, ratio) = match other {
            Some(other) if matches!(row.goal, Goal::TimesMore(_)) => {
                (format!("{other:.1}"), format!("{:.2}", own / other))
            }
            Some(other) => (format!("{other:.1}"), format!("{:.2}", other / own)),
            None => ("-".to_owned(), "-".to_owned()),
        };
        println!(
            "{:26}{own:>12.1}{reference:>12}{ratio:>8}  {}",
            format!("{}, {}", row.name, row.unit),
            row.goal.judge(own, other)
        );
    }
}

impl Goal {
    fn judge(&self, own: f64, other: Option<f64>) -> String {
        let met = |met: bool| if met { "met" } else { "MISSED" };
        match (self, other) {
            (Self::AtMost(limit), _) => format!("at most {limit}: {}", met(own <= *limit)),
            (Self::TimesLess(factor), Some(other)) => {
                format!("1/{factor} of the reference: {}", met(own * factor <= other))
            }
            (Self::TimesMore(factor), Some(other)) => {
                format!("{factor} times the reference: {}", met(own >= other * factor))
            }
            (Self::TimesLess(_) | Self::TimesMore(_), None) => "needs --reference".to_owned(),
        }
    }
}

/// How many times as long the same image takes in a ROM.
fn from_rom(subject: &Subject) -> f64 {
    let machine = subject.machine.clone().in_rom("bench", &[]);
    first_word(&Vm::power_on(&machine)).as_secs_f64() / subject.ready
}

impl Subject {
    fn boot(program: PathBuf, machine: Machine) -> Self {
        let vm = Vm::power_on(&machine);
        let ready = first_word(&vm).as_secs_f64();
        Self { program, machine, vm, ready }
    }

    fn figures(&self) -> Vec<f64> {
        // The first session of a machine pays for what later ones find done.
        self.seconds(&["/bin/true"]);
        ROWS.iter().map(|row| (row.measure)(self)).collect()
    }

    /// Today's stock client, or else the tests' own.
    fn client(&self) -> Client {
        let client = Client::stock(self.vm.port).or_else(|_| Client::v3(self.vm.port));
        client.unwrap_or_else(|e| panic!("no client: {e}"))
    }

    /// The wall time of a command.
    fn seconds(&self, words: &[&str]) -> f64 {
        let began = Instant::now();
        let outcome = run(self.client().command(words), LIMIT);
        assert_eq!(outcome.code(), 0, "{words:?}: {}", outcome.complaint());
        began.elapsed().as_secs_f64()
    }

    fn best_of_three(&self, words: &[&str]) -> f64 {
        (0..3).map(|_| self.seconds(words)).fold(f64::INFINITY, f64::min)
    }

    /// All processes but those of kernel threads, from inside.
    fn processes(&self) -> Vec<qemu_tests::look::Process> {
        parse(&run(self.client().command(&[&served(&program("look"))]), LIMIT).ok())
    }
}

/// Knocks until an ssh version comes back. QEMU takes connections before the guest listens, and hangs up on them.
fn first_word(vm: &Vm) -> Duration {
    loop {
        let mut version = [0; 4];
        let socket = TcpStream::connect(("127.0.0.1", vm.port));
        let answered = socket.and_then(|mut socket| {
            socket.set_read_timeout(Some(Duration::from_millis(500)))?;
            socket.read_exact(&mut version)
        });
        if answered.is_ok() && &version == b"SSH-" {
            return vm.power_on.elapsed();
        }
        assert!(
            vm.power_on.elapsed() < LIMIT,
            "no ssh version; the console said:\n{}",
            vm.console.since(Default::default())
        );
        thread::sleep(Duration::from_millis(20));
    }
}

fn kib(path: &PathBuf) -> f64 {
    fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).len() as f64 / 1024.0
}

fn resident(subject: &Subject) -> f64 {
    subject.processes().first().expect("there is a PID 1").resident as f64
}

/// The private memory of all processes with one more connection that is logged in, less what it is without.
fn connection(subject: &Subject) -> f64 {
    let total = || subject.processes().iter().map(|process| process.private).sum::<u64>() as f64;
    let without = total();
    let socket = scratch("sockets").join("bench");
    // -f: it returns once it is logged in. A reference makes its own host key.
    let mut ssh = Command::new("ssh");
    ssh.args([
        "-F",
        "none",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "BatchMode=yes",
    ]);
    ssh.args(["-o", "IdentitiesOnly=yes", "-i"]).arg(Key::user(Kind::Rsa2048).private);
    ssh.args(["-fNM", "-p", &subject.vm.port.to_string(), "-S"]).arg(&socket).arg("root@127.0.0.1");
    // It stays behind with these streams, so a pipe would not end.
    let status = ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "ssh logs in");
    let with = total();
    let end = Command::new("ssh").args(["-O", "exit", "-S"]).arg(&socket).arg("root@127.0.0.1").output();
    assert!(end.is_ok_and(|end| end.status.success()), "ssh ends its own connection");
    with - without
}

/// The share of a processor that the whole machine takes while nobody uses it.
fn idle(subject: &Subject) -> f64 {
    let before = subject.vm.processor_time();
    // This is what is measured: time without work.
    thread::sleep(IDLE);
    (subject.vm.processor_time() - before).as_secs_f64() / IDLE.as_secs_f64() * 100.0
}

fn read(subject: &Subject) -> f64 {
    let path = scratch("files").join("bench");
    fs::write(&path, noise(BULK)).expect("64 MiB of room");
    BULK as f64
        / MIB
        / subject.seconds(&["dd", "bs=1M", "status=none", "of=/dev/null", &format!("if={}", served(&path))])
}

fn print(subject: &Subject) -> f64 {
    let began = Instant::now();
    let mut client = subject.client();
    let outcome = start(client.command(&["head", "-c", &BULK.to_string(), "/dev/zero"]), Vec::new()).finish(LIMIT);
    assert_eq!(outcome.stdout.len(), BULK, "{}", outcome.complaint());
    BULK as f64 / MIB / began.elapsed().as_secs_f64()
}

/// An image with `program` as `/init`, the key where u-root's cpud looks for it, which is `key.pub` in its directory,
/// and the mount points of the default name space, which it does not make.
fn reference_image(program: &Path) -> PathBuf {
    let folder = scratch("reference");
    let tree = folder.join("tree");
    for mount_point in ["bin", "etc", "home", "lib", "lib64", "usr/bin", "usr/lib", "usr/lib64"] {
        fs::create_dir_all(tree.join(mount_point)).expect("a folder in the scratch folder");
    }
    fs::copy(program, tree.join("init")).unwrap_or_else(|e| panic!("{}: {e}", program.display()));
    fs::copy(Key::user(Kind::Rsa2048).public, tree.join("key.pub")).expect("the key was made");
    let image = folder.join("initramfs.cpio.xz");
    let pack = "find . | cpio --quiet -o -H newc -R 0:0 | xz --check=crc32 --x86 --lzma2=preset=9e,dict=1MiB";
    let file = File::create(&image).expect("a file in the scratch folder");
    let packed = Command::new("sh").args(["-c", pack]).current_dir(&tree).stdout(file).status();
    assert!(packed.is_ok_and(|status| status.success()), "cpio and xz make no image");
    image
}
