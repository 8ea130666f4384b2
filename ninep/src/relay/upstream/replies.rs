//! Replies without data.

use crate::errno::Errno;
use crate::frame::Fault;
use crate::limits::{MSIZE_MIN, NOTAG};
use crate::msg::{Message, Rattach, Rlerror, Rreadlink, Rversion, Rwrite, Tgetattr, Type, VERSION};
use crate::relay::data::cache::{Cache, absence};
use crate::relay::data::hash::Hash;
use crate::relay::data::job::Reply;
use crate::relay::data::node::{Found, Node, NodeId};
use crate::relay::data::request::{Request, RequestKind, Transfer, Walk};
use crate::relay::state::{Relay, State, UPSTREAM_MSIZE};
use crate::types::{getattr, mode, qt};

impl Relay<'_> {
    pub(super) fn complete(
        &mut self,
        tag: usize,
        kind: Type,
        message: &Message<'_>,
        cache: &mut Cache<'_>,
    ) -> Result<(), Fault> {
        let asked = self.requests[tag];
        let code = match message {
            Message::Rlerror(Rlerror { ecode }) => Errno::of_upstream(*ecode).0,
            _ if kind as u8 == asked.message + 1 => 0,
            _ => return Err(asked.wrong_reply()),
        };
        let request = self.take_request(tag);
        match request.kind {
            RequestKind::Version => return self.version_answered(message),
            RequestKind::Attach => self.attached(tag, &request, message, code, cache),
            RequestKind::Home | RequestKind::Devices { .. } => self.devices_go_on(tag, &request, message, cache),
            RequestKind::Walk(walk) | RequestKind::WalkAttributes(walk) => {
                self.walked(tag, &request, walk, message, code, cache);
            }
            RequestKind::Clone => self.cloned(tag, &request, code, cache),
            RequestKind::Getattr => self.attributes_came(tag, &request, message, code, cache),
            RequestKind::Readlink { key } => self.link_came(tag, &request, key, message, code, cache),
            RequestKind::Open { open, .. } => {
                let code = self.check_opened(&request, message, code, cache);
                self.learn_opened(request.node, open, request.ffid, code, cache);
                self.wake_and_release(tag, code, request.node, cache);
            }
            RequestKind::OpenDirectory { .. } => self.directory_opened(tag, &request, message, code, cache),
            RequestKind::Fetch(Transfer { count, .. }) => {
                self.fetching -= u64::from(count);
                // Jobs that wait for it ask themselves, and hear what is wrong.
                self.wake_and_release(tag, 0, request.node, cache);
            }
            RequestKind::Listing(transfer) => self.listing_ended(tag, &request, transfer, code, cache),
            RequestKind::DirectListing { .. } => self.wake_and_release(tag, code, request.node, cache),
            RequestKind::Create { .. } => self.create_goes_on(tag, &request, message, code, cache),
            RequestKind::Zeroes { offset } => {
                self.zeroes_written(request.node, offset, message);
                self.wake_and_release(tag, code, request.node, cache);
            }
            RequestKind::Mode => {
                self.change_ends(request.node, cache);
                self.wake_and_release(tag, 0, request.node, cache);
            }
            RequestKind::Forward => self.forwarded(&request, message, code, cache),
            RequestKind::None | RequestKind::Direct { .. } | RequestKind::Clunk => self.wake(tag, code, cache),
        }
        Ok(())
    }

    fn zeroes_written(&mut self, node: NodeId, offset: u64, message: &Message<'_>) {
        let node = self.tree.node(node);
        match message {
            &Message::Rwrite(Rwrite { count: count @ 1.. }) => {
                node.attr.size = node.attr.size.max(offset + u64::from(count));
            }
            _ => node.cut = u64::MAX,
        }
    }

    fn version_answered(&mut self, message: &Message<'_>) -> Result<(), Fault> {
        let State::Version { google: asked } = self.state else { return Err(Fault::SecondVersion) };
        let (msize, extension) = match message {
            Message::Rversion(Rversion { msize, version }) => (*msize, extension_of(version)),
            _ => (0, None),
        };
        match extension {
            Some(extension) => self.google = extension >= 2,
            None if asked => {
                self.ask_version(false);
                return Ok(());
            }
            None => return Err(Fault::Version),
        }
        if !(MSIZE_MIN..=UPSTREAM_MSIZE).contains(&msize) {
            return Err(Fault::Msize { msize });
        }
        self.upstream_msize = msize;
        self.msize = self.msize.min(msize);
        self.state = State::Open;
        self.reply(NOTAG, Reply::Version(self.msize));
        Ok(())
    }

    fn attached(&mut self, tag: usize, request: &Request, message: &Message<'_>, code: u32, cache: &mut Cache<'_>) {
        if let &Message::Rattach(Rattach { qid }) = message
            && let Some(root) = self.make_node(0, Hash::default())
        {
            let node = self.tree.node(root);
            (node.qid, node.ffid, node.pins) = (qid, request.ffid, 1);
            // What the mount takes it for until somebody asks.
            (node.attr.mode, node.attr.nlink) = (mode::DIRECTORY | 0o755, 2);
            self.root = root;
            self.root_known();
            // Twice what 30 MB/s bring in the time that an answer takes.
            let ms = self.now_ms.saturating_sub(request.moment.ms);
            self.at_a_time = (ms * 64 * 1024).clamp(256 * 1024, 4 * 1024 * 1024);
        }
        self.wake(tag, code, cache);
    }

    fn walked(
        &mut self,
        tag: usize,
        request: &Request,
        walk: Walk,
        message: &Message<'_>,
        code: u32,
        cache: &mut Cache<'_>,
    ) {
        let Walk { name, ahead, .. } = walk;
        let &Request { node: parent, ffid, moment, .. } = request;
        let found = match message {
            Message::Rwalk(found) if !found.wqid.is_empty() => {
                let getattr = Tgetattr { fid: ffid, request_mask: getattr::BASIC };
                let kind = RequestKind::WalkAttributes(walk);
                let next = self.send(&getattr, Request { kind, ..*request });
                return self.wait_instead(tag, next);
            }
            Message::Rwalkgetattr(found) => found.wqid.first().map(|&qid| (qid, found.attr)),
            Message::Rgetattr(found) => Some((found.qid, found.attr)),
            _ => None,
        };
        let code = if found.is_none() && code == 0 { Errno::ENOENT.0 } else { code };
        match found {
            Some((qid, attr)) => {
                self.learn_child(parent, name, &Found { qid, attr, ffid, moment }, cache);
                if let Some(child) = self.tree.find(parent, name) {
                    self.go_on_with(child, parent, ahead, cache);
                }
            }
            None if code == Errno::ENOENT.0 => self.walked_to_nothing(request, walk, cache),
            None => {}
        }
        if matches!(request.kind, RequestKind::WalkAttributes(_)) && found.is_none() {
            self.queue_clunk(ffid);
        }
        let noted = self.tree.find(parent, name).is_some() || self.tree.node(parent).gone;
        // When not, the kernel holds every node.
        let full = !noted && (code == 0 || code == Errno::ENOENT.0);
        self.wake_and_release(tag, if full { Errno::ENFILE.0 } else { code }, parent, cache);
    }

    fn walked_to_nothing(&mut self, request: &Request, walk: Walk, cache: &mut Cache<'_>) {
        let Walk { name, key, ahead } = walk;
        let &Request { node: parent, moment, .. } = request;
        let directory = self.tree.node(parent);
        if directory.key == key && (1..=moment.seq).contains(&directory.asked.seq) {
            cache.find_or_make(absence(key, name));
        }
        self.learn_absent(parent, name, moment, cache);
        self.habit.disappoint(ahead);
        // Who has looked for another name there, too, is about to look for more.
        if self.tree.node(parent).children > 1 {
            self.list_ahead(parent, cache);
        }
    }

    fn cloned(&mut self, tag: usize, request: &Request, code: u32, cache: &mut Cache<'_>) {
        let &Request { node: id, ffid, moment, .. } = request;
        let node = self.tree.node(id);
        node.cloning = if code == 0 { 0 } else { NOTAG };
        let Node { parent, name, gone, qid, .. } = *node;
        if code == 0 {
            let unused = if node.ffid == 0 || node.dir_open {
                node.dir_open = false;
                core::mem::replace(&mut node.ffid, ffid)
            } else {
                ffid
            };
            if unused != 0 {
                self.queue_clunk(unused);
            }
        } else if code == Errno::ENOENT.0 && !gone && qid.kind & qt::DIR == 0 {
            self.learn_absent(parent, name, moment, cache);
        }
        self.wake_and_release(tag, code, id, cache);
    }

    fn attributes_came(
        &mut self,
        tag: usize,
        request: &Request,
        message: &Message<'_>,
        mut code: u32,
        cache: &mut Cache<'_>,
    ) {
        let &Request { node, ffid, moment, .. } = request;
        let now = self.now_ms;
        let n = self.tree.node(node);
        n.asking = 0;
        n.nameless = n.ffid != ffid;
        if !n.nameless {
            // If the name is another file's, that is found out below.
            n.named = now;
        }
        let n = *n;
        if let Message::Rgetattr(found) = message {
            let found = Found { qid: found.qid, attr: found.attr, ffid, moment };
            if !self.learn_again(node, &found, cache) {
                code = Errno::ESTALE.0;
            }
        } else if code == Errno::ENOENT.0 && !n.gone && n.parent != 0 && n.ffid == ffid {
            self.learn_absent(n.parent, n.name, moment, cache);
        }
        self.wake_and_release(tag, code, node, cache);
    }

    fn link_came(
        &mut self,
        tag: usize,
        request: &Request,
        key: Hash,
        message: &Message<'_>,
        code: u32,
        cache: &mut Cache<'_>,
    ) {
        if let &Message::Rreadlink(Rreadlink { target }) = message {
            // The attributes of a link of /proc stay as they are when it points elsewhere.
            if self.tree.node(request.node).attr.size == target.len() as u64
                && let Some(at) = cache.find_or_make(key)
                && let Some(content) = cache.get(at)
            {
                content.set_link(target);
            }
            self.follow_link(request.node, target);
            let j = request.job as usize;
            if j != 0 {
                let kernel_tag = self.job(j).tag;
                self.reply_link(kernel_tag, target);
                self.finish(j, cache);
            }
        }
        self.wake_and_release(tag, code, request.node, cache);
    }

    fn directory_opened(
        &mut self,
        tag: usize,
        request: &Request,
        message: &Message<'_>,
        code: u32,
        cache: &mut Cache<'_>,
    ) {
        let code = self.check_opened(request, message, code, cache);
        let node = self.tree.node(request.node);
        node.dir_open |= code == 0 && node.ffid == request.ffid;
        if node.dir_open {
            self.list_ahead(request.node, cache);
        }
        self.wake_and_release(tag, code, request.node, cache);
    }
}

/// The number of Google's extension; 0: none.
fn extension_of(version: &[u8]) -> Option<u32> {
    match version.strip_prefix(VERSION)? {
        [] => Some(0),
        rest => core::str::from_utf8(rest.strip_prefix(b".Google.")?).ok()?.parse().ok(),
    }
}
