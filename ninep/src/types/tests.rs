use super::*;

/// From include/net/9p/9p.h.
#[test]
fn the_bits_are_those_of_linux() {
    assert_eq!([qt::DIR, qt::APPEND, qt::EXCL, qt::MOUNT], [0x80, 0x40, 0x20, 0x10]);
    assert_eq!([qt::AUTH, qt::TMP, qt::SYMLINK, qt::LINK, qt::FILE], [0x08, 0x04, 0x02, 0x01, 0x00]);

    use getattr::*;
    let bits = [MODE, NLINK, UID, GID, RDEV, ATIME, MTIME, CTIME, INO, SIZE, BLOCKS, BTIME, GEN, DATA_VERSION];
    assert_eq!(bits, core::array::from_fn(|bit| 1 << bit));
    assert_eq!([BASIC, ALL], [0x0000_07ff, 0x0000_3fff]);

    assert_eq!([open::RDONLY, open::WRONLY, open::RDWR], [0, 1, 2]);
    assert_eq!([open::CREATE, open::EXCL, open::NOCTTY, open::TRUNC], [0x40, 0x80, 0x100, 0x200]);
    assert_eq!([open::APPEND, open::NONBLOCK, open::DSYNC, open::FASYNC], [0x400, 0x800, 0x1000, 0x2000]);
    assert_eq!([open::DIRECT, open::LARGEFILE, open::DIRECTORY, open::NOFOLLOW], [0x4000, 0x8000, 0x10000, 0x20000]);
    assert_eq!([open::NOATIME, open::CLOEXEC, open::SYNC], [0x40000, 0x80000, 0x100000]);
}

const TWO: &[u8] = b"\x80\x01\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x04\x01\0.\
                     \0\0\0\0\0\x03\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x08\x04\0file";

#[test]
fn the_entries_of_a_directory_come_one_by_one() {
    let mut entries = Dirents::new(Data(TWO));
    let dot = Dirent { qid: Qid { kind: qt::DIR, version: 1, path: 2 }, offset: 1, kind: 4, name: b"." };
    let file = Dirent { qid: Qid { kind: qt::FILE, version: 0, path: 3 }, offset: 2, kind: 8, name: b"file" };
    assert_eq!(entries.next(), Some(Ok(dot)));
    assert_eq!(entries.next(), Some(Ok(file)));
    assert_eq!(entries.next(), None);
}

#[test]
fn a_torn_entry_is_the_last() {
    let mut entries = Dirents::new(Data(&TWO[..TWO.len() - 1]));
    assert!(entries.next().unwrap().is_ok());
    assert_eq!(entries.next(), Some(Err(WireError::Truncated)));
    assert_eq!(entries.next(), None);
}
