//! The loop of the role: what the kernel and the network say goes to the interfaces' machines, and what these want comes
//! to be so. All effects are here.

use core::fmt::{self, Write};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::Vec;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

use super::claim::Arp;
use super::dhcp::message::{CLIENT_PORT, Lease, Reply, Request};
use super::interface::{Interface, Output, Static};
use super::link::Link;
use super::mac::{Mac, Shown};
use super::rtnetlink::{self, BUFFER, Event, GROUPS, Message};
use crate::plan::cmdline::PORT;
use crate::plan::network::Names;
use crate::protocol::net::{MESSAGE_MAX, ToInit};
use crate::sys::console::Line;
use crate::sys::errno::Sentence;
use crate::sys::packet::{self, ARP, IPV4, LinkAddress};
use crate::sys::{fdpass, fs, memory, now, process, random_number, sandbox, timespec};

/// Interfaces that are looked after; more get no address.
const LINKS: usize = 8;

/// IPv6 addresses that were named on the console; more are not.
const NAMED: usize = 16;

/// Packets that are read in a row from one socket.
const IN_A_ROW: usize = 32;

/// What init says about this machine.
#[derive(Clone, Default)]
pub struct Config {
    /// The address of the first interface, in place of DHCP's.
    pub fixed: Option<Static>,
    /// What servers are told, when it is not theirs to say.
    pub hostname: Vec<u8, 64>,
}

/// The interface that [`Config::fixed`] is for.
const FIRST: &[u8] = b"eth0";

/// Looks after the network until init lets go of `control`. In a frame of its own, lest init's grow by these tables.
#[inline(never)]
pub fn run(config: &Config, control: OwnedFd) -> ! {
    process::set_name(c"cpud net");
    process::close_all_but(0, &[control.as_fd()]);
    let result = fs::fill_stdio().and_then(|()| Role::new(config, control)).and_then(|mut role| {
        sandbox::enter_net()?;
        role.begin();
        while role.round() {}
        Ok(())
    });
    process::exit(result.map_or_else(|error| error.raw_os_error(), |()| 0))
}

/// An address that was there when this process started, and for how many seconds it holds.
type Before = (u32, (Ipv4Addr, u8), u32);

pub struct Role {
    config: Config,
    /// To init; it ends when this is closed.
    control: OwnedFd,
    /// Asked and answered, and telling of itself.
    routing: OwnedFd,
    events: OwnedFd,
    ip: OwnedFd,
    arp: OwnedFd,
    /// Nothing is read from it.
    _port: OwnedFd,
    links: Vec<Link, LINKS>,
    before: Vec<Before, LINKS>,
    named: Vec<(u32, Ipv6Addr), NAMED>,
    /// What init was told last.
    address: Ipv4Addr,
    names: Names,
}

impl Role {
    fn new(config: &Config, control: OwnedFd) -> rustix::io::Result<Self> {
        let ip = packet::open(IPV4)?;
        packet::only_udp(&ip, CLIENT_PORT)?;
        Ok(Self {
            config: config.clone(),
            control,
            routing: packet::routing(0)?,
            events: packet::routing(GROUPS)?,
            ip,
            arp: packet::open(ARP)?,
            _port: packet::hold_port(CLIENT_PORT)?,
            links: Vec::new(),
            before: Vec::new(),
            named: Vec::new(),
            address: Ipv4Addr::UNSPECIFIED,
            names: Names::default(),
        })
    }

    /// Finds out what there is.
    fn begin(&mut self) {
        for mut request in [rtnetlink::dump_addresses(), rtnetlink::dump_links()] {
            let _ = fs::write(&self.events, request.bytes());
            self.read_events();
        }
        self.before.clear();
    }

    /// False when init has gone.
    fn round(&mut self) -> bool {
        self.act();
        let deadline = self.links.iter().filter_map(|link| link.interface.deadline()).min();
        let timeout = deadline.map(|deadline| timespec(deadline.saturating_sub(now().0)));
        let mut fds = [
            PollFd::new(&self.control, PollFlags::empty()),
            PollFd::new(&self.events, PollFlags::IN),
            PollFd::new(&self.ip, PollFlags::IN),
            PollFd::new(&self.arp, PollFlags::IN),
        ];
        // Most of its time it waits here.
        memory::release_program();
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return true;
        }
        let [control, events, ip, arp] = fds.map(|fd| !fd.revents().is_empty());
        if events {
            self.read_events();
        }
        if ip {
            self.read_replies();
        }
        if arp {
            self.read_arp();
        }
        !control
    }

    /// Does what the machines say, until they say nothing.
    fn act(&mut self) {
        let now = now().0;
        for at in 0..self.links.len() {
            while let Some(output) = self.links[at].interface.poll(now, random_number()) {
                match output {
                    Output::Dhcp(request) => self.send_request(at, &request),
                    Output::Arp(arp) => self.send(at, ARP, [0xff; 6], &arp.emit()),
                    Output::Event(event) => self.say(format_args!("{}: {event}", self.links[at].name())),
                }
            }
            self.apply(at, now);
        }
        let first = self.links.iter().map(|link| &link.installed).find(|installed| installed.address.is_some());
        let address =
            first.and_then(|installed| installed.address).map_or(Ipv4Addr::UNSPECIFIED, |(address, _)| address);
        let names = first.map(|installed| installed.names.clone()).unwrap_or_default();
        if (address, &names) != (self.address, &self.names) {
            self.tell(&ToInit::Names(address, names.clone()));
            (self.address, self.names) = (address, names);
        }
    }

    fn send_request(&mut self, at: usize, request: &Request) {
        let link = &self.links[at];
        let hostname = if self.config.hostname.is_empty() { &self.names.hostname } else { &self.config.hostname };
        let packet = request.packet(link.interface.mac, hostname);
        let mac = if request.to.is_broadcast() { [0xff; 6] } else { link.server };
        self.send(at, IPV4, mac, &packet);
    }

    /// What cannot be sent is sent again by whoever wanted it.
    fn send(&self, at: usize, protocol: u16, mac: Mac, bytes: &[u8]) {
        let socket = if protocol == ARP { &self.arp } else { &self.ip };
        let _ = packet::send(socket, LinkAddress { index: self.links[at].index, protocol, mac }, bytes);
    }

    /// Makes the interface what its machine wants.
    fn apply(&mut self, at: usize, now: u64) {
        let Self { links, routing, .. } = self;
        let mut failed = None;
        let moved = links[at].install(now, &mut |mut request, needed| {
            failed = ask(routing, &mut request).err().filter(|_| needed).or(failed);
        });
        let link = &self.links[at];
        if let Some(error) = failed {
            self.say(format_args!("{}: its address or routes cannot be set: {}", link.name(), Sentence(error)));
        }
        if moved && let Some((address, _)) = link.installed.address {
            self.say(format_args!("listening on {address}:{PORT} ({}, {})", link.name(), link.terms(now)));
        }
    }

    fn read_events(&mut self) {
        let mut buffer = [0; BUFFER];
        for _ in 0..IN_A_ROW {
            match packet::receive_routing(&self.events, &mut buffer) {
                Ok(n) => rtnetlink::events(&buffer[..n]).for_each(|event| self.on_event(event)),
                // Some are lost: all links are looked at again.
                Err(Errno::NOBUFS) => drop(fs::write(&self.events, rtnetlink::dump_links().bytes())),
                Err(_) => return,
            }
        }
    }

    fn on_event(&mut self, event: Event<'_>) {
        let now = now().0;
        match event {
            Event::Link(link) => self.on_link(&link, now),
            Event::LinkGone(index) => {
                if let Some(at) = self.links.iter().position(|link| link.index == index) {
                    let link = self.links.remove(at);
                    self.say(format_args!("{}: gone", link.name()));
                }
            }
            Event::Address { index, address: (IpAddr::V4(address), prefix), ours: true, left, .. } => {
                let _ = self.before.push((index, (address, prefix), left));
            }
            Event::Address { index, address: (IpAddr::V6(address), _), usable: true, .. } => {
                self.name(index, address);
            }
            Event::AddressGone(index, IpAddr::V6(address)) => self.named.retain(|named| *named != (index, address)),
            Event::Address { .. } | Event::AddressGone(..) | Event::Answer(_) | Event::Other => {}
        }
    }

    fn on_link(&mut self, link: &rtnetlink::Link<'_>, now: u64) {
        let known = self.links.iter().position(|known| known.index == link.index);
        let at = match known {
            Some(at) if self.links[at].interface.mac == link.mac => at,
            _ => {
                known.into_iter().for_each(|at| drop(self.links.swap_remove(at)));
                let added = self.add(link, now);
                if self.links.push(added).is_err() {
                    return;
                }
                self.links.len() - 1
            }
        };
        let known = &mut self.links[at];
        if core::mem::replace(&mut known.changes, link.changes) != link.changes {
            // It may have been out meanwhile.
            known.interface.set_plugged_in(false, now);
        }
        // Setting a link down takes its routes away.
        known.stale |= known.interface.set_plugged_in(link.plugged_in, now);
        let before = known.plugged_in.or(link.plugged_in.then_some(true));
        if core::mem::replace(&mut known.plugged_in, before.and(Some(link.plugged_in))) == Some(!link.plugged_in) {
            let state = if link.plugged_in { "plugged in" } else { "unplugged" };
            self.say(format_args!("{}: {state}", self.links[at].name()));
        }
    }

    /// Sets up a link that was not there before, and goes on with the addresses that it has from this role's last run.
    fn add(&mut self, link: &rtnetlink::Link<'_>, now: u64) -> Link {
        let fixed = self.config.fixed.filter(|_| link.name == FIRST);
        let mut resumed = None;
        let before = core::mem::take(&mut self.before);
        for &(_, address, left) in before.iter().filter(|(index, ..)| *index == link.index) {
            let kept =
                fixed.map_or(!address.0.is_link_local() && resumed.is_none(), |fixed| fixed.address == address.0);
            if kept && fixed.is_none() {
                resumed = Some(Lease::resumed(address, left));
            } else if !kept {
                let _ = ask(&self.routing, &mut rtnetlink::remove_address(link.index, address));
            }
        }
        self.before = before;
        if !link.up {
            let _ = ask(&self.routing, &mut rtnetlink::set_up(link.index));
        }
        Link::new(link, Interface::new(link.mac, fixed, resumed, now))
    }

    /// An IPv6 address has come.
    fn name(&mut self, index: u32, address: Ipv6Addr) {
        let Some(link) = self.links.iter().find(|link| link.index == index) else { return };
        if self.named.contains(&(index, address)) || self.named.is_full() {
            return;
        }
        self.say(format_args!("listening on [{address}]:{PORT} ({})", link.name()));
        let _ = self.named.push((index, address));
    }

    fn read_replies(&mut self) {
        let mut buffer = [0; 1500];
        for _ in 0..IN_A_ROW {
            let Some((n, from)) = packet::receive(&self.ip, &mut buffer) else { return };
            let Some(at) = self.links.iter().position(|link| link.index == from.index) else { continue };
            let now = now().0;
            match Reply::parse(&buffer[..n], self.links[at].interface.mac) {
                Some(Ok(reply)) => self.links[at].on_reply(reply, from.mac, now),
                None => {}
                Some(Err(_)) => {
                    if let Some(count) = self.links[at].count_garbage(now) {
                        let (name, from) = (self.links[at].name(), Shown(from.mac));
                        self.say(format_args!("{name}: {count} DHCP messages are damaged, the last from {from}"));
                    }
                }
            }
        }
    }

    fn read_arp(&mut self) {
        let mut buffer = [0; 64];
        for _ in 0..IN_A_ROW {
            let Some((n, from)) = packet::receive(&self.arp, &mut buffer) else { return };
            let link = self.links.iter_mut().find(|link| link.index == from.index);
            if let (Some(arp), Some(link)) = (Arp::parse(&buffer[..n]), link) {
                link.interface.on_arp(arp, now().0);
            }
        }
    }

    fn say(&self, text: fmt::Arguments<'_>) {
        let mut line = Line::new();
        let _ = write!(line, "cpud: {text}");
        self.tell(&ToInit::Line(line.as_bytes()));
    }

    fn tell(&self, message: &ToInit<'_>) {
        let mut room = [0; MESSAGE_MAX];
        if let Ok(n) = message.encode(&mut room) {
            let _ = fdpass::send(&self.control, &room[..n], &[]);
        }
    }
}

/// Asks the kernel for something, which it does or refuses before it answers.
fn ask(routing: &OwnedFd, request: &mut Message) -> rustix::io::Result<()> {
    rustix::io::write(routing, request.bytes())?;
    let mut buffer = [0; 1024];
    let n = packet::receive_routing(routing, &mut buffer)?;
    match rtnetlink::events(&buffer[..n]).next() {
        Some(Event::Answer(number @ 1..)) => Err(Errno::from_raw_os_error(number)),
        _ => Ok(()),
    }
}

impl Lease {
    /// One that was somebody's before, of which only the address is known.
    fn resumed((address, prefix): (Ipv4Addr, u8), seconds: u32) -> Self {
        let server = Ipv4Addr::UNSPECIFIED;
        let (t1, t2) = (seconds, seconds);
        Self { address, prefix, server, seconds, t1, t2, routes: Vec::new(), mtu: None, names: Names::default() }
    }
}
