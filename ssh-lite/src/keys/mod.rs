//! Keys as OpenSSH writes them: public key blobs, `authorized_keys` files, host key files.

pub mod authorized_keys;
pub(crate) mod base64;
mod fingerprint;
pub mod host_key;
mod mpint;
mod public;
#[cfg(test)]
pub(crate) mod samples;

pub use fingerprint::{Fingerprint, fingerprint};
pub(crate) use mpint::positive;
pub use public::{KeyError, ed25519_blob};
pub(crate) use public::{PublicKey, RsaKey};
