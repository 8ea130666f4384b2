//! What the client, guard, the sessions and the relay say to wire, and what wire does about it.

use heapless::String;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use ssh_lite::Event;
use ssh_lite::auth::USER_MAX;
use ssh_lite::connection::{ChannelId, OpenFailure, Stream};
use ssh_lite::keys::fingerprint;
use ssh_lite::names::GO;

use super::ending::Ending;
use super::request::request_of;
use super::session::{self, Session};
use super::state::{End, Forward, NFS, SESSIONS, TUNNELS, Wire};
use super::tunnel::{self, Kind, Nonce, Tunnel};
use crate::plan::quoted::Quoted;
use crate::plan::signal;
use crate::protocol::guard::{FromGuard, MESSAGE_MAX, SessionId, ToGuard};
use crate::protocol::relay::{self as relay_protocol, Begin, Fault};
use crate::protocol::session::{FROM_SESSION_MAX, FromSession};
use crate::sys::fs::Io;
use crate::sys::process::Status;
use crate::sys::{fdpass, now};

/// The first port that is handed out. A port names a channel; nothing listens on it where others could connect.
const FIRST_PORT: u16 = 17011;

/// The originator that a forwarded channel names (RFC 4254 section 7.2): Go requires an address and a port.
const ORIGINATOR: (&str, u16) = ("127.0.0.1", 17010);

impl Wire<'_> {
    /// Handles everything that the client has sent.
    pub(super) fn handle_events(&mut self) -> Result<(), End> {
        while self.stalled.is_none() {
            let Some(event) = self.server.poll(now(), &mut self.random).map_err(End::Protocol)? else {
                // Packets may wait for room in the output. Once all output is written, nothing would wake wire for
                // them.
                let waited = !self.server.output().is_empty();
                self.write_socket()?;
                if waited && self.server.output().is_empty() {
                    continue;
                }
                break;
            };
            match event {
                Event::Progress => {}
                Event::Sign { hash } => ToGuard::Sign { hash }.send(&self.guard),
                Event::AuthQuery { user, algorithm, key } => {
                    ToGuard::Query { user, algorithm, key }.send(&self.guard);
                }
                Event::AuthVerify(request) => ToGuard::from(request).send(&self.guard),
                Event::AuthRefused { user, method } => {
                    refused(&self.guard, user, format_args!("{}: not offered", Quoted(method.as_bytes())));
                }
                Event::AuthUnusable { user, algorithm, key, why } => {
                    let (algorithm, key) = (Quoted(algorithm.as_bytes()), fingerprint(key));
                    refused(&self.guard, user, format_args!("{algorithm} {key}: {why}"));
                }
                Event::Open { channel } => self.open_session(channel),
                Event::Opened { channel } => self.start_tunnel(channel),
                Event::OpenFailed { channel, .. } | Event::Closed { channel } => self.closed(channel),
                Event::Request { channel, request } => {
                    let answer = match find(&mut self.sessions, channel) {
                        Some((i, session)) => request_of(session, i, &request, &self.guard, self.scratch),
                        None => Some(false),
                    };
                    answer.into_iter().for_each(|ok| self.server.request_answer(channel, ok));
                }
                Event::Forward { address, port } => {
                    let granted = grant_port(&mut self.forwards, address, port);
                    self.server.forward_answer(granted);
                }
                Event::CancelForward { address, port } => {
                    let found = self.forwards.iter().position(|f| u32::from(f.port) == port && f.address == address);
                    let cancelled = found.map(|i| self.forwards.swap_remove(i).port);
                    self.server.forward_answer(cancelled);
                }
                Event::Data { channel, data } => {
                    let passed = pass(&mut self.sessions, &mut self.tunnels, channel, data);
                    self.account(channel, passed);
                }
                Event::Eof { channel } => self.end_input(channel),
                Event::Disconnected { .. } => return Err(End::Gone),
            }
        }
        Ok(())
    }

    /// Tells the server what became of the data, and closes a tunnel that takes no more.
    fn account(&mut self, channel: ChannelId, passed: Passed) {
        match passed {
            Passed::On { used, freed } => {
                self.server.data_used(channel, used);
                self.server.grant(channel, freed as u32);
            }
            Passed::Stalled { tunnel } => self.stalled = Some(tunnel),
            Passed::Closed { used, tunnel } => {
                self.server.data_used(channel, used);
                tunnel.into_iter().for_each(|t| self.close_tunnel(t));
            }
        }
    }

    fn end_input(&mut self, channel: ChannelId) {
        if let Some((i, session)) = find(&mut self.sessions, channel) {
            session.input_ended = true;
            self.pump_input(i);
        } else if let Some((t, _)) = find_tunnel(&mut self.tunnels, channel) {
            self.close_tunnel(t);
        }
    }

    fn open_session(&mut self, channel: ChannelId) {
        match (0..SESSIONS).find(|&i| self.sessions[i].is_none() && self.inputs[i].is_some()) {
            Some(i) => {
                self.opening = Some((i as SessionId, channel));
                ToGuard::Open { session: i as SessionId }.send(&self.guard);
            }
            None => self.server.open_answer(channel, Err(OpenFailure::ResourceShortage)),
        }
    }

    /// The client has closed a channel, or refused to open one.
    fn closed(&mut self, channel: ChannelId) {
        if let Some((i, session)) = find(&mut self.sessions, channel) {
            session.closed = true;
            if session.status.is_none() {
                ToGuard::Close { session: i as SessionId }.send(&self.guard);
            }
        } else if let Some((t, tunnel)) = find_tunnel(&mut self.tunnels, channel) {
            // The channel is gone already; only this end is left to close.
            tunnel.open = false;
            self.close_tunnel(t);
        }
    }

    pub(super) fn read_guard(&mut self) -> Result<(), End> {
        let mut buffer = [0; MESSAGE_MAX];
        let (n, fds) = match fdpass::receive(&self.guard, &mut buffer, false) {
            Ok((n @ 1.., fds)) => (n, fds),
            Err(Errno::AGAIN) => return Ok(()),
            Ok((0, _)) | Err(_) => return Err(End::Guard),
        };
        match FromGuard::decode(&buffer[..n]).map_err(|_| End::Guard)? {
            FromGuard::Hello { .. } => return Err(End::Guard),
            FromGuard::Signature { signature } => self.server.sign_answer(&signature),
            FromGuard::Verdict { accepted } => {
                if let Some(relay) = fds.into_iter().next() {
                    self.relay = Some(relay);
                }
                self.server.auth_answer(accepted);
            }
            FromGuard::Opened { opened } => {
                let Some((id, channel)) = self.opening.take() else { return Err(End::Guard) };
                let i = id as usize;
                let control = fds.into_iter().next().filter(|_| opened);
                // The memory stays in place when there is no session to use it.
                match control.and_then(|control| Some((control, self.inputs[i].take()?))) {
                    Some((control, memory)) => {
                        self.sessions[i] = Some(Session::new(channel, control, memory));
                        self.server.open_answer(channel, Ok(session::WINDOW as u32));
                    }
                    None => self.server.open_answer(channel, Err(OpenFailure::ResourceShortage)),
                }
            }
            FromGuard::Ended { session, status } => {
                if let Some(Some(session)) = self.sessions.get_mut(session as usize) {
                    session.status = Some(status);
                }
            }
        }
        Ok(())
    }

    pub(super) fn read_session(&mut self, i: usize) {
        let Some(session) = &mut self.sessions[i] else { return };
        let Some(control) = &session.control else { return };
        let mut buffer = [0; FROM_SESSION_MAX];
        let (n, fds) = match fdpass::receive(control, &mut buffer, false) {
            Ok((n @ 1.., fds)) => (n, fds),
            Err(Errno::AGAIN) => return,
            // The command runs, or the session has ended.
            Ok((0, _)) | Err(_) => {
                session.control = None;
                if core::mem::take(&mut session.asked) {
                    self.server.request_answer(session.channel, false);
                }
                return self.pump_input(i);
            }
        };
        match FromSession::decode(&buffer[..n]) {
            Ok(FromSession::Answer { ok }) => {
                if !fds.is_empty() {
                    session.set_streams(fds);
                }
                if core::mem::take(&mut session.asked) {
                    self.server.request_answer(session.channel, ok);
                }
                self.pump_input(i);
            }
            Ok(FromSession::Ninep { port, nonce, freshness_ms, home, names }) => {
                if let Ok(nonce) = Nonce::try_from(nonce) {
                    self.begun = self.begun.wrapping_add(1);
                    let begin = Begin { session: self.begun, freshness_ms, home, names };
                    self.open_files(i, port, nonce, &begin, fds);
                }
            }
            Ok(FromSession::Mounted) => {
                let of_this = |t: &&mut Tunnel| t.session == i && t.kind != Kind::Nfs;
                if let Some(tunnel) = self.tunnels.iter_mut().flatten().find(of_this) {
                    tunnel.kind = Kind::Ninep { deadline: None };
                }
            }
            Ok(FromSession::Nfs { port }) if NFS => {
                let forwarded = self.forwards.iter().any(|f| u32::from(f.port) == port);
                let _ = fdpass::send(control, &[u8::from(forwarded)], &[]);
                session.listener = fds.into_iter().next().filter(|_| forwarded).map(|fd| (port, fd));
            }
            Ok(FromSession::Nfs { .. }) | Err(_) => session.control = None,
        }
    }

    /// Opens the channel to the client's file server. If that fails the descriptors close, and so the mount fails.
    fn open_files(&mut self, i: usize, port: u32, nonce: Nonce, begin: &Begin<'_>, fds: fdpass::Fds) {
        let Ok([kernel, theirs, ours, counters]) = fds.into_array() else { return };
        let Some(relay) = &self.relay else {
            if let Some(session) = &mut self.sessions[i] {
                session.unserved = Some(kernel);
            }
            return self.fail_files(i, "the relay of this key has ended");
        };
        if self.tunnels.iter().flatten().any(|t| t.session == i) {
            return;
        }
        let mut message = [0; relay_protocol::MESSAGE_MAX];
        if let Ok(n) = begin.encode(&mut message)
            && fdpass::send(relay, &message[..n], &[kernel.as_fd(), theirs.as_fd(), counters.as_fd()]).is_ok()
        {
            self.open_tunnel(i, port, ours, Kind::Ninep { deadline: Some(now().0 + tunnel::MOUNT_MS) }, nonce);
        }
    }

    /// Asks the client for a channel to its `port`, for the bytes of `fd`.
    fn open_tunnel(&mut self, session: usize, port: u32, fd: OwnedFd, kind: Kind, nonce: Nonce) {
        let Some(forward) = self.forwards.iter().find(|f| u32::from(f.port) == port) else { return };
        let Some(place) = self.tunnels.iter_mut().find(|t| t.is_none()) else { return };
        let (address, port) = (&forward.address, forward.port);
        if let Ok(channel) = self.server.open_forwarded(address, port, ORIGINATOR.0, ORIGINATOR.1, tunnel::WINDOW) {
            *place = Some(Tunnel { session, begun: self.begun, channel, fd, kind, nonce, open: false });
        }
    }

    /// The client has opened the channel: the nonce goes first.
    fn start_tunnel(&mut self, channel: ChannelId) {
        // The session may have ended while the client was being asked.
        let Some((t, tunnel)) = find_tunnel(&mut self.tunnels, channel) else { return self.server.close(channel) };
        tunnel.open = true;
        self.pump_tunnel(t);
    }

    /// Closes a session's files: whatever it asks of them from now on fails at once.
    fn close_files(&mut self, i: usize) {
        for t in 0..TUNNELS {
            if self.tunnels[t].as_ref().is_some_and(|t| t.session == i) {
                self.close_tunnel(t);
            }
        }
    }

    /// Opens a channel for a connection of the kernel's NFS client.
    pub(super) fn read_listener(&mut self, i: usize) {
        let Some(session) = self.sessions[i].as_mut().filter(|_| NFS) else { return };
        let Some((port, listener)) = &session.listener else { return };
        match fdpass::receive(listener, &mut [0; 1], false) {
            Ok((1.., fds)) => {
                let port = *port;
                if let Some(fd) = fds.into_iter().next() {
                    self.open_tunnel(i, port, fd, Kind::Nfs, Nonce::new());
                }
            }
            Err(Errno::AGAIN) => {}
            Ok((0, _)) | Err(_) => session.listener = None,
        }
    }

    /// The relay reports what is wrong with a session's files, or is gone.
    pub(super) fn read_relay(&mut self) {
        let Some(relay) = &self.relay else { return };
        let mut message = [0; relay_protocol::MESSAGE_MAX];
        match fdpass::receive(relay, &mut message, false) {
            Ok((n @ 1.., _)) => {
                // A tunnel that is closed by now needs no report.
                if let Ok(Fault { session, text }) = Fault::decode(&message[..n])
                    && let Some(files) =
                        self.tunnels.iter().flatten().find(|t| t.begun == session && t.kind != Kind::Nfs)
                {
                    self.fail_files(files.session, text);
                }
            }
            Err(Errno::AGAIN) => {}
            Ok((0, _)) | Err(_) => self.relay = None,
        }
    }

    /// Ends a session whose files failed: by a 9P message that must not be passed on, or for want of a relay.
    fn fail_files(&mut self, i: usize, fault: &str) {
        let mut reason = String::<200>::new();
        let _ = core::fmt::write(&mut reason, format_args!("cpud: the session's files: {fault}\n"));
        self.close_files(i);
        let Some(session) = &self.sessions[i] else { return };
        let space = self.server.data_space(session.channel, Stream::Stderr);
        let n = reason.len().min(space.len());
        space[..n].copy_from_slice(&reason.as_bytes()[..n]);
        self.server.data_commit(session.channel, Stream::Stderr, n);
        ToGuard::Fatal { reason: reason.trim_end() }.send(&self.guard);
        ToGuard::Close { session: i as SessionId }.send(&self.guard);
    }

    /// Ends the sessions whose command has ended, or whose client has left.
    pub(super) fn end_sessions(&mut self) {
        self.check_mounts();
        for i in 0..SESSIONS {
            let Some(session) = &mut self.sessions[i] else { continue };
            if session.closed {
                session.hang_up();
                self.close_files(i);
                let ended = self.sessions[i].take_if(|s| s.status.is_some());
                if let Some(session) = ended {
                    self.inputs[i] = Some(session.into_memory());
                }
                continue;
            }
            let (channel, server) = (session.channel, &mut self.server);
            if session.is_finished() && session.ending.is_none() {
                // The status goes before EOF: OpenSSH's and PuTTY's clients close the channel at EOF and read no more.
                send_status(server, channel, session.status);
                server.eof(channel);
                session.ending = Some(Ending::new(now().0, server.unacknowledged(channel)));
            }
            if let Some(ending) = session.ending.as_mut().filter(|_| !session.closing)
                && (!server.client_ident().starts_with(GO)
                    || ending.wait_until(now().0, server.unacknowledged(channel)).is_none())
            {
                session.closing = true;
                server.close(channel);
            }
        }
    }

    /// Gives up mounts that are overdue, so that a silent file server does not hold a session in mount(2) for good.
    fn check_mounts(&mut self) {
        for t in 0..TUNNELS {
            if self.tunnels[t].as_ref().and_then(Tunnel::deadline).is_some_and(|due| due <= now().0) {
                self.close_tunnel(t);
            }
        }
    }
}

fn refused(guard: impl AsFd, user: &str, what: core::fmt::Arguments<'_>) {
    let mut text = String::<320>::new();
    let _ = core::fmt::write(&mut text, what);
    ToGuard::Refused { user: &user[..user.floor_char_boundary(USER_MAX)], what: &text }.send(guard);
}

fn find(sessions: &mut [Option<Session>], channel: ChannelId) -> Option<(usize, &mut Session)> {
    let sessions = sessions.iter_mut().enumerate().filter_map(|(i, s)| Some((i, s.as_mut()?)));
    // A session whose client has closed its channel waits for its command's end. By then the channel's number may be
    // another's.
    sessions.into_iter().find(|(_, s)| s.channel == channel && !s.closed)
}

fn find_tunnel(tunnels: &mut [Option<Tunnel>], channel: ChannelId) -> Option<(usize, &mut Tunnel)> {
    let tunnels = tunnels.iter_mut().enumerate().filter_map(|(t, tunnel)| Some((t, tunnel.as_mut()?)));
    tunnels.into_iter().find(|(_, tunnel)| tunnel.channel == channel)
}

/// What became of data from the client.
enum Passed {
    /// `used` bytes were taken, and `freed` bytes of the channel's window are free again.
    On { used: usize, freed: usize },
    /// This tunnel takes nothing now.
    Stalled { tunnel: usize },
    /// Nobody takes it, or nobody any more: it is dropped.
    Closed { used: usize, tunnel: Option<usize> },
}

/// Passes data to the command or the tunnel behind its channel.
fn pass(sessions: &mut [Option<Session>], tunnels: &mut [Option<Tunnel>], channel: ChannelId, data: &[u8]) -> Passed {
    let used = data.len();
    if let Some((_, session)) = find(sessions, channel) {
        return Passed::On { used, freed: session.input(data) };
    }
    let Some((tunnel, way)) = find_tunnel(tunnels, channel) else { return Passed::Closed { used, tunnel: None } };
    match way.pass(data) {
        Io::Moved(n) => Passed::On { used: n, freed: n },
        Io::Wait => Passed::Stalled { tunnel },
        Io::Ended => Passed::Closed { used, tunnel: Some(tunnel) },
    }
}

/// Hands out a port for `tcpip-forward` (RFC 4254 section 7.1). It has no listener, so cpud always chooses it.
fn grant_port(forwards: &mut heapless::Vec<Forward, SESSIONS>, address: &str, port: u32) -> Option<u16> {
    if port != 0 {
        return None;
    }
    let port = (FIRST_PORT..).find(|&p| forwards.iter().all(|f| f.port != p))?;
    forwards.push(Forward { address: String::try_from(address).ok()?, port }).ok()?;
    Some(port)
}

/// Sends exit-status or exit-signal (RFC 4254 section 6.10), as the command ended.
fn send_status(server: &mut ssh_lite::server::Server<'_>, channel: ChannelId, status: Option<Status>) {
    match status {
        Some(Status::Exited(code)) => server.exit_status(channel, code.into()),
        Some(Status::Killed { signal, core_dumped }) => {
            // A signal that section 6.10 does not name becomes the status that a shell gives it.
            match signal::name(signal.into()) {
                Some(name) => server.exit_signal(channel, name, core_dumped, ""),
                None => server.exit_status(channel, 128 + u32::from(signal)),
            }
        }
        None => {}
    }
}
