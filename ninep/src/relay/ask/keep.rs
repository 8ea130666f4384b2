//! Before a name goes, what the kernel has open under it must be open on the upstream server, too.

use super::append::Appender;
use crate::errno::Errno;
use crate::relay::data::hash::Hash;
use crate::relay::data::node::{NodeId, Open};
use crate::relay::state::Relay;
use crate::types::{open, qt};

impl Relay<'_> {
    /// Opens what the kernel has open under a name. False: it is not open yet.
    pub(crate) fn keep_open(&mut self, parent: NodeId, name: &[u8]) -> Result<bool, Errno> {
        let Some(node) = self.tree.find(parent, Hash::of(name)) else { return Ok(true) };
        let n = self.tree.view(node);
        let is_lazy = |o: &Open| o.refs > 0 && o.ffid == 0 && !o.refused && n.qid.kind & qt::DIR == 0;
        let lazy = self.tree.opens_of(n.opens).find(|&o| is_lazy(&self.tree.opens[o as usize]));
        let Some(lazy) = lazy else { return Ok(self.opening(node).is_none() && self.keep_appenders(node)) };
        if self.tree.open(lazy).opening != 0 {
            return Ok(false);
        }
        let ffid = core::mem::take(&mut self.tree.node(node).ffid);
        if ffid == 0 {
            return self.clone_fid(node).ok_or(Errno::ESTALE).map(|_| false);
        }
        self.send_open_as(lazy, ffid, open::RDONLY, false);
        Ok(false)
    }

    /// Opens what is needed to append. False: it is not open yet.
    fn keep_appenders(&mut self, node: NodeId) -> bool {
        let waits = |this: &mut Self, sync| {
            let wanted = |o: &Open| o.appends && o.refs > 0 && o.sync == sync;
            let is_wanted =
                this.tree.opens_of(this.tree.nodes[node as usize].opens).any(|o| wanted(&this.tree.opens[o as usize]));
            is_wanted && matches!(this.appender(node, sync), Appender::Later)
        };
        !(waits(self, false) || waits(self, true))
    }
}
