//! Listings of directories. Entries are corrected as they come, and kept.

use crate::errno::Errno;
use crate::frame::Fault;
use crate::relay::data::cache::Cache;
use crate::relay::data::hash::Hash;
use crate::relay::data::job::Task;
use crate::relay::data::listing::{ENTRY, HEAD, Pieces, dirent_kind};
use crate::relay::data::node::{EMPTY, NodeId};
use crate::relay::data::owner::shown_qid;
use crate::relay::data::request::{Request, RequestKind, Transfer};
use crate::relay::state::Relay;
use crate::types::Dirent;
use crate::wire::{Wire, Writer};

const DT_DIR: u8 = 4;

impl Relay<'_> {
    pub(super) fn take_entries(&mut self, tag: usize, mut data: &[u8], cache: &mut Cache<'_>) -> Result<(), Fault> {
        let mut pieces = core::mem::replace(&mut self.input.entry, Pieces::new());
        let is_direct = self.requests[tag].is_direct();
        let result = loop {
            match pieces.next(&mut data, is_direct) {
                Ok(Some(entry)) => self.take_entry(tag, &entry, cache),
                Ok(None) => break Ok(()),
                Err(error) => break Err(Fault::Body(error)),
            }
        };
        self.input.entry = pieces;
        result
    }

    fn take_entry(&mut self, tag: usize, entry: &Dirent<'_>, cache: &mut Cache<'_>) {
        let Request { node, kind, .. } = self.requests[tag];
        let qid = match entry.name {
            b"." | b".." => self.dots(node)[entry.name.len() - 1],
            name => {
                let (device, _) = self.device_of(node, Hash::of(name), &entry.qid);
                shown_qid(&entry.qid, device, Hash::default())
            }
        };
        let shown = Dirent { qid, kind: dirent_kind(entry), ..entry.clone() };
        match kind {
            RequestKind::DirectListing { lost: false, .. } => {
                let (bytes, n) = encode(&shown);
                // As long as it was.
                self.to_kernel.fill(&bytes[..n]);
            }
            RequestKind::Listing(mut transfer) => {
                transfer.offset = entry.offset;
                if transfer.got == 0 {
                    self.keep_dots(node, &mut transfer, cache);
                }
                if !matches!(entry.name, b"" | b"." | b"..") {
                    keep_entry(&mut transfer, &shown, cache);
                }
                self.requests[tag].kind = RequestKind::Listing(transfer);
            }
            _ => {}
        }
    }

    /// The stock server leaves these two out.
    fn keep_dots(&mut self, node: NodeId, transfer: &mut Transfer, cache: &mut Cache<'_>) {
        let [own, above] = self.dots(node);
        keep_entry(transfer, &Dirent { qid: own, offset: 0, kind: DT_DIR, name: b"." }, cache);
        keep_entry(transfer, &Dirent { qid: above, offset: 0, kind: DT_DIR, name: b".." }, cache);
    }

    /// The upstream server has no more entries, or has failed with the error number `code`.
    pub(super) fn listing_ended(
        &mut self,
        tag: usize,
        request: &Request,
        mut transfer: Transfer,
        mut code: u32,
        cache: &mut Cache<'_>,
    ) {
        self.directory_listed(request);
        let too_early = transfer.early && code != 0;
        if code == 0 && transfer.got == 0 {
            let node = self.tree.node(request.node);
            if node.own & EMPTY == 0 && self.owner.is_shut_out(&node.attr) {
                // The stock server leaves out what it cannot look up.
                code = Errno::EACCES.0;
            }
            self.keep_dots(request.node, &mut transfer, cache);
        }
        cache.unpin(transfer.content);
        match cache.get(transfer.content) {
            // The directory was not open yet: whoever waits for it asks himself.
            _ if too_early => code = 0,
            Some(content) if code == 0 && !transfer.lost => content.set_listing(transfer.got),
            Some(_) => {
                cache.forget(transfer.content);
                // It is too large to be kept.
                for job in self.jobs.iter_mut().filter(|j| j.wait[0] == tag as u16) {
                    if let Task::Readdir(part) = &mut job.task {
                        part.tries = 2;
                    }
                }
            }
            None => {}
        }
        self.wake_and_release(tag, code, request.node, cache);
    }

    /// A listing does not need the fid of its directory any more.
    fn directory_listed(&mut self, request: &Request) {
        /// So many directories are open on the upstream server at a time: a process there may have 1024 or 4096 open
        /// files.
        const OPEN: usize = 256;
        if self.tree.node(request.node).ffid != request.ffid {
            // Another has taken its place meanwhile.
            self.queue_clunk(request.ffid);
        } else if self.tree.open_directories() > OPEN && self.has_room(64) {
            // One that is not open will.
            self.clone_fid(request.node);
        }
    }
}

/// Appends an entry to a listing; its offset is where the next one begins.
fn keep_entry(transfer: &mut Transfer, entry: &Dirent<'_>, cache: &mut Cache<'_>) {
    let end = transfer.got + (HEAD + entry.name.len()) as u64;
    let (bytes, n) = encode(&Dirent { offset: end, ..entry.clone() });
    transfer.lost = transfer.lost || !cache.put(transfer.content, transfer.got, &bytes[..n]);
    transfer.got = end;
}

fn encode(entry: &Dirent<'_>) -> ([u8; ENTRY], usize) {
    let mut bytes = [0; ENTRY];
    let mut writer = Writer::new(&mut bytes);
    entry.write(&mut writer);
    let n = writer.written().unwrap_or(0);
    (bytes, n)
}
