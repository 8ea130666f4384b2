//! Applies the settings in the flash part over what was built in. A child process does it, so that init never holds the
//! host key.

use core::ffi::CStr;

use rustix::io::{Errno, Result};

use crate::plan::cmdline::Arguments;
use crate::plan::kernel_line;
use crate::plan::quoted::Quoted;
use crate::plan::settings::{REGION, Settings, join};
use crate::say;
use crate::sys::errno::Sentence;
use crate::sys::process::{self, Fork};
use crate::sys::{fs, memory, net};

/// The flash part that the machine boots from, read-only.
const FLASH: &CStr = c"/dev/mtd0ro";

/// The interface that gets the address: the first.
const INTERFACE: &[u8] = b"eth0";

pub fn apply() {
    match process::fork() {
        Ok(Fork::Child) => {
            overlay();
            process::exit(0)
        }
        Ok(Fork::Parent(pid)) => drop(process::wait(pid)),
        Err(error) => say!("cpud: settings: {}", Sentence(error)),
    }
}

fn overlay() {
    name_of_kernel_line();
    let region = match memory::pages(REGION).and_then(|room| fs::read_start(FLASH, room)) {
        Ok(region) => region,
        Err(Errno::NOENT) => return say!("cpud: no settings: this kernel sees no flash part"),
        Err(error) => return say!("cpud: no settings: the flash part cannot be read: {}", Sentence(error)),
    };
    match Settings::parse(region) {
        Ok(settings) => {
            let Settings { hostname, address, gateway, .. } = settings;
            if let Some(name) = hostname {
                step("hostname", rustix::system::sethostname(name));
            }
            if let Some(address) = address {
                step("address", net::set_address(INTERFACE, address.ip, address.netmask()));
            }
            if let Some(gateway) = gateway {
                step("gateway", net::set_gateway(gateway));
            }
            step("authorized keys", write_lines(Arguments::APPLIANCE.authorized_keys, settings.authorized_keys()));
            step("host key", write_lines(Arguments::APPLIANCE.host_key, settings.host_key()));
            let (keys, host_keys) = (settings.authorized_keys().count(), settings.host_key().count().min(1));
            let name = Quoted(hostname.unwrap_or_default());
            say!("cpud: settings from flash: name {name}, {keys} authorized keys, {host_keys} host key");
        }
        Err(error) => say!("cpud: no settings, only what was built in: the flash part's are {error}"),
    }
}

/// Sets the host name of the kernel's command line, which the kernel's own `ip=dhcp` has replaced by the address.
fn name_of_kernel_line() {
    let mut room = [0; 4096];
    let line = fs::read_file(c"/proc/cmdline", &mut room).unwrap_or_default();
    match kernel_line::hostname(line) {
        Some(Ok(name)) => step("hostname", rustix::system::sethostname(name)),
        Some(Err(error)) => say!("cpud: {error}"),
        None => {}
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
    if text.is_empty() { Ok(()) } else { fs::create_file(path, text) }
}
