//! Channels and the requests on them (RFC 4254).

mod channel;
mod modes;
mod request;
mod table;
mod window;

pub use channel::Stream;
pub(crate) use channel::{Channel, Open, Terms};
pub use modes::TerminalModes;
pub use request::Request;
pub use table::ChannelId;
pub(crate) use table::{Channels, Kind};

/// Why a channel is refused (RFC 4254 section 5.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum OpenFailure {
    AdministrativelyProhibited = 1,
    ConnectFailed = 2,
    UnknownChannelType = 3,
    ResourceShortage = 4,
}

/// No channel is free, or no room to ask for one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoRoom;
