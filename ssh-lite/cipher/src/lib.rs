//! The packet ciphers of ssh: sealing and opening one binary packet in place.
//!
//! A packet is `packet_length (4 bytes) ‖ body ‖ tag (16 bytes)` (RFC 4253 section 6, RFC 5647
//! section 7.3). Only authenticated ciphers are here, so there is no MAC beside them.
//!
//! It is a crate of its own because generic ciphers are compiled where they are used: this crate is
//! built for speed, the rest of the program for size.

#![no_std]
#![forbid(unsafe_code)]

mod aes_gcm;
mod chacha20_poly1305;

#[cfg(test)]
mod tests;

use crate::{aes_gcm::AesGcm, chacha20_poly1305::ChaCha20Poly1305};

/// Bytes of the packet_length field.
pub const LENGTH_LEN: usize = 4;
/// Bytes of the tag after every packet, the same for all ciphers.
pub const TAG_LEN: usize = 16;
/// The longest key of any cipher.
pub const KEY_LEN: usize = 64;
/// The longest initial IV of any cipher.
pub const IV_LEN: usize = 12;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// PROTOCOL.chacha20poly1305 of OpenSSH.
    ChaCha20Poly1305,
    /// RFC 5647 under OpenSSH's name.
    Aes128Gcm,
    /// RFC 5647 under OpenSSH's name.
    Aes256Gcm,
}

impl Algorithm {
    /// The name in a KEXINIT's name-lists.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChaCha20Poly1305 => "chacha20-poly1305@openssh.com",
            Self::Aes128Gcm => "aes128-gcm@openssh.com",
            Self::Aes256Gcm => "aes256-gcm@openssh.com",
        }
    }

    /// What the length of a packet's body is a multiple of.
    pub const fn block_len(self) -> usize {
        match self {
            Self::ChaCha20Poly1305 => 8,
            Self::Aes128Gcm | Self::Aes256Gcm => 16,
        }
    }
}

/// The ciphers to offer, the preferred one first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ciphers(pub &'static [Algorithm]);

impl Ciphers {
    /// Where AES is fast.
    pub const ALL: Self = Self(&[Algorithm::Aes128Gcm, Algorithm::Aes256Gcm, Algorithm::ChaCha20Poly1305]);
    /// Where it is slow: for clients that have no ChaCha20, as paramiko.
    pub const SLOW_AES: Self = Self(&[Algorithm::ChaCha20Poly1305, Algorithm::Aes256Gcm]);
    /// The cipher that is fast on any CPU.
    pub const PORTABLE: Self = Self(&[Algorithm::ChaCha20Poly1305]);

    /// The ciphers that are fast on this processor: [`ALL`](Self::ALL) where AES takes at most one and a half times as
    /// long as ChaCha20, else [`SLOW_AES`](Self::SLOW_AES). With instructions for AES it is the faster one, but in some
    /// emulators as fast as ChaCha20: there the margin decides, and not what else the machine is doing. Without them AES
    /// takes several times as long.
    ///
    /// Each seals [`TRIALS`] packets, of which the fastest counts. `nanoseconds` reads a clock that does not go back.
    pub fn measure(nanoseconds: impl Fn() -> u64) -> Self {
        let best = |algorithm| -> u64 {
            let mut key = Key::new(algorithm, &[0; KEY_LEN], &[0; IV_LEN]);
            let mut packet = [0; TRIAL_LEN];
            let mut trial = |sequence| {
                let start = nanoseconds();
                key.seal(sequence, &mut packet);
                nanoseconds() - start
            };
            (0..TRIALS).map(&mut trial).min().unwrap_or_default()
        };
        let (aes, chacha) = (best(Algorithm::Aes128Gcm), best(Algorithm::ChaCha20Poly1305));
        if aes <= chacha.saturating_add(chacha / 2) { Self::ALL } else { Self::SLOW_AES }
    }
}

/// Packets that [`Ciphers::measure`] seals with each cipher.
pub const TRIALS: u32 = 5;

/// Bytes of such a packet: of the size in which files and output are sent.
const TRIAL_LEN: usize = 32 * 1024;

/// The tag of a packet does not fit its bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadTag;

/// The key of one direction of a connection. Wiped when dropped.
pub struct Key(Keyed);

#[expect(clippy::large_enum_variant, reason = "one each way of a connection, and no heap to box it in")]
enum Keyed {
    ChaCha20Poly1305(ChaCha20Poly1305),
    AesGcm(AesGcm),
}

impl Key {
    /// Of `key` and `iv` each cipher takes as many bytes from the front as it needs.
    pub fn new(algorithm: Algorithm, key: &[u8; KEY_LEN], iv: &[u8; IV_LEN]) -> Self {
        Self(match algorithm {
            Algorithm::ChaCha20Poly1305 => Keyed::ChaCha20Poly1305(ChaCha20Poly1305::new(key)),
            Algorithm::Aes128Gcm => Keyed::AesGcm(AesGcm::with_128_bits(key, iv)),
            Algorithm::Aes256Gcm => Keyed::AesGcm(AesGcm::with_256_bits(key, iv)),
        })
    }

    pub const fn algorithm(&self) -> Algorithm {
        match &self.0 {
            Keyed::ChaCha20Poly1305(_) => Algorithm::ChaCha20Poly1305,
            Keyed::AesGcm(key) => key.algorithm(),
        }
    }

    /// The packet_length in the first bytes of a sealed packet. It is not authenticated before
    /// [`Key::open`] has seen the whole packet.
    pub fn packet_length(&self, sequence: u32, field: [u8; LENGTH_LEN]) -> u32 {
        u32::from_be_bytes(match &self.0 {
            Keyed::ChaCha20Poly1305(key) => key.length(sequence, field),
            Keyed::AesGcm(_) => field,
        })
    }

    /// Seals `length ‖ body ‖ room for the tag` in place.
    ///
    /// # Panics
    /// When `packet` is shorter than [`LENGTH_LEN`] + [`TAG_LEN`].
    pub fn seal(&mut self, sequence: u32, packet: &mut [u8]) {
        let (length, body, tag) = split(packet);
        *tag = match &mut self.0 {
            Keyed::ChaCha20Poly1305(key) => key.seal(sequence, length, body),
            Keyed::AesGcm(key) => key.seal(*length, body),
        };
    }

    /// Opens `length ‖ body ‖ tag` in place: afterwards the body is plain, the length as it was.
    /// On an error the bytes must not be used.
    ///
    /// # Panics
    /// When `packet` is shorter than [`LENGTH_LEN`] + [`TAG_LEN`].
    pub fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), BadTag> {
        let (length, body, tag) = split(packet);
        match &mut self.0 {
            Keyed::ChaCha20Poly1305(key) => key.open(sequence, *length, body, tag),
            Keyed::AesGcm(key) => key.open(*length, body, tag),
        }
    }
}

fn split(packet: &mut [u8]) -> (&mut [u8; LENGTH_LEN], &mut [u8], &mut [u8; TAG_LEN]) {
    packet
        .split_first_chunk_mut()
        .and_then(|(length, rest)| rest.split_last_chunk_mut().map(|(body, tag)| (length, body, tag)))
        .expect("a packet has a length and a tag")
}
