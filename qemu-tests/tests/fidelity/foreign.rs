//! Rows of tests that others wrote: a line for each with its verdict. Files that hold times or random bytes are theirs
//! to check, and gone at the end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use qemu_tests::artifacts::scratch;
use qemu_tests::skip::{Reason, on_path};
use qemu_tests::vm::{OURS, script, succeeded};

use crate::place::{Place, Who};
use crate::rows::{PYTHON_TEST, TESTSUITE, rows};
use crate::{LONG, ROW, Row, SMALL, compare};

/// `stress NAME OPERATIONS OPTIONS`. A stressor may be ended by the time limit and has passed then, but for what it says.
/// Its processes have to be gone at the end: one that waits for its file for good has this folder as its own.
const STRESS: &str = r#"
    stress() {
        local verdict=passed status=0
        stress-ng --verify --timeout 20 --temp-path . "--$1" 1 "--$1-ops" "${@:2}" >log 2>&1 || status=$?
        ! grep -Eq 'skip|unsupported' log || verdict=skipped
        [ $status = 0 ] && ! grep -q 'fail:' log || verdict="failed with $status"
        [ "$verdict" = passed ] || cat log >&2
        echo "$1 $verdict"
    }
    left() { for one in /proc/[0-9]*; do [ ! $one/cwd -ef . ] || grep -s '^stress' $one/comm; done; }
    gone() { for try in {1..100}; do [ -n "$(left)" ] || return 0; sleep 0.1; done; left; }"#;

/// Those that ask little of the relay.
const SOME_STRESSORS: &str = "
    stress access 20
    stress chdir 20 --chdir-dirs 16
    stress chmod 5
    stress dentry 64 --dentries 32
    stress dir 32 --dir-dirs 16
    stress fcntl 5
    stress flock 20
    stress fstat 20
    stress hdd 20 --hdd-bytes 1m
    stress lockf 10
    stress open 20
    stress rename 20
    stress seek 20 --seek-size 1m
    rm log; gone";

/// What is left of stress-ng's class of file systems, and what maps files. Not here, since the appliance's kernel has
/// none: aiol, dnotify, fanotify, io-uring, ioprio, verity; since v9fs or the client's server have none: fiemap, fifo,
/// lease, mknod, xattr; since at home they do nothing but wait for their time limit: chdir with 8192 directories,
/// inode-flags; since they are about other file systems: bind-mount, binderfs, eventfd, procfs.
const MORE_STRESSORS: &str = "
    stress chattr 3
    stress chown 5
    stress copy-file 2 --copy-file-bytes 128m
    stress dirdeep 20 --dirdeep-dirs 1 --dirdeep-inodes 64
    stress dirmany 20
    stress dup 20
    stress fallocate 1 --fallocate-bytes 1m
    stress fault 20
    stress file-ioctl 20
    stress filename 20 --filename-opts posix
    stress fpunch 1
    stress fsize 1
    stress getdent 20
    stress handle 20
    stress inotify 3
    stress io 5
    stress iomix 3 --iomix-bytes 1m
    stress link 1
    stress locka 20
    stress lockofd 20
    stress madvise 1
    stress mmap 1 --mmap-bytes 1m --mmap-file
    stress msync 5 --msync-bytes 1m
    stress readahead 5 --readahead-bytes 1m
    stress revio 5 --revio-bytes 1m
    stress sendfile 5 --sendfile-size 64k
    stress splice 5 --splice-bytes 64k
    stress symlink 1
    stress sync-file 3 --sync-file-bytes 1m
    stress touch 20
    stress utime 20
    rm log; gone";

/// Every block has a checksum in it; each job reads what it wrote, the last of them as four processes in one file.
const FIO: &str = "
[global]
verify=crc32c
verify_fatal=1
fallocate=none
ioengine=psync
size=512k
bs=4k
stonewall
[sequential]
rw=write
size=2m
bs=64k
[random]
rw=randwrite
[mixed]
rw=randrw
[mapped]
ioengine=mmap
rw=randwrite
[four]
rw=randwrite
size=256k
numjobs=4
[shared]
filename=shared
rw=randwrite
size=256k
offset_increment=256k
numjobs=4";

/// The name and the error of each job.
const RUN_FIO: &str = r"
    fio job >log 2>&1 || { cat log >&2; exit 1; }
    sed -nE 's/^([a-z]+): .*(err= *[0-9]+).*/\1 \2/p' log
    rm -r -- *";

const NODE_STEPS: &str = include_str!("steps.js");

/// The verdict of each test, parts and all, without its time. Tests look into the folder of their sources.
const GO_TEST: &str = r#"
    export TMPDIR=$PWD/tmp log=$PWD/log; mkdir tmp
    program=$PWD/../go/${package##*/}.test
    (cd ../go/src/$package && $program -test.v -test.skip "${skip:-^$}" >"$log" 2>&1) || grep -B9 -e '--- FAIL' log >&2
    sed -nE 's/^ *--- (PASS|FAIL|SKIP): ([^ ]*) .*/\1 \2/p' log | grep -vE "^[A-Z]+ (${except:-none})(/.*)?$" | sort
    rm -r log tmp"#;

/// Tests whose verdict does not count, each line with the reason.
const GO_FILEPATH: &str = "
    package=path/filepath
    except='TestWalk(Dir)?/PermErr'
    echo 'not those for users without privileges: root there is the user of the client'";

const GO_OS: &str = r#"
    package=os
    except='TestFilePermissions|TestReadOnlyWriteFile|TestRemoveAllButReadOnlyAndPathError'
    except="$except|TestRemoveAllSymlinkRemovalFailure|TestRemoveUnreadableDir"
    echo 'not those for users without privileges: root there is the user of the client'
    except="$except|TestFIFONonBlockingEOF|TestFifoEOF|TestSpliceFile|TestGetPollFDAndNetwork"
    except="$except|TestRootConsistency[^/]*/((from|to)/)?unix_domain_socket_(target|in_path)"
    skip='^TestSendFile$/^sendfile-to-unix$'
    echo 'not those of FIFOs and of sockets with a name: the server of the client makes none'
    except="$except|TestGetwdDeep(WithPWDSet)?|TestRemoveAllLongPath"
    echo 'not those of paths above 4096 bytes: the server of the client goes by paths'
    except="$except|TestNonPollable"
    echo 'not that of /dev/net/tun: the kernel of the appliance has none'
    skip="$skip|^TestRootMulti(Link|Rename)$/^.{10,}$"
    echo 'of links and renames in every way those of short names alone: all 1368 make 17000 files and directories'"#;

/// Each file of tests with its status, how many passed, and those that did not. The tests would take the modules of a perl
/// that is being built. through.t is a thousand programs at pipes, and crlf_through.t once more.
const PERL_T_IO: &str = r#"
    cp -r ../perl/t . && cd t && export TMPDIR=$PWD
    sed -i 's/^sub set_up_inc {/& return;/' test.pl
    rm io/through.t io/crlf_through.t
    for test in io/*.t; do
        status=0
        /usr/bin/perl $test >out 2>err </dev/null || status=$?
        echo "$test $status $(grep -c '^ok' out) $(sed -nE 's/^(not ok [0-9]+).*/\1/p' out | xargs)"
        ! grep -q '^not ok' out || cat err >&2
    done
    cd .. && rm -r t"#;

const PERL_PATHS: [&str; 6] = ["t/io", "t/test.pl", "t/charset_tools.pl", "t/loc_tools.pl", "t/TEST", "t/harness"];

/// The tests of perl's input and output, below `perl`.
fn perl_tests(place: &Place) -> Result<(), Reason> {
    static FETCHED: OnceLock<Result<PathBuf, Reason>> = OnceLock::new();
    place.bring(FETCHED.get_or_init(|| sources("perl", &PERL_PATHS)).as_ref().map_err(Clone::clone)?, "perl");
    Ok(())
}

/// Python's tests of sqlite3, below `python`: Debian has them in no package.
fn sqlite3_tests(place: &Place) -> Result<(), Reason> {
    static FETCHED: OnceLock<Result<PathBuf, Reason>> = OnceLock::new();
    let fetch = || {
        let asked = succeeded(Command::new("dpkg-query").args(["-W", "-f=${source:Package}", TESTSUITE[0]]).output());
        sources(&String::from_utf8_lossy(&asked.stdout), &["Lib/test/test_sqlite3"])
    };
    place.bring(FETCHED.get_or_init(fetch).as_ref().map_err(Clone::clone)?, "python");
    Ok(())
}

/// A folder with paths of Debian's sources of `package`.
fn sources(package: &str, paths: &[&str]) -> Result<PathBuf, Reason> {
    let folder = scratch(&format!("{package}-tests"));
    let fetched = script("foreign-source.sh").arg("--out").arg(&folder).arg(package).args(paths).output();
    let fetched = fetched.expect("bash runs");
    let said = String::from_utf8_lossy(&fetched.stderr);
    let why = || said.lines().last().unwrap_or("foreign-source.sh gives no reason").to_owned();
    fetched.status.success().then_some(folder).ok_or_else(why)
}

/// The tests of three packages of Go's, compiled, and the sources that they look into, below `go`.
fn go_tests(place: &Place) -> Result<(), Reason> {
    static BUILT: OnceLock<Result<(PathBuf, PathBuf), Reason>> = OnceLock::new();
    let build = || {
        let (go, programs) = (on_path("go")?, scratch("go-tests"));
        let asked = succeeded(Command::new(&go).args(["env", "GOROOT"]).output());
        let sources = Path::new(String::from_utf8_lossy(&asked.stdout).trim()).join("src");
        let test = sources.join("os/os_test.go");
        test.is_file().then_some(()).ok_or_else(|| format!("Go without {}", test.display()))?;
        for package in GO_PACKAGES {
            let mut test = Command::new(&go);
            test.env("CGO_ENABLED", "0").args(["test", "-c", "-o"]).arg(program(&programs, package)).arg(package);
            succeeded(test.current_dir(&programs).output());
        }
        Ok((programs, sources))
    };
    let (programs, sources) = BUILT.get_or_init(build).as_ref().map_err(Clone::clone)?;
    for package in GO_PACKAGES {
        place.bring(&sources.join(package), &format!("go/src/{package}"));
        let program = program(programs, package);
        place.bring(&program, &format!("go/{}", program.file_name().expect("a name").display()));
    }
    Ok(())
}

const GO_PACKAGES: [&str; 3] = ["os", "path/filepath", "io/fs"];

/// `folder/NAME.test`, NAME being the last of the package's path.
fn program(folder: &Path, package: &str) -> PathBuf {
    folder.join(Path::new(package).file_name().expect("a name")).with_extension("test")
}

/// A module of Python's test suite, which some releases of the package lack.
macro_rules! python {
    ($test:literal) => {
        Row { needs: TESTSUITE, script: &[concat!("test=", $test), PYTHON_HAS_IT, PYTHON_TEST], limit: LONG, ..ROW }
    };
}

const PYTHON_HAS_IT: &str = "
    /usr/bin/python3 -c \"import importlib.util as u, sys; sys.exit(not u.find_spec('test.$test'))\" ||
        { echo \"Debian's package has no $test\"; exit 77; }";

/// A package `test` of what these tests import and of themselves.
const SQLITE3: &str = "
    suite=$(/usr/bin/python3 -c 'import test; print(*test.__path__)')
    mkdir -p lib/test
    ln -s $suite/{__init__.py,support} ../../../python/Lib/test/test_sqlite3 lib/test";

/// Tests of test_tarfile that count for root alone.
const TEST_TARFILE: &str = "
    test=test_tarfile
    [ $USER_ID = 0 ] || except='test_extract_directory|test_extractall|test_extract(all)?_pathlike_name'
    echo 'not those that extract directories, unless root is: a root who may not chown fails them at home, too'";

const STRESS_NG: &[&str] = &["stress-ng"];

rows! {
    stress_ng: Row { needs: STRESS_NG, script: &[STRESS, SOME_STRESSORS], ..ROW };
    #[ignore = "takes long"]
    stress_ng_all: Row { needs: STRESS_NG, script: &[STRESS, MORE_STRESSORS], limit: LONG, ..ROW };
    fio: Row { needs: &["fio"], setup: &["cat >job <<'end'", FIO, "end"], script: &[RUN_FIO], ..ROW };
    node: Row {
        needs: &["nodejs"],
        setup: &["cat >steps.js <<'end'", NODE_STEPS, "end"],
        script: &["/usr/bin/node steps.js"],
        ..ROW
    };
    go_io_fs: Row { bring: go_tests, script: &["package=io/fs", GO_TEST], ..ROW };
    go_path_filepath: Row { bring: go_tests, script: &[GO_FILEPATH, GO_TEST], ..ROW };
    #[ignore = "takes long"]
    go_os: Row { bring: go_tests, script: &[GO_OS, GO_TEST], limit: LONG, ..ROW };
    #[ignore = "takes long"]
    perl_t_io: Row { bring: perl_tests, script: &[PERL_T_IO], limit: LONG, ..ROW };
    python_test_fileio: python!("test_fileio");
    #[ignore = "takes long"]
    python_test_glob: python!("test_glob");
    #[ignore = "takes long"]
    python_test_mailbox: python!("test_mailbox");
    #[ignore = "takes long"]
    python_test_pathlib: python!("test_pathlib");
    #[ignore = "takes long"]
    python_test_sqlite3: Row {
        needs: TESTSUITE,
        bring: sqlite3_tests,
        setup: &[SQLITE3],
        script: &["test=test_sqlite3; export PYTHONPATH=$PWD/lib", PYTHON_HAS_IT, PYTHON_TEST],
        limit: LONG,
        ..ROW
    };
    #[ignore = "takes long"]
    python_test_subprocess: python!("test_subprocess");
    #[ignore = "takes long"]
    python_test_tarfile: Row { needs: TESTSUITE, script: &[TEST_TARFILE, PYTHON_TEST], limit: LONG, ..ROW };
    #[ignore = "takes long"]
    python_test_zipfile: python!("test_zipfile");
}
