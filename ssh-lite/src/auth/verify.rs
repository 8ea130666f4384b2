use heapless::String;

use super::scheme::Scheme;
use super::{Refused, Request};
use crate::keys::{Fingerprint, authorized_keys, base64, fingerprint};
use crate::limits::KEY_BLOB;
use crate::msg::{Encode, UserauthRequest};
use crate::names::{CONNECTION, PUBLICKEY, PUBLICKEY_HOSTBOUND};
use crate::wire::{WireError, Writer};

/// The longest user name that is accepted, in bytes: `LOGIN_NAME_MAX` of Linux without its NUL.
pub const USER_MAX: usize = 255;

/// The longest data that a signature is over, field by field as [`signed_data`] writes them: by
/// `rsa-sha2-512` with a key of 4096 bits and an exponent of 32 bits.
const SIGNED_MAX: usize =
    (4 + 32) + 1 + (4 + USER_MAX) + (4 + 14) + (4 + 35) + 1 + (4 + 12) + (4 + (4 + 7) + (4 + 5) + (4 + 513)) + (4 + 51);

/// The proof that a user's signature was verified with an authorized key. Only [`verify`] makes
/// one.
#[derive(Debug)]
pub struct Authenticated {
    user: String<USER_MAX>,
    key: Fingerprint,
}

impl Authenticated {
    /// The name that the user asked for, as the client sent it: it may hold control characters.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The key that signed.
    pub const fn key(&self) -> Fingerprint {
        self.key
    }
}

/// Why signatures by `algorithm` cannot be verified with `key`; `None` when they can.
pub fn unusable(algorithm: &str, key: &[u8]) -> Option<Refused> {
    Scheme::new(algorithm, key).err()
}

/// Whether `key` is in the file `authorized` and may sign with `algorithm`.
///
/// This answers a query without a signature (RFC 4252 section 7), which proves nothing yet.
pub fn permitted(authorized: &[u8], algorithm: &str, key: &[u8]) -> bool {
    unusable(algorithm, key).is_none() && is_authorized(authorized, key)
}

/// To parse a key takes arithmetic on its curve, and a stranger may ask about many: only lines that hold the key's base
/// 64, which has one form, are parsed.
fn is_authorized(authorized: &[u8], key: &[u8]) -> bool {
    let mut text = String::<{ KEY_BLOB.div_ceil(3) * 4 }>::new();
    if base64::encode_unpadded(key, &mut text).is_err() {
        return false;
    }
    let is_key = |word: &[u8]| word.strip_prefix(text.as_bytes()).is_some_and(|padding| padding.len() <= 2);
    let has_key = |line: &[u8]| line.split(u8::is_ascii_whitespace).any(is_key);
    let is_entry = |line: &[u8]| authorized_keys::parse(line).any(|entry| entry.is_ok_and(|entry| entry.blob == key));
    authorized.split(|&b| b == b'\n').any(|line| has_key(line) && is_entry(line))
}

/// Verifies a request that carries a signature (RFC 4252 section 7), made in the connection
/// `session_id` by a key of the file `authorized`.
///
/// The work is bounded by the sizes of the file and of the largest key.
pub fn verify(session_id: &[u8; 32], authorized: &[u8], request: &Request<'_>) -> Result<Authenticated, Refused> {
    let user = String::try_from(request.user).map_err(|_| Refused::TooLong)?;
    if request.service != CONNECTION {
        return Err(Refused::Service);
    }
    let scheme = Scheme::new(request.algorithm, request.key)?;
    if !is_authorized(authorized, request.key) {
        return Err(Refused::NotAuthorized);
    }
    let mut buffer = [0; SIGNED_MAX];
    let signed = signed_data(session_id, request, &mut buffer).map_err(|_| Refused::TooLong)?;
    scheme.verify(signed, request.signature)?;
    Ok(Authenticated { user, key: fingerprint(request.key) })
}

/// What the client signs (RFC 4252 section 7; PROTOCOL of OpenSSH, section 3.1).
fn signed_data<'b>(
    session_id: &[u8; 32],
    request: &Request<'_>,
    buffer: &'b mut [u8; SIGNED_MAX],
) -> Result<&'b [u8], WireError> {
    let mut out = Writer::new(buffer);
    out.string(session_id)?;
    out.byte(UserauthRequest::NUMBER)?;
    out.string(request.user.as_bytes())?;
    out.string(request.service.as_bytes())?;
    out.string(if request.host_key.is_some() { PUBLICKEY_HOSTBOUND } else { PUBLICKEY }.as_bytes())?;
    out.boolean(true)?;
    out.string(request.algorithm.as_bytes())?;
    out.string(request.key)?;
    request.host_key.map_or(Ok(()), |key| out.string(key))?;
    Ok(out.into_written())
}

#[cfg(test)]
mod tests;
