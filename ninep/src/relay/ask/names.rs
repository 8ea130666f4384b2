//! The version, and what a name stands for.

use heapless::Vec;

use crate::errno::Errno;
use crate::msg::{Tversion, Twalk, Twalkgetattr, VERSION};
use crate::relay::data::cache::Cache;
use crate::relay::data::hash::Hash;
use crate::relay::data::listing::is_absent;
use crate::relay::data::node::{Node, NodeId};
use crate::relay::data::request::{Ahead, Request, RequestKind, Walk};
use crate::relay::facts::Known;
use crate::relay::state::{Relay, State, UPSTREAM_MSIZE};
use crate::types::qt;

impl Relay<'_> {
    /// What is known of a name that counts for a job. What is about to expire is asked for again.
    pub(crate) fn look_up(
        &mut self,
        parent: NodeId,
        name: &[u8],
        seq: u64,
        cache: &mut Cache<'_>,
    ) -> Result<Known, Errno> {
        let directory = self.tree.view(parent);
        if directory.qid.kind & qt::DIR == 0 {
            return Err(Errno::ENOTDIR);
        }
        if directory.gone {
            return Ok(Known::Absent);
        }
        if let Some(id) = self.tree.find(parent, Hash::of(name)) {
            let node = self.tree.view(id);
            let is_it = node.absent || (!node.nameless && self.any_fid(id, 0).is_some());
            if self.is_fresh(&node, seq) && is_it {
                if self.is_ageing(&node) && self.tree.node(parent).ffid != 0 {
                    self.send_name(parent, name, Ahead::No);
                }
                self.tree.node(id).wanted = true;
                return Ok(if node.absent { Known::Absent } else { Known::Child(id) });
            }
        }
        if self.is_fresh(&directory, seq) && is_absent(cache, directory.key, name) {
            return Ok(Known::Absent);
        }
        Ok(Known::Unknown)
    }

    /// Asks what a name stands for, by a fid of the file if there is one.
    pub(crate) fn send_name(&mut self, parent: NodeId, name: &[u8], ahead: Ahead) -> u16 {
        let hash = Hash::of(name);
        let is_it =
            |r: &Request| r.node == parent && matches!(r.kind, RequestKind::Walk(Walk { name, .. }) if name == hash);
        if let Some(tag) = self.pending(is_it) {
            return tag;
        }
        if let Some(child) = self.tree.find(parent, hash) {
            let node = self.tree.view(child);
            // The stock server's fids stand for paths, as long as they are not open.
            if self.google && node.ffid != 0 && !node.dir_open && !node.absent && !node.asked.is_overtaken() {
                return self.send_getattr(child, node.ffid);
            }
        }
        let Node { ffid: fid, key, .. } = *self.tree.node(parent);
        let newfid = self.new_ffid();
        let mut wname = Vec::new();
        let _ = wname.push(name);
        let kind = RequestKind::Walk(Walk { name: hash, key, ahead });
        let request = Request { ffid: newfid, ..Request::on(parent, kind) };
        self.tree.node(parent).pins += 1;
        if self.google {
            self.send(&Twalkgetattr { fid, newfid, wname }, request)
        } else {
            self.send(&Twalk { fid, newfid, wname }, request)
        }
    }

    pub(crate) fn ask_version(&mut self, google: bool) {
        self.state = State::Version { google };
        let version: &[u8] = if google { b"9P2000.L.Google.2" } else { VERSION };
        self.send(&Tversion { msize: UPSTREAM_MSIZE, version }, Request::new(RequestKind::Version));
    }
}
