//! Which of the client's devices a file is on: the questions. `learn/devices.rs` has the answers.

use heapless::Vec;

use crate::limits::{IOHDRSZ, MAXWELEM};
use crate::msg::{Tread, Twalk, Twalkgetattr};
use crate::relay::data::mounts::ROOT_MOST;
use crate::relay::data::node::{Node, NodeId};
use crate::relay::data::request::{Request, RequestKind};
use crate::relay::state::{JOB_UPSTREAM, Relay};
use crate::types::qt;

/// What is read of the file at a time.
const PIECE: u32 = 64 * 1024;

impl Relay<'_> {
    /// Asks for the client's mounts, and for the user of its process.
    pub(crate) fn ask_devices(&mut self) {
        let wname = Vec::from_array([&b"proc"[..], b"self"]);
        self.walk_for(RequestKind::Devices { offset: 0, count: 0 }, wname);
    }

    /// Asks for the owner of the user's home. False: there is none to ask for.
    pub(crate) fn ask_owner(&mut self) -> bool {
        let home = core::mem::take(&mut self.home);
        let names = home.split(|&b| b == b'/').filter(|name| !name.is_empty()).take(MAXWELEM);
        if !home.is_empty() {
            self.walk_for(RequestKind::Home, names.collect());
        }
        !home.is_empty()
    }

    /// Walks from the root.
    pub(crate) fn walk_for(&mut self, kind: RequestKind, wname: Vec<&[u8], MAXWELEM>) {
        let newfid = self.new_ffid();
        let fid = self.tree.node(self.root).ffid;
        let request = Request { ffid: newfid, ..Request::new(kind) };
        if self.google {
            self.send(&Twalkgetattr { fid, newfid, wname }, request)
        } else {
            self.send(&Twalk { fid, newfid, wname }, request)
        };
    }

    /// Reads the file from its beginning.
    pub(crate) fn read_devices(&mut self) {
        self.devices.begin();
        self.go_on_reading(self.devices.ffid, 0);
    }

    pub(crate) fn go_on_reading(&mut self, fid: u32, offset: u64) {
        let count = PIECE.min(self.upstream_msize - IOHDRSZ);
        let request = Request { ffid: fid, ..Request::new(RequestKind::Devices { offset, count }) };
        self.send(&Tread { fid, offset, count }, request);
    }

    /// A directory has been found. If something may have been mounted or unmounted there, the client's mounts are read
    /// again.
    pub(crate) fn look_for_mounts(&mut self, id: NodeId) {
        let Node { parent, place, qid, .. } = self.tree.view(id);
        let looks = match self.devices.at(place).and_then(|number| self.devices.known_mut(number)) {
            Some(mount) => {
                let before = core::mem::replace(&mut mount.root, qid.path);
                before != 0 && before != qid.path && !mount.is_fickle()
            }
            // Whatever is made in a directory mostly has a number above the directory's own.
            None => qid.path <= ROOT_MOST && qid.path < self.tree.view(parent).qid.path,
        };
        if looks
            && qid.kind & qt::DIR != 0
            && self.devices.ffid != 0
            && self.asking_devices().is_none()
            && self.has_room(JOB_UPSTREAM)
        {
            self.read_devices();
        }
    }
}
