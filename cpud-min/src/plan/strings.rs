//! Consecutive C strings in one slice, as execve(2) lays them out on the new program's stack.

use core::ffi::CStr;
use core::fmt::{self, Display, Formatter};

/// The most bytes in one string of execve(2), its NUL included: Linux's `MAX_ARG_STRLEN`, 32 pages
/// of 4 KiB.
pub const MAX_ARG_STRLEN: usize = 32 * 4096;

/// Why a string was refused. The sentence needs its subject in front.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// There is a NUL byte in it.
    Nul,
    /// With its NUL it is longer than [`MAX_ARG_STRLEN`] bytes.
    TooLong,
    /// The list has as many strings as it may.
    TooMany { most: usize },
    /// Together the strings do not fit into this many bytes.
    NoRoom { bytes: usize },
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nul => f.write_str("has a NUL byte in it"),
            Self::TooLong => write!(f, "is longer than {} bytes", MAX_ARG_STRLEN - 1),
            Self::TooMany { most } => write!(f, "is one too many: at most {most} are taken"),
            Self::NoRoom { bytes } => {
                write!(f, "does not fit: all together may have {bytes} bytes")
            }
        }
    }
}

/// A list of NUL-terminated strings, the last of which may be unfinished.
#[derive(Debug)]
pub struct Strings<'a> {
    room: &'a mut [u8],
    /// Where the finished strings end; the unfinished one is `finished..end`.
    finished: usize,
    end: usize,
    count: usize,
    most: usize,
}

impl<'a> Strings<'a> {
    /// An empty list that may grow to `most` strings and to the length of `room`.
    pub const fn new(room: &'a mut [u8], most: usize) -> Self {
        Self { room, finished: 0, end: 0, count: 0, most }
    }

    /// How many strings are finished.
    pub const fn len(&self) -> usize {
        self.count
    }

    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The finished strings, in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.room[..self.finished] }
    }

    /// Appends to the unfinished string, or begins one.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if bytes.contains(&0) {
            return Err(Refusal::Nul);
        }
        if self.end - self.finished + bytes.len() >= MAX_ARG_STRLEN {
            return Err(Refusal::TooLong);
        }
        let end = self.end + bytes.len();
        // One byte is left for the NUL.
        if end >= self.room.len() {
            return Err(Refusal::NoRoom { bytes: self.room.len() });
        }
        self.room[self.end..end].copy_from_slice(bytes);
        self.end = end;
        Ok(())
    }

    /// Ends the unfinished string, which is empty if nothing was appended since the last.
    pub fn finish(&mut self) -> Result<(), Refusal> {
        if self.count == self.most {
            return Err(Refusal::TooMany { most: self.most });
        }
        let bytes = self.room.len();
        *self.room.get_mut(self.end).ok_or(Refusal::NoRoom { bytes })? = 0;
        self.end += 1;
        self.finished = self.end;
        self.count += 1;
        Ok(())
    }

    /// Adds the concatenation of `parts` as one string. A refusal leaves the list as it was.
    pub fn add(&mut self, parts: &[&[u8]]) -> Result<(), Refusal> {
        let added = parts.iter().try_for_each(|part| self.put(part)).and_then(|()| self.finish());
        self.end = self.finished;
        added
    }

    /// Removes the first string for which `is_it` holds; the others keep their order.
    pub fn remove(&mut self, is_it: impl Fn(&CStr) -> bool) {
        let mut start = 0;
        for string in self.iter() {
            let end = start + string.count_bytes() + 1;
            if is_it(string) {
                self.room.copy_within(end..self.end, start);
                self.finished -= end - start;
                self.end -= end - start;
                self.count -= 1;
                return;
            }
            start = end;
        }
    }

    /// The first `N` finished strings; missing ones are empty.
    pub fn into_array<const N: usize>(self) -> [&'a CStr; N] {
        let room: &'a [u8] = self.room;
        let mut strings = Iter { rest: &room[..self.finished] };
        core::array::from_fn(|_| strings.next().unwrap_or_default())
    }
}

/// Iterates over the finished strings of a list.
#[derive(Clone, Debug)]
pub struct Iter<'s> {
    rest: &'s [u8],
}

impl<'s> Iterator for Iter<'s> {
    type Item = &'s CStr;

    fn next(&mut self) -> Option<&'s CStr> {
        let string = CStr::from_bytes_until_nul(self.rest).ok()?;
        self.rest = &self.rest[string.count_bytes() + 1..];
        Some(string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn list<'s>(strings: &'s Strings<'_>) -> Vec<&'s CStr> {
        strings.iter().collect()
    }

    #[test]
    fn strings_lie_one_after_the_other() {
        let mut room = [0xff; 16];
        let mut strings = Strings::new(&mut room, 9);
        strings.add(&[b"A", b"=", b"1"]).unwrap();
        strings.add(&[]).unwrap();
        strings.put(b"l").unwrap();
        strings.put(b"s").unwrap();
        strings.finish().unwrap();
        assert_eq!(list(&strings), [c"A=1", c"", c"ls"]);
        assert_eq!(room[..8], *b"A=1\0\0ls\0");
    }

    #[test]
    fn a_refusal_leaves_the_list_as_it_was() {
        let mut room = [0; 6];
        let mut strings = Strings::new(&mut room, 2);
        assert_eq!(strings.add(&[b"a\0b"]), Err(Refusal::Nul));
        assert_eq!(strings.add(&[b"123456"]), Err(Refusal::NoRoom { bytes: 6 }));
        strings.add(&[b"12"]).unwrap();
        assert_eq!(strings.add(&[b"345"]), Err(Refusal::NoRoom { bytes: 6 }));
        strings.add(&[b"34"]).unwrap();
        assert_eq!(strings.add(&[]), Err(Refusal::TooMany { most: 2 }));
        assert_eq!(list(&strings), [c"12", c"34"]);
    }

    #[test]
    fn a_string_may_have_one_byte_less_than_max_arg_strlen_and_its_nul() {
        let mut room = vec![0; 2 * MAX_ARG_STRLEN];
        let mut strings = Strings::new(&mut room, 9);
        let long = vec![b'x'; MAX_ARG_STRLEN];
        assert_eq!(strings.add(&[&long]), Err(Refusal::TooLong));
        assert_eq!(strings.add(&[&long[1..], b"x"]), Err(Refusal::TooLong));
        assert_eq!(strings.add(&[&long[1..]]), Ok(()));
    }

    #[test]
    fn removal_closes_the_gap() {
        let mut room = [0; 16];
        let mut strings = Strings::new(&mut room, 9);
        for string in ["one", "two", "one"] {
            strings.add(&[string.as_bytes()]).unwrap();
        }
        strings.remove(|s| s == c"one");
        assert_eq!(list(&strings), [c"two", c"one"]);
        strings.remove(|s| s == c"six");
        strings.remove(|s| s == c"one");
        strings.add(&[b"new"]).unwrap();
        assert_eq!((list(&strings), strings.len()), (vec![c"two", c"new"], 2));
    }
}
