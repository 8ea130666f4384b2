//! What the net role tells init: one message per packet of a SOCK_SEQPACKET socketpair, a byte for the kind and then
//! fields in the types of RFC 4251 section 5.

use core::net::Ipv4Addr;

use heapless::Vec;
use ssh_lite::wire::{Reader, WireError, Writer};

use crate::plan::network::{HOSTNAME_MAX, Names, SERVERS, is_hostname};

/// The longest message: a line of the console's.
pub const MESSAGE_MAX: usize = 5 + 400;

#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and no allocator to box it")]
pub enum ToInit<'a> {
    /// For the console.
    Line(&'a [u8]),
    /// The first address that the machine has, unspecified for none, and what its lease says about the machine.
    Names(Ipv4Addr, Names),
}

impl ToInit<'_> {
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let mut w = Writer::new(out);
        match self {
            Self::Line(line) => {
                w.byte(1)?;
                w.string(line)?;
            }
            Self::Names(address, names) => {
                w.byte(2)?;
                w.uint32((*address).into())?;
                w.string(&names.hostname)?;
                w.string(&names.domain)?;
                for servers in [&names.resolvers, &names.ntp_servers, &names.log_servers] {
                    w.byte(servers.len() as u8)?;
                    servers.iter().try_for_each(|server| w.uint32((*server).into()))?;
                }
            }
        }
        Ok(w.written())
    }
}

/// Accepts only what is well formed: a role that strangers talk to may be theirs. A line is one, and moves no cursor.
pub fn decode(message: &[u8]) -> Result<ToInit<'_>, WireError> {
    let mut r = Reader::new(message);
    let decoded = match r.byte()? {
        1 => ToInit::Line(line(r.text()?)?),
        2 => {
            let address = Ipv4Addr::from(r.uint32()?);
            let (hostname, domain) = (name(r.string()?)?, name(r.string()?)?);
            let (resolvers, ntp_servers, log_servers) = (servers(&mut r)?, servers(&mut r)?, servers(&mut r)?);
            ToInit::Names(address, Names { hostname, domain, resolvers, ntp_servers, log_servers })
        }
        _ => return Err(WireError::Trailing),
    };
    r.finish().map(|()| decoded)
}

fn line(text: &str) -> Result<&[u8], WireError> {
    if text.chars().any(char::is_control) { Err(WireError::NotText) } else { Ok(text.as_bytes()) }
}

fn name(text: &[u8]) -> Result<Vec<u8, HOSTNAME_MAX>, WireError> {
    let name = Vec::from_slice(text).map_err(|_| WireError::NoRoom)?;
    if name.is_empty() || is_hostname(&name) { Ok(name) } else { Err(WireError::NotText) }
}

fn servers(r: &mut Reader<'_>) -> Result<Vec<Ipv4Addr, SERVERS>, WireError> {
    let mut servers = Vec::new();
    for _ in 0..r.byte()? {
        servers.push(Ipv4Addr::from(r.uint32()?)).map_err(|_| WireError::NoRoom)?;
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written_and_no_name_is_taken_that_is_none() {
        let servers = |last: u8| Vec::from_iter([Ipv4Addr::new(10, 0, 2, last)]);
        let hostname = Vec::from_slice(b"box-7").unwrap();
        let names = Names {
            hostname,
            domain: Vec::new(),
            resolvers: servers(3),
            ntp_servers: Vec::new(),
            log_servers: servers(4),
        };
        for message in [ToInit::Line(b"cpud: eth0: link down"), ToInit::Names(Ipv4Addr::LOCALHOST, names.clone())] {
            let mut out = [0; MESSAGE_MAX];
            let n = message.encode(&mut out).unwrap();
            assert_eq!(decode(&out[..n]), Ok(message));
            assert!((0..n).all(|cut| decode(&out[..cut]).is_err()));
            assert_eq!(decode(&out[..n + 1]), Err(WireError::Trailing));
        }
        let mut out = [0; MESSAGE_MAX];
        let bad =
            ToInit::Names(Ipv4Addr::LOCALHOST, Names { domain: Vec::from_slice(b"a\nnameserver").unwrap(), ..names });
        let n = bad.encode(&mut out).unwrap();
        assert_eq!(decode(&out[..n]), Err(WireError::NotText));
        for bad in ["two\nlines", "\x1b[2J", "\u{9b}2J"] {
            let n = ToInit::Line(bad.as_bytes()).encode(&mut out).unwrap();
            assert_eq!(decode(&out[..n]), Err(WireError::NotText), "{bad:?}");
        }
        assert_eq!(decode(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4]), Err(WireError::Truncated));
    }
}
