//! Listings of directories: entries are put right as they come, and kept.

use super::Relay;
use super::cache::Cache;
use super::far::{Request, RequestKind};
use super::hash::Hash;
use super::kernel::set;
use super::listing::{ENTRY, HEAD, Pieces, dirent_kind};
use super::owner::shown_qid;
use super::run::JobKind;
use crate::errno::Errno;
use crate::frame::Fault;
use crate::types::{Dirent, Qid};
use crate::wire::{Wire, Writer};

const DT_DIR: u8 = 4;

impl Relay<'_> {
    pub(super) fn take_entries(&mut self, tag: usize, mut data: &[u8], cache: &mut Cache<'_>) -> Result<(), Fault> {
        let mut pieces = core::mem::replace(&mut self.far_input.entry, Pieces::new());
        let all = self.requests[tag].kind == RequestKind::DirectListing;
        let result = loop {
            match pieces.next(&mut data, all) {
                Ok(Some(entry)) => self.take_entry(tag, &entry, cache),
                Ok(None) => break Ok(()),
                Err(error) => break Err(Fault::Body(error)),
            }
        };
        self.far_input.entry = pieces;
        result
    }

    fn take_entry(&mut self, tag: usize, entry: &Dirent<'_>, cache: &mut Cache<'_>) {
        let request = self.requests[tag];
        let kind = dirent_kind(entry);
        let qid = match entry.name {
            b"." | b".." => self.dots(&request)[entry.name.len() - 1],
            name => {
                let (device, _) = self.device_of(request.node, Hash::of(name), &entry.qid);
                shown_qid(&entry.qid, device, Hash::default())
            }
        };
        self.requests[tag].offset = entry.offset;
        if request.kind == RequestKind::DirectListing {
            if !request.lost {
                let mut bytes = [0; ENTRY];
                let mut writer = Writer::new(&mut bytes);
                // As long as it was.
                Dirent { qid, kind, ..entry.clone() }.write(&mut writer);
                let n = writer.written().unwrap_or(0);
                self.to_kernel.fill(&bytes[..n]);
            }
            return;
        }
        if request.got == 0 {
            self.keep_dots(tag, cache);
        }
        if !matches!(entry.name, b"" | b"." | b"..") {
            self.keep_entry(tag, &Dirent { qid, kind, ..entry.clone() }, cache);
        }
    }

    /// The qids of a directory and of the one above it.
    fn dots(&mut self, request: &Request) -> [Qid; 2] {
        let above = match self.tree.node(request.node).parent {
            0 => request.node,
            parent => parent,
        };
        [self.qid_of(request.node), self.qid_of(above)]
    }

    /// The stock server leaves these two out.
    fn keep_dots(&mut self, tag: usize, cache: &mut Cache<'_>) {
        let [own, above] = self.dots(&self.requests[tag].clone());
        self.keep_entry(tag, &Dirent { qid: own, offset: 0, kind: DT_DIR, name: b"." }, cache);
        self.keep_entry(tag, &Dirent { qid: above, offset: 0, kind: DT_DIR, name: b".." }, cache);
    }

    /// Appends an entry to a listing; its offset is where the next one begins.
    fn keep_entry(&mut self, tag: usize, entry: &Dirent<'_>, cache: &mut Cache<'_>) {
        let Request { got, lost, content, .. } = self.requests[tag];
        let mut bytes = [0; ENTRY];
        let mut writer = Writer::new(&mut bytes);
        let end = got + (HEAD + entry.name.len()) as u64;
        Dirent { offset: end, ..entry.clone() }.write(&mut writer);
        let n = writer.written().unwrap_or(0);
        self.requests[tag].lost = lost || !cache.put(content, got, &bytes[..n]);
        self.requests[tag].got = end;
    }

    /// The far side has no more entries, or refuses to say them with `code`.
    pub(super) fn listing_ended(&mut self, tag: usize, request: Request, mut code: u32, cache: &mut Cache<'_>) {
        /// So many directories are open on the far side at a time: a process there may have 1024 or 4096 open files.
        const OPEN: usize = 256;
        if self.tree.node(request.node).ffid != request.ffid {
            // Another has taken its place meanwhile.
            self.let_go(request.ffid);
        } else if self.tree.open_directories() > OPEN && self.has_far_room(64) {
            // One that is not open will.
            self.clone_fid(request.node);
        }
        let too_early = request.early && code != 0;
        let mut ended = request;
        if code == 0 && request.got == 0 {
            let node = self.tree.node(request.node);
            if node.own & set::EMPTY == 0 && self.owner.is_shut_out(&node.attr) {
                // The stock server leaves out what it cannot look up.
                code = Errno::EACCES.0;
            }
            self.requests[tag] = request;
            self.keep_dots(tag, cache);
            ended = core::mem::take(&mut self.requests[tag]);
        }
        cache.unpin(request.content);
        match cache.get(request.content) {
            // The directory was not open yet: whoever waits for it asks himself.
            _ if too_early => code = 0,
            Some(content) if code == 0 && !ended.lost => content.set_listing(ended.got),
            Some(_) => {
                cache.forget(request.content);
                // It is too large to be kept.
                for job in self.jobs.iter_mut().filter(|j| j.kind == JobKind::Readdir && j.wait[0] == tag as u16) {
                    job.tries = 2;
                }
            }
            None => {}
        }
        self.wake(tag, code, cache);
        self.release_node(request.node, cache);
    }
}
