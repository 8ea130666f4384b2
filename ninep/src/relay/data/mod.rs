//! What the relay knows and remembers. Nothing here sends anything, or knows of a [`Relay`](super::Relay).

pub mod cache;
pub mod habit;
pub mod hash;
pub mod input;
pub mod job;
pub mod listing;
pub mod mounts;
pub mod node;
pub mod out;
pub mod owner;
pub mod request;
pub mod tree;
