//! The rows. Each is run by a client that is root and by one that is not, and once more where the relay has little
//! memory; those that take long, with --all only.

use qemu_tests::vm::OURS;

use crate::place::Who;
use crate::{Expect::Differs, LONG, ROW, Row, SMALL, compare};

macro_rules! rows {
    ($($(#[$attribute:meta])* $name:ident: $row:expr;)*) => {$(
        pub mod $name {
            use super::*;

            pub const THIS: Row = $row;

            #[test]
            $(#[$attribute])*
            fn is_the_same_for_a_client_that_is_root() {
                compare(stringify!($name), &THIS, Who::Root, &OURS);
            }

            #[test]
            $(#[$attribute])*
            fn is_the_same_for_a_client_that_is_not_root() {
                compare(stringify!($name), &THIS, Who::User, &OURS);
            }

            #[test]
            $(#[$attribute])*
            fn is_the_same_with_the_smallest_relay() {
                compare(concat!(stringify!($name), "-small"), &THIS, Who::User, &SMALL);
            }
        }
    )*};
}

pub(crate) use rows;

/// Files, directories and links of some kinds, from 2020. Whole seconds: the kernel's v9fs rounds a time that is set.
const TREE: &str = "
    mkdir -p src/dir/deep src/empty 'src/a name'
    seq 2000 >src/dir/numbers
    seq 40000 >src/dir/deep/large
    printf x >'src/a name/with blank'
    : >src/nothing
    ln -s dir/numbers src/link
    ln -s nowhere src/dangling
    ln src/dir/numbers src/hard
    chmod 600 src/dir/numbers
    chmod 755 src/nothing
    chmod 700 src/empty
    find src -depth -exec touch -h -d '2020-02-02 02:02:02 UTC' {} +";

/// A C program of five files. Its objects hold no times.
const SOURCES: &str = r#"
    for n in 1 2 3 4; do
        printf '#include <stdio.h>\nvoid part%d(void) { printf("%d\\n"); }\n' $n $n >part$n.c
    done
    printf 'void part1(void), part2(void), part3(void), part4(void);
        int main(void) { part1(); part2(); part3(); part4(); }\n' >main.c
    printf 'objects = main.o part1.o part2.o part3.o part4.o\nprogram: $(objects)\n\tgcc -o $@ $^\n' >Makefile"#;

const PACKAGE: &str = "
    mkdir -p package/DEBIAN package/usr/share/thing
    printf 'Package: thing\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: a thing\n' \
        >package/DEBIAN/control
    seq 5000 >package/usr/share/thing/numbers
    ln -s numbers package/usr/share/thing/link
    find package -exec touch -h -d '2020-02-02 UTC' {} +
    SOURCE_DATE_EPOCH=1580608922 dpkg-deb --root-owner-group -b package thing.deb
    rm -r package";

/// Commits of a time and a person that are given. The index holds inode numbers and times, which no two runs share.
const GIT: &str = "
    export GIT_AUTHOR_DATE='1580608922 +0000' GIT_COMMITTER_DATE='1580608922 +0000'
    export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
    git init -q -b main src && cd src
    git add . && git commit -q -m one && git status --short
    seq 7 >dir/new && git rm -q hard && git status --short
    git add . && git commit -q -m two
    git log --stat
    git -c pack.threads=1 gc -q && git fsck && git count-objects -v && git status
    rm .git/index";

const CRATE: &str = r#"
    mkdir -p src
    printf '[package]\nname = "hello"\nversion = "0.1.0"\nedition = "2021"\n' >Cargo.toml
    printf 'mod word;\nfn main() { println!("{}", word::WORD); }\n' >src/main.rs
    printf 'pub const WORD: &str = "hello";\n' >src/word.rs"#;

/// The target folder holds times and is left out but for the program.
const CARGO: &str = "
    [ -r $RUST/bin/cargo ] || { echo 'cargo lies where this user may not read'; exit 77; }
    PATH=$RUST/bin:$PATH cargo build --quiet --offline
    target/debug/hello
    mv target/debug/hello . && rm -r target";

const SQL: &str = "
    create table numbers (n integer primary key, word text);
    with recursive up(n) as (select 1 union all select n + 1 from up where n < 2000)
        insert into numbers select n, 'number ' || n from up;
    begin; update numbers set word = 'gone'; rollback;
    begin; delete from numbers where n % 2; commit;
    select count(*), sum(n), max(word) from numbers;
    pragma integrity_check;";

const OS_WALK: &str = "
import os
for top, directories, files in os.walk('/usr/share/perl'): print(top, sorted(directories), sorted(files))";

/// A file is mapped, changed through the mapping and read by another process.
const MAPPING: &str = "
import mmap, os, subprocess
with open('mapped', 'w+b') as file:
    file.truncate(100000)
    with mmap.mmap(file.fileno(), 100000) as page:
        page[5:10] = b'12345'
        page[90000:90003] = b'end'
        page.flush()
    print(subprocess.run(['md5sum', 'mapped'], capture_output=True, text=True).stdout)";

/// Two processes add to a number in a file, by each kind of lock.
const LOCKER: &str = "
import fcntl, os
for name, lock in ('flock', fcntl.flock), ('fcntl', fcntl.lockf):
    open(name, 'w').write('0')
    children = []
    for _ in range(2):
        if pid := os.fork():
            children.append(pid)
            continue
        for _ in range(50):
            with open(name, 'r+') as file:
                lock(file, fcntl.LOCK_EX)
                number = int(file.read())
                file.seek(0)
                file.write(str(number + 1))
        os._exit(0)
    print([os.waitpid(pid, 0)[1] for pid in children], name, open(name).read())
with open('flock') as one, open('flock') as two:
    fcntl.flock(one, fcntl.LOCK_EX)
    try:
        fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print('both have the lock')
    except BlockingIOError:
        print('one has the lock')";

/// What open(2), rename(2) and unlink(2) promise, a line each.
const OPEN_FILES: &str = "
import errno, os, stat
def attempt(what, do):
    try: print(what, do())
    except OSError as e: print(what, errno.errorcode[e.errno])
attempt('new', lambda: os.close(os.open('new', os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640)))
attempt('new again', lambda: os.open('new', os.O_CREAT | os.O_EXCL | os.O_WRONLY))
one, two = (os.open('lines', os.O_CREAT | os.O_APPEND | os.O_RDWR) for _ in 'ab')
for n in range(4): os.write((one, two)[n % 2], b'line %d;' % n)
attempt('appended', lambda: open('lines').read())
attempt('truncated', lambda: os.fstat(os.open('lines', os.O_TRUNC | os.O_WRONLY)).st_size)
gone = os.open('gone', os.O_CREAT | os.O_RDWR)
os.write(gone, b'still here')
os.unlink('gone')
attempt('unlinked, size', lambda: os.fstat(gone).st_size)
attempt('unlinked, links', lambda: os.fstat(gone).st_nlink)
attempt('unlinked, truncate', lambda: os.ftruncate(gone, 5))
attempt('unlinked, mode', lambda: os.fchmod(gone, 0o600))
attempt('unlinked, read', lambda: os.pread(gone, 20, 0))
open('old', 'w').write('old')
open('young', 'w').write('young')
old = os.open('old', os.O_RDONLY)
os.rename('young', 'old')
attempt('renamed over', lambda: os.pread(old, 20, 0))
attempt('renamed', lambda: open('old').read())
attempt('directory over file', lambda: (os.mkdir('directory'), os.rename('directory', 'old')))
attempt('not empty', lambda: (open('directory/x', 'w').close(), os.rmdir('directory')))
attempt('hole', lambda: (os.pwrite(one, b'x', 5000), len(os.pread(one, 9000, 0))))
attempt('long name', lambda: open('n' * 256, 'w'))
attempt('owner', lambda: os.chown('new', os.geteuid(), os.getegid()))
attempt('sync', lambda: os.fsync(one))
attempt('utime', lambda: (os.utime('new', ns=(1, 1580608922123456789)), os.stat('new').st_mtime_ns)[1])";

/// FIFOs and sockets carry bytes between processes.
const SPECIAL: &str = "
import os, socket, stat
os.mkfifo('fifo')
print(stat.filemode(os.stat('fifo').st_mode))
if os.fork():
    print(open('fifo').read(), os.wait()[1])
else:
    open('fifo', 'w').write('through the fifo')
    os._exit(0)
server = socket.socket(socket.AF_UNIX)
server.bind('socket')
server.listen()
print(stat.filemode(os.stat('socket').st_mode))
client = socket.socket(socket.AF_UNIX)
client.connect('socket')
client.send(b'through the socket')
print(server.accept()[0].recv(100))";

/// Tests of test_os whose failure does not count, each line with the reason.
const TEST_OS: &str = "
    test=test_os
    except='test_utime_current(_old)?'
    echo 'not test_utime_current...: now is the time of the client, and the appliance has a clock of its own'
    except=\"$except|test_chown_with_root\"
    echo 'not test_chown_with_root: root there is the user of the client'";

/// The names of the tests that fail, and how many there are; how many are left out depends on who root is.
pub const PYTHON_TEST: &str = "
    mkdir tmp
    TMPDIR=$PWD/tmp /usr/bin/python3 -W ignore -m unittest test.$test >log 2>&1 || true
    sed -nE 's/^((FAIL|ERROR): .*|Ran [0-9]+ tests).*/\\1/p' log | grep -vE \"^[A-Z]+: (${except:-none}) \" | sort
    rm -r log tmp";

pub const TESTSUITE: &[&str] = &["libpython3.*-testsuite"];
const PYTHON: &str = "/usr/bin/python3 script.py";

const NO_SPECIAL: [&str; 2] = ["the client's server makes no FIFO and no socket", "os.mkfifo('fifo')"];
const NO_DNOTIFY: [&str; 2] = ["the appliance's kernel has no dnotify", "test_fcntl_64_bit"];

/// `row`, which differs for either client.
const fn differs(row: Row, [reason, words]: [&'static str; 2]) -> Row {
    Row { as_root: Differs(reason, words), as_user: Differs(reason, words), ..row }
}

// A directory's names are sorted where they are printed as they come: the client's server sorts them.
rows! {
    find: Row {
        setup: &[TREE],
        script: &["find /usr/share/perl src -type f | sort; find src -type l | sort; find src -type d | sort"],
        ..ROW
    };
    find_printf: Row {
        script: &["find /usr/share/perl -printf '%p %y %m %s %n %T@ %l\n' | sort"],
        ..ROW
    };
    // The owner is root there.
    ls_lr: Row {
        setup: &[TREE],
        script: &[
            "ls -lR --full-time /usr/share/perl",
            r#"ls -lnR --full-time src | sed -E "s/ +(0|$USER_ID) +(0|$GROUP_ID) +/ root root /""#,
        ],
        ..ROW
    };
    os_walk: Row {
        setup: &["cat >script.py <<'end'", OS_WALK, "end"],
        script: &["/usr/bin/python3 script.py | sort"],
        ..ROW
    };
    du: Row {
        setup: &[TREE],
        script: &["du -a /usr/share/perl | sort; du -a --apparent-size src | sort; du --inodes src | sort"],
        ..ROW
    };
    // How much is for the client's server to say, which does not; none would make installers give up.
    free_space: Row { script: &["[ $(stat -f -c %b .) -gt 0 ]; stat -f -c %l ."], ..ROW };
    // The owner is root there.
    tar_out: Row {
        setup: &[TREE],
        script: &["tar -C /usr/share -c --sort=name perl | sha256sum; tar -c --sort=name --owner=0 --group=0 src | sha256sum"],
        ..ROW
    };
    tar_in: Row {
        setup: &[TREE, "tar -cf src.tar src; rm -r src"],
        script: &["tar -xpf src.tar"],
        ..ROW
    };
    git: Row { needs: &["git"], setup: &[TREE], script: &[GIT], ..ROW };
    c_build: Row {
        needs: &["gcc", "libc6-dev", "make"],
        setup: &[SOURCES],
        script: &["make -s -j2; ./program; make -q; touch part1.c; make -q || echo again"],
        ..ROW
    };
    #[ignore = "takes long"]
    cargo_build: Row { needs: &["gcc", "libc6-dev"], setup: &[CRATE], script: &[CARGO], ..ROW };
    sqlite_rollback_journal: Row {
        needs: &["sqlite3"],
        setup: &["cat >script.sql <<'end'", SQL, "end"],
        script: &["sqlite3 numbers.db 'pragma journal_mode = delete' '.read script.sql'"],
        ..ROW
    };
    sqlite_wal: Row {
        needs: &["sqlite3"],
        setup: &["cat >script.sql <<'end'", SQL, "end"],
        script: &["sqlite3 numbers.db 'pragma journal_mode = wal' '.read script.sql'"],
        ..ROW
    };
    #[ignore = "takes long"]
    python_test_os: Row { needs: TESTSUITE, script: &[TEST_OS, PYTHON_TEST], limit: LONG, ..ROW };
    #[ignore = "takes long"]
    python_test_shutil: Row { needs: TESTSUITE, script: &["test=test_shutil", PYTHON_TEST], ..ROW };
    #[ignore = "takes long"]
    python_test_tempfile: Row { needs: TESTSUITE, script: &["test=test_tempfile", PYTHON_TEST], ..ROW };
    #[ignore = "takes long"]
    python_test_mmap: Row { needs: TESTSUITE, script: &["test=test_mmap", PYTHON_TEST], ..ROW };
    #[ignore = "takes long"]
    python_test_fcntl: differs(Row { needs: TESTSUITE, script: &["test=test_fcntl", PYTHON_TEST], ..ROW }, NO_DNOTIFY);
    // The client's server cannot set the time of a link.
    rsync: Row {
        needs: &["rsync"],
        setup: &[TREE],
        script: &["rsync -aHJ src/ copy/; echo same; rsync -aHJin --delete src/ copy/"],
        ..ROW
    };
    vim: Row {
        needs: &["vim-tiny"],
        setup: &["seq 500 >numbers"],
        script: &["vim.tiny -u NONE -es -c '%s/7$/seven/' -c 'g/^1/d' -c wq numbers; wc numbers"],
        ..ROW
    };
    mapping: Row { setup: &["cat >script.py <<'end'", MAPPING, "end"], script: &[PYTHON], ..ROW };
    locker: Row { setup: &["cat >script.py <<'end'", LOCKER, "end"], script: &[PYTHON], ..ROW };
    open_files: Row { setup: &["cat >script.py <<'end'", OPEN_FILES, "end"], script: &[PYTHON], ..ROW };
    modes_and_times: Row {
        script: &[
            "umask 2; mkdir d; mkdir -m 1777 t; : >f; umask 77; mkdir p; : >q; stat -c '%n %a' d t f p q",
            "touch -d '2020-01-01 UTC' f; touch -m -d '2021-01-01 UTC' f; touch -a -d '2022-01-01 UTC' f; stat -c '%X %Y' f",
        ],
        ..ROW
    };
    special_files: differs(Row { setup: &["cat >script.py <<'end'", SPECIAL, "end"], script: &[PYTHON], ..ROW }, NO_SPECIAL);
    dpkg_deb: Row { setup: &[PACKAGE], script: &["dpkg-deb -x thing.deb out"], ..ROW };
    #[ignore = "takes long"]
    sort: Row {
        setup: &["seq 500000 | rev >lines"],
        script: &["mkdir tmp; sort -S 1M -T tmp lines >sorted; rmdir tmp; sort -c sorted; wc sorted"],
        ..ROW
    };
}
