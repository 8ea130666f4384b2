//! guard: holds the host key, decides who may log in, opens sessions and waits for them.
//!
//! It never reads the network: wire asks by a handful of small messages ([`crate::protocol::guard`]). guard verifies
//! the user's signature over the session id that it signed itself, so a wire gone bad has nothing to forge.

mod sessions;

use core::fmt;
use core::net::SocketAddr;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use ssh_lite::auth::{self, Authenticated};
use ssh_lite::keys::ed25519_blob;
use ssh_lite::keys::host_key::HostKey;
use ssh_lite::limits::LOGIN_ATTEMPTS;
use ssh_lite::server::LOGIN_GRACE;

use crate::config::Config;
use crate::keys;
use crate::plan::quoted::Quoted;
use crate::protocol::guard::{FromGuard, MESSAGE_MAX, SessionId, ToGuard};
use crate::report::Reporter;
use crate::sys::errno::{Failure, Sentence};
use crate::sys::{fdpass, fs, memory, now, process, signal, timespec};
use sessions::Sessions;

/// How many messages that cost a signature or a look at the keys a wire may send before its user has logged in: those
/// of the first key exchange and of as many attempts as wire allows. wire counts them too, but may have been taken
/// over; so may its clock.
const TRIES: u32 = LOGIN_ATTEMPTS + 1;
const LOGIN_MS: u64 = LOGIN_GRACE.as_millis() as u64 + 5000;

/// How long a client may take to hang up before the machine goes down.
const FAREWELL_MS: u64 = 500;

struct Guard<'a> {
    config: &'a Config,
    peer: SocketAddr,
    wire: &'a OwnedFd,
    reporter: &'a Reporter,
    host_key: Option<HostKey>,
    authorized: &'a [u8],
    /// The first hash that was signed (RFC 4253 section 7.2).
    session_id: Option<[u8; 32]>,
    user: Option<Authenticated>,
    tries: u32,
    sessions: Sessions,
}

/// Serves `wire` until it hangs up, then ends the connection's sessions.
pub fn run(config: &Config, peer: SocketAddr, wire: OwnedFd, reporter: &Reporter) -> ! {
    process::set_name(c"cpud guard");
    process::close_all_but(0, &[wire.as_fd(), reporter.0.as_fd()]);
    if let Err(reason) = serve(config, peer, &wire, reporter) {
        reporter.line(format_args!("cpud: {peer}: {reason}"));
    }
    process::exit(0)
}

fn serve(config: &Config, peer: SocketAddr, wire: &OwnedFd, reporter: &Reporter) -> Result<(), Failure> {
    fs::fill_stdio().map_err(Failure::of("cannot open /dev/null"))?;
    let children = signal::descriptor(&[signal::SIGCHLD, signal::SIGTERM])
        .map_err(Failure::of("cannot watch for the end of sessions"))?;
    rustix::process::set_child_subreaper(Some(process::own_pid())).map_err(Failure::of("cannot become a subreaper"))?;

    let host_key =
        keys::read_host_key(config.host_key).map_err(|why| Failure("cannot read the host key", why.errno()))?;
    let buffer = memory::pages(keys::AUTHORIZED_KEYS_MAX).map_err(Failure::of("the authorized keys"))?;
    let authorized = keys::read_authorized_keys(config.authorized_keys, buffer).unwrap_or_default();
    let hello = FromGuard::Hello { host_key: host_key.public() };
    let mut guard = Guard {
        config,
        peer,
        wire,
        reporter,
        host_key: Some(host_key),
        authorized,
        session_id: None,
        user: None,
        tries: 0,
        sessions: Sessions::new(config.cgroups),
    };
    hello.send(wire, None);
    guard.serve_until_hangup(&children);
    guard.sessions.end_all(
        &children,
        &|ended| reporter.line(format_args!("cpud: {peer}: {ended}, its client is gone")),
        reporter,
    );
    Ok(())
}

impl Guard<'_> {
    fn serve_until_hangup(&mut self, children: &OwnedFd) {
        let mut buffer = [0; MESSAGE_MAX];
        let login = now().0 + LOGIN_MS;
        // init ends the machine's run.
        let mut leaves = false;
        loop {
            if self.user.is_none() && (self.tries > TRIES || now().0 >= login) {
                return self.log(format_args!("the login took too long, or too many tries"));
            }
            let mut fds = [PollFd::new(self.wire, PollFlags::IN), PollFd::new(children, PollFlags::IN)];
            let due = self.sessions.due().into_iter().chain(self.sessions.kill_at()).min();
            let due = if self.user.is_some() { due } else { Some(login) };
            if poll(&mut fds, due.map(|due| timespec(due.saturating_sub(now().0))).as_ref()).is_err() {
                continue;
            }
            while let Some(signal) = signal::next(children) {
                if signal == signal::SIGTERM {
                    leaves = true;
                    self.sessions.end_each();
                }
            }
            self.sessions.kill_overdue();
            while let Some(ended) = self.sessions.next_ended() {
                FromGuard::Ended { session: ended.session, status: ended.status }.send(self.wire, None);
                self.log(format_args!("{ended}"));
            }
            if self.sessions.lingers() {
                self.reporter.lingers(process::own_pid());
            }
            if leaves && self.sessions.is_empty() {
                // wire tells the client, who hangs up.
                let _ = poll(&mut [PollFd::new(self.wire, PollFlags::empty())], Some(&timespec(FAREWELL_MS)));
                return;
            }
            match fdpass::receive(self.wire, &mut buffer, false) {
                Err(Errno::AGAIN) => {}
                Ok((n @ 1.., _)) => match ToGuard::decode(&buffer[..n]) {
                    Ok(message) => self.handle(message),
                    Err(_) => return self.log(format_args!("bad message from wire")),
                },
                Ok((0, _)) | Err(_) => return,
            }
        }
    }

    fn handle(&mut self, message: ToGuard<'_>) {
        if let ToGuard::Sign { .. } | ToGuard::Query { .. } | ToGuard::Verify { .. } | ToGuard::Refused { .. } = message
        {
            self.tries = self.tries.saturating_add(1);
            if self.user.is_none() && self.tries > TRIES {
                return;
            }
        }
        match message {
            ToGuard::Sign { hash } => {
                let Some(host_key) = &self.host_key else { return };
                let signature = host_key.sign(&hash);
                self.session_id.get_or_insert(hash);
                FromGuard::Signature { signature }.send(self.wire, None);
            }
            ToGuard::Query { user, algorithm, key } => {
                let accepted = auth::permitted(self.authorized, algorithm, key);
                FromGuard::Verdict { accepted }.send(self.wire, None);
                if !accepted {
                    let (user, key) = (Quoted(user.as_bytes()), ssh_lite::keys::fingerprint(key));
                    self.log(format_args!("refused {user}, {algorithm} {key}: not authorized"));
                }
            }
            ToGuard::Verify { user, service, algorithm, key, bound, signature } => {
                let host_key = self.host_key.as_ref().map(|host_key| ed25519_blob(&host_key.public()));
                let host_key = host_key.as_ref().filter(|_| bound).map(<[u8; _]>::as_slice);
                self.verify(&auth::Request { user, service, algorithm, key, host_key, signature });
            }
            ToGuard::Open { session } => self.open(session),
            ToGuard::Signal { session, signal } => self.sessions.signal(session, signal),
            ToGuard::Close { session } => self.sessions.end(session),
            ToGuard::Refused { user, what } => {
                self.log(format_args!("refused {}, {what}", Quoted(user.as_bytes())));
            }
            ToGuard::Fatal { reason } => self.log(format_args!("{reason}")),
        }
    }

    fn verify(&mut self, request: &auth::Request<'_>) {
        let (user, algorithm) = (Quoted(request.user.as_bytes()), request.algorithm);
        let Some(session_id) = &self.session_id else { return };
        let verdict = auth::verify(session_id, self.authorized, request);
        let relay = verdict
            .as_ref()
            .ok()
            .filter(|_| self.user.is_none() && self.config.ninep)
            .and_then(|_| fdpass::pair().ok());
        let (to_relay, to_wire) = relay.unzip();
        FromGuard::Verdict { accepted: verdict.is_ok() }.send(self.wire, to_wire.as_ref());
        let key = ssh_lite::keys::fingerprint(request.key);
        match verdict {
            Ok(authenticated) => {
                self.user = Some(authenticated);
                self.reporter.logged_in(process::own_pid(), &key, to_relay.as_ref());
                self.log(format_args!("accepted {user}, {algorithm} {key}"));
            }
            Err(why) => self.log(format_args!("refused {user}, {algorithm} {key}: {why}")),
        }
    }

    /// A line for the console about this connection.
    fn log(&self, text: fmt::Arguments<'_>) {
        self.reporter.line(format_args!("cpud: {}: {text}", self.peer));
    }

    fn open(&mut self, session: SessionId) {
        let opened = match &self.user {
            Some(user) => self.sessions.open(session, self.config, self.peer, user, &mut self.host_key),
            None => Err(Errno::PERM),
        };
        if let Err(error) = &opened {
            self.log(format_args!("session {session} cannot start: {}", Sentence(*error)));
        }
        FromGuard::Opened { opened: opened.is_ok() }.send(self.wire, opened.ok().as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::cmdline;
    use ssh_lite::Ciphers;

    #[test]
    fn a_wire_that_counts_no_tries_has_no_more_than_others() {
        let cmdline::Arguments { authorized_keys, host_key, .. } = cmdline::Arguments::APPLIANCE;
        let (ninep, cgroups, root, appliance, limits, relay) = (false, false, false, false, None, None);
        let ciphers = Ciphers::PORTABLE;
        let config = &Config { authorized_keys, host_key, ciphers, ninep, cgroups, root, appliance, limits, relay };
        let (ours, wire) = fdpass::pair().unwrap();
        let (_init, reporter) = fdpass::pair().unwrap();
        let mut guard = Guard {
            config,
            peer: (core::net::Ipv4Addr::LOCALHOST, 1).into(),
            wire: &ours,
            reporter: &Reporter(reporter),
            host_key: None,
            authorized: b"",
            session_id: None,
            user: None,
            tries: 0,
            sessions: Sessions::new(false),
        };
        let mut out = [0; MESSAGE_MAX];
        let query = ToGuard::Query { user: "glenda", algorithm: "ssh-ed25519", key: b"key" }.encode(&mut out).unwrap();
        (0..2 * TRIES).for_each(|_| fdpass::send(&wire, &out[..query], &[]).unwrap());
        guard.serve_until_hangup(&signal::descriptor(&[signal::SIGCHLD]).unwrap());
        let answers = core::iter::from_fn(|| fdpass::receive(&wire, &mut out, false).ok());
        assert_eq!(answers.count() as u32, TRIES);
    }
}
