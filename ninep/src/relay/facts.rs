//! What is known, as it is asked for: how fresh it is, what a name stands for, what the kernel is shown.

use super::data::cache::Cache;
use super::data::node::{Fid, Moment, Node, NodeId, OpenId};
use super::data::owner::shown_qid;
use super::data::request::RequestKind;
use super::state::{JOB_UPSTREAM, Relay};
use crate::errno::Errno;
use crate::types::{Attr, Qid, mode, qt};

/// What is known of a name.
pub(crate) enum Known {
    Child(NodeId),
    Absent,
    Unknown,
}

impl Relay<'_> {
    /// What one of the kernel's fids stands for.
    pub(super) fn fid(&self, fid: u32) -> Result<Fid, Errno> {
        self.tree.fids.get(fid as usize).copied().filter(|f| f.node != 0).ok_or(Errno::EBADF)
    }

    /// Whether the attributes of a node, or its absence, count for a job.
    pub(super) fn is_fresh(&self, node: &Node, seq: u64) -> bool {
        let Moment { seq: asked, ms } = node.asked;
        let overtaken = node.linked && (node.gone || asked < self.linked);
        let young = ms != 0 && self.now_ms.saturating_sub(ms) < self.freshness_ms && !overtaken;
        asked != 0 && (asked >= seq || young)
    }

    /// Whether attributes are about to expire: they are asked for again before somebody has to wait.
    pub(super) fn is_ageing(&self, node: &Node) -> bool {
        let age = self.now_ms.saturating_sub(node.asked.ms);
        let ageing = !node.absent && node.asked.ms != 0 && self.freshness_ms > 0 && age > self.freshness_ms * 3 / 4;
        ageing && self.has_room(JOB_UPSTREAM)
    }

    pub(super) fn fresh(&mut self, id: NodeId, seq: u64) -> bool {
        let node = self.tree.view(id);
        self.is_fresh(&node, seq)
    }

    /// An upstream fid by which a file can be asked about. An open one is best, since it stays with the file.
    pub(super) fn any_fid(&self, node: NodeId, open: OpenId) -> Option<u32> {
        let node = &self.tree.nodes[node as usize];
        let opened = self.tree.opens[open as usize].ffid;
        let others = self.tree.opens_of(node.opens).map(|o| &self.tree.opens[o as usize]);
        let opens = others.filter(|o| o.opening == 0).map(|o| o.ffid);
        [opened, node.ffid].into_iter().chain(opens).find(|&ffid| ffid != 0)
    }

    /// The request that opens a file.
    pub(super) fn opening(&self, node: NodeId) -> Option<u16> {
        let opens = self.tree.opens_of(self.tree.nodes[node as usize].opens);
        opens.map(|o| self.tree.opens[o as usize].opening).find(|&tag| tag != 0)
    }

    /// The qid that the kernel is shown.
    pub(super) fn qid_of(&mut self, id: NodeId) -> Qid {
        let node = self.tree.view(id);
        let qid = shown_qid(&node.qid, node.device, node.key);
        // The kernel keeps pages of what has a version: not when nothing is to be answered from memory, nor when the
        // attributes do not tell about the content.
        let regular = node.attr.mode & mode::FORMAT == mode::REGULAR;
        let telling = node.attr.size == 0 || node.attr.blocks > 0;
        if regular && !(telling && self.freshness_ms > 0) { Qid { version: 0, ..qid } } else { qid }
    }

    /// Whether all of a file is in the cache, and the upstream server has let the user read this version.
    pub(super) fn is_whole(&self, node: &Node, cache: &mut Cache<'_>) -> bool {
        let Some(at) = cache.find(node.key).filter(|_| node.is_kept() && self.freshness_ms > 0) else { return false };
        let readable = cache.get(at).is_some_and(|content| content.readable);
        readable && cache.available(at, 0, node.attr.size) == node.attr.size
    }

    /// The request whose answer tells more of the client's mounts, or of its user.
    pub(super) fn asking_devices(&self) -> Option<u16> {
        self.pending(|r| matches!(r.kind, RequestKind::Devices { .. } | RequestKind::Home))
    }

    /// Whether what was found under the name of a node is the same file. Where inode numbers change by themselves, any
    /// directory counts as the same, and so does a file with the same times. They keep the number that they were shown
    /// with.
    pub(super) fn is_same(&self, id: NodeId, qid: &Qid, attr: &Attr) -> bool {
        let node = &self.tree.nodes[id as usize];
        let told = |a: &Attr| [a.size, a.mtime_sec, a.mtime_nsec, a.ctime_sec, a.ctime_nsec, a.mode.into()];
        let alike = qid.kind & qt::DIR != 0 || told(&node.attr) == told(attr);
        let same = node.qid.path == qid.path || alike && self.is_fickle(id);
        !node.absent && node.qid.kind == qid.kind && same
    }

    /// The number from which v9fs makes st_dev.
    pub(super) fn device(&self, node: NodeId) -> u32 {
        let n = &self.tree.nodes[node as usize];
        self.devices.mount(n.mount).map_or(n.device, |mount| mount.device)
    }

    /// Whether the inode number of a file may change by itself.
    pub(super) fn is_fickle(&self, node: NodeId) -> bool {
        let number = self.tree.nodes[node as usize].mount;
        self.devices.mount(number).is_some_and(|mount| mount.is_fickle())
    }

    /// The qids of a directory and of the one above it.
    pub(super) fn dots(&mut self, directory: NodeId) -> [Qid; 2] {
        let above = match self.tree.node(directory).parent {
            0 => directory,
            parent => parent,
        };
        [self.qid_of(directory), self.qid_of(above)]
    }
}
