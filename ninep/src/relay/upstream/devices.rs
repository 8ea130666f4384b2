//! Which of the client's devices a file is on: the steps to its /proc/self/mountinfo.

use heapless::Vec;

use crate::msg::{Message, Rgetattr, Rreadlink, Rwalk, Rwalkgetattr, Tgetattr, Tlopen, Treadlink};
use crate::relay::data::cache::Cache;
use crate::relay::data::owner::Owner;
use crate::relay::data::request::{Request, RequestKind};
use crate::relay::state::Relay;
use crate::types::{getattr, open};

impl Relay<'_> {
    /// One of the steps has been answered, and the next one is taken. After an answer that leads nowhere there is none.
    pub(super) fn devices_go_on(
        &mut self,
        tag: usize,
        request: &Request,
        message: &Message<'_>,
        cache: &mut Cache<'_>,
    ) {
        let fid = request.ffid;
        let is_home = matches!(request.kind, RequestKind::Home);
        match message {
            // The first of its names is that of a process.
            Message::Rwalkgetattr(Rwalkgetattr { wqid, .. }) | Message::Rwalk(Rwalk { wqid })
                if wqid.len() == 2 && !is_home =>
            {
                self.send(&Treadlink { fid }, *request);
            }
            Message::Rreadlink(Rreadlink { target }) if is_number(target) => {
                let wname = Vec::from_array([&b"proc"[..], target, b"mountinfo"]);
                self.walk_for(request.kind, wname);
            }
            Message::Rwalk(_) => {
                self.send(&Tgetattr { fid, request_mask: getattr::BASIC }, *request);
            }
            Message::Rwalkgetattr(Rwalkgetattr { attr, .. }) | Message::Rgetattr(Rgetattr { attr, .. }) => {
                self.owner = Owner { uid: attr.uid, gid: attr.gid, known: true };
                if !is_home {
                    self.send(&Tlopen { fid, flags: open::RDONLY }, *request);
                }
            }
            Message::Rlopen(_) => {
                self.devices.ffid = fid;
                self.read_devices();
            }
            // Without a home, users are shown as they are.
            _ => drop(!self.owner.known && !is_home && self.ask_owner()),
        }
        self.wake(tag, 0, cache);
    }

    /// All bytes of a piece have come.
    #[inline(never)]
    pub(super) fn devices_came(
        &mut self,
        tag: usize,
        fid: u32,
        (offset, asked): (u64, u32),
        came: u32,
        cache: &mut Cache<'_>,
    ) {
        // Who speaks Google's dialect fills a message when it can.
        if came > 0 && (came == asked || !self.google) {
            self.go_on_reading(fid, offset + u64::from(came));
        } else {
            self.devices_known();
        }
        self.wake(tag, 0, cache);
    }
}

fn is_number(word: &[u8]) -> bool {
    (1..=10).contains(&word.len()) && word.iter().all(u8::is_ascii_digit)
}
