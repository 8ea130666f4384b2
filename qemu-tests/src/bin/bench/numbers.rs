//! Sizes, memory, times and throughput, without any distance.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use qemu_tests::artifacts::scratch;
use qemu_tests::client::Client;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::run::{noise, run, start};
use qemu_tests::vm::{Vm, parse, program, served};

use crate::contender::{Contender, LIMIT, first_word};

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
    Row { name: "program, stripped", unit: "KiB", goal: Goal::AtMost(256.0), measure: |s| kib(&s.contender.program) },
    Row {
        name: "initramfs, compressed",
        unit: "KiB",
        goal: Goal::AtMost(128.0),
        measure: |s| kib(&s.contender.machine.initramfs),
    },
    Row { name: "bzImage", unit: "KiB", goal: Goal::AtMost(2252.8), measure: |s| kib(&s.contender.machine.kernel) },
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

/// What is measured: a contender on a machine that runs.
struct Subject<'a> {
    contender: &'a Contender,
    vm: Vm,
    /// Seconds from power-on until it sent its ssh version.
    ready: f64,
}

/// Prints the table.
pub fn print_table(ours: &Contender, reference: Option<&Contender>) {
    let figures = Subject::boot(ours).figures();
    let reference = reference.map(|reference| Subject::boot(reference).figures());

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
    let machine = subject.contender.machine.clone().in_rom("bench", &[]);
    first_word(&Vm::power_on(&machine)).as_secs_f64() / subject.ready
}

impl<'a> Subject<'a> {
    fn boot(contender: &'a Contender) -> Self {
        let (vm, ready) = contender.boot();
        Self { contender, vm, ready: ready.as_secs_f64() }
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

fn kib(path: &Path) -> f64 {
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
