//! relay: sits between the kernel's 9P client and the client's file server, for all sessions of one authorized key, so
//! that the second command finds what the first one fetched. It has no key, no file system and hardly a system call.
//!
//! One loop: wait until a descriptor is ready, move bytes between the kernel, [`ninep::relay`] and wire.

mod memory;
mod session;

use heapless::{Deque, Vec};
use ninep::relay::Cache;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

use crate::config::Config;
use crate::limits::USERS_MAX;
use crate::protocol::relay::{Begin, Fault, MESSAGE_MAX};
use crate::sys::{fdpass, fs, now, process, sandbox, timespec};
use memory::{Room, SESSIONS};
use session::{Over, Session};

/// Connections at a time: as many as init has.
const CONNECTIONS: usize = USERS_MAX;

/// Refused sessions that have not ended yet.
const REFUSED: usize = 16;

/// How often the cache's pages are offered to the kernel, which may then take them when memory is short.
const KEPT_MS: u64 = 1000;

/// Serves one user until init closes `control`, by which it sends connections.
pub fn run(config: &Config, control: OwnedFd, arena: usize) -> ! {
    process::set_name(c"cpud relay");
    process::close_all_but(0, &[control.as_fd()]);
    process::exit(i32::from(serve(config, control, arena).is_err()))
}

struct Relay {
    control: OwnedFd,
    cache: Cache<'static>,
    connections: [Option<Connection>; CONNECTIONS],
    /// How many connections there have been.
    met: u32,
    /// The kernel's sockets of refused sessions, and the numbers of their connections: a socket stays open until its
    /// wire has been told why.
    refused: Deque<(u32, OwnedFd), REFUSED>,
    /// Grows to the most that were open at a time, so that the memory of the others is not touched.
    sessions: Vec<Option<Session>, SESSIONS>,
    /// When the cache's pages were last offered to the kernel, and whether anything has happened since.
    offered: u64,
    busy: bool,
    /// The memory of each place without an open session. The lowest place is taken first and has the most.
    rooms: Vec<Option<Room>, SESSIONS>,
}

/// A socket to a wire. Its place in the table may be reused, its number is not.
struct Connection {
    number: u32,
    wire: OwnedFd,
}

#[derive(Clone, Copy)]
enum Source {
    Control,
    Connection(usize),
    Kernel(usize),
    Upstream(usize),
}

/// Everything that is polled, with what is ready.
const SOURCES: usize = 1 + CONNECTIONS + 2 * SESSIONS;
type Ready = Vec<(Source, PollFlags), SOURCES>;

fn serve(config: &Config, control: OwnedFd, arena: usize) -> rustix::io::Result<()> {
    fs::fill_stdio()?;
    let cache = memory::cache(arena)?;
    let mut rooms = Vec::new();
    for place in 0..SESSIONS {
        let _ = rooms.push(Some(memory::session(arena, place)?));
    }
    sandbox::enter_wire(config.root)?;
    let mut relay = Relay::new(control, cache, rooms);
    let mut ready = Ready::new();
    while relay.round(&mut ready) {}
    Ok(())
}

impl Relay {
    fn new(control: OwnedFd, cache: Cache<'static>, rooms: Vec<Option<Room>, SESSIONS>) -> Self {
        Self {
            control,
            cache,
            connections: [const { None }; CONNECTIONS],
            met: 0,
            refused: Deque::new(),
            sessions: Vec::new(),
            offered: now().0,
            busy: false,
            rooms,
        }
    }

    /// False when init has let go of this relay.
    fn round(&mut self, ready: &mut Ready) -> bool {
        let due = self.sessions.iter().flatten().filter_map(Session::due).min();
        self.wait(ready, due);
        self.busy = due.is_some() || !ready.is_empty();
        if now().0 - self.offered >= KEPT_MS {
            self.offered = now().0;
            if let Some(blocks) = self.cache.reclaimable() {
                crate::sys::memory::offer(blocks);
            }
            self.sessions.iter().flatten().for_each(|session| session.show_counters(&self.cache));
        }
        for s in 0..self.sessions.len() {
            if let Some(session) = self.sessions[s].as_mut().filter(|session| session.due().is_some())
                && let Err(over) = session.go_on(&mut self.cache)
            {
                self.end(s, over);
            }
        }
        for &(source, flags) in &*ready {
            match source {
                Source::Control => {
                    let mut byte = [0; 1];
                    match fdpass::receive(&self.control, &mut byte, false) {
                        Ok((1.., fds)) => {
                            // The answer that init waits for; if sending fails, init has ended.
                            let _ = fdpass::send(&self.control, &[1], &[]);
                            let free = self.connections.iter_mut().find(|c| c.is_none());
                            if let Some((free, wire)) = free.zip(fds.into_iter().next()) {
                                self.met = self.met.wrapping_add(1);
                                *free = Some(Connection { number: self.met, wire });
                            }
                        }
                        Err(Errno::AGAIN) => {}
                        Ok((0, _)) | Err(_) => return false,
                    }
                }
                Source::Connection(c) => self.hear(c),
                Source::Kernel(s) | Source::Upstream(s) => {
                    let Some(session) = &mut self.sessions[s] else { continue };
                    let moved = match source {
                        Source::Kernel(_) => session.serve_kernel(flags, &mut self.cache),
                        _ => session.serve_upstream(flags, &mut self.cache),
                    };
                    if let Err(over) = moved {
                        self.end(s, over);
                    }
                }
            }
        }
        true
    }

    /// Fills `ready` in place: moving its 5 kB costs more than answering a request of the kernel.
    fn wait(&mut self, ready: &mut Ready, due: Option<u64>) {
        ready.clear();
        let mut fds = Vec::<_, SOURCES>::new();
        let mut watch = |source, fd, flags| {
            // As many as the vectors have room for.
            let _ = ready.push((source, PollFlags::empty()));
            let _ = fds.push(PollFd::from_borrowed_fd(fd, flags));
        };
        watch(Source::Control, self.control.as_fd(), PollFlags::IN);
        for (i, connection) in self.connections.iter().enumerate() {
            if let Some(connection) = connection {
                watch(Source::Connection(i), connection.wire.as_fd(), PollFlags::IN);
            }
        }
        for (i, session) in self.sessions.iter_mut().enumerate() {
            let Some(session) = session else { continue };
            let (kernel, upstream) = session.wants();
            watch(Source::Kernel(i), session.kernel.as_fd(), kernel);
            if !upstream.is_empty() {
                // Otherwise poll(2) would report its hang-up over and over.
                watch(Source::Upstream(i), session.upstream.as_fd(), upstream);
            }
        }
        let ms = due.or(self.busy.then_some(KEPT_MS));
        let soon = ms.map(timespec);
        // An error is EINTR at most, after which nothing is ready.
        if poll(&mut fds, soon.as_ref()).is_ok() {
            ready.iter_mut().zip(&fds).for_each(|((_, flags), fd)| *flags = fd.revents());
        }
        ready.retain(|(_, flags)| !flags.is_empty());
    }

    fn hear(&mut self, c: usize) {
        let Some(connection) = &self.connections[c] else { return };
        let mut message = [0; MESSAGE_MAX];
        let number = connection.number;
        match fdpass::receive(&connection.wire, &mut message, false) {
            Ok((n @ 1.., fds)) => {
                if let (Ok(begin), Ok(fds)) = (Begin::decode(&message[..n]), fds.into_array()) {
                    self.begin(number, &begin, fds);
                }
            }
            Err(Errno::AGAIN) => {}
            // wire is gone, and with it its sessions' streams.
            Ok((0, _)) | Err(_) => {
                self.connections[c] = None;
                self.refused.retain(|(of, _)| *of != number);
            }
        }
    }

    fn begin(&mut self, connection: u32, begin: &Begin<'_>, fds: [OwnedFd; 3]) {
        let place = self.sessions.iter().position(Option::is_none).unwrap_or(self.sessions.len());
        let Some(room) = self.rooms.get_mut(place).and_then(Option::take) else {
            let [kernel, ..] = fds;
            // The mount waits until wire has been told and ends the session. The oldest refused one was told long ago.
            if self.refused.is_full() {
                self.refused.pop_front();
            }
            let _ = self.refused.push_back((connection, kernel));
            return self.report(connection, begin.session, &format_args!("{SESSIONS} sessions of this key are open"));
        };
        if place == self.sessions.len() {
            let _ = self.sessions.push(None);
        }
        self.sessions[place] = Some(Session::new(connection, begin, fds, room));
    }

    fn end(&mut self, s: usize, over: Over) {
        let Some(session) = self.sessions[s].take() else { return };
        if let Over::Malformed(error) = over {
            self.report(session.connection, session.number, &error);
        }
        self.rooms[s] = Some(session.close(&mut self.cache));
    }

    /// Tells a connection, if it is still there, what is wrong with the files of a session.
    fn report(&self, connection: u32, session: u32, fault: &dyn core::fmt::Display) {
        let Some(connection) = self.connections.iter().flatten().find(|c| c.number == connection) else { return };
        let mut text = heapless::String::<200>::new();
        let _ = core::fmt::write(&mut text, format_args!("{fault}"));
        let mut message = [0; MESSAGE_MAX];
        if let Ok(n) = (Fault { session, text: &text }).encode(&mut message) {
            let _ = fdpass::send(&connection.wire, &message[..n], &[]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::RELAY_LEAST;

    /// A relay with the memory of so many sessions and one connection; then its wire, and init.
    fn relay(sessions: usize) -> (Relay, OwnedFd, OwnedFd) {
        let (init, control) = fdpass::pair().unwrap();
        let rooms = (0..sessions).map(|place| Some(memory::session(RELAY_LEAST, place).unwrap())).collect();
        let mut relay = Relay::new(control, memory::cache(RELAY_LEAST).unwrap(), rooms);
        let wire = connect(&mut relay, &init);
        (relay, wire, init)
    }

    fn connect(relay: &mut Relay, init: &OwnedFd) -> OwnedFd {
        let (wire, theirs) = fdpass::pair().unwrap();
        fdpass::send(init, &[1], &[theirs.as_fd()]).unwrap();
        assert!(relay.round(&mut Ready::new()));
        wire
    }

    /// A session's descriptors, then the other ends of its mount and of its stream to the client.
    fn files() -> ([OwnedFd; 3], OwnedFd, OwnedFd) {
        let [(kernel, mount), (upstream, client), (counters, _)] = [(); 3].map(|()| fdpass::stream_pair().unwrap());
        [&kernel, &mount, &upstream].into_iter().for_each(|fd| fs::set_nonblocking(fd).unwrap());
        ([kernel, upstream, counters], mount, client)
    }

    fn fault(wire: &OwnedFd) -> Option<(u32, std::string::String)> {
        let mut message = [0; MESSAGE_MAX];
        let (n, _) = fdpass::receive(wire, &mut message, false).ok()?;
        let Fault { session, text } = Fault::decode(&message[..n]).ok()?;
        Some((session, text.into()))
    }

    const BEGIN: Begin<'_> = Begin { session: 7, freshness_ms: 1000, home: b"", names: b"" };

    #[test]
    fn a_session_without_room_is_told_so_and_its_mount_waits_for_that() {
        let (mut relay, wire, _init) = relay(0);
        let (fds, mount, _client) = files();
        relay.begin(1, &BEGIN, fds);
        assert_eq!(fault(&wire), Some((7, "64 sessions of this key are open".into())));
        assert_eq!(fs::read(&mount, &mut [0; 1]), fs::Io::Wait);
        drop(wire);
        assert!(relay.round(&mut Ready::new()));
        assert_eq!(fs::read(&mount, &mut [0; 1]), fs::Io::Ended);
    }

    #[test]
    fn a_fault_goes_to_the_sessions_connection_and_not_to_its_successor() {
        for same in [true, false] {
            let (mut relay, mut wire, init) = relay(1);
            let (fds, _mount, client) = files();
            relay.begin(1, &BEGIN, fds);
            if !same {
                drop(wire);
                assert!(relay.round(&mut Ready::new()));
                wire = connect(&mut relay, &init);
                assert!(relay.connections[0].is_some() && relay.connections[1].is_none());
            }
            // No message is shorter than its head.
            assert_eq!(fs::write(&client, &[4, 0, 0, 0, 0, 0, 0]), fs::Io::Moved(7));
            while relay.sessions[0].is_some() {
                assert!(relay.round(&mut Ready::new()));
            }
            assert_eq!(fault(&wire).map(|(session, _)| session), same.then_some(7));
        }
    }
}
