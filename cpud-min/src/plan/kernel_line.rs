//! cpud's words on the kernel's command line.

use core::fmt::{self, Display, Formatter};
use core::ops::RangeInclusive;

use super::network::{Network, NetworkError};
use super::number::number;
use super::quoted::Quoted;

/// The kernel silently drops what is beyond this: COMMAND_LINE_SIZE of asm/setup.h, with the zero at the end.
const MAX: usize = 2047;

/// Why the line cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KernelLineError<'a> {
    /// It has this many bytes.
    TooLong(usize),
    Quote,
    Relay(&'a [u8]),
    Memory(&'a [u8]),
    Pids(&'a [u8]),
    Watchdog(&'a [u8]),
    /// The kernel's own `ip=`, which a kernel of this project does not have.
    Ip(&'a [u8]),
    /// A word that begins with `cpud.` and that cpud does not know.
    Unknown(&'a [u8]),
    /// A word, its value, and what is wrong with it.
    Value(&'a [u8], &'a [u8], &'static str),
}

impl Display for KernelLineError<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => {
                write!(f, "the kernel's command line has {bytes} bytes, and the kernel keeps {MAX}")
            }
            Self::Quote => f.write_str("the kernel's command line: a quotation mark is not closed"),
            Self::Relay(value) => write!(f, "cpud.relay={}: no size from 256K to 64M", Quoted(value)),
            Self::Memory(value) => write!(f, "cpud.memory={}: no size from 8M on", Quoted(value)),
            Self::Pids(value) => write!(f, "cpud.pids={}: no number from 8 to 4194304", Quoted(value)),
            Self::Watchdog(value) => write!(f, "cpud.watchdog={}: no number of seconds from 30 to 3600", Quoted(value)),
            Self::Ip(value) => {
                write!(f, "ip={}: write cpud.address=ADDRESS/BITS and cpud.gateway=ADDRESS instead", Quoted(value))
            }
            Self::Unknown(word) => write!(f, "{}: no word that this cpud knows", Quoted(word)),
            Self::Value(word, value, what) => {
                write!(f, "{}={}: {what}", core::str::from_utf8(word).unwrap_or("?"), Quoted(value))
            }
        }
    }
}

/// Checks the whole line, before a kernel gets it.
pub fn check(line: &[u8], relay: RangeInclusive<usize>) -> Result<(), KernelLineError<'_>> {
    if line.len() > MAX {
        return Err(KernelLineError::TooLong(line.len()));
    }
    if line.iter().filter(|&&byte| byte == b'"').count() % 2 != 0 {
        return Err(KernelLineError::Quote);
    }
    relay_memory(line, relay).transpose()?;
    session_memory(line).transpose()?;
    session_pids(line).transpose()?;
    watchdog_seconds(line).transpose()?;
    let mut error = None;
    network(line, &mut |e| error = error.or(Some(e)));
    error.map_or(Ok(()), Err)
}

/// Each relay's memory, if the line sets it, as `cpud.relay=256K` does: bytes, in the range.
pub fn relay_memory(line: &[u8], range: RangeInclusive<usize>) -> Option<Result<usize, KernelLineError<'_>>> {
    in_range(line, b"cpud.relay=", range, KernelLineError::Relay)
}

/// Each session's memory in bytes, if the line sets it: `cpud.memory=64M`.
pub fn session_memory(line: &[u8]) -> Option<Result<usize, KernelLineError<'_>>> {
    in_range(line, b"cpud.memory=", 8 << 20..=usize::MAX, KernelLineError::Memory)
}

/// How many processes and threads each session may have, if the line sets it: `cpud.pids=200`. The kernel has no more
/// than 4,194,304 (PID_MAX_LIMIT).
pub fn session_pids(line: &[u8]) -> Option<Result<usize, KernelLineError<'_>>> {
    in_range(line, b"cpud.pids=", 8..=4 << 20, KernelLineError::Pids)
}

/// How long the watchdog waits, if the line sets it: `cpud.watchdog=120`. A shutdown and a slow disk fit into the least.
pub fn watchdog_seconds(line: &[u8]) -> Option<Result<usize, KernelLineError<'_>>> {
    in_range(line, b"cpud.watchdog=", 30..=3600, KernelLineError::Watchdog)
}

/// A number in the range, with K, M or G for its units.
fn in_range<'a>(
    line: &'a [u8],
    name: &[u8],
    range: RangeInclusive<usize>,
    error: fn(&'a [u8]) -> KernelLineError<'a>,
) -> Option<Result<usize, KernelLineError<'a>>> {
    let value = value(line, name)?;
    let (digits, unit) = match value {
        [digits @ .., b'K'] => (digits, 1 << 10),
        [digits @ .., b'M'] => (digits, 1 << 20),
        [digits @ .., b'G'] => (digits, 1 << 30),
        digits => (digits, 1),
    };
    let number = number::<usize>(digits).and_then(|number| number.checked_mul(unit));
    Some(number.filter(|number| range.contains(number)).ok_or(error(value)))
}

/// The machine's name and address, where the line sets them. `hostname=` is the kernel's own word. `complain` gets what
/// cannot be used.
pub fn network<'a>(line: &'a [u8], complain: &mut dyn FnMut(KernelLineError<'a>)) -> Network<'a> {
    let mut network = Network::default();
    for word in words(line) {
        let end = word.iter().position(|&byte| byte == b'=').unwrap_or(word.len());
        let (name, value) = (&word[..end], unquoted(word.get(end + 1..).unwrap_or_default()));
        let result = match (name, name.strip_prefix(b"cpud.")) {
            (b"ip", _) if value != b"dhcp" => {
                complain(KernelLineError::Ip(value));
                continue;
            }
            (_, Some(b"relay" | b"memory" | b"pids" | b"watchdog")) => continue,
            (b"hostname", _) => network.set(name, value),
            (_, Some(own)) => network.set(own, value),
            _ => continue,
        };
        match result {
            Ok(()) => {}
            Err(NetworkError::Unknown) => complain(KernelLineError::Unknown(word)),
            Err(NetworkError::Value(what)) => complain(KernelLineError::Value(name, value, what)),
        }
    }
    network
}

/// The value of the first word of this name.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    words(line).find_map(|word| word.strip_prefix(name)).map(unquoted)
}

/// The line's words, without quotation marks in either of the two ways of next_arg() in the kernel's lib/cmdline.c.
fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let words = line.split(move |&byte| {
        quoted ^= byte == b'"';
        !quoted && byte.is_ascii_whitespace()
    });
    words.map(unquoted)
}

fn unquoted(text: &[u8]) -> &[u8] {
    match text {
        [b'"', inner @ .., b'"'] | [b'"', inner @ ..] => inner,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    const RANGE: RangeInclusive<usize> = 256 << 10..=64 << 20;

    fn relay(line: &str) -> Option<Result<usize, KernelLineError<'_>>> {
        relay_memory(line.as_bytes(), RANGE)
    }

    #[test]
    fn the_kernel_is_told_how_much_memory_a_relay_has() {
        assert_eq!(relay("console=ttyS0 ip=dhcp\n"), None);
        assert_eq!(relay("cpud.relay=256K ip=dhcp\n"), Some(Ok(256 << 10)));
        assert_eq!(relay("ip=dhcp cpud.relay=64M\n"), Some(Ok(64 << 20)));
        assert_eq!(relay("cpud.relay=300000"), Some(Ok(300_000)));
        for bad in ["255K", "65M", "lots", "K", "", "-1M", "99999999999999999999M"] {
            let line = ["quiet cpud.relay=", bad, " ip=dhcp"].concat();
            assert_eq!(relay(&line), Some(Err(KernelLineError::Relay(bad.as_bytes()))));
        }
    }

    #[test]
    fn the_kernel_is_told_what_a_session_may_use() {
        assert_eq!(session_memory(b"cpud.memory=2G ip=dhcp"), Some(Ok(2 << 30)));
        assert_eq!(session_memory(b"cpud.memory=4M"), Some(Err(KernelLineError::Memory(b"4M"))));
        assert_eq!(session_pids(b"cpud.memory=64M cpud.pids=200\n"), Some(Ok(200)));
        for bad in ["7", "5M", "many", ""] {
            let line = ["cpud.pids=", bad].concat();
            assert_eq!(session_pids(line.as_bytes()), Some(Err(KernelLineError::Pids(bad.as_bytes()))));
        }
    }

    #[test]
    fn a_value_may_be_quoted_as_kernel_documents_have_it() {
        for line in ["cpud.relay=\"1M\" quiet", "\"cpud.relay=1M\"", "a=\"cpud.relay=2M b\" cpud.relay=1M"] {
            assert_eq!(relay(line), Some(Ok(1 << 20)), "{line}");
        }
        assert_eq!(relay("a=\"b cpud.relay=1M c\""), None);
    }

    #[test]
    fn the_machine_has_the_name_and_the_address_of_the_line() {
        let network = |line: &'static str| network(line.as_bytes(), &mut |error| panic!("{error}"));
        assert_eq!(network("ip=dhcp hostname=box7.lab\n").hostname, Some(&b"box7.lab"[..]));
        assert_eq!(network("console=ttyS0 cpud.relay=1M"), Network::default());
        let all = network("cpud.hostname=a cpud.address=10.0.0.2/8 cpud.gateway=\"10.0.0.1\" quiet");
        assert_eq!((all.hostname, all.gateway), (Some(&b"a"[..]), Some([10, 0, 0, 1].into())));
        assert_eq!(all.address.map(|address| (address.ip, address.prefix)), Some(([10, 0, 0, 2].into(), 8)));
    }

    #[test]
    fn a_word_that_means_nothing_is_named_and_the_others_hold() {
        let line = b"ip=10.0.0.2::10.0.0.1:255.0.0.0::eth0:off cpud.adress=1 hostname=a_b cpud.gateway=g cpud.address=10.0.0.2/8";
        let mut said = std::vec::Vec::new();
        let network = network(line, &mut |error| said.push(error.to_string()));
        assert!(network.address.is_some() && network.hostname.is_none() && network.gateway.is_none());
        assert_eq!(
            said,
            [
                "ip=\"10.0.0.2::10.0.0.1:255.0.0.0::eth0:off\": write cpud.address=ADDRESS/BITS and cpud.gateway=ADDRESS \
                 instead",
                "\"cpud.adress=1\": no word that this cpud knows",
                "hostname=\"a_b\": no host name",
                "cpud.gateway=\"g\": no IPv4 address",
            ]
        );
        assert_eq!(check(b"cpud.mdsn=no", RANGE), Err(KernelLineError::Unknown(b"cpud.mdsn=no")));
    }

    #[test]
    fn a_line_that_would_be_cut_or_misread_is_refused() {
        let check = |line: &str| check(line.as_bytes(), RANGE).map_err(|error| error.to_string());
        assert_eq!(check(&"x".repeat(MAX)), Ok(()));
        assert_eq!(
            check(&"x".repeat(MAX + 1)).unwrap_err(),
            "the kernel's command line has 2048 bytes, and the kernel keeps 2047"
        );
        assert_eq!(check("ip=dhcp a=\"b").unwrap_err(), "the kernel's command line: a quotation mark is not closed");
        assert_eq!(check("cpud.relay=1K").unwrap_err(), "cpud.relay=\"1K\": no size from 256K to 64M");
        assert_eq!(check("cpud.memory=some").unwrap_err(), "cpud.memory=\"some\": no size from 8M on");
        assert_eq!(check("cpud.pids=1").unwrap_err(), "cpud.pids=\"1\": no number from 8 to 4194304");
        assert_eq!(check("cpud.watchdog=5").unwrap_err(), "cpud.watchdog=\"5\": no number of seconds from 30 to 3600");
        assert_eq!(check("hostname=").unwrap_err(), "hostname=\"\": no host name");
    }
}
