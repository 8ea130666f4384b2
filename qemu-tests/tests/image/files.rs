//! The client's files in a session, and the name space made of them.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Instant;

use qemu_tests::artifacts::scratch;
use qemu_tests::client::Client;
use qemu_tests::run::{feed, noise, run, sha256, start};
use qemu_tests::skip::{Reason, announce, on_path};
use qemu_tests::vm::{Machine, Vm, served};
use qemu_tests::{board, or_skip, programs};

use crate::{LIMIT, machine, v3};

#[test]
fn the_relay_writes_down_what_it_did_for_the_session() {
    let vm = machine!(shared);
    let script = "until grep -q sent /tmp/cpu-stats; do ls /usr/bin >/dev/null; done; cat /tmp/cpu-stats";
    let page = v3(vm.port, &[], &["sh", "-c", script]).ok();
    let number = |what: &str| {
        let line = page.lines().find_map(|line| line.strip_suffix(what)).unwrap_or_else(|| panic!("{page}"));
        line.trim().parse::<u64>().unwrap_or_else(|e| panic!("{e}: {page}"))
    };
    assert!(number("requests of the kernel") > number("requests sent") && number("requests sent") > 0, "{page}");
    let answered = number("of them answered here");
    assert!(answered > 0 && answered < number("requests of the kernel"), "{page}");
    assert!(number("bytes of cache, for all sessions") >= number("bytes of cache in use"), "{page}");
}

#[test]
fn a_malformed_frame_from_home_ends_the_session_and_is_named() {
    let vm = machine!(shared);
    let outcome = v3(vm.port, &["-on", "ready=garble"], &["sh", "-c", "echo ready; while :; do :; done"]);
    assert_ne!(outcome.code(), 0);
    let named = "the session's files: 9P frame from the client's server: type 99, tag 1, size 7";
    assert!(outcome.complaint().contains(named), "{}", outcome.complaint());
    vm.expect(&["9P frame from the client's server: type 99"]);
}

/// A file of so many bytes, in no directory of the default name space, and its hash.
fn large(name: &str, bytes: usize) -> (PathBuf, String) {
    let path = scratch("files").join(name);
    let bytes = noise(bytes);
    fs::write(&path, &bytes).expect("room for it");
    (path, sha256(&bytes))
}

/// A file system of the client's with little room. Gone on drop.
struct Full(PathBuf);

impl Full {
    fn mount(name: &str) -> Result<Self, Reason> {
        let folder = scratch("files").join(name);
        fs::create_dir_all(&folder).expect("a folder of our own");
        let mount = run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(&folder), LIMIT);
        if mount.code() == 0 { Ok(Self(folder)) } else { Err(mount.complaint().trim().to_owned()) }
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        run(Command::new("umount").arg(&self.0), LIMIT).ok();
    }
}

#[test]
fn a_write_that_the_clients_disk_has_no_room_for_ends_where_the_disk_does() {
    let vm = machine!(shared);
    let full = or_skip!(Full::mount("full"));
    let script = format!(
        "import os\n\
         data = bytes(i % 251 for i in range(100000))\n\
         f = os.open('{}', os.O_CREAT | os.O_RDWR)\n\
         print(os.write(f, data))\n\
         try: os.write(f, data)\n\
         except OSError as error: print(error.strerror)\n\
         print(os.pread(f, 100000, 0) == data[:65536])\n\
         os.ftruncate(f, 0)\n\
         print(os.pwrite(f, b'word', 0))",
        served(&full.0.join("file"))
    );
    let printed = v3(vm.port, &[], &["python3", "-c", &script]).ok();
    assert_eq!(printed, "65536\nNo space left on device\nTrue\n4");
}

#[test]
fn a_file_of_100_mb_is_read_there_as_it_is_here() {
    let vm = machine!(shared);
    let (path, expected) = large("read", 100_000_000);
    let sum = v3(vm.port, &[], &["sha256sum", &served(&path)]).ok();
    assert_eq!(sum.split_whitespace().next(), Some(expected.as_str()));
}

#[test]
fn a_file_of_100_mb_written_there_is_whole_here() {
    let vm = machine!(shared);
    let (path, expected) = large("write", 100_000_000);
    let copy = path.with_extension("copy");
    let _ = fs::remove_file(&copy);
    v3(
        vm.port,
        &[],
        &["dd", "bs=1M", "status=none", &format!("if={}", served(&path)), &format!("of={}", served(&copy))],
    )
    .ok();
    assert_eq!(sha256(&fs::read(&copy).expect("the session wrote it")), expected);
}

/// As many bytes as no 32-bit number with a sign can count, and eight times the memory.
#[test]
#[ignore = "takes long"]
fn two_gib_are_read_and_written_through_a_machine_of_256_mib() {
    or_skip!(qemu_tests::client::v3());
    or_skip!(on_path(&board::under_test().qemu()));
    let vm = small();
    let path = scratch("files").join("two-gib");
    let copy = path.with_extension("copy");
    let _ = fs::remove_file(&copy);
    // No two blocks that begin at multiples of the same power of two are alike.
    let part = noise(9_999_991);
    let mut file = File::create(&path).expect("a file in the scratch folder");
    (0..(2 << 30) / part.len() + 1).for_each(|_| file.write_all(&part).expect("2 GiB of room"));
    let script = format!("md5sum <{0}; dd bs=1M status=none if={0} of={1}", served(&path), served(&copy));
    let mut client = Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}"));
    let there = run(client.command(&["sh", "-c", &script]), 6 * LIMIT).ok();
    let here = |path| {
        let sum = run(Command::new("sh").args(["-c", "md5sum <$0"]).arg(path), LIMIT).ok();
        fs::remove_file(path).map(|()| sum).expect("a file of our own")
    };
    let (original, copied) = (here(&path), here(&copy));
    assert_eq!((there, copied), (original.clone(), original));
}

#[test]
fn a_file_that_changes_at_home_is_mapped_anew_there() {
    let vm = machine!(shared);
    let python = or_skip!(programs::python_with_all_modules());
    let (file, seen) = (scratch("changes").join("file"), scratch("changes").join("seen"));
    fs::write(&file, "before").expect("a file in the scratch folder");
    let _ = fs::remove_file(&seen);
    // Opens and maps it again and again, as the dynamic loader does with libraries. Its size stays.
    let script = format!(
        "import mmap\n\
         def read():\n \
          with open({file:?}) as f: return mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[:].decode()\n\
         print(read()); open({seen:?}, 'w')\n\
         while read() != 'behind': pass\n\
         print(read())",
        file = served(&file),
        seen = served(&seen),
    );
    let mut client = Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}"));
    let running = start(client.command(&[python, "-c", &script]), Vec::new());
    let deadline = Instant::now() + LIMIT;
    while !seen.exists() && Instant::now() < deadline {
        thread::yield_now();
    }
    fs::write(&file, "behind").expect("a file in the scratch folder");
    assert_eq!(running.finish(LIMIT).ok(), "before\nbehind");
}

/// Small enough for a file of 40 MB not to fit into the relay's cache.
fn small() -> Vm {
    with_memory("256")
}

fn with_memory(mebibytes: &str) -> Vm {
    Vm::boot(&Machine { memory: mebibytes.to_owned(), ..Machine::ours() })
}

/// One whose sessions may use all of it.
fn without_limits(mebibytes: &str) -> Vm {
    Vm::boot(&Machine { memory: mebibytes.to_owned(), words: "cpud.memory=1G", ..Machine::direct() })
}

#[test]
fn what_is_mapped_again_is_not_fetched_again() {
    or_skip!(qemu_tests::client::v3());
    or_skip!(on_path(&board::under_test().qemu()));
    let python = or_skip!(programs::python_with_all_modules());
    let vm = small();
    let (path, expected) = large("mapped", 40_000_000);
    let reads = |times: u32| {
        let script = format!(
            "import hashlib, mmap\n\
             for _ in range({times}):\n \
              with open({:?}) as f: m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)\n \
              print(hashlib.sha256(m).hexdigest()); m.close()",
            served(&path)
        );
        let counts = scratch("counts").join("mapped");
        let options = ["-counts", counts.to_str().expect("UTF-8")];
        let sums = v3(vm.port, &options, &[python, "-c", &script]).ok();
        assert!(sums.lines().all(|sum| sum == expected) && sums.lines().count() == times as usize, "{sums}");
        let counts = fs::read_to_string(&counts).expect("the client counts");
        let reads = counts.lines().find_map(|line| line.strip_suffix(" Tread")).expect("it has read something");
        reads.parse::<u32>().expect("a number")
    };
    let (once, often) = (reads(1), reads(4));
    assert!(often < 2 * once, "{once} Treads once, {often} four times");
}

/// Fills the memory of the machine until the relay of the session has given up half of its own, or the machine is full.
const HOG: &str = "import hashlib, os, sys\n\
    def relay():\n \
     for p in filter(str.isdigit, os.listdir('/proc')):\n  \
      try:\n   \
       if open(f'/proc/{p}/comm').read() != 'cpud relay\\n': continue\n   \
       lines = [line.split() for line in open(f'/proc/{p}/smaps_rollup')]\n   \
       return {line[0]: int(line[1]) for line in lines if line[-1] == 'kB'}\n  \
      except FileNotFoundError: pass\n\
    def available(): return int([l for l in open('/proc/meminfo') if l.startswith('MemAvailable')][0].split()[1])\n\
    def check(): print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())\n\
    check()\n\
    while relay()['LazyFree:'] < 4096: os.stat(sys.argv[1])\n\
    full, hog = relay()['Rss:'], []\n\
    while relay()['Rss:'] > full / 2 and available() > 6000: hog.append(b'x' * (1 << 20))\n\
    print('half' if relay()['Rss:'] <= full / 2 else f'{full} kB, then {relay()}')\n\
    hog.clear()\n\
    check()";

#[test]
fn the_cache_goes_before_anything_else_when_memory_is_short() {
    or_skip!(qemu_tests::client::v3());
    or_skip!(on_path(&board::under_test().qemu()));
    let python = programs::at_home("/usr/bin/python3");
    or_skip!(fs::metadata(&python).map_err(|e| format!("{}: {e}", python.display())));
    let vm = without_limits("256");
    let (path, expected) = large("short", 40_000_000);
    let said = v3(vm.port, &[], &["/usr/bin/python3", "-c", HOG, &served(&path)]).ok();
    assert_eq!(said, format!("{expected}\nhalf\n{expected}"));
}

/// Takes what memory is free, down to the 2.3 MB at which a machine of 128 MiB begins to take back more of what it has in
/// use, and gives back every second page. Then reads side by side, so that what is left in larger pieces is not enough.
const IN_PIECES: &str = "import hashlib, mmap, os, sys, threading\n\
    def free(): return int([l for l in open('/proc/meminfo') if l.startswith('MemFree')][0].split()[1])\n\
    taken, size, page = [], 1 << 18, 4096\n\
    while free() > 2300:\n \
     taken.append(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))\n \
     for at in range(0, size, page): taken[-1][at] = 1\n\
    for m in taken:\n \
     for at in range(0, size, 2 * page): m.madvise(mmap.MADV_DONTNEED, at, page)\n\
    errors = set()\n\
    def read(place):\n \
     fd = os.open(sys.argv[1], os.O_RDONLY)\n \
     try:\n  \
      for at in range(0, 20000000, 1 << 20): os.pread(fd, 1 << 20, (place + at) % 20000000)\n \
     except OSError as e: errors.add(e.strerror)\n\
    threads = [threading.Thread(target=read, args=(n * 2500000,)) for n in range(8)]\n\
    for thread in threads: thread.start()\n\
    for thread in threads: thread.join()\n\
    print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest(), *errors)";

#[test]
fn files_are_read_where_free_memory_is_in_small_pieces() {
    or_skip!(qemu_tests::client::v3());
    or_skip!(on_path(&board::under_test().qemu()));
    let python = or_skip!(programs::python_with_all_modules());
    let vm = without_limits("128");
    let (path, expected) = large("in-pieces", 20_000_000);
    assert_eq!(v3(vm.port, &[], &[python, "-c", IN_PIECES, &served(&path)]).ok(), expected);
}

/// Python's own way around its buffers: what a system call copies to or from is the mapping itself, of which each page
/// is fetched from home while the pipe is held.
const STRAIGHT: &str = "import mmap, os, sys\n\
    m = mmap.mmap(os.open(sys.argv[1], os.O_RDWR), 0, access=mmap.ACCESS_COPY); v = memoryview(m); at = 0\n\
    step = (lambda: os.write(1, v[at:at + 70000])) if sys.argv[2] == 'out' else (lambda: os.readv(0, [v[at:]]))\n\
    while at < len(v): at += step()\n\
    if sys.argv[2] == 'in': import hashlib; print(hashlib.sha256(v).hexdigest())";

#[test]
fn output_and_input_straight_from_and_to_a_mapped_file_are_whole() {
    let vm = machine!(shared);
    if programs::are_foreign() {
        return announce("the python3-minimal of the board's programs has no mmap");
    }
    let path = scratch("files").join("straight");
    let bytes = noise(8 << 20);
    fs::write(&path, &bytes).expect("8 MiB of room");
    let words = |way| ["/usr/bin/python3".to_owned(), "-c".to_owned(), STRAIGHT.to_owned(), served(&path), way];
    for way in ["out", "in"] {
        let mut client = Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}"));
        let words = words(way.to_owned());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let outcome = feed(client.command(&words), bytes.clone(), LIMIT);
        assert_eq!(outcome.code(), 0, "{way}: {}", outcome.complaint());
        let sum = if way == "out" { sha256(&outcome.stdout) } else { outcome.text().trim_end().to_owned() };
        assert_eq!(sum, sha256(&bytes), "{way}");
    }
}

#[test]
fn another_directory_can_stand_in_for_lib() {
    let vm = machine!(shared);
    let stand_in = scratch("stand-in");
    fs::write(stand_in.join("word"), "from the client\n").expect("a file in the scratch folder");
    let namespace = format!("{}:/srv={}", programs::namespace(), stand_in.display());
    let outcome = v3(vm.port, &["-namespace", &namespace], &["cat", "/srv/word"]);
    assert_eq!(outcome.ok(), "from the client");
}

#[test]
fn a_failed_fstab_line_is_reported_and_the_others_are_mounted() {
    let vm = machine!(shared);
    let table = scratch("files").join("fstab");
    let binds = programs::binds();
    fs::write(&table, format!("{binds}nothing /mnt no-such-type defaults 0 0\ntmpfs /srv tmpfs size=1m 0 0\n"))
        .expect("a file in the scratch folder");
    let outcome =
        v3(vm.port, &["-fstab", table.to_str().expect("UTF-8")], &["sh", "-c", "echo there >/srv/word; cat /srv/word"]);
    assert_eq!(outcome.text(), "there\n", "{}", outcome.complaint());
    let line = format!("line {}", binds.lines().count() + 1);
    assert!(outcome.complaint().contains(&line) && outcome.complaint().contains("/mnt"), "{}", outcome.complaint());
}

#[test]
fn an_empty_name_space_leaves_the_files_under_tmp_cpu() {
    let vm = machine!(shared);
    let (loader, libraries) = programs::loader();
    let ls = served(&programs::at_home("/bin/ls"));
    let libraries = libraries.map(|folder| served(&folder)).join(":");
    let words = [&served(&loader), "--library-path", &libraries, &ls, "/"];
    let outcome = v3(vm.port, &["-namespace=", "-pwd", "/"], &words);
    assert!(!outcome.ok().lines().any(|name| name == "usr"), "{}", outcome.text());
}

#[test]
fn two_sessions_do_not_see_each_others_mounts() {
    let vm = machine!(shared);
    let table = scratch("files").join("fstab.private");
    fs::write(&table, format!("{}secret /srv tmpfs size=1m 0 0\n", programs::binds()))
        .expect("a file in the scratch folder");
    let first = v3(
        vm.port,
        &["-fstab", table.to_str().expect("UTF-8")],
        &["sh", "-c", "touch /srv/mine /tmp/mine; cat /proc/mounts"],
    );
    assert!(first.ok().contains("secret /srv tmpfs"), "{}", first.text());
    let second = v3(vm.port, &[], &["sh", "-c", "cat /proc/mounts; ls /srv /tmp"]);
    assert!(!second.text().contains("secret") && !second.text().contains("mine"), "{}", second.text());
}
