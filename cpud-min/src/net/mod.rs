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
pub mod link_local;

use core::net::Ipv4Addr;

/// The address of an Ethernet card.
pub type Mac = [u8; 6];

/// An address of the settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Static {
    pub address: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Option<Ipv4Addr>,
}

#[cfg(test)]
mod tests;
