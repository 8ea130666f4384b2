//! What the far side answers.

use super::cache::{Cache, ContentRef};
use super::hash::Hash;
use super::listing::{LONGEST, Pieces};
use super::read::{read_head, readdir_head};
use super::run::{JobKind, absence, mode};
use super::tree::{Moment, NodeId, OpenId};
use super::{FAR_MSIZE, JOB_KERNEL, Relay, State};
use crate::errno::Errno;
use crate::frame::{Fault, FrameError, Sender};
use crate::limits::{HDRSZ, MSIZE_MIN, NOTAG};
use crate::msg::{DecodeError, Header, Message, Rlerror, Rreadlink, Rversion, Rwrite, Tgetattr, Type, VERSION};
use crate::types::getattr;
use crate::wire::{Reader, Wire, WireError};

/// A request to the far side that has no reply yet. Its tag is its place in the table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    pub(super) kind: RequestKind,
    /// The number of the message.
    pub(super) message: u8,
    /// When it was sent.
    pub(super) moment: Moment,
    /// The one job that its reply is for, if it is for one.
    pub(super) job: u32,
    pub(super) node: NodeId,
    pub(super) open: OpenId,
    /// The far fid that it makes, opens or asks about.
    pub(super) ffid: u32,
    pub(super) name: Hash,
    pub(super) content: ContentRef,
    pub(super) key: Hash,
    /// Where reading begins, or a listing goes on.
    pub(super) offset: u64,
    /// Bytes that were asked for.
    pub(super) count: u32,
    /// Bytes that have come; of a listing, all that are kept.
    pub(super) got: u64,
    /// What comes is not kept.
    pub(super) lost: bool,
    /// The file was still being opened when it was sent: that it is refused says nothing.
    pub(super) early: bool,
    /// Something is to be read before the file is known to be open ([`Relay::follow`]).
    pub(super) followed: bool,
    /// What is done with what it finds.
    pub(super) ahead: Ahead,
}

/// What is done with a file that a walk has found, before somebody asks for it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Ahead {
    #[default]
    No,
    /// A directory is listed.
    List,
    /// It is the first name in its directory.
    Enter,
    /// A file is opened; in a directory the next name is asked for, as [`super::habit`] expects.
    Use,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum RequestKind {
    #[default]
    None,
    Version,
    Attach,
    Home,
    /// What the client says of its mounts.
    Devices,
    Walk,
    /// A walk without attributes has found the file.
    WalkAttributes,
    Clone,
    Getattr,
    Readlink,
    Open,
    OpenDirectory,
    Clunk,
    Fetch,
    Direct,
    Listing,
    DirectListing,
    Create,
    Zeroes,
    Mode,
    Forward,
}

/// The frame under way.
#[derive(Debug)]
pub(super) struct FarInput<'m> {
    bytes: &'m mut [u8],
    filled: usize,
    /// Data that is still to come of a frame whose head has been dealt with.
    data_left: u32,
    tag: u16,
    pub(super) entry: Pieces,
}

impl<'m> FarInput<'m> {
    pub fn new(bytes: &'m mut [u8]) -> Self {
        Self { bytes, filled: 0, data_left: 0, tag: 0, entry: Pieces::new() }
    }

    pub const fn into_memory(self) -> &'m mut [u8] {
        self.bytes
    }

    fn header(&self) -> Option<Header> {
        let head = self.bytes.first_chunk::<{ HDRSZ as usize }>().filter(|_| self.filled >= HDRSZ as usize)?;
        Some(Header::read(&mut Reader::new(head)))
    }
}

/// Bytes of `size[4] Rread tag[2] count[4]`.
const DATA_HEAD: usize = 11;

impl Relay<'_> {
    pub(super) fn take_far(&mut self, bytes: &[u8], cache: &mut Cache<'_>) -> Result<usize, FrameError> {
        let mut rest = bytes;
        loop {
            let input = &mut self.far_input;
            if input.data_left > 0 {
                if rest.is_empty() {
                    return Ok(bytes.len());
                }
                let (data, after) = rest.split_at(rest.len().min(input.data_left as usize));
                rest = after;
                self.take_data(data, cache).map_err(|fault| self.far_error(fault))?;
                continue;
            }
            let header = input.header();
            let wanted = match &header {
                None => HDRSZ as usize,
                Some(header) => self.check(header).map_err(|fault| self.far_error(fault))?,
            };
            let input = &mut self.far_input;
            let n = wanted.saturating_sub(input.filled).min(rest.len());
            input.bytes[input.filled..][..n].copy_from_slice(&rest[..n]);
            (input.filled, rest) = (input.filled + n, &rest[n..]);
            if input.filled < wanted {
                return Ok(bytes.len());
            }
            if header.is_some() {
                let done = self.take_reply(cache).map_err(|fault| self.far_error(fault))?;
                if !done {
                    return Ok(bytes.len() - rest.len());
                }
            }
        }
    }

    fn far_error(&self, fault: Fault) -> FrameError {
        let header = self.far_input.header().unwrap_or_default();
        FrameError { good: 0, sender: Sender::Far, header, fault }
    }

    fn tag_of(&self, header: &Header) -> Result<usize, Fault> {
        let is_version = |r: &Request| r.kind == RequestKind::Version;
        let tag = if header.tag == NOTAG { self.requests.iter().position(is_version) } else { Some(header.tag.into()) };
        let known = |&tag: &usize| {
            self.requests
                .get(tag)
                .is_some_and(|r| r.kind != RequestKind::None && (is_version(r) == (header.tag == NOTAG)))
        };
        tag.filter(known).ok_or(Fault::NoRequest)
    }

    /// How many bytes of a frame are to be collected, from its header.
    fn check(&self, &Header { size, kind, tag }: &Header) -> Result<usize, Fault> {
        let kind = Type::from_number(kind).ok_or(Fault::UnknownType)?;
        if kind.is_request() {
            return Err(Fault::WrongWay);
        }
        let msize = if self.far_msize == 0 { FAR_MSIZE } else { self.far_msize };
        if size > msize {
            return Err(Fault::AboveMsize { msize });
        }
        if !kind.sizes().contains(&size) {
            return Err(Fault::Size);
        }
        self.tag_of(&Header { size, kind: kind as u8, tag })?;
        if matches!(kind, Type::Rread | Type::Rreaddir) {
            return Ok(DATA_HEAD);
        }
        if size as usize > self.far_input.bytes.len() { Err(Fault::Size) } else { Ok(size as usize) }
    }

    /// A frame, or the head of one with data, is whole. False: the kernel has to take replies first.
    fn take_reply(&mut self, cache: &mut Cache<'_>) -> Result<bool, Fault> {
        let Some(header) = self.far_input.header() else { return Ok(true) };
        let tag = self.tag_of(&header)?;
        let kind = Type::from_number(header.kind).ok_or(Fault::UnknownType)?;
        let reserve = self.jobs.len() * JOB_KERNEL;
        let done = match kind {
            Type::Rread | Type::Rreaddir => return self.take_data_head(&header, tag, cache),
            Type::Rreadlink if self.to_kernel.room() < header.size as usize + reserve => return Ok(false),
            _ => {
                let memory = core::mem::take(&mut self.far_input.bytes);
                let frame = &memory[..header.size as usize];
                let decoded = Message::decode(frame).map_err(|error| match error {
                    DecodeError::UnknownType(_) => Fault::UnknownType,
                    DecodeError::Frame(_) => Fault::Size,
                    DecodeError::Body(_, error) => Fault::Body(error),
                });
                let done = decoded.and_then(|(_, message)| self.complete(tag, kind, &message, cache));
                self.far_input.bytes = memory;
                done
            }
        };
        done?;
        self.far_input.filled = 0;
        Ok(true)
    }

    fn take_data_head(&mut self, header: &Header, tag: usize, cache: &mut Cache<'_>) -> Result<bool, Fault> {
        let count = match self.far_input.bytes.get(HDRSZ as usize..DATA_HEAD) {
            Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
            _ => 0,
        };
        let request = self.requests[tag];
        let (is_read, is_listing) = (header.kind == Type::Rread as u8, header.kind == Type::Rreaddir as u8);
        let fits = match request.kind {
            RequestKind::Fetch | RequestKind::Direct | RequestKind::Devices => is_read,
            RequestKind::Listing | RequestKind::DirectListing => is_listing,
            _ => false,
        };
        if !fits {
            return Err(request.wrong_reply());
        }
        if header.size - DATA_HEAD as u32 != count {
            return Err(Fault::Size);
        }
        if count > request.count {
            return Err(Fault::Excess);
        }
        let direct = matches!(request.kind, RequestKind::Direct | RequestKind::DirectListing);
        if direct && request.job != 0 {
            if self.to_kernel.room() < DATA_HEAD + count as usize + self.jobs.len() * JOB_KERNEL {
                return Ok(false);
            }
            let kernel_tag = self.jobs[request.job as usize].tag;
            let mut head = [0; DATA_HEAD];
            if is_read {
                read_head(kernel_tag, count, &mut head)
            } else {
                readdir_head(kernel_tag, count, &mut head)
            };
            self.to_kernel.reserve(&head, count as usize);
        }
        self.far_input.data_left = count;
        self.far_input.tag = tag as u16;
        self.far_input.entry.clear();
        if is_read {
            self.counters.read += u64::from(count);
        }
        if direct {
            self.requests[tag].lost |= request.job == 0;
            // The reply has begun: what remains is a matter of bytes.
            if request.job != 0 {
                self.finish(request.job as usize, cache);
            }
        }
        if count == 0 {
            self.data_ended(tag, cache);
        }
        Ok(true)
    }

    fn take_data(&mut self, data: &[u8], cache: &mut Cache<'_>) -> Result<(), Fault> {
        let tag = usize::from(self.far_input.tag);
        let request = self.requests[tag];
        match request.kind {
            RequestKind::Direct if !request.lost => self.to_kernel.fill(data),
            RequestKind::Devices => self.devices.take(data),
            RequestKind::Fetch => {
                let lost = request.lost || !cache.put(request.content, request.offset + request.got, data);
                self.requests[tag].lost = lost;
                self.requests[tag].got += data.len() as u64;
            }
            RequestKind::Listing | RequestKind::DirectListing => self.take_entries(tag, data, cache)?,
            _ => {}
        }
        self.far_input.data_left -= data.len() as u32;
        if self.far_input.data_left == 0 {
            if !self.far_input.entry.is_empty() {
                return Err(Fault::Body(WireError::Truncated));
            }
            self.data_ended(tag, cache);
        }
        Ok(())
    }

    /// All the data of a reply has come.
    fn data_ended(&mut self, tag: usize, cache: &mut Cache<'_>) {
        let count = self.far_input.header().map_or(0, |h| h.size - DATA_HEAD as u32);
        self.far_input.filled = 0;
        let request = self.take_request(tag);
        match request.kind {
            RequestKind::Fetch => {
                self.ahead -= u64::from(request.count);
                let node = self.tree.node(request.node);
                if request.got < u64::from(request.count) && request.offset + request.got < node.attr.size {
                    // The file is shorter than it was.
                    node.asked = Moment::default();
                }
                self.wake_and_release(tag, 0, request.node, cache);
            }
            // Who speaks Google's dialect goes on with a listing until the message is full.
            RequestKind::Listing if count > 0 && !(self.google && count + (LONGEST as u32) < request.count) => {
                let next = self.send_listing(Request { early: false, ..request });
                self.wait_instead(tag, next);
            }
            RequestKind::Listing => self.listing_ended(tag, request, 0, cache),
            RequestKind::DirectListing => self.release_node(request.node, cache),
            RequestKind::Devices => self.devices_came(tag, &request, count, cache),
            _ => {}
        }
    }

    /// A request holds its node no longer.
    pub(super) fn release_node(&mut self, node: NodeId, cache: &mut Cache<'_>) {
        self.tree.node(node).pins -= 1;
        self.release(node, 0, cache);
    }

    /// Goes on with the jobs that wait for a request, which holds its node no longer.
    #[inline(never)]
    pub(super) fn wake_and_release(&mut self, tag: usize, error: u32, node: NodeId, cache: &mut Cache<'_>) {
        self.wake(tag, error, cache);
        self.release_node(node, cache);
    }

    fn take_request(&mut self, tag: usize) -> Request {
        self.busy_requests -= 1;
        let request = core::mem::take(&mut self.requests[tag]);
        self.followed -= usize::from(request.followed);
        request
    }

    /// Jobs that wait for one request wait for another.
    fn wait_instead(&mut self, old: usize, new: u16) {
        for job in self.jobs.iter_mut().filter(|j| j.kind != JobKind::None) {
            job.wait = job.wait.map(|w| if usize::from(w) == old { new } else { w });
        }
    }

    /// Goes on with the jobs that wait for a request; what it failed with, or 0.
    pub(super) fn wake(&mut self, tag: usize, error: u32, cache: &mut Cache<'_>) {
        for j in 1..self.jobs.len() {
            let job = self.job(j);
            if job.kind == JobKind::None || !job.wait.iter().any(|&w| usize::from(w) == tag) {
                continue;
            }
            job.wait = job.wait.map(|w| if usize::from(w) == tag { 0 } else { w });
            // Who looks for a name runs again, and finds that there is none.
            let looks = matches!(job.kind, JobKind::Walk | JobKind::Create | JobKind::Made) && error == Errno::ENOENT.0;
            if !core::mem::take(&mut job.patient) && error != 0 && !looks {
                job.error = error;
            }
            self.run(j, cache);
        }
    }

    fn complete(&mut self, tag: usize, kind: Type, message: &Message<'_>, cache: &mut Cache<'_>) -> Result<(), Fault> {
        let asked = self.requests[tag];
        let code = match message {
            Message::Rlerror(Rlerror { ecode }) => Errno::of_far(*ecode).0,
            _ if kind as u8 == asked.message + 1 => 0,
            _ => return Err(asked.wrong_reply()),
        };
        let request = self.take_request(tag);
        match (request.kind, message) {
            (RequestKind::Version, Message::Rversion(version)) => return self.version_agreed(version),
            (RequestKind::Version, _) => {
                let State::Version { google: true } = self.state else { return Err(Fault::Version) };
                self.ask_version(false);
            }
            (RequestKind::Attach, Message::Rattach(attach)) => {
                if let Some(root) = self.tree.make(0, Hash::default(), &mut self.clunks) {
                    let node = self.tree.node(root);
                    (node.qid, node.ffid, node.pins) = (attach.qid, request.ffid, 1);
                    // What the mount takes it for until somebody asks.
                    (node.attr.mode, node.attr.nlink) = (mode::DIRECTORY | 0o755, 2);
                    self.root = root;
                    self.root_known();
                    // Twice what 30 MB/s bring in the time that an answer takes.
                    let ms = self.now_ms.saturating_sub(request.moment.ms);
                    self.at_a_time = (ms * 64 * 1024).clamp(256 * 1024, 4 * 1024 * 1024);
                }
                self.wake(tag, 0, cache);
            }
            (RequestKind::Home | RequestKind::Devices, message) => self.devices_go_on(tag, &request, message, cache),
            (RequestKind::Walk, Message::Rwalk(found)) if !found.wqid.is_empty() => {
                let getattr = Tgetattr { fid: request.ffid, request_mask: getattr::BASIC };
                let next = self.send(RequestKind::WalkAttributes, &getattr, request);
                self.wait_instead(tag, next);
            }
            (RequestKind::Walk | RequestKind::WalkAttributes, message) => {
                let found = match message {
                    Message::Rwalkgetattr(found) => found.wqid.first().map(|&qid| (qid, found.attr)),
                    Message::Rgetattr(found) => Some((found.qid, found.attr)),
                    _ => None,
                };
                let code = if found.is_none() && code == 0 { Errno::ENOENT.0 } else { code };
                match found {
                    Some((qid, attr)) => {
                        self.learn_child(&request, &qid, &attr, cache);
                        if let Some(child) = self.tree.find(request.node, request.name) {
                            self.go_on_with(child, &request, cache);
                        }
                    }
                    None if code == Errno::ENOENT.0 => {
                        let directory = self.tree.node(request.node);
                        let same = directory.key == request.key;
                        if same && (1..=request.moment.seq).contains(&directory.asked.seq) {
                            cache.find_or_make(absence(directory.key, request.name));
                        }
                        self.learn_absent(request.node, request.name, request.moment, cache);
                        self.habit.disappoint(request.ahead);
                        // Who has looked for another name there, too, is about to look for more.
                        if self.tree.node(request.node).children > 1 {
                            self.list_ahead(request.node, cache);
                        }
                    }
                    None => {}
                }
                if request.kind == RequestKind::WalkAttributes && found.is_none() {
                    self.let_go(request.ffid);
                }
                let noted = self.tree.find(request.node, request.name).is_some() || self.tree.node(request.node).gone;
                // When not, the kernel holds every node.
                let full = !noted && (code == 0 || code == Errno::ENOENT.0);
                self.wake_and_release(tag, if full { Errno::ENFILE.0 } else { code }, request.node, cache);
            }
            (RequestKind::Clone, _) => self.cloned(tag, &request, code, cache),
            (RequestKind::Getattr, message) => {
                let Request { node, ffid, moment, .. } = request;
                let now = self.now_ms;
                let n = self.tree.node(node);
                n.asking = 0;
                n.nameless = n.ffid != ffid;
                if !n.nameless {
                    // If it does not, that is found out below; if that cannot be said, it is left to the far side.
                    n.named = now;
                }
                let n = *n;
                let mut code = code;
                if let Message::Rgetattr(found) = message {
                    if !self.learn_again(&request, &found.qid, &found.attr, cache) {
                        code = Errno::ESTALE.0;
                    }
                } else if code == Errno::ENOENT.0 && !n.gone && n.parent != 0 && n.ffid == ffid {
                    self.learn_absent(n.parent, n.name, moment, cache);
                }
                self.wake_and_release(tag, code, node, cache);
            }
            (RequestKind::Readlink, Message::Rreadlink(link)) => {
                // The attributes of a link of /proc stay as they are when it points elsewhere.
                if self.tree.node(request.node).attr.size == link.target.len() as u64
                    && let Some(at) = cache.find_or_make(request.key)
                    && let Some(content) = cache.get(at)
                {
                    content.set_link(link.target);
                }
                self.follow_link(request.node, link.target);
                if request.job != 0 {
                    let kernel_tag = self.jobs[request.job as usize].tag;
                    self.to_kernel.message(kernel_tag, &Rreadlink { target: link.target });
                    self.finish(request.job as usize, cache);
                }
                self.wake_and_release(tag, 0, request.node, cache);
            }
            (RequestKind::Open, message) => {
                let code = self.check_opened(&request, message, code, cache);
                self.opened(tag, &request, code, cache);
            }
            (RequestKind::OpenDirectory, message) => {
                let code = self.check_opened(&request, message, code, cache);
                let node = self.tree.node(request.node);
                node.dir_open |= code == 0 && node.ffid == request.ffid;
                if node.dir_open {
                    self.list_ahead(request.node, cache);
                }
                self.wake_and_release(tag, code, request.node, cache);
            }
            (RequestKind::Fetch, _) => {
                self.ahead -= u64::from(request.count);
                // Whoever waits for it asks himself, and hears what is wrong.
                self.wake_and_release(tag, 0, request.node, cache);
            }
            (RequestKind::Listing, _) => self.listing_ended(tag, request, code, cache),
            (RequestKind::DirectListing | RequestKind::Readlink, _) => {
                self.wake_and_release(tag, code, request.node, cache);
            }
            (RequestKind::Create, message) => self.create_goes_on(tag, &request, message, code, cache),
            (RequestKind::Zeroes, message) => {
                let node = self.tree.node(request.node);
                match message {
                    &Message::Rwrite(Rwrite { count: count @ 1.. }) => {
                        node.attr.size = node.attr.size.max(request.offset + u64::from(count));
                    }
                    _ => node.cut = u64::MAX,
                }
                self.wake_and_release(tag, code, request.node, cache);
            }
            (RequestKind::Mode, _) => {
                self.change_ends(request.node, cache);
                self.wake_and_release(tag, 0, request.node, cache);
            }
            (RequestKind::Forward, message) => self.forwarded(&request, message, code, cache),
            (RequestKind::None | RequestKind::Direct | RequestKind::Clunk | RequestKind::Attach, _) => {
                self.wake(tag, code, cache)
            }
        }
        Ok(())
    }

    fn version_agreed(&mut self, &Rversion { msize, version }: &Rversion<'_>) -> Result<(), Fault> {
        let State::Version { google: asked } = self.state else { return Err(Fault::SecondVersion) };
        let extension = version.strip_prefix(VERSION).and_then(|rest| match rest {
            [] => Some(0),
            _ => rest.strip_prefix(b".Google.").and_then(|n| core::str::from_utf8(n).ok()?.parse::<u32>().ok()),
        });
        match extension {
            Some(extension) => self.google = extension >= 2,
            None if asked => {
                self.ask_version(false);
                return Ok(());
            }
            None => return Err(Fault::Version),
        }
        if !(MSIZE_MIN..=FAR_MSIZE).contains(&msize) {
            return Err(Fault::Msize { msize });
        }
        self.far_msize = msize;
        self.msize = self.msize.min(msize);
        self.state = State::Open;
        let reply = Rversion { msize: self.msize, version: VERSION };
        self.to_kernel.message(NOTAG, &reply);
        Ok(())
    }
}

impl Request {
    fn wrong_reply(&self) -> Fault {
        Fault::WrongReply { request: self.message }
    }
}
