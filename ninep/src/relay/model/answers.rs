//! What the model answers to each request.

use std::vec;
use std::vec::Vec;

use super::{DIRECTORY, FILE, FORMAT, Fid, LINK, Model, ROOT};
use crate::errno::Errno;
use crate::msg::{
    Body, Message, Rattach, Rclunk, Rflush, Rfsync, Rgetattr, Rlcreate, Rlink, Rlopen, Rmkdir, Rread, Rreaddir,
    Rreadlink, Rrenameat, Rsetattr, Rsymlink, Runlinkat, Rversion, Rwalk, Rwalkgetattr, Rwrite, Tgetattr, Tlcreate,
    Tlink, Tlopen, Tmkdir, Tread, Treaddir, Trenameat, Tsetattr, Tunlinkat, Twalkgetattr, Twrite, VERSION,
};
use crate::types::{Dirent, Qid, getattr};
use crate::wire::{Data, Wire, Writer};

impl Model {
    pub(super) fn handle(&mut self, message: &Message<'_>, tag: u16, out: &mut [u8]) -> Result<usize, Errno> {
        fn put<'a, M: Body<'a>>(tag: u16, message: &M, out: &mut [u8]) -> Result<usize, Errno> {
            Ok(message.encode(tag, out).unwrap().len())
        }
        match message {
            Message::Tversion(t) => {
                let known = t.version == VERSION || (self.google && t.version.starts_with(b"9P2000.L.Google."));
                let version = if known { t.version } else { b"unknown" };
                put(tag, &Rversion { msize: t.msize.min(self.msize), version }, out)
            }
            Message::Tattach(t) => {
                self.fids.insert(t.fid, Fid { path: vec![], open: None, append: false, gone: false });
                put(tag, &Rattach { qid: self.qid(ROOT) }, out)
            }
            Message::Twalk(t) => {
                let qids = self.walk(t.fid, t.newfid, &t.wname)?;
                put(tag, &Rwalk { wqid: heapless::Vec::from_slice(&qids).unwrap() }, out)
            }
            Message::Twalkgetattr(t) => put(tag, &self.walkgetattr(t)?, out),
            Message::Tgetattr(t) => put(tag, &self.getattr(t)?, out),
            Message::Tlopen(t) => put(tag, &self.lopen(t)?, out),
            Message::Tread(t) => put(tag, &self.read(t)?, out),
            Message::Twrite(t) => put(tag, &self.write(t)?, out),
            Message::Treaddir(t) => put(tag, &Rreaddir { data: Data(&self.readdir(t)?) }, out),
            Message::Treadlink(t) => {
                let ino = self.file_of(t.fid)?;
                put(tag, &Rreadlink { target: &self.inodes[&ino].data }, out)
            }
            Message::Tlcreate(t) => put(tag, &self.lcreate(t)?, out),
            Message::Tmkdir(t) => put(tag, &self.mkdir(t)?, out),
            Message::Tsymlink(t) => {
                let (parent, _) = self.closed_directory(t.fid)?;
                self.insert(parent, t.name, LINK, t.symtgt.to_vec())?;
                put(tag, &Rsymlink { qid: Qid::default() }, out)
            }
            Message::Tlink(t) => put(tag, &self.hard_link_at(t)?, out),
            Message::Tunlinkat(t) => put(tag, &self.unlinkat(t)?, out),
            Message::Trenameat(t) => put(tag, &self.renameat(t)?, out),
            Message::Tsetattr(t) => put(tag, &self.setattr(t)?, out),
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

    fn walkgetattr(&mut self, t: &Twalkgetattr<'_>) -> Result<Rwalkgetattr, Errno> {
        assert!(self.google);
        let qids = self.walk(t.fid, t.newfid, &t.wname)?;
        let attr = self.attr(self.file_of(t.newfid)?);
        let wqid = heapless::Vec::from_slice(&qids).unwrap();
        Ok(Rwalkgetattr { valid: getattr::BASIC, attr, wqid })
    }

    fn getattr(&self, t: &Tgetattr) -> Result<Rgetattr, Errno> {
        // The stock server does not look whether the file is gone.
        let fid = self.fid(t.fid)?;
        let ino = fid.open.map_or_else(|| self.find(&fid.path), Ok)?;
        Ok(Rgetattr { valid: getattr::BASIC, qid: self.qid(ino), attr: self.attr(ino) })
    }

    fn lopen(&mut self, t: &Tlopen) -> Result<Rlopen, Errno> {
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
        Ok(Rlopen { qid: self.qid(ino), iounit: 0 })
    }

    fn read(&self, t: &Tread) -> Result<Rread<'_>, Errno> {
        let ino = self.fid(t.fid)?.open.ok_or(Errno::EINVAL)?;
        let data = &self.inodes[&ino].data;
        let start = data.len().min(t.offset as usize);
        let end = data.len().min(start + t.count as usize);
        Ok(Rread { data: Data(&data[start..end]) })
    }

    fn write(&mut self, t: &Twrite<'_>) -> Result<Rwrite, Errno> {
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
        Ok(Rwrite { count: new.len() as u32 })
    }

    /// The entries that follow an offset.
    fn readdir(&self, t: &Treaddir) -> Result<Vec<u8>, Errno> {
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
        payload.truncate(end);
        Ok(payload)
    }

    fn lcreate(&mut self, t: &Tlcreate<'_>) -> Result<Rlcreate, Errno> {
        let (parent, mut path) = self.closed_directory(t.fid)?;
        // What is there already is opened, as the stock server leaves O_EXCL out.
        let ino = match self.inodes[&parent].children.get(t.name) {
            Some(&link) if self.inodes[&link].mode == LINK => self.target(link).ok_or(Errno::ENOENT)?,
            Some(&file) => file,
            None => self.insert(parent, t.name, FILE & FORMAT | t.mode & self.kept() & !self.umask, vec![])?,
        };
        path.push(t.name.to_vec());
        self.fids.insert(t.fid, Fid { path, open: Some(ino), append: false, gone: false });
        Ok(Rlcreate { qid: self.qid(ino), iounit: 0 })
    }

    fn mkdir(&mut self, t: &Tmkdir<'_>) -> Result<Rmkdir, Errno> {
        let (parent, _) = self.closed_directory(t.dfid)?;
        let inherited = self.inodes[&parent].mode & 0o2000;
        let mode = DIRECTORY | t.mode & self.kept() & !self.umask | inherited;
        self.insert(parent, t.name, mode, vec![])?;
        Ok(Rmkdir { qid: Qid::default() })
    }

    fn hard_link_at(&mut self, t: &Tlink<'_>) -> Result<Rlink, Errno> {
        let (parent, _) = self.closed_directory(t.dfid)?;
        let ino = self.find(&self.fid(t.fid)?.path)?;
        if self.inodes[&parent].children.contains_key(t.name) {
            return Err(Errno::EEXIST);
        }
        self.inodes.get_mut(&parent).unwrap().children.insert(t.name.to_vec(), ino);
        self.inodes.get_mut(&ino).unwrap().nlink += 1;
        self.touch(ino);
        self.touch(parent);
        Ok(Rlink {})
    }

    fn unlinkat(&mut self, t: &Tunlinkat<'_>) -> Result<Runlinkat, Errno> {
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
        Ok(Runlinkat {})
    }

    fn renameat(&mut self, t: &Trenameat<'_>) -> Result<Rrenameat, Errno> {
        let (from, mut old) = self.closed_directory(t.olddirfid)?;
        let (to, mut new) = self.closed_directory(t.newdirfid)?;
        old.push(t.oldname.to_vec());
        new.push(t.newname.to_vec());
        let ino = self.find(&old)?;
        if old == new {
            return Ok(Rrenameat {});
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
        for fid in Self::of_session(&mut self.fids, t.olddirfid).filter(|f| f.path.starts_with(&old) && !f.gone) {
            let rest = fid.path[old.len()..].to_vec();
            fid.path = [new.clone(), rest].concat();
        }
        Ok(Rrenameat {})
    }

    fn setattr(&mut self, t: &Tsetattr) -> Result<Rsetattr, Errno> {
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
            *owner = Some([if t.valid & 2 != 0 { t.uid } else { uid }, if t.valid & 4 != 0 { t.gid } else { gid }]);
        }
        if t.valid & 1 != 0 {
            // The stock server's library drops setuid and setgid.
            let dropped = if self.google { 0o6000 } else { 0 };
            let mode = &mut self.inodes.get_mut(&ino).unwrap().mode;
            *mode = *mode & FORMAT | t.mode & 0o7777 & !dropped;
        }
        self.set = t.clone();
        self.touch(ino);
        Ok(Rsetattr {})
    }
}
