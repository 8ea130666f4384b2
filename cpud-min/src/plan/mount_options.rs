//! The options of a mount: mount(8)'s words on one side, mount(2)'s flags and the file system's own
//! words on the other.

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
    /// Nothing here: it says who may mount and when.
    Nothing,
    /// The line is not to be mounted unless somebody asks for it.
    NotNow,
    /// It belongs to the file system, as mount(2)'s `data`.
    Data,
}

/// What `option` means to mount(8), sections "FILESYSTEM-INDEPENDENT MOUNT OPTIONS" and "BIND MOUNT
/// OPERATION", and to the reference server, whose own words are `rdonly`, `synchronous` and `rec`.
pub fn meaning(option: &[u8]) -> Meaning {
    use Meaning::{Clear, Data, NotNow, Nothing, Set};
    match option {
        b"" | b"defaults" | b"auto" | b"user" | b"nouser" | b"users" | b"owner" | b"group" | b"nofail" | b"_netdev" => {
            Nothing
        }
        b"noauto" => NotNow,
        b"ro" | b"rdonly" => Set(MS_RDONLY),
        b"rw" => Clear(MS_RDONLY),
        b"nosuid" => Set(MS_NOSUID),
        b"suid" => Clear(MS_NOSUID),
        b"nodev" => Set(MS_NODEV),
        b"dev" => Clear(MS_NODEV),
        b"noexec" => Set(MS_NOEXEC),
        b"exec" => Clear(MS_NOEXEC),
        b"sync" | b"synchronous" => Set(MS_SYNCHRONOUS),
        b"async" => Clear(MS_SYNCHRONOUS),
        b"dirsync" => Set(MS_DIRSYNC),
        b"nosymfollow" => Set(MS_NOSYMFOLLOW),
        b"symfollow" => Clear(MS_NOSYMFOLLOW),
        b"noatime" => Set(MS_NOATIME),
        b"atime" => Clear(MS_NOATIME),
        b"nodiratime" => Set(MS_NODIRATIME),
        b"diratime" => Clear(MS_NODIRATIME),
        b"relatime" => Set(MS_RELATIME),
        b"norelatime" => Clear(MS_RELATIME),
        b"strictatime" => Set(MS_STRICTATIME),
        b"nostrictatime" => Clear(MS_STRICTATIME),
        b"lazytime" => Set(MS_LAZYTIME),
        b"nolazytime" => Clear(MS_LAZYTIME),
        b"iversion" => Set(MS_I_VERSION),
        b"noiversion" => Clear(MS_I_VERSION),
        b"mand" => Set(MS_MANDLOCK),
        b"nomand" => Clear(MS_MANDLOCK),
        b"silent" => Set(MS_SILENT),
        b"loud" => Clear(MS_SILENT),
        b"remount" => Set(MS_REMOUNT),
        b"bind" => Set(MS_BIND),
        b"rbind" => Set(MS_BIND | MS_REC),
        b"rec" => Set(MS_REC),
        b"private" => Set(MS_PRIVATE),
        b"rprivate" => Set(MS_PRIVATE | MS_REC),
        b"slave" => Set(MS_SLAVE),
        b"rslave" => Set(MS_SLAVE | MS_REC),
        b"shared" => Set(MS_SHARED),
        b"rshared" => Set(MS_SHARED | MS_REC),
        b"unbindable" => Set(MS_UNBINDABLE),
        b"runbindable" => Set(MS_UNBINDABLE | MS_REC),
        _ if [b"x-".as_slice(), b"X-", b"comment="].iter().any(|prefix| option.starts_with(prefix)) => Nothing,
        _ => Data,
    }
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
