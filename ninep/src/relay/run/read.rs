//! Reading files: from the cache, or straight through.

use crate::errno::Errno;
use crate::limits::IOHDRSZ;
use crate::msg::{Tread, Type};
use crate::relay::ask::{WHOLE, WINDOW_LEAST, WINDOW_MOST};
use crate::relay::data::cache::{BLOCK, Cache, ContentRef};
use crate::relay::data::job::{Job, Outcome, Part, Reply, Unanswered};
use crate::relay::data::node::Node;
use crate::relay::data::request::{Request, RequestKind};
use crate::relay::state::{JOB_KERNEL, Relay};
use crate::types::{open, qt, setattr as set};

/// Up to which size all of a file is fetched when a second piece of it is asked for, and when a third one is.
const LIBRARY: u64 = 2 * 1024 * 1024;
const INTERPRETER: u64 = 8 * 1024 * 1024;

impl Relay<'_> {
    pub(super) fn run_read(&mut self, j: usize, job: &Job, part: &mut Part, cache: &mut Cache<'_>) -> Outcome {
        let n = self.tree.view(job.node);
        if n.qid.kind & qt::DIR != 0 {
            return Err(Errno::EISDIR.into());
        }
        let &mut Part { offset, tries, .. } = part;
        let count = self.room_for_data(part)?;
        let own_change = n.asked.seq == 0 || n.changing > 0;
        if own_change || self.freshness_ms == 0 {
            return self.read_direct(j, job, offset, count);
        }
        let n = self.fresh_node(job, job.open)?;
        let content = if n.is_kept() { cache.find_or_make(n.key) } else { None };
        let Some(content) = content else { return self.read_direct(j, job, offset, count) };
        let wanted = u64::from(count).min(n.attr.size.saturating_sub(offset));
        let have = cache.available(content, offset, wanted);
        if have == wanted {
            if !self.reply_data(Type::Rread, job.tag, (content, offset), wanted, cache) {
                // Its memory was needed by others this very moment.
                return self.read_direct(j, job, offset, count);
            }
            if wanted > 0 {
                self.read_ahead(job.open, (offset, wanted), &n, content, cache);
            }
            return Ok(Reply::Sent);
        }
        // More tries than it takes: the cache has no room, so the data passes through.
        if tries >= 4 {
            return self.read_direct(j, job, offset, count);
        }
        let missing = offset + have;
        let fetch = match self.fetch_of(content, missing) {
            Some(fetch) => Some(fetch),
            None => {
                self.opened_fid(job.open)?;
                self.fetch_for(job, &n, content, (offset, missing, offset + wanted), cache)
            }
        };
        part.tries += 1;
        match fetch {
            Some(tag) => Err(Unanswered::wait(tag)),
            None => self.read_direct(j, job, offset, count),
        }
    }

    /// Fetches the bytes `missing..wanted` that a job needs to read from `offset` on, and what its reader is likely to need
    /// next; the tag of the request.
    fn fetch_for(
        &mut self,
        job: &Job,
        n: &Node,
        content: ContentRef,
        (offset, missing, wanted): (u64, u64, u64),
        cache: &Cache<'_>,
    ) -> Option<u16> {
        let start = missing / BLOCK as u64 * BLOCK as u64;
        let o = self.tree.open(job.open);
        if o.access != open::RDONLY && n.changed != 0 && o.next_read != offset {
            // A file that is changed here and there: only what is asked for, since the rest will soon be out of date.
            return self.fetch(job.open, content, start, wanted, cache);
        }
        o.window = (o.window * 2).clamp(WINDOW_LEAST, WINDOW_MOST);
        let window = u64::from(o.window).max(wanted - missing);
        let end = if n.attr.size <= WHOLE { n.attr.size } else { (start + window).min(n.attr.size) };
        let tag = self.fetch(job.open, content, start, end, cache)?;
        let most = if window < WINDOW_MOST.into() { LIBRARY } else { INTERPRETER };
        if window > WINDOW_LEAST.into() && n.attr.size <= most.min(cache.capacity() as u64 / 2) {
            self.fetch_rest(job.open, content, n.attr.size);
        }
        Some(tag)
    }

    /// How many bytes a job may answer with. Until there is room for them the job is stalled.
    pub(super) fn room_for_data(&self, part: &Part) -> Result<u32, Unanswered> {
        let count = part.count.min(self.msize - IOHDRSZ);
        let room = self.to_kernel.room() >= count as usize + self.jobs.len() * JOB_KERNEL;
        if room { Ok(count) } else { Err(Unanswered::Stall) }
    }

    /// The bytes go to the kernel as they come.
    fn read_direct(&mut self, j: usize, job: &Job, offset: u64, count: u32) -> Outcome {
        if self.tree.open(job.open).access == open::WRONLY {
            return Err(Errno::EBADF.into());
        }
        let fid = self.opened_fid(job.open)?;
        let n = self.tree.node(job.node);
        let left = if n.own & set::SIZE == 0 { u64::MAX } else { n.attr.size.saturating_sub(offset) };
        let count = u64::from(count).min(left) as u32;
        let kind = RequestKind::Direct { count, lost: false };
        let request = Request { job: j as u32, ..Request::new(kind) };
        Err(Unanswered::wait(self.send(&Tread { fid, offset, count }, request)))
    }
}
