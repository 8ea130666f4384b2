/// THE table: every message of 9P2000.L, handed to the macro `$with`.
///
/// A row is `Name = number: field[unit] ...;`, as the man pages have it after `size[4] Name
/// tag[2]`. Units are bytes, except `s`, a string, and three that are written with their count, so
/// that no count can disagree with what it counts: `data[count]` for `count[4] data[count]`,
/// `wname[nwname*s]` for `nwname[2] nwname*(wname[s])`, `wqid[nwqid*13]` likewise. `attr[132]` is
/// [`Attr`](crate::types::Attr). Requests have even numbers, the reply's is one more.
macro_rules! messages {
    ($with:ident) => {
        $with! {
            /// Any request may be answered with it; ecode is an [`Errno`](crate::errno::Errno).
            Rlerror = 7: ecode[4];

            /// Asks about the file system, as statfs(2).
            Tstatfs = 8: fid[4];
            Rstatfs = 9: kind[4] bsize[4] blocks[8] bfree[8] bavail[8] files[8] ffree[8] fsid[8]
                namelen[4];

            /// Opens fid; flags are [`open`](crate::types::open).
            Tlopen = 12: fid[4] flags[4];
            Rlopen = 13: qid[13] iounit[4];

            /// Creates a file in the directory fid and opens it: fid then stands for the new file.
            Tlcreate<'a> = 14: fid[4] name[s] flags[4] mode[4] gid[4];
            Rlcreate = 15: qid[13] iounit[4];

            /// Creates a symbolic link in the directory fid.
            Tsymlink<'a> = 16: fid[4] name[s] symtgt[s] gid[4];
            Rsymlink = 17: qid[13];

            /// Creates a device, FIFO or socket.
            Tmknod<'a> = 18: dfid[4] name[s] mode[4] major[4] minor[4] gid[4];
            Rmknod = 19: qid[13];

            /// Moves fid into the directory dfid.
            Trename<'a> = 20: fid[4] dfid[4] name[s];
            Rrename = 21: ;

            Treadlink = 22: fid[4];
            Rreadlink<'a> = 23: target[s];

            /// Asks for attributes; masks are [`getattr`](crate::types::getattr).
            Tgetattr = 24: fid[4] request_mask[8];
            Rgetattr = 25: valid[8] qid[13] attr[132];

            /// Changes those attributes that valid names (the `ATTR_*` of Linux's `struct iattr`).
            Tsetattr = 26: fid[4] valid[4] mode[4] uid[4] gid[4] size[8]
                atime_sec[8] atime_nsec[8] mtime_sec[8] mtime_nsec[8];
            Rsetattr = 27: ;

            /// Makes newfid readable as the extended attribute name of fid, or as the list of them
            /// when name is empty.
            Txattrwalk<'a> = 30: fid[4] newfid[4] name[s];
            Rxattrwalk = 31: size[8];

            /// Makes fid writable as its extended attribute name; the clunk sets it.
            Txattrcreate<'a> = 32: fid[4] name[s] attr_size[8] flags[4];
            Rxattrcreate = 33: ;

            /// Reads entries from offset on, which is 0 or the offset of an entry; count bounds the
            /// payload.
            Treaddir = 40: fid[4] offset[8] count[4];
            /// The payload is read with [`Dirents`](crate::types::Dirents).
            Rreaddir<'a> = 41: data[count];

            Tfsync = 50: fid[4] datasync[4];
            Rfsync = 51: ;

            /// Takes or gives back a POSIX record lock.
            Tlock<'a> = 52: fid[4] kind[1] flags[4] start[8] length[8] proc_id[4] client_id[s];
            Rlock = 53: status[1];

            /// Asks who holds a lock that conflicts.
            Tgetlock<'a> = 54: fid[4] kind[1] start[8] length[8] proc_id[4] client_id[s];
            Rgetlock<'a> = 55: kind[1] start[8] length[8] proc_id[4] client_id[s];

            /// Makes name in the directory dfid a hard link to fid.
            Tlink<'a> = 70: dfid[4] fid[4] name[s];
            Rlink = 71: ;

            Tmkdir<'a> = 72: dfid[4] name[s] mode[4] gid[4];
            Rmkdir = 73: qid[13];

            Trenameat<'a> = 74: olddirfid[4] oldname[s] newdirfid[4] newname[s];
            Rrenameat = 75: ;

            /// Removes an entry; flags are 0 or 0x200, `AT_REMOVEDIR`.
            Tunlinkat<'a> = 76: dirfid[4] name[s] flags[4];
            Runlinkat = 77: ;

            /// version(5): the first message of a session, with the tag
            /// [`NOTAG`](crate::limits::NOTAG).
            Tversion<'a> = 100: msize[4] version[s];
            Rversion<'a> = 101: msize[4] version[s];

            /// attach(5), with the numeric user of 9P2000.u.
            Tauth<'a> = 102: afid[4] uname[s] aname[s] n_uname[4];
            Rauth = 103: aqid[13];

            /// attach(5), with the numeric user of 9P2000.u: fid becomes the root of the tree
            /// aname.
            Tattach<'a> = 104: fid[4] afid[4] uname[s] aname[s] n_uname[4];
            Rattach = 105: qid[13];

            /// flush(5): whoever asked for oldtag no longer waits for the answer.
            Tflush = 108: oldtag[2];
            Rflush = 109: ;

            /// walk(5): newfid becomes what the names lead to from fid; it is unchanged when wqid
            /// is shorter than wname.
            Twalk<'a> = 110: fid[4] newfid[4] wname[nwname*s];
            Rwalk = 111: wqid[nwqid*13];

            /// read(5), of files only.
            Tread = 116: fid[4] offset[8] count[4];
            Rread<'a> = 117: data[count];

            /// read(5).
            Twrite<'a> = 118: fid[4] offset[8] data[count];
            Rwrite = 119: count[4];

            /// clunk(5): fid is free, even when the answer is an error.
            Tclunk = 120: fid[4];
            Rclunk = 121: ;

            /// remove(5): removes the file and clunks fid, even when the answer is an error.
            Tremove = 122: fid[4];
            Rremove = 123: ;

            /// Twalk and a Tgetattr of everything in one, `9P2000.L.Google.2` and up (gVisor's and hugelgupf's p9).
            Twalkgetattr<'a> = 126: fid[4] newfid[4] wname[nwname*s];
            Rwalkgetattr = 127: valid[8] attr[132] wqid[nwqid*13];
        }
    };
}

pub(super) use messages;
