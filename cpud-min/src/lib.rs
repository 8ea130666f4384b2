//! The program `cpud`: PID 1 of the appliance and its whole user land, or an ordinary daemon.
//!
//! One program, several roles, each a process of its own:
//!
//! ```text
//! init ──fork──> net     one, on the appliance; addresses, routes; raw packets, and no key
//!      ──fork──> guard   one per connection; host key, verdicts, opens sessions; never reads the network
//!      ──fork──> wire    one per connection; the socket and the ssh protocol; no key, no file system
//!      ──fork──> relay   one per authorized key; the 9P protocol, and the cache of the user's files
//! guard ─fork─> session one per command; builds the name space and becomes the command
//!       ─fork─> pump    one per command without a terminal; its pipes
//! session ─────> listener one per session with NFS; the connections of its mount
//! ```
//!
//! `guard` and `wire` talk over a socketpair ([`protocol::guard`]); so do `wire` and each `session`
//! ([`protocol::session`]), and `wire` and its user's `relay` ([`protocol::relay`]). [`plan`] is the pure half, tested
//! without a machine; [`sys`] makes the system calls.

#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

#[cfg(test)]
mod imports;

pub mod check;
pub mod config;
pub mod guard;
pub mod init;
pub mod keys;
pub mod limits;
pub mod net;
pub mod plan;
pub mod protocol;
pub mod relay;
pub mod report;
pub mod session;
pub mod sys;
pub mod wire;
