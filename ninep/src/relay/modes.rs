//! The bits setuid and setgid. The stock server's library drops them from every mode that it is sent (p9 0.3.0,
//! `permissionsMask`). So no chmod sets them, and each chmod takes them away. A server that speaks Google's dialect is
//! taken to be such a one; a server of plain 9P2000.L keeps them.

use super::data::node::NodeId;
use super::state::Relay;
use crate::types::setattr as set;

/// setuid and setgid (inode(7)).
const SPECIAL: u32 = 0o6000;

impl Relay<'_> {
    /// Whether a mode has bits that the upstream server would drop.
    pub(super) const fn drops(&self, mode: u32) -> bool {
        self.google && mode & SPECIAL != 0
    }

    /// Whether this is a chmod(2) that would lose such bits. The kernel itself takes them away from a file that is
    /// written to, cut or given away, as it does at home. Only a chmod(2) sets just the mode and the ctime.
    pub(super) fn is_special(&self, node: NodeId, valid: u32, mode: u32) -> bool {
        let now = self.tree.nodes[node as usize].attr.mode;
        valid == set::MODE | set::CTIME && self.drops(mode | now)
    }
}
