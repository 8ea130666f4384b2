//! The name and address of one box. The settings in flash (`address 10.0.0.2/24`) and the kernel's command line
//! (`cpud.address=10.0.0.2/24`) have the same words and values.

use core::net::Ipv4Addr;

use heapless::Vec;

use super::number::number;

/// HOST_NAME_MAX of gethostname(2).
pub const HOSTNAME_MAX: usize = 64;

/// What is set of these. Of a word that comes twice, the last value holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Network<'a> {
    pub hostname: Option<&'a [u8]>,
    pub address: Option<Address>,
    pub gateway: Option<Ipv4Addr>,
}

/// An address of the first interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Address {
    pub ip: Ipv4Addr,
    /// Bits of the network's prefix, at most 32.
    pub prefix: u8,
}

impl Address {
    fn parse(text: &[u8]) -> Option<Self> {
        let (ip, prefix) = core::str::from_utf8(text).ok()?.split_once('/')?;
        let address = Self { ip: ip.parse().ok()?, prefix: number(prefix.as_bytes())? };
        (address.prefix <= 32).then_some(address)
    }
}

/// Why a word cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NetworkError {
    /// There is no such word.
    Unknown,
    /// What is wrong with its value.
    Value(&'static str),
}

impl<'a> Network<'a> {
    pub fn set(&mut self, word: &[u8], value: &'a [u8]) -> Result<(), NetworkError> {
        match word {
            b"hostname" => {
                self.hostname = Some(value).filter(|name| is_hostname(name));
                self.hostname.map(drop).ok_or(NetworkError::Value("no host name"))
            }
            b"address" => {
                self.address = Address::parse(value);
                self.address
                    .map(drop)
                    .ok_or(NetworkError::Value("no IPv4 address with a prefix length, as 10.0.0.2/24 is"))
            }
            b"gateway" => {
                self.gateway = core::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                self.gateway.map(drop).ok_or(NetworkError::Value("no IPv4 address"))
            }
            _ => Err(NetworkError::Unknown),
        }
    }

    /// These, under those that `other` has.
    pub fn overlaid_with(self, other: Self) -> Self {
        Self {
            hostname: other.hostname.or(self.hostname),
            address: other.address.or(self.address),
            gateway: other.gateway.or(self.gateway),
        }
    }
}

/// Servers of one kind; of more the first are taken. resolv.conf(5) knows three.
pub const SERVERS: usize = 3;

/// What a DHCP server says about the machine, and not about an interface.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Names {
    pub hostname: Vec<u8, HOSTNAME_MAX>,
    pub domain: Vec<u8, HOSTNAME_MAX>,
    pub resolvers: Vec<Ipv4Addr, SERVERS>,
    pub ntp_servers: Vec<Ipv4Addr, SERVERS>,
    pub log_servers: Vec<Ipv4Addr, SERVERS>,
}

pub fn is_hostname(name: &[u8]) -> bool {
    let fits = (1..=HOSTNAME_MAX).contains(&name.len());
    fits && name.iter().all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}
