//! The relays: one process for each authorized key that has logged in. A relay outlives its connections, so that the
//! user's next command finds what the last one fetched.

use linux_raw_sys::general::SIGKILL;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

use super::connections::Connections;
use super::share;
use crate::config::Config;
use crate::limits::{RELAY_LEAST, RELAY_MOST};
use crate::relay;
use crate::say;
use crate::sys::errno::Sentence;
use crate::sys::process::{self, Fork, Pid, Status};
use crate::sys::{fdpass, fs, memory, now};

/// At most this many relays. When one more is needed, one is evicted: the least recently used without a connection, or,
/// when all have one, the one whose user's last login is longest ago. The sessions of the latter lose their files.
pub const MAX: usize = 8;

/// How many steps of a second a relay may take to answer. A machine that stood still for longer, as a virtual one may,
/// has taken one step. A round of the relay's loop takes milliseconds.
const PATIENCE: u32 = 3;
const STEP_MS: u64 = 1000;

/// A fingerprint as OpenSSH writes it.
type Key = heapless::Vec<u8, 64>;

struct Relay {
    key: Key,
    pid: Pid,
    /// init sends connections and questions here; the relay answers each message, and ends when this closes.
    control: OwnedFd,
    /// Messages that it has not answered yet.
    unanswered: u32,
    /// How many steps have passed without an answer, and when the current one ends.
    steps: u32,
    until: u64,
}

impl Relay {
    /// Asks for an answer, and perhaps hands over a connection.
    fn ask(&mut self, connection: &[BorrowedFd<'_>]) -> rustix::io::Result<()> {
        fdpass::send(&self.control, &[1], connection)?;
        if self.unanswered == 0 {
            (self.steps, self.until) = (0, now().0 + STEP_MS);
        }
        self.unanswered += 1;
        Ok(())
    }

    /// False when it has not answered for too long.
    fn lives(&mut self, now: u64) -> bool {
        while self.unanswered > 0 && matches!(fdpass::receive(&self.control, &mut [0; 1], false), Ok((1.., _))) {
            self.unanswered -= 1;
            (self.steps, self.until) = (0, now + STEP_MS);
        }
        if self.unanswered > 0 && self.until <= now {
            (self.steps, self.until) = (self.steps + 1, now + STEP_MS);
        }
        self.steps < PATIENCE
    }
}

/// In the order of their users' last logins.
pub struct Relays(heapless::Vec<Relay, MAX>);

impl Relays {
    pub const fn new() -> Self {
        Self(heapless::Vec::new())
    }

    /// Hands a connection to its user's relay. If that fails the connection is closed, and its sessions have no files.
    pub fn connect(
        &mut self,
        config: &Config,
        key: &[u8],
        connection: &OwnedFd,
        connections: &Connections,
    ) -> Option<Pid> {
        let key = Key::from_slice(key).ok()?;
        if let Some(at) = self.0.iter().position(|r| r.key == key) {
            let mut relay = self.0.remove(at);
            match relay.ask(&[connection.as_fd()]) {
                Err(Errno::PIPE | Errno::CONNRESET) => {
                    // It has ended, as will be reported when it is reaped. Its user gets another.
                    relay.key.clear();
                    let _ = self.0.insert(0, relay);
                }
                sent => {
                    if let Err(error) = sent {
                        say!("cpud: a relay accepts no connection: {}", Sentence(error));
                    }
                    let pid = relay.pid;
                    let _ = self.0.push(relay);
                    return Some(pid);
                }
            }
        }
        let started = self.start(config, key, connections);
        let mut relay = started.inspect_err(|error| say!("cpud: cannot start a relay: {}", Sentence(*error))).ok()?;
        let pid = relay.pid;
        let _ = relay.ask(&[connection.as_fd()]);
        let _ = self.0.push(relay);
        Some(pid)
    }

    fn start(&mut self, config: &Config, key: Key, connections: &Connections) -> rustix::io::Result<Relay> {
        if self.0.is_full() {
            self.0.remove(self.0.iter().position(|r| !connections.uses_relay(r.pid)).unwrap_or(0));
        }
        let (control, theirs) = fdpass::pair()?;
        // init must not wait for a relay that does not read.
        fs::set_nonblocking(&control)?;
        // All relays share an eighth of the machine: the first gets three quarters of it, the next three quarters of
        // the rest, and so on.
        let part = ((memory::total() / 32 * 3) >> (2 * self.0.len())).clamp(RELAY_LEAST, RELAY_MOST);
        let arena = config.relay.unwrap_or(part);
        match share::fork(config)? {
            Fork::Child => {
                // The kernel may kill it when memory is short, unlike init.
                let _ = fs::write_file(c"/proc/self/oom_score_adj", b"0");
                relay::run(config, theirs, arena)
            }
            Fork::Parent(pid) => Ok(Relay { key, pid, control, unanswered: 0, steps: 0, until: 0 }),
        }
    }

    /// Asks whether a relay lives: a killed process is still there, perhaps because it waits for this relay.
    pub fn ask(&mut self, pid: Pid) {
        if let Some(relay) = self.0.iter_mut().find(|r| r.pid == pid) {
            // If its queue is full it has questions to answer already.
            let _ = relay.ask(&[]);
        }
    }

    /// The sockets on which answers are due, and by when.
    pub fn awaited(&self) -> impl Iterator<Item = (&OwnedFd, u64)> {
        self.0.iter().filter(|r| r.unanswered > 0).map(|r| (&r.control, r.until))
    }

    /// Kills relays that do not answer. Their sockets close, so what waits for their sessions' files gets an error.
    pub fn kill_unresponsive(&mut self) {
        self.0.retain_mut(|relay| {
            let lives = relay.lives(now().0);
            if !lives {
                let key = core::str::from_utf8(&relay.key).unwrap_or_default();
                say!("cpud: the relay of {key} has not answered for {PATIENCE} s and is ended");
                process::kill(relay.pid, SIGKILL);
            }
            lives
        });
    }

    /// Takes note of the end of a child, if it was a relay.
    pub fn ended(&mut self, pid: Pid, status: Status) {
        if let Some(at) = self.0.iter().position(|r| r.pid == pid) {
            self.0.remove(at);
            say!("cpud: a relay {status}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::cmdline;
    use ssh_lite::Ciphers;

    fn config() -> Config {
        let cmdline::Arguments { authorized_keys, host_key, .. } = cmdline::Arguments::APPLIANCE;
        let relay = Some(RELAY_LEAST);
        let (ninep, cgroups, root, appliance, limits) = (true, false, false, false, None);
        let ciphers = Ciphers::PORTABLE;
        Config { authorized_keys, host_key, ciphers, ninep, cgroups, root, appliance, limits, relay }
    }

    /// A relay that is there as far as init knows; what comes back is its end.
    fn add(relays: &mut Relays, key: &[u8], pid: i32) -> OwnedFd {
        let (control, theirs) = fdpass::pair().unwrap();
        let (key, pid) = (Key::from_slice(key).unwrap(), Pid::from_raw(pid).unwrap());
        let _ = relays.0.push(Relay { key, pid, control, unanswered: 0, steps: 0, until: 0 });
        theirs
    }

    /// Whether it does; how is another matter, since an emulator of programs has no filter of system calls for it.
    fn ends(pid: Pid) -> bool {
        matches!(process::wait(pid), Ok(Status::Exited(_)))
    }

    #[test]
    fn who_logs_in_when_his_relay_has_ended_gets_another() {
        let mut relays = Relays::new();
        drop(add(&mut relays, b"SHA256:x", 1));
        let (connection, _wire) = fdpass::pair().unwrap();
        let pid = relays.connect(&config(), b"SHA256:x", &connection, &Connections::new()).unwrap();
        relays.ended(Pid::from_raw(1).unwrap(), Status::Exited(0));
        assert!(relays.0.iter().map(|relay| relay.pid).eq([pid]));
        drop(relays);
        assert!(ends(pid));
    }

    #[test]
    fn a_relay_that_a_connection_uses_does_not_go_before_one_that_none_does() {
        let mut relays = Relays::new();
        let theirs: std::vec::Vec<_> = (1..=8).map(|pid| add(&mut relays, &[pid as u8], pid)).collect();
        let (connection, _wire) = fdpass::pair().unwrap();
        let used = Connections::of_relay(Pid::from_raw(1).unwrap());
        let pid = relays.connect(&config(), b"SHA256:x", &connection, &used).unwrap();
        let left: std::vec::Vec<_> = relays.0.iter().map(|relay| relay.pid.as_raw_nonzero().get()).collect();
        assert_eq!(left, [1, 3, 4, 5, 6, 7, 8, pid.as_raw_nonzero().get()]);
        drop((relays, theirs));
        assert!(ends(pid));
    }

    #[test]
    fn a_relay_has_three_seconds_to_answer_and_a_standstill_counts_as_one() {
        let mut relays = Relays::new();
        let theirs = add(&mut relays, b"SHA256:x", 1);
        let relay = &mut relays.0[0];
        let hour = 3_600_000;
        assert!(relay.lives(now().0 + hour));
        relay.ask(&[]).unwrap();
        relay.ask(&[]).unwrap();
        let asked = now().0;
        assert!(relay.lives(asked) && relay.lives(asked + hour) && relay.lives(asked + hour + 999));
        assert!(relay.lives(asked + hour + 1000));
        // One answer to two questions: it lives, and owes another.
        fdpass::send(&theirs, &[1], &[]).unwrap();
        let answered = asked + 2 * hour;
        assert!(relay.lives(answered) && relay.lives(answered + 1000) && relay.lives(answered + 2000));
        assert!(!relay.lives(answered + 3000));
        fdpass::send(&theirs, &[1], &[]).unwrap();
        assert!(relay.lives(answered + 4000) && relay.lives(answered + hour) && relay.lives(answered + 2 * hour));
        assert_eq!(relays.awaited().count(), 0);
    }
}
