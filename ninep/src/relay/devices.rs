//! Which of the client's devices a file is on: 9P does not say, the client's own /proc/self/mountinfo does
//! (proc_pid_mountinfo(5)). It is read once a session, beside what else begins one, and again when a directory has become
//! what looks like the root of a device that was mounted meanwhile.
//!
//! proc/self is a symbolic link, which the stock server walks to and not through: so it takes a walk, Treadlink, a walk to
//! the process's own file, Tlopen, Tread. The owner of that file is the far user. Who asks with stat(2) waits for the
//! answer; who only looks names up does not. Where there is no such file, a directory with an inode number that file
//! systems give their root begins another device, and the owner of the user's home is the far user.

use heapless::Vec;

use super::cache::Cache;
use super::far::{Request, RequestKind};
use super::hash::Hash;
use super::owner::Owner;
use super::tree::{Node, NodeId};
use super::{JOB_FAR, Relay};
use crate::limits::{IOHDRSZ, MAXWELEM};
use crate::msg::{
    Message, Rgetattr, Rreadlink, Rwalk, Rwalkgetattr, Tgetattr, Tlopen, Tread, Treadlink, Twalk, Twalkgetattr,
};
use crate::types::{Attr, Qid, getattr, open, qt};

/// A directory, or a file, that a file system of the client's is mounted on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mount {
    /// Stands for its path.
    place: Hash,
    /// What the client calls its device, and what it is called here; 0: the device of the client's root.
    told: u32,
    device: u32,
    kind: Kind,
    /// The inode number that was found there; 0: none yet.
    root: u64,
}

/// What is to be known of a file system.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
enum Kind {
    #[default]
    Other = 0,
    /// Its inode numbers may change by themselves, when a file is looked up again: FUSE, overlayfs.
    Fickle,
    /// Each of its subvolumes is a device, whether it is mounted or not.
    Btrfs,
}

/// The inode number of a subvolume's root (BTRFS_FIRST_FREE_OBJECTID).
const SUBVOLUME: u64 = 256;

/// A directory whose inode number is at most this may be the root of a file system.
const ROOT_MOST: u64 = 256;

/// What is read of the file at a time.
const PIECE: u32 = 64 * 1024;

/// What is known of the client's mounts.
#[derive(Debug)]
pub(super) struct Devices<'m> {
    /// Two halves: what is known, and what is being read.
    mounts: &'m mut [Mount],
    start: usize,
    /// So many of them are known; 0: the client has not said.
    count: usize,
    /// So many lines have been read.
    lines: usize,
    line: Line,
    /// The far side's fid of the file, opened; 0: none.
    pub(super) ffid: u32,
}

/// The line under way.
#[derive(Debug, Default)]
struct Line {
    /// Fields that have ended.
    field: u8,
    /// Those of them that came after the hyphen.
    behind: u8,
    word: Vec<u8, 255>,
    /// Octal digits that are still to come of `\ooo`, and their value so far.
    digits: u8,
    octal: u8,
    place: Hash,
    device: [u64; 2],
    kind: Kind,
}

const DEVICE: u8 = 2;
const MOUNT_POINT: u8 = 4;
/// The first optional field, or the hyphen.
const OPTIONAL: u8 = 6;

/// The place of a name in a directory with a place.
#[inline(never)]
pub(super) fn place_of(directory: Hash, name: Hash) -> Hash {
    Hash::of_words(&[directory.0, directory.1, name.0, name.1])
}

impl<'m> Devices<'m> {
    pub fn new(mounts: &'m mut [Mount]) -> Self {
        Self { mounts, start: 0, count: 0, lines: 0, line: Line::default(), ffid: 0 }
    }

    pub fn into_memory(self) -> &'m mut [Mount] {
        self.mounts
    }

    fn known(&self) -> &[Mount] {
        &self.mounts[self.start..][..self.count]
    }

    /// The number of the mount at a place; the latest hides those before it.
    fn at(&self, place: Hash) -> Option<u16> {
        self.known().iter().rposition(|m| m.place == place).map(|i| i as u16 + 1)
    }

    fn mount(&self, number: u16) -> Option<&Mount> {
        self.known().get(usize::from(number).checked_sub(1)?)
    }

    fn known_mut(&mut self, number: u16) -> Option<&mut Mount> {
        let at = usize::from(number).checked_sub(1).filter(|&at| at < self.count)?;
        self.mounts.get_mut(self.start + at)
    }

    const fn room(&self) -> usize {
        self.mounts.len() / 2
    }

    /// Some mounts had no room.
    const fn has_more(&self) -> bool {
        self.lines > self.room()
    }

    /// A subvolume that is not mounted is as good as one that is; its number.
    fn add(&mut self, mount: Mount) -> Option<u16> {
        let at = Some(self.start + self.count).filter(|_| self.count < self.room())?;
        self.mounts[at] = mount;
        self.count += 1;
        Some(self.count as u16)
    }

    fn begin(&mut self) {
        (self.lines, self.line) = (0, Line::default());
    }

    /// More bytes of the file.
    pub fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(mount) = self.line.take(byte) {
                let at = Some(self.room() - self.start + self.lines).filter(|_| self.lines < self.room());
                if let Some(at) = at {
                    // A device keeps the name that it has been shown with.
                    let before = self.known().iter().find(|m| m.told == mount.told).map_or(mount.told, |m| m.device);
                    self.mounts[at] = Mount { device: before, ..mount };
                }
                self.lines += 1;
            }
        }
    }

    /// All of it has come.
    fn end(&mut self) {
        (self.start, self.count) = (self.room() - self.start, self.lines.min(self.room()));
        let root = self.at(Hash::default()).and_then(|number| self.mount(number)).map(|m| m.told);
        self.call(root.unwrap_or_default(), 0);
    }

    fn call(&mut self, told: u32, device: u32) {
        let known = &mut self.mounts[self.start..][..self.count];
        known.iter_mut().filter(|m| m.told == told).for_each(|m| m.device = device);
    }
}

impl Line {
    /// The mount that a line tells of, at its end.
    fn take(&mut self, byte: u8) -> Option<Mount> {
        match byte {
            b'\n' => {
                self.word_ends();
                let Self { place, device: [device, part], kind, behind, .. } = core::mem::take(self);
                let told = (Hash::of_words(&[device, part]).0 as u32).max(1);
                return (behind > 1).then_some(Mount { place, told, device: told, kind, root: 0 });
            }
            b' ' => {
                self.word_ends();
                (self.field, self.behind) =
                    (self.field.saturating_add(1), self.behind.saturating_add(self.behind.min(1)));
            }
            b'/' if self.field == MOUNT_POINT => self.word_ends(),
            b':' if self.field == DEVICE => self.word_ends(),
            b',' if self.behind > 0 => self.word_ends(),
            b'\\' => (self.digits, self.octal) = (3, 0),
            _ if self.digits > 0 => {
                (self.digits, self.octal) = (self.digits - 1, self.octal << 3 | byte & 7);
                if self.digits == 0 {
                    let _ = self.word.push(self.octal);
                }
            }
            // What has no room is longer than what is looked for.
            _ => drop(self.word.push(byte)),
        }
        None
    }

    fn word_ends(&mut self) {
        let word = &self.word[..];
        match (self.field, self.behind) {
            (DEVICE, _) => self.device[0] = self.device[0] << 32 | number(word),
            (MOUNT_POINT, _) if !word.is_empty() => self.place = place_of(self.place, Hash::of(word)),
            (OPTIONAL.., 0) if word == b"-" => self.behind = 1,
            (_, 2) if word.starts_with(b"fuse") || word == b"overlay" => self.kind = Kind::Fickle,
            (_, 2) if word == b"btrfs" => self.kind = Kind::Btrfs,
            // All subvolumes of one file system have one number here, and each another in st_dev.
            (_, 4) if self.kind == Kind::Btrfs => {
                if let Some(subvolume) = word.strip_prefix(b"subvolid=") {
                    self.device[1] = number(subvolume);
                }
            }
            _ => {}
        }
        self.word.clear();
    }
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |n: u64, digit| n.wrapping_mul(10).wrapping_add(u64::from(digit & 15)))
}

impl Relay<'_> {
    /// The request after whose answer more is known of the client's mounts, or of its user.
    pub(super) fn asking_devices(&self) -> Option<u16> {
        let asks = |r: &Request| matches!(r.kind, RequestKind::Devices | RequestKind::Home);
        self.requests.iter().position(asks).map(|tag| tag as u16)
    }

    /// Asks for the client's mounts, and whose its process is.
    pub(super) fn ask_devices(&mut self) {
        let wname = Vec::from_array([&b"proc"[..], b"self"]);
        self.walk_for(RequestKind::Devices, wname);
    }

    /// Asks whose the user's home is. False: it is not known.
    fn ask_owner(&mut self) -> bool {
        let home = core::mem::take(&mut self.home);
        let names = home.split(|&b| b == b'/').filter(|name| !name.is_empty()).take(MAXWELEM);
        if !home.is_empty() {
            self.walk_for(RequestKind::Home, names.collect());
        }
        !home.is_empty()
    }

    /// Walks from the root.
    fn walk_for(&mut self, kind: RequestKind, wname: Vec<&[u8], MAXWELEM>) {
        let newfid = self.new_ffid();
        let fid = self.tree.node(self.root).ffid;
        let request = Request { ffid: newfid, ..Request::default() };
        if self.google {
            self.send(kind, &Twalkgetattr { fid, newfid, wname }, request)
        } else {
            self.send(kind, &Twalk { fid, newfid, wname }, request)
        };
    }

    /// The far side has answered to one of the steps; without the next one it is over.
    pub(super) fn devices_go_on(
        &mut self,
        tag: usize,
        request: &Request,
        message: &Message<'_>,
        cache: &mut Cache<'_>,
    ) {
        let fid = request.ffid;
        let is_home = request.kind == RequestKind::Home;
        match message {
            // The first of its names is that of a process.
            Message::Rwalkgetattr(Rwalkgetattr { wqid, .. }) | Message::Rwalk(Rwalk { wqid })
                if wqid.len() == 2 && !is_home =>
            {
                self.send(request.kind, &Treadlink { fid }, *request);
            }
            Message::Rreadlink(Rreadlink { target }) if is_number(target) => {
                let wname = Vec::from_array([&b"proc"[..], target, b"mountinfo"]);
                self.walk_for(request.kind, wname);
            }
            Message::Rwalk(_) => {
                self.send(request.kind, &Tgetattr { fid, request_mask: getattr::BASIC }, *request);
            }
            Message::Rwalkgetattr(Rwalkgetattr { attr, .. }) | Message::Rgetattr(Rgetattr { attr, .. }) => {
                self.owner = Owner { uid: attr.uid, gid: attr.gid, known: true };
                if !is_home {
                    self.send(request.kind, &Tlopen { fid, flags: open::RDONLY }, *request);
                }
            }
            Message::Rlopen(_) => {
                self.devices.ffid = fid;
                self.read_devices();
            }
            // Without a home, users are shown as they are.
            _ => drop(!self.owner.known && !is_home && self.ask_owner()),
        }
        self.wake(tag, 0, cache);
    }

    /// Reads the file from its beginning.
    fn read_devices(&mut self) {
        self.devices.begin();
        self.go_on_reading(Request { ffid: self.devices.ffid, ..Request::default() });
    }

    fn go_on_reading(&mut self, request: Request) {
        let read = Tread { fid: request.ffid, offset: request.offset, count: PIECE.min(self.far_msize - IOHDRSZ) };
        self.send(RequestKind::Devices, &read, Request { count: read.count, ..request });
    }

    /// All bytes of a piece have come.
    #[inline(never)]
    pub(super) fn devices_came(&mut self, tag: usize, request: &Request, count: u32, cache: &mut Cache<'_>) {
        // Who speaks Google's dialect fills a message when it can.
        if count > 0 && (count == request.count || !self.google) {
            self.go_on_reading(Request { offset: request.offset + u64::from(count), ..*request });
        } else {
            self.devices_known();
        }
        self.wake(tag, 0, cache);
    }

    /// What was found before is told by what is known now. Inode numbers stay as they were shown.
    fn devices_known(&mut self) {
        self.devices.end();
        for id in 1..self.tree.end() as NodeId {
            let Node { used, gone, absent, parent, place, device, qid, .. } = self.tree.view(id);
            if !used || gone || absent {
                continue;
            }
            let guessed = device != self.tree.view(parent).device;
            match self.devices.at(place).and_then(|number| self.devices.known_mut(number)) {
                Some(mount) => {
                    mount.root = qid.path;
                    if let Mount { told, device: 1.., .. } = *mount
                        && guessed
                    {
                        self.devices.call(told, device);
                    }
                }
                None if guessed && qid.path == SUBVOLUME => {
                    self.devices.add(Mount { place, told: device, device, kind: Kind::Btrfs, root: SUBVOLUME });
                }
                None => {}
            }
        }
        for id in 1..self.tree.end() as NodeId {
            let (mut at, mut number) = (id, None);
            while number.is_none() && at != 0 {
                let Node { place, parent, device, qid, .. } = self.tree.view(at);
                let guessed = qid.path <= ROOT_MOST && device != self.tree.view(parent).device;
                // One of those that had no room.
                let guessed = guessed && self.devices.has_more();
                (number, at) = (self.devices.at(place), if guessed { 0 } else { parent });
            }
            self.tree.node(id).mount = number.unwrap_or_default();
        }
    }

    /// The device and the mount of a name in a directory.
    pub(super) fn device_of(&mut self, parent: NodeId, name: Hash, far: &Qid) -> (u32, u16) {
        let Node { device: around, mount: above, place, .. } = self.tree.view(parent);
        let place = place_of(place, name);
        let number = self.devices.at(place);
        if let Some((number, mount)) = number.and_then(|n| Some((n, self.devices.mount(n)?))) {
            return (mount.device, number);
        }
        let known = self.devices.mount(above).copied();
        let around = known.map_or(around, |mount| mount.device);
        let directory = far.kind & qt::DIR != 0;
        let other = (Hash::of_words(&[u64::from(around), place.0, place.1]).0 as u32).max(1);
        match known {
            Some(Mount { kind: Kind::Btrfs, .. }) if directory && far.path == SUBVOLUME => {
                let mount = Mount { place, told: other, device: other, kind: Kind::Btrfs, root: 0 };
                (other, self.devices.add(mount).unwrap_or_default())
            }
            Some(_) if !self.devices.has_more() => (around, above),
            _ if directory && far.path <= ROOT_MOST => (other, 0),
            _ => (around, above),
        }
    }

    /// Says where a node is, when it is found; where it was shown to be then does not change.
    pub(super) fn place_node(&mut self, id: NodeId, far: &Qid) {
        let Node { parent, name, key, absent, .. } = self.tree.view(id);
        let (device, mount) = self.device_of(parent, name, far);
        let now = self.now_ms;
        let node = self.tree.node(id);
        (node.named, node.nameless) = (now, false);
        if key == Hash::default() || absent {
            (node.device, node.mount) = (device, mount);
        }
    }

    /// Whether what is found under the name of a node is the same file. Where inode numbers change by themselves, a
    /// directory is, and a file that has the same times, too; both keep the number that they were shown with.
    pub(super) fn is_same(&self, id: NodeId, qid: &Qid, attr: &Attr) -> bool {
        let node = &self.tree.nodes[id as usize];
        let told = |a: &Attr| [a.size, a.mtime_sec, a.mtime_nsec, a.ctime_sec, a.ctime_nsec, a.mode.into()];
        let alike = qid.kind & qt::DIR != 0 || told(&node.attr) == told(attr);
        let same = node.qid.path == qid.path || alike && self.is_fickle(id);
        !node.absent && node.qid.kind == qid.kind && same
    }

    /// What st_dev goes by.
    pub(super) fn device(&self, node: NodeId) -> u32 {
        let n = &self.tree.nodes[node as usize];
        self.devices.mount(n.mount).map_or(n.device, |mount| mount.device)
    }

    /// Whether the inode number of a file may change by itself.
    pub(super) fn is_fickle(&self, node: NodeId) -> bool {
        let number = self.tree.nodes[node as usize].mount;
        self.devices.mount(number).is_some_and(|mount| mount.kind == Kind::Fickle)
    }

    /// A directory has been found. Has something been mounted there since the client was asked, or taken away?
    pub(super) fn look_for_mounts(&mut self, id: NodeId) {
        let Node { parent, place, qid, .. } = self.tree.view(id);
        let looks = match self.devices.at(place).and_then(|number| self.devices.known_mut(number)) {
            Some(mount) => {
                let before = core::mem::replace(&mut mount.root, qid.path);
                before != 0 && before != qid.path && mount.kind != Kind::Fickle
            }
            // Whatever is made in a directory mostly has a number above the directory's own.
            None => qid.path <= ROOT_MOST && qid.path < self.tree.view(parent).qid.path,
        };
        if looks
            && qid.kind & qt::DIR != 0
            && self.devices.ffid != 0
            && self.asking_devices().is_none()
            && self.has_far_room(JOB_FAR)
        {
            self.read_devices();
        }
    }
}

fn is_number(word: &[u8]) -> bool {
    (1..=10).contains(&word.len()) && word.iter().all(u8::is_ascii_digit)
}
