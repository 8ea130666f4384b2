package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hugelgupf/p9/fsimpl/templatefs"
	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"
)

// disk serves the files below a directory with the abilities of the stock
// client's server, and its gaps: qid paths are inode numbers whatever the
// device, versions are 0, a directory entry's type is a qid's, Tlcreate keeps
// of the flags only how the file is accessed, Tsetattr goes by path, Tmkdir
// and Tsymlink answer an empty qid, Tmknod and Tstatfs ENOSYS. The library's
// own localfs cannot even remove a file.
type disk struct {
	p9.DefaultWalkGetAttr
	templatefs.NoopFile

	path string
	file *os.File
	// appends: opened with O_APPEND.
	appends bool
}

func (d *disk) Attach() (p9.File, error) { return &disk{path: d.path}, nil }

func (d *disk) below(name string) string { return filepath.Join(d.path, name) }

func (d *disk) stat() (p9.QID, *syscall.Stat_t, error) {
	var info fs.FileInfo
	var err error
	if d.file != nil {
		info, err = d.file.Stat()
	} else {
		info, err = os.Lstat(d.path)
	}
	if err != nil {
		return p9.QID{}, nil, err
	}
	stat := info.Sys().(*syscall.Stat_t)
	return p9.QID{Type: p9.ModeFromOS(info.Mode()).QIDType(), Path: stat.Ino}, stat, nil
}

func (d *disk) Walk(names []string) ([]p9.QID, p9.File, error) {
	at, qids := &disk{path: d.path}, []p9.QID(nil)
	for _, name := range names {
		at = &disk{path: at.below(name)}
		qid, _, err := at.stat()
		if err != nil {
			return nil, nil, err
		}
		qids = append(qids, qid)
	}
	return qids, at, nil
}

func (d *disk) GetAttr(p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	qid, stat, err := d.stat()
	if err != nil {
		return qid, p9.AttrMask{}, p9.Attr{}, err
	}
	valid := p9.AttrMask{
		Mode: true, UID: true, GID: true, NLink: true, RDev: true, Size: true, Blocks: true,
		ATime: true, MTime: true, CTime: true,
	}
	return qid, valid, p9.Attr{
		Mode: p9.FileMode(stat.Mode), UID: p9.UID(stat.Uid), GID: p9.GID(stat.Gid),
		NLink: p9.NLink(stat.Nlink), RDev: p9.Dev(stat.Rdev),
		Size: uint64(stat.Size), BlockSize: uint64(stat.Blksize), Blocks: uint64(stat.Blocks),
		ATimeSeconds: uint64(stat.Atim.Sec), ATimeNanoSeconds: uint64(stat.Atim.Nsec),
		MTimeSeconds: uint64(stat.Mtim.Sec), MTimeNanoSeconds: uint64(stat.Mtim.Nsec),
		CTimeSeconds: uint64(stat.Ctim.Sec), CTimeNanoSeconds: uint64(stat.Ctim.Nsec),
	}, nil
}

// SetAttr sets what can be set and returns every error.
func (d *disk) SetAttr(mask p9.SetAttrMask, attr p9.SetAttr) error {
	var failed []error
	if mask.Size {
		failed = append(failed, unix.Truncate(d.path, int64(attr.Size)))
	}
	if mask.ATime || mask.MTime {
		accessed, modified := time.Now(), time.Now()
		if mask.ATimeNotSystemTime {
			accessed = time.Unix(int64(attr.ATimeSeconds), int64(attr.ATimeNanoSeconds))
		}
		if mask.MTimeNotSystemTime {
			modified = time.Unix(int64(attr.MTimeSeconds), int64(attr.MTimeNanoSeconds))
		}
		failed = append(failed, os.Chtimes(d.path, accessed, modified))
	}
	if mask.Permissions {
		failed = append(failed, unix.Chmod(d.path, uint32(attr.Permissions)))
	}
	if mask.GID {
		failed = append(failed, unix.Chown(d.path, -1, int(attr.GID)))
	}
	if mask.UID {
		failed = append(failed, unix.Chown(d.path, int(attr.UID), -1))
	}
	return errors.Join(failed...)
}

// Open passes all flags on.
func (d *disk) Open(flags p9.OpenFlags) (p9.QID, uint32, error) {
	qid, _, err := d.stat()
	if err == nil {
		d.file, err = os.OpenFile(d.path, int(flags), 0)
		d.appends = int(flags)&os.O_APPEND != 0
	}
	return qid, 0, err
}

func (d *disk) Create(name string, flags p9.OpenFlags, mode p9.FileMode, _ p9.UID, _ p9.GID) (p9.File, p9.QID, uint32, error) {
	file, err := os.OpenFile(d.below(name), os.O_CREATE|flags.OSFlags(), os.FileMode(mode))
	if err != nil {
		return nil, p9.QID{}, 0, err
	}
	created := &disk{path: d.below(name), file: file}
	qid, _, err := created.stat()
	if err != nil {
		file.Close()
		return nil, qid, 0, err
	}
	return created, qid, 0, nil
}

func (d *disk) Close() error {
	if d.file == nil {
		return nil
	}
	return d.file.Close()
}

func (d *disk) FSync() error              { return d.file.Sync() }
func (d *disk) Readlink() (string, error) { return os.Readlink(d.path) }

func (d *disk) ReadAt(p []byte, offset int64) (int, error) {
	hear("Tread", d.path)
	return d.file.ReadAt(p, offset)
}

// WriteAt appends where the file was opened for that, whatever the offset is:
// Go refuses one then, and the stock server calls Write.
func (d *disk) WriteAt(p []byte, offset int64) (int, error) {
	hear("Twrite", d.path)
	if *noRoom {
		return 0, nil
	}
	if d.appends {
		return d.file.Write(p)
	}
	return unix.Pwrite(int(d.file.Fd()), p, offset)
}

func (d *disk) Readdir(offset uint64, _ uint32) (p9.Dirents, error) {
	all, err := os.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	var entries p9.Dirents
	for n := int(offset); n < len(all); n++ {
		name := all[n].Name()
		// What is gone by now is left out.
		if qid, _, err := (&disk{path: d.below(name)}).stat(); err == nil {
			entries = append(entries, p9.Dirent{QID: qid, Type: qid.Type, Name: name, Offset: uint64(n + 1)})
		}
	}
	return entries, nil
}

func (d *disk) Mkdir(name string, mode p9.FileMode, _ p9.UID, _ p9.GID) (p9.QID, error) {
	return p9.QID{}, os.Mkdir(d.below(name), os.FileMode(mode))
}

func (d *disk) Symlink(target, name string, _ p9.UID, _ p9.GID) (p9.QID, error) {
	return p9.QID{}, os.Symlink(target, d.below(name))
}

func (d *disk) Link(target p9.File, name string) error {
	return os.Link(target.(*disk).path, d.below(name))
}

func (d *disk) UnlinkAt(name string, _ uint32) error {
	hear("Tunlinkat", d.below(name))
	return os.Remove(d.below(name))
}

func (d *disk) RenameAt(name string, to p9.File, newName string) error {
	if *noRename {
		return syscall.EOPNOTSUPP
	}
	return os.Rename(d.below(name), to.(*disk).below(newName))
}

func (d *disk) Renamed(parent p9.File, name string) { d.path = parent.(*disk).below(name) }

// Lock asks for POSIX locks, of which this one process is the only owner.
func (d *disk) Lock(_ int, kind p9.LockType, flags p9.LockFlags, start, length uint64, _ string) (p9.LockStatus, error) {
	hear("Tlock", d.path)
	kinds := map[p9.LockType]int16{p9.ReadLock: unix.F_RDLCK, p9.WriteLock: unix.F_WRLCK, p9.Unlock: unix.F_UNLCK}
	command := unix.F_SETLK
	if flags == p9.LockFlagsBlock {
		command = unix.F_SETLKW
	}
	lock := unix.Flock_t{Type: kinds[kind], Start: int64(start), Len: int64(length)}
	switch err := unix.FcntlFlock(d.file.Fd(), command, &lock); {
	case errors.Is(err, unix.EAGAIN):
		return p9.LockStatusBlocked, nil
	case err != nil:
		return p9.LockStatusError, err
	}
	return p9.LockStatusOK, nil
}
