//! The client's transport: packets and the steps of a key exchange (RFC 4253).

use super::{
    Counter,
    kex::{self, Keys},
    payload,
};
use crate::{
    Cipher, Random,
    msg::{KexInit, Message, NewKeys},
};
use ssh_lite_cipher::{Key, TAG_LEN};
use std::{collections::VecDeque, string::String, vec, vec::Vec};

/// What the client says in its KEXINIT.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    pub ident: &'static str,
    /// The first that is not a marker is the method that is used.
    pub kex: &'static str,
    pub host_key: &'static str,
    /// The first is used.
    pub ciphers: &'static str,
    pub compression: &'static str,
    pub first_kex_packet_follows: bool,
}

impl Dialect {
    pub const OPENSSH: Self = Self {
        ident: "SSH-2.0-testkit",
        kex: "curve25519-sha256,ext-info-c,kex-strict-c-v00@openssh.com",
        host_key: "ssh-ed25519",
        ciphers: "chacha20-poly1305@openssh.com",
        compression: "none",
        first_kex_packet_follows: false,
    };

    pub fn is_strict(&self) -> bool {
        self.kex.contains("kex-strict-c-v00@openssh.com")
    }

    pub fn cipher(&self) -> Cipher {
        match self.ciphers.split(',').next() {
            Some("aes128-gcm@openssh.com") => Cipher::Aes128Gcm,
            Some("aes256-gcm@openssh.com") => Cipher::Aes256Gcm,
            _ => Cipher::ChaCha20Poly1305,
        }
    }
}

/// One direction of the packets.
#[derive(Default)]
struct Half {
    key: Option<Key>,
    sequence: u32,
}

impl Half {
    fn block(&self) -> usize {
        match self.key.as_ref().map(Key::algorithm) {
            Some(Cipher::Aes128Gcm | Cipher::Aes256Gcm) => 16,
            _ => 8,
        }
    }

    fn rekey(&mut self, key: Key, strict: bool) {
        self.key = Some(key);
        if strict {
            self.sequence = 0;
        }
    }
}

pub struct Client {
    pub dialect: Dialect,
    /// Bytes for the server.
    pub outbox: Vec<u8>,
    /// Payloads of the server's messages, but for those of a key exchange.
    pub inbox: VecDeque<Vec<u8>>,
    /// Key exchanges that are finished.
    pub exchanges: usize,
    pub session_id: Option<[u8; 32]>,
    /// The server's lines and packets so far.
    unread: Vec<u8>,
    server_ident: Option<String>,
    to_server: Half,
    from_server: Half,
    /// Our KEXINIT of the exchange under way.
    kexinit: Option<Vec<u8>>,
    secret: Option<kex::Secret>,
    server_kexinit: Vec<u8>,
    keys: Option<Keys>,
    random: Counter,
}

impl Client {
    /// The identification is in the outbox.
    pub fn new(dialect: Dialect) -> Self {
        let mut outbox = dialect.ident.as_bytes().to_vec();
        outbox.extend_from_slice(b"\r\n");
        Self {
            dialect,
            outbox,
            inbox: VecDeque::new(),
            exchanges: 0,
            session_id: None,
            unread: Vec::new(),
            server_ident: None,
            to_server: Half::default(),
            from_server: Half::default(),
            kexinit: None,
            secret: None,
            server_kexinit: Vec::new(),
            keys: None,
            random: Counter(1),
        }
    }

    /// Makes a packet of a payload (RFC 4253 section 6).
    pub fn seal(&mut self, payload: &[u8]) -> Vec<u8> {
        let half = &mut self.to_server;
        let outside = if half.key.is_some() { 0 } else { 4 };
        let unpadded = outside + 1 + payload.len();
        let padding = half.block() - unpadded % half.block();
        let padding = if padding < 4 { padding + half.block() } else { padding };
        let mut packet = (u32::try_from(1 + payload.len() + padding).unwrap()).to_be_bytes().to_vec();
        packet.push(u8::try_from(padding).unwrap());
        packet.extend_from_slice(payload);
        packet.resize(packet.len() + padding, 0xaa);
        if let Some(key) = &mut half.key {
            packet.resize(packet.len() + TAG_LEN, 0);
            key.seal(half.sequence, &mut packet);
        }
        half.sequence = half.sequence.wrapping_add(1);
        packet
    }

    pub fn send(&mut self, payload: &[u8]) {
        let packet = self.seal(payload);
        self.outbox.extend_from_slice(&packet);
    }

    /// Sends KEXINIT; what follows goes by itself.
    pub fn start_exchange(&mut self) {
        let mut cookie = [0; 16];
        self.random.fill(&mut cookie);
        let Dialect { kex, host_key, ciphers, compression, first_kex_packet_follows, .. } = self.dialect;
        let message = payload(&KexInit {
            cookie: &cookie,
            kex,
            host_key,
            cipher_to_server: ciphers,
            cipher_to_client: ciphers,
            mac_to_server: "hmac-sha2-256",
            mac_to_client: "hmac-sha2-256",
            compression_to_server: compression,
            compression_to_client: compression,
            language_to_server: "",
            language_to_client: "",
            first_kex_packet_follows,
            reserved: 0,
        });
        self.send(&message);
        self.kexinit = Some(message);
    }

    /// Takes bytes of the server, answers its key exchange messages and keeps the others.
    pub fn absorb(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        if self.server_ident.is_none() {
            let Some(end) = self.unread.iter().position(|&b| b == b'\n') else { return };
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            self.server_ident = Some(String::from_utf8(line).unwrap().trim_end().into());
        }
        while let Some(payload) = self.open() {
            match payload[0] {
                20 => self.on_kexinit(payload),
                31 => self.on_reply(&payload),
                21 => self.on_newkeys(),
                _ => self.inbox.push_back(payload),
            }
        }
    }

    /// The next packet's payload.
    fn open(&mut self) -> Option<Vec<u8>> {
        let half = &mut self.from_server;
        let field = *self.unread.first_chunk()?;
        let (length, tag_len) = match &half.key {
            None => (u32::from_be_bytes(field), 0),
            Some(key) => (key.packet_length(half.sequence, field), TAG_LEN),
        };
        let size = 4 + length as usize + tag_len;
        if self.unread.len() < size {
            return None;
        }
        let mut packet: Vec<u8> = self.unread.drain(..size).collect();
        if let Some(key) = &mut half.key {
            key.open(half.sequence, &mut packet).expect("the server seals its packets well");
        }
        half.sequence = half.sequence.wrapping_add(1);
        let padding = usize::from(packet[4]);
        Some(packet[5..size - tag_len - padding].to_vec())
    }

    fn on_kexinit(&mut self, server_kexinit: Vec<u8>) {
        if self.kexinit.is_none() {
            self.start_exchange();
        }
        self.server_kexinit = server_kexinit;
        let method = self.dialect.kex.split(',').next().unwrap();
        let (secret, message) = kex::Secret::new(method, &mut self.random);
        self.secret = Some(secret);
        self.send(&message);
    }

    fn on_reply(&mut self, reply: &[u8]) {
        let (Some(secret), Some(kexinit)) = (self.secret.take(), self.kexinit.take()) else {
            panic!("a KEX_ECDH_REPLY that was not asked for");
        };
        let Ok(Message::KexEcdhReply(reply)) = Message::decode(reply) else { panic!("{reply:?}") };
        let idents = (self.dialect.ident, self.server_ident.as_deref().unwrap());
        let (k, hash) = secret.finish(idents, &kexinit, &self.server_kexinit, &reply);
        let session_id = *self.session_id.get_or_insert(hash);
        let keys = Keys { cipher: self.dialect.cipher(), k, hash, session_id };
        self.send(&payload(&NewKeys {}));
        self.to_server.rekey(keys.derive(b'A', b'C'), self.dialect.is_strict());
        self.keys = Some(keys);
    }

    fn on_newkeys(&mut self) {
        // The server's NEWKEYS is right behind its reply, so the keys are there.
        let keys = self.keys.take().expect("NEWKEYS after KEX_ECDH_REPLY");
        self.from_server.rekey(keys.derive(b'B', b'D'), self.dialect.is_strict());
        self.exchanges += 1;
    }

    /// All messages that have come, as hexadecimal numbers of their kind: enough for an order.
    pub fn numbers(&self) -> Vec<u8> {
        self.inbox.iter().map(|payload| payload[0]).collect()
    }

    /// Fills with the client's own randomness.
    pub fn noise(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.random.fill(&mut bytes);
        bytes
    }
}
