//! Peers that do not behave, over a plain socket. The constants are RFC 4253's, written down again.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::run::noise;

const IDENT: &[u8] = b"SSH-2.0-hostile\r\n";
const MSG_KEXINIT: u8 = 20;
const MSG_KEX_ECDH_INIT: u8 = 30;

/// How a peer misbehaves before it hangs up or is hung up on.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// Connects and leaves.
    SaysNothing,
    /// An endless line that is no version.
    Garbage,
    /// A version, then bytes that are no packets.
    GarbageAfterIdent,
    /// A packet of four gigabytes less one.
    HugePacket,
    /// A proper KEXINIT, then nothing.
    HalfKeyExchange,
    /// KEXINIT, and a public key that is none.
    BadPublicKey,
}

impl Manner {
    pub const ALL: [Self; 6] = [
        Self::SaysNothing,
        Self::Garbage,
        Self::GarbageAfterIdent,
        Self::HugePacket,
        Self::HalfKeyExchange,
        Self::BadPublicKey,
    ];

    /// Whether the server has a reason to hang up by itself.
    pub fn is_fatal(self) -> bool {
        !matches!(self, Self::SaysNothing | Self::HalfKeyExchange)
    }

    fn bytes(self) -> Vec<u8> {
        match self {
            Self::SaysNothing => Vec::new(),
            Self::Garbage => noise(64 * 1024),
            Self::GarbageAfterIdent => [IDENT, &noise(64 * 1024)].concat(),
            Self::HugePacket => [IDENT, &[0xff; 4096]].concat(),
            Self::HalfKeyExchange => [IDENT, &packet(&kexinit())].concat(),
            Self::BadPublicKey => {
                let key_exchange = [&[MSG_KEX_ECDH_INIT][..], &string(&[0; 31])].concat();
                [IDENT, &packet(&kexinit()), &packet(&key_exchange)].concat()
            }
        }
    }

    /// Does it once to the server at `port`, and reads what comes until the server hangs up; after a manner that is
    /// not fatal this side does. Panics when the server does not hang up in `limit`.
    pub fn show(self, port: u16, limit: Duration) -> Vec<u8> {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        socket.set_read_timeout(Some(limit)).expect("a time limit is not zero");
        // The server may hang up before it has read all of this.
        let _ = socket.write_all(&self.bytes());
        let mut said = vec![0; 16];
        if !self.is_fatal() {
            let n = socket.read(&mut said).expect("a server says its version first");
            said.truncate(n);
            return said;
        }
        said.clear();
        match socket.read_to_end(&mut said) {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("{self:?}: the server did not hang up in {limit:?}")
            }
            // An end of file, or a reset because of what it had not read.
            _ => said,
        }
    }
}

/// A binary packet without encryption (RFC 4253 section 6).
fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 8 - (5 + payload.len()) % 8;
    let padding = if padding < 4 { padding + 8 } else { padding };
    let length = (1 + payload.len() + padding) as u32;
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(padding as u8);
    packet.extend_from_slice(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

/// RFC 4253 section 7.1.
fn kexinit() -> Vec<u8> {
    let lists = [
        "curve25519-sha256",
        "ssh-ed25519",
        "chacha20-poly1305@openssh.com",
        "chacha20-poly1305@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-256",
        "none",
        "none",
        "",
        "",
    ];
    let mut message = [&[MSG_KEXINIT][..], &noise(16)].concat();
    message.extend(lists.iter().flat_map(|list| string(list.as_bytes())));
    // first_kex_packet_follows, reserved.
    message.extend([0; 5]);
    message
}

/// Connects `times` times in a row, reads the server's version and leaves. How many were served: the first of the others
/// are told in a line that they are too many, and the rest are let go.
pub fn knock(port: u16, times: usize) -> usize {
    let knock = |time| {
        let mut socket = match TcpStream::connect(("127.0.0.1", port)) {
            // Turned away before this side has noticed that it was let in.
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return false,
            socket => socket.unwrap_or_else(|e| panic!("connection {time}: {e}")),
        };
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a time limit is not zero");
        let mut said = [0; 8];
        match socket.read_exact(&mut said) {
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => return false,
            read => read.unwrap_or_else(|e| panic!("connection {time}: {e}")),
        }
        assert!([b"SSH-2.0-", b"cpud: to"].contains(&&said), "connection {time}: {said:?}");
        &said == b"SSH-2.0-"
    };
    (0..times).filter(|&time| knock(time)).count()
}

/// A version and `times` messages of a number that nobody has (RFC 4253 section 11.4: each is answered).
pub fn unknown_messages(times: usize) -> Vec<u8> {
    [IDENT, &packet(&[192]).repeat(times)].concat()
}
