//! Lines for the person at the console: standard error, which the kernel opens on /dev/console for PID 1.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::fd::BorrowedFd;
use rustix::io;

/// One line of text: at most 400 bytes, what is longer is cut.
pub type Line = Text<400>;

/// Text of at most `N` bytes, in which control characters become `?`, ends of lines too: what a stranger sent can be
/// shown, and makes no line of its own.
pub struct Text<const N: usize>(heapless::Vec<u8, N>);

impl<const N: usize> Text<N> {
    pub const fn new() -> Self {
        Self(heapless::Vec::new())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What is written from here on is another line.
    pub fn end_line(&mut self) {
        let _ = self.0.push(b'\n');
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> core::fmt::Write for Text<N> {
    /// What does not fit is left out.
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        let mut utf8 = [0; 4];
        for c in s.chars() {
            let shown = if c.is_control() { '?' } else { c };
            if self.0.extend_from_slice(shown.encode_utf8(&mut utf8).as_bytes()).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// What [`say!`](crate::say) does, once for all its places.
#[inline(never)]
pub fn say(text: core::fmt::Arguments<'_>) {
    let mut line = Line::new();
    let _ = core::fmt::Write::write_fmt(&mut line, text);
    write_line(line.as_bytes());
}

/// Writes the line and an end of line in one call, so that lines of several processes do not mix.
pub fn write_line(text: &[u8]) {
    static CUT: AtomicBool = AtomicBool::new(false);
    // SAFETY: standard error is open in every role that prints, and is never closed there.
    write_line_to(unsafe { rustix::stdio::stderr() }, &CUT, text);
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

/// From now on what the console does not take of a line is lost: a ^S that came by its wire would hold up PID 1 for good.
pub fn never_wait() {
    // SAFETY: standard error is open, and init does not close it.
    let _ = super::fs::set_nonblocking(unsafe { rustix::stdio::stderr() });
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
    use core::fmt::Write;
    use rustix::fd::AsFd;

    #[test]
    fn a_name_cannot_make_a_second_line_or_move_the_cursor() {
        let mut line = Line::new();
        let name = "jörg\r\ncpud: accepted\x1b[2J\u{9b}2J";
        write!(line, "refused \"{name}\"").unwrap();
        assert_eq!(core::str::from_utf8(line.as_bytes()), Ok("refused \"jörg??cpud: accepted?[2J?2J\""));
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
        // It is slower than they come; what it holds is read before the last.
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
