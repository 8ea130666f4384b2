//! An server in memory, with the stock server's habits: a fid that is not open stands for a path, an open one for a
//! file; a directory that is open cannot be changed; an unlinked file only lives on in open fids.

mod answers;

use std::collections::{BTreeMap, HashMap};
use std::vec;
use std::vec::Vec;

use crate::errno::Errno;
use crate::msg::{Body, Message, Rlerror, Tsetattr, Type};
use crate::types::{Attr, Qid};

type Name = Vec<u8>;

#[derive(Clone, Default)]
pub struct Inode {
    pub mode: u32,
    pub data: Vec<u8>,
    pub children: BTreeMap<Name, u64>,
    pub nlink: u64,
    pub changed: u64,
    /// Attributes tell nothing about the names in it, or where it points to, as in /proc.
    pub untold: bool,
    /// Somebody else's, who lets everybody write to it.
    pub theirs: bool,
    /// Whose it is, if it has been given to somebody.
    pub owner: Option<[u32; 2]>,
}

#[derive(Clone)]
struct Fid {
    path: Vec<Name>,
    open: Option<u64>,
    /// With O_APPEND: what is written goes to the end, whatever the offset is.
    append: bool,
    gone: bool,
}

#[derive(Clone)]
pub struct Model {
    pub google: bool,
    /// Its flags of open(2) are Darwin's: O_TRUNC is where Linux has O_APPEND.
    pub darwin: bool,
    /// The most bytes that a file can have. Of a change of size the stock server does not say what is wrong.
    pub largest: u64,
    /// The most bytes that a Twrite takes.
    pub write_most: usize,
    /// The longest message that it takes.
    pub msize: u32,
    pub inodes: HashMap<u64, Inode>,
    fids: HashMap<u32, Fid>,
    clock: u64,
    /// Requests by type.
    pub asked: BTreeMap<&'static str, usize>,
    pub uid: u32,
    pub umask: u32,
    /// The number of the error with which everything is refused.
    pub refuses: Option<u32>,
    /// What becomes of every Tfsync.
    pub disk: Result<(), Errno>,
    /// What was last asked to be set.
    pub set: Tsetattr,
    /// What every inode number has grown by.
    pub drift: u64,
}

/// The first upstream fid of a second session.
pub const OTHER_SESSION: u32 = 1 << 30;

const ROOT: u64 = 1000;
const DIR: u32 = 0o040_755;
const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_777;
const FORMAT: u32 = 0o170_000;
const DIRECTORY: u32 = DIR & FORMAT;

impl Model {
    pub fn new() -> Self {
        let root = Inode { mode: DIR, nlink: 2, ..Inode::default() };
        Self {
            google: true,
            darwin: false,
            largest: 1 << 44,
            write_most: usize::MAX,
            msize: 1024 * 1024,
            inodes: HashMap::from([(ROOT, root)]),
            fids: HashMap::new(),
            clock: 1,
            asked: BTreeMap::new(),
            uid: 0,
            umask: 0,
            refuses: None,
            disk: Ok(()),
            set: Tsetattr::default(),
            drift: 0,
        }
    }

    pub fn total(&self) -> usize {
        self.asked.values().sum()
    }

    pub fn fids(&self) -> usize {
        self.fids.len()
    }

    pub fn open_fids(&self) -> usize {
        self.fids.values().filter(|f| f.open.is_some()).count()
    }

    fn split(path: &str) -> Vec<Name> {
        path.split('/').filter(|n| !n.is_empty()).map(|n| n.as_bytes().to_vec()).collect()
    }

    fn find(&self, path: &[Name]) -> Result<u64, Errno> {
        path.iter().try_fold(ROOT, |at, name| {
            let inode = &self.inodes[&at];
            if inode.mode & FORMAT != DIRECTORY {
                return Err(Errno::EINVAL);
            }
            if !self.may_search(inode) {
                return Err(Errno::EACCES);
            }
            inode.children.get(name).copied().ok_or(Errno::ENOENT)
        })
    }

    fn may_search(&self, inode: &Inode) -> bool {
        self.uid == 0 || inode.mode & 0o100 != 0
    }

    pub fn ino(&self, path: &str) -> Option<u64> {
        self.find(&Self::split(path)).ok()
    }

    pub fn hard_link(&mut self, path: &str, file: &str) {
        let names = Self::split(path);
        let (name, above) = names.split_last().unwrap();
        let (parent, ino) = (self.find(above).unwrap(), self.ino(file).unwrap());
        self.inodes.get_mut(&parent).unwrap().children.insert(name.clone(), ino);
        self.inodes.get_mut(&ino).unwrap().nlink += 1;
        self.touch(ino);
    }

    /// What a link with an absolute path leads to.
    fn target(&self, link: u64) -> Option<u64> {
        self.ino(str::from_utf8(&self.inodes[&link].data).ok()?)
    }

    pub fn at(&mut self, path: &str) -> Option<&mut Inode> {
        let ino = self.find(&Self::split(path)).ok()?;
        self.clock += 1;
        self.inodes.get_mut(&ino)
    }

    fn touch(&mut self, ino: u64) {
        self.clock += 1;
        self.inodes.get_mut(&ino).unwrap().changed = self.clock;
    }

    fn insert(&mut self, parent: u64, name: &[u8], mode: u32, data: Vec<u8>) -> Result<u64, Errno> {
        if self.inodes[&parent].children.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let ino = ROOT + self.inodes.len() as u64 + self.clock * 1000;
        self.inodes.insert(ino, Inode { mode, data, nlink: 1, ..Inode::default() });
        self.inodes.get_mut(&parent).unwrap().children.insert(name.to_vec(), ino);
        self.touch(ino);
        self.touch(parent);
        Ok(ino)
    }

    fn put(&mut self, path: &str, mode: u32, data: &[u8]) {
        let names = Self::split(path);
        let (name, above) = names.split_last().unwrap();
        let parent = self.find(above).unwrap();
        match self.find(&names) {
            Ok(ino) => {
                self.inodes.get_mut(&ino).unwrap().data = data.to_vec();
                self.touch(ino);
            }
            Err(_) => drop(self.insert(parent, name, mode, data.to_vec())),
        }
    }

    pub fn file(&mut self, path: &str, data: &[u8]) {
        self.put(path, FILE, data);
    }

    pub fn dir(&mut self, path: &str) {
        self.put(path, DIR, b"");
    }

    pub fn link(&mut self, path: &str, target: &str) {
        self.put(path, LINK, target.as_bytes());
    }

    /// What /proc/self/mountinfo says.
    pub fn mounts(&mut self, mountinfo: &str) {
        for directory in ["/proc", "/proc/77"] {
            self.dir(directory);
        }
        self.link("/proc/self", "77");
        self.file("/proc/77/mountinfo", mountinfo.as_bytes());
        self.at("/proc/77/mountinfo").unwrap().untold = true;
    }

    /// Gives a file another inode number.
    pub fn number(&mut self, path: &str, ino: u64) {
        let names = Self::split(path);
        let (name, above) = names.split_last().unwrap();
        let parent = self.find(above).unwrap();
        let old = self.inodes.get_mut(&parent).unwrap().children.insert(name.clone(), ino).unwrap();
        let inode = self.inodes.remove(&old).unwrap();
        self.inodes.insert(ino, inode);
    }

    pub fn unlink(&mut self, path: &str) {
        let names = Self::split(path);
        let (name, above) = names.split_last().unwrap();
        let parent = self.find(above).unwrap();
        self.inodes.get_mut(&parent).unwrap().children.remove(name);
        self.touch(parent);
    }

    /// What a new file or directory has of the mode that is asked for. Go's os.Mkdir has another bit for sticky.
    const fn kept(&self) -> u32 {
        if self.google { 0o777 } else { 0o7777 }
    }

    fn qid(&self, ino: u64) -> Qid {
        let kind = match self.inodes[&ino].mode {
            mode if mode & FORMAT == DIRECTORY => 0x80,
            LINK => 2,
            _ => 0,
        };
        Qid { kind, version: 0, path: ino + self.drift }
    }

    fn attr(&self, ino: u64) -> Attr {
        let inode = &self.inodes[&ino];
        let size = match inode.mode & FORMAT {
            DIRECTORY if !inode.untold => 4096,
            _ if inode.untold => 0,
            _ => inode.data.len() as u64,
        };
        Attr {
            mode: inode.mode,
            uid: inode.owner.map_or(self.uid, |[uid, _]| uid),
            gid: inode.owner.map_or(self.uid, |[_, gid]| gid),
            nlink: inode.nlink,
            size,
            blksize: 4096,
            blocks: size.div_ceil(512),
            mtime_sec: inode.changed,
            ctime_sec: inode.changed,
            ..Attr::default()
        }
    }

    fn fid(&self, fid: u32) -> Result<Fid, Errno> {
        self.fids.get(&fid).cloned().ok_or(Errno::EBADF)
    }

    /// The file of a fid, open or by path.
    fn file_of(&self, fid: u32) -> Result<u64, Errno> {
        let fid = self.fid(fid)?;
        match fid.open {
            Some(ino) => Ok(ino),
            None if fid.gone => Err(Errno::EINVAL),
            None => self.find(&fid.path),
        }
    }

    fn closed_directory(&self, fid: u32) -> Result<(u64, Vec<Name>), Errno> {
        let fid = self.fid(fid)?;
        if fid.open.is_some() || fid.gone {
            return Err(Errno::EINVAL);
        }
        Ok((self.find(&fid.path)?, fid.path))
    }

    /// Each session has a server of its own, which knows of its own changes.
    fn of_session(fids: &mut HashMap<u32, Fid>, fid: u32) -> impl Iterator<Item = &mut Fid> {
        let session = fid >= OTHER_SESSION;
        fids.iter_mut().filter(move |(fid, _)| (**fid >= OTHER_SESSION) == session).map(|(_, fid)| fid)
    }

    fn gone(&mut self, path: &[Name], by: u32) {
        for fid in Self::of_session(&mut self.fids, by).filter(|f| f.path.starts_with(path)) {
            fid.gone = true;
        }
    }

    fn walk(&mut self, fid: u32, newfid: u32, names: &[&[u8]]) -> Result<Vec<Qid>, Errno> {
        let from = self.fid(fid)?;
        if from.gone {
            return Err(Errno::EINVAL);
        }
        let mut path = from.path;
        self.find(&path)?;
        let mut qids = vec![];
        for name in names {
            path.push(name.to_vec());
            qids.push(self.qid(self.find(&path)?));
        }
        self.fids.insert(newfid, Fid { path, open: None, append: false, gone: false });
        Ok(qids)
    }

    /// The reply to a request.
    pub fn answer(&mut self, frame: &[u8]) -> Vec<u8> {
        let (tag, message) = Message::decode(frame).expect("a well-formed request");
        let name = Type::from_number(frame[4]).unwrap().name();
        *self.asked.entry(name).or_default() += 1;
        let data = match message {
            Message::Tread(ref t) => t.count,
            Message::Treaddir(ref t) => t.count,
            _ => 0,
        };
        let mut out = vec![0; 8192 + data as usize];
        let answered = self.handle(&message, tag, &mut out);
        let n = match self.refuses.map_or(answered, |ecode| Err(Errno(ecode))) {
            Ok(n) => n,
            Err(Errno(ecode)) => Rlerror { ecode }.encode(tag, &mut out).unwrap().len(),
        };
        out.truncate(n);
        out
    }
}
