//! What a server is made with.

use crate::Ciphers;
use core::time::Duration;

/// How long a login may take, unless [`Config`] says otherwise.
pub const LOGIN_GRACE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The identification is `SSH-2.0-` and this (RFC 4253 section 4.2: no blank, no `-`, at most
    /// 200 characters).
    pub software: &'static str,
    /// The public part of the ssh-ed25519 host key.
    pub host_key: [u8; 32],
    pub ciphers: Ciphers,
    /// A re-key starts after this many bytes in either direction.
    pub rekey_bytes: u64,
    /// A re-key starts after this long.
    pub rekey_after: Duration,
    /// How long a login may take, the first key exchange included.
    pub login_grace: Duration,
}

impl Config {
    /// Re-keys as RFC 4253 section 9 recommends: each gigabyte, each hour.
    pub fn new(software: &'static str, host_key: [u8; 32], ciphers: Ciphers) -> Self {
        Self {
            software,
            host_key,
            ciphers,
            rekey_bytes: 1 << 30,
            rekey_after: Duration::from_secs(3600),
            login_grace: LOGIN_GRACE,
        }
    }
}

/// The caller's memory. The server touches only what is in use, from the front.
pub struct Buffers<'a> {
    /// Its size bounds the packets that are accepted; at least
    /// [`PACKET_BEFORE_LOGIN`](crate::limits::PACKET_BEFORE_LOGIN).
    pub rx: &'a mut [u8],
    /// At least 8 KiB; twice a channel's packets (32 KiB) and 8 KiB keep the socket busy.
    pub tx: &'a mut [u8],
}
