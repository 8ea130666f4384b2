//! Reading files and directories: from the cache, ahead, or straight through.

use super::cache::{BLOCK, Cache, ContentRef};
use super::far::{Request, RequestKind};
use super::kernel::set;
use super::listing::{ENTRY, HEAD};
use super::run::{Job, mode, read_entry};
use super::tree::{Node, NodeId, Open, OpenId};
use super::{OPENING_MS, Relay};
use crate::errno::Errno;
use crate::limits::IOHDRSZ;
use crate::msg::{Rread, Rreaddir, Tlopen, Tread, Treaddir, Type};
use crate::types::{open, qt};
use crate::wire::{Data, Wire, Writer};

/// A file up to this size is fetched as a whole.
const WHOLE: u64 = 256 * 1024;

/// A file up to this size is fetched as a whole when a second piece of it was asked for, and one up to that size at the
/// third.
const LIBRARY: u64 = 2 * 1024 * 1024;
const INTERPRETER: u64 = 8 * 1024 * 1024;

/// A directory up to this size is listed ahead; file systems take some ten bytes or more for a name.
const DIRECTORY: u64 = 128 * 1024;

/// What reading begins with, and the most that is asked for in one message.
const WINDOW_LEAST: u32 = 128 * 1024;
const WINDOW_MOST: u32 = 512 * 1024;

/// What is still to be fetched of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    open: OpenId,
    content: ContentRef,
    next: u64,
    size: u64,
}

impl Relay<'_> {
    pub(super) fn run_read(&mut self, j: usize, cache: &mut Cache<'_>) {
        let job = *self.job(j);
        let n = self.tree.view(job.node);
        if n.qid.kind & qt::DIR != 0 {
            return self.fail(j, Errno::EISDIR, cache);
        }
        let Some(count) = self.room_for_data(j) else { return };
        let own_change = n.asked.seq == 0 || n.changing > 0;
        if own_change || self.freshness_ms == 0 {
            return self.read_direct(j, count, cache);
        }
        if !self.is_fresh(&n, job.seq) {
            return self.ask_attributes(j, job.node, job.open, cache);
        }
        if !is_kept(&n) {
            return self.read_direct(j, count, cache);
        }
        let wanted = u64::from(count).min(n.attr.size.saturating_sub(job.offset));
        let Some(content) = cache.find_or_make(n.key) else { return self.read_direct(j, count, cache) };
        let have = cache.available(content, job.offset, wanted);
        if have == wanted {
            let sent = self.to_kernel.with(11 + wanted as usize, |out| {
                let (head, data) = out.split_at_mut(11);
                read_head(job.tag, wanted as u32, head) && cache.copy(content, job.offset, data)
            });
            if !sent {
                // Its memory was needed by others this very moment.
                return self.read_direct(j, count, cache);
            }
            if wanted > 0 {
                self.read_ahead(&job, &n, content, wanted, cache);
            }
            return self.finish(j, cache);
        }
        // Once more than it takes to read it: the cache has no room, so the data passes by it.
        if job.tries >= 4 {
            return self.read_direct(j, count, cache);
        }
        let missing = job.offset + have;
        if let Some(tag) = self.fetch_of(content, missing) {
            self.job(j).tries += 1;
            return self.wait_for(j, tag);
        }
        if self.opened_fid(j, job.open, cache).is_none() {
            return;
        }
        self.job(j).tries += 1;
        let start = missing / BLOCK as u64 * BLOCK as u64;
        let o = self.tree.open(job.open);
        if o.access != open::RDONLY && n.changed != 0 && o.next_read != job.offset {
            // Who changes a file here and there gets what he asks for: the rest will soon not hold any more.
            return match self.fetch(job.open, content, start, job.offset + wanted, cache) {
                Some(tag) => self.wait_for(j, tag),
                None => self.read_direct(j, count, cache),
            };
        }
        o.window = (o.window * 2).clamp(WINDOW_LEAST, WINDOW_MOST);
        let window = u64::from(o.window).max(wanted - have);
        let end = if n.attr.size <= WHOLE { n.attr.size } else { (start + window).min(n.attr.size) };
        match self.fetch(job.open, content, start, end, cache) {
            Some(tag) => self.wait_for(j, tag),
            None => return self.read_direct(j, count, cache),
        }
        let most = if window < WINDOW_MOST.into() { LIBRARY } else { INTERPRETER };
        if window > WINDOW_LEAST.into() && n.attr.size <= most.min(cache.capacity() as u64 / 2) {
            self.fetch_rest(job.open, content, n.attr.size);
        }
    }

    /// How many bytes a job may answer with; None when it waits until the kernel has taken replies.
    fn room_for_data(&mut self, j: usize) -> Option<u32> {
        let count = self.job(j).count.min(self.msize - IOHDRSZ);
        let room = self.to_kernel.room() >= count as usize + self.jobs.len() * super::JOB_KERNEL;
        self.job(j).stalled = !room;
        room.then_some(count)
    }

    /// A file that is read here and there is likely to be mapped, and to be used by the next command too.
    fn fetch_rest(&mut self, opened: OpenId, content: ContentRef, size: u64) {
        if self.rests.iter().all(|rest| rest.content != content) {
            // Without room it is fetched as it is read.
            let _ = self.rests.push(Rest { open: opened, content, next: 0, size });
        }
    }

    /// Fetches what is to be here as a whole, the latest first, as much at a time as what is asked meanwhile can wait for.
    pub(super) fn go_on_fetching(&mut self, cache: &mut Cache<'_>) {
        while let Some(&Rest { open: opened, content, next: start, size }) = self.rests.last() {
            let fetched = |r: &&Request| r.kind == RequestKind::Fetch && r.content == content;
            let under_way: u64 = self.requests.iter().filter(fetched).map(|r| u64::from(r.count)).sum();
            if under_way >= self.at_a_time || !self.has_far_room(64) {
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

    /// The request that brings the byte at `offset`.
    fn fetch_of(&self, content: ContentRef, offset: u64) -> Option<u16> {
        let brings = |r: &Request| {
            r.kind == RequestKind::Fetch
                && r.content == content
                && (r.offset..r.offset + u64::from(r.count)).contains(&offset)
        };
        self.requests.iter().position(brings).map(|tag| tag as u16)
    }

    /// Reads what is being opened.
    pub(super) fn follow(&mut self, cache: &mut Cache<'_>) {
        if self.followed == 0 {
            return;
        }
        for tag in 0..self.requests.len() {
            let request = self.requests[tag];
            if !request.followed || self.now_ms < request.moment.ms + OPENING_MS || !self.has_far_room(128) {
                continue;
            }
            self.requests[tag].followed = false;
            self.followed -= 1;
            if request.kind == RequestKind::Open {
                self.read_beginning(request.open, cache);
            } else {
                self.list(request.node, cache);
            }
        }
    }

    fn read_beginning(&mut self, opened: OpenId, cache: &mut Cache<'_>) {
        let n = self.tree.view(self.tree.opens[opened as usize].node);
        let Some(content) = cache.find_or_make(n.key).filter(|_| is_kept(&n)) else { return };
        let end = if n.attr.size <= WHOLE { n.attr.size } else { WINDOW_LEAST.into() };
        if cache.available(content, 0, 1) == 0 && self.fetch_of(content, 0).is_none() {
            self.tree.open(opened).window = WINDOW_LEAST;
            self.fetch(opened, content, 0, end, cache);
        }
    }

    /// Asks for bytes that are to be kept; None when there is no room for that.
    fn fetch(&mut self, opened: OpenId, content: ContentRef, start: u64, end: u64, cache: &Cache<'_>) -> Option<u16> {
        let o = *self.tree.open(opened);
        let early = o.ffid == 0;
        let fid = if early { self.requests[usize::from(o.opening)].ffid } else { o.ffid };
        let most = u64::from(self.far_msize - IOHDRSZ).min(cache.capacity() as u64 / 4).min(WINDOW_MOST.into());
        // What comes after it begins with a block, unless messages are shorter than that.
        let most = if most < BLOCK as u64 { most } else { most / BLOCK as u64 * BLOCK as u64 };
        let count = end.saturating_sub(start).min(most);
        if count == 0 || self.ahead + count > cache.capacity() as u64 / 2 {
            return None;
        }
        let read = Tread { fid, offset: start, count: count as u32 };
        let request =
            Request { node: o.node, content, offset: start, count: count as u32, early, ..Request::default() };
        self.ahead += count;
        self.tree.node(o.node).pins += 1;
        let tag = self.send(RequestKind::Fetch, &read, request);
        let o = self.tree.open(opened);
        o.ahead = o.ahead.max(start + count);
        Some(tag)
    }

    /// Keeps a sequential reader supplied.
    fn read_ahead(&mut self, job: &Job, node: &Node, content: ContentRef, taken: u64, cache: &Cache<'_>) {
        let o = *self.tree.open(job.open);
        let end = job.offset + taken;
        let sequential = o.next_read == job.offset && job.offset != 0;
        let o_ = self.tree.open(job.open);
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
            && self.has_far_room(64)
            && cache.available(content, start, 1) == 0
            && self.fetch_of(content, start).is_none()
        {
            self.tree.open(job.open).window = (o.window * 2).clamp(WINDOW_LEAST, WINDOW_MOST);
            if self.fetch(job.open, content, start, (start + window).min(target), cache).is_none() {
                return;
            }
            start = self.tree.open(job.open).ahead.div_ceil(BLOCK as u64) * BLOCK as u64;
        }
    }

    /// The bytes go to the kernel as they come.
    fn read_direct(&mut self, j: usize, count: u32, cache: &mut Cache<'_>) {
        let job = *self.job(j);
        if self.tree.open(job.open).access == open::WRONLY {
            return self.fail(j, Errno::EBADF, cache);
        }
        let Some(fid) = self.opened_fid(j, job.open, cache) else { return };
        let n = self.tree.node(job.node);
        let left = if n.own & set::SIZE == 0 { u64::MAX } else { n.attr.size.saturating_sub(job.offset) };
        let count = u64::from(count).min(left) as u32;
        let read = Tread { fid, offset: job.offset, count };
        let tag = self.send(RequestKind::Direct, &read, Request { job: j as u32, count, ..Request::default() });
        self.wait_for(j, tag);
    }

    pub(super) fn run_readdir(&mut self, j: usize, cache: &mut Cache<'_>) {
        let job = *self.job(j);
        let n = self.tree.view(job.node);
        if n.qid.kind & qt::DIR == 0 {
            return self.fail(j, Errno::ENOTDIR, cache);
        }
        let Some(count) = self.room_for_data(j) else { return };
        let mut o = *self.tree.open(job.open);
        let kept = cache.get(o.listing).and_then(|c| c.listing());
        let is_here = kept.is_some_and(|end| {
            let rest = end.saturating_sub(job.offset);
            cache.available(o.listing, job.offset, rest) == rest
        });
        if (job.offset == 0 || !is_here) && !o.direct {
            if !self.is_fresh(&n, job.seq) && !n.gone {
                return self.ask_attributes(j, job.node, 0, cache);
            }
            let mut known = cache.listing(n.key);
            if let Some((at, end)) = known
                && cache.available(at, 0, end) < end
            {
                // Some of its blocks had to go.
                cache.forget(at);
                known = None;
            }
            match known {
                // It may be another than what the offset is from.
                Some((at, _)) if !begins_entry(cache, at, job.offset) => return self.fail(j, Errno::EIO, cache),
                Some((at, _)) if at != o.listing => {
                    cache.unpin(o.listing);
                    cache.pin(at);
                    self.tree.open(job.open).listing = at;
                    o.listing = at;
                }
                Some(_) => {}
                None if job.tries >= 2 && job.offset > 0 => return self.fail(j, Errno::EIO, cache),
                None if job.tries >= 2 => {
                    self.tree.open(job.open).direct = true;
                    o.direct = true;
                }
                None => return self.fetch_listing(j, cache),
            }
        }
        if o.direct {
            return self.readdir_direct(j, count, cache);
        }
        let Some(end) = cache.get(o.listing).and_then(|c| c.listing()) else {
            return self.fail(j, Errno::EIO, cache);
        };
        let mut taken = 0;
        let whole = loop {
            let at = job.offset + taken;
            let mut head = [0; HEAD];
            if at >= end {
                break true;
            }
            if !cache.copy(o.listing, at, &mut head) {
                break false;
            }
            let next = taken + (HEAD + usize::from(u16::from_le_bytes([head[HEAD - 2], head[HEAD - 1]]))) as u64;
            if next > u64::from(count) {
                break true;
            }
            taken = next;
        };
        let sent = whole
            && self.to_kernel.with(11 + taken as usize, |out| {
                let (head, data) = out.split_at_mut(11);
                readdir_head(job.tag, taken as u32, head) && cache.copy(o.listing, job.offset, data)
            });
        match sent {
            true => self.finish(j, cache),
            // Its memory was needed by others this very moment, or the offset is none that was given out.
            false if job.tries < 2 => {
                self.job(j).tries += 1;
                self.run(j, cache);
            }
            false => self.fail(j, Errno::EIO, cache),
        }
    }

    fn fetch_listing(&mut self, j: usize, cache: &mut Cache<'_>) {
        let Job { node, .. } = *self.job(j);
        let opened = self.tree.node(node).dir_open;
        self.job(j).tries += u8::from(opened);
        match self.ask_listing(node, cache) {
            Some(tag) => self.wait_for(j, tag),
            None => {
                self.job(j).tries = 2;
                self.run(j, cache);
            }
        }
    }

    /// Asks for all entries of a directory, or opens it for that; the tag of the request.
    pub(super) fn ask_listing(&mut self, node: NodeId, cache: &mut Cache<'_>) -> Option<u16> {
        let n = self.tree.view(node);
        for kind in [RequestKind::OpenDirectory, RequestKind::Listing] {
            if let Some(tag) = self.requests.iter().position(|r| r.node == node && r.kind == kind) {
                return Some(tag as u16);
            }
        }
        if n.dir_open {
            return self.list(node, cache);
        }
        if n.ffid == 0 {
            return None;
        }
        let request = Request { node, ffid: n.ffid, followed: self.freshness_ms > 0, ..Request::default() };
        self.tree.node(node).pins += 1;
        Some(self.send(RequestKind::OpenDirectory, &Tlopen { fid: n.ffid, flags: open::RDONLY }, request))
    }

    /// Asks for the entries of a directory that is open or about to be; the tag of the request.
    fn list(&mut self, node: NodeId, cache: &mut Cache<'_>) -> Option<u16> {
        let n = self.tree.view(node);
        let content = cache.find_or_make(n.key)?;
        cache.pin(content);
        self.tree.node(node).pins += 1;
        Some(self.send_listing(Request { node, ffid: n.ffid, content, early: !n.dir_open, ..Request::default() }))
    }

    /// Asks for them before somebody wants them, unless they are very many or the session itself changes them.
    pub(super) fn list_ahead(&mut self, node: NodeId, cache: &mut Cache<'_>) {
        let n = self.tree.view(node);
        let known = cache.listing(n.key).is_some();
        let few = n.qid.kind & qt::DIR != 0 && n.attr.size <= DIRECTORY;
        if few && n.changed == 0 && !known && self.freshness_ms > 0 && self.has_far_room(64) {
            self.ask_listing(node, cache);
        }
    }

    pub(super) fn send_listing(&mut self, request: Request) -> u16 {
        let count = self.far_msize - IOHDRSZ;
        let readdir = Treaddir { fid: request.ffid, offset: request.offset, count };
        self.send(RequestKind::Listing, &readdir, Request { count, ..request })
    }

    fn readdir_direct(&mut self, j: usize, count: u32, cache: &mut Cache<'_>) {
        let Job { node, offset, .. } = *self.job(j);
        let n = self.tree.view(node);
        if !n.dir_open {
            return self.open_directory(j, node, cache);
        }
        let request = Request { job: j as u32, node, count, ..Request::default() };
        self.tree.node(node).pins += 1;
        let tag = self.send(RequestKind::DirectListing, &Treaddir { fid: n.ffid, offset, count }, request);
        self.wait_for(j, tag);
    }
}

/// Whether there is an entry at an offset of a listing, or its end.
fn begins_entry(cache: &mut Cache<'_>, listing: ContentRef, offset: u64) -> bool {
    let (mut at, mut entry) = (0, [0; ENTRY]);
    while at < offset
        && let Some(n) = read_entry(cache, listing, at, &mut entry)
    {
        at += (HEAD + n) as u64;
    }
    at == offset
}

/// The file's size says what reading it gives: so not a file of /proc, whose size is 0, nor of /sys, which has no blocks.
pub(super) fn is_kept(node: &Node) -> bool {
    let regular = node.attr.mode & mode::FORMAT == mode::REGULAR;
    regular && node.attr.size > 0 && node.attr.blocks > 0 && node.changing == 0
}

/// The head of an Rread with so many bytes.
pub(super) fn read_head(tag: u16, count: u32, out: &mut [u8]) -> bool {
    data_head(Type::Rread, tag, count, out)
}

pub(super) fn readdir_head(tag: u16, count: u32, out: &mut [u8]) -> bool {
    data_head(Type::Rreaddir, tag, count, out)
}

fn data_head(kind: Type, tag: u16, count: u32, out: &mut [u8]) -> bool {
    let mut writer = Writer::new(out);
    let header = crate::msg::Header { size: 11 + count, kind: kind as u8, tag };
    header.write(&mut writer);
    count.write(&mut writer);
    writer.written().is_ok()
}

const _: () = {
    // What the heads above are.
    assert!(<Rread<'_> as Wire<'_>>::LEAST == 4 && <Rreaddir<'_> as Wire<'_>>::LEAST == 4);
    assert!(<Data<'_> as Wire<'_>>::LEAST == 4);
};
