//! The network of the appliance: a process that init starts anew whenever it ends, with the privileges to set addresses
//! and to send raw packets, and no other.
//!
//! ```text
//! kernel ──links──> role ──plugged in──> interface ──> dhcp, claim, link_local
//! packets ─────────────── messages ───────> "              (machines: time and random numbers are arguments)
//! kernel <──addresses, routes── role <──wanted── "
//! init <──────lines, names───── role
//! ```

pub mod claim;
pub mod dhcp;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod interface;
pub mod link;
pub mod link_local;
pub mod mac;
mod role;
pub mod rtnetlink;

pub use role::{Config, run};

#[cfg(test)]
mod tests;
