//! The connections that are open: a guard and a wire each.

use core::mem::replace;
use core::net::SocketAddr;

use linux_raw_sys::general::{SIGKILL, SIGTERM};
use rustix::fd::OwnedFd;

use super::share;
use super::strangers::{MAX as STRANGERS_MAX, Refusal, Sources, to_evict};
use crate::config::Config;
use crate::limits::USERS_MAX;
use crate::report::{RateLimit, Reporter};
use crate::sys::errno::Sentence;
use crate::sys::process::{self, Fork, Pid, Status};
use crate::sys::{fdpass, fs, net, now};
use crate::{guard, say, wire};

/// The size of the table: users, strangers, and those whose processes have not ended yet.
const MAX: usize = USERS_MAX + STRANGERS_MAX;

/// wire ends a stranger after the login's grace time. init kills a wire that does not: it may have been taken over.
const STRANGER_MS: u64 = ssh_lite::server::LOGIN_GRACE.as_millis() as u64 + 10_000;

/// How long a stranger may take to read the last bytes that were sent to him.
const FAREWELL_MS: u64 = 5000;

/// How often init checks whether he has read them.
const LOOK_MS: u64 = 100;

/// Sockets whose last bytes are still unread.
const LEAVING_MAX: usize = 64;

struct Connection {
    peer: SocketAddr,
    since: u64,
    /// None once it has ended.
    guard: Option<Pid>,
    wire: Option<Pid>,
    standing: Standing,
}

enum Standing {
    Stranger(Door),
    User {
        relay: Option<Pid>,
    },
    /// A stranger who has left or was evicted; a process of his may not have ended yet.
    Gone,
}

/// A stranger's socket, which has small buffers, and the sizes that they had before.
struct Door {
    socket: OwnedFd,
    buffers: Option<net::Buffers>,
}

impl Door {
    /// If the kernel could not restore the sizes later, the buffers stay as they are.
    fn new(socket: OwnedFd) -> Self {
        let before = net::Buffers::of(&socket);
        let buffers = before.and_then(|before| net::Buffers::SMALL.set(&socket, false).map(|()| before)).ok();
        Self { socket, buffers }
    }

    fn restore_buffers(self) {
        let _ = self.buffers.map(|buffers| buffers.set(&self.socket, true));
    }

    /// Drops what is under way: the kernel keeps nothing of the connection.
    fn reset(&self) {
        net::reset_at_close(&self.socket);
    }
}

pub struct Connections {
    table: heapless::Vec<Connection, MAX>,
    sources: Sources,
    /// Bounds the sentences to refused peers.
    sentences: RateLimit,
    /// Sockets of strangers with unread bytes, and until when they may stay.
    leaving: heapless::Deque<(Door, u64), LEAVING_MAX>,
}

impl Connections {
    pub const fn new() -> Self {
        Self {
            table: heapless::Vec::new(),
            sources: Sources::new(),
            sentences: RateLimit::new(),
            leaving: heapless::Deque::new(),
        }
    }

    #[cfg(test)]
    pub fn of_relay(relay: Pid) -> Self {
        let peer = (core::net::Ipv4Addr::LOCALHOST, 1).into();
        let (guard, wire) = (Some(process::own_pid()), None);
        let connection = Connection { peer, since: 0, guard, wire, standing: Standing::User { relay: Some(relay) } };
        Self { table: heapless::Vec::from_iter([connection]), ..Self::new() }
    }

    /// Whether another connection is accepted: as long as a stranger can be evicted for it.
    pub fn has_room(&self) -> bool {
        !self.table.is_full() && self.users() < USERS_MAX
    }

    fn users(&self) -> usize {
        self.table.iter().filter(|c| matches!(c.standing, Standing::User { .. })).count()
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Admits a connection, or tells its peer why not.
    pub fn admit(&mut self, config: &Config, socket: OwnedFd, peer: SocketAddr, reporter: &Reporter) {
        let strangers = strangers(&self.table).map(|(_, c)| c.peer);
        if let Err(refusal) = self.sources.admit(peer, strangers, now().0) {
            // A peer that reads sees the sentence; of one that does not, the reset leaves nothing in the kernel. Of a
            // crowd not everybody gets one: it is half of what a refusal costs.
            if self.sentences.allow() {
                let _ = fs::write(&socket, refusal.sentence());
            }
            net::reset_at_close(&socket);
            if let Refusal::Penalty { first: true } = refusal {
                let from = peer.ip();
                reporter.line(format_args!(
                    "cpud: {from}: one connection in five seconds is accepted: too many ended without a login"
                ));
            }
            return;
        }
        let started = net::prepare(&socket).and_then(|()| self.start(config, socket, peer, reporter));
        if let Err(error) = started {
            // Through the reports, whose rate is bounded: strangers decide how often this happens.
            reporter.line(format_args!("cpud: {peer}: cannot serve: {}", Sentence(error)));
        }
    }

    /// Forks guard and wire. wire has the socket; init keeps a copy until the user has logged in.
    fn start(
        &mut self,
        config: &Config,
        socket: OwnedFd,
        peer: SocketAddr,
        reporter: &Reporter,
    ) -> rustix::io::Result<()> {
        let strangers = strangers(&self.table).count();
        if strangers >= STRANGERS_MAX || strangers + self.users() >= USERS_MAX {
            self.evict_stranger();
        }
        let door = Door::new(socket);
        let (to_wire, to_guard) = fdpass::pair()?;
        let guard = match share::fork(config)? {
            Fork::Child => guard::run(config, peer, to_wire, reporter),
            Fork::Parent(pid) => pid,
        };
        drop(to_wire);
        let wire = match share::fork(config) {
            Ok(Fork::Child) => wire::run(config, door.socket, to_guard),
            Ok(Fork::Parent(pid)) => Some(pid),
            // guard sees the hang-up and ends.
            Err(_) => None,
        };
        let standing = if wire.is_some() { Standing::Stranger(door) } else { Standing::Gone };
        // There is room: has_room() was asked before accept.
        let _ = self.table.push(Connection { peer, since: now().0, guard: Some(guard), wire, standing });
        Ok(())
    }

    fn evict_stranger(&mut self) {
        let strangers = strangers(&self.table).map(|(at, c)| (at, c.peer));
        if let Some(at) = to_evict(strangers, &self.sources) {
            self.evict(at);
        }
    }

    fn evict(&mut self, at: usize) {
        let connection = &mut self.table[at];
        if let Standing::Stranger(door) = replace(&mut connection.standing, Standing::Gone) {
            door.reset();
            self.sources.penalise(connection.peer, now().0);
        }
        connection.wire.into_iter().for_each(|wire| process::kill(wire, SIGKILL));
    }

    /// When [`Connections::evict_overdue`] has something to do.
    pub fn due(&self) -> Option<u64> {
        let strangers = strangers(&self.table).map(|(_, c)| c.since + STRANGER_MS);
        strangers.chain((!self.leaving.is_empty()).then(|| now().0 + LOOK_MS)).min()
    }

    /// Evicts strangers who have taken too long to log in, or to read the last bytes.
    pub fn evict_overdue(&mut self) {
        let now = now().0;
        self.leaving.retain(|(door, until)| {
            let unread = net::is_unread(&door.socket);
            if unread && *until <= now {
                door.reset();
            }
            unread && *until > now
        });
        for at in 0..self.table.len() {
            let Connection { standing, since, .. } = &self.table[at];
            if matches!(standing, Standing::Stranger(_)) && since + STRANGER_MS <= now {
                self.evict(at);
            }
        }
    }

    /// Notes the end of a wire. Its last bytes to a stranger stay in the kernel until he has read them.
    fn wire_ended(&mut self, at: usize) {
        let connection = &mut self.table[at];
        if matches!(connection.standing, Standing::Stranger(_))
            && let Standing::Stranger(door) = replace(&mut connection.standing, Standing::Gone)
        {
            self.sources.penalise(connection.peer, now().0);
            if net::is_unread(&door.socket) {
                if let Some((oldest, _)) = self.leaving.is_full().then(|| self.leaving.pop_front()).flatten() {
                    oldest.reset();
                }
                let _ = self.leaving.push_back((door, now().0 + FAREWELL_MS));
            }
        }
    }

    pub fn logged_in(&mut self, guard: Pid, relay: Option<Pid>) {
        let Some(connection) = self.table.iter_mut().find(|c| c.guard == Some(guard)) else { return };
        match &mut connection.standing {
            Standing::User { relay: has } => *has = has.or(relay),
            Standing::Stranger(_) => {
                let standing = replace(&mut connection.standing, Standing::User { relay });
                if let Standing::Stranger(door) = standing {
                    door.restore_buffers();
                }
                self.sources.know(connection.peer, now().0);
            }
            Standing::Gone => {}
        }
    }

    /// The relay of the connection that this guard serves.
    pub fn relay_of(&self, guard: Pid) -> Option<Pid> {
        match self.table.iter().find(|c| c.guard == Some(guard))?.standing {
            Standing::User { relay } => relay,
            _ => None,
        }
    }

    /// Whether an open connection uses this relay.
    pub fn uses_relay(&self, relay: Pid) -> bool {
        self.table.iter().any(|c| matches!(c.standing, Standing::User { relay: Some(used) } if used == relay))
    }

    /// Reaps every child that has ended: processes of connections, adopted orphans, and those that `ended` knows.
    pub fn reap(&mut self, ended: &mut dyn FnMut(Pid, Status)) {
        while let Some((pid, status)) = process::reap() {
            if let Some(at) = self.table.iter().position(|c| c.wire == Some(pid)) {
                self.wire_ended(at);
            }
            for connection in &mut self.table {
                let (role, slot) = match pid {
                    _ if connection.guard == Some(pid) => ("guard", &mut connection.guard),
                    _ if connection.wire == Some(pid) => ("wire", &mut connection.wire),
                    _ => continue,
                };
                *slot = None;
                match status {
                    // They have reported what they had to.
                    Status::Exited(0 | 1) => {}
                    Status::Killed { signal, .. } if matches!(signal.into(), SIGKILL | SIGTERM) => {}
                    // Status 101 is a panic: a wire and a guard have no console to say more.
                    _ => say!("cpud: {}: {role} {status}", connection.peer),
                }
            }
            ended(pid, status);
            self.table.retain(|c| c.guard.is_some() || c.wire.is_some());
        }
    }

    /// Has every guard end its sessions, and then its connection.
    pub fn end_sessions(&self) {
        self.table.iter().filter_map(|c| c.guard).for_each(|guard| process::kill(guard, SIGTERM));
    }

    /// Ends every connection; guards end their sessions when their wire is gone.
    pub fn end_all(&self) {
        self.table.iter().filter_map(|c| c.wire).for_each(|wire| process::kill(wire, SIGKILL));
    }
}

fn strangers(table: &[Connection]) -> impl Iterator<Item = (usize, &Connection)> + Clone {
    table.iter().enumerate().filter(|(_, c)| matches!(c.standing, Standing::Stranger(_)))
}
