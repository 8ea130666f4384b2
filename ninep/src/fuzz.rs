//! What the fuzz targets do with their input, and the replay of their corpora.

mod relay;

pub use relay::relay;

use crate::frame::{Check, FrameError};
use crate::limits::HDRSZ;
use crate::msg::{Header, Message, Type};
use crate::types::Dirents;
use crate::wire::{Reader, Wire, Writer};

/// A message that can be read is written back byte for byte, and so is each entry of a directory.
pub fn msg(frame: &[u8]) {
    let Ok((tag, message)) = Message::decode(frame) else {
        return;
    };
    let mut room = [0; 4096];
    if let Some(room) = room.get_mut(..frame.len()) {
        assert_eq!(message.encode(tag, room).as_deref(), Ok(frame));
    }
    if let Message::Rreaddir(reply) = message {
        let mut rest = reply.data.0;
        for entry in Dirents::new(reply.data).map_while(Result::ok) {
            let mut writer = Writer::new(&mut room);
            entry.write(&mut writer);
            if let Ok(written) = writer.written() {
                let (bytes, after) = rest.split_at(written);
                assert_eq!(bytes, &room[..bytes.len()]);
                rest = after;
            }
        }
    }
}

/// A session passes or fails at the same frame in any split, and every frame that passes whole is
/// one that may.
///
/// The input is calls: a control byte, whose top bit says who sends and whose other bits how many
/// bytes, and the bytes.
pub fn frame(calls: &[u8]) {
    let (mut whole, mut split) = (Check::new(MSIZE), Check::new(MSIZE));
    let mut passed = [Passed::default(), Passed::default()];
    let mut rest = calls;
    while let Some((&control, after)) = rest.split_first() {
        let upstream = control & 0x80 != 0;
        let (bytes, after) = after.split_at(after.len().min(usize::from(control & 0x7f)));
        rest = after;
        let at_once = send(&mut whole, upstream, bytes);
        let one_by_one = bytes.chunks(1).try_for_each(|byte| send(&mut split, upstream, byte));
        let without_good = |error| FrameError { good: 0, ..error };
        assert_eq!(at_once.map_err(without_good), one_by_one.map_err(without_good));

        let good = at_once.map_or_else(|error| error.good, |()| bytes.len());
        for &byte in &bytes[..good] {
            if let Some(Header { size, kind, .. }) = passed[usize::from(upstream)].frame_ending_with(byte) {
                assert!((HDRSZ..=MSIZE).contains(&size), "{kind}, {size}");
                if upstream || !Type::is_of_9p2000(kind) {
                    let kind = Type::from_number(kind).expect("a type that exists");
                    assert!(kind.is_request() != upstream && kind.sizes().contains(&size), "{kind}, {size}");
                }
            }
        }
        if at_once.is_err() {
            return;
        }
    }
}

const MSIZE: u32 = 8192;

fn send(check: &mut Check, upstream: bool, bytes: &[u8]) -> Result<(), FrameError> {
    if upstream { check.upstream(bytes) } else { check.kernel(bytes) }
}

/// What has passed in one direction since the last whole frame.
#[derive(Default)]
struct Passed {
    header: [u8; HDRSZ as usize],
    bytes: u32,
}

impl Passed {
    fn frame_ending_with(&mut self, byte: u8) -> Option<Header> {
        if let Some(place) = self.header.get_mut(self.bytes as usize) {
            *place = byte;
        }
        self.bytes += 1;
        let header = Header::read(&mut Reader::new(&self.header));
        let ends = self.bytes >= HDRSZ.max(header.size);
        if ends {
            self.bytes = 0;
        }
        ends.then_some(header)
    }
}

#[cfg(test)]
mod replay {
    use std::format;
    use std::fs;

    fn corpus(target: &str, run: fn(&[u8])) {
        let folder = format!("{}/../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
        let ran = files.map(|file| run(&fs::read(file.unwrap().path()).unwrap())).count();
        assert!(ran > 0, "{folder} is empty");
    }

    #[test]
    fn messages() {
        corpus("ninep_msg", super::msg);
    }

    #[test]
    fn relays() {
        corpus("ninep_relay", super::relay);
    }

    #[test]
    fn frames() {
        corpus("ninep_frame", super::frame);
    }
}
