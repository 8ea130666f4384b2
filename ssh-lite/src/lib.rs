#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "testkit"))]
extern crate std;

pub mod auth;
pub mod connection;
mod environment;
pub mod error;
pub mod event;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod kex;
pub mod keys;
pub mod limits;
pub mod msg;
pub mod names;
pub mod server;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
mod transport;
pub mod wire;

pub use environment::{Instant, Random};
pub use error::Error;
pub use event::Event;
pub use server::Server;
pub use ssh_lite_cipher::{Algorithm as Cipher, Ciphers};
