//! The client's mounts: what its /proc/self/mountinfo says (proc_pid_mountinfo(5)), line by line as it comes.

use heapless::Vec;

use super::hash::Hash;

/// A directory, or a file, that a file system of the client's is mounted on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mount {
    /// A hash of its path.
    pub place: Hash,
    /// The client's number for its device, and the number here; 0: the device of the client's root.
    pub told: u32,
    pub device: u32,
    pub kind: Kind,
    /// The inode number of its root; 0: not looked up yet.
    pub root: u64,
}

/// File systems that are unlike others.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum Kind {
    #[default]
    Other = 0,
    /// A file may have another inode number when it is looked up again: FUSE, overlayfs.
    Fickle,
    /// Each of its subvolumes is a device, whether it is mounted or not.
    Btrfs,
}

/// The inode number of a subvolume's root (BTRFS_FIRST_FREE_OBJECTID).
pub const SUBVOLUME: u64 = 256;

/// A directory whose inode number is at most this may be the root of a file system.
pub const ROOT_MOST: u64 = 256;

/// What is known of the client's mounts.
#[derive(Debug)]
pub struct Devices<'m> {
    /// Two halves: what is known, and what is being read.
    mounts: &'m mut [Mount],
    start: usize,
    /// So many mounts are known; 0: the client has not said.
    count: usize,
    /// So many lines have been read.
    lines: usize,
    line: Line,
    /// The upstream fid of the file, opened; 0: none.
    pub ffid: u32,
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

/// The hash of the path of a name in a directory.
#[inline(never)]
pub fn place_of(directory: Hash, name: Hash) -> Hash {
    Hash::of_words(&[directory.0, directory.1, name.0, name.1])
}

impl Mount {
    pub const fn is_fickle(&self) -> bool {
        matches!(self.kind, Kind::Fickle)
    }
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
    pub fn at(&self, place: Hash) -> Option<u16> {
        self.known().iter().rposition(|m| m.place == place).map(|i| i as u16 + 1)
    }

    pub fn mount(&self, number: u16) -> Option<&Mount> {
        self.known().get(usize::from(number).checked_sub(1)?)
    }

    pub fn known_mut(&mut self, number: u16) -> Option<&mut Mount> {
        let at = usize::from(number).checked_sub(1).filter(|&at| at < self.count)?;
        self.mounts.get_mut(self.start + at)
    }

    const fn room(&self) -> usize {
        self.mounts.len() / 2
    }

    /// Some mounts had no room.
    pub const fn has_more(&self) -> bool {
        self.lines > self.room()
    }

    /// Adds a subvolume that is not mounted, as if it were; its number.
    pub fn add(&mut self, mount: Mount) -> Option<u16> {
        let at = Some(self.start + self.count).filter(|_| self.count < self.room())?;
        self.mounts[at] = mount;
        self.count += 1;
        Some(self.count as u16)
    }

    pub fn begin(&mut self) {
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
    pub fn end(&mut self) {
        (self.start, self.count) = (self.room() - self.start, self.lines.min(self.room()));
        let root = self.at(Hash::default()).and_then(|number| self.mount(number)).map(|m| m.told);
        self.call(root.unwrap_or_default(), 0);
    }

    pub fn call(&mut self, told: u32, device: u32) {
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
