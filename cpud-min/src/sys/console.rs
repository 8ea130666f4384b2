//! Lines for the person at the console: standard error, which the kernel opens on /dev/console for PID 1.

use core::ffi::CStr;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::fd::BorrowedFd;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io;

/// A line of printable ASCII, cut to 400 bytes. Other characters, chosen by a stranger, can turn a terminal's direction
/// or look like ASCII.
pub type Line = Text<400, true>;

/// Text of at most `N` bytes in which control characters, ends of lines too, become `\u{...}`: a peer's text can be
/// shown and cannot start a line of its own. `ASCII`: so does everything beyond ASCII.
pub struct Text<const N: usize, const ASCII: bool = false>(heapless::Vec<u8, N>);

impl<const N: usize, const ASCII: bool> Text<N, ASCII> {
    pub const fn new() -> Self {
        Self(heapless::Vec::new())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Ends the line.
    pub fn end_line(&mut self) {
        let _ = self.0.push(b'\n');
    }
}

impl<const N: usize, const ASCII: bool> Default for Text<N, ASCII> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize, const ASCII: bool> core::fmt::Write for Text<N, ASCII> {
    /// Text that does not fit is dropped.
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        let mut utf8 = [0; 4];
        for c in s.chars() {
            let escaped = c.is_control() || (ASCII && !c.is_ascii());
            let fits = if escaped {
                self.0.capacity() - self.0.len() >= ESCAPE && write!(self, "\\u{{{:x}}}", u32::from(c)).is_ok()
            } else {
                self.0.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes()).is_ok()
            };
            if !fits {
                break;
            }
        }
        Ok(())
    }
}

/// The longest `\u{...}`.
const ESCAPE: usize = 10;

/// The one function behind [`say!`](crate::say).
#[inline(never)]
pub fn say(text: core::fmt::Arguments<'_>) {
    let mut line = Text::<400>::new();
    let _ = line.write_fmt(text);
    write_line(line.as_bytes());
}

/// Writes the line and an end of line in one call, so that lines of several processes do not mix.
pub fn write_line(text: &[u8]) {
    static CUT: AtomicBool = AtomicBool::new(false);
    // SAFETY: standard error is open in every role that prints, and is never closed there.
    write_line_to(unsafe { rustix::stdio::stderr() }, &CUT, text);
    if super::process::own_pid().is_init() {
        remember(text);
        keep(text);
    }
}

/// Adds a line to the kernel's messages (kernel/printk/printk.c, devkmsg_write), at a level that its console does not
/// show. Opened each time: an open file is held to ten lines in five seconds.
fn remember(text: &[u8]) {
    if let Ok(kmsg) = super::fs::open(c"/dev/kmsg", OFlags::WRONLY) {
        let mut line = heapless::Vec::<u8, 512>::from_iter(*b"<6>");
        let _ = line.extend_from_slice(&text[..text.len().min(500)]);
        let _ = io::write(&kmsg, &line);
    }
}

/// PID 1's log and the one before it, at most 64 KiB each.
pub const LOG: [&CStr; 2] = [c"/run/cpud/log", c"/run/cpud/log.1"];
const LOG_MAX: u64 = 64 * 1024;

/// Appends a line, with the seconds since the start, to the log, if its directory exists.
fn keep(text: &[u8]) {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC;
    let Ok(log) = rustix::fs::open(LOG[0], flags, Mode::from_raw_mode(0o644)) else { return };
    let (mut line, now) = (Text::<512>::new(), super::now().0);
    let _ = write!(line, "[{:5}.{:03}] ", now / 1000, now % 1000);
    let _ = line.0.extend_from_slice(&text[..text.len().min(480)]);
    line.end_line();
    let _ = io::write(&log, line.as_bytes());
    if rustix::fs::tell(&log).is_ok_and(|end| end >= LOG_MAX) {
        let _ = rustix::fs::rename(LOG[0], LOG[1]);
    }
}

/// `cut`: the console has not taken all of the line before, which therefore has no end.
fn write_line_to(console: BorrowedFd<'_>, cut: &AtomicBool, text: &[u8]) {
    let mut out = heapless::Vec::<u8, 512>::new();
    if cut.load(Relaxed) {
        let _ = out.push(b'\n');
    }
    let _ = out.extend_from_slice(&text[..text.len().min(510)]);
    let _ = out.push(b'\n');
    if let Ok(n) = io::write(console, &out) {
        cut.store(n < out.len(), Relaxed);
    }
}

/// Makes standard error drop what it cannot take. A ^S on the console's wire, or a pipe that nobody reads, would hold
/// init up for good.
pub fn never_wait() {
    // SAFETY: standard error is open, and init does not close it.
    let stderr = unsafe { rustix::stdio::stderr() };
    // Pipes and terminals are opened anew, so that others who share them stay blocking. A file never waits, and a new
    // opening would start at its beginning.
    match rustix::fs::fstat(stderr).map(|status| FileType::from_raw_mode(status.st_mode)) {
        Ok(FileType::Fifo | FileType::CharacterDevice) => {
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
            match super::fs::open(c"/proc/self/fd/2", flags).and_then(rustix::stdio::dup2_stderr) {
                Ok(()) => {}
                Err(_) => drop(super::fs::set_nonblocking(stderr)),
            }
        }
        Ok(FileType::Socket) => drop(super::fs::set_nonblocking(stderr)),
        _ => {}
    }
}

/// Standard input.
pub fn input() -> BorrowedFd<'static> {
    // SAFETY: a session's standard input is open, and it does not close it.
    unsafe { rustix::stdio::stdin() }
}

/// Writes all of `text` to standard output (`--help`, and the words that cpud answers itself).
pub fn write_out(mut text: &[u8]) -> io::Result<()> {
    while !text.is_empty() {
        // SAFETY: standard output is open.
        match io::write(unsafe { rustix::stdio::stdout() }, text) {
            Ok(n) => text = &text[n..],
            Err(io::Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Prints one formatted line on the console.
#[macro_export]
macro_rules! say {
    ($($arg:tt)*) => {
        $crate::sys::console::say(format_args!($($arg)*))
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;

    #[test]
    fn a_name_cannot_make_a_second_line_or_move_the_cursor() {
        let mut line = Line::new();
        let name = "jörg\r\ncpud: accepted\x1b[2J\u{9b}2J";
        write!(line, "refused \"{name}\"").unwrap();
        assert_eq!(
            core::str::from_utf8(line.as_bytes()),
            Ok(r#"refused "j\u{f6}rg\u{d}\u{a}cpud: accepted\u{1b}[2J\u{9b}2J""#)
        );
        let mut line = Line::new();
        write!(line, "a\u{202e}b\u{2028}c\u{10ffff}").unwrap();
        assert_eq!(core::str::from_utf8(line.as_bytes()), Ok(r"a\u{202e}b\u{2028}c\u{10ffff}"));
        let mut own = Text::<400>::new();
        write!(own, "/home/jörg\x1b").unwrap();
        assert_eq!(core::str::from_utf8(own.as_bytes()), Ok(r"/home/jörg\u{1b}"));
    }

    #[test]
    fn a_line_is_cut_between_two_characters() {
        let mut line = Text::<4>::new();
        write!(line, "abcöö").unwrap();
        assert_eq!(line.as_bytes(), b"abc");
    }

    #[test]
    fn a_line_that_the_console_took_in_part_ends_before_the_next() {
        let (master, console) = crate::sys::tty::open().unwrap();
        crate::sys::fs::set_nonblocking(&console).unwrap();
        let (cut, mut shown, mut room) = (AtomicBool::new(false), std::vec::Vec::new(), [0; 1000]);
        // The console is slower than the lines come; it is drained before the last.
        for round in 0..200 {
            for _ in 0..if round < 199 { 1000 } else { 1 } {
                write_line_to(console.as_fd(), &cut, b"cpud: a line of a stranger's");
            }
            let mut left = if round < 198 { 1 } else { usize::MAX };
            while left > 0
                && let Ok(n) = io::read(&master, &mut room)
            {
                shown.extend_from_slice(&room[..n]);
                left -= 1;
            }
        }
        let shown = std::string::String::from_utf8(shown).unwrap();
        assert_eq!(shown.lines().find(|line| line.rfind("cpud:").is_some_and(|at| at > 0)), None);
    }
}
