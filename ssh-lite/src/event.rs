//! What the machine tells its caller. Borrowed values lie in the receive buffer.

use crate::{
    auth,
    connection::{ChannelId, Request},
};

/// After an event that names an answer no other comes until that is given.
#[derive(Debug)]
pub enum Event<'e> {
    /// A packet was handled, and the caller has nothing to do.
    Progress,
    /// The host key is to sign the exchange hash H; in every key exchange (RFC 4253 section 8).
    /// Answer: [`sign_answer`](crate::Server::sign_answer).
    Sign { hash: [u8; 32] },
    /// May this key log in (RFC 4252 section 7)? The client has signed nothing yet.
    /// Answer: [`auth_answer`](crate::Server::auth_answer).
    AuthQuery { user: &'e str, algorithm: &'e str, key: &'e [u8] },
    /// Is this signature a good one of a key that may log in (RFC 4252 section 7)?
    /// Answer: [`auth_answer`](crate::Server::auth_answer).
    AuthVerify(auth::Request<'e>),
    /// The client tried another method than `publickey` and `none`, and was refused.
    AuthRefused { user: &'e str, method: &'e str },
    /// The client tried a key that cannot be used, or not by this algorithm, and was refused. `key` may be malformed.
    AuthUnusable { user: &'e str, algorithm: &'e str, key: &'e [u8], why: auth::Refused },
    /// The client opens a session (RFC 4254 section 6.1).
    /// Answer: [`open_answer`](crate::Server::open_answer).
    Open { channel: ChannelId },
    /// The client has accepted a forwarded channel.
    Opened { channel: ChannelId },
    /// The client has refused a forwarded channel (RFC 4254 section 5.1); its id is free.
    OpenFailed { channel: ChannelId, reason: u32, description: &'e str },
    /// Answer: [`request_answer`](crate::Server::request_answer).
    Request { channel: ChannelId, request: Request<'e> },
    /// The client asks for connections to this address (RFC 4254 section 7.1); port 0: any.
    /// Answer: [`forward_answer`](crate::Server::forward_answer).
    Forward { address: &'e str, port: u32 },
    /// The client wants no more connections to this address (RFC 4254 section 7.1).
    /// Answer: [`forward_answer`](crate::Server::forward_answer).
    CancelForward { address: &'e str, port: u32 },
    /// Data of one packet, without what the caller has used of it already.
    /// Acknowledge: [`data_used`](crate::Server::data_used).
    Data { channel: ChannelId, data: &'e [u8] },
    /// The client sends no more data on this channel (RFC 4254 section 5.3).
    Eof { channel: ChannelId },
    /// The channel is closed on both sides, and its id is free (RFC 4254 section 5.3).
    Closed { channel: ChannelId },
    /// The client has ended the connection (RFC 4253 section 11.1). Nothing follows.
    Disconnected { reason: u32, description: &'e str },
}
