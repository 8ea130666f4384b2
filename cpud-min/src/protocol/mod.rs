//! The messages between roles, a file for each role that wire or init talks with.

pub mod guard;
pub mod net;
pub mod relay;
pub mod session;
