//! A crowd of strangers from ten addresses, in a network name space that nobody else is in, and owners beside it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::artifacts::root;
use crate::run::{Outcome, run, spawn};
use crate::skip::{Reason, on_path};

/// How long a command of an owner's may take before the test fails for that.
const PATIENCE: Duration = Duration::from_secs(60);

/// A network name space; gone when the last process in it is.
pub struct Place(Child);

impl Place {
    /// One that is as the shell commands `setup` leave it, which end at the first that fails.
    pub fn new(setup: &str) -> Result<Self, Reason> {
        let programs = ["unshare", "ip", "python3"];
        programs.iter().try_for_each(|program| on_path(program).map(drop))?;
        let setup = format!("set -e; ip link set lo up; {setup}; echo; exec cat");
        let mut holder = Command::new("unshare");
        holder.args(["--net", "sh", "-c", &setup]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut place = Self(spawn(&mut holder));
        let mut said = String::new();
        let _ = BufReader::new(place.0.stdout.as_mut().expect("piped")).read_line(&mut said);
        if said.is_empty() {
            let _ = place.0.stderr.take().expect("piped").read_to_string(&mut said);
            return Err(format!("no network name space: {}", said.trim().replace('\n', "; ")));
        }
        Ok(place)
    }

    /// Does something in it: what that starts, and the sockets that it makes, are there.
    pub fn within<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        let net = File::open(format!("/proc/{}/ns/net", self.0.id())).expect("its holder waits");
        let inside = move || {
            move_into_link_name_space(net.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("whoever made it may enter");
            what()
        };
        thread::scope(|scope| {
            let done = thread::Builder::new().name(name()).spawn_scoped(scope, inside).expect("a thread").join();
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// The running test's: what it prints has that name.
fn name() -> String {
    thread::current().name().unwrap_or("a test").to_owned()
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `peers/flood.py`.
pub struct Crowd(Child);

impl Crowd {
    /// Comes to `target` from these ten addresses, altogether so many times a second, and sends a tenth as many SYNs from
    /// addresses of `nobody/24`, where none is: more than the kernel has room for.
    pub fn start(target: (&str, u16), rate: u32, nobody: &str, addresses: impl Iterator<Item = String>) -> Self {
        let mut crowd = Command::new("python3");
        crowd.arg(root().join("qemu-tests/peers/flood.py")).args([target.0, &target.1.to_string(), &rate.to_string()]);
        crowd.arg(nobody).args(addresses);
        Self(spawn(crowd.stdin(Stdio::piped()).stdout(Stdio::piped())))
    }

    /// Goes away. How many connections there were, and how many of them were served.
    pub fn end(mut self) -> (u64, u64) {
        drop(self.0.stdin.take());
        let mut said = String::new();
        self.0.stdout.take().expect("piped").read_to_string(&mut said).expect("it says how many");
        let numbers: Vec<u64> = said.split_whitespace().map(|number| number.parse().expect("a number")).collect();
        let [connections, served] = numbers[..] else { panic!("{said:?}") };
        (connections, served)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long owners' commands took: the medians of a short one, and of one that reads 8 MB.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub command: Duration,
    pub read: Duration,
}

/// Has so many owners run the two in turn for `lasts`, and looks at what the second prints.
pub fn owners(
    count: usize,
    lasts: Duration,
    command: &(impl Fn() -> Command + Sync),
    read: &(impl Fn() -> Command + Sync),
    is_whole: &(impl Fn(&Outcome) -> bool + Sync),
) -> Times {
    let end = Instant::now() + lasts;
    let owner = || {
        let mut times = Vec::new();
        while times.is_empty() || Instant::now() < end {
            let (first, short) = timed(&mut command());
            assert_eq!(short.code(), 0, "{}", short.complaint());
            let (second, long) = timed(&mut read());
            assert!(long.code() == 0 && is_whole(&long), "{}", long.complaint());
            times.push((first, second));
        }
        times
    };
    let times: Vec<(Duration, Duration)> = thread::scope(|scope| {
        let owners: Vec<_> = (0..count).map(|_| scope.spawn(owner)).collect();
        owners.into_iter().flat_map(|owner| owner.join().expect("an owner is served")).collect()
    });
    let (commands, reads) = times.into_iter().unzip();
    Times { command: median(commands), read: median(reads) }
}

fn timed(command: &mut Command) -> (Duration, Outcome) {
    let start = Instant::now();
    let outcome = run(command, PATIENCE);
    (start.elapsed(), outcome)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
