//! TCP: listeners, socket options, the loopback interface.

use core::net::SocketAddr;
use core::time::Duration;

use linux_raw_sys::{ioctl, net as raw};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::call::syscall;

/// How long a peer may be silent before the kernel probes it, and how often: a pulled cable is noticed after 5 + 3 x 3
/// seconds when nothing is under way. When data is under way, tcp_retries2 decides, which init sets on the appliance.
/// TCP_USER_TIMEOUT would also end a client who answers that he has no room now, such as one that is stopped.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(5), Duration::from_secs(3), 3);

/// The length of the queue of connections that are not accepted yet.
const BACKLOG: i32 = 128;

/// Makes a listening TCP socket, not blocking. An unspecified IPv6 address takes IPv4 connections too.
pub fn listen(address: SocketAddr) -> Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// The address and port that a listener got.
pub fn local_address(socket: impl AsFd) -> Result<SocketAddr> {
    SocketAddr::try_from(rustix::net::getsockname(socket)?)
}

/// The next connection, if there is one, not blocking.
pub fn accept(listener: impl AsFd) -> Result<Option<(OwnedFd, SocketAddr)>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    match rustix::net::acceptfrom_with(listener, flags) {
        Ok((socket, Some(peer))) => Ok(Some((socket, canonical(SocketAddr::try_from(peer)?)))),
        // These say that a connection ended before it was accepted (accept(2)).
        Ok((_, None)) | Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Begins a connection to a listener of this machine's; the socket, and the address that the listener sees.
pub fn connect_to(listener: impl AsFd) -> Result<(OwnedFd, SocketAddr)> {
    let address = local_address(listener)?;
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // Every address stands for the loopback interface's (ip(7)).
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error),
    }
    let own = local_address(&socket)?;
    Ok((socket, canonical(own)))
}

/// Sets the options of every connection: no Nagle delay, keepalives.
pub fn prepare(socket: impl AsFd) -> Result<()> {
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, KEEPALIVE.0)?;
    sockopt::set_tcp_keepintvl(&socket, KEEPALIVE.1)?;
    sockopt::set_tcp_keepcnt(&socket, KEEPALIVE.2)
}

/// How many bytes of kernel memory a socket may hold each way.
#[derive(Clone, Copy)]
pub struct Buffers {
    receive: u32,
    send: u32,
}

impl Buffers {
    /// A stranger's. The kernel doubles the value that is set, and returns the doubled one (socket(7)).
    pub const SMALL: Self = Self { receive: 12 * 1024, send: 8 * 1024 };

    pub fn of(socket: impl AsFd) -> Result<Self> {
        let (receive, send) = (sockopt::socket_recv_buffer_size(&socket)?, sockopt::socket_send_buffer_size(&socket)?);
        Ok(Self { receive: receive as u32, send: send as u32 })
    }

    /// Sets the sizes; with `grow` the kernel may raise them later. Once set it does not, and before Linux 5.14 nothing
    /// can make it: then this is an error and changes nothing.
    pub fn set(self, socket: impl AsFd, grow: bool) -> Result<()> {
        /// SOCK_SNDBUF_LOCK and SOCK_RCVBUF_LOCK of <linux/socket.h>.
        const LOCKED: u32 = 1 | 2;
        lock_buffers(&socket, LOCKED)?;
        sockopt::set_socket_recv_buffer_size(&socket, self.receive as usize / 2)?;
        sockopt::set_socket_send_buffer_size(&socket, self.send as usize / 2)?;
        lock_buffers(&socket, if grow { 0 } else { LOCKED })
    }
}

fn lock_buffers(socket: impl AsFd, locked: u32) -> Result<()> {
    let (level, name, size) = (raw::SOL_SOCKET as usize, raw::SO_BUF_LOCK as usize, size_of_val(&locked));
    let args = [socket.as_fd().as_raw_fd() as usize, level, name, &raw const locked as usize, size];
    // SAFETY: SO_BUF_LOCK reads one int.
    unsafe { syscall(linux_raw_sys::general::__NR_setsockopt, args) }.map(drop)
}

/// Whether the peer is there and has not acknowledged everything that was written (SIOCOUTQ of tcp(7)).
pub fn is_unread(socket: impl AsFd) -> bool {
    !is_closed(&socket) && has_output(socket)
}

/// Whether the connection is over on both sides, for example by a reset: TCP_CLOSE, in the first byte of TCP_INFO.
fn is_closed(socket: impl AsFd) -> bool {
    const TCP_CLOSE: u8 = 7;
    let (mut state, mut size) = (0_u8, 1_u32);
    let (level, name) = (raw::IPPROTO_TCP as usize, raw::TCP_INFO as usize);
    let args = [socket.as_fd().as_raw_fd() as usize, level, name, &raw mut state as usize, &raw mut size as usize];
    // SAFETY: TCP_INFO writes as many bytes as `size` says, one, and then `size`.
    unsafe { syscall(linux_raw_sys::general::__NR_getsockopt, args) }.is_ok() && state == TCP_CLOSE
}

fn has_output(socket: impl AsFd) -> bool {
    let mut bytes = 0_i32;
    let args = [socket.as_fd().as_raw_fd() as usize, ioctl::TIOCOUTQ as usize, &raw mut bytes as usize, 0, 0];
    // SAFETY: SIOCOUTQ, which has the number of TIOCOUTQ, writes one int.
    unsafe { syscall(linux_raw_sys::general::__NR_ioctl, args) }.is_ok() && bytes > 0
}

/// Makes the last close(2) reset the connection, which leaves nothing in the kernel (socket(7), SO_LINGER).
pub fn reset_at_close(socket: impl AsFd) {
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

/// Shows an IPv4 client of an IPv6 socket under its IPv4 address (RFC 4291 section 2.5.5.2).
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// An `ifreq` of netdevice(7): a name and 24 bytes that depend on the request.
#[repr(C)]
#[derive(Clone, Copy)]
struct Ifreq {
    name: [u8; raw::IFNAMSIZ as usize],
    value: [u8; 24],
}

/// Sets the loopback interface up, which gives it 127.0.0.1 and ::1 (SIOCSIFFLAGS of netdevice(7)).
pub fn loopback_up() -> Result<()> {
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let mut ifreq = Ifreq { name: [0; 16], value: [0; 24] };
    ifreq.name[..2].copy_from_slice(b"lo");
    ifreq.value[..2].copy_from_slice(&(raw::net_device_flags::IFF_UP as u16).to_ne_bytes());
    let args = [socket.as_raw_fd() as usize, ioctl::SIOCSIFFLAGS as usize, &raw mut ifreq as usize, 0, 0];
    // SAFETY: SIOCSIFFLAGS reads one ifreq.
    unsafe { syscall(linux_raw_sys::general::__NR_ioctl, args) }.map(drop)
}
