//! Bytes of files for the cache.

use crate::limits::IOHDRSZ;
use crate::msg::Tread;
use crate::relay::data::cache::{BLOCK, Cache, ContentRef};
use crate::relay::data::node::{Node, Open, OpenId};
use crate::relay::data::request::{Request, RequestKind, Transfer};
use crate::relay::state::{OPENING_MS, Relay, Rest};
use crate::types::open;

/// A file up to this size is fetched as a whole.
pub(crate) const WHOLE: u64 = 256 * 1024;

/// The window of a reader: what it begins with, and the most that one message asks for.
pub(crate) const WINDOW_LEAST: u32 = 128 * 1024;
pub(crate) const WINDOW_MOST: u32 = 512 * 1024;

impl Relay<'_> {
    /// The request that brings the byte at `offset`.
    pub(crate) fn fetch_of(&self, wanted: ContentRef, at: u64) -> Option<u16> {
        self.pending(|r| match r.kind {
            RequestKind::Fetch(Transfer { content, offset, count, .. }) => {
                content == wanted && (offset..offset + u64::from(count)).contains(&at)
            }
            _ => false,
        })
    }

    /// Asks for bytes of a file for the cache; the tag of the request. None when there is no room.
    pub(crate) fn fetch(
        &mut self,
        opened: OpenId,
        content: ContentRef,
        start: u64,
        end: u64,
        cache: &Cache<'_>,
    ) -> Option<u16> {
        let o = *self.tree.open(opened);
        let early = o.ffid == 0;
        let fid = if early { self.requests[usize::from(o.opening)].ffid } else { o.ffid };
        let most = u64::from(self.upstream_msize - IOHDRSZ).min(cache.capacity() as u64 / 4).min(WINDOW_MOST.into());
        // What comes after it begins with a block, unless messages are shorter than that.
        let most = if most < BLOCK as u64 { most } else { most / BLOCK as u64 * BLOCK as u64 };
        let count = end.saturating_sub(start).min(most);
        if count == 0 || self.fetching + count > cache.capacity() as u64 / 2 {
            return None;
        }
        let transfer = Transfer { content, offset: start, count: count as u32, got: 0, lost: false, early };
        self.fetching += count;
        self.tree.node(o.node).pins += 1;
        let read = Tread { fid, offset: start, count: count as u32 };
        let tag = self.send(&read, Request::on(o.node, RequestKind::Fetch(transfer)));
        let o = self.tree.open(opened);
        o.ahead = o.ahead.max(start + count);
        Some(tag)
    }

    /// Keeps a sequential reader supplied. The reader has taken `taken` bytes at `offset`.
    pub(crate) fn read_ahead(
        &mut self,
        opened: OpenId,
        (offset, taken): (u64, u64),
        node: &Node,
        content: ContentRef,
        cache: &Cache<'_>,
    ) {
        let o = *self.tree.open(opened);
        let end = offset + taken;
        let sequential = o.next_read == offset && offset != 0;
        let o_ = self.tree.open(opened);
        o_.next_read = end;
        let window = u64::from(o.window.max(WINDOW_LEAST));
        if !sequential {
            o_.ahead = end + cache.available(content, end, 4 * window);
            return;
        }
        if o.ffid == 0 || o.opening != 0 {
            return;
        }
        // Whole blocks: what comes after them begins with a block.
        let most = (end + (4 * window).min(cache.capacity() as u64 / 4)) / BLOCK as u64 * BLOCK as u64;
        let target = most.min(node.attr.size);
        let mut start = o.ahead.max(end).div_ceil(BLOCK as u64) * BLOCK as u64;
        // In pieces that are worth a message.
        while start < target
            && (target - start >= window / 2 || target == node.attr.size)
            && self.has_room(64)
            && cache.available(content, start, 1) == 0
            && self.fetch_of(content, start).is_none()
        {
            self.tree.open(opened).window = (o.window * 2).clamp(WINDOW_LEAST, WINDOW_MOST);
            if self.fetch(opened, content, start, (start + window).min(target), cache).is_none() {
                return;
            }
            start = self.tree.open(opened).ahead.div_ceil(BLOCK as u64) * BLOCK as u64;
        }
    }

    /// Notes that the rest of a file is to be fetched: what is read here and there is likely to be mapped, and to be
    /// used by the next command, too.
    pub(crate) fn fetch_rest(&mut self, opened: OpenId, content: ContentRef, size: u64) {
        if self.rests.iter().all(|rest| rest.content != content) {
            // Without room it is fetched as it is read.
            let _ = self.rests.push(Rest { open: opened, content, next: 0, size });
        }
    }

    /// Fetches the rest of files, the latest file first. No more is under way at a time than other questions can wait
    /// for.
    pub(crate) fn go_on_fetching(&mut self, cache: &mut Cache<'_>) {
        while let Some(&Rest { open: opened, content, next: start, size }) = self.rests.last() {
            let under_way = |r: &Request| match r.kind {
                RequestKind::Fetch(transfer) if transfer.content == content => u64::from(transfer.count),
                _ => 0,
            };
            if self.requests.iter().map(under_way).sum::<u64>() >= self.at_a_time || !self.has_room(64) {
                return;
            }
            let is_missing =
                |this: &Self, at: u64| cache.available(content, at, 1) == 0 && this.fetch_of(content, at).is_none();
            let mut end = start;
            while end < size && end - start < WINDOW_MOST.into() && is_missing(self, end) {
                end += BLOCK as u64;
            }
            // It may be another file's by now, or the file may have changed.
            let Open { node, ffid, access, .. } = *self.tree.open(opened);
            let is_it = ffid != 0 && access != open::WRONLY && cache.find(self.tree.node(node).key) == Some(content);
            let stopped = !is_it || end > start && self.fetch(opened, content, start, end.min(size), cache).is_none();
            let next = end.max(start + BLOCK as u64);
            match self.rests.last_mut() {
                Some(rest) if !stopped && next < size => rest.next = next,
                _ => drop(self.rests.pop()),
            }
        }
    }

    /// Reads from files and directories whose Tlopen was sent some milliseconds ago and is not answered.
    pub(crate) fn follow(&mut self, cache: &mut Cache<'_>) {
        if self.followed == 0 {
            return;
        }
        for tag in 0..self.requests.len() {
            let has_room = self.has_room(128);
            let request = &mut self.requests[tag];
            if self.now_ms < request.moment.ms + OPENING_MS || !has_room || !request.stop_following() {
                continue;
            }
            self.followed -= 1;
            let Request { kind, node, .. } = *request;
            if let RequestKind::Open { open, .. } = kind {
                self.read_beginning(open, cache);
            } else {
                self.list(node, cache);
            }
        }
    }

    fn read_beginning(&mut self, opened: OpenId, cache: &mut Cache<'_>) {
        let n = self.tree.view(self.tree.opens[opened as usize].node);
        let Some(content) = cache.find_or_make(n.key).filter(|_| n.is_kept()) else { return };
        let end = if n.attr.size <= WHOLE { n.attr.size } else { WINDOW_LEAST.into() };
        if cache.available(content, 0, 1) == 0 && self.fetch_of(content, 0).is_none() {
            self.tree.open(opened).window = WINDOW_LEAST;
            self.fetch(opened, content, 0, end, cache);
        }
    }
}
