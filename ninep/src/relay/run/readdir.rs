//! Reading directories: from a listing in the cache, or straight through.

use crate::errno::Errno;
use crate::msg::{Treaddir, Type};
use crate::relay::data::cache::{Cache, ContentRef};
use crate::relay::data::job::{Job, Outcome, Part, Reply, Unanswered};
use crate::relay::data::listing::{begins_entry, entries_within};
use crate::relay::data::node::{Node, NodeId};
use crate::relay::data::request::{Request, RequestKind};
use crate::relay::state::Relay;
use crate::types::qt;

impl Relay<'_> {
    pub(super) fn run_readdir(&mut self, j: usize, job: &Job, part: &mut Part, cache: &mut Cache<'_>) -> Outcome {
        let n = self.tree.view(job.node);
        if n.qid.kind & qt::DIR == 0 {
            return Err(Errno::ENOTDIR.into());
        }
        let count = self.room_for_data(part)?;
        let &mut Part { offset, tries, .. } = part;
        let mut o = *self.tree.open(job.open);
        let kept = cache.get(o.listing).and_then(|c| c.listing());
        let is_here = kept.is_some_and(|end| {
            let rest = end.saturating_sub(offset);
            cache.available(o.listing, offset, rest) == rest
        });
        if (offset == 0 || !is_here) && !o.direct {
            self.find_listing(job, part, &n, cache)?;
            o = *self.tree.open(job.open);
        }
        if o.direct {
            return self.readdir_direct(j, job.node, offset, count, cache);
        }
        let end = cache.get(o.listing).and_then(|c| c.listing()).ok_or(Errno::EIO)?;
        let taken = entries_within(cache, o.listing, offset..end, count);
        if taken.is_some_and(|n| self.reply_data(Type::Rreaddir, job.tag, (o.listing, offset), n, cache)) {
            return Ok(Reply::Sent);
        }
        // Its memory was needed by others this very moment, or the offset is none that was given out.
        if tries >= 2 {
            return Err(Errno::EIO.into());
        }
        part.tries += 1;
        Err(Unanswered::Again)
    }

    /// Finds or fetches the listing of the directory as it is now, and makes the job's open read it. One that has no
    /// room is read directly.
    fn find_listing(&mut self, job: &Job, part: &mut Part, n: &Node, cache: &mut Cache<'_>) -> Result<(), Unanswered> {
        let &mut Part { offset, tries, .. } = part;
        if !self.is_fresh(n, job.seq) && !n.gone {
            return Err(self.ask_attributes(job.node, 0));
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
            Some((at, _)) if !begins_entry(cache, at, offset) => Err(Errno::EIO.into()),
            Some((at, _)) => {
                self.hold_listing(job, at, cache);
                Ok(())
            }
            None if tries >= 2 && offset > 0 => Err(Errno::EIO.into()),
            None if tries >= 2 => {
                self.tree.open(job.open).direct = true;
                Ok(())
            }
            None => Err(self.fetch_listing(job.node, part, cache)),
        }
    }

    fn hold_listing(&mut self, job: &Job, at: ContentRef, cache: &mut Cache<'_>) {
        let o = self.tree.open(job.open);
        if o.listing != at {
            cache.unpin(o.listing);
            cache.pin(at);
            o.listing = at;
        }
    }

    fn fetch_listing(&mut self, node: NodeId, part: &mut Part, cache: &mut Cache<'_>) -> Unanswered {
        part.tries += u8::from(self.tree.node(node).dir_open);
        match self.ask_listing(node, cache) {
            Some(tag) => Unanswered::wait(tag),
            None => {
                part.tries = 2;
                Unanswered::Again
            }
        }
    }

    fn readdir_direct(&mut self, j: usize, node: NodeId, offset: u64, count: u32, cache: &mut Cache<'_>) -> Outcome {
        let n = self.tree.view(node);
        if !n.dir_open {
            return Err(self.open_directory(node, cache));
        }
        self.tree.node(node).pins += 1;
        let kind = RequestKind::DirectListing { count, lost: false };
        let request = Request { job: j as u32, ..Request::on(node, kind) };
        Err(Unanswered::wait(self.send(&Treaddir { fid: n.ffid, offset, count }, request)))
    }
}
