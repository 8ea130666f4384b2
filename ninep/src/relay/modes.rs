//! The bits setuid and setgid. The stock server's library drops them from every mode that it is sent (p9 0.3.0,
//! `permissionsMask`), so that no chmod sets them and each takes them away. Its dialect is Google's; a server of plain
//! 9P2000.L keeps them.

use super::Relay;
use super::cache::Cache;
use super::kernel::set;
use super::run::{Job, JobKind, mode};
use super::tree::NodeId;
use crate::errno::Errno;
use crate::msg::{Rsetattr, Tsetattr, Type};

/// setuid and setgid (inode(7)).
const SPECIAL: u32 = 0o6000;

impl Relay<'_> {
    /// Whether a mode has bits that the far side would drop.
    pub(super) const fn drops(&self, mode: u32) -> bool {
        self.google && mode & SPECIAL != 0
    }

    /// Whether this is a chmod(2) that may not be done as it says. Bits that the kernel takes away by itself, from a file
    /// that is written to, cut or given away, go at home, too; chmod(2) alone sets nothing but the mode, and the ctime.
    pub(super) fn is_special(&self, node: NodeId, valid: u32, mode: u32) -> bool {
        let now = self.tree.nodes[node as usize].attr.mode;
        valid == set::MODE | set::CTIME && self.drops(mode | now)
    }

    pub(super) fn run_chmod(&mut self, j: usize, cache: &mut Cache<'_>) {
        let Job { node, open, seq, tag, flags: valid, mode, .. } = *self.job(j);
        if !self.fresh(node, seq) {
            return self.ask_attributes(j, node, open, cache);
        }
        let (mode, now) = (mode & !mode::FORMAT, self.tree.node(node).attr.mode & !mode::FORMAT);
        if mode == now {
            self.to_kernel.message(tag, &Rsetattr {});
            return self.finish(j, cache);
        }
        if self.drops(mode | now) {
            return self.fail(j, Errno::EPERM, cache);
        }
        let Some(fid) = self.any_fid(node, open) else { return self.fail(j, Errno::ESTALE, cache) };
        self.job(j).kind = JobKind::Forward(Type::Tsetattr);
        self.change_begins(node, cache);
        let setattr = Tsetattr { fid, valid, mode, ..Tsetattr::default() };
        let sent = self.send_for(j, 0, &setattr);
        self.wait_for(j, sent);
    }
}
