//! The messages between wire and the other roles, a file for each of those.

pub mod guard;
pub mod relay;
pub mod session;
