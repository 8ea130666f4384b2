//! A client that is killed while a program of the rows is at work leaves no process and no mount behind, and of memory
//! what its user's relay may have.

use std::thread;
use std::time::{Duration, Instant};

use qemu_tests::look::{descriptors, others};
use qemu_tests::or_skip;
use qemu_tests::run::{run, start};
use qemu_tests::vm::parse;

use crate::place::{Place, Who};
use crate::{LIMIT, Row, SMALL, possible, rows};

/// For how long something of the session may be left.
const SOON: Duration = Duration::from_secs(5);

/// KiB of a relay with 128 KiB of cache, full, and the tables and buffers of the session that looks. 408 were seen, after
/// one client as after twenty.
const RELAY: u64 = 480;

/// Runs the row's script through a client, and kills that when it has a file open whose path has `file` in it.
fn pull(name: &str, row: &Row, file: &str) {
    let who = if Who::Root.here().is_ok() { Who::Root } else { Who::User };
    or_skip!(possible(row, who));
    let place = Place::new(&format!("{name}-pulled"), who);
    place.empty();
    run(&mut place.at_home(row.setup), LIMIT).ok();
    let vm = SMALL.alone();
    // Today's client where there is one, the tests' own elsewhere.
    let command = place.by_stock_client(vm.port, row.script);
    let client = start(&mut command.unwrap_or_else(|_| place.there(vm.port, row.script)), Vec::new());
    let deadline = Instant::now() + LIMIT;
    while descriptors(client.pid()).is_ok_and(|paths| !paths.iter().any(|path| path.contains(file))) {
        if Instant::now() > deadline {
            client.signal("KILL");
            panic!("it has not opened {file} in {LIMIT:?}");
        }
        thread::yield_now();
    }
    client.signal("KILL");
    let gone = Instant::now();
    let outcome = client.finish(LIMIT);
    assert_eq!(outcome.code(), 128 + 9, "it ended before: {}{}", outcome.text(), outcome.complaint());
    loop {
        let asked = gone.elapsed();
        let text = vm.look(&[]);
        let all = parse(&text);
        let (left, mounts) = (others(&all), text.lines().filter(|line| line.starts_with("mount ")).count());
        // The relay, and the mount of the session that looks.
        if let ([relay], 1) = (&left[..], mounts) {
            assert!(relay.filtered && relay.anonymous <= RELAY, "{relay:?}");
            return;
        }
        assert!(asked < SOON, "left over: {left:#?}\n{text}");
    }
}

macro_rules! pulled {
    ($($(#[$attribute:meta])* $name:ident at $file:literal;)*) => {$(
        #[test]
        $(#[$attribute])*
        fn $name() {
            pull(stringify!($name), &rows::$name::THIS, $file);
        }
    )*};
}

pulled! {
    #[ignore = "takes long"]
    find at "/work/src";
    #[ignore = "takes long"]
    ls_lr at "/work/src";
    #[ignore = "takes long"]
    os_walk at "/usr/share/perl/";
    #[ignore = "takes long"]
    du at "/work/src";
    #[ignore = "takes long"]
    tar_out at "/work/src/dir/deep/large";
    tar_in at "/work/src/";
    #[ignore = "takes long"]
    git at "/.git/objects/";
    c_build at "/work/part2.o";
    #[ignore = "takes long"]
    cargo_build at "/work/target/";
    sqlite_rollback_journal at "/work/numbers.db-journal";
    #[ignore = "takes long"]
    sqlite_wal at "/work/numbers.db-wal";
    #[ignore = "takes long"]
    python_test_os at "@test";
    #[ignore = "takes long"]
    python_test_shutil at "/work/tmp/";
    #[ignore = "takes long"]
    python_test_tempfile at "/work/tmp/";
    #[ignore = "takes long"]
    python_test_mmap at "@test";
    #[ignore = "takes long"]
    python_test_fcntl at "@test";
    #[ignore = "takes long"]
    rsync at "/work/copy/";
    #[ignore = "takes long"]
    vim at "/work/.numbers.sw";
    mapping at "/work/mapped";
    #[ignore = "takes long"]
    locker at "/work/fcntl";
    #[ignore = "takes long"]
    dpkg_deb at "/work/out/";
    #[ignore = "takes long"]
    sort at "/work/tmp/sort";
}
