//! The messages between the roles, one file for each role that answers wire.

pub mod guard;
pub mod relay;
pub mod session;
