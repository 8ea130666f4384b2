//! Applies the settings in the flash part over what was built in. A child process does it, so that init never holds the
//! host key. The child sends the network's settings to init, as lines.

use core::ffi::CStr;

use rustix::fd::OwnedFd;
use rustix::io::{Errno, Result};

use crate::plan::cmdline::Arguments;
use crate::plan::kernel_line;
use crate::plan::network::Network;
use crate::plan::quoted::Quoted;
use crate::plan::settings::{self, REGION, Settings, join};
use crate::say;
use crate::sys::errno::Sentence;
use crate::sys::process::{self, Fork};
use crate::sys::{fs, memory};

/// The flash part that the machine boots from, read-only.
const FLASH: &CStr = c"/dev/mtd0ro";

/// The most that the child may send.
pub const ROOM: usize = 256;

/// Replaces the keys that were built in, and reads the network's settings: those in flash before those of the kernel's
/// command line. `line` is the latter, and `room` is for the former.
pub fn apply<'a>(line: &'a [u8], room: &'a mut [u8; ROOM]) -> Network<'a> {
    let from_line = kernel_line::network(line, &mut |error| say!("cpud: {error}"));
    let from_flash = in_flash(room).unwrap_or_else(|error| {
        say!("cpud: settings: {}", Sentence(error));
        &[]
    });
    let mut network = Network::default();
    for line in from_flash.split(|&byte| byte == b'\n') {
        let (word, value) = settings::split(line);
        let _ = network.set(word, value);
    }
    from_line.overlaid_with(network)
}

/// Forks the child, which applies the settings. The network's lines come back.
fn in_flash(room: &mut [u8; ROOM]) -> Result<&[u8]> {
    let (from_child, to_init) = fs::pipe()?;
    match process::fork()? {
        Fork::Child => {
            overlay(&to_init);
            process::exit(0)
        }
        Fork::Parent(pid) => {
            drop(to_init);
            let mut end = 0;
            while let fs::Io::Moved(n) = fs::read(&from_child, &mut room[end..]) {
                end += n;
            }
            let _ = process::wait(pid);
            Ok(&room[..end])
        }
    }
}

fn overlay(to_init: &OwnedFd) {
    let region = match memory::pages(REGION).and_then(|room| fs::read_start(FLASH, room)) {
        Ok(region) => region,
        Err(Errno::NOENT) => return say!("cpud: no settings: this kernel sees no flash part"),
        Err(error) => return say!("cpud: no settings: the flash part cannot be read: {}", Sentence(error)),
    };
    match Settings::parse(region) {
        Ok(settings) => {
            for line in settings.network_lines() {
                fs::write(to_init, line);
                fs::write(to_init, b"\n");
            }
            step("authorized keys", write_lines(Arguments::APPLIANCE.authorized_keys, settings.authorized_keys()));
            step("host key", write_lines(Arguments::APPLIANCE.host_key, settings.host_key()));
            let (keys, host_keys) = (settings.authorized_keys().count(), settings.host_key().count().min(1));
            let name = Quoted(settings.network.hostname.unwrap_or_default());
            say!("cpud: settings from flash: name {name}, {keys} authorized keys, {host_keys} host key");
        }
        Err(error) => say!("cpud: no settings, only what was built in: the flash part's are {error}"),
    }
}

fn step(name: &str, result: Result<()>) {
    if let Err(error) = result {
        say!("cpud: settings: {name}: {}", Sentence(error));
    }
}

/// Replaces the file at `path`, unless there are no lines.
fn write_lines<'a>(path: &CStr, lines: impl Iterator<Item = &'a [u8]>) -> Result<()> {
    let text = join(lines, memory::pages(REGION)?);
    if text.is_empty() { Ok(()) } else { fs::create_file(path, text, 0o600) }
}
