//! The ssh protocol as a state machine without I/O and without a heap.
//!
//! Bytes from the peer go in, bytes for the peer and [events](event::Event) for the caller come
//! out; time and randomness are arguments. The caller owns the socket, the host key and every
//! decision: who may log in, what a session is.
//!
//! ```text
//!              ┌────────────────────────── server ──────────────────────────┐
//!  bytes in ─▶ │ transport: ident │ packets ─▶ kex ─▶ login ─▶ connection   │ ─▶ events
//! bytes out ◀─ │ transport: packets ◀───────── answers ◀─────── channels    │ ◀─ answers, data
//!              └────────────────────────────────────────────────────────────┘
//! ```
//!
//! - [`wire`]: the data types of RFC 4251 section 5.
//! - [`msg`]: the table of messages; what each looks like and when it is legal.
//! - `transport`: the identification line, and packets opened and sealed where they lie in the
//!   caller's buffers (RFC 4253 sections 4 to 6).
//! - `kex`: algorithm negotiation, key exchange, key derivation (RFC 4253 sections 7 to 9).
//! - [`auth`] and [`keys`]: user signatures and the files that keys are kept in. They need no
//!   connection, so that a process without a socket can decide.
//! - [`connection`]: channels and their windows, requests (RFC 4254).
//! - [`server`]: the machine that holds these together.
//!
//! # Implemented
//!
//! - Key exchange: mlkem768x25519-sha256, curve25519-sha256; by either side and at any time.
//!   Strict key exchange (OpenSSH's PROTOCOL, section 1.10); EXT_INFO with server-sig-algs (RFC 8308)
//!   and publickey-hostbound@openssh.com.
//! - Host key: ssh-ed25519.
//! - Ciphers: chacha20-poly1305@openssh.com, aes128-gcm@openssh.com, aes256-gcm@openssh.com.
//! - User authentication: `none` (always refused) and `publickey` with ssh-ed25519,
//!   ecdsa-sha2-nistp256, rsa-sha2-256 and rsa-sha2-512, which may be bound to the host key
//!   (OpenSSH's PROTOCOL, section 3.1). What a peer may send and leave unread until then is counted
//!   and bounded ([`limits`]).
//! - Sessions with pty-req, env, shell, exec, subsystem, window-change, signal, exit-status and
//!   exit-signal; tcpip-forward, its cancel, and forwarded-tcpip.
//!
//! # Deliberately absent
//!
//! - The client's role.
//! - Ciphers that need a MAC beside them, compression, SHA-1, finite field Diffie-Hellman.
//! - Passwords, keyboard-interactive, host-based authentication, certificates.
//! - direct-tcpip, X11, agent forwarding, `break`, flow control by xon-xoff.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "testkit"))]
extern crate std;

pub mod auth;
pub mod connection;
pub mod error;
pub mod event;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod kex;
pub mod keys;
pub mod limits;
pub mod msg;
pub mod names;
mod outside;
pub mod server;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
mod transport;
pub mod wire;

pub use error::Error;
pub use event::Event;
pub use outside::{Instant, Random};
pub use server::Server;
pub use ssh_lite_cipher::{Algorithm as Cipher, Ciphers};
