//! The stock client's `-nfs`: its files by NFS version 3 on a forwarded port, for the kernel's NFS client.
//!
//! The kernel connects by TCP. So that only the kernel can, the session's mounts are made in a network name space of
//! their own, where a process of cpud, the listener, accepts at the forwarded port and hands the connections to wire.
//! The command runs in the machine's network.
//!
//! An NFS mount waits for its server for good, even when everything that used it is killed. So the listener outlives
//! the session, and tells the kernel to give the mount up when wire has closed its socket.

use core::ffi::CStr;
use core::net::{Ipv4Addr, SocketAddr};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::{Errno, Result};

use super::failed::{Failed, NOT_STARTED};
use crate::cpath;
use crate::plan::fstab::nfs_port;
use crate::protocol::session::FromSession;
use crate::say;
use crate::sys::errno::Sentence;
use crate::sys::mount::{self, MountFlags, UnmountFlags};
use crate::sys::{fdpass, fs, net, process};

/// The machine's network name space to go back to, and the socket to the listener.
pub struct Nfs {
    /// The name space that the session came from.
    machine: OwnedFd,
    listener: OwnedFd,
}

impl Nfs {
    /// Starts the listener if the table mounts NFS from this machine's loopback interface. From then on this process is
    /// in the new network name space.
    pub fn begin(table: &[u8], socket: &OwnedFd) -> core::result::Result<Option<Self>, Failed> {
        let Some(port) = nfs_port(table) else { return Ok(None) };
        match Self::at(port, socket) {
            Ok(Some(nfs)) => return Ok(Some(nfs)),
            Ok(None) => say!("cpud: CPU_FSTAB has NFS at port {port}, which this connection does not forward"),
            Err(error) => say!("cpud: cannot prepare NFS: {}", Sentence(error)),
        }
        Err(Failed(NOT_STARTED))
    }

    /// None: wire has not forwarded this port.
    fn at(port: u16, socket: &OwnedFd) -> Result<Option<Self>> {
        let (listener, wire) = fdpass::pair()?;
        FromSession::Nfs { port: port.into() }.send(socket, &[wire.as_fd()])?;
        let mut forwarded = [0];
        fdpass::receive(socket, &mut forwarded, true)?;
        if forwarded == [0] {
            return Ok(None);
        }
        let machine = fs::open(c"/proc/thread-self/ns/net", OFlags::RDONLY)?;
        mount::private_network()?;
        net::loopback_up()?;
        let server = net::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        if process::fork_apart()? {
            drop((machine, wire));
            listen(&server, &listener);
        }
        // The listener reads what the session sends on wire's end.
        Ok(Some(Self { machine, listener: wire }))
    }

    /// Gives the listener the file that gives the mount at `target` up. Only a sysfs that was mounted in the mount's
    /// network name space shows it.
    pub fn mounted(&self, target: &CStr) -> Result<()> {
        let device = fs::stat(target)?.st_dev;
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let path = cpath!("/tmp/root/fs/nfs/{major}:{minor}/shutdown").ok_or(Errno::NAMETOOLONG)?;
        mount::mount(c"sysfs", c"/tmp/root", c"sysfs", MountFlags::NOSUID, None)?;
        let file = fs::open(path.as_c_str(), OFlags::WRONLY);
        mount::unmount(c"/tmp/root", UnmountFlags::DETACH)?;
        fdpass::send(&self.listener, &[0], &[file?.as_fd()])
    }

    /// Returns to the machine's network.
    pub fn leave(self) -> Result<()> {
        mount::enter_network(&self.machine)
    }
}

/// Accepts connections for wire until that closes its socket, then ends the process.
fn listen(server: &OwnedFd, wire: &OwnedFd) -> ! {
    process::set_name(c"cpud listener");
    process::close_all_but(0, &[server.as_fd(), wire.as_fd()]);
    let mut shutdown = None;
    loop {
        let mut fds = [PollFd::new(server, PollFlags::IN), PollFd::new(wire, PollFlags::IN)];
        // An error is EINTR at most, after which nothing is ready.
        let _ = poll(&mut fds, None);
        let [connecting, talking] = fds.map(|fd| !fd.revents().is_empty());
        if connecting && let Ok(Some((connection, _))) = net::accept(server) {
            let _ = fdpass::send(wire, &[0], &[connection.as_fd()]);
        }
        if talking {
            match fdpass::receive(wire, &mut [0; 1], false) {
                Ok((1.., fds)) => shutdown = fds.into_iter().next(),
                Err(Errno::AGAIN) => {}
                Ok((0, _)) | Err(_) => break,
            }
        }
    }
    if let Some(file) = shutdown {
        let _ = rustix::io::write(file, b"1");
    }
    process::exit(0)
}
