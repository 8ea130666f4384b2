//! cpud's words on the kernel's command line.

use core::fmt::{self, Display, Formatter};
use core::ops::RangeInclusive;

use super::number::number;
use super::quoted::Quoted;
use super::settings::is_hostname;

/// The kernel silently drops what is beyond this: COMMAND_LINE_SIZE of asm/setup.h, with the zero at the end.
const MAX: usize = 2047;

/// Why the line cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KernelLineError<'a> {
    /// It has this many bytes.
    TooLong(usize),
    Quote,
    Relay(&'a [u8]),
    Hostname(&'a [u8]),
}

impl Display for KernelLineError<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => {
                write!(f, "the kernel's command line has {bytes} bytes, and the kernel keeps {MAX}")
            }
            Self::Quote => f.write_str("the kernel's command line: a quotation mark is not closed"),
            Self::Relay(value) => write!(f, "cpud.relay={}: no size from 256K to 64M", Quoted(value)),
            Self::Hostname(value) => write!(f, "hostname={}: no host name", Quoted(value)),
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
    hostname(line).transpose()?;
    Ok(())
}

/// Each relay's memory, if the line sets it, as `cpud.relay=256K` does: bytes, in the range.
pub fn relay_memory(line: &[u8], range: RangeInclusive<usize>) -> Option<Result<usize, KernelLineError<'_>>> {
    let value = value(line, b"cpud.relay=")?;
    let (digits, unit) = match value {
        [digits @ .., b'K'] => (digits, 1024),
        [digits @ .., b'M'] => (digits, 1024 * 1024),
        digits => (digits, 1),
    };
    Some(
        number::<usize>(digits)
            .and_then(|n| n.checked_mul(unit))
            .filter(|bytes| range.contains(bytes))
            .ok_or(KernelLineError::Relay(value)),
    )
}

/// The host name, if the line sets it. `ip=` makes the kernel forget its own `hostname=` (net/ipv4/ipconfig.c).
pub fn hostname(line: &[u8]) -> Option<Result<&[u8], KernelLineError<'_>>> {
    let value = value(line, b"hostname=")?;
    Some(is_hostname(value).then_some(value).ok_or(KernelLineError::Hostname(value)))
}

/// The value of a word, quoted in one of the two ways of next_arg() in the kernel's lib/cmdline.c.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut quoted = false;
    let words = line.split(move |&byte| {
        quoted ^= byte == b'"';
        !quoted && byte.is_ascii_whitespace()
    });
    words.map(unquoted).find_map(|word| word.strip_prefix(name)).map(unquoted)
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
    fn a_value_may_be_quoted_as_kernel_documents_have_it() {
        for line in ["cpud.relay=\"1M\" quiet", "\"cpud.relay=1M\"", "a=\"cpud.relay=2M b\" cpud.relay=1M"] {
            assert_eq!(relay(line), Some(Ok(1 << 20)), "{line}");
        }
        assert_eq!(relay("a=\"b cpud.relay=1M c\""), None);
    }

    #[test]
    fn the_machine_has_the_name_of_the_line() {
        assert_eq!(hostname(b"ip=dhcp hostname=box7.lab\n"), Some(Ok(&b"box7.lab"[..])));
        assert_eq!(hostname(b"ip=::::box7::dhcp"), None);
        assert_eq!(hostname(b"hostname=a_b"), Some(Err(KernelLineError::Hostname(b"a_b"))));
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
        assert_eq!(check("hostname=").unwrap_err(), "hostname=\"\": no host name");
    }
}
