//! What the client asks of a session, translated into messages to guard and the session.

use rustix::fd::AsFd;
use ssh_lite::connection::Request;

use super::session::Session;
use crate::plan::signal;
use crate::protocol::guard::{SessionId, ToGuard};
use crate::protocol::session::ToSession;
use crate::sys::{fdpass, tty};

/// Carries out a client's request to a session, or passes it on. None: the session answers later.
pub fn request_of(
    session: &mut Session,
    i: usize,
    request: &Request<'_>,
    guard: impl AsFd,
    scratch: &mut [u8],
) -> Option<bool> {
    let message = match *request {
        Request::Env { name, value } => ToSession::Env { name, value },
        Request::Pty { term, columns, rows, width, height, ref modes } => {
            ToSession::Pty { term, size: [columns, rows, width, height], modes: modes.encoded() }
        }
        Request::Exec { command } => ToSession::Exec { command },
        Request::Shell => ToSession::Shell,
        Request::Subsystem { .. } => return Some(false),
        Request::WindowChange { columns, rows, width, height } => {
            let terminal = session.stdout.as_ref().filter(|_| session.stderr.is_none());
            return Some(terminal.is_some_and(|t| tty::resize(t, columns, rows, width, height).is_ok()));
        }
        Request::Signal { name } => {
            // A signal that comes before the command waits for it, blocked.
            let number = signal::number(name).filter(|_| session.parameters().is_none() && session.status.is_none());
            if let Some(signal) = number {
                ToGuard::Signal { session: i as SessionId, signal }.send(guard);
            }
            return Some(number.is_some());
        }
    };
    // A session that never answers would hold up the whole connection, so one that takes no parameters is not asked.
    let Some(control) = session.parameters() else { return Some(false) };
    let encoded = message.encode(scratch).or_else(|_| too_long(&message).encode(scratch));
    session.asked = encoded.is_ok_and(|n| fdpass::send(control, &scratch[..n], &[]).is_ok());
    if session.asked { None } else { Some(false) }
}

/// The message that replaces one too long to send.
fn too_long<'a>(message: &ToSession<'a>) -> ToSession<'a> {
    let bytes = |n| u32::try_from(n).unwrap_or(u32::MAX);
    match *message {
        // The name may be the long part; its beginning identifies it.
        ToSession::Env { name, value } => {
            ToSession::TooLong { what: &name[..name.len().min(256)], length: bytes(name.len() + value.len()) }
        }
        ToSession::Exec { command } => ToSession::CommandTooLong { length: bytes(command.len()) },
        _ => ToSession::TooLong { what: b"a request", length: 0 },
    }
}
