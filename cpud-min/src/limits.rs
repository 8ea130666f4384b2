//! Bounds and places that more than one role keeps to. What one role keeps to alone is beside its code.

use core::ffi::CStr;

/// Connections of users. More wait in the kernel's queue.
pub const USERS_MAX: usize = 128;

/// The least memory of a relay, and the most that one is given.
pub const RELAY_LEAST: usize = 256 * 1024;
pub const RELAY_MOST: usize = 64 * 1024 * 1024;

/// The longest message from the kernel. One without `kernel-config/patches/9p-memory.patch` allocates each in one piece.
pub const MSIZE: usize = 128 * 1024;

/// Where each session leaves a line about itself.
pub const RECORDS: &CStr = c"/run/cpud";
