//! The command line of `cpud` as a daemon, and what stands for it when it is PID 1.

use core::ffi::CStr;
use core::fmt::{self, Display, Formatter};
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::number::number;
use super::quoted::Quoted;

/// The port of the cpu protocol.
pub const PORT: u16 = 17010;

/// The most `--listen` arguments.
pub const MAX_LISTEN: usize = 8;

pub const HELP: &str = "\
Usage: cpud --authorized-keys FILE --host-key FILE [--listen ADDR]... [--no-9p]
       cpud --check [--authorized-keys FILE] [--host-key FILE]
                    [--settings FILE] [--cmdline TEXT]

Lets the owners of the authorized keys run commands on this machine, with the
files that their cpu clients serve.

  --authorized-keys FILE  public keys of those who may log in, as in OpenSSH's
                          authorized_keys
  --host-key FILE         this machine's private key: ed25519, in OpenSSH's
                          format, not encrypted
  --listen ADDR           where to wait for clients: HOST:PORT, [IPV6]:PORT, or
                          :PORT for every address of the machine; may be given
                          up to 8 times; :17010 when it is not given
  --no-9p                 do not mount the files that clients serve
  --check                 say what is wrong with what is given, and exit: 0 when
                          nothing is, 1 when something is; of a host key that
                          is good show the public half
  --settings FILE         to be checked: a ROM, or its first 64 KiB
  --cmdline TEXT          to be checked: the kernel's command line
  --help                  show this and exit
  --version               show the version and exit

HOST is an IP address: cpud does not resolve names.
";

/// What the arguments ask for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "main makes one, and no allocator is there to box it")]
pub enum Command<'a> {
    Serve(Arguments<'a>),
    Check(Check<'a>),
    Help,
    Version,
}

/// What `--check` looks at: at least one of these.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Check<'a> {
    pub authorized_keys: Option<&'a CStr>,
    pub host_key: Option<&'a CStr>,
    pub settings: Option<&'a CStr>,
    pub cmdline: Option<&'a CStr>,
}

/// How to serve.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Arguments<'a> {
    pub listen: Listen,
    pub authorized_keys: &'a CStr,
    pub host_key: &'a CStr,
    /// Whether clients may have their files mounted.
    pub ninep: bool,
}

impl Arguments<'static> {
    /// PID 1's arguments; the image has the two files built in.
    pub const APPLIANCE: Self = Self {
        listen: Listen::ANY,
        authorized_keys: c"/etc/cpud/authorized_keys",
        host_key: c"/etc/cpud/host_key",
        ninep: true,
    };
}

/// The addresses to listen on, at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listen {
    addresses: [SocketAddr; MAX_LISTEN],
    count: usize,
}

impl Listen {
    /// Port 17010 on every address of the machine. A socket bound to `::` takes IPv4 too (ipv6(7),
    /// `IPV6_V6ONLY`).
    pub const ANY: Self = Self { addresses: [any(PORT); MAX_LISTEN], count: 0 };

    pub fn as_slice(&self) -> &[SocketAddr] {
        &self.addresses[..self.count.max(1)]
    }

    fn push<'a>(&mut self, argument: &'a CStr) -> Result<(), CmdlineError<'a>> {
        let address = address(argument).ok_or(CmdlineError::Address(argument))?;
        *self.addresses.get_mut(self.count).ok_or(CmdlineError::TooMany)? = address;
        self.count += 1;
        Ok(())
    }
}

const fn any(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)
}

fn address(argument: &CStr) -> Option<SocketAddr> {
    let text = argument.to_str().ok()?;
    match text.strip_prefix(':') {
        Some(port) => number(port.as_bytes()).map(any),
        None => text.parse().ok(),
    }
}

/// Why the arguments are wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CmdlineError<'a> {
    Unknown(&'a CStr),
    /// An option that needs a value is the last argument.
    NoValue(&'a CStr),
    /// An option that must be there is not.
    Missing(&'static str),
    Address(&'a CStr),
    /// More than [`MAX_LISTEN`] addresses.
    TooMany,
    /// `--check` of nothing.
    Nothing,
    /// An option of `--check` without it.
    Unchecked,
}

impl Display for CmdlineError<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(argument) => write!(f, "there is no option {}; see --help", Quoted(argument.to_bytes())),
            Self::NoValue(option) => {
                write!(f, "{} needs a value; see --help", Quoted(option.to_bytes()))
            }
            Self::Missing(option) => write!(f, "{option} FILE is missing; see --help"),
            Self::Address(address) => {
                write!(f, "--listen {} is not HOST:PORT with an IP address as HOST", Quoted(address.to_bytes()))
            }
            Self::TooMany => write!(f, "--listen is given more than {MAX_LISTEN} times"),
            Self::Nothing => f.write_str("--check needs something to check; see --help"),
            Self::Unchecked => f.write_str("--settings and --cmdline go with --check; see --help"),
        }
    }
}

/// Parses the arguments, without the program's name. A value is the next argument or follows a `=`; an option that
/// takes one file may be repeated, and the last one counts.
pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a CStr>) -> Result<Command<'a>, CmdlineError<'a>> {
    let mut arguments = arguments.into_iter();
    let (mut listen, mut ninep, mut check, mut files) = (Listen::ANY, true, false, Check::default());
    while let Some(argument) = arguments.next() {
        let (option, value) = split(argument);
        let mut value_of = || value.or_else(|| arguments.next()).ok_or(CmdlineError::NoValue(argument));
        match (option, value) {
            (b"--help" | b"-h", None) => return Ok(Command::Help),
            (b"--version", None) => return Ok(Command::Version),
            (b"--no-9p", None) => ninep = false,
            (b"--listen", _) => listen.push(value_of()?)?,
            (b"--check", None) => check = true,
            (b"--authorized-keys", _) => files.authorized_keys = Some(value_of()?),
            (b"--host-key", _) => files.host_key = Some(value_of()?),
            (b"--settings", _) => files.settings = Some(value_of()?),
            (b"--cmdline", _) => files.cmdline = Some(value_of()?),
            _ => return Err(CmdlineError::Unknown(argument)),
        }
    }
    if check {
        return if files == Check::default() { Err(CmdlineError::Nothing) } else { Ok(Command::Check(files)) };
    }
    if files.settings.is_some() || files.cmdline.is_some() {
        return Err(CmdlineError::Unchecked);
    }
    Ok(Command::Serve(Arguments {
        listen,
        authorized_keys: files.authorized_keys.ok_or(CmdlineError::Missing("--authorized-keys"))?,
        host_key: files.host_key.ok_or(CmdlineError::Missing("--host-key"))?,
        ninep,
    }))
}

/// `--option=value` at its first `=`.
fn split(argument: &CStr) -> (&[u8], Option<&CStr>) {
    let bytes = argument.to_bytes_with_nul();
    match bytes.iter().position(|&byte| byte == b'=') {
        Some(equals) => (&bytes[..equals], CStr::from_bytes_with_nul(&bytes[equals + 1..]).ok()),
        None => (argument.to_bytes(), None),
    }
}

#[cfg(test)]
mod tests;
