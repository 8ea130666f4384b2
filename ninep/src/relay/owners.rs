//! What a process of another user than 0 makes is given to him, where the client is root.
//!
//! The stock server makes everything as the client, and changes owners by path, following links. So a file is given away
//! only when its name is surely its own: it is what the far side has just made, and nobody but root can have put anything
//! else in its place, in any of the directories that lead to it ([`super::owner::Owner::is_his_alone`]). Symbolic links are never.
//! Elsewhere, and where the client is another user, what is made stays the client's, who is user 0 here: its maker has it
//! open as he asked for, and otherwise may what its mode lets others do.

use heapless::Vec;

use super::Relay;
use super::cache::Cache;
use super::far::{Request, RequestKind};
use super::hash::Hash;
use super::kernel::set;
use super::run::{Job, mode};
use super::tree::{Node, NodeId};
use crate::msg::{Rwalkgetattr, Tsetattr, Twalkgetattr};
use crate::types::{Attr, qt};
use crate::wire::Wire;

/// How old what is known of a directory's owner and mode may be.
const LATELY_MS: u64 = 1000;

/// So many directories are asked about for one file; then it is not given away.
const DEEPEST: u8 = 64;

impl Relay<'_> {
    /// Whether what a job makes is another's than the client's, and can be given to him.
    fn may_give(&self, job: &Job) -> bool {
        job.uid != 0 && self.owner.is_root() && self.google
    }

    /// A file has been created, and may have been there before, by way of a link: asks what stands under its name.
    /// False: that does not matter.
    pub(super) fn ask_created(&mut self, request: &Request, path: u64) -> bool {
        let job = *self.job(request.job as usize);
        let parent = self.any_fid(request.node, 0).filter(|_| self.may_give(&job));
        let Some(fid) = parent else { return false };
        let newfid = self.new_ffid();
        let wname = Vec::from_array([<&[u8]>::read(&mut job.names())]);
        let request = Request { ffid: newfid, ..*request };
        let tag = self.send(RequestKind::Create, &Twalkgetattr { fid, newfid, wname }, request);
        let job = self.job(request.job as usize);
        (job.wait, job.offset) = ([tag, 0], path);
        true
    }

    /// Whether the file that was created is the one under its name, and nobody else's.
    pub(super) fn is_created(&mut self, j: usize, found: &Rwalkgetattr) -> bool {
        let created = self.job(j).offset;
        let regular = found.attr.mode & mode::FORMAT == mode::REGULAR;
        let own = found.attr.uid == self.owner.uid && found.attr.nlink == 1;
        regular && own && found.wqid.first().is_some_and(|qid| qid.path == created)
    }

    /// Gives what a job has made to whom it was made for, if that is safe. True: the job waits.
    pub(super) fn give(&mut self, j: usize, node: NodeId, cache: &mut Cache<'_>) -> bool {
        let job = *self.job(j);
        let Node { ffid: fid, attr: Attr { uid, gid, .. }, qid, .. } = self.tree.view(node);
        let own = fid != 0 && uid == self.owner.uid && qid.kind & qt::SYMLINK == 0;
        if !self.may_give(&job) || !own || job.asked > DEEPEST {
            return false;
        }
        let mut above = job.node;
        while above != 0 {
            let n = self.tree.view(above);
            if n.named == 0 || n.key == Hash::default() || self.now_ms.saturating_sub(n.named) >= LATELY_MS {
                if n.ffid == 0 || n.gone {
                    return false;
                }
                let tag = self.send_getattr(above, n.ffid);
                (self.job(j).asked, self.job(j).patient) = (job.asked + 1, true);
                self.wait_for(j, tag);
                return true;
            }
            if !self.owner.is_his_alone(&n.attr) {
                return false;
            }
            above = n.parent;
        }
        self.job(j).asked = DEEPEST + 1;
        let far = self.owner.far_gid(job.gid, gid);
        let valid = set::UID | if far.is_some() { set::GID } else { 0 };
        self.change_begins(node, cache);
        self.tree.node(node).pins += 1;
        let setattr = Tsetattr { fid, valid, uid: job.uid, gid: far.unwrap_or_default(), ..Tsetattr::default() };
        let tag = self.send(RequestKind::Mode, &setattr, Request { node, ..Request::default() });
        self.wait_for(j, tag);
        true
    }
}
