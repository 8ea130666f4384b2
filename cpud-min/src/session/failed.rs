//! The result of a session that has not become its command.

/// The session could not become its command. The reason is on standard error; this is the exit status.
pub struct Failed(pub u8);

/// The exit status of a session that did not get as far as its command.
pub const NOT_STARTED: u8 = 1;
