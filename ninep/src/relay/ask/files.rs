//! Attributes of a file, its target, a fid of its own, and opening it.

use heapless::Vec;

use crate::errno::Errno;
use crate::limits::NOTAG;
use crate::msg::{Tgetattr, Tlopen, Treadlink, Twalk};
use crate::relay::data::node::{NodeId, Open, OpenId, SYNC};
use crate::relay::data::request::{Request, RequestKind};
use crate::relay::state::Relay;
use crate::types::{getattr, open};

impl Relay<'_> {
    /// The tag of the request for a node's attributes.
    pub(crate) fn send_getattr(&mut self, node: NodeId, fid: u32) -> u16 {
        let mut tag = self.tree.node(node).asking;
        if tag == 0 {
            let request = Request { ffid: fid, ..Request::on(node, RequestKind::Getattr) };
            tag = self.send(&Tgetattr { fid, request_mask: getattr::BASIC }, request);
            let n = self.tree.node(node);
            (n.asking, n.pins) = (tag, n.pins + 1);
        }
        tag
    }

    /// The request that reads a link.
    pub(crate) fn reading(&self, link: NodeId) -> Option<u16> {
        self.pending(|r| matches!(r.kind, RequestKind::Readlink { .. }) && r.node == link)
    }

    /// Reads a link, for a job if `j` is not 0.
    pub(crate) fn send_readlink(&mut self, j: usize, node: NodeId, fid: u32) -> u16 {
        let n = self.tree.node(node);
        n.pins += 1;
        let kind = RequestKind::Readlink { key: n.key };
        self.send(&Treadlink { fid }, Request { job: j as u32, ..Request::on(node, kind) })
    }

    /// Asks for another fid of a node; the tag of the request. None: that has failed, or it has none to clone.
    pub(crate) fn clone_fid(&mut self, node: NodeId) -> Option<u16> {
        match self.tree.node(node).cloning {
            0 => {}
            NOTAG => {
                self.tree.node(node).cloning = 0;
                return None;
            }
            pending => return Some(pending),
        }
        let fid = self.any_fid(node, 0)?;
        let newfid = self.new_ffid();
        let request = Request { ffid: newfid, ..Request::on(node, RequestKind::Clone) };
        let tag = self.send(&Twalk { fid, newfid, wname: Vec::new() }, request);
        let n = self.tree.node(node);
        (n.cloning, n.pins) = (tag, n.pins + 1);
        Some(tag)
    }

    /// Opens a file by a fid that becomes the open's; the tag of the request.
    pub(crate) fn send_open(&mut self, opened: OpenId, fid: u32, flags: u32) -> u16 {
        let appender = self.tree.open(opened).appender;
        let followed = flags & 3 == open::RDONLY && self.freshness_ms > 0;
        // Flags beyond these mean something else on another machine, or are the kernel's own business.
        let flags = flags & (3 | SYNC) | if appender { open::APPEND } else { 0 };
        let tag = self.send_open_as(opened, fid, flags, followed);
        self.tree.open(opened).sync = flags & SYNC != 0;
        tag
    }

    pub(super) fn send_open_as(&mut self, opened: OpenId, fid: u32, flags: u32, followed: bool) -> u16 {
        let Open { node, .. } = *self.tree.open(opened);
        let request = Request { ffid: fid, ..Request::on(node, RequestKind::Open { open: opened, followed }) };
        let tag = self.send(&Tlopen { fid, flags }, request);
        self.tree.open(opened).opening = tag;
        self.tree.node(node).pins += 1;
        tag
    }

    /// The fid of a directory, if it is not open. None: another is being asked for.
    pub(crate) fn closed_fid(&mut self, node: NodeId) -> Result<Option<u32>, Errno> {
        let n = self.tree.view(node);
        let opens = |r: &Request| matches!(r.kind, RequestKind::OpenDirectory { .. }) && r.node == node;
        if self.requests.iter().any(opens) {
            return Ok(None);
        }
        if n.ffid != 0 && !n.dir_open {
            return Ok(Some(n.ffid));
        }
        self.clone_fid(node).ok_or(Errno::ESTALE).map(|_| None)
    }

    /// Whether a file's name was confirmed a moment ago. False: the upstream server is being asked.
    pub(crate) fn is_named(&mut self, node: NodeId) -> bool {
        const MOMENT_MS: u64 = 1000;
        let n = self.tree.view(node);
        let lately = n.named != 0 && self.now_ms.saturating_sub(n.named) < MOMENT_MS;
        if n.gone || n.dir_open || lately {
            return true;
        }
        if n.ffid == 0 {
            // What cannot be asked is left to the upstream server.
            return self.clone_fid(node).is_none() && self.opening(node).is_none();
        }
        self.send_getattr(node, n.ffid);
        false
    }
}
