//! The channels of a connection.

use super::{Channel, Open};
use crate::limits::{FORWARDED, SESSIONS};

/// A channel of this connection. After [`Closed`](crate::Event::Closed) or
/// [`OpenFailed`](crate::Event::OpenFailed) the same value may come again for another channel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChannelId(u8);

impl ChannelId {
    /// How many different ids there are.
    pub const COUNT: usize = SESSIONS + FORWARDED;

    /// Below [`Self::COUNT`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// This side's number for the channel in messages.
    pub(crate) const fn number(self) -> u32 {
        self.0 as u32
    }
}

/// Which side opened the channel. Each kind has places of its own: neither can use up the other's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Session,
    Forwarded,
}

pub(crate) struct Channels {
    places: [Option<Channel>; ChannelId::COUNT],
}

impl Channels {
    pub const fn new() -> Self {
        Self { places: [const { None }; ChannelId::COUNT] }
    }

    pub fn kind(id: ChannelId) -> Kind {
        if id.index() < SESSIONS { Kind::Session } else { Kind::Forwarded }
    }

    /// Takes a free place for `channel`.
    pub fn add(&mut self, kind: Kind, channel: Channel) -> Option<ChannelId> {
        let range = match kind {
            Kind::Session => 0..SESSIONS,
            Kind::Forwarded => SESSIONS..ChannelId::COUNT,
        };
        let free = self.places[range.clone()].iter().position(Option::is_none)? + range.start;
        self.places[free] = Some(channel);
        Some(ChannelId(u8::try_from(free).ok()?))
    }

    pub fn remove(&mut self, id: ChannelId) {
        self.places[id.index()] = None;
    }

    pub fn replace(&mut self, id: ChannelId, channel: Channel) {
        self.places[id.index()] = Some(channel);
    }

    pub fn get(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.places[id.index()].as_mut()
    }

    pub fn open(&mut self, id: ChannelId) -> Option<&mut Open> {
        match self.get(id) {
            Some(Channel::Open(open)) => Some(open),
            _ => None,
        }
    }

    /// The channel that a message of the peer is for.
    pub fn find(&mut self, number: u32) -> Option<(ChannelId, &mut Channel)> {
        let index = u8::try_from(number).ok()?;
        let channel = self.places.get_mut(usize::from(index))?.as_mut()?;
        Some((ChannelId(index), channel))
    }

    pub fn each_open(&mut self) -> impl Iterator<Item = &mut Open> {
        self.places.iter_mut().flatten().filter_map(|channel| match channel {
            Channel::Open(open) => Some(open),
            _ => None,
        })
    }
}
