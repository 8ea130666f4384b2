//! A link of a test's own: QEMU sends each Ethernet frame of the guest as a datagram, and the DHCP server on the link, whose
//! leases may be of seconds, does what the test says. No privilege is needed, and nobody else is on it.

use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The server's address, and its card's.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// The same machine's, for those who have made their address up.
const LINK_LOCAL: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// Somebody else's card.
pub const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 9];

const LIMIT: Duration = Duration::from_secs(90);

/// What the server does with what it is asked.
#[derive(Clone)]
pub enum Rule {
    Silent,
    /// Gives this address for so many seconds, with these options besides, and refuses every other.
    Give(Ipv4Addr, u32, Vec<(u8, Vec<u8>)>),
    /// Offers, and refuses what it has offered.
    Refuse,
    /// Answers with messages of which some bytes are wrong.
    Damage,
}

/// A message of the guest's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    Discover,
    /// The address that is asked for by option 50, or by ciaddr to renew it, and whether it came to the server alone.
    Request {
        requested: Option<Ipv4Addr>,
        renewed: Option<Ipv4Addr>,
        unicast: bool,
    },
    Decline(Ipv4Addr),
    /// An ARP request: of whom, and for which address.
    Arp(Ipv4Addr, Ipv4Addr),
    /// The answer to an echo.
    Echo(Ipv4Addr),
}

struct State {
    rule: Rule,
    /// Addresses that OTHER says are its own.
    taken: Vec<Ipv4Addr>,
    seen: Vec<Seen>,
    guest: [u8; 6],
}

/// A place in what was seen.
#[derive(Clone, Copy)]
pub struct Mark(usize);

/// The link, with its server.
pub struct Lan {
    shared: Arc<(Mutex<State>, Condvar)>,
    socket: UnixDatagram,
    here: PathBuf,
    there: PathBuf,
}

impl Lan {
    pub fn new(rule: Rule) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Relaxed);
        // A socket's path has at most 107 bytes.
        let path = |end| std::env::temp_dir().join(format!("cpud-lan-{}-{number}-{end}", std::process::id()));
        let (here, there) = (path("here"), path("there"));
        let _ = std::fs::remove_file(&here);
        let socket = UnixDatagram::bind(&here).expect("a path for a socket");
        let state = State { rule, taken: Vec::new(), seen: Vec::new(), guest: [0xff; 6] };
        let lan = Self { shared: Arc::new((Mutex::new(state), Condvar::new())), socket, here, there };
        let server = lan.end();
        thread::spawn(move || server.run());
        lan
    }

    /// QEMU's option for it; `id` is the name that a device knows it by.
    pub fn netdev(&self, id: &str) -> String {
        let (ours, theirs) = (self.here.display(), self.there.display());
        format!("dgram,id={id},local.type=unix,local.path={theirs},remote.type=unix,remote.path={ours}")
    }

    fn end(&self) -> End {
        let socket = self.socket.try_clone().expect("a second descriptor");
        End { socket, shared: self.shared.clone(), there: self.there.clone() }
    }

    pub fn set(&self, rule: Rule) -> Mark {
        let mut state = lock(&self.shared);
        state.rule = rule;
        Mark(state.seen.len())
    }

    /// From now on somebody else has it.
    pub fn take(&self, address: Ipv4Addr) {
        lock(&self.shared).taken.push(address);
    }

    /// Somebody else says that it is his.
    pub fn claim(&self, address: Ipv4Addr) {
        self.end().send([0xff; 6], 0x0806, &arp(1, OTHER, address, address));
    }

    /// Asks whoever has the address for an answer, until there is one.
    #[track_caller]
    pub fn ping(&self, address: Ipv4Addr) {
        let mark = Mark(lock(&self.shared).seen.len());
        let guest = lock(&self.shared).guest;
        let (begin, end) = (Instant::now(), self.end());
        let from = if address.is_link_local() { LINK_LOCAL } else { SERVER };
        while !lock(&self.shared).seen[mark.0..].contains(&Seen::Echo(address)) {
            assert!(begin.elapsed() < LIMIT, "{address} does not answer");
            end.send(guest, 0x0800, &packet(1, from, address, &echo()));
            let (state, waited) = (lock(&self.shared), Duration::from_millis(200));
            drop(self.shared.1.wait_timeout(state, waited));
        }
    }

    /// Damaged messages, as fast as they go.
    pub fn flood(&self, count: u32) {
        let end = self.end();
        for n in 0..count {
            let mut dhcp = vec![n as u8; 240 + n as usize % 200];
            dhcp[0] = 2;
            let to = if n % 2 == 0 { [0xff; 6] } else { lock(&self.shared).guest };
            end.send(to, 0x0800, &packet(17, SERVER, Ipv4Addr::BROADCAST, &udp(67, 68, &dhcp)));
        }
    }

    /// Waits until something of this kind was seen after `mark`; what was seen after it.
    #[track_caller]
    pub fn expect(&self, mark: Mark, what: &str, is: impl Fn(&Seen) -> bool) -> Mark {
        let begin = Instant::now();
        let mut state = lock(&self.shared);
        loop {
            if let Some(at) = state.seen[mark.0..].iter().position(&is) {
                return Mark(mark.0 + at + 1);
            }
            let left = LIMIT.saturating_sub(begin.elapsed());
            assert!(!left.is_zero(), "no {what} in {:?}", &state.seen[mark.0..]);
            state = self.shared.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What was seen after `mark`.
    pub fn since(&self, mark: Mark) -> Vec<Seen> {
        lock(&self.shared).seen[mark.0..].to_vec()
    }

    /// Before anything was seen.
    pub const START: Mark = Mark(0);

    pub fn mark(&self) -> Mark {
        Mark(lock(&self.shared).seen.len())
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        // This ends the server's thread.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        for path in [&self.here, &self.there] {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn lock(shared: &(Mutex<State>, Condvar)) -> MutexGuard<'_, State> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The far end of the guest's cable.
struct End {
    socket: UnixDatagram,
    shared: Arc<(Mutex<State>, Condvar)>,
    there: PathBuf,
}

impl End {
    fn run(&self) {
        let mut frame = [0; 2048];
        while let Ok(n @ 1..) = self.socket.recv(&mut frame) {
            let frame = &frame[..n];
            let Some((header, body)) = frame.split_at_checked(14) else { continue };
            let mut state = lock(&self.shared);
            state.guest.copy_from_slice(&header[6..12]);
            match header[12..] {
                [8, 6] if body.len() >= 28 => self.on_arp(&mut state, body),
                [8, 0] if body.len() >= 28 => self.on_ip(&mut state, header[0] & 1 == 0, body),
                _ => {}
            }
            self.shared.1.notify_all();
        }
    }

    /// What QEMU does not take is lost, as on a link.
    fn send(&self, to: [u8; 6], kind: u16, body: &[u8]) {
        let frame = [&to[..], &MAC, &kind.to_be_bytes(), body].concat();
        let _ = self.socket.send_to(&frame, &self.there);
    }

    fn on_arp(&self, state: &mut State, body: &[u8]) {
        let (sender, target) = (address(&body[14..18]), address(&body[24..28]));
        if body[6..8] != [0, 1] {
            return;
        }
        state.seen.push(Seen::Arp(sender, target));
        let owner = if state.taken.contains(&target) { OTHER } else { MAC };
        if owner == OTHER || [SERVER, LINK_LOCAL].contains(&target) {
            let mut reply = arp(2, owner, target, sender);
            reply[18..24].copy_from_slice(&body[8..14]);
            self.send(state.guest, 0x0806, &reply);
        }
    }

    fn on_ip(&self, state: &mut State, unicast: bool, body: &[u8]) {
        let (source, data) = (address(&body[12..16]), &body[20..]);
        match (body[9], data) {
            (1, [0, ..]) => state.seen.push(Seen::Echo(source)),
            (17, [_, _, 0, 67, _, _, _, _, dhcp @ ..]) if dhcp.len() > 240 => self.on_dhcp(state, unicast, dhcp),
            _ => {}
        }
    }

    fn on_dhcp(&self, state: &mut State, unicast: bool, dhcp: &[u8]) {
        let ciaddr = Some(address(&dhcp[12..16])).filter(|address| !address.is_unspecified());
        let requested = option(dhcp, 50).map(address);
        let kind = option(dhcp, 53).map_or(0, |value| value[0]);
        state.seen.push(match kind {
            1 => Seen::Discover,
            3 => Seen::Request { requested, renewed: ciaddr, unicast },
            4 => Seen::Decline(requested.expect("RFC 2131 table 5")),
            _ => return,
        });
        let (answer, given, seconds, options) = match (&state.rule, kind) {
            (Rule::Silent, _) | (_, 4) => return,
            (Rule::Give(given, seconds, options), 1) => (2, *given, *seconds, options.clone()),
            (Rule::Give(given, seconds, options), _) if requested.or(ciaddr) == Some(*given) => {
                (5, *given, *seconds, options.clone())
            }
            (Rule::Refuse, 1) => (2, Ipv4Addr::new(10, 77, 0, 99), 60, Vec::new()),
            (Rule::Damage, _) => return self.damage(state, dhcp),
            // Without option 54, as slirp's.
            (Rule::Give(..) | Rule::Refuse, _) => (6, Ipv4Addr::BROADCAST, 0, Vec::new()),
        };
        let mut reply = reply(dhcp, answer, given);
        if answer != 6 {
            reply.extend([&[51, 4][..], &seconds.to_be_bytes(), &[54, 4], &SERVER.octets()].concat());
            reply.extend([1, 4, 255, 255, 255, 0, 3, 4, 10, 77, 0, 1]);
        }
        for (code, value) in options {
            reply.extend([&[code, value.len() as u8][..], &value].concat());
        }
        reply.push(255);
        // To everybody, also when it renews: as slirp.
        self.send([0xff; 6], 0x0800, &packet(17, SERVER, Ipv4Addr::BROADCAST, &udp(67, 68, &reply)));
    }

    /// One answer for each byte that may be wrong in the head, and each length of the options.
    fn damage(&self, state: &State, dhcp: &[u8]) {
        let mut whole = reply(dhcp, 2, Ipv4Addr::new(10, 77, 0, 15));
        whole.extend([51, 4, 0, 0, 0, 60, 54, 4, 10, 77, 0, 1, 121, 200, 33, 1, 1, 4, 255, 0, 255, 0, 255]);
        for at in (0..240).step_by(7) {
            let mut bad = whole.clone();
            bad[at] ^= 0x55;
            bad.truncate(whole.len() - at % 23);
            self.send(state.guest, 0x0800, &packet(17, SERVER, Ipv4Addr::BROADCAST, &udp(67, 68, &bad)));
        }
    }
}

/// Up to the options: the request's own head (RFC 2131 table 3), the magic number and the kind.
fn reply(request: &[u8], kind: u8, yiaddr: Ipv4Addr) -> Vec<u8> {
    let mut reply = request[..236].to_vec();
    reply[0] = 2;
    reply[16..20].copy_from_slice(&yiaddr.octets());
    reply.extend([99, 130, 83, 99, 53, 1, kind]);
    reply
}

fn option(dhcp: &[u8], code: u8) -> Option<&[u8]> {
    let mut rest = dhcp.get(240..)?;
    while let [kind, length, after @ ..] = rest {
        let (value, after) = after.split_at_checked(usize::from(*length))?;
        if *kind == code {
            return Some(value);
        }
        rest = after;
    }
    None
}

fn address(bytes: &[u8]) -> Ipv4Addr {
    <[u8; 4]>::try_from(bytes).expect("four bytes").into()
}

/// RFC 826, for Ethernet and IPv4.
fn arp(operation: u8, mac: [u8; 6], sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, operation];
    [&head[..], &mac, &sender.octets(), &[0; 6], &target.octets()].concat()
}

/// RFC 792: an echo request without data.
fn echo() -> Vec<u8> {
    let mut echo = vec![8, 0, 0, 0, 0, 7, 0, 1];
    let sum = checksum(&echo);
    echo[2..4].copy_from_slice(&sum);
    echo
}

/// Without a checksum (RFC 768).
fn udp(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let length = 8 + data.len() as u16;
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &length.to_be_bytes(), &[0, 0], data].concat()
}

/// RFC 791.
fn packet(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, data: &[u8]) -> Vec<u8> {
    let mut head = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
    head[2..4].copy_from_slice(&(20 + data.len() as u16).to_be_bytes());
    head.extend(from.octets());
    head.extend(to.octets());
    let sum = checksum(&head);
    head[10..12].copy_from_slice(&sum);
    [head, data.to_vec()].concat()
}

/// RFC 1071, of an even number of bytes.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    (!(folded as u16)).to_be_bytes()
}
