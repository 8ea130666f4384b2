//! Who holds what. The kernel's fids, jobs and requests hold nodes and opens. Nodes and opens hold upstream fids, which
//! are clunked when they are not needed any more.

use super::data::cache::{Cache, ContentRef};
use super::data::hash::Hash;
use super::data::node::{Fid, NodeId, OpenId};
use super::data::request::RequestKind;
use super::state::Relay;
use crate::types::qt;

impl Relay<'_> {
    /// Makes one of the kernel's fids stand for a file.
    pub(super) fn bind(&mut self, fid: u32, node: NodeId, open: OpenId, cache: &mut Cache<'_>) {
        self.tree.node(node).pins += 1;
        if open != 0 {
            self.tree.open(open).refs += 1;
        }
        let uid = self.tree.fids.get(fid as usize).map_or(0, |slot| slot.uid);
        self.unbind(fid, cache);
        if let Some(slot) = self.tree.fids.get_mut(fid as usize) {
            *slot = Fid { node, open, uid };
        }
    }

    /// The kernel has clunked a fid.
    pub(super) fn unbind(&mut self, fid: u32, cache: &mut Cache<'_>) {
        let Some(slot) = self.tree.fids.get_mut(fid as usize) else { return };
        let Fid { node, open, .. } = core::mem::take(slot);
        if node != 0 {
            self.tree.node(node).pins -= 1;
            self.release(node, open, cache);
        }
    }

    /// A holder of a node is gone, and with `open` a holder of that. The caller has counted down the node's pins.
    pub(super) fn release(&mut self, node: NodeId, open: OpenId, cache: &mut Cache<'_>) {
        let Self { tree, clunks, .. } = self;
        if open != 0 {
            tree.open(open).refs -= 1;
            let o = *tree.open(open);
            if o.refs == 0 {
                cache.unpin(o.listing);
                tree.open(open).listing = ContentRef::default();
                let n = tree.view(node);
                // An open for reading is kept for the next reader. One for writing is closed.
                let unused = n.qid.kind & qt::DIR != 0 || n.gone || (o.access != 0 && (n.pins == 0 || n.ffid != 0));
                // While its Tlopen is under way its place must not be another's.
                tree.open(open).appends = false;
                if unused && o.opening == 0 {
                    tree.drop_open(open, clunks);
                }
                if o.appends {
                    tree.drop_appenders(node, clunks);
                }
            }
        }
        if tree.node(node).pins == 0 {
            // A writer that had to stay as long as the kernel held the file.
            let mut id = tree.node(node).opens;
            while id != 0 {
                let o = *tree.open(id);
                if o.refs == 0 && o.opening == 0 && o.access != 0 {
                    tree.drop_open(id, clunks);
                }
                id = o.next;
            }
            tree.tidy(node, clunks);
        }
    }

    /// A request does not hold its node any more.
    pub(super) fn release_node(&mut self, node: NodeId, cache: &mut Cache<'_>) {
        self.tree.node(node).pins -= 1;
        self.release(node, 0, cache);
    }

    /// An upstream fid is to be clunked.
    pub(super) fn queue_clunk(&mut self, ffid: u32) {
        // A listing that is under way queues it at its end.
        if !self.requests.iter().any(|r| matches!(r.kind, RequestKind::Listing(_)) && r.ffid == ffid) {
            // One that has no room in the queue goes with the session.
            let _ = self.clunks.push(ffid);
        }
    }

    /// The upstream fid of a node's name is to be clunked.
    pub(super) fn queue_clunk_of(&mut self, id: NodeId) {
        match core::mem::take(&mut self.tree.node(id).ffid) {
            0 => {}
            ffid => self.queue_clunk(ffid),
        }
    }

    pub(super) fn make_node(&mut self, parent: NodeId, name: Hash) -> Option<NodeId> {
        let Self { tree, clunks, .. } = self;
        tree.make(parent, name, clunks)
    }

    pub(super) fn new_open(&mut self, node: NodeId, access: u32) -> Option<OpenId> {
        let Self { tree, clunks, .. } = self;
        tree.new_open(node, access, clunks)
    }

    /// Ends those opens of a node that nobody uses.
    pub(super) fn drop_idle_opens(&mut self, id: NodeId) {
        let Self { tree, clunks, .. } = self;
        let mut open = tree.node(id).opens;
        while open != 0 {
            let o = *tree.open(open);
            if o.refs == 0 && o.opening == 0 {
                tree.drop_open(open, clunks);
            }
            open = o.next;
        }
    }
}
