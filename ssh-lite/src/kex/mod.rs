//! Key exchange (RFC 4253 sections 7 to 9): what is agreed on, the shared secret, the keys.

mod derive;
mod ecdh;
mod hash;
mod negotiate;

#[cfg(test)]
mod tests;

pub use derive::{Direction, derive};
pub use ecdh::{Method, Reply, Secret, respond};
pub use hash::Transcript;
pub use negotiate::{Choice, Offer, wants_ext_info, wants_strict};
