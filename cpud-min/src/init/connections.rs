//! The connections that are open: a guard and a wire each.

use core::cmp::Reverse;
use core::net::{IpAddr, SocketAddr};

use linux_raw_sys::general::{SIGKILL, SIGTERM};
use rustix::fd::OwnedFd;

use super::Config;
use super::report::Reporter;
use crate::sys::process::{self, Fork, Pid, Status};
use crate::sys::{fdpass, now};
use crate::{guard, say, wire};

/// Connections at a time. More wait in the kernel's queue.
const MAX: usize = 128;

/// Connections whose user has not logged in. When there are more, the oldest goes of the network that has the most: a
/// stranger who opens many ends his own, not the owner's.
const STRANGERS_MAX: usize = 64;

struct Connection {
    peer: SocketAddr,
    since: u64,
    /// None once it has ended.
    guard: Option<Pid>,
    wire: Option<Pid>,
    logged_in: bool,
    /// Of the user who has logged in.
    relay: Option<Pid>,
    /// To make room for another; its processes may not have ended yet.
    given_up: bool,
}

impl Connection {
    const fn is_stranger(&self) -> bool {
        !self.logged_in && !self.given_up && self.wire.is_some()
    }
}

pub struct Connections(heapless::Vec<Connection, MAX>);

impl Connections {
    pub const fn new() -> Self {
        Self(heapless::Vec::new())
    }

    #[cfg(test)]
    pub fn of_relay(relay: Pid) -> Self {
        let peer = (core::net::Ipv4Addr::LOCALHOST, 1).into();
        let (guard, wire) = (Some(process::own_pid()), None);
        let connection =
            Connection { peer, since: 0, guard, wire, logged_in: true, relay: Some(relay), given_up: false };
        Self(heapless::Vec::from_iter([connection]))
    }

    pub fn has_room(&self) -> bool {
        !self.0.is_full()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forks the two processes of a connection. The socket is wire's alone.
    pub fn start(
        &mut self,
        config: &Config,
        socket: OwnedFd,
        peer: SocketAddr,
        reporter: &Reporter,
    ) -> rustix::io::Result<()> {
        if self.0.iter().filter(|c| c.is_stranger()).count() >= STRANGERS_MAX {
            self.end_a_stranger();
        }
        let (to_wire, to_guard) = fdpass::pair()?;
        let guard = match process::fork()? {
            Fork::Child => guard::run(config, peer, to_wire, reporter),
            Fork::Parent(pid) => pid,
        };
        drop(to_wire);
        let wire = match process::fork() {
            Ok(Fork::Child) => wire::run(config, socket, to_guard),
            Ok(Fork::Parent(pid)) => Some(pid),
            // guard sees the hang-up and ends.
            Err(_) => None,
        };
        let connection = Connection {
            peer,
            since: now().0,
            guard: Some(guard),
            wire,
            logged_in: false,
            relay: None,
            given_up: false,
        };
        // There is room: has_room() was asked before accept.
        let _ = self.0.push(connection);
        Ok(())
    }

    fn end_a_stranger(&mut self) {
        let strangers = || self.0.iter().enumerate().filter(|(_, c)| c.is_stranger());
        let crowd = |c: &Connection| strangers().filter(|(_, other)| network(other.peer) == network(c.peer)).count();
        if let Some((at, _)) = strangers().max_by_key(|(_, c)| (crowd(c), Reverse(c.since))) {
            self.0[at].given_up = true;
            self.0[at].wire.into_iter().for_each(|wire| process::kill(wire, SIGKILL));
        }
    }

    pub fn logged_in(&mut self, guard: Pid, relay: Option<Pid>) {
        if let Some(connection) = self.0.iter_mut().find(|c| c.guard == Some(guard)) {
            connection.logged_in = true;
            connection.relay = connection.relay.or(relay);
        }
    }

    /// The relay of the connection that this guard serves.
    pub fn relay_of(&self, guard: Pid) -> Option<Pid> {
        self.0.iter().find(|c| c.guard == Some(guard))?.relay
    }

    /// Whether one is open whose files come by this relay.
    pub fn use_relay(&self, relay: Pid) -> bool {
        self.0.iter().any(|c| c.relay == Some(relay))
    }

    /// Takes note of every child that has ended: connections' processes, orphans that are init's to reap, and what `ended`
    /// knows.
    pub fn reap(&mut self, ended: &mut dyn FnMut(Pid, Status)) {
        while let Some((pid, status)) = process::reap() {
            for connection in &mut self.0 {
                let (role, slot) = match pid {
                    _ if connection.guard == Some(pid) => ("guard", &mut connection.guard),
                    _ if connection.wire == Some(pid) => ("wire", &mut connection.wire),
                    _ => continue,
                };
                *slot = None;
                match status {
                    // What they had to say they have said.
                    Status::Exited(0 | 1) => {}
                    Status::Killed { signal, .. } if matches!(signal.into(), SIGKILL | SIGTERM) => {}
                    // A panic is status 101: a wire and a guard have no console to say more.
                    _ => say!("cpud: {}: {role} {status}", connection.peer),
                }
            }
            ended(pid, status);
            self.0.retain(|c| c.guard.is_some() || c.wire.is_some());
        }
    }

    /// Ends every connection; guards end their sessions when their wire is gone.
    pub fn end_all(&self) {
        self.0.iter().filter_map(|c| c.wire).for_each(|wire| process::kill(wire, SIGKILL));
    }
}

/// Who is taken for one stranger: an IPv4 address, or the 64 bits of an IPv6 address that one host gets to choose from.
fn network(peer: SocketAddr) -> u64 {
    match peer.ip() {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}
