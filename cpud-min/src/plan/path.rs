//! The files that a command's first word may mean: the search in `PATH` (POSIX XBD 8.3), without looking.

use core::ffi::CStr;

use linux_raw_sys::errno::{EACCES, ENOENT, ENOTDIR};
use linux_raw_sys::general::PATH_MAX;

/// Bytes for one path, its NUL included.
pub const ROOM: usize = PATH_MAX as usize;

/// Where execvp(3) searches when there is no `PATH`.
pub const DEFAULT: &[u8] = b"/bin:/usr/bin";

/// A shell's exit status for a command that was found but cannot be executed (XCU 2.8.2).
pub const CANNOT_EXECUTE: u32 = 126;
/// A shell's exit status for a command that was not found.
pub const NOT_FOUND: u32 = 127;

/// The files to try, in order, and what became of them.
#[derive(Clone, Debug)]
pub struct Search<'p> {
    /// The prefixes not tried yet; `None` when there are no more.
    prefixes: Option<&'p [u8]>,
    word: &'p CStr,
    /// Why none was executed so far: an errno.
    why: u32,
}

impl<'p> Search<'p> {
    /// `path` is the client's `PATH`. A word with a `/` in it is the only file to try; an empty one
    /// has none.
    pub fn new(word: &'p CStr, path: Option<&'p CStr>) -> Self {
        let prefixes = match word.to_bytes() {
            b"" => None,
            bytes if bytes.contains(&b'/') => Some(b"".as_slice()),
            _ => Some(path.map_or(DEFAULT, CStr::to_bytes)),
        };
        Self { prefixes, word, why: ENOENT }
    }

    /// The next file to execute. Names longer than `PATH_MAX` are skipped, as no file has one.
    pub fn next<'r>(&mut self, room: &'r mut [u8; ROOM]) -> Option<&'r CStr> {
        let word = self.word.to_bytes_with_nul();
        loop {
            let prefixes = self.prefixes?;
            let end = prefixes.iter().position(|&byte| byte == b':');
            let prefix = &prefixes[..end.unwrap_or(prefixes.len())];
            self.prefixes = end.map(|end| &prefixes[end + 1..]);
            // An empty prefix is the working directory, which the word alone is relative to.
            let slash: &[u8] = if prefix.is_empty() { b"" } else { b"/" };
            let length = prefix.len() + slash.len() + word.len();
            if length <= ROOM {
                let parts = prefix.iter().chain(slash).chain(word);
                room.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
                return CStr::from_bytes_until_nul(room).ok();
            }
        }
    }

    /// Records why the last file was not executed, an errno. False ends the search: a missing file does not end it, one
    /// that is there and fails does.
    pub const fn failed(&mut self, errno: u32) -> bool {
        if self.why != EACCES {
            self.why = errno;
        }
        matches!(errno, ENOENT | ENOTDIR | EACCES)
    }

    /// Why no file was executed: an errno. As in execvp(3), a file that may not be executed is the reason, rather than
    /// a missing one later in `PATH`.
    pub const fn why(&self) -> u32 {
        self.why
    }

    /// The command's exit status when every file failed: [`NOT_FOUND`] or [`CANNOT_EXECUTE`].
    pub const fn exit_status(&self) -> u32 {
        if matches!(self.why, ENOENT | ENOTDIR) { NOT_FOUND } else { CANNOT_EXECUTE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linux_raw_sys::errno::ENOEXEC;
    use std::ffi::CString;
    use std::string::String;
    use std::vec::Vec;

    fn files(word: &CStr, path: Option<&CStr>) -> Vec<String> {
        let mut room = [0xff; ROOM];
        let mut search = Search::new(word, path);
        let mut files = Vec::new();
        while let Some(file) = search.next(&mut room) {
            files.push(file.to_str().unwrap().into());
        }
        files
    }

    #[test]
    fn each_directory_is_tried_in_turn() {
        assert_eq!(files(c"ls", Some(c"/usr/bin:/bin")), ["/usr/bin/ls", "/bin/ls"]);
        assert_eq!(files(c"ls", None), ["/bin/ls", "/usr/bin/ls"]);
    }

    #[test]
    fn an_empty_directory_is_the_working_directory() {
        assert_eq!(files(c"ls", Some(c":/a::")), ["ls", "/a/ls", "ls", "ls"]);
        assert_eq!(files(c"ls", Some(c"")), ["ls"]);
    }

    #[test]
    fn a_word_with_a_slash_is_a_file() {
        assert_eq!(files(c"./ls", Some(c"/bin")), ["./ls"]);
        assert_eq!(files(c"/sbin/init", None), ["/sbin/init"]);
    }

    #[test]
    fn an_empty_word_is_no_command() {
        assert!(files(c"", Some(c"/bin")).is_empty());
        assert_eq!(Search::new(c"", None).exit_status(), NOT_FOUND);
    }

    #[test]
    fn a_name_longer_than_path_max_is_passed_over() {
        let longest = CString::new([b'/'; ROOM - 4]).unwrap();
        let mut path = longest.clone().into_bytes();
        assert_eq!(files(c"ls", Some(&longest))[0].len(), ROOM - 1);
        path.extend(b"/:/bin");
        assert_eq!(files(c"ls", Some(&CString::new(path).unwrap())), ["/bin/ls"]);
    }

    #[test]
    fn a_file_that_was_there_makes_it_126() {
        let mut search = Search::new(c"x", Some(c"/a:/b:/c"));
        assert!(search.failed(ENOENT));
        assert_eq!(search.exit_status(), NOT_FOUND);
        assert!(search.failed(EACCES));
        assert!(search.failed(ENOTDIR));
        assert_eq!((search.exit_status(), search.why()), (CANNOT_EXECUTE, EACCES));
        assert!(!search.failed(ENOEXEC));
    }
}
