//! The few words that cpud answers itself on the appliance, where there is no program: enough to look at a box and to
//! start it again with nothing but ssh.

use core::ffi::CStr;
use core::fmt;
use core::mem::MaybeUninit;

use linux_raw_sys::general::{SIGTERM, SIGUSR2};
use rustix::fs::{OFlags, RawDir};

use crate::plan::strings::Strings;
use crate::sys::process::Pid;
use crate::sys::{console, fs, memory, now, process};
use crate::{VERSION, cpath};

/// Where each session leaves a line about itself.
pub const RECORDS: &CStr = c"/run/cpud";

type Answer = fn() -> rustix::io::Result<()>;

/// The words, what they do, and who answers.
const WORDS: [(&CStr, &str, Answer); 7] = [
    (c"help", "this list", help),
    (c"version", "the versions of cpud and of the kernel", version),
    (c"uptime", "how long the appliance has been up", uptime),
    (c"sessions", "who is logged in and runs what", sessions),
    (c"dmesg", "the kernel's messages", dmesg),
    (c"reboot", "start again", reboot),
    (c"poweroff", "switch off", poweroff),
];

/// Answers the command if it is one of the words.
pub fn answer(command: &Strings<'_>) -> bool {
    let mut words = command.iter();
    let word = words.next().unwrap_or(c"");
    match WORDS.iter().find(|(known, ..)| *known == word) {
        Some((_, _, answer)) => {
            // An answer fails only when nobody reads it any more.
            let _ = answer();
            true
        }
        None => false,
    }
}

/// Prints one line.
fn print(text: fmt::Arguments<'_>) -> rustix::io::Result<()> {
    let mut line = console::Text::<512>::new();
    let _ = fmt::write(&mut line, text);
    line.end_line();
    console::write_out(line.as_bytes())
}

fn help() -> rustix::io::Result<()> {
    print(format_args!(
        "This is a cpu appliance: `cpu HOST command` runs a command of yours here. Of its own it has:"
    ))?;
    WORDS.iter().try_for_each(|(word, what, _)| print(format_args!("  {:10}{what}", word.to_str().unwrap_or(""))))
}

fn version() -> rustix::io::Result<()> {
    let kernel = rustix::system::uname();
    print(format_args!("cpud {VERSION}, Linux {} {}", text(kernel.release()), text(kernel.machine())))
}

fn text(string: &CStr) -> &str {
    string.to_str().unwrap_or("?")
}

fn uptime() -> rustix::io::Result<()> {
    let seconds = now().0 / 1000;
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    print(format_args!("up {days} days, {hours:02}:{minutes:02}:{:02}", seconds % 60))
}

fn sessions() -> rustix::io::Result<()> {
    let directory = fs::open(RECORDS, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(&directory, &mut buffer);
    print(format_args!("PROCESS CLIENT USER SINCE COMMAND"))?;
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = text(entry.file_name());
        let mut line = [0; 512];
        let path = cpath!("{}/{name}", text(RECORDS));
        // `.` and `..`, and a session that ends meanwhile.
        let Some(Ok(line)) = path.map(|p| fs::read_file(p.as_c_str(), &mut line)) else { continue };
        print(format_args!("{name} {}", core::str::from_utf8(line).unwrap_or("?")))?;
    }
    Ok(())
}

fn dmesg() -> rustix::io::Result<()> {
    let log = memory::pages(256 * 1024)?;
    let length = process::kernel_log(log)?;
    console::write_out(&log[..length])
}

fn reboot() -> rustix::io::Result<()> {
    print(format_args!("rebooting"))?;
    process::kill(Pid::INIT, SIGTERM);
    Ok(())
}

fn poweroff() -> rustix::io::Result<()> {
    print(format_args!("switching off"))?;
    process::kill(Pid::INIT, SIGUSR2);
    Ok(())
}
