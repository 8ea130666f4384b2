#![doc = include_str!("../README.md")]
//!
//! # Parts
//!
//! ```text
//! bytes → frame::Check                  is this a well-formed session? (the bytes pass by)
//! bytes → msg::Frame → msg::Message     what does this message say? (it must lie in one slice)
//! stream ⇄ client::Client               version, attach, walk, getattr, lopen, read, readdir, clunk
//! kernel ⇄ relay::Relay ⇄ file server   answers from a cache, and puts right what the server gets wrong
//! ```
//!
//! - [`wire`]: the data types of intro(5): reading and writing them.
//! - [`msg`]: every message of 9P2000.L, and Google's Twalkgetattr, in one table, in the notation of the man pages.
//! - [`types`]: what messages are made of: [`Qid`](types::Qid), [`Attr`](types::Attr), directory
//!   entries, flags.
//! - [`frame`]: checks a session that passes by, in any split, both ways, without keeping bodies.
//! - `client` (feature): one request at a time over `embedded-io`; a second opinion on any 9P server.
//! - [`relay`]: ends the kernel's session and holds one of its own with the file server; what cpud runs.
//! - [`errno`]: the error numbers of Rlerror. [`limits`]: the protocol's bounds, each with its reason.
//!
//! Sources: section 5 of the Plan 9 manual for what 9P2000 has, diod's `protocol.md` for what Linux
//! added, and `include/net/9p/9p.h` and `net/9p/client.c` of Linux where the two disagree.
//!
//! Deliberately absent: 9P2000 and 9P2000.u (Topen, Tcreate, Tstat and Twstat are refused with EOPNOTSUPP; Rerror),
//! authentication beyond the codec of Tauth, and requests side by side in the client.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

#[cfg(feature = "client")]
pub mod client;
pub mod errno;
pub mod frame;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod limits;
pub mod msg;
pub mod relay;
pub mod types;
pub mod wire;
