//! wire: the connection's socket on one side, the descriptors of its sessions on the other, and the ssh protocol in
//! between. It has no key, no file system and hardly a system call.
//!
//! One loop: wait until a descriptor is ready, take in what the client sent, read what commands and the user's relay
//! wrote straight into outgoing packets, write those out. Nothing in it waits for anything else.

mod ending;
mod events;
mod request;
mod ring;
mod session;
mod tunnel;

use heapless::{String, Vec};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use ssh_lite::connection::{ChannelId, Stream};
use ssh_lite::server::{Buffers, Config as SshConfig, Server};
use ssh_lite::{Instant, Random, limits};

use crate::config::Config;
use crate::protocol::guard::{FromGuard, MESSAGE_MAX, SessionId, ToGuard};
use crate::protocol::session as session_protocol;
use crate::sys::errno::Sentence;
use crate::sys::fs::Io;
use crate::sys::{fdpass, fs, memory, now, process, sandbox, timespec};
use session::Session;
use tunnel::Tunnel;

const SESSIONS: usize = limits::SESSIONS;
const TUNNELS: usize = limits::FORWARDED;

/// The socket, guard and the way to the relay, five descriptors a session, and the tunnels'.
const SOURCES: usize = 3 + 5 * SESSIONS + TUNNELS;

/// Whether a session's files may come by NFS; when not, what is for that alone is not compiled in.
const NFS: bool = cfg!(feature = "nfs");

/// Go sends packets of up to 256 KiB, in an environment variable for one.
const RX: usize = 257 * 1024;

/// Two packets of data to clients that take 32 KiB in each, and answers.
const TX: usize = 80 * 1024;

/// How long the socket is still read after our last word, so that closing it does not take that word back (RFC 1122
/// section 4.2.2.13: a connection closed with unread data is reset).
const LINGER_MS: u64 = 1000;

/// Everything that can become ready: a socket, guard, or one of a session's descriptors.
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

/// Why the connection ends.
enum End {
    /// The client is gone, or has said goodbye.
    Gone,
    /// The protocol was broken: DISCONNECT is in the output.
    Protocol(ssh_lite::Error),
    /// guard is gone.
    Guard,
}

/// A forwarded port that exists on this connection only (RFC 4254 section 7.1).
struct Forward {
    address: String<46>,
    port: u16,
}

struct Wire<'a> {
    socket: OwnedFd,
    guard: OwnedFd,
    server: Server<'a>,
    random: Pool,
    sessions: [Option<Session>; SESSIONS],
    tunnels: [Option<Tunnel>; TUNNELS],
    /// The way to the user's relay, and how many sessions it was asked to serve.
    relay: Option<OwnedFd>,
    begun: u32,
    /// Memory for the input of sessions that are not open.
    inputs: [Option<&'static mut [u8]>; SESSIONS],
    forwards: Vec<Forward, SESSIONS>,
    /// The channel that guard is opening a session for.
    opening: Option<(SessionId, ChannelId)>,
    /// The tunnel that does not take the data at hand: no event before it does.
    stalled: Option<usize>,
    /// For messages to a session.
    scratch: &'static mut [u8],
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
        events::tell(&guard, &ToGuard::Fatal { reason: &reason });
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
    wire.say_goodbye(end);
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
        self.take_events()?;
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
            Source::Guard => self.hear_guard()?,
            Source::Relay => self.hear_relay(),
            Source::Control(i) => self.hear_session(i),
            Source::Stdin(i) => self.pump_input(i),
            Source::Output(i, stream) => self.pump_output(i, stream),
            Source::Listener(i) => self.hear_listener(i),
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

    /// What can become ready and is waited for, and the time at which something is due.
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
                // A closed channel takes output in order to drop it.
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
            // The time may have come since the last look: then it is now, and not never.
            close.map(|e| e.wait_until(now, server.unacknowledged(s.channel)).unwrap_or(now))
        });
        let mounts = self.tunnels.iter().flatten().filter_map(Tunnel::deadline);
        ssh.into_iter().chain(sessions).chain(mounts).min()
    }

    fn read_socket(&mut self) -> Result<(), End> {
        let space = self.server.input_space();
        if space.is_empty() {
            return Ok(());
        }
        match fs::read(&self.socket, space) {
            Io::Moved(n) => self.server.input_commit(n),
            Io::Wait => {}
            Io::Ended => return Err(End::Gone),
        }
        Ok(())
    }

    fn write_socket(&mut self) -> Result<(), End> {
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
    fn pump_output(&mut self, i: usize, stream: Stream) {
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

    fn pump_input(&mut self, i: usize) {
        if let Some(session) = &mut self.sessions[i] {
            let freed = session.pump_input();
            self.server.grant(session.channel, freed as u32);
        }
    }

    /// Reads what the client's file server is asked into packets.
    fn pump_tunnel(&mut self, t: usize) {
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

    /// The last message goes out, and what the client still sends is read until it has seen it.
    fn say_goodbye(&mut self, end: End) {
        match end {
            End::Protocol(error) => {
                let mut reason = String::<160>::new();
                let _ = core::fmt::write(&mut reason, format_args!("{error}"));
                self.tell_guard(&ToGuard::Fatal { reason: &reason });
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

    fn tell_guard(&self, message: &ToGuard<'_>) {
        let mut out = [0; MESSAGE_MAX];
        if let Ok(n) = message.encode(&mut out) {
            // A guard that is gone is noticed by its hang-up.
            let _ = fdpass::send(&self.guard, &out[..n], &[]);
        }
    }
}

/// Random bytes, fetched from the kernel 256 at a time and wiped as they are used: each packet takes a few.
struct Pool {
    bytes: [u8; 256],
    used: usize,
}

impl Pool {
    const fn new() -> Self {
        Self { bytes: [0; 256], used: 256 }
    }
}

impl Random for Pool {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == self.bytes.len() {
                crate::sys::random(&mut self.bytes);
                self.used = 0;
            }
            *byte = core::mem::take(&mut self.bytes[self.used]);
            self.used += 1;
        }
    }
}
