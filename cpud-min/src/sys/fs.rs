//! Files and descriptors.

use core::ffi::CStr;

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};

pub use rustix::fs::{Access, AtFlags, CWD, access, rmdir, stat, symlink, unlink};

/// The result of a read or write that does not wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Io {
    /// This many bytes, at least one.
    Moved(usize),
    /// Nothing can be moved now.
    Wait,
    /// The peer is gone, or the file is at its end.
    Ended,
}

/// read(2). Into an empty buffer it reports the end. An error ends the stream: nobody could do more about it.
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> Io {
    loop {
        match rustix::io::read(&fd, &mut *buffer) {
            Ok(0) => return Io::Ended,
            Ok(n) => return Io::Moved(n),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Io::Wait,
            Err(_) => return Io::Ended,
        }
    }
}

/// write(2) of at least one byte.
pub fn write(fd: impl AsFd, bytes: &[u8]) -> Io {
    loop {
        match rustix::io::write(&fd, bytes) {
            Ok(n) => return Io::Moved(n),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Io::Wait,
            Err(_) => return Io::Ended,
        }
    }
}

/// Overwrites the beginning of a file in memory.
pub fn write_start(file: impl AsFd, bytes: &[u8]) {
    // On an error readers see what was there before.
    let _ = rustix::io::pwrite(file, bytes, 0);
}

/// Reads the file at `path` into `buffer`.
///
/// Errors: FBIG when it is larger than the buffer, and those of open(2) and read(2).
pub fn read_file<'b>(path: &CStr, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
    read_all(&open(path, OFlags::RDONLY)?, buffer)
}

/// Reads a file whose mode has none of the bits `forbidden`; else the error is KEYREJECTED.
pub fn read_guarded_file<'b>(path: &CStr, buffer: &'b mut [u8], forbidden: u32) -> Result<&'b [u8]> {
    let file = open(path, OFlags::RDONLY)?;
    if rustix::fs::fstat(&file)?.st_mode & forbidden != 0 {
        return Err(Errno::KEYREJECTED);
    }
    read_all(&file, buffer)
}

fn read_all<'b>(file: &OwnedFd, buffer: &'b mut [u8]) -> Result<&'b [u8]> {
    let mut end = 0;
    loop {
        if end == buffer.len() {
            return Err(Errno::FBIG);
        }
        match rustix::io::read(file, &mut buffer[end..]) {
            Ok(0) => return Ok(&buffer[..end]),
            Ok(n) => end += n,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// Reads the first bytes of the file at `path`, as many as `buffer` has room for, or all there are.
pub fn read_start<'b>(path: &CStr, buffer: &'b mut [u8]) -> Result<&'b mut [u8]> {
    let file = open(path, OFlags::RDONLY)?;
    let mut end = 0;
    while end < buffer.len() {
        match rustix::io::read(&file, &mut buffer[end..]) {
            Ok(0) => break,
            Ok(n) => end += n,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(&mut buffer[..end])
}

/// readlink(2). FBIG when the target and a NUL do not fit.
pub fn read_link<'b>(path: &CStr, buffer: &'b mut [u8; 256]) -> Result<&'b CStr> {
    let n = rustix::fs::readlinkat_raw(CWD, path, &mut buffer[..])?;
    *buffer.get_mut(n).ok_or(Errno::FBIG)? = 0;
    CStr::from_bytes_until_nul(buffer).map_err(|_| Errno::FBIG)
}

/// Writes `text` to a file that exists, in one call, as the files of /proc and of control groups want it.
pub fn write_file(path: &CStr, text: &[u8]) -> Result<()> {
    rustix::io::write(open(path, OFlags::WRONLY)?, text).map(drop)
}

/// Creates or truncates the file at `path` and writes `text` to it.
pub fn create_file(path: &CStr, text: &[u8], mode: u32) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    rustix::io::write(rustix::fs::open(path, flags, Mode::from_raw_mode(mode))?, text).map(drop)
}

pub fn open(path: &CStr, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
}

/// Opens /dev/null for each standard stream that is not open, so that no later descriptor gets its number: a panic
/// writes to 2.
pub fn fill_stdio() -> Result<()> {
    loop {
        let null = open(c"/dev/null", OFlags::RDWR)?;
        // open(2) takes the lowest free number.
        if null.as_raw_fd() > 2 {
            return Ok(());
        }
        core::mem::forget(null);
    }
}

/// Makes `fd` standard input, output and error.
pub fn become_stdio(fd: impl AsFd) -> Result<()> {
    set_stdio(&fd, &fd, &fd)
}

/// Makes the three descriptors standard input, output and error, which a program inherits.
pub fn set_stdio(input: impl AsFd, output: impl AsFd, error: impl AsFd) -> Result<()> {
    // Copies above 2 first, since one of the three may itself be below.
    let input = rustix::io::fcntl_dupfd_cloexec(input, 3)?;
    let output = rustix::io::fcntl_dupfd_cloexec(output, 3)?;
    let error = rustix::io::fcntl_dupfd_cloexec(error, 3)?;
    rustix::stdio::dup2_stdin(input)?;
    rustix::stdio::dup2_stdout(output)?;
    rustix::stdio::dup2_stderr(error)
}

/// Makes a directory and its parents. One that exists is no error.
pub fn make_dirs(path: &CStr) -> Result<()> {
    make_parents(path)?;
    make_dir(path)
}

fn make_parents(path: &CStr) -> Result<()> {
    let bytes = path.to_bytes();
    let mut parent = [0; 4096];
    for (i, &byte) in bytes.iter().enumerate().skip(1) {
        if byte == b'/' {
            *parent.get_mut(i).ok_or(Errno::NAMETOOLONG)? = 0;
            parent[..i].copy_from_slice(&bytes[..i]);
            if let Ok(parent) = CStr::from_bytes_until_nul(&parent) {
                make_dir(parent)?;
            }
        }
    }
    Ok(())
}

pub fn make_dir(path: &CStr) -> Result<()> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

/// Makes an empty file and its parents, unless something is there, as a target for a bind.
pub fn make_file(path: &CStr) -> Result<()> {
    if access(path, Access::EXISTS).is_ok() {
        return Ok(());
    }
    make_parents(path)?;
    rustix::fs::open(path, OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC, Mode::from_raw_mode(0o644)).map(drop)
}

pub fn set_nonblocking(fd: impl AsFd) -> Result<()> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)
}

/// A pipe: the end to read from, the end to write to.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
}
