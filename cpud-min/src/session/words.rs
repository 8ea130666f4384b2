//! The words that cpud answers itself on the appliance, which has no programs: enough to look at a box and to restart
//! it with nothing but ssh.

use core::ffi::CStr;
use core::fmt::{self, Write};
use core::mem::MaybeUninit;
use core::ops::Range;

use linux_raw_sys::general::{SIGTERM, SIGUSR1, SIGUSR2};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{OFlags, RawDir};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use crate::config::VERSION;
use crate::limits::RECORDS;
use crate::plan::flash::{PAYLOAD, payload};
use crate::plan::strings::{Iter, Strings};
use crate::sys::errno::Sentence;
use crate::sys::process::Pid;
use crate::sys::{console, fs, memory, now, process};
use crate::{cpath, say};

/// SHA-256.
type Hash = [u8; 32];

type Answer = fn(&mut Iter<'_>) -> rustix::io::Result<()>;

/// The words, what they do, and the function that answers, given the arguments. The first [`OWN`] ones go before a
/// shell.
const WORDS: [(&CStr, &str, Answer); OWN + 4] = [
    (c"help", "this list", help),
    (c"version", "cpud's commit, the kernel's version, the hash of what runs", version),
    (c"uptime", "how long the appliance has been up", uptime),
    (c"sessions", "who is logged in and runs what", sessions),
    (c"log", "what cpud has said on the console", log),
    (c"dmesg", "the kernel's messages, and cpud's", dmesg),
    (c"reboot", "start again", reboot),
    (c"poweroff", "switch off", poweroff),
    (c"halt", "stop, without switching off", halt),
    // Other programs run these to see whether a box is there.
    (c"cat", "what it reads, until that ends", cat),
    (c"echo", "the words behind it", echo),
    (c"ls", "the names in a directory", ls),
    (c"true", "nothing", |_| Ok(())),
];
const OWN: usize = 9;

/// Whether the first word of a line is one that goes before a shell.
pub fn is_own(line: &[u8]) -> bool {
    let word = line.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or_default();
    WORDS[..OWN].iter().any(|(known, ..)| known.to_bytes() == word)
}

/// Answers the command if it is one of the words; whether that worked.
pub fn answer(command: &Strings<'_>) -> Option<bool> {
    let mut words = command.iter();
    let word = words.next()?;
    let (_, _, answer) = WORDS.iter().find(|(known, ..)| *known == word)?;
    match answer(&mut words) {
        // Nobody reads it any more.
        Ok(()) | Err(Errno::PIPE) => Some(true),
        Err(error) => {
            say!("cpud: {}: {}", text(word), Sentence(error));
            Some(false)
        }
    }
}

/// Prints one line.
fn print(text: fmt::Arguments<'_>) -> rustix::io::Result<()> {
    let mut line = console::Text::<512>::new();
    let _ = fmt::write(&mut line, text);
    line.end_line();
    console::write_out(line.as_bytes())
}

fn help(_: &mut Iter<'_>) -> rustix::io::Result<()> {
    print(format_args!(
        "This is a cpu appliance: `cpu HOST command` runs a command of yours here. Of its own it has:"
    ))?;
    WORDS.iter().try_for_each(|(word, what, _)| print(format_args!("  {:10}{what}", word.to_str().unwrap_or(""))))
}

/// Prints the versions; the last line is as in `hashes.txt`.
fn version(_: &mut Iter<'_>) -> rustix::io::Result<()> {
    let kernel = rustix::system::uname();
    print(format_args!("cpud {VERSION}, Linux {} {}", text(kernel.release()), text(kernel.machine())))?;
    let (hash, name) = what_runs()?;
    let mut line = console::Text::<128>::new();
    hash.iter().try_for_each(|byte| write!(line, "{byte:02x}")).and_then(|()| write!(line, "  {name}")).ok();
    line.end_line();
    console::write_out(line.as_bytes())
}

/// SHA-256 and name of the payload in the flash part, or of this program if there is none.
fn what_runs() -> rustix::io::Result<(Hash, &'static str)> {
    if let Ok(flash) = fs::open(c"/dev/mtd0ro", OFlags::RDONLY)
        && let Some(place) = payload(&|at, out| rustix::io::pread(&flash, &mut *out, at) == Ok(out.len()))
    {
        return Ok((hash(&flash, place)?, PAYLOAD));
    }
    let program = fs::open(c"/proc/self/exe", OFlags::RDONLY)?;
    let size = rustix::fs::fstat(&program)?.st_size;
    Ok((hash(&program, 0..size as u64)?, "cpud"))
}

fn hash(file: &OwnedFd, place: Range<u64>) -> rustix::io::Result<Hash> {
    let (mut hash, mut at, mut buffer) = (Sha256::new(), place.start, [0; 4096]);
    while at < place.end {
        let most = (place.end - at).min(buffer.len() as u64) as usize;
        match rustix::io::pread(file, &mut buffer[..most], at)? {
            0 => return Err(Errno::IO),
            n => {
                hash.update(&buffer[..n]);
                at += n as u64;
            }
        }
    }
    Ok(hash.finalize().into())
}

fn text(string: &CStr) -> &str {
    string.to_str().unwrap_or("?")
}

fn uptime(_: &mut Iter<'_>) -> rustix::io::Result<()> {
    let seconds = now().0 / 1000;
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    print(format_args!("up {days} days, {hours:02}:{minutes:02}:{:02}", seconds % 60))
}

fn sessions(_: &mut Iter<'_>) -> rustix::io::Result<()> {
    let directory = fs::open(RECORDS, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(&directory, &mut buffer);
    print(format_args!("PROCESS CLIENT USER SINCE COMMAND"))?;
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = text(entry.file_name());
        if name.parse::<u32>().is_err() {
            continue;
        }
        let mut line = [0; 512];
        let path = cpath!("{}/{name}", text(RECORDS));
        // A session may end meanwhile.
        let Some(Ok(line)) = path.map(|p| fs::read_file(p.as_c_str(), &mut line)) else { continue };
        print(format_args!("{name} {}", core::str::from_utf8(line).unwrap_or("?")))?;
    }
    Ok(())
}

/// All messages that the kernel has kept.
fn dmesg(_: &mut Iter<'_>) -> rustix::io::Result<()> {
    let log = memory::pages(256 * 1024)?;
    let length = process::kernel_log(log)?;
    console::write_out(&log[..length])
}

fn log(_: &mut Iter<'_>) -> rustix::io::Result<()> {
    console::LOG.iter().rev().try_for_each(|path| match print_file(path) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    })
}

fn reboot(_: &mut Iter<'_>) -> rustix::io::Result<()> {
    print(format_args!("rebooting"))?;
    process::kill(Pid::INIT, SIGTERM);
    Ok(())
}

fn poweroff(_: &mut Iter<'_>) -> rustix::io::Result<()> {
    print(format_args!("switching off"))?;
    process::kill(Pid::INIT, SIGUSR2);
    Ok(())
}

fn halt(_: &mut Iter<'_>) -> rustix::io::Result<()> {
    print(format_args!("halting"))?;
    process::kill(Pid::INIT, SIGUSR1);
    Ok(())
}

fn cat(files: &mut Iter<'_>) -> rustix::io::Result<()> {
    let Some(first) = files.next() else {
        // Without a name it copies its input; labgrid's keepalive does that.
        return pass(console::input());
    };
    print_file(first)?;
    files.try_for_each(print_file)
}

fn print_file(path: &CStr) -> rustix::io::Result<()> {
    pass(fs::open(path, OFlags::RDONLY)?.as_fd())
}

/// Copies a file to standard output, until it ends.
fn pass(file: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(file, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => console::write_out(&buffer[..n])?,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

fn echo(words: &mut Iter<'_>) -> rustix::io::Result<()> {
    for (n, word) in words.enumerate() {
        console::write_out(if n == 0 { b"" } else { b" " })?;
        console::write_out(word.to_bytes())?;
    }
    console::write_out(b"\n")
}

fn ls(directories: &mut Iter<'_>) -> rustix::io::Result<()> {
    // Options change the form of the list, and there is one form.
    let named = directories.find(|word| !word.to_bytes().starts_with(b"-"));
    let directory = fs::open(named.unwrap_or(c"."), OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(&directory, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_bytes().starts_with(b".") {
            console::write_out(name.to_bytes())?;
            console::write_out(b"\n")?;
        }
    }
    Ok(())
}
