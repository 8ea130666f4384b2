//! The tables of nodes, fids and opens. Entry 0 of each stands for none, so memory of zeroes is an empty table, and
//! pages that were never used cost nothing.

use super::hash::Hash;
use super::mounts::place_of;
use super::node::{Fid, Node, NodeId, Open, OpenId};
use crate::limits::NOTAG;

/// So many files are asked about together with one whose attributes have expired.
const FOLLOWERS: usize = 8;

/// Upstream fids to be clunked. One that has no room here ends with the session.
pub type Clunks = heapless::Vec<u32, 128>;

#[derive(Debug)]
pub struct Tree<'m> {
    pub nodes: &'m mut [Node],
    pub heads: &'m mut [NodeId],
    pub fids: &'m mut [Fid],
    pub opens: &'m mut [Open],
    clock: u32,
    /// No node below it is free.
    free_node: usize,
    /// No node from it on was ever used.
    end: usize,
    /// Where the next idle node is looked for.
    hand: usize,
}

impl<'m> Tree<'m> {
    pub const fn new(
        nodes: &'m mut [Node],
        heads: &'m mut [NodeId],
        fids: &'m mut [Fid],
        opens: &'m mut [Open],
    ) -> Self {
        Self { nodes, heads, fids, opens, clock: 0, free_node: 1, end: 1, hand: 0 }
    }

    /// A copy of a node. This and the next two are calls, which take fewer bytes of code than an index that is checked.
    #[inline(never)]
    pub fn view(&self, id: NodeId) -> Node {
        self.nodes[id as usize]
    }

    #[inline(never)]
    pub fn node(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    #[inline(never)]
    pub fn open(&mut self, id: OpenId) -> &mut Open {
        &mut self.opens[id as usize]
    }

    fn bucket(&self, parent: NodeId, name: Hash) -> usize {
        (name.0 ^ u64::from(parent).wrapping_mul(0x9e37_79b9_7f4a_7c15)) as usize % self.heads.len()
    }

    /// The node for a name in a directory, present or absent.
    pub fn find(&mut self, parent: NodeId, name: Hash) -> Option<NodeId> {
        let mut id = self.heads[self.bucket(parent, name)];
        while id != 0 {
            let node = &self.nodes[id as usize];
            if node.parent == parent && node.name == name {
                self.touch(id);
                return Some(id);
            }
            id = node.next;
        }
        None
    }

    pub fn touch(&mut self, id: NodeId) {
        self.clock = self.clock.wrapping_add(1);
        self.nodes[id as usize].lru = self.clock;
    }

    pub fn touch_open(&mut self, id: OpenId) {
        self.clock = self.clock.wrapping_add(1);
        self.opens[id as usize].lru = self.clock;
    }

    /// A node for a name. When no place is free, an idle node that was not used for long is evicted; `release` gets its
    /// upstream fids. None when no node is idle.
    pub fn make(&mut self, parent: NodeId, name: Hash, release: &mut Clunks) -> Option<NodeId> {
        let free = (self.free_node..self.nodes.len()).find(|&i| !self.nodes[i].used);
        self.free_node = free.map_or(self.nodes.len(), |i| i + 1);
        let id = match free {
            Some(id) => id as NodeId,
            None => {
                let oldest = self.oldest_idle(parent)?;
                self.drop_node(oldest, release);
                self.free_node = self.nodes.len();
                oldest
            }
        };
        self.end = self.end.max(id as usize + 1);
        *self.node(id) = Node { used: true, parent, name, ..Node::default() };
        if parent != 0 {
            self.node(id).place = place_of(self.nodes[parent as usize].place, name);
            let bucket = self.bucket(parent, name);
            self.node(id).next = core::mem::replace(&mut self.heads[bucket], id);
            self.node(parent).children += 1;
        }
        self.touch(id);
        Some(id)
    }

    /// Of a few idle nodes the least recently used. Each call looks at the next few.
    fn oldest_idle(&mut self, parent: NodeId) -> Option<NodeId> {
        const FEW: usize = 16;
        let n = self.nodes.len();
        let all = (0..n).map(|i| (self.hand + i) % n).filter(|&i| self.is_idle(i) && i as NodeId != parent);
        let mut last = self.hand;
        let oldest = all.take(FEW).inspect(|&i| last = i).max_by_key(|&i| self.clock.wrapping_sub(self.nodes[i].lru));
        self.hand = (last + 1) % n;
        oldest.map(|i| i as NodeId)
    }

    /// Nobody holds it, nothing is below it, and nothing about it is under way.
    fn is_idle(&self, i: usize) -> bool {
        let n = &self.nodes[i];
        n.used
            && n.pins == 0
            && n.children == 0
            && n.asking == 0
            && matches!(n.cloning, 0 | NOTAG)
            && n.changing == 0
            && self.opens_of(n.opens).all(|o| self.opens[o as usize].refs == 0 && self.opens[o as usize].opening == 0)
    }

    /// The files whose attributes were asked for next after `seq`, of those that are `old`. Only files that were asked
    /// about more than once, are wanted since, and have a fid for their path.
    pub fn asked_after(&self, seq: u64, old: impl Fn(&Node) -> bool) -> heapless::Vec<NodeId, FOLLOWERS> {
        let mut found = heapless::Vec::<NodeId, FOLLOWERS>::new();
        for (id, n) in self.nodes[..self.end].iter().enumerate() {
            if n.asked.seq <= seq
                || !n.again
                || !n.wanted
                || n.absent
                || n.gone
                || n.ffid == 0
                || n.dir_open
                || n.asking != 0
                || !old(n)
            {
                continue;
            }
            let at = found.iter().position(|&f| self.nodes[f as usize].asked.seq > n.asked.seq).unwrap_or(found.len());
            if found.is_full() && at < found.len() {
                found.pop();
            }
            let _ = found.insert(at, id as NodeId);
        }
        found
    }

    /// No node from it on was ever used.
    pub const fn end(&self) -> usize {
        self.end
    }

    pub fn open_directories(&self) -> usize {
        self.nodes[..self.end].iter().filter(|n| n.dir_open).count()
    }

    pub fn opens_of(&self, first: OpenId) -> impl Iterator<Item = OpenId> + '_ {
        let mut id = first;
        core::iter::from_fn(move || {
            let this = id;
            id = self.opens[this as usize].next;
            (this != 0).then_some(this)
        })
    }

    fn drop_node(&mut self, id: NodeId, release: &mut Clunks) {
        self.detach(id);
        let node = self.view(id);
        if node.ffid != 0 {
            let _ = release.push(node.ffid);
        }
        let mut open = node.opens;
        while open != 0 {
            let o = core::mem::take(self.open(open));
            if o.ffid != 0 {
                let _ = release.push(o.ffid);
            }
            open = o.next;
        }
        *self.node(id) = Node::default();
        self.free_node = self.free_node.min(id as usize);
    }

    /// Takes a node out of the tree. Whoever holds it keeps it.
    pub fn detach(&mut self, id: NodeId) {
        let Node { parent, name, gone, .. } = self.view(id);
        if gone || parent == 0 {
            return;
        }
        let bucket = self.bucket(parent, name);
        let next = self.node(id).next;
        if self.heads[bucket] == id {
            self.heads[bucket] = next;
        } else {
            let mut before = self.heads[bucket];
            while before != 0 && self.nodes[before as usize].next != id {
                before = self.nodes[before as usize].next;
            }
            self.node(before).next = next;
        }
        self.node(parent).children -= 1;
        let node = self.node(id);
        (node.gone, node.next) = (true, 0);
    }

    /// Puts a node under another name.
    pub fn attach(&mut self, id: NodeId, parent: NodeId, name: Hash) {
        let bucket = self.bucket(parent, name);
        let head = core::mem::replace(&mut self.heads[bucket], id);
        let node = self.node(id);
        (node.parent, node.name, node.next, node.gone) = (parent, name, head, false);
        self.node(parent).children += 1;
    }

    /// Frees a node that has no name, once nobody holds it, and its upstream fids.
    pub fn tidy(&mut self, id: NodeId, release: &mut Clunks) {
        if id == 0 || !self.node(id).gone || self.node(id).parent == 0 {
            return;
        }
        if self.node(id).children > 0 {
            // What was known below a directory that is gone.
            for i in 1..self.nodes.len() {
                if self.nodes[i].used && self.nodes[i].parent == id && !self.nodes[i].gone {
                    self.detach(i as NodeId);
                    self.drop_idle(i as NodeId, release);
                }
            }
        }
        self.drop_idle(id, release);
    }

    /// While there is no room for its upstream fids among the clunks, it stays until its place is needed.
    fn drop_idle(&mut self, id: NodeId, release: &mut Clunks) {
        if self.is_idle(id as usize) && !release.is_full() {
            self.drop_node(id, release);
        }
    }

    pub fn new_open(&mut self, node: NodeId, access: u32, release: &mut Clunks) -> Option<OpenId> {
        let id = match (1..self.opens.len()).find(|&i| self.opens[i].node == 0) {
            Some(id) => id as OpenId,
            None => {
                // A file that the kernel holds needs a fid that can be cloned.
                let idle = |o: &Open| {
                    let node = &self.nodes[o.node as usize];
                    o.refs == 0 && o.opening == 0 && (node.pins == 0 || node.ffid != 0)
                };
                let oldest = (1..self.opens.len())
                    .filter(|&i| idle(&self.opens[i]))
                    .max_by_key(|&i| self.clock.wrapping_sub(self.opens[i].lru))?;
                self.drop_open(oldest as OpenId, release);
                oldest as OpenId
            }
        };
        let next = core::mem::replace(&mut self.node(node).opens, id);
        *self.open(id) = Open { node, next, access, ..Open::default() };
        self.touch_open(id);
        Some(id)
    }

    /// Ends the opens by which a file is appended to, when no open of the kernel's is left that appends.
    pub fn drop_appenders(&mut self, node: NodeId, release: &mut Clunks) {
        let mut id = self.node(node).opens;
        if self.opens_of(id).any(|o| self.opens[o as usize].appends && self.opens[o as usize].refs > 0) {
            return;
        }
        while id != 0 {
            let Open { appender, opening, next, .. } = *self.open(id);
            if appender {
                self.open(id).refs = 0;
                if opening == 0 {
                    self.drop_open(id, release);
                }
            }
            id = next;
        }
    }

    /// Ends an open that nobody uses.
    pub fn drop_open(&mut self, id: OpenId, release: &mut Clunks) {
        let open = core::mem::take(self.open(id));
        if open.ffid != 0 {
            let _ = release.push(open.ffid);
        }
        if self.node(open.node).opens == id {
            self.node(open.node).opens = open.next;
        } else {
            let mut before = self.node(open.node).opens;
            while before != 0 && self.opens[before as usize].next != id {
                before = self.opens[before as usize].next;
            }
            self.open(before).next = open.next;
        }
    }
}
