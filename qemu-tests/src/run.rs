//! A program with a time limit.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// How a program ended, and all that it said.
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Outcome {
    /// Its exit code; 128 and the number of the signal when one killed it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn complaint(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Its stdout without the last end of line, after checking that it exited 0.
    #[track_caller]
    pub fn ok(&self) -> String {
        assert_eq!(self.code(), 0, "{}{}", self.text(), self.complaint());
        self.text().trim_end().to_owned()
    }
}

/// A program that runs.
pub struct Running {
    name: String,
    pid: u32,
    ended: mpsc::Receiver<ExitStatus>,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
}

/// Starts `command` with `stdin` to read.
pub fn start(command: &mut Command, stdin: Vec<u8>) -> Running {
    let name = format!("{command:?}");
    let mut child = spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut to = child.stdin.take().expect("piped");
    // A program that ends without reading all of it is not an error here.
    thread::spawn(move || to.write_all(&stdin));
    let stdout = collect(child.stdout.take().expect("piped"));
    let stderr = collect(child.stderr.take().expect("piped"));
    let pid = child.id();
    let (tell, ended) = mpsc::channel();
    thread::spawn(move || tell.send(child.wait().expect("a child can be waited for")));
    Running { name, pid, ended, stdout, stderr }
}

/// Runs `command` to its end, with nothing to read.
#[track_caller]
pub fn run(command: &mut Command, limit: Duration) -> Outcome {
    start(command, Vec::new()).finish(limit)
}

/// Runs `command` to its end, with `stdin` to read.
#[track_caller]
pub fn feed(command: &mut Command, stdin: Vec<u8>, limit: Duration) -> Outcome {
    start(command, stdin).finish(limit)
}

/// Starts `command` and says its name when that fails.
#[track_caller]
pub fn spawn(command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|e| panic!("{}: {e}", command.get_program().display()))
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal, named as kill(1) names it.
    pub fn signal(&self, name: &str) {
        let _ = Command::new("kill").args(["-s", name, &self.pid.to_string()]).status();
    }

    /// Whether it has closed both of its outputs.
    pub fn has_ended(&self) -> bool {
        self.stdout.is_finished() && self.stderr.is_finished()
    }

    /// Waits for the end; after `limit` it is killed, and the test fails with what it said.
    #[track_caller]
    pub fn finish(self, limit: Duration) -> Outcome {
        let name = self.name.clone();
        match self.within(limit) {
            Ok(outcome) => outcome,
            Err(said) => panic!("{name} still ran after {limit:?}; it said:\n{}", String::from_utf8_lossy(&said)),
        }
    }

    /// Waits for the end; after `limit` it is killed, and the error is what it said.
    pub fn within(self, limit: Duration) -> Result<Outcome, Vec<u8>> {
        let status = self.ended.recv_timeout(limit);
        if status.is_err() {
            self.signal("KILL");
        }
        let stdout = self.stdout.join().expect("a reader does not panic");
        let stderr = self.stderr.join().expect("a reader does not panic");
        match status {
            Ok(status) => Ok(Outcome { status, stdout, stderr }),
            Err(_) => Err([stdout, stderr].concat()),
        }
    }
}

fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        // An error ends the output as an end of file does: what came before it is still shown.
        let _ = from.read_to_end(&mut all);
        all
    })
}

/// The SHA-256 of `bytes` as sha256sum(1) prints it.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `size` bytes in which every place is different from its neighbours, the same each time.
pub fn noise(size: usize) -> Vec<u8> {
    // xorshift64*: cheap, and no block cipher or compressor sees a pattern.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
