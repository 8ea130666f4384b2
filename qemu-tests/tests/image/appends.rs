//! One end of file for all who append: processes and sessions, and programs of the client's own.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use qemu_tests::artifacts::scratch;
use qemu_tests::client::Client;
use qemu_tests::run::{Running, run, start};
use qemu_tests::vm::served;
use qemu_tests::{or_skip, programs};

use crate::{LIMIT, machine, v3};

/// A file with these bytes in it, in a folder that is in no name space.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = scratch("appends").join(name);
    fs::write(&path, bytes).expect("a file in the scratch folder");
    path
}

fn begin(port: u16, words: &[&str]) -> Running {
    start(Client::v3(port).unwrap_or_else(|e| panic!("{e}")).command(words), Vec::new())
}

/// Asserts that a file has the lines `WHO 1` to `WHO n` of each writer, each once, in that order, and nothing else.
#[track_caller]
fn assert_all_there(path: &Path, writers: &[(&str, usize)]) {
    let text = fs::read_to_string(path).expect("the file that was appended to");
    let mut lines: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines() {
        let (who, n) = line.split_once(' ').unwrap_or_else(|| panic!("half a line: {line:?}"));
        lines.entry(who).or_default().push(n);
    }
    for (who, n) in writers {
        let wanted: Vec<String> = (1..=*n).map(|n| n.to_string()).collect();
        assert_eq!(lines.remove(who).unwrap_or_default(), wanted, "{who}");
    }
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn five_shells_append_a_line_each() {
    let vm = machine!(shared);
    let path = file("five", b"");
    let script = format!("for i in 1 2 3 4 5; do (echo s$i 1 >> {}) & done; wait", served(&path));
    v3(vm.port, &[], &["sh", "-c", &script]).ok();
    assert_all_there(&path, &[("s1", 1), ("s2", 1), ("s3", 1), ("s4", 1), ("s5", 1)]);
}

/// Whose server is not the tests' own.
#[test]
fn five_shells_append_a_line_each_to_a_file_of_the_stock_client() {
    let vm = machine!(shared);
    let path = file("stock", b"");
    let script = format!("for i in 1 2 3 4 5; do (echo s$i 1 >> {}) & done; wait", served(&path));
    run(or_skip!(Client::stock(vm.port)).command(&["sh", "-c", &script]), LIMIT).ok();
    assert_all_there(&path, &[("s1", 1), ("s2", 1), ("s3", 1), ("s4", 1), ("s5", 1)]);
}

/// Shells that write each line for itself, `tee -a`, a python that keeps lines back; another session; this machine.
#[test]
fn lines_of_processes_sessions_and_this_machine_are_all_there_in_order() {
    let vm = machine!(shared);
    let python = or_skip!(programs::python());
    let path = file("lines", b"");
    let there = served(&path);
    let shell = |who: &str| format!("(i=0; while [ $i -lt 100 ]; do i=$((i + 1)); echo {who} $i; done >> {there}) &");
    let script = format!(
        "{} {} {} {}\n\
         (seq 100 | sed 's/^/tee /' | tee -a {there} >/dev/null) &\n\
         {python} -c 'f = open(\"{there}\", \"a\")\nfor n in range(1, 101): print(\"python\", n, file=f)' &\n\
         wait",
        shell("a"),
        shell("b"),
        shell("c"),
        shell("d"),
    );
    let (first, second) =
        (begin(vm.port, &["sh", "-c", &script]), begin(vm.port, &["sh", "-c", &format!("{} wait", shell("e"))]));
    let mut here = OpenOptions::new().append(true).open(&path).expect("the file");
    let length = || fs::metadata(&path).expect("the file").len();
    let deadline = Instant::now() + LIMIT;
    for n in 1..=50 {
        let before = length();
        while length() == before && Instant::now() < deadline {
            thread::yield_now();
        }
        // One write(2), which writeln! is not.
        here.write_all(format!("here {n}\n").as_bytes()).expect("room for a line");
    }
    first.finish(LIMIT).ok();
    second.finish(LIMIT).ok();
    let writers =
        [("a", 100), ("b", 100), ("c", 100), ("d", 100), ("e", 100), ("tee", 100), ("python", 100), ("here", 50)];
    assert_all_there(&path, &writers);
}

#[test]
fn a_write_of_many_messages_stays_together() {
    let vm = machine!(shared);
    let python = or_skip!(programs::python());
    let path = file("large", b"head");
    let writer = |n: u8| {
        let there = served(&path);
        format!(
            "{python} -c 'import os; f = os.open(\"{there}\", os.O_WRONLY | os.O_APPEND); print(os.write(f, b\"{n}\" * (1 << 20)))' &"
        )
    };
    let written = v3(vm.port, &[], &["sh", "-c", &format!("{} {} {} wait", writer(1), writer(2), writer(3))]).ok();
    assert_eq!(written, "1048576\n1048576\n1048576");
    let bytes = fs::read(&path).expect("the file");
    assert_eq!((&bytes[..4], bytes.len()), (&b"head"[..], 4 + (3 << 20)));
    let mut pieces: Vec<(u8, usize)> =
        bytes[4..].chunk_by(|a, b| a == b).map(|piece| (piece[0], piece.len())).collect();
    pieces.sort_unstable();
    assert_eq!(pieces, [(b'1', 1 << 20), (b'2', 1 << 20), (b'3', 1 << 20)]);
}

/// What is changed through a mapping stays where it belongs, and so does what is written after the flag was taken away.
#[test]
fn a_file_that_is_appended_to_can_be_mapped_and_written_elsewhere() {
    let vm = machine!(shared);
    let python = or_skip!(programs::python());
    if programs::are_foreign() {
        return qemu_tests::skip::announce("the python3-minimal of the board's programs has no mmap");
    }
    let path = file("mapped", &[b'.'; 5000]);
    let script = "import fcntl, mmap, os, sys\n\
        f = os.open(sys.argv[1], os.O_RDWR | os.O_APPEND)\n\
        m = mmap.mmap(f, 5000)\n\
        m[0:4] = b'1111'\n\
        print(os.write(f, b'2222'), os.lseek(f, 0, os.SEEK_END))\n\
        m[4990:4994] = b'3333'\n\
        m.flush(); m.close()\n\
        fcntl.fcntl(f, fcntl.F_SETFL, 0)\n\
        os.pwrite(f, b'4444', 100)\n\
        print(os.fstat(f).st_size, os.pread(f, 4, 5000).decode())";
    let said = v3(vm.port, &[], &[python, "-c", script, &served(&path)]).ok();
    assert_eq!(said, "4 5004\n5004 2222");
    let mut wanted = vec![b'.'; 5000];
    for (at, byte) in [(0, b'1'), (100, b'4'), (4990, b'3')] {
        wanted[at..at + 4].fill(byte);
    }
    wanted.extend(b"2222");
    assert!(fs::read(&path).expect("the file") == wanted);
}

#[test]
fn a_file_without_a_name_is_appended_to_from_two_sides() {
    let vm = machine!(shared);
    let path = file("unlinked", b"x");
    // The second shell's end is the first one's, too.
    let script = format!("exec 3>>{0} 4<>{0}; rm {0}; (echo a >&3) & (echo b >&3) & wait; cat <&4", served(&path));
    let said = v3(vm.port, &[], &["sh", "-c", &script]).ok();
    assert!(["xa\nb", "xb\na"].contains(&said.as_str()), "{said}");
}

/// As many messages as without O_APPEND, and for each file a walk and an open more.
#[test]
fn an_append_costs_a_walk_and_an_open_more() {
    let vm = machine!(shared);
    let names: Vec<PathBuf> = (0..5).map(|n| file(&format!("count{n}"), b"")).collect();
    let counts = |how: &str| {
        let page = scratch("counts").join("appends");
        let script: String = names.iter().map(|name| format!("echo x {how} {}; ", served(name))).collect();
        let client = Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}"));
        run(client.with(&["-counts", page.to_str().expect("UTF-8")]).command(&["sh", "-c", &script]), LIMIT).ok();
        let page = fs::read_to_string(page).expect("the client counts");
        let of = |kind: &str| {
            let line = page.lines().find_map(|line| line.strip_suffix(kind)?.strip_suffix(' '));
            line.map_or(0, |n| n.parse::<usize>().expect("a number"))
        };
        [of("Twalk"), of("Tlopen"), of("Tgetattr") + of("Twalkgetattr"), of("Twrite")]
    };
    // The first session finds the programs, the others have them.
    counts("1<>");
    let (elsewhere, appended) = (counts("1<>"), counts(">>"));
    println!("Twalk, Tlopen, attributes, Twrite: {elsewhere:?}, appended {appended:?}");
    assert_eq!(appended[..2], [elsewhere[0] + 5, elsewhere[1] + 5]);
    assert_eq!(appended[3], elsewhere[3]);
}
