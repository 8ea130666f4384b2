//! A peer's bytes inside a sentence for a person.

use core::fmt::{self, Display, Formatter, Write};

/// How many bytes are shown; `...` stands for the rest.
const SHOWN: usize = 128;

/// Shows bytes in double quotes. Control characters, which could move the reader's cursor, and what is not UTF-8 become
/// `\xNN`; quotes and backslashes get a backslash, so the end is unambiguous.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quoted<'a>(pub &'a [u8]);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (shown, tail) = self.0.split_at_checked(SHOWN).unwrap_or((self.0, b""));
        f.write_char('"')?;
        for chunk in shown.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '"' | '\\' => write!(f, "\\{c}")?,
                    _ if c.is_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                    _ => f.write_char(c)?,
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        f.write_str(if tail.is_empty() { "\"" } else { "\"..." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn text_is_shown_as_it_is_and_terminal_control_is_not() {
        assert_eq!(Quoted("/home/jörg".as_bytes()).to_string(), "\"/home/jörg\"");
        assert_eq!(Quoted(b"a\x1b[2Jb\xff").to_string(), "\"a\\x1b[2Jb\\xff\"");
        assert_eq!(Quoted(br#"a" and "b\"#).to_string(), r#""a\" and \"b\\""#);
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(Quoted(&[b'x'; SHOWN]).to_string().len(), SHOWN + 2);
        assert!(Quoted(&[b'x'; SHOWN + 1]).to_string().ends_with("x\"..."));
    }
}
