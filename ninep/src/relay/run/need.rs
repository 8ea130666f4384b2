//! What most jobs need before they can answer: fresh attributes, a name, a fid.

use crate::errno::Errno;
use crate::relay::data::cache::Cache;
use crate::relay::data::hash::Hash;
use crate::relay::data::job::{Job, Unanswered};
use crate::relay::data::node::{Node, NodeId, OpenId};
use crate::relay::data::request::Ahead;
use crate::relay::state::Relay;
use crate::types::open;

impl Relay<'_> {
    /// The node of a job, once its attributes are fresh.
    pub(super) fn fresh_node(&mut self, job: &Job, open: OpenId) -> Result<Node, Unanswered> {
        let node = self.tree.view(job.node);
        if self.is_fresh(&node, job.seq) { Ok(node) } else { Err(self.ask_attributes(job.node, open)) }
    }

    /// Asks for a node's attributes, unless that is under way.
    pub(super) fn ask_attributes(&mut self, node: NodeId, open: OpenId) -> Unanswered {
        let Some(fid) = self.any_fid(node, open) else { return self.no_fid(node) };
        let before = self.tree.node(node).asked;
        let tag = self.send_getattr(node, fid);
        self.ask_followers(before);
        Unanswered::wait(tag)
    }

    /// Waits for a file's only fid if it is being opened.
    fn no_fid(&self, node: NodeId) -> Unanswered {
        self.wait_for_opening(node).unwrap_or(Unanswered::Fail(Errno::ESTALE))
    }

    pub(super) fn wait_for_opening(&self, node: NodeId) -> Option<Unanswered> {
        self.opening(node).map(|tag| Unanswered::Wait { on: [tag, 0], ignore_error: true })
    }

    /// Asks what a name stands for, and what is expected to be asked for next; the tag of the request.
    pub(super) fn ask_name(&mut self, parent: NodeId, name: &[u8], cache: &mut Cache<'_>) -> Result<u16, Errno> {
        if self.tree.node(parent).ffid == 0 {
            return Err(Errno::ESTALE);
        }
        let known = self.tree.find(parent, Hash::of(name)).map(|id| self.tree.node(id).asked);
        let tag = self.send_name(parent, name, Ahead::No);
        self.ask_followers(known.unwrap_or_default());
        if self.freshness_ms > 0 && self.google {
            self.ask_ahead(parent, name, cache);
            self.ask_next(parent, name);
        }
        Ok(tag)
    }

    /// Takes the fid of a node away from it, to be opened.
    pub(super) fn take_fid(&mut self, node: NodeId) -> Result<u32, Unanswered> {
        match core::mem::take(&mut self.tree.node(node).ffid) {
            0 => Err(self.clone_fid(node).map_or_else(|| self.no_fid(node), Unanswered::wait)),
            ffid => Ok(ffid),
        }
    }

    /// The opened upstream fid of a file that is being read.
    pub(super) fn opened_fid(&mut self, opened: OpenId) -> Result<u32, Unanswered> {
        let o = *self.tree.open(opened);
        if o.opening != 0 {
            return Err(Unanswered::wait(o.opening));
        }
        if o.ffid == 0 {
            let ffid = self.take_fid(o.node)?;
            return Err(Unanswered::wait(self.send_open(opened, ffid, open::RDONLY)));
        }
        Ok(o.ffid)
    }

    /// Opens a directory upstream. Its listing is asked for after that.
    pub(super) fn open_directory(&mut self, node: NodeId, cache: &mut Cache<'_>) -> Unanswered {
        self.ask_listing(node, cache).map_or(Unanswered::Fail(Errno::ESTALE), Unanswered::wait)
    }
}
