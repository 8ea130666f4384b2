//! The string of an `exec` request (RFC 4254 section 6.5): where the client's files are, and the
//! command's words.

use core::ffi::CStr;
use core::fmt::{self, Display, Formatter};

use super::number::number;
use super::quoted::Quoted;
use super::strings::{Refusal, Strings};

/// The most words in a command: 256 KiB, Go's largest packet, at the stock client's shortest word
/// `'a' `.
pub const MAX_WORDS: usize = 65_536;

/// The stock client's generations, which differ in how 9P starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Generation {
    /// No nonce, no fstab; the words are for the shell.
    V2,
    /// The server writes the nonce first, and `CPU_FSTAB` says what is mounted where.
    V3,
}

/// The 9P service that the client offers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ninep {
    /// The port of its `tcpip-forward` request, from 1 to 65535.
    pub port: u16,
    pub generation: Generation,
}

/// A parsed `exec` string.
#[derive(Debug)]
pub struct ExecLine<'a> {
    /// `None`: the client serves no files.
    pub ninep: Option<Ninep>,
    /// What to run: the command first. Empty: run `$SHELL`.
    pub words: Strings<'a>,
}

/// Why an `exec` string was not understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExecLineError<'c> {
    /// The 9P port is not a number from 1 to 65535.
    Port(&'c [u8]),
    /// The string ends within quotes, or after a backslash.
    Unfinished(char),
    /// A word, counted from 1, that execve(2) would not take.
    Word { number: usize, refusal: Refusal },
}

impl Display for ExecLineError<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, "the 9P port {} is not a number from 1 to 65535", Quoted(port)),
            Self::Unfinished(quote) => write!(f, "the command line ends after an unclosed {quote}"),
            Self::Word { number, refusal } => {
                write!(f, "word {number} of the command line {refusal}")
            }
        }
    }
}

impl<'a> ExecLine<'a> {
    /// Wraps a typed line for the shell of the name space, as sshd does.
    pub fn by_shell<'c>(shell: &CStr, command: &'c [u8], room: &'a mut [u8]) -> Result<Self, ExecLineError<'c>> {
        let mut words = Strings::new(room, MAX_WORDS);
        for word in [shell.to_bytes(), b"-c", command] {
            words.add(&[word]).map_err(|refusal| ExecLineError::Word { number: words.len() + 1, refusal })?;
        }
        Ok(Self { ninep: None, words })
    }

    /// Reads `command`, which has one of three forms:
    ///
    /// ```text
    /// -port9p=NNNN 'WORD'...                        becomes V3, WORD...
    /// BIN -remote -port9p NNNN -bin BIN WORD...     becomes V2, /bin/sh -c 'WORD...'
    /// WORD...                                       becomes no 9P, WORD...
    /// ```
    ///
    /// The first two are recognised by how the stock clients print them, byte for byte: V3 begins
    /// with `-port9p=` unquoted and without a blank before it, as no word of a user's can. Words
    /// are split as a POSIX shell does (XCU 2.2), but nothing is expanded, and `#`, `|`, `;`, `&`,
    /// `<`, `>` and parentheses are ordinary bytes. A line that [`is_typed`] comes here only where
    /// there is no shell.
    ///
    /// `room` takes the words, each with a NUL.
    pub fn parse<'c>(command: &'c [u8], room: &'a mut [u8]) -> Result<Self, ExecLineError<'c>> {
        let (ninep, text) = ninep(command)?;
        let mut words = Strings::new(room, MAX_WORDS);
        let split = match ninep.map(|ninep| ninep.generation) {
            Some(Generation::V2) => shell_command(text, &mut words),
            Some(Generation::V3) | None => each_word(text, &mut words),
        };
        split.map_err(|fault| match fault {
            Fault::Unfinished(quote) => ExecLineError::Unfinished(quote),
            Fault::Refused(refusal) => ExecLineError::Word { number: words.len() + 1, refusal },
        })?;
        Ok(Self { ninep, words })
    }
}

/// The 9P service that the line names, and the rest of the line, its words.
fn ninep(command: &[u8]) -> Result<(Option<Ninep>, &[u8]), ExecLineError<'_>> {
    let (generation, port, words) = if let Some(rest) = command.strip_prefix(b"-port9p=") {
        let (port, words) = cut(rest);
        (Generation::V3, port, words)
    } else if let Some((port, words)) = v2(command) {
        (Generation::V2, port, words)
    } else {
        return Ok((None, command));
    };
    let port = number(port).filter(|&port| port != 0).ok_or(ExecLineError::Port(port))?;
    Ok((Some(Ninep { port, generation }), words))
}

/// Whether a person, or a program that expects a shell here, wrote the line. The stock clients serve files, or quote
/// each word in single quotes, and single quotes in double ones or behind a backslash.
pub fn is_typed(command: &[u8]) -> bool {
    let mut text = command;
    if text.starts_with(b"-port9p=") || is_v2(text) {
        return false;
    }
    loop {
        text = match text {
            [] => return false,
            [b' ', rest @ ..] | [b'"', b'\'', b'"', rest @ ..] | [b'\\', b'\'', rest @ ..] => rest,
            [b'\'', rest @ ..] => match after_quote(rest) {
                Some(rest) => rest,
                None => return true,
            },
            _ => return true,
        };
    }
}

/// Whether the line has something only a shell does: an operator outside of quotes, or an expansion outside of single
/// quotes.
pub fn needs_shell(mut text: &[u8]) -> bool {
    let mut doubled = false;
    loop {
        text = match text {
            [] => return false,
            [b'\\', _, rest @ ..] => rest,
            [b'\'', rest @ ..] if !doubled => after_quote(rest).unwrap_or_default(),
            [b'"', rest @ ..] => {
                doubled = !doubled;
                rest
            }
            [b'$' | b'`', ..] => return true,
            [b'|' | b'&' | b';' | b'<' | b'>' | b'(' | b')', ..] if !doubled => return true,
            [_, rest @ ..] => rest,
        };
    }
}

/// The text after the next single quote.
fn after_quote(text: &[u8]) -> Option<&[u8]> {
    text.iter().position(|&byte| byte == b'\'').map(|end| &text[end + 1..])
}

/// Whether the line is from a V2 client.
pub fn is_v2(command: &[u8]) -> bool {
    v2(command).is_some()
}

/// The port and the words of V2's `BIN -remote -port9p PORT -bin BIN WORDS`.
fn v2(command: &[u8]) -> Option<(&[u8], &[u8])> {
    let (bin, rest) = cut(command);
    let (port, rest) = cut(rest.strip_prefix(b"-remote -port9p ")?);
    let (again, words) = cut(rest.strip_prefix(b"-bin ")?);
    (bin == again).then_some((port, words))
}

/// Splits at the first blank.
fn cut(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|&byte| byte == b' ') {
        Some(blank) => (&text[..blank], &text[blank + 1..]),
        None => (text, b""),
    }
}

/// Splits `text` into the words of the command.
fn each_word(mut text: &[u8], words: &mut Strings<'_>) -> Result<(), Fault> {
    while let Some(start) = next_word(text) {
        text = word(start, words)?;
        words.finish()?;
    }
    Ok(())
}

/// Splits the words as V2 does: their quotes are removed, they are joined by blanks, and a shell reads them again.
fn shell_command(mut text: &[u8], words: &mut Strings<'_>) -> Result<(), Fault> {
    let Some(mut start) = next_word(text) else {
        return Ok(());
    };
    words.add(&[b"/bin/sh"])?;
    words.add(&[b"-c"])?;
    loop {
        text = word(start, words)?;
        match next_word(text) {
            Some(next) => start = next,
            None => return Ok(words.finish()?),
        }
        words.put(b" ")?;
    }
}

/// Where the next word begins, when there is one.
fn next_word(mut text: &[u8]) -> Option<&[u8]> {
    while let [b' ' | b'\t' | b'\n', rest @ ..] | [b'\\', b'\n', rest @ ..] = text {
        text = rest;
    }
    (!text.is_empty()).then_some(text)
}

/// Copies the first word of `text` without its quotes. Returns what follows it.
fn word<'c>(mut text: &'c [u8], words: &mut Strings<'_>) -> Result<&'c [u8], Fault> {
    loop {
        text = match text {
            [] | [b' ' | b'\t' | b'\n', ..] => return Ok(text),
            [b'\'', rest @ ..] => single_quoted(rest, words)?,
            [b'"', rest @ ..] => double_quoted(rest, words)?,
            [b'\\'] => return Err(Fault::Unfinished('\\')),
            [b'\\', b'\n', rest @ ..] => rest,
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
                words.put(&[*byte])?;
                rest
            }
        };
    }
}

/// Within single quotes nothing has a meaning until the next `'`.
fn single_quoted<'c>(text: &'c [u8], words: &mut Strings<'_>) -> Result<&'c [u8], Fault> {
    let rest = after_quote(text).ok_or(Fault::Unfinished('\''))?;
    words.put(&text[..text.len() - rest.len() - 1])?;
    Ok(rest)
}

/// A backslash has a meaning only before the bytes that have one within double quotes (XCU 2.2.3).
fn double_quoted<'c>(mut text: &'c [u8], words: &mut Strings<'_>) -> Result<&'c [u8], Fault> {
    loop {
        text = match text {
            [] => return Err(Fault::Unfinished('"')),
            [b'"', rest @ ..] => return Ok(rest),
            [b'\\', b'\n', rest @ ..] => rest,
            [b'\\', byte @ (b'$' | b'`' | b'"' | b'\\'), rest @ ..] | [byte, rest @ ..] => {
                words.put(&[*byte])?;
                rest
            }
        };
    }
}

/// Why the words cannot be split.
enum Fault {
    Unfinished(char),
    Refused(Refusal),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

#[cfg(test)]
mod tests;
