//! Transcripts: what a client sends, what the caller is told, what goes back.

mod forwards;
mod handshake;
mod login;
mod rekey;
mod sessions;
mod windows;

use crate::{
    error::{Error, Misbehaviour},
    testkit::{Client, Pair},
};
use std::{string::String, vec::Vec};

fn unexpected(number: u8) -> Error {
    Misbehaviour::Unexpected { number }.into()
}

/// The DISCONNECT that the client has got: its reason and its sentence.
fn farewell(pair: &mut Pair<'_>) -> (u32, String) {
    pair.client.absorb(pair.server.output());
    last_words(&mut pair.client)
}

fn last_words(client: &mut Client) -> (u32, String) {
    let payload: Vec<u8> = client.inbox.pop_back().expect("a last message");
    match crate::msg::Message::decode(&payload) {
        Ok(crate::msg::Message::Disconnect(message)) => (message.reason, message.description.into()),
        other => panic!("{other:?}"),
    }
}
