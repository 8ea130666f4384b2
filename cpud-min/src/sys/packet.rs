//! Sockets of the net role: packets of one protocol on every interface (packet(7)), the kernel's routing (rtnetlink(7)).

use linux_raw_sys::general as g;
use linux_raw_sys::if_packet::sockaddr_ll;
use linux_raw_sys::net as raw;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::io::{Errno, Result};
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::call::syscall;
use super::sandbox::{Op, Program};

/// Numbers of Ethernet for what is inside.
pub const IPV4: u16 = 0x0800;
pub const ARP: u16 = 0x0806;

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// Where a packet is from, or goes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LinkAddress {
    pub index: u32,
    pub protocol: u16,
    pub mac: [u8; 6],
}

impl LinkAddress {
    fn raw(&self) -> sockaddr_ll {
        let [a, b, c, d, e, f] = self.mac;
        sockaddr_ll {
            sll_family: AddressFamily::PACKET.as_raw(),
            sll_protocol: self.protocol.to_be(),
            sll_ifindex: self.index as i32,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 6,
            sll_addr: [a, b, c, d, e, f, 0, 0],
        }
    }
}

// SAFETY: a sockaddr_ll is an address of packet sockets, and lives through the call.
unsafe impl SocketAddrArg for LinkAddress {
    unsafe fn with_sockaddr<R>(&self, f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        let raw = self.raw();
        f((&raw const raw).cast(), size_of_val(&raw) as SocketAddrLen)
    }
}

/// A socket for the packets of `protocol` on every interface, without their Ethernet headers.
pub fn open(protocol: u16) -> Result<OwnedFd> {
    let number = rustix::net::RawProtocol::new(u32::from(protocol.to_be()));
    rustix::net::socket_with(AddressFamily::PACKET, SocketType::DGRAM, FLAGS, number.map(Protocol::from_raw))
}

pub fn send(socket: impl AsFd, to: LinkAddress, packet: &[u8]) -> Result<()> {
    rustix::net::sendto(socket, packet, SendFlags::NOSIGNAL, &to).map(drop)
}

/// The next packet, if there is one: its length, and where it is from. What does not fit is cut.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Option<(usize, LinkAddress)> {
    let (n, _, from) = rustix::net::recvfrom(socket, &mut *buffer, RecvFlags::empty()).ok()?;
    let from = from.filter(|from| from.address_family() == AddressFamily::PACKET && from.addr_len() >= 18)?;
    // SAFETY: packet(7): the kernel writes a sockaddr_ll, of which the first 18 bytes are there; the storage has 128.
    let raw = unsafe { from.as_ptr().cast::<sockaddr_ll>().read() };
    let [a, b, c, d, e, f, ..] = raw.sll_addr;
    let (index, protocol) = (raw.sll_ifindex as u32, u16::from_be(raw.sll_protocol));
    Some((n, LinkAddress { index, protocol, mac: [a, b, c, d, e, f] }))
}

/// Lets UDP to `port` pass alone, of whole packets or first parts (linux/filter.h; the packet begins with IPv4's header).
pub fn only_udp(socket: impl AsFd, port: u16) -> Result<()> {
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_HALF_BEHIND: u16 = 0x48;
    const HEADER_LENGTH: u16 = 0xb1;
    const JUMP_EQUAL: u16 = 0x15;
    const JUMP_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    attach(
        socket,
        &[
            Op(LOAD_BYTE, 0, 0, 9),
            Op(JUMP_EQUAL, 0, 6, 17),
            Op(LOAD_HALF, 0, 0, 6),
            Op(JUMP_SET, 4, 0, 0x1fff),
            Op(HEADER_LENGTH, 0, 0, 0),
            Op(LOAD_HALF_BEHIND, 0, 0, 2),
            Op(JUMP_EQUAL, 0, 1, u32::from(port)),
            Op(RETURN, 0, 0, u32::MAX),
            Op(RETURN, 0, 0, 0),
        ],
    )
}

fn attach(socket: impl AsFd, ops: &[Op]) -> Result<()> {
    let program = Program::of(ops);
    let (level, name) = (raw::SOL_SOCKET as usize, raw::SO_ATTACH_FILTER as usize);
    let fd = socket.as_fd().as_raw_fd() as usize;
    let args = [fd, level, name, &raw const program as usize, size_of_val(&program)];
    // SAFETY: SO_ATTACH_FILTER reads one sock_fprog and the operations that it points at.
    unsafe { syscall(g::__NR_setsockopt, args) }.map(drop)
}

/// Takes a port of UDP's, whose packets another socket reads: the kernel would answer that nobody is there.
pub fn hold_port(port: u16) -> Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, FLAGS, None)?;
    rustix::net::bind(&socket, &core::net::SocketAddrV4::new(core::net::Ipv4Addr::UNSPECIFIED, port))?;
    // Nothing is kept for a reader.
    attach(&socket, &[Op(0x06, 0, 0, 0)])?;
    Ok(socket)
}

/// A socket to the kernel's routing, which tells the events of `groups`.
pub fn routing(groups: u32) -> Result<OwnedFd> {
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, FLAGS, None)?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// The next messages of the kernel's. AGAIN: there are none; NOBUFS: some are lost.
pub fn receive_routing(socket: impl AsFd, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match rustix::io::read(&socket, &mut *buffer) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}
