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
mod role;
pub mod rtnetlink;

use core::fmt::{self, Display, Formatter};
use core::net::Ipv4Addr;

pub use role::{Config, run};

/// The address of an Ethernet card.
pub type Mac = [u8; 6];

/// As people write it.
pub struct Shown(pub Mac);

impl Display for Shown {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02x}")?;
        rest.iter().try_for_each(|byte| write!(f, ":{byte:02x}"))
    }
}

/// An address of the settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Static {
    pub address: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Option<Ipv4Addr>,
}

#[cfg(test)]
mod tests;
