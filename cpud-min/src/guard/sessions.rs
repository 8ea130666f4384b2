//! The sessions of one connection: starts them, and makes sure that nothing of them is left.

use core::net::SocketAddr;

use linux_raw_sys::general::{SIGCONT, SIGHUP, SIGKILL, SIGTERM};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::io::{Errno, Result};
use ssh_lite::auth::Authenticated;
use ssh_lite::keys::host_key::HostKey;

use crate::config::Config;
use crate::plan::number::number;
use crate::protocol::guard::{SESSIONS_MAX, SessionId};
use crate::report::Reporter;
use crate::session;
use crate::sys::cgroup::Cgroup;
use crate::sys::fs::Io;
use crate::sys::process::{Fork, Pid, Status};
use crate::sys::{fdpass, fs, now, process, signal, timespec};

/// How long what runs in a session has to end by itself, when its client or the machine goes.
const NOTICE_MS: u64 = 5000;

/// How long guard waits, at the end of a connection, for killed processes to be gone. PID 1 reaps what takes longer.
const LAST_WAIT_MS: u64 = 5000;

/// How often, and how many times, guard tells init that a killed process is still there. Control groups that a session
/// itself has made stay for good.
const LINGERS_MS: u64 = 500;
const LINGERS: u32 = 10;

/// How long orphans are left alone: pumps and listeners end by themselves, and a listener that is killed before it has
/// given up its mount leaves a mount that waits for good.
const GRACE_MS: u64 = 1000;

pub struct Sessions {
    use_cgroups: bool,
    /// Counts the sessions opened: the number names their control groups.
    opened: u32,
    table: [Option<Session>; SESSIONS_MAX],
    /// Control groups of ended sessions that are not empty yet, and when they are killed, if they are not yet.
    leaving: heapless::Deque<(Cgroup, Option<u64>), SESSIONS_MAX>,
    /// When guard next tells init that something lingers, and how many times it still may.
    next: u64,
    left: u32,
}

struct Session {
    /// The command, once the session has become it; it leads a process group.
    pid: Pid,
    cgroup: Option<Cgroup>,
    /// When it is killed: it was told to end.
    kill_at: Option<u64>,
    killed: bool,
}

/// How a session ended.
pub struct Ended {
    pub session: SessionId,
    pub status: Status,
    /// It used more memory than a session may, or there was none left for all sessions.
    pub no_memory: bool,
}

impl core::fmt::Display for Ended {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let why = if self.no_memory { ", since its memory ran out" } else { "" };
        write!(f, "session {} {}{why}", self.session, self.status)
    }
}

impl Session {
    /// Tells everything in it to end, as a terminal that hangs up and then a shutdown do. What is stopped goes on.
    fn give_notice(&mut self) {
        if self.killed || self.kill_at.is_some() {
            return;
        }
        self.kill_at = Some(now().0 + NOTICE_MS);
        for signal in [SIGHUP, SIGTERM, SIGCONT] {
            process::kill_group(self.pid, signal);
            if let Some(cgroup) = &self.cgroup {
                cgroup.signal(signal);
            }
        }
    }

    fn kill(&mut self) {
        (self.killed, self.kill_at) = (true, None);
        process::kill_group(self.pid, SIGKILL);
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        // The session may not yet have joined its control group or become a group's leader.
        process::kill(self.pid, SIGKILL);
    }
}

impl Sessions {
    pub const fn new(use_cgroups: bool) -> Self {
        let leaving = heapless::Deque::new();
        Self { use_cgroups, opened: 0, table: [const { None }; SESSIONS_MAX], leaving, next: 0, left: 0 }
    }

    /// Starts a session for the user; returns wire's end of the session's socket.
    ///
    /// INVAL when the number is taken or too high; else the errors of socketpair(2) and fork(2).
    pub fn open(
        &mut self,
        id: SessionId,
        config: &Config,
        peer: SocketAddr,
        user: &Authenticated,
        host_key: &mut Option<HostKey>,
    ) -> Result<OwnedFd> {
        if !matches!(self.table.get(id as usize), Some(None)) {
            return Err(Errno::INVAL);
        }
        self.opened = self.opened.wrapping_add(1);
        let (ours, theirs) = fdpass::pair()?;
        let cgroup = if self.use_cgroups { Cgroup::create(process::own_pid(), self.opened) } else { None };
        if let (Some(limits), Some(cgroup)) = (config.limits, &cgroup)
            && let Err(error) = cgroup.limit(limits.memory, limits.processes)
        {
            cgroup.remove();
            return Err(error);
        }
        match process::fork() {
            Ok(Fork::Child) => {
                // Only guard keeps the key; dropping it wipes its memory.
                *host_key = None;
                session::run(config, peer, user, cgroup.as_ref(), ours)
            }
            Ok(Fork::Parent(pid)) => {
                self.table[id as usize] = Some(Session { pid, cgroup, kill_at: None, killed: false });
                Ok(theirs)
            }
            Err(error) => {
                cgroup.as_ref().map(Cgroup::remove);
                Err(error)
            }
        }
    }

    /// Sends a signal to the command and the processes in its group.
    pub fn signal(&mut self, id: SessionId, signal: u32) {
        if signal == SIGKILL {
            self.watch();
        }
        if let Some(Some(session)) = self.table.get_mut(id as usize) {
            session.killed |= signal == SIGKILL;
            process::kill_group(session.pid, signal);
        }
    }

    /// Ends all of a session, by [`Sessions::kill_overdue`] at last; its end is reported by [`Sessions::next_ended`].
    pub fn end(&mut self, id: SessionId) {
        if let Some(Some(session)) = self.table.get_mut(id as usize) {
            session.give_notice();
        }
    }

    /// Ends all sessions.
    pub fn end_each(&mut self) {
        self.table.iter_mut().flatten().for_each(Session::give_notice);
    }

    pub fn is_empty(&self) -> bool {
        self.table.iter().all(Option::is_none) && self.leaving.is_empty()
    }

    /// When a session is next killed.
    pub fn kill_at(&self) -> Option<u64> {
        let sessions = self.table.iter().flatten().filter_map(|session| session.kill_at);
        sessions.chain(self.leaving.iter().filter_map(|(_, kill_at)| *kill_at)).min()
    }

    /// Kills what was told to end and has not.
    pub fn kill_overdue(&mut self) {
        let overdue = |kill_at: Option<u64>| kill_at.is_some_and(|at| at <= now().0);
        if !overdue(self.kill_at()) {
            return;
        }
        self.watch();
        self.table.iter_mut().flatten().filter(|session| overdue(session.kill_at)).for_each(Session::kill);
        for (cgroup, kill_at) in self.leaving.iter_mut().filter(|(_, kill_at)| overdue(*kill_at)) {
            cgroup.kill();
            *kill_at = None;
        }
    }

    /// Starts counting for [`Sessions::lingers`]: something is about to be killed.
    fn watch(&mut self) {
        if self.due().is_none() {
            self.next = now().0 + LINGERS_MS;
        }
        self.left = LINGERS;
    }

    /// When to ask [`Sessions::lingers`] again.
    pub fn due(&self) -> Option<u64> {
        let waits = !self.leaving.is_empty() || self.table.iter().flatten().any(|session| session.killed);
        (waits && self.left > 0).then_some(self.next)
    }

    /// Whether to tell init now that something killed a while ago is still there.
    pub fn lingers(&mut self) -> bool {
        if self.due().is_none_or(|due| now().0 < due) {
            return false;
        }
        self.remove_empty_groups();
        let lingers = self.due().is_some();
        (self.next, self.left) = (now().0 + LINGERS_MS, self.left - 1);
        lingers
    }

    /// The next session whose command has ended. Kills what the command left running, since its name space goes with
    /// the session; what was told to end has its time.
    pub fn next_ended(&mut self) -> Option<Ended> {
        loop {
            let pid = process::ended()?;
            let slot = self.table.iter().position(|s| s.as_ref().is_some_and(|s| s.pid == pid));
            // Kills the group before waiting for the command: until then its number cannot be reused.
            self.watch();
            if let Some(session) = slot.and_then(|slot| self.table[slot].as_mut())
                && (session.kill_at.is_none() || session.cgroup.is_none())
            {
                session.kill();
            }
            let status = process::wait(pid).ok()?;
            self.remove_empty_groups();
            if let Some(slot) = slot {
                if let Some(record) = session::record_path(pid) {
                    // A session whose command did not start has no record.
                    let _ = fs::unlink(record.as_c_str());
                }
                let mut no_memory = false;
                if let Some(Session { cgroup: Some(cgroup), kill_at, .. }) = self.table[slot].take() {
                    no_memory = cgroup.ran_out_of_memory();
                    if !cgroup.remove() {
                        let _ = self.leaving.push_back((cgroup, kill_at));
                    }
                }
                return Some(Ended { session: slot as SessionId, status, no_memory });
            }
        }
    }

    fn remove_empty_groups(&mut self) {
        for _ in 0..self.leaving.len() {
            if let Some((cgroup, kill_at)) = self.leaving.pop_front()
                && !cgroup.remove()
            {
                let _ = self.leaving.push_back((cgroup, kill_at));
            }
        }
    }

    /// Ends every session at the end of the connection, and waits until nothing is left of them.
    pub fn end_all(mut self, children: &OwnedFd, ended: &dyn Fn(&Ended), reporter: &Reporter) {
        self.end_each();
        let deadline = now().0 + NOTICE_MS + LAST_WAIT_MS;
        let grace = now().0 + GRACE_MS;
        let mut next = now().0 + LINGERS_MS;
        loop {
            self.kill_overdue();
            while let Some(session) = self.next_ended() {
                ended(&session);
            }
            // Orphans of sessions are guard's children now (PR_SET_CHILD_SUBREAPER).
            let orphans = kill_children(now().0 >= grace && self.kill_at().is_none());
            self.remove_empty_groups();
            if (self.is_empty() && !orphans) || now().0 >= deadline {
                return;
            }
            if now().0 >= next {
                next = now().0 + LINGERS_MS;
                reporter.lingers(process::own_pid());
            }
            let wait = timespec(100);
            let _ = poll(&mut [PollFd::new(children, PollFlags::IN)], Some(&wait));
            while signal::next(children).is_some() {}
        }
    }
}

/// Kills this process's children, or only looks for them. False when it has none, or the kernel does not list them
/// (proc_pid_task(5), `children`).
fn kill_children(kill: bool) -> bool {
    let Ok(file) = fs::open(c"/proc/thread-self/children", OFlags::RDONLY) else { return false };
    let mut buffer = [0; 4096];
    // One read: when there are more, the next round finds them.
    let Io::Moved(end) = fs::read(file, &mut buffer) else { return false };
    let mut any = false;
    // A blank ends each number; a number without one is cut off.
    for word in buffer[..end].split_inclusive(|&b| b == b' ').filter_map(|word| word.strip_suffix(b" ")) {
        if let Some(pid) = number(word).and_then(Pid::from_raw) {
            any = true;
            if kill {
                process::kill(pid, SIGKILL);
            }
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_is_told_ten_times_of_what_was_killed_and_never_of_what_runs() {
        let mut sessions = Sessions::new(false);
        sessions.table[0] = Some(Session { pid: process::own_pid(), cgroup: None, kill_at: None, killed: false });
        sessions.watch();
        assert_eq!(sessions.due(), None);
        for times in [10, 0] {
            sessions.table[0].as_mut().unwrap().killed = true;
            let told = (0..100).filter(|_| {
                sessions.next = 0;
                sessions.lingers()
            });
            assert_eq!(told.count(), times);
        }
        // Something else is killed.
        sessions.watch();
        assert!(!sessions.lingers() && sessions.due().is_some());
        sessions.table[0] = None;
        assert_eq!(sessions.due(), None);
    }
}
