//! The net role: init starts it again whenever it ends, prints its lines, and does for it what needs root: the host name
//! and the list of resolvers.

use core::ffi::CStr;
use core::fmt::Write;
use core::net::Ipv4Addr;

use rustix::fd::OwnedFd;

use super::share;
use crate::config::Config;
use crate::net;
use crate::net::interface::Static;
use crate::plan::network::{Names, Network as Settings};
use crate::protocol::net::{MESSAGE_MAX, ToInit, decode};
use crate::report::RateLimit;
use crate::say;
use crate::sys::errno::Sentence;
use crate::sys::process::{Fork, Pid, Status};
use crate::sys::{fdpass, fs, now};

/// The resolvers of a lease, for the sessions, as in resolv.conf(5).
const RESOLVERS: &CStr = c"/run/cpud/resolv.conf";

/// How long after its end it is started again; doubled each time that it ran for less than a minute.
const AGAIN_MS: u64 = 250;
const DOUBLINGS: u32 = 7;
const LONG_MS: u64 = 60_000;

/// Messages that are read in a row.
const IN_A_ROW: usize = 64;

enum Role {
    /// A daemon leaves the network to its machine.
    None,
    Runs {
        pid: Pid,
        control: OwnedFd,
        since: u64,
    },
    /// It is started at this time.
    Ended(u64),
}

pub struct Network {
    config: net::Config,
    role: Role,
    /// How often in a row it ran for less than a minute.
    ended: u32,
    limit: RateLimit,
}

impl Network {
    /// Of a daemon.
    pub const fn none() -> Self {
        let config = net::Config { fixed: None, hostname: heapless::Vec::new() };
        Self { config, role: Role::None, ended: 0, limit: RateLimit::new() }
    }

    /// Sets the host name; [`Network::restart`] starts the role.
    pub fn new(settings: &Settings<'_>) -> Self {
        let Settings { hostname, address, gateway } = *settings;
        if gateway.is_some() && address.is_none() {
            say!("cpud: a gateway without an address is not used: the server that gives the address names one");
        }
        if let Some(name) = hostname {
            set_hostname(name);
        }
        let fixed = address.map(|address| Static { address: address.ip, prefix: address.prefix, gateway });
        let hostname = heapless::Vec::from_slice(hostname.unwrap_or_default()).unwrap_or_default();
        Self { config: net::Config { fixed, hostname }, role: Role::Ended(0), ..Self::none() }
    }

    /// Starts the role when it is time.
    pub fn restart(&mut self, config: &Config) {
        let now = now().0;
        let Role::Ended(due) = self.role else { return };
        if due > now {
            return;
        }
        let started = fdpass::pair().and_then(|(control, theirs)| match share::fork(config)? {
            Fork::Child => net::run(&self.config, theirs),
            Fork::Parent(pid) => Ok(Role::Runs { pid, control, since: now }),
        });
        self.role = started.unwrap_or_else(|error| {
            say!("cpud: net cannot be started: {}", Sentence(error));
            Role::Ended(now + LONG_MS)
        });
    }

    /// Takes note of the end of a child, if it was this.
    pub fn ended(&mut self, child: Pid, status: Status) {
        let Role::Runs { pid, since, .. } = self.role else { return };
        if pid != child {
            return;
        }
        // Its last messages.
        self.read_messages();
        let now = now().0;
        self.ended = if now - since > LONG_MS { 0 } else { (self.ended + 1).min(DOUBLINGS) };
        say!("cpud: net {status} and is started again");
        self.role = Role::Ended(now + (AGAIN_MS << self.ended));
    }

    /// When [`Network::restart`] has something to do.
    pub fn due(&self) -> Option<u64> {
        match self.role {
            Role::Ended(due) => Some(due),
            _ => None,
        }
    }

    /// The socket of its messages.
    pub fn control(&self) -> Option<&OwnedFd> {
        match &self.role {
            Role::Runs { control, .. } => Some(control),
            _ => None,
        }
    }

    /// Prints its lines, and sets what a lease says about the machine.
    pub fn read_messages(&mut self) {
        let mut buffer = [0; MESSAGE_MAX];
        for _ in 0..IN_A_ROW {
            let Some(Ok((n @ 1.., _))) = self.control().map(|control| fdpass::receive(control, &mut buffer, false))
            else {
                return;
            };
            match decode(&buffer[..n]) {
                Ok(ToInit::Line(line)) => self.limit.print(line),
                Ok(ToInit::Names(address, names)) => self.apply(address, &names),
                Err(_) => {}
            }
        }
    }

    fn apply(&self, address: Ipv4Addr, names: &Names) {
        let mut text = heapless::String::<256>::new();
        if self.config.hostname.is_empty() && !address.is_unspecified() {
            // A machine without a name is known by its address.
            let _ = write!(text, "{address}");
            let name = if names.hostname.is_empty() { text.as_bytes() } else { &names.hostname };
            set_hostname(name);
            text.clear();
        }
        if let Ok(domain) = core::str::from_utf8(&names.domain)
            && !domain.is_empty()
        {
            let _ = writeln!(text, "search {domain}");
        }
        for server in &names.resolvers {
            let _ = writeln!(text, "nameserver {server}");
        }
        if let Err(error) = fs::create_file(RESOLVERS, text.as_bytes(), 0o644) {
            say!("cpud: {}: {}", RESOLVERS.to_str().unwrap_or_default(), Sentence(error));
        }
    }
}

fn set_hostname(name: &[u8]) {
    if let Err(error) = rustix::system::sethostname(name) {
        say!("cpud: hostname: {}", Sentence(error));
    }
}
