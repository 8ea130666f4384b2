//! Limits and paths that more than one role uses. Those of one role are beside its code.

use core::ffi::CStr;

/// Connections of users who have logged in. More wait in the kernel's queue.
pub const USERS_MAX: usize = 128;

/// The smallest and the largest memory of a relay, in bytes.
pub const RELAY_LEAST: usize = 256 * 1024;
pub const RELAY_MOST: usize = 64 * 1024 * 1024;

/// The longest 9P message between the kernel and a relay (`msize`). A kernel without
/// `kernel-config/patches/9p-memory.patch` allocates each in one piece.
pub const MSIZE: usize = 128 * 1024;

/// The directory in which each session of the appliance leaves a line about itself.
pub const RECORDS: &CStr = c"/run/cpud";
