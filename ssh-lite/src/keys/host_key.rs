//! Host key files: `openssh-key-v1` (PROTOCOL.key of OpenSSH), as `ssh-keygen -t ed25519 -N ''`
//! writes them.

use core::{error, fmt};

use ed25519_dalek::{Signer, SigningKey};
use heapless::String;
use zeroize::Zeroizing;

use super::base64::{self, Base64Error};
use super::ed25519_blob;
use crate::wire::{Reader, WireError};

/// What ssh-keygen writes for an Ed25519 key is 229 bytes, the comment and up to 7 of padding. A
/// multiple of 3: see [`Base64Error`].
const DECODED_MAX: usize = 1536;

const END: &[u8] = b"-----END OPENSSH PRIVATE KEY-----";

/// A name from the file, for an error. The longest that OpenSSH has is
/// `sk-ecdsa-sha2-nistp256@openssh.com`.
pub type Name = String<40>;

/// The server's Ed25519 key pair. The private half is wiped when it is dropped.
#[derive(Debug)]
pub struct HostKey(SigningKey);

impl HostKey {
    /// From the 32 secret bytes (RFC 8032 section 5.1.5).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads the text of a key file. The key must be of type `ssh-ed25519` and not encrypted.
    pub fn from_openssh(pem: &[u8]) -> Result<Self, HostKeyError> {
        let body = pem_body(pem)?;
        let mut symbols = body.iter().copied().filter(|b| !b.is_ascii_whitespace());
        let mut decoded = Zeroizing::new([0; DECODED_MAX]);
        match base64::decode(&mut symbols, &mut *decoded) {
            Ok(end) => Self::from_private_key(&decoded[..end]),
            Err(Base64Error::Invalid) => Err(HostKeyError::Base64),
            // The beginning says what kind of key it is: a kind that is refused is the better
            // reason.
            Err(Base64Error::NoRoom) => Err(match Self::from_private_key(&*decoded) {
                Ok(_) | Err(HostKeyError::Malformed) => HostKeyError::TooLong,
                Err(reason) => reason,
            }),
        }
    }

    /// PROTOCOL.key sections 1 to 3.
    fn from_private_key(decoded: &[u8]) -> Result<Self, HostKeyError> {
        let mut outer = Reader::new(decoded);
        if outer.bytes(15)? != b"openssh-key-v1\0" {
            return Err(HostKeyError::Malformed);
        }
        let cipher = outer.text()?;
        if cipher != "none" {
            return Err(HostKeyError::Encrypted(name(cipher)?));
        }
        let (kdf, kdf_options) = (outer.string()?, outer.string()?);
        if (kdf, kdf_options) != (b"none", b"") {
            return Err(HostKeyError::Malformed);
        }
        let keys = outer.uint32()?;
        if keys != 1 {
            return Err(HostKeyError::Keys(keys));
        }
        // The type alone, and not the whole blob: the decoded text may end before the blob does.
        let mut peek = outer;
        peek.uint32()?;
        let key_type = peek.text()?;
        if key_type != "ssh-ed25519" {
            return Err(HostKeyError::KeyType(name(key_type)?));
        }
        let public_blob = outer.string()?;
        let private_section = outer.string()?;
        outer.finish()?;

        let mut inner = Reader::new(private_section);
        let check = inner.uint32()?;
        if inner.uint32()? != check || inner.text()? != key_type {
            return Err(HostKeyError::Malformed);
        }
        let public = inner.string()?.try_into().map_err(|_| HostKeyError::Malformed)?;
        let pair = inner.string()?.try_into().map_err(|_| HostKeyError::Malformed)?;
        let _comment = inner.string()?;
        // Padded with 1, 2, 3 ... to the block size, which is 8 for the cipher "none".
        let padding = inner.rest();
        if private_section.len() % 8 != 0 || padding.len() >= 8 || !padding.iter().copied().eq(1..=padding.len() as u8)
        {
            return Err(HostKeyError::Malformed);
        }

        let key = SigningKey::from_keypair_bytes(pair).map_err(|_| HostKeyError::Mismatch)?;
        if key.verifying_key().as_bytes() != public || ed25519_blob(public) != *public_blob {
            return Err(HostKeyError::Mismatch);
        }
        Ok(Self(key))
    }

    /// The public half.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The public half as known_hosts and `.pub` files have it, without a comment.
    pub fn public_line(&self) -> impl fmt::Display {
        PublicLine(ed25519_blob(&self.public()))
    }

    /// Signs an exchange hash (RFC 8709 section 6, RFC 4253 section 8).
    pub fn sign(&self, hash: &[u8; 32]) -> [u8; 64] {
        self.0.sign(hash).to_bytes()
    }
}

struct PublicLine([u8; 51]);

impl fmt::Display for PublicLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ssh-ed25519 ")?;
        // A multiple of 3: no padding is due.
        base64::encode_unpadded(&self.0, f)
    }
}

/// What stands between the BEGIN and the END line of the one PEM block (RFC 7468) that `pem` must
/// be.
fn pem_body(pem: &[u8]) -> Result<&[u8], HostKeyError> {
    let rest = pem.trim_ascii_start().strip_prefix(b"-----BEGIN ").ok_or(HostKeyError::NoBegin)?;
    let label_end = rest.iter().position(|&b| b == b'-').ok_or(HostKeyError::NoBegin)?;
    let (label, rest) = rest.split_at(label_end);
    let rest = rest.strip_prefix(b"-----").ok_or(HostKeyError::NoBegin)?;
    if label != b"OPENSSH PRIVATE KEY" {
        let label = core::str::from_utf8(label).map_err(|_| HostKeyError::NoBegin)?;
        return Err(name(label).map_or(HostKeyError::NoBegin, HostKeyError::Label));
    }
    let end = rest.windows(END.len()).position(|text| text == END).ok_or(HostKeyError::NoEnd)?;
    let behind = rest[end + END.len()..].trim_ascii_start();
    if !behind.is_empty() {
        let before = &pem[..pem.len() - behind.len()];
        return Err(HostKeyError::Behind(1 + before.iter().filter(|&&byte| byte == b'\n').count()));
    }
    Ok(&rest[..end])
}

fn name(text: &str) -> Result<Name, HostKeyError> {
    Name::try_from(text).map_err(|_| HostKeyError::Malformed)
}

/// Why a file is not a host key that can be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HostKeyError {
    /// It does not begin with a `-----BEGIN ...-----` line.
    NoBegin,
    /// It is a PEM file of another kind, of this label.
    Label(Name),
    /// There is no `-----END OPENSSH PRIVATE KEY-----`.
    NoEnd,
    /// Something stands behind that, in this line: a note, or a second key.
    Behind(usize),
    /// What stands between is not base 64.
    Base64,
    /// It is encrypted, with this cipher.
    Encrypted(Name),
    /// It holds so many keys, not one.
    Keys(u32),
    /// It holds a key of this type.
    KeyType(Name),
    /// It is longer than an Ed25519 key with a comment of 1,280 bytes can be.
    TooLong,
    /// Its fields are not those of an `openssh-key-v1` file.
    Malformed,
    /// Its private and public halves do not belong together.
    Mismatch,
}

impl From<WireError> for HostKeyError {
    fn from(_: WireError) -> Self {
        Self::Malformed
    }
}

impl fmt::Display for HostKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBegin => f.write_str("the host key file does not begin with -----BEGIN OPENSSH PRIVATE KEY-----"),
            Self::Label(label) => write!(
                f,
                "the host key file is a PEM file of the kind \"{}\", not an OpenSSH private key",
                label.as_bytes().escape_ascii()
            ),
            Self::NoEnd => f.write_str("the host key file does not end with -----END OPENSSH PRIVATE KEY-----"),
            Self::Behind(line) => write!(f, "line {line} of the host key file stands behind the END of the key"),
            Self::Base64 => f.write_str("the host key file is not base 64 between its first and its last line"),
            Self::Encrypted(cipher) => write!(
                f,
                "the host key is encrypted ({}): ssh-keygen -p takes the passphrase off",
                cipher.as_bytes().escape_ascii()
            ),
            Self::Keys(keys) => write!(f, "the host key file holds {keys} keys, not one"),
            Self::KeyType(key_type) => {
                let key_type = key_type.as_bytes().escape_ascii();
                write!(f, "the host key is of type {key_type}, not ssh-ed25519")
            }
            Self::TooLong => f.write_str("the host key file is too long for an Ed25519 key"),
            Self::Malformed => f.write_str("the host key file is damaged"),
            Self::Mismatch => f.write_str("the private and the public half of the host key do not belong together"),
        }
    }
}

impl error::Error for HostKeyError {}

#[cfg(test)]
mod tests;
