//! The AUTHORIZED_KEYS FILE FORMAT of sshd(8).
//!
//! A line is `[options] keytype base64 [comment]`; empty lines and lines that begin with `#` are
//! skipped. A key with an option that is not honoured is refused: most options take a right away, and
//! a key that does not work is better than one with rights that it was not meant to have.

use core::{error, fmt};

use heapless::Vec;

use super::base64::{self, Base64Error};
use super::{KeyError, PublicKey};

/// The blob of an RSA key of 16384 bits, the largest that OpenSSH reads: it is refused by its size
/// and not as damaged.
const BLOB_MAX: usize = (4 + 7) + (4 + 5) + (4 + 1 + 16384 / 8);

/// How a PEM file begins (RFC 7468): a private key, perhaps.
const PEM: &[u8] = b"-----BEGIN ";

/// The words that a problem shows: sshd(8)'s options and OpenSSH's other key types. Any other word may be part of a
/// secret, when somebody has given the wrong file.
const NAMES: &str = "agent-forwarding cert-authority command environment expiry-time from no-port-forwarding no-pty \
    no-touch-required permitlisten permitopen port-forwarding principals pty restrict tunnel user-rc verify-required \
    X11-forwarding ssh-dss ecdsa-sha2-nistp384 ecdsa-sha2-nistp521 sk-ssh-ed25519@openssh.com \
    sk-ecdsa-sha2-nistp256@openssh.com";

/// The options that take away what this server gives nobody.
const HONOURED: [&[u8]; 3] = [b"no-agent-forwarding", b"no-user-rc", b"no-X11-forwarding"];

/// A line with a key that may log in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry<'a> {
    /// From 1.
    pub line: usize,
    /// As written, empty when there are none.
    pub options: &'a [u8],
    /// `ssh-ed25519`, `ecdsa-sha2-nistp256` or `ssh-rsa`.
    pub key_type: &'static str,
    /// The public key blob (RFC 4253 section 6.6).
    pub blob: Vec<u8, BLOB_MAX>,
    /// The rest of the line, often empty.
    pub comment: &'a [u8],
}

/// A line that lets nobody in, though it is neither empty nor a comment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Problem<'a> {
    /// From 1.
    pub line: usize,
    /// What is wrong, the first thing from the left.
    pub reason: Reason<'a>,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason<'a> {
    /// A PEM file begins, and nothing behind it is read.
    Pem,
    /// A carriage return within: lines end with a line feed, and what follows would be a comment.
    CarriageReturn,
    /// A quotation mark is not closed.
    Quote,
    /// An option that is unknown or not supported, without its value.
    Option(&'a [u8]),
    /// A key type that is unknown or not supported.
    KeyType(&'a [u8]),
    /// The line ends before the key.
    NoKey,
    /// The key is not base 64.
    Base64,
    /// The key is longer than any that OpenSSH makes.
    TooLong,
    /// The key in the base 64 is of another type than the word before it says.
    TypeMismatch,
    /// The key cannot be used.
    Key(KeyError),
}

/// The entries of a file in their order, and the lines that are none. Where a PEM file begins is a problem, and nothing
/// behind it is read.
pub fn parse(file: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, Problem<'_>>> {
    let lines = file.split(|&b| b == b'\n').map(<[u8]>::trim_ascii);
    let mut ended = false;
    lines
        .take_while(move |text| !core::mem::replace(&mut ended, text.starts_with(PEM)))
        .zip(1..)
        .filter(|(text, _)| !text.is_empty() && (!text.starts_with(b"#") || text.contains(&b'\r')))
        .map(|(text, line)| entry(text, line).map_err(|reason| Problem { line, reason }))
}

fn entry(text: &[u8], line: usize) -> Result<Entry<'_>, Reason<'_>> {
    if text.starts_with(PEM) {
        return Err(Reason::Pem);
    }
    if text.contains(&b'\r') {
        return Err(Reason::CarriageReturn);
    }
    let (first, rest) = split(text, unquoted_end(text, b" \t").ok_or(Reason::Quote)?);
    let (options, key_type, rest) = if is_options(first, rest) {
        check_options(first)?;
        let (key_type, rest) = split_word(rest);
        (first, key_type, rest)
    } else {
        (&[][..], first, rest)
    };
    let (base64, comment) = split_word(rest);
    if base64.is_empty() {
        return Err(Reason::NoKey);
    }
    if !is_key_type(key_type) {
        return Err(Reason::KeyType(key_type));
    }
    let mut blob = Vec::from_array([0; BLOB_MAX]);
    let end = base64::decode(&mut base64.iter().copied(), &mut blob).map_err(|e| match e {
        Base64Error::Invalid => Reason::Base64,
        Base64Error::NoRoom => Reason::TooLong,
    })?;
    blob.truncate(end);
    let found = PublicKey::parse(&blob).map_err(Reason::Key)?.type_name();
    if found.as_bytes() != key_type {
        return Err(Reason::TypeMismatch);
    }
    Ok(Entry { line, options, key_type: found, blob, comment })
}

/// Whether the first word of a line is its options, though it may be none that is known.
///
/// The blob of a key begins with the length of its type's name, in 4 bytes, and so its base 64 with
/// `AAAA`: a word in front of that is a key type.
fn is_options(first: &[u8], rest: &[u8]) -> bool {
    !is_key_type(first) && !rest.starts_with(b"AAAA")
}

fn is_key_type(word: &[u8]) -> bool {
    PublicKey::TYPES.iter().any(|name| name.as_bytes() == word)
}

fn check_options(mut options: &[u8]) -> Result<(), Reason<'_>> {
    loop {
        let end = unquoted_end(options, b",").ok_or(Reason::Quote)?;
        let option = &options[..end];
        if !HONOURED.iter().any(|honoured| option.eq_ignore_ascii_case(honoured)) {
            let name = option.split(|&b| b == b'=').next().unwrap_or(option);
            return Err(Reason::Option(name));
        }
        match options.get(end + 1..) {
            Some(rest) => options = rest,
            None => return Ok(()),
        }
    }
}

/// The place of the first of `stops` outside of quotation marks, or the end; none when a quotation mark
/// is not closed. One after a backslash is an ordinary character.
fn unquoted_end(text: &[u8], stops: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut before = 0;
    for (at, &byte) in text.iter().enumerate() {
        if byte == b'"' && before != b'\\' {
            quoted = !quoted;
        } else if !quoted && stops.contains(&byte) {
            return Some(at);
        }
        before = byte;
    }
    (!quoted).then_some(text.len())
}

fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    split(text, text.iter().position(|b| b" \t".contains(b)).unwrap_or(text.len()))
}

/// The text before `at`, and what follows after blanks.
fn split(text: &[u8], at: usize) -> (&[u8], &[u8]) {
    let (word, rest) = text.split_at(at);
    (word, rest.trim_ascii_start())
}

/// The name, when it is one that may be shown.
fn known(name: &[u8]) -> Option<&'static str> {
    NAMES.split_ascii_whitespace().find(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "authorized keys, line {}: {}", self.line, self.reason)
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quote => f.write_str("a quotation mark is not closed"),
            Self::Pem => f.write_str("a private key, or another PEM file, begins here, and a public key is wanted"),
            Self::CarriageReturn => f.write_str("a carriage return alone does not end a line: end it with a line feed"),
            Self::Option(name) => match known(name) {
                Some(name) => write!(f, "the option \"{name}\" is not supported, so the key is refused"),
                None => f.write_str("it begins with no type of key and no option that is known"),
            },
            Self::KeyType(name) => match known(name) {
                Some(name) => write!(f, "keys of type \"{name}\" are not supported"),
                None => f.write_str("keys of its type are not supported"),
            },
            Self::NoKey => f.write_str("the key is missing"),
            Self::Base64 => f.write_str("the key is not base 64"),
            Self::TooLong => f.write_str("the key is too long"),
            Self::TypeMismatch => f.write_str("the key is of another type than the line says"),
            Self::Key(reason) => reason.fmt(f),
        }
    }
}

impl error::Error for Problem<'_> {}

#[cfg(test)]
mod tests;
