//! What systemd tells a service by its environment, and what it wants to hear (sd_listen_fds(3), sd_notify(3)).

use core::str::FromStr;

use heapless::Vec;
use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::{Errno, FdFlags, Result};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use super::args::Args;
use super::{fs, net, process};

/// The first descriptor that is passed (SD_LISTEN_FDS_START).
const FIRST: i32 = 3;

/// The listening sockets that were passed to this process; none when it was started without any. NOTSOCK or AFNOSUPPORT
/// when one is no TCP socket.
pub fn listeners<const N: usize>(args: Args) -> Result<Vec<OwnedFd, N>> {
    let mut listeners = Vec::new();
    if number(args, b"LISTEN_PID=") != Some(process::own_pid().as_raw_nonzero().get()) {
        return Ok(listeners);
    }
    for fd in (FIRST..).take(number::<usize>(args, b"LISTEN_FDS=").unwrap_or(0)) {
        // SAFETY: the process was started with these descriptors, and nothing else here uses their numbers.
        let listener = unsafe { OwnedFd::from_raw_fd(fd) };
        net::local_address(&listener)?;
        rustix::io::fcntl_setfd(&listener, FdFlags::CLOEXEC)?;
        fs::set_nonblocking(&listener)?;
        listeners.push(listener).map_err(|_| Errno::MFILE)?;
    }
    Ok(listeners)
}

fn number<T: FromStr>(args: Args, name: &[u8]) -> Option<T> {
    core::str::from_utf8(args.environment(name)?).ok()?.parse().ok()
}

/// Tells systemd that the service is ready, if it asks to be told.
pub fn ready(args: Args) -> Result<()> {
    let address = match args.environment(b"NOTIFY_SOCKET=") {
        None => return Ok(()),
        Some([b'@', name @ ..]) => SocketAddrUnix::new_abstract_name(name)?,
        Some(path) => SocketAddrUnix::new(path)?,
    };
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::sendto(&socket, b"READY=1", SendFlags::NOSIGNAL, &address).map(drop)
}
