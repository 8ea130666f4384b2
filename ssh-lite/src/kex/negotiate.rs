//! Negotiation by KEXINIT: what this side offers, and what both agree on (RFC 4253 section 7.1).

use super::Method;
use crate::{
    Ciphers,
    error::{Error, Incompatibility},
    msg::{Encode, KexInit},
    names::{
        COMPRESSION, CURVE25519, CURVE25519_LIBSSH, EXT_INFO_CLIENT, MACS, MLKEM768X25519, SSH_ED25519, STRICT_CLIENT,
        STRICT_SERVER,
    },
    wire::{WireError, Writer},
};
use ssh_lite_cipher::Algorithm;

/// A name-list of this side; the longest has the four names of the first exchange.
type Names = heapless::String<128>;

/// This side's KEXINIT, which is encoded again for the exchange hash.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    pub cookie: [u8; 16],
    pub ciphers: Ciphers,
    /// Strict key exchange is offered in the first KEXINIT only.
    pub first: bool,
}

impl Encode for Offer {
    const NUMBER: u8 = KexInit::NUMBER;

    fn encode(&self, to: &mut Writer<'_>) -> Result<(), WireError> {
        let kex = [MLKEM768X25519, CURVE25519, CURVE25519_LIBSSH, STRICT_SERVER];
        let kex = names(kex[..if self.first { 4 } else { 3 }].iter().copied());
        let ciphers = names(self.ciphers.0.iter().map(|cipher| cipher.name()));
        let message = KexInit {
            cookie: &self.cookie,
            kex: &kex,
            host_key: SSH_ED25519,
            cipher_to_server: &ciphers,
            cipher_to_client: &ciphers,
            mac_to_server: MACS,
            mac_to_client: MACS,
            compression_to_server: COMPRESSION,
            compression_to_client: COMPRESSION,
            language_to_server: "",
            language_to_client: "",
            first_kex_packet_follows: false,
            reserved: 0,
        };
        message.encode(to)
    }
}

/// What both sides use from the next NEWKEYS on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Choice {
    pub method: Method,
    pub to_server: Algorithm,
    pub to_client: Algorithm,
    /// The client has sent the first packet of another method, which is to be ignored.
    pub wrong_guess: bool,
}

impl Choice {
    /// Chooses in each list the first of the client's names that the server has, too.
    pub fn new(client: &KexInit<'_>, ciphers: Ciphers) -> Result<Self, Error> {
        let (method_name, method) = client
            .kex
            .split(',')
            .find_map(|name| Method::from_name(name).map(|method| (name, method)))
            .ok_or(Incompatibility::Kex)?;
        if !has(client.host_key, SSH_ED25519) {
            return Err(Incompatibility::HostKey.into());
        }
        if !has(client.compression_to_server, COMPRESSION) || !has(client.compression_to_client, COMPRESSION) {
            return Err(Incompatibility::Compression.into());
        }
        let cipher = |list: &str| {
            let known = |name| ciphers.0.iter().copied().find(|cipher| cipher.name() == name);
            list.split(',').find_map(known).ok_or(Incompatibility::Cipher)
        };
        // The guess is right if it is both sides' first of kex and host key algorithms.
        let guessed = client.host_key.split(',').next() == Some(SSH_ED25519)
            && client.kex.split(',').next() == Some(method_name)
            && method_name == MLKEM768X25519;
        Ok(Self {
            method,
            to_server: cipher(client.cipher_to_server)?,
            to_client: cipher(client.cipher_to_client)?,
            wrong_guess: client.first_kex_packet_follows && !guessed,
        })
    }
}

/// Whether the client's first KEXINIT asks for strict key exchange.
pub fn wants_strict(client: &KexInit<'_>) -> bool {
    has(client.kex, STRICT_CLIENT)
}

/// Whether the client's first KEXINIT asks for EXT_INFO (RFC 8308 section 2.1).
pub fn wants_ext_info(client: &KexInit<'_>) -> bool {
    has(client.kex, EXT_INFO_CLIENT)
}

fn has(list: &str, name: &str) -> bool {
    list.split(',').any(|other| other == name)
}

fn names<'a>(list: impl Iterator<Item = &'a str>) -> Names {
    let mut names = Names::new();
    for name in list {
        let comma = if names.is_empty() { "" } else { "," };
        let fits = names.push_str(comma).and_then(|()| names.push_str(name));
        fits.expect("the names of all algorithms fit");
    }
    names
}
