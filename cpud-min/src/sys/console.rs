//! Lines for the person at the console: standard error, which the kernel opens on /dev/console for PID 1.

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
    let mut out = heapless::Vec::<u8, 512>::new();
    let _ = out.extend_from_slice(&text[..text.len().min(510)]);
    let _ = out.extend_from_slice(b"\n");
    // SAFETY: standard error is open in every role that prints, and is never closed there.
    let _ = io::write(unsafe { rustix::stdio::stderr() }, &out);
}

/// From now on a line that the console does not take is lost: a ^S that came by its wire would hold up PID 1 for good.
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
}
