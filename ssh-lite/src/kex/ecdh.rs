//! The methods of key exchange, the server's half.

use crate::{
    Random,
    error::{Error, Malformed},
    names::{CURVE25519, CURVE25519_LIBSSH, MLKEM768X25519},
    wire::Writer,
};
use ml_kem::ml_kem_768::{Ciphertext, EncapsulationKey};
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of a public value of X25519.
const X25519_LEN: usize = 32;
/// Bytes of a ciphertext of ML-KEM-768 (FIPS 203 section 8).
pub const CIPHERTEXT_LEN: usize = 1088;
/// The longest of the server's public values.
const REPLY_LEN: usize = CIPHERTEXT_LEN + X25519_LEN;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// RFC 8731.
    Curve25519,
    /// draft-ietf-sshm-mlkem-hybrid-kex.
    MlKem768X25519,
}

impl Method {
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            CURVE25519 | CURVE25519_LIBSSH => Some(Self::Curve25519),
            MLKEM768X25519 => Some(Self::MlKem768X25519),
            _ => None,
        }
    }
}

/// The server's public value, Q_S or S_REPLY.
pub type Reply = heapless::Vec<u8, REPLY_LEN>;

/// The shared secret K. Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret {
    /// An mpint or a string of 32 bytes.
    encoded: [u8; 4 + 1 + 32],
    len: usize,
}

impl Secret {
    /// RFC 8731 section 3.1: the 32 bytes are a big-endian number, encoded as an mpint.
    pub fn from_number(big_endian: &[u8; 32]) -> Self {
        Self::encode(|to| to.mpint(big_endian))
    }

    /// draft-ietf-sshm-mlkem-hybrid-kex section 2.4: encoded as a string.
    pub fn from_string(bytes: &[u8; 32]) -> Self {
        Self::encode(|to| to.string(bytes))
    }

    /// K as it stands in the exchange hash and in the derivation of keys.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded[..self.len]
    }

    fn encode(write: impl FnOnce(&mut Writer<'_>) -> Result<(), crate::wire::WireError>) -> Self {
        let mut encoded = [0; 37];
        let mut to = Writer::new(&mut encoded);
        write(&mut to).expect("37 bytes hold an mpint of 32");
        let len = to.written();
        Self { encoded, len }
    }
}

/// Answers the client's public value (Q_C or C_INIT). A wrong length, an encapsulation key that
/// fails its check (FIPS 203 section 7.2) or a point of small order is an error.
pub fn respond(method: Method, client: &[u8], random: &mut dyn Random) -> Result<(Reply, Secret), Error> {
    let mut reply = Reply::new();
    let mut put = |bytes: &[u8]| reply.extend_from_slice(bytes).expect("both halves fit a Reply");
    let secret = match method {
        Method::Curve25519 => {
            let public = client.try_into().map_err(|_| Malformed::ExchangeValue)?;
            let (ours, shared) = x25519(public, random)?;
            put(&ours);
            Secret::from_number(&shared)
        }
        Method::MlKem768X25519 => {
            let (key, public) = client.split_last_chunk().ok_or(Malformed::ExchangeValue)?;
            let (ciphertext, post_quantum) = encapsulate(key, random)?;
            let (ours, classic) = x25519(public, random)?;
            put(&ciphertext);
            put(&ours);
            let hasher = Sha256::new().chain_update(*post_quantum).chain_update(*classic);
            let combined = Zeroizing::new(<[u8; 32]>::from(hasher.finalize()));
            Secret::from_string(&combined)
        }
    };
    Ok((reply, secret))
}

type Shared = Zeroizing<[u8; 32]>;

fn x25519(theirs: &[u8; X25519_LEN], random: &mut dyn Random) -> Result<([u8; X25519_LEN], Shared), Error> {
    let mut seed = Zeroizing::new([0; 32]);
    random.fill(&mut *seed);
    let secret = StaticSecret::from(*seed);
    let shared = secret.diffie_hellman(&PublicKey::from(*theirs));
    // RFC 8731 section 3: an all-zero result must end the exchange.
    if !shared.was_contributory() {
        return Err(Malformed::ExchangeValue.into());
    }
    Ok((PublicKey::from(&secret).to_bytes(), Zeroizing::new(shared.to_bytes())))
}

/// Has a stack frame of its own, the largest of the crate: about 30 KiB.
#[inline(never)]
fn encapsulate(key: &[u8], random: &mut dyn Random) -> Result<(Ciphertext, Shared), Error> {
    let key = key.try_into().map_err(|_| Malformed::ExchangeValue)?;
    let key = EncapsulationKey::new(key).map_err(|_| Malformed::ExchangeValue)?;
    let mut message = Zeroizing::new([0; 32]);
    random.fill(&mut *message);
    let (ciphertext, shared) = key.encapsulate_deterministic((&*message).into());
    Ok((ciphertext, Zeroizing::new(shared.into())))
}
