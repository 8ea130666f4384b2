//! wire: the connection's socket on one side, the descriptors of its sessions on the other, and the ssh protocol in
//! between. It has no key, no file system and hardly a system call.
//!
//! One loop: wait until a descriptor is ready, read what the client sent, read what commands and the user's relay wrote
//! straight into outgoing packets, write those out. Nothing but the poll waits.

mod ending;
mod events;
mod random;
mod request;
mod ring;
mod session;
mod state;
mod tunnel;

use heapless::{String, Vec};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use ssh_lite::Instant;
use ssh_lite::connection::Stream;
use ssh_lite::server::{Buffers, Config as SshConfig, Server};

use crate::config::Config;
use crate::protocol::guard::{FromGuard, MESSAGE_MAX, ToGuard};
use crate::protocol::session as session_protocol;
use crate::sys::errno::Sentence;
use crate::sys::fs::Io;
use crate::sys::{fdpass, fs, memory, now, process, sandbox, timespec};
use random::Pool;
use state::{End, NFS, SESSIONS, TUNNELS, Wire};
use tunnel::Tunnel;

/// The socket, guard and the relay; five descriptors for each session; one for each tunnel.
const SOURCES: usize = 3 + 5 * SESSIONS + TUNNELS;

/// Go sends packets of up to 256 KiB, for one with an environment variable.
const RX: usize = 257 * 1024;

/// Room for two packets of data to clients that take 32 KiB in each, and for answers.
const TX: usize = 80 * 1024;

/// How long the socket is still read after the last message, so that closing it does not destroy that message (RFC 1122
/// section 4.2.2.13: a connection closed with unread data is reset).
const LINGER_MS: u64 = 1000;

/// Everything that is polled: the socket, guard, the relay, and each session's and tunnel's descriptors.
#[derive(Clone, Copy)]
enum Source {
    Socket,
    Guard,
    Relay,
    Control(usize),
    Stdin(usize),
    Output(usize, Stream),
    Listener(usize),
    Tunnel(usize),
}

/// Serves one connection, and ends the process with it.
pub fn run(config: &Config, socket: OwnedFd, guard: OwnedFd) -> ! {
    process::set_name(c"cpud wire");
    process::close_all_but(0, &[socket.as_fd(), guard.as_fd()]);
    process::exit(i32::from(serve(config, socket, guard).is_err()))
}

fn serve(config: &Config, socket: OwnedFd, guard: OwnedFd) -> rustix::io::Result<()> {
    fs::fill_stdio()?;
    let mut hello = [0; MESSAGE_MAX];
    let (n, _) = fdpass::receive(&guard, &mut hello, true)?;
    let Ok(FromGuard::Hello { host_key }) = FromGuard::decode(&hello[..n]) else { return Ok(()) };

    let buffers = Buffers { rx: memory::pages(RX)?, tx: memory::pages(TX)? };
    let mut inputs = memory::pages(SESSIONS * session::WINDOW)?.chunks_exact_mut(session::WINDOW);
    let scratch = memory::pages(session_protocol::MESSAGE_MAX)?;
    let random = Pool::new();
    let start = now();
    if let Err(error) = sandbox::enter_wire(config.root) {
        let mut reason = String::<160>::new();
        let _ = core::fmt::write(&mut reason, format_args!("cannot give up privileges: {}", Sentence(error)));
        ToGuard::Fatal { reason: &reason }.send(&guard);
        return Err(error);
    }

    let ssh = SshConfig::new(concat!("cpud_", env!("CARGO_PKG_VERSION")), host_key, config.ciphers);
    let mut wire = Wire {
        server: Server::new(ssh, buffers, start),
        socket,
        guard,
        random,
        sessions: [const { None }; SESSIONS],
        tunnels: [const { None }; TUNNELS],
        relay: None,
        begun: 0,
        inputs: core::array::from_fn(|_| inputs.next()),
        forwards: Vec::new(),
        opening: None,
        stalled: None,
        scratch,
    };
    let end = wire.serve();
    wire.finish(end);
    Ok(())
}

impl Wire<'_> {
    fn serve(&mut self) -> End {
        loop {
            match self.round() {
                Ok(()) => {}
                Err(end) => return end,
            }
        }
    }

    fn round(&mut self) -> Result<(), End> {
        self.handle_events()?;
        self.end_sessions();
        self.write_socket()?;
        for (source, flags) in self.wait() {
            self.serve_source(source, flags)?;
        }
        Ok(())
    }

    fn serve_source(&mut self, source: Source, flags: PollFlags) -> Result<(), End> {
        match source {
            Source::Socket => {
                if flags.contains(PollFlags::OUT) {
                    self.write_socket()?;
                }
                if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                    self.read_socket()?;
                }
            }
            Source::Guard => self.read_guard()?,
            Source::Relay => self.read_relay(),
            Source::Control(i) => self.read_session(i),
            Source::Stdin(i) => self.pump_input(i),
            Source::Output(i, stream) => self.pump_output(i, stream),
            Source::Listener(i) => self.read_listener(i),
            Source::Tunnel(t) => {
                if flags.contains(PollFlags::OUT) && self.stalled == Some(t) {
                    self.stalled = None;
                }
                if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                    self.pump_tunnel(t);
                }
            }
        }
        Ok(())
    }

    /// Waits until something is ready or due; returns what is ready.
    fn wait(&mut self) -> Vec<(Source, PollFlags), SOURCES> {
        let due = self.deadline();
        let mut sources = Vec::<_, SOURCES>::new();
        let mut fds = Vec::<_, SOURCES>::new();
        let server = &mut self.server;
        let mut socket_flags = PollFlags::empty();
        socket_flags.set(PollFlags::IN, self.stalled.is_none() && !server.input_space().is_empty());
        socket_flags.set(PollFlags::OUT, !server.output().is_empty());
        let mut watch = |source, fd, flags| {
            // As many as the vectors have room for.
            let _ = sources.push(source);
            let _ = fds.push(PollFd::from_borrowed_fd(fd, flags));
        };
        watch(Source::Socket, self.socket.as_fd(), socket_flags);
        watch(Source::Guard, self.guard.as_fd(), PollFlags::IN);
        if let Some(relay) = &self.relay {
            watch(Source::Relay, relay.as_fd(), PollFlags::IN);
        }
        for (i, session) in self.sessions.iter().enumerate() {
            let Some(session) = session else { continue };
            if let Some(control) = &session.control {
                watch(Source::Control(i), control.as_fd(), PollFlags::IN);
            }
            if let Some(stdin) = session.stdin.as_ref().filter(|_| !session.input.is_empty()) {
                watch(Source::Stdin(i), stdin.as_fd(), PollFlags::OUT);
            }
            for (stream, fd) in [(Stream::Stdout, &session.stdout), (Stream::Stderr, &session.stderr)] {
                // Output for a closed channel is read and dropped.
                if let Some(fd) = fd
                    && (session.closed || !server.data_space(session.channel, stream).is_empty())
                {
                    watch(Source::Output(i, stream), fd.as_fd(), PollFlags::IN);
                }
            }
            if NFS && let Some((_, listener)) = &session.listener {
                watch(Source::Listener(i), listener.as_fd(), PollFlags::IN);
            }
        }
        for (t, tunnel) in self.tunnels.iter().enumerate() {
            let Some(tunnel) = tunnel.as_ref().filter(|t| t.open) else { continue };
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, !server.data_space(tunnel.channel, Stream::Stdout).is_empty());
            flags.set(PollFlags::OUT, self.stalled == Some(t));
            if !flags.is_empty() {
                watch(Source::Tunnel(t), tunnel.fd.as_fd(), flags);
            }
        }
        let timeout = due.map(|due| timespec(due.saturating_sub(now().0)));
        // An error is EINTR at most, after which nothing is ready.
        let ready = poll(&mut fds, timeout.as_ref()).unwrap_or(0);
        let pairs = sources.into_iter().zip(fds.iter().map(PollFd::revents));
        pairs.filter(|(_, flags)| ready > 0 && !flags.is_empty()).collect()
    }

    fn deadline(&mut self) -> Option<u64> {
        let now = now().0;
        let server = &mut self.server;
        let ssh = server.deadline().map(|Instant(ms)| ms);
        let sessions = self.sessions.iter_mut().flatten().filter_map(|s| {
            let close = s.ending.as_mut().filter(|_| !s.closing);
            // A time that has passed since the last look is due now, not never.
            close.map(|e| e.wait_until(now, server.unacknowledged(s.channel)).unwrap_or(now))
        });
        let mounts = self.tunnels.iter().flatten().filter_map(Tunnel::deadline);
        ssh.into_iter().chain(sessions).chain(mounts).min()
    }

    /// Writes the last message, and reads on until the client has seen it.
    fn finish(&mut self, end: End) {
        match end {
            End::Protocol(error) => {
                let mut reason = String::<160>::new();
                let _ = core::fmt::write(&mut reason, format_args!("{error}"));
                ToGuard::Fatal { reason: &reason }.send(&self.guard);
            }
            End::Guard => {
                self.server.disconnect(ssh_lite::error::Reason::ByApplication, "the appliance ends this connection")
            }
            End::Gone => return,
        }
        // The sessions' file systems fail at once instead of waiting for the client.
        self.sessions = [const { None }; SESSIONS];
        self.tunnels = [const { None }; TUNNELS];
        let _ = self.write_socket();
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write);
        let deadline = now().0 + LINGER_MS;
        while now().0 < deadline {
            let wait = timespec(100);
            let _ = poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&wait));
            if fs::read(&self.socket, self.scratch) == Io::Ended {
                return;
            }
        }
    }
}
