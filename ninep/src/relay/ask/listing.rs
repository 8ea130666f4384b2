//! The entries of a directory.

use crate::limits::IOHDRSZ;
use crate::msg::{Tlopen, Treaddir};
use crate::relay::data::cache::Cache;
use crate::relay::data::node::NodeId;
use crate::relay::data::request::{Request, RequestKind, Transfer};
use crate::relay::state::Relay;
use crate::types::{open, qt};

/// A directory up to this size is listed ahead; file systems take some ten bytes or more for a name.
const DIRECTORY: u64 = 128 * 1024;

impl Relay<'_> {
    /// Asks for all entries of a directory, or opens it for that; the tag of the request.
    pub(crate) fn ask_listing(&mut self, node: NodeId, cache: &mut Cache<'_>) -> Option<u16> {
        let n = self.tree.view(node);
        let opens = |r: &Request| r.node == node && matches!(r.kind, RequestKind::OpenDirectory { .. });
        let lists = |r: &Request| r.node == node && matches!(r.kind, RequestKind::Listing(_));
        if let Some(tag) = self.pending(opens).or_else(|| self.pending(lists)) {
            return Some(tag);
        }
        if n.dir_open {
            return self.list(node, cache);
        }
        if n.ffid == 0 {
            return None;
        }
        let kind = RequestKind::OpenDirectory { followed: self.freshness_ms > 0 };
        self.tree.node(node).pins += 1;
        let request = Request { ffid: n.ffid, ..Request::on(node, kind) };
        Some(self.send(&Tlopen { fid: n.ffid, flags: open::RDONLY }, request))
    }

    /// Asks for the entries of a directory that is open or about to be; the tag of the request.
    pub(super) fn list(&mut self, node: NodeId, cache: &mut Cache<'_>) -> Option<u16> {
        let n = self.tree.view(node);
        let content = cache.find_or_make(n.key)?;
        cache.pin(content);
        self.tree.node(node).pins += 1;
        let transfer = Transfer { content, offset: 0, count: 0, got: 0, lost: false, early: !n.dir_open };
        Some(self.send_listing(&Request { ffid: n.ffid, ..Request::on(node, RequestKind::None) }, transfer))
    }

    /// Asks for the entries from an offset on; the tag of the request.
    pub(crate) fn send_listing(&mut self, request: &Request, transfer: Transfer) -> u16 {
        let count = self.upstream_msize - IOHDRSZ;
        let readdir = Treaddir { fid: request.ffid, offset: transfer.offset, count };
        let kind = RequestKind::Listing(Transfer { count, ..transfer });
        self.send(&readdir, Request { kind, ..*request })
    }

    /// Asks for all entries ahead, unless there are very many of them or the session itself changes them.
    pub(crate) fn list_ahead(&mut self, node: NodeId, cache: &mut Cache<'_>) {
        let n = self.tree.view(node);
        let known = cache.listing(n.key).is_some();
        let few = n.qid.kind & qt::DIR != 0 && n.attr.size <= DIRECTORY;
        if few && n.changed == 0 && !known && self.freshness_ms > 0 && self.has_room(64) {
            self.ask_listing(node, cache);
        }
    }
}
