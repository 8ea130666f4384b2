//! `--check`: whether an appliance accepts what is about to be written for it. `scripts/` ask this, so that no other
//! parser accepts what the one at boot then refuses.

use core::ffi::CStr;

use ssh_lite::keys::host_key::HostKey;

use crate::keys::{self, Found};
use crate::limits::{RELAY_LEAST, RELAY_MOST};
use crate::plan::cmdline::Check;
use crate::plan::kernel_line;
use crate::plan::quoted::Quoted;
use crate::plan::settings::{self, REGION, Settings};
use crate::say;
use crate::sys::errno::Sentence;
use crate::sys::{console, fs, memory};

/// One refused line is enough: in a file that was given by mistake, every line is refused.
const SHOWN: usize = 1;

/// Reports what is wrong; true when nothing is. The public half of a good host key goes to standard output.
pub fn run(check: &Check<'_>) -> bool {
    let keys = check.authorized_keys.is_none_or(authorized_keys);
    let host_key = check.host_key.is_none_or(|path| keys::host_key_or_say(path).is_some_and(|key| show_public(&key)));
    let settings = check.settings.is_none_or(settings);
    let cmdline = check.cmdline.is_none_or(cmdline);
    keys && host_key && settings && cmdline
}

fn authorized_keys(path: &CStr) -> bool {
    keys::look_at_authorized_keys(path, SHOWN).is_some_and(|found| all_usable(path, &found))
}

fn all_usable(path: &CStr, found: &Found) -> bool {
    // Refused lines have been reported already.
    if found.usable + found.refused == 0 {
        keys::say_that_none_is_usable(path);
    }
    found.usable > 0 && found.refused == 0
}

fn show_public(key: &HostKey) -> bool {
    let mut line = console::Line::new();
    let _ = core::fmt::Write::write_fmt(&mut line, format_args!("{}", key.public_line()));
    line.end_line();
    console::write_out(line.as_bytes()).is_ok()
}

/// Checks the settings at the beginning of a ROM.
fn settings(path: &CStr) -> bool {
    let name = Quoted(path.to_bytes());
    let read = memory::pages(REGION).and_then(|room| Ok((fs::read_start(path, room)?, memory::pages(REGION)?)));
    let (region, room) = match read {
        Ok(both) => both,
        Err(error) => {
            say!("cpud: {name} cannot be read: {}", Sentence(error));
            return false;
        }
    };
    let settings = match Settings::parse(region) {
        Ok(settings) => settings,
        Err(error) => {
            say!("cpud: {name}: the settings are {error}");
            return false;
        }
    };
    let keys = settings::join(settings.authorized_keys(), room);
    let keys = keys.is_empty() || all_usable(path, &keys::look_at_lines(path, keys, SHOWN));
    let host_key = settings::join(settings.host_key(), room);
    let error = if host_key.is_empty() { None } else { keys::host_key_error(host_key) };
    if let Some(error) = &error {
        say!("cpud: {name}: nobody can connect: {error}");
    }
    keys && error.is_none()
}

/// Checks the kernel's command line.
fn cmdline(text: &CStr) -> bool {
    let error = kernel_line::check(text.to_bytes(), RELAY_LEAST..=RELAY_MOST).err();
    if let Some(error) = &error {
        say!("cpud: {error}");
    }
    error.is_none()
}
