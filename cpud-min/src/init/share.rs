//! init's share of the processor: refusing a crowd must not slow what users run.

use rustix::io::Result;

use crate::config::Config;
use crate::sys::process::{self, Fork};

/// A tenth of a user's share, where there is not enough for both (sched(7)).
const NICENESS: i32 = 10;

/// Lowers init's share.
pub fn lower() {
    process::set_niceness(NICENESS);
}

/// Forks a role. On the appliance it has a user's share again.
pub fn fork(config: &Config) -> Result<Fork> {
    let fork = process::fork()?;
    if config.appliance && matches!(fork, Fork::Child) {
        process::set_niceness(0);
    }
    Ok(fork)
}
