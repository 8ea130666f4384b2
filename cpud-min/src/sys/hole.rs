//! A deliberate hole, for the tests of the walls alone: who says [`WORDS`] has this process make the system calls that he
//! asks for, as one has who took it over. Scripts find the words in a program, and make no image of it.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};

use super::call::raw;
use super::fs::{self, Io};
use super::process;

const WORDS: &[u8] = b"test-hole@cpud: never in an image\n";

/// A number, six arguments, and what these point at; on the way back the result, and what has become of the rest.
const LENGTH: usize = 1024;
const WORD: usize = size_of::<usize>();

/// Never returns when these are the words. The answer is the words, the address at which a request will lie, and the
/// descriptor by which it comes.
pub fn look(heard: &[u8], peer: impl AsFd) {
    let peer = peer.as_fd();
    if heard != WORDS {
        return;
    }
    let mut request = [0; LENGTH];
    send(peer, WORDS);
    send(peer, &request.as_mut_ptr().expose_provenance().to_ne_bytes());
    send(peer, &(peer.as_raw_fd() as usize).to_ne_bytes());
    loop {
        receive(peer, &mut request);
        let [number, args @ ..]: [usize; 7] = core::array::from_fn(|i| word(&request[i * WORD..]));
        // SAFETY: none; this is the hole.
        let result = unsafe { raw(number as u32, args) };
        request[..WORD].copy_from_slice(&result.to_ne_bytes());
        send(peer, &request);
    }
}

fn word(bytes: &[u8]) -> usize {
    bytes.first_chunk().map_or(0, |word| usize::from_ne_bytes(*word))
}

fn send(peer: BorrowedFd<'_>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let n = moved(peer, PollFlags::OUT, fs::write(peer, bytes));
        bytes = &bytes[n..];
    }
}

fn receive(peer: BorrowedFd<'_>, mut space: &mut [u8]) {
    while !space.is_empty() {
        let n = moved(peer, PollFlags::IN, fs::read(peer, space));
        space = &mut space[n..];
    }
}

/// How much was moved; when that is nothing, more can be by then.
fn moved(peer: BorrowedFd<'_>, flags: PollFlags, io: Io) -> usize {
    match io {
        Io::Moved(n) => return n,
        Io::Wait => drop(poll(&mut [PollFd::from_borrowed_fd(peer, flags)], None)),
        Io::Ended => process::exit(0),
    }
    0
}
