//! What a process of another user than 0 makes is given to that user, if the client is root.
//!
//! The stock server makes everything as the client. It changes owners by path and follows links. So a file is given
//! away only if its name can be no other file's: the upstream server has just made it, and nobody but root can put
//! anything else in its place, in any directory on the way to it ([`Owner::is_his_alone`]). Symbolic links are never
//! given away. Otherwise what is made stays the client's, who is user 0 here. Its maker has it open as he asked for,
//! and apart from that may do what its mode lets others do.
//!
//! [`Owner::is_his_alone`]: crate::relay::data::owner::Owner::is_his_alone

use heapless::Vec;

use crate::msg::{Rwalkgetattr, Tsetattr, Twalkgetattr};
use crate::relay::data::cache::Cache;
use crate::relay::data::hash::Hash;
use crate::relay::data::job::{Job, NewFile, Task, Unanswered};
use crate::relay::data::node::{Node, NodeId};
use crate::relay::data::request::{Request, RequestKind};
use crate::relay::state::Relay;
use crate::types::{Attr, mode, qt, setattr as set};

/// How old what is known of a directory's owner and mode may be.
const LATELY_MS: u64 = 1000;

/// So many directories are asked about for one file. Below more of them it is not given away.
const DEEPEST: u8 = 64;

impl Relay<'_> {
    /// Whether what a job makes is another's than the client's, and can be given to him.
    fn may_give(&self, job: &Job) -> bool {
        job.uid != 0 && self.owner.is_root() && self.google
    }

    /// A file has been created. It may have been there before, by way of a link, so this asks what has its name. False:
    /// it is not to be given away.
    pub(super) fn ask_created(&mut self, request: &Request, path: u64) -> bool {
        let j = request.job as usize;
        let parent = self.any_fid(request.node, 0).filter(|_| self.may_give(&self.jobs[j]));
        let (Some(fid), Task::Create(create)) = (parent, &mut self.jobs[j].task) else { return false };
        create.path = path;
        let name = create.new.name;
        let newfid = self.new_ffid();
        let wname = Vec::from_array([name.name()]);
        let tag = self.send(&Twalkgetattr { fid, newfid, wname }, Request { ffid: newfid, ..*request });
        self.job(j).wait = [tag, 0];
        true
    }

    /// Whether the name is that of the file that was created, and the file nobody else's.
    pub(super) fn is_created(&mut self, j: usize, found: &Rwalkgetattr) -> bool {
        let Task::Create(create) = &self.jobs[j].task else { return false };
        let regular = found.attr.mode & mode::FORMAT == mode::REGULAR;
        let own = found.attr.uid == self.owner.uid && found.attr.nlink == 1;
        regular && own && found.wqid.first().is_some_and(|qid| qid.path == create.path)
    }

    /// Gives what a job has made to whom it was made for, if that is safe.
    pub(super) fn give(
        &mut self,
        job: &Job,
        new: &mut NewFile,
        node: NodeId,
        cache: &mut Cache<'_>,
    ) -> Result<(), Unanswered> {
        let Node { ffid: fid, attr: Attr { uid, gid, .. }, qid, .. } = self.tree.view(node);
        let own = fid != 0 && uid == self.owner.uid && qid.kind & qt::SYMLINK == 0;
        if !self.may_give(job) || !own || new.asked > DEEPEST {
            return Ok(());
        }
        let mut above = job.node;
        while above != 0 {
            let n = self.tree.view(above);
            if n.named == 0 || n.key == Hash::default() || self.now_ms.saturating_sub(n.named) >= LATELY_MS {
                if n.ffid == 0 || n.gone {
                    return Ok(());
                }
                new.asked += 1;
                return Err(Unanswered::Wait { on: [self.send_getattr(above, n.ffid), 0], ignore_error: true });
            }
            if !self.owner.is_his_alone(&n.attr) {
                return Ok(());
            }
            above = n.parent;
        }
        new.asked = DEEPEST + 1;
        let given = self.owner.upstream_gid(new.gid, gid);
        let valid = set::UID | if given.is_some() { set::GID } else { 0 };
        let setattr = Tsetattr { fid, valid, uid: job.uid, gid: given.unwrap_or_default(), ..Tsetattr::default() };
        Err(self.set_of_new(node, &setattr, cache))
    }

    /// Sets mode or owner of what has been made.
    pub(super) fn set_of_new(&mut self, node: NodeId, setattr: &Tsetattr, cache: &mut Cache<'_>) -> Unanswered {
        self.change_begins(node, cache);
        self.tree.node(node).pins += 1;
        Unanswered::wait(self.send(setattr, Request::on(node, RequestKind::Mode)))
    }
}
