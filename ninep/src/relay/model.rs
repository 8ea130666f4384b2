//! A far side in memory, with the stock server's habits: a fid that is not open stands for a path, an open one for a
//! file; a directory that is open cannot be changed; an unlinked file only lives on in open fids.

use std::collections::{BTreeMap, HashMap};
use std::vec;
use std::vec::Vec;

use crate::errno::Errno;
use crate::msg::{
    Body, Message, Rattach, Rclunk, Rflush, Rfsync, Rgetattr, Rlcreate, Rlerror, Rlink, Rlopen, Rmkdir, Rread,
    Rreaddir, Rreadlink, Rrenameat, Rsetattr, Rsymlink, Runlinkat, Rversion, Rwalk, Rwalkgetattr, Rwrite, Tsetattr,
    Type, VERSION,
};
use crate::types::{Attr, Dirent, Qid, getattr};
use crate::wire::{Data, Wire, Writer};

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

/// The first far fid of a second session.
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

    fn handle(&mut self, message: &Message<'_>, tag: u16, out: &mut [u8]) -> Result<usize, Errno> {
        fn put<'a, M: Body<'a>>(tag: u16, message: &M, out: &mut [u8]) -> Result<usize, Errno> {
            Ok(message.encode(tag, out).unwrap().len())
        }
        match message {
            Message::Tversion(t) => {
                let known = t.version == VERSION || (self.google && t.version.starts_with(b"9P2000.L.Google."));
                put(
                    tag,
                    &Rversion { msize: t.msize.min(self.msize), version: if known { t.version } else { b"unknown" } },
                    out,
                )
            }
            Message::Tattach(t) => {
                self.fids.insert(t.fid, Fid { path: vec![], open: None, append: false, gone: false });
                put(tag, &Rattach { qid: self.qid(ROOT) }, out)
            }
            Message::Twalk(t) => {
                let qids = self.walk(t.fid, t.newfid, &t.wname)?;
                put(tag, &Rwalk { wqid: heapless::Vec::from_slice(&qids).unwrap() }, out)
            }
            Message::Twalkgetattr(t) => {
                assert!(self.google);
                let qids = self.walk(t.fid, t.newfid, &t.wname)?;
                let attr = self.attr(self.file_of(t.newfid)?);
                let wqid = heapless::Vec::from_slice(&qids).unwrap();
                put(tag, &Rwalkgetattr { valid: getattr::BASIC, attr, wqid }, out)
            }
            Message::Tgetattr(t) => {
                // The stock server does not look whether the file is gone.
                let fid = self.fid(t.fid)?;
                let ino = fid.open.map_or_else(|| self.find(&fid.path), Ok)?;
                put(tag, &Rgetattr { valid: getattr::BASIC, qid: self.qid(ino), attr: self.attr(ino) }, out)
            }
            Message::Tlopen(t) => {
                let append = t.flags & 0o2000 != 0;
                assert_eq!(t.flags & !0o4_012_003, 0, "flags that mean something else elsewhere");
                let fid = self.fid(t.fid)?;
                if fid.gone || fid.open.is_some() {
                    return Err(Errno::EINVAL);
                }
                let ino = self.find(&fid.path)?;
                if append && self.darwin {
                    if self.inodes[&ino].mode & FORMAT == DIRECTORY {
                        return Err(Errno::EISDIR);
                    }
                    self.inodes.get_mut(&ino).unwrap().data.clear();
                }
                let fid = self.fids.get_mut(&t.fid).unwrap();
                (fid.open, fid.append) = (Some(ino), append);
                put(tag, &Rlopen { qid: self.qid(ino), iounit: 0 }, out)
            }
            Message::Tread(t) => {
                let ino = self.fid(t.fid)?.open.ok_or(Errno::EINVAL)?;
                let data = &self.inodes[&ino].data;
                let start = data.len().min(t.offset as usize);
                let end = data.len().min(start + t.count as usize);
                put(tag, &Rread { data: Data(&data[start..end]) }, out)
            }
            Message::Twrite(t) => {
                let fid = self.fid(t.fid)?;
                let ino = fid.open.ok_or(Errno::EINVAL)?;
                let data = &mut self.inodes.get_mut(&ino).unwrap().data;
                let offset = if fid.append { data.len() } else { t.offset.try_into().unwrap() };
                if offset > i64::MAX as usize {
                    return Err(Errno::EINVAL);
                }
                if offset as u64 >= self.largest {
                    return Err(Errno::EFBIG);
                }
                let new = &t.data.0[..t.data.0.len().min(self.write_most)];
                let end = offset + new.len();
                data.resize(data.len().max(end), 0);
                data[offset..end].copy_from_slice(new);
                self.touch(ino);
                put(tag, &Rwrite { count: new.len() as u32 }, out)
            }
            Message::Treaddir(t) => {
                let ino = self.fid(t.fid)?.open.ok_or(Errno::EINVAL)?;
                let mut payload = vec![0; t.count as usize];
                let mut writer = Writer::new(&mut payload);
                let mut end = 0;
                let directory = &self.inodes[&ino];
                // What cannot be looked up is left out.
                let seen = directory.children.iter().enumerate().filter(|_| self.may_search(directory));
                for (i, (name, &child)) in seen.skip(t.offset as usize) {
                    let qid = self.qid(child);
                    let entry = Dirent { qid, offset: i as u64 + 1, kind: qid.kind, name };
                    entry.write(&mut writer);
                    let Ok(written) = writer.written() else { break };
                    end = written;
                }
                put(tag, &Rreaddir { data: Data(&payload[..end]) }, out)
            }
            Message::Treadlink(t) => {
                let ino = self.file_of(t.fid)?;
                put(tag, &Rreadlink { target: &self.inodes[&ino].data }, out)
            }
            Message::Tlcreate(t) => {
                let (parent, mut path) = self.closed_directory(t.fid)?;
                // What is there already is opened, as the stock server leaves O_EXCL out.
                let ino = match self.inodes[&parent].children.get(t.name) {
                    Some(&link) if self.inodes[&link].mode == LINK => self.target(link).ok_or(Errno::ENOENT)?,
                    Some(&file) => file,
                    None => self.insert(parent, t.name, FILE & FORMAT | t.mode & self.kept() & !self.umask, vec![])?,
                };
                path.push(t.name.to_vec());
                self.fids.insert(t.fid, Fid { path, open: Some(ino), append: false, gone: false });
                put(tag, &Rlcreate { qid: self.qid(ino), iounit: 0 }, out)
            }
            Message::Tmkdir(t) => {
                let (parent, _) = self.closed_directory(t.dfid)?;
                let inherited = self.inodes[&parent].mode & 0o2000;
                let mode = DIRECTORY | t.mode & self.kept() & !self.umask | inherited;
                self.insert(parent, t.name, mode, vec![])?;
                put(tag, &Rmkdir { qid: Qid::default() }, out)
            }
            Message::Tsymlink(t) => {
                let (parent, _) = self.closed_directory(t.fid)?;
                self.insert(parent, t.name, LINK, t.symtgt.to_vec())?;
                put(tag, &Rsymlink { qid: Qid::default() }, out)
            }
            Message::Tlink(t) => {
                let (parent, _) = self.closed_directory(t.dfid)?;
                let ino = self.find(&self.fid(t.fid)?.path)?;
                if self.inodes[&parent].children.contains_key(t.name) {
                    return Err(Errno::EEXIST);
                }
                self.inodes.get_mut(&parent).unwrap().children.insert(t.name.to_vec(), ino);
                self.inodes.get_mut(&ino).unwrap().nlink += 1;
                self.touch(ino);
                self.touch(parent);
                put(tag, &Rlink {}, out)
            }
            Message::Tunlinkat(t) => {
                let (parent, mut path) = self.closed_directory(t.dirfid)?;
                path.push(t.name.to_vec());
                let ino = self.find(&path)?;
                if !self.inodes[&ino].children.is_empty() {
                    return Err(Errno::EEXIST);
                }
                self.inodes.get_mut(&parent).unwrap().children.remove(t.name);
                self.inodes.get_mut(&ino).unwrap().nlink -= 1;
                self.touch(ino);
                self.touch(parent);
                self.gone(&path, t.dirfid);
                put(tag, &Runlinkat {}, out)
            }
            Message::Trenameat(t) => {
                let (from, mut old) = self.closed_directory(t.olddirfid)?;
                let (to, mut new) = self.closed_directory(t.newdirfid)?;
                old.push(t.oldname.to_vec());
                new.push(t.newname.to_vec());
                let ino = self.find(&old)?;
                if old == new {
                    return put(tag, &Rrenameat {}, out);
                }
                match self.find(&new) {
                    Ok(other) if other == ino => {}
                    Ok(other) if !self.inodes[&other].children.is_empty() => return Err(Errno::EEXIST),
                    Ok(other) if self.inodes[&other].mode != self.inodes[&ino].mode => return Err(Errno::ENOTDIR),
                    _ if new.starts_with(&old) => return Err(Errno::EINVAL),
                    _ => {}
                }
                self.gone(&new, t.olddirfid);
                // Of two names of one file both stay; what follows it does all the same.
                if self.find(&new) != Ok(ino) {
                    self.inodes.get_mut(&from).unwrap().children.remove(t.oldname);
                    self.inodes.get_mut(&to).unwrap().children.insert(t.newname.to_vec(), ino);
                    [ino, from, to].into_iter().for_each(|ino| self.touch(ino));
                }
                for fid in Self::of_session(&mut self.fids, t.olddirfid).filter(|f| f.path.starts_with(&old) && !f.gone)
                {
                    let rest = fid.path[old.len()..].to_vec();
                    fid.path = [new.clone(), rest].concat();
                }
                put(tag, &Rrenameat {}, out)
            }
            Message::Tsetattr(t) => {
                if self.fid(t.fid)?.gone {
                    return Err(Errno::EINVAL);
                }
                let ino = self.find(&self.fid(t.fid)?.path)?;
                if t.valid & 8 != 0 && t.size > self.largest {
                    return Err(Errno::EIO);
                }
                if t.valid & 8 != 0 {
                    self.inodes.get_mut(&ino).unwrap().data.resize(t.size as usize, 0);
                }
                // Times are set to what the server takes for now.
                if t.valid & 0x30 != 0 && self.inodes[&ino].theirs {
                    return Err(Errno::EACCES);
                }
                if t.valid & 6 != 0 {
                    if self.uid != 0 {
                        return Err(Errno::EACCES);
                    }
                    // By path, which is followed.
                    let target = if self.inodes[&ino].mode == LINK { self.target(ino) } else { Some(ino) };
                    let owner = &mut self.inodes.get_mut(&target.ok_or(Errno::ENOENT)?).unwrap().owner;
                    let [uid, gid] = owner.unwrap_or_default();
                    *owner =
                        Some([if t.valid & 2 != 0 { t.uid } else { uid }, if t.valid & 4 != 0 { t.gid } else { gid }]);
                }
                if t.valid & 1 != 0 {
                    // The stock server's library drops setuid and setgid.
                    let dropped = if self.google { 0o6000 } else { 0 };
                    let mode = &mut self.inodes.get_mut(&ino).unwrap().mode;
                    *mode = *mode & FORMAT | t.mode & 0o7777 & !dropped;
                }
                self.set = t.clone();
                self.touch(ino);
                put(tag, &Rsetattr {}, out)
            }
            Message::Tfsync(t) => {
                self.fid(t.fid)?.open.ok_or(Errno::EINVAL)?;
                self.disk?;
                put(tag, &Rfsync {}, out)
            }
            Message::Tclunk(t) => {
                self.fids.remove(&t.fid).ok_or(Errno::EBADF)?;
                put(tag, &Rclunk {}, out)
            }
            Message::Tflush(_) => put(tag, &Rflush {}, out),
            _ => Err(Errno::ENOSYS),
        }
    }
}
