//! Public key authentication (RFC 4252 section 7): may a key log in, and is a signature good?
//!
//! These are functions of the bytes of a request and of an `authorized_keys` file, so that the process
//! that decides need not be the one that speaks to the peer.

mod montgomery;
mod refused;
mod rsa;
mod scheme;
mod verify;

pub use refused::Refused;
pub use verify::{Authenticated, USER_MAX, permitted, unusable, verify};

/// The signature algorithms that are accepted, for `server-sig-algs` (RFC 8308 section 3.1).
///
/// `ssh-rsa`, which signs with SHA-1, is not among them (nor among OpenSSH's since 8.8):
/// keys of that type sign with `rsa-sha2-512` or `rsa-sha2-256` (RFC 8332).
pub const SIGNATURE_ALGORITHMS: &str = "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256";

/// The fields of an `SSH_MSG_USERAUTH_REQUEST` with the method `publickey` and a signature.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The name to log in as.
    pub user: &'a str,
    /// The service to start after it, `ssh-connection`.
    pub service: &'a str,
    /// The signature algorithm (RFC 8332 section 3), which need not be the name of the key's type.
    pub algorithm: &'a str,
    /// The public key blob.
    pub key: &'a [u8],
    /// The blob of the host's key, when the signature covers it.
    pub host_key: Option<&'a [u8]>,
    /// `string algorithm`, `string signature` as the algorithm has it.
    pub signature: &'a [u8],
}

#[cfg(test)]
mod vectors;
