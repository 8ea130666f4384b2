//! The command's environment, as `env` requests (RFC 4254 section 6.4) bring it.

use core::ffi::CStr;
use core::fmt::{self, Display, Formatter};

use super::number::number;
use super::quoted::Quoted;
use super::strings::{Iter, Refusal, Strings};

/// The most variables: the stock client sends its whole environment, 30 to 100 of them.
pub const MAX_VARIABLES: usize = 4096;

/// The 32 bytes that a V3 client awaits before 9P.
pub const CPUNONCE: &[u8] = b"CPUNONCE";
/// The fstab of a V3 session.
pub const CPU_FSTAB: &[u8] = b"CPU_FSTAB";
/// The freshness bound: how old, in milliseconds, a session's view of its files may be. 0: nothing is shown from
/// memory.
pub const CPU_CACHE: &[u8] = b"CPU_CACHE";
/// The value when [`CPU_CACHE`] is not set.
const FRESHNESS_MS: u32 = 1000;

/// The freshness bound from the value of [`CPU_CACHE`]; a value that is no number counts as not set.
pub fn freshness(value: &[u8]) -> u32 {
    number(value).unwrap_or(FRESHNESS_MS)
}

/// Variables that a V3 client sends for its session and not for the command. The last is `CPU_FSTAB` under a name that
/// OpenSSH's server lets pass.
pub const OF_THE_SESSION: [&[u8]; 3] = [CPUNONCE, CPU_FSTAB, b"LC_GLENDA_CPU_FSTAB"];

/// A variable that was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EnvironError<'n> {
    pub name: &'n [u8],
    pub fault: Fault,
}

/// What is wrong with a variable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The name is empty or has a `=` in it (POSIX XBD 8.1).
    Name,
    /// `NAME=VALUE` as a string of execve(2).
    Refused(Refusal),
}

impl Display for EnvironError<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "the environment variable {} ", Quoted(self.name))?;
        match self.fault {
            Fault::Name => f.write_str("has a name that is empty or has a = in it"),
            Fault::Refused(refusal) => refusal.fmt(f),
        }
    }
}

/// The variables set so far, each once.
#[derive(Debug)]
pub struct Environ<'a> {
    variables: Strings<'a>,
}

impl<'a> Environ<'a> {
    /// An empty environment whose `NAME=VALUE` strings, each with a NUL, go into `room`.
    pub const fn new(room: &'a mut [u8]) -> Self {
        Self { variables: Strings::new(room, MAX_VARIABLES) }
    }

    /// Sets a variable. A name that comes again replaces its value; if the new value is refused, the old one stays.
    pub fn set<'n>(&mut self, name: &'n [u8], value: &[u8]) -> Result<(), EnvironError<'n>> {
        if name.is_empty() || name.contains(&b'=') {
            return Err(EnvironError { name, fault: Fault::Name });
        }
        let again = self.get(name).is_some();
        self.variables
            .add(&[name, b"=", value])
            .map_err(|refusal| EnvironError { name, fault: Fault::Refused(refusal) })?;
        if again {
            // The old one comes first.
            self.remove(name);
        }
        Ok(())
    }

    /// The value of a variable.
    pub fn get(&self, name: &[u8]) -> Option<&CStr> {
        self.iter().find_map(|variable| value_of(variable, name))
    }

    pub fn remove(&mut self, name: &[u8]) {
        self.variables.remove(|variable| value_of(variable, name).is_some());
    }

    /// The `NAME=VALUE` strings, for execve(2).
    pub fn iter(&self) -> Iter<'_> {
        self.variables.iter()
    }

    /// How many variables there are, at most [`MAX_VARIABLES`].
    pub const fn len(&self) -> usize {
        self.variables.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }
}

fn value_of<'v>(variable: &'v CStr, name: &[u8]) -> Option<&'v CStr> {
    let value = variable.to_bytes_with_nul().strip_prefix(name)?.strip_prefix(b"=")?;
    CStr::from_bytes_with_nul(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::strings::MAX_ARG_STRLEN;
    use std::string::ToString;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn what_was_set_last_holds() {
        let mut room = [0; 64];
        let mut environ = Environ::new(&mut room);
        for (name, value) in [("CPU_FSTAB", "old"), ("PWD", "/"), ("CPU_FSTAB", "new"), ("CPU", "x"), ("E", "")] {
            environ.set(name.as_bytes(), value.as_bytes()).unwrap();
        }
        assert_eq!(environ.iter().collect::<Vec<_>>(), [c"PWD=/", c"CPU_FSTAB=new", c"CPU=x", c"E="]);
        assert_eq!(environ.get(CPU_FSTAB), Some(c"new"));
        assert_eq!(environ.get(b"E"), Some(c""));
        assert_eq!(environ.get(b"CP"), None);
    }

    #[test]
    fn what_is_the_sessions_can_be_taken_out() {
        let mut room = [0; 64];
        let mut environ = Environ::new(&mut room);
        for name in OF_THE_SESSION.iter().chain([&b"HOME".as_slice()]) {
            environ.set(name, b"v").unwrap();
        }
        OF_THE_SESSION.iter().for_each(|name| environ.remove(name));
        assert_eq!(environ.iter().collect::<Vec<_>>(), [c"HOME=v"]);
        assert_eq!(environ.len(), 1);
    }

    #[test]
    fn a_value_may_hold_everything_but_a_nul() {
        let mut room = [0; 64];
        let mut environ = Environ::new(&mut room);
        environ.set(b"A", b"x=\n\xff").unwrap();
        assert_eq!(environ.get(b"A").unwrap().to_bytes(), b"x=\n\xff");
        let error = environ.set(b"A", b"x\0y").unwrap_err();
        assert_eq!(error.to_string(), "the environment variable \"A\" has a NUL byte in it");
        assert_eq!(environ.get(b"A").unwrap().to_bytes(), b"x=\n\xff");
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let mut room = [0; 64];
        let mut environ = Environ::new(&mut room);
        for name in ["", "=", "A=B"] {
            let error = environ.set(name.as_bytes(), b"").unwrap_err();
            assert_eq!(error, EnvironError { name: name.as_bytes(), fault: Fault::Name });
        }
        assert_eq!(environ.set(b"A\0", b"").unwrap_err().fault, Fault::Refused(Refusal::Nul));
        assert!(environ.is_empty());
    }

    #[test]
    fn a_variable_too_large_for_linux_is_refused_by_name() {
        let mut room = vec![0; 3 * MAX_ARG_STRLEN];
        let mut environ = Environ::new(&mut room);
        let value = vec![b'x'; MAX_ARG_STRLEN - 3];
        environ.set(b"A", &value).unwrap();
        let error = environ.set(b"AB", &value).unwrap_err();
        assert_eq!(error.to_string(), "the environment variable \"AB\" is longer than 131071 bytes");
    }

    #[test]
    fn variables_are_counted() {
        let mut room = vec![0; 64 * MAX_VARIABLES];
        let mut environ = Environ::new(&mut room);
        for n in 0..MAX_VARIABLES {
            environ.set(n.to_string().as_bytes(), b"").unwrap();
        }
        let error = environ.set(b"more", b"").unwrap_err();
        assert_eq!(error.fault, Fault::Refused(Refusal::TooMany { most: MAX_VARIABLES }));
    }
}
