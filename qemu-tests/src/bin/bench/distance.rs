//! What crosses the network, counted at the client's file server, and how long that takes at a distance.
//!
//! Each task runs twice on a machine that was just booted: cold in its first session, warm in its second.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use qemu_tests::artifacts::scratch;
use qemu_tests::client::Client;
use qemu_tests::delay::delayed;
use qemu_tests::run::{run, start};
use qemu_tests::vm::served;

use crate::contender::{Contender, LIMIT};
use crate::projects::{self, REPOSITORY};

/// What a login sets (login(1)), two of ssh's, and HOME, which is the user's own.
const ENVIRONMENT: [(&str, &str); 11] = [
    ("LANG", "C"),
    ("LC_ALL", "C"),
    ("LOGNAME", "root"),
    ("MAIL", "/var/mail/root"),
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("PWD", "/usr"),
    ("SHELL", "/bin/sh"),
    ("SSH_CLIENT", "127.0.0.1 17010 22"),
    ("SSH_CONNECTION", "127.0.0.1 17010 127.0.0.1 22"),
    ("TERM", "linux"),
    ("USER", "root"),
];

/// What is to be measured.
#[derive(Default)]
pub struct Course {
    /// What the way to the machine adds.
    pub round_trips: Vec<Duration>,
    /// A task that takes longer is given up, and not tried at longer round trips.
    pub cap: Duration,
    /// Tasks without this word in their name are left out.
    pub only: String,
}

struct Task {
    name: String,
    command: Vec<String>,
    /// What it prints at home, sorted: the client's server lists names in an order of its own.
    expected: String,
    /// Run at home before the cold run and before the warm one.
    prepare: [String; 2],
    /// What the messages are counted per.
    per: Option<(&'static str, usize)>,
    /// Messages cold and warm, at most, per each of `per`.
    goal: Option<[f64; 2]>,
    /// Added milliseconds, and how many times shorter than the reference's the cold run is to be there.
    better: &'static [(u64, f64)],
}

/// One run.
struct Run {
    seconds: f64,
    /// Messages and their kind, the most frequent first.
    counts: Vec<(u64, String)>,
    /// It printed what it prints at home.
    right: bool,
}

/// None: it took longer than the cap.
type Runs = [Option<Run>; 2];

fn tasks() -> Vec<Task> {
    let task = |name: &str, command: &[&str]| Task {
        name: name.to_owned(),
        command: command.iter().map(|&word| word.to_owned()).collect(),
        expected: String::new(),
        prepare: Default::default(),
        per: None,
        goal: None,
        better: &[],
    };
    let perl = run(Command::new("find").args(["/usr/share/perl", "-type", "d"]), LIMIT).ok().lines().count();
    let (repository, sources, bulk) = (projects::repository(), projects::sources(), projects::bulk());
    let there = |path: &PathBuf| served(path);
    let twice = |command: String| [command.clone(), command];
    let written = bulk.with_extension("written");
    vec![
        Task { goal: Some([50.0, 20.0]), ..task("/bin/true", &["/bin/true"]) },
        Task {
            goal: Some([350.0, 130.0]),
            better: &[(10, 10.0)],
            ..task("python3 -c 'import json'", &["/usr/bin/python3", "-c", "import json"])
        },
        Task {
            per: Some(("directory", perl)),
            goal: Some([5.0, 1.2]),
            ..task("find /usr/share/perl -type f", &["find", "/usr/share/perl", "-type", "f"])
        },
        Task {
            per: Some(("file and directory", REPOSITORY.0 + REPOSITORY.1)),
            goal: Some([2.2, 1.2]),
            // What an earlier session has left in the index goes.
            prepare: [format!("git -C {} status", repository.display()), String::new()],
            ..task("git status, 2,000 files", &["git", "-C", &there(&repository), "status", "--short"])
        },
        Task {
            prepare: twice(format!("make -s -C {} clean", sources.display())),
            better: &[(10, 8.0)],
            ..task("make, 50 C files", &["make", "-s", "-C", &there(&sources)])
        },
        Task {
            better: &[(0, 3.0), (10, 5.0)],
            ..task("read 64 MiB", &["dd", "bs=1M", "status=none", "of=/dev/null", &format!("if={}", there(&bulk))])
        },
        Task {
            prepare: twice(format!("rm -f {}", written.display())),
            better: &[(0, 3.0)],
            ..task(
                "write 64 MiB",
                &["dd", "bs=1M", "count=64", "conv=fsync", "status=none", "if=/dev/zero"]
                    .into_iter()
                    .chain([format!("of={}", there(&written)).as_str()])
                    .collect::<Vec<_>>(),
            )
        },
    ]
}

/// Prints a table for each round-trip time, line by line as it is measured.
pub fn print_tables(ours: &Contender, reference: Option<&Contender>, course: &Course) {
    let mut tasks: Vec<Task> = tasks().into_iter().filter(|task| task.name.contains(&course.only)).collect();
    for task in &mut tasks {
        // Files of the client's, as it sees them itself.
        let words: Vec<String> = task.command.iter().map(|word| word.replace("/tmp/cpu/", "/")).collect();
        task.expected = sorted(&run(Command::new(&words[0]).args(&words[1..]), LIMIT).text());
    }
    // What took too long nearer by.
    let mut capped = vec![[false; 2]; tasks.len()];
    for &round_trip in &course.round_trips {
        println!("\n{} ms of round trip added", round_trip.as_millis());
        println!("{:42}{:>24}{:>10}{:>24}{:>10}", "", "cold: messages", "s", "warm: messages", "s");
        for (task, capped) in tasks.iter().zip(&mut capped) {
            println!("{}", task.name);
            let mut cold = [None, None];
            for (n, contender) in [Some(ours), reference].into_iter().enumerate() {
                let Some(contender) = contender else { continue };
                let runs = if capped[n] { [None, None] } else { task.run(contender, round_trip, course.cap) };
                capped[n] = runs[0].is_none();
                task.print(["cpud", "reference"][n], &runs, course.cap);
                if n == 0 {
                    task.judge_messages(&runs);
                }
                cold[n] = runs[0].as_ref().map(|run| run.seconds);
            }
            if reference.is_some() {
                task.judge_time(cold, round_trip, course.cap);
            }
        }
    }
}

impl Task {
    fn run(&self, contender: &Contender, round_trip: Duration, cap: Duration) -> Runs {
        let (vm, _) = contender.boot();
        let port = delayed(vm.port, round_trip);
        let [before_cold, before_warm] = &self.prepare;
        let cold = self.run_once(before_cold, port, cap);
        let warm = if cold.is_some() { self.run_once(before_warm, port, cap) } else { None };
        [cold, warm]
    }

    fn run_once(&self, before: &str, port: u16, cap: Duration) -> Option<Run> {
        run(Command::new("sh").args(["-c", before]), LIMIT).ok();
        let counts = scratch("counts").join("bench");
        let client = Client::v3(port).unwrap_or_else(|e| panic!("no client: {e}"));
        let words: Vec<&str> = self.command.iter().map(String::as_str).collect();
        let mut client = client.with(&["-counts", counts.to_str().expect("UTF-8")]);
        let command = client.command(&words);
        // Each costs the client a round trip: not as many as whoever measures happens to have.
        command.env_clear().envs(ENVIRONMENT).envs(env::var_os("HOME").map(|home| ("HOME", home)));
        let began = Instant::now();
        let outcome = start(command, Vec::new()).within(cap).ok()?;
        let seconds = began.elapsed().as_secs_f64();
        assert_eq!(outcome.code(), 0, "{}: {}", self.name, outcome.complaint());
        let counts = fs::read_to_string(&counts).expect("the client counts");
        let counts = counts.lines().filter_map(|line| {
            let (count, kind) = line.split_once(' ')?;
            Some((count.parse().ok()?, kind.to_owned()))
        });
        Some(Run { seconds, counts: counts.collect(), right: sorted(&outcome.text()) == self.expected })
    }

    fn print(&self, who: &str, runs: &Runs, cap: Duration) {
        print!("  {who:40}");
        for run in runs {
            match run {
                Some(run) => {
                    let per = self.per.map_or(String::new(), |(_, n)| format!(" ({:.2} each)", run.total() / n as f64));
                    print!("{:>24}{:>10.1}", format!("{}{per}", run.total()), run.seconds);
                }
                None => print!("{:>24}{:>10}", "-", format!("> {}", cap.as_secs())),
            }
        }
        println!();
        for (name, run) in ["cold", "warm"].iter().zip(runs) {
            let Some(run) = run else { continue };
            let kinds: Vec<String> = run.counts.iter().map(|(count, kind)| format!("{count} {kind}")).collect();
            let right = if run.right { "" } else { "; what it printed is WRONG" };
            println!("    {name}: {}{right}", kinds.join(", "));
        }
    }

    fn judge_messages(&self, runs: &Runs) {
        let Some(goal) = self.goal else { return };
        let (what, n) = self.per.map_or((String::new(), 1), |(what, n)| (format!(" per {what}"), n));
        let verdicts = runs.iter().zip(goal).map(|(run, goal)| {
            let few = run.as_ref().is_some_and(|run| run.right && run.total() <= goal * n as f64);
            format!("{goal}{what}: {}", met(few))
        });
        println!("    goal, messages: {}", verdicts.collect::<Vec<_>>().join(", "));
    }

    /// The ratio of the cold runs; a lower bound when the reference took longer than the cap.
    fn judge_time(&self, [own, other]: [Option<f64>; 2], round_trip: Duration, cap: Duration) {
        let Some(own) = own else { return };
        let least = other.is_none();
        let ratio = other.unwrap_or(cap.as_secs_f64()) / own;
        print!("    {}{ratio:.1} times as fast as the reference", if least { "more than " } else { "" });
        match self.better.iter().find(|&&(at, _)| Duration::from_millis(at) == round_trip) {
            Some(&(_, factor)) => println!("; goal {factor}: {}", met(ratio >= factor)),
            None => println!(),
        }
    }
}

impl Run {
    fn total(&self) -> f64 {
        self.counts.iter().map(|(count, _)| count).sum::<u64>() as f64
    }
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn met(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}
