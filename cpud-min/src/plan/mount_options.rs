//! Mount options: mount(8)'s words, as mount(2)'s flags and the file system's own options.

use linux_raw_sys::general::{
    MS_BIND, MS_DIRSYNC, MS_I_VERSION, MS_LAZYTIME, MS_MANDLOCK, MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC,
    MS_NOSUID, MS_NOSYMFOLLOW, MS_PRIVATE, MS_RDONLY, MS_REC, MS_RELATIME, MS_REMOUNT, MS_SHARED, MS_SILENT, MS_SLAVE,
    MS_STRICTATIME, MS_SYNCHRONOUS, MS_UNBINDABLE,
};

/// What one option asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Meaning {
    /// These `MS_*` flags.
    Set(u32),
    /// Not these `MS_*` flags.
    Clear(u32),
    /// Nothing: it says who may mount and when.
    Nothing,
    /// The line is mounted only when somebody asks for it.
    NotNow,
    /// It belongs to the file system, as mount(2)'s `data`.
    Data,
}

/// The words that set flags, and the words that clear them.
const FLAGS: &[(&str, &str, u32)] = &[
    ("ro", "rw", MS_RDONLY),
    ("nosuid", "suid", MS_NOSUID),
    ("nodev", "dev", MS_NODEV),
    ("noexec", "exec", MS_NOEXEC),
    ("sync", "async", MS_SYNCHRONOUS),
    ("dirsync", "", MS_DIRSYNC),
    ("nosymfollow", "symfollow", MS_NOSYMFOLLOW),
    ("noatime", "atime", MS_NOATIME),
    ("nodiratime", "diratime", MS_NODIRATIME),
    ("relatime", "norelatime", MS_RELATIME),
    ("strictatime", "nostrictatime", MS_STRICTATIME),
    ("lazytime", "nolazytime", MS_LAZYTIME),
    ("iversion", "noiversion", MS_I_VERSION),
    ("mand", "nomand", MS_MANDLOCK),
    ("silent", "loud", MS_SILENT),
    ("remount", "", MS_REMOUNT),
    ("bind", "", MS_BIND),
    ("rbind", "", MS_BIND | MS_REC),
    ("private", "", MS_PRIVATE),
    ("rprivate", "", MS_PRIVATE | MS_REC),
    ("slave", "", MS_SLAVE),
    ("rslave", "", MS_SLAVE | MS_REC),
    ("shared", "", MS_SHARED),
    ("rshared", "", MS_SHARED | MS_REC),
    ("unbindable", "", MS_UNBINDABLE),
    ("runbindable", "", MS_UNBINDABLE | MS_REC),
    // Words of the reference server.
    ("rdonly", "", MS_RDONLY),
    ("synchronous", "", MS_SYNCHRONOUS),
    ("rec", "", MS_REC),
];

/// Who may mount, and when: nothing to mount(2).
const NOTHING: &[&str] = &["defaults", "auto", "user", "nouser", "users", "owner", "group", "nofail", "_netdev"];

/// What `option` means to mount(8), sections "FILESYSTEM-INDEPENDENT MOUNT OPTIONS" and "BIND MOUNT OPERATION", and to
/// the reference server.
pub fn meaning(option: &[u8]) -> Meaning {
    let is = |word: &&str| word.as_bytes() == option;
    let comment = || ["x-", "X-", "comment="].iter().any(|prefix| option.starts_with(prefix.as_bytes()));
    if option.is_empty() || NOTHING.iter().any(is) || comment() {
        return Meaning::Nothing;
    }
    for (set, clear, flags) in FLAGS {
        if is(set) {
            return Meaning::Set(*flags);
        }
        if is(clear) {
            return Meaning::Clear(*flags);
        }
    }
    if option == b"noauto" { Meaning::NotNow } else { Meaning::Data }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of mount(2)'s flags, written down a second time from the kernel's
    /// uapi/linux/mount.h.
    #[test]
    fn flags_are_the_kernels() {
        for (option, flags) in [
            ("ro", 1),
            ("nosuid", 2),
            ("nodev", 4),
            ("noexec", 8),
            ("sync", 16),
            ("remount", 32),
            ("noatime", 1024),
            ("bind", 4096),
            ("rbind", 4096 | 16384),
            ("rprivate", 1 << 18 | 16384),
            ("relatime", 1 << 21),
        ] {
            assert_eq!(meaning(option.as_bytes()), Meaning::Set(flags), "{option}");
        }
    }

    #[test]
    fn no_takes_a_flag_back() {
        for (option, opposite) in [("suid", "nosuid"), ("rw", "ro"), ("async", "sync"), ("norelatime", "relatime")] {
            let Meaning::Set(flags) = meaning(opposite.as_bytes()) else { panic!("{opposite} sets no flag") };
            assert_eq!(meaning(option.as_bytes()), Meaning::Clear(flags));
        }
    }

    #[test]
    fn words_for_mount_8_and_for_the_file_system_are_told_apart() {
        for option in ["defaults", "nofail", "x-systemd.automount", "comment=mine", ""] {
            assert_eq!(meaning(option.as_bytes()), Meaning::Nothing, "{option}");
        }
        for option in ["size=1m", "vers=3", "xattr", "RO"] {
            assert_eq!(meaning(option.as_bytes()), Meaning::Data, "{option}");
        }
        assert_eq!(meaning(b"noauto"), Meaning::NotNow);
    }
}
