//! An interface of the kernel's: its machine, and what was made of it so far.

use core::fmt::{self, Display, Formatter};

use heapless::Vec;

use super::dhcp::message::{FOREVER, Reply};
use super::interface::{Interface, Source, Wanted};
use super::mac::Mac;
use super::rtnetlink::{self, Message};

/// How much longer than its lease the kernel keeps an address: enough for this process to say why it goes.
const GRACE: u64 = 5;

/// A line about damaged messages is followed by the next after so long.
const QUIET_MS: u64 = 60_000;

pub struct Link {
    pub index: u32,
    name: Vec<u8, 16>,
    pub interface: Interface,
    /// What the kernel was told last, and until when it holds.
    pub installed: Wanted,
    until: Option<u64>,
    /// The kernel may have forgotten some of it.
    pub stale: bool,
    /// What it had at first.
    mtu: u32,
    /// From whom the lease came over the link: the server, or a router before it.
    pub server: Mac,
    /// None until it has a cable, which is no news for the console then.
    pub plugged_in: Option<bool>,
    pub changes: u32,
    garbage: u32,
    quiet: u64,
}

impl Link {
    pub fn new(link: &rtnetlink::Link<'_>, interface: Interface) -> Self {
        let installed = Wanted { address: interface.wanted().address, ..Wanted::default() };
        let name = Vec::from_slice(link.name).unwrap_or_default();
        let (index, mtu, server) = (link.index, link.mtu, [0xff; 6]);
        Self {
            index,
            name,
            interface,
            installed,
            until: None,
            stale: false,
            mtu,
            server,
            plugged_in: None,
            changes: link.changes,
            garbage: 0,
            quiet: 0,
        }
    }

    pub fn name(&self) -> &str {
        core::str::from_utf8(&self.name).unwrap_or("?")
    }

    /// Gives `ask` the messages that make the interface what its machine wants now; true with those that must not fail.
    /// True when it has another address, or the same from another source.
    pub fn install(&mut self, now: u64, ask: &mut dyn FnMut(Message, bool)) -> bool {
        let (wanted, until) = (self.interface.wanted(), self.interface.valid_until());
        if wanted == self.installed && until == self.until && !core::mem::take(&mut self.stale) {
            return false;
        }
        let (old, index) = (core::mem::replace(&mut self.installed, wanted), self.index);
        let (new, moved) = (&self.installed, self.installed.address != old.address);
        for route in old.routes.iter().filter(|route| moved || !new.routes.contains(route)) {
            ask(rtnetlink::remove_route(index, route), false);
        }
        if let Some(address) = old.address.filter(|_| moved) {
            ask(rtnetlink::remove_address(index, address), false);
        }
        self.until = until;
        if new.mtu != old.mtu {
            ask(rtnetlink::set_mtu(index, new.mtu.map_or(self.mtu, u32::from)), true);
        }
        if let Some(address) = new.address {
            ask(rtnetlink::add_address(index, address, seconds(until, now)), true);
            for route in &new.routes {
                ask(rtnetlink::add_route(index, address, route), true);
            }
        }
        new.address.is_some() && (moved || new.source != old.source)
    }

    /// A server's message has come, from there on the link.
    pub fn on_reply(&mut self, reply: Reply, from: Mac, now: u64) {
        if self.interface.on_reply(reply, now) {
            self.server = from;
        }
    }

    /// Counts a damaged message; how many there were, when it is time for a line.
    pub fn count_garbage(&mut self, now: u64) -> Option<u32> {
        self.garbage += 1;
        if now < self.quiet {
            return None;
        }
        self.quiet = now + QUIET_MS;
        Some(core::mem::take(&mut self.garbage))
    }

    /// Where its address is from.
    pub fn terms(&self, now: u64) -> Terms {
        Terms {
            source: self.installed.source,
            seconds: self.until.map(|until| until.saturating_sub(now).div_ceil(1000)),
        }
    }
}

/// For how long the kernel keeps an address by itself.
fn seconds(until: Option<u64>, now: u64) -> u32 {
    let left = until.map(|until| until.saturating_sub(now) / 1000 + GRACE);
    left.and_then(|left| u32::try_from(left).ok()).unwrap_or(FOREVER)
}

/// Where an address is from, and how many seconds it holds.
pub struct Terms {
    source: Source,
    seconds: Option<u64>,
}

impl Display for Terms {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.source {
            Source::Nobody => f.write_str("as before"),
            Source::Settings => f.write_str("as set"),
            Source::Server(server) if server.is_unspecified() => f.write_str("as before"),
            Source::Server(server) => {
                write!(f, "from {server}")?;
                self.seconds.map_or(Ok(()), |seconds| write!(f, " for {seconds} s"))
            }
            Source::LinkLocal => f.write_str("made up until a DHCP server answers"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec as Kinds;

    use super::*;
    use crate::net::dhcp::message::tests::{ADDRESS, MAC, SERVER, packet, parse};
    use crate::net::interface::Output;

    const NEW_ADDRESS: u8 = 20;
    const OLD_ADDRESS: u8 = 21;
    const NEW_ROUTE: u8 = 24;
    const OLD_ROUTE: u8 = 25;
    const LINK: u8 = 16;

    /// What is asked of the kernel at `now`, by its kind, and whether that is another address.
    fn installed(link: &mut Link, now: u64) -> (Kinds<u8>, bool) {
        let mut kinds = Kinds::new();
        let moved = link.install(now, &mut |mut request, _| kinds.push(request.bytes()[4]));
        (kinds, moved)
    }

    /// Goes on until a message that a server answers with `options` and an address, which is a lease then.
    fn answer(link: &mut Link, now: u64, address: core::net::Ipv4Addr, options: &[(u8, &[u8])]) {
        let (server, mask) = (SERVER.octets(), [255, 255, 255, 0]);
        let always: [(u8, &[u8]); 3] = [(51, &[0, 0, 2, 88]), (54, &server), (1, &mask)];
        let all = [&always, options].concat();
        for kind in [2, 5] {
            let Some(Output::Dhcp(request)) =
                core::iter::from_fn(|| link.interface.poll(now, 7)).find(|output| matches!(output, Output::Dhcp(_)))
            else {
                return;
            };
            let kind = if request.client.is_unspecified() { kind } else { 5 };
            link.on_reply(parse(&packet(kind, request.xid, address, &all)), [2; 6], now);
        }
    }

    #[test]
    fn the_kernel_is_asked_for_what_differs_in_an_order_that_it_takes() {
        let card =
            rtnetlink::Link { index: 2, name: b"eth0", mac: MAC, mtu: 1500, up: true, plugged_in: true, changes: 0 };
        let mut link = Link::new(&card, Interface::new(MAC, None, None, 0));
        assert_eq!(installed(&mut link, 0), (std::vec![], false));
        link.interface.set_plugged_in(true, 0);
        answer(&mut link, 0, ADDRESS, &[(3, &SERVER.octets()), (26, &[5, 120])]);
        assert_eq!(link.server, [2; 6]);
        assert_eq!(installed(&mut link, 0), (std::vec![LINK, NEW_ADDRESS, NEW_ROUTE], true));
        assert_eq!(std::format!("{}", link.terms(0)), "from 10.0.2.2 for 600 s");
        assert_eq!(installed(&mut link, 1), (std::vec![], false));
        // Renewed: the same for longer, which is no news.
        answer(&mut link, 300_000, ADDRESS, &[(3, &SERVER.octets()), (26, &[5, 120])]);
        assert_eq!(installed(&mut link, 300_000), (std::vec![NEW_ADDRESS, NEW_ROUTE], false));
        // Without the route and the MTU.
        answer(&mut link, 600_000, ADDRESS, &[]);
        assert_eq!(installed(&mut link, 600_000), (std::vec![OLD_ROUTE, LINK, NEW_ADDRESS], false));
        // The kernel may have forgotten it.
        link.stale = true;
        assert_eq!(installed(&mut link, 600_000), (std::vec![NEW_ADDRESS], false));
        // The end of it.
        while link.interface.poll(1_200_000, 7).is_some() {}
        assert_eq!(installed(&mut link, 1_200_000), (std::vec![OLD_ADDRESS], false));
    }

    #[test]
    fn damaged_messages_are_named_once_a_minute() {
        let card =
            rtnetlink::Link { index: 2, name: b"eth0", mac: MAC, mtu: 1500, up: true, plugged_in: true, changes: 0 };
        let mut link = Link::new(&card, Interface::new(MAC, None, None, 0));
        assert_eq!(link.count_garbage(5), Some(1));
        assert!((0..99).all(|_| link.count_garbage(60_000).is_none()));
        assert_eq!(link.count_garbage(60_005), Some(100));
    }
}
