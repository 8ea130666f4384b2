//! Feeds the machine's watchdog while the machine can be reached: while init's loop runs, and connections are accepted.
//! When nobody connects, init connects to itself. So neither packets nor a missing network end in a restart.

use core::net::SocketAddr;

use rustix::fd::OwnedFd;
use rustix::io::Errno;

use super::quotas;
use crate::plan::kernel_line;
use crate::say;
use crate::sys::errno::Sentence;
use crate::sys::{fs, net, now, watchdog};

/// How many seconds it waits unless the kernel's command line says so. A shutdown takes up to 15.
const USUAL: usize = 60;

pub struct Watchdog {
    device: watchdog::Watchdog,
    /// How often init looks, and when next: four times before the machine restarts.
    every: u64,
    next: u64,
    /// Somebody was accepted since the last look.
    accepted: bool,
    /// init's connection to itself, and its address.
    own: Option<(OwnedFd, SocketAddr)>,
}

impl Watchdog {
    /// Arms the machine's watchdog, if it has one, at the end of a boot.
    pub fn arm() -> Option<Self> {
        let device = match watchdog::Watchdog::arm() {
            Ok(device) => device,
            Err(Errno::NOENT) => {
                say!("cpud: no watchdog: this kernel sees none");
                return None;
            }
            Err(error) => {
                say!("cpud: no watchdog: {}", Sentence(error));
                return None;
            }
        };
        if device.ended_last_boot() {
            say!("cpud: the last boot was ended by the watchdog: cpud or the kernel had stopped");
        }
        let mut room = [0; 4096];
        let line = fs::read_file(c"/proc/cmdline", &mut room).unwrap_or_default();
        let chosen = quotas::chosen(kernel_line::watchdog_seconds(line));
        let seconds = patience(chosen.unwrap_or(USUAL), now().0);
        let seconds = device.set_patience(seconds).unwrap_or(seconds);
        say!("cpud: the watchdog restarts this machine when cpud stops for {seconds} s");
        let every = seconds.unsigned_abs() as u64 * 250;
        Some(Self { device, every, next: now().0 + every, accepted: false, own: None })
    }

    /// When to [`Watchdog::look`] again.
    pub fn due(&self) -> u64 {
        self.next
    }

    /// Feeds it if somebody was accepted since the last look, or nobody can be; else connects to the listener.
    pub fn look(&mut self, listener: Option<&OwnedFd>) {
        if now().0 < self.next {
            return;
        }
        self.next = now().0 + self.every;
        self.own = None;
        match listener.filter(|_| !self.accepted).map(net::connect_to) {
            Some(Ok(own)) => self.own = Some(own),
            Some(Err(Errno::CONNREFUSED)) => {}
            // Without a loopback interface nobody can tell, and that is not init's fault.
            Some(Err(_)) | None => self.device.feed(),
        }
        self.accepted = false;
    }

    /// Takes note of a connection; true when it is init's own, which is then over.
    pub fn is_own(&mut self, socket: &OwnedFd, peer: SocketAddr) -> bool {
        self.accepted = true;
        let own = self.own.take_if(|(_, address)| *address == peer).is_some();
        if own {
            net::reset_at_close(socket);
            self.device.feed();
        }
        own
    }

    /// Gives a shutdown all of its time.
    pub fn feed(&self) {
        self.device.feed();
    }

    /// Lets a machine be off that is to be off.
    pub fn disarm(self) {
        self.device.disarm();
    }
}

/// At least three times what the boot has taken.
fn patience(seconds: usize, boot_ms: u64) -> i32 {
    let boots = i32::try_from(boot_ms.saturating_mul(3).div_ceil(1000)).unwrap_or(i32::MAX);
    boots.max(i32::try_from(seconds).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_has_three_times_its_time() {
        assert_eq!(patience(60, 2_500), 60);
        assert_eq!(patience(60, 25_001), 76);
        assert_eq!(patience(usize::MAX, u64::MAX), i32::MAX);
    }
}
