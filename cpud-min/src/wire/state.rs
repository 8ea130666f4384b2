//! The state of one connection, and the functions that move bytes between descriptors and the ssh protocol.

use heapless::{String, Vec};
use rustix::fd::OwnedFd;
use ssh_lite::connection::{ChannelId, Stream};
use ssh_lite::limits;
use ssh_lite::server::Server;

use super::random::Pool;
use super::session::Session;
use super::tunnel::Tunnel;
use crate::protocol::guard::SessionId;
use crate::sys::fs::{self, Io};

pub const SESSIONS: usize = limits::SESSIONS;
pub const TUNNELS: usize = limits::FORWARDED;

/// Whether sessions' files may come by NFS; if not, the code for it is not compiled in.
pub const NFS: bool = cfg!(feature = "nfs");

/// Why the connection ends.
pub enum End {
    /// The client is gone, or has said goodbye.
    Gone,
    /// The protocol was broken: DISCONNECT is in the output.
    Protocol(ssh_lite::Error),
    /// guard is gone.
    Guard,
}

/// A forwarded port that exists on this connection only (RFC 4254 section 7.1).
pub struct Forward {
    pub address: String<46>,
    pub port: u16,
}

pub struct Wire<'a> {
    pub socket: OwnedFd,
    pub guard: OwnedFd,
    pub server: Server<'a>,
    pub random: Pool,
    pub sessions: [Option<Session>; SESSIONS],
    pub tunnels: [Option<Tunnel>; TUNNELS],
    /// The socket to the user's relay, and how many sessions it was asked to serve.
    pub relay: Option<OwnedFd>,
    pub begun: u32,
    /// Memory for the input of sessions that are not open.
    pub inputs: [Option<&'static mut [u8]>; SESSIONS],
    pub forwards: Vec<Forward, SESSIONS>,
    /// The channel that guard is opening a session for.
    pub opening: Option<(SessionId, ChannelId)>,
    /// A tunnel that does not take the data at hand: no further event is handled until it does.
    pub stalled: Option<usize>,
    /// For messages to a session.
    pub scratch: &'static mut [u8],
}

impl Wire<'_> {
    pub fn read_socket(&mut self) -> Result<(), End> {
        let space = self.server.input_space();
        if space.is_empty() {
            return Ok(());
        }
        match fs::read(&self.socket, space) {
            Io::Moved(n) => {
                #[cfg(feature = "test-hole")]
                crate::sys::hole::look(&space[..n], &self.socket);
                self.server.input_commit(n);
            }
            Io::Wait => {}
            Io::Ended => return Err(End::Gone),
        }
        Ok(())
    }

    pub fn write_socket(&mut self) -> Result<(), End> {
        while !self.server.output().is_empty() {
            match fs::write(&self.socket, self.server.output()) {
                Io::Moved(n) => self.server.consume(n),
                Io::Wait => break,
                Io::Ended => return Err(End::Gone),
            }
        }
        Ok(())
    }

    /// Reads output of the command into packets, as many as can be sent now.
    pub fn pump_output(&mut self, i: usize, stream: Stream) {
        let Some(session) = &mut self.sessions[i] else { return };
        let source = if stream == Stream::Stdout { &mut session.stdout } else { &mut session.stderr };
        while let Some(fd) = &*source {
            let mut dropped = [0; 4096];
            let space = if session.closed { &mut dropped } else { self.server.data_space(session.channel, stream) };
            let room = space.len();
            if room == 0 {
                break;
            }
            match fs::read(fd, space) {
                Io::Moved(n) => {
                    if !session.closed {
                        self.server.data_commit(session.channel, stream, n);
                    }
                    // Less than a packet: the pipe is empty.
                    if n < room {
                        break;
                    }
                }
                Io::Wait => break,
                Io::Ended => *source = None,
            }
        }
    }

    pub fn pump_input(&mut self, i: usize) {
        if let Some(session) = &mut self.sessions[i] {
            let freed = session.pump_input();
            self.server.grant(session.channel, freed as u32);
        }
    }

    /// Reads requests to the client's file server into packets.
    pub fn pump_tunnel(&mut self, t: usize) {
        let Some(tunnel) = &mut self.tunnels[t] else { return };
        loop {
            let space = self.server.data_space(tunnel.channel, Stream::Stdout);
            let room = space.len();
            if room == 0 {
                return;
            }
            match tunnel.read(space) {
                Io::Moved(n) => {
                    self.server.data_commit(tunnel.channel, Stream::Stdout, n);
                    if n < room {
                        return;
                    }
                }
                Io::Wait => return,
                Io::Ended => return self.close_tunnel(t),
            }
        }
    }

    pub fn close_tunnel(&mut self, t: usize) {
        let Some(tunnel) = self.tunnels[t].take() else { return };
        if self.stalled == Some(t) {
            self.stalled = None;
        }
        if tunnel.open {
            self.server.close(tunnel.channel);
        }
    }
}
