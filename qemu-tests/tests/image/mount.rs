//! What programs see through the mount where a file server of the client's is not what v9fs expects: files that end before
//! their size does, requests that are refused, and ones that are never answered.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use qemu_tests::artifacts::scratch;
use qemu_tests::client::Client;
use qemu_tests::or_skip;
use qemu_tests::programs;
use qemu_tests::run::{run, start};
use qemu_tests::vm::served;

use crate::{LIMIT, machine, v3};

/// An empty folder of a test's own.
fn folder(name: &str) -> PathBuf {
    let folder = scratch("mount").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder of our own");
    folder
}

/// Waits until a session has made the file.
#[track_caller]
fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < LIMIT, "{} never came", path.display());
        thread::yield_now();
    }
}

/// Reads a part, and the rest when it has been told that the file is shorter, in each way that a program has.
const READ_ON: &str = "import os, sys, time\n\
    os.chdir(sys.argv[1])\n\
    fd = os.open('file', os.O_RDONLY); print(len(os.read(fd, 1000)))\n\
    open('read', 'w')\n\
    while not os.path.exists('cut') or os.stat('file').st_size != 1010: time.sleep(0.1)\n\
    print(len(os.pread(fd, 4096, 3000)), len(os.pread(fd, 100000, 1000)), os.preadv(fd, [bytearray(4096)] * 2, 8))\n\
    print(os.sendfile(os.open('copy', os.O_CREAT | os.O_WRONLY), fd, 0, 5000), os.stat('copy').st_size)\n\
    print(len(os.read(fd, 4096)), len(os.read(fd, 4096)))";

#[test]
fn a_file_that_was_cut_short_is_read_to_where_it_ends() {
    let vm = machine!(shared);
    let python = or_skip!(programs::python_with_all_modules());
    let folder = folder("cut");
    fs::write(folder.join("file"), [b'x'; 5000]).expect("a file in the scratch folder");
    let mut client = Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}"));
    let running = start(client.command(&[python, "-c", READ_ON, &served(&folder)]), Vec::new());
    wait_for(&folder.join("read"));
    let file = fs::OpenOptions::new().write(true).open(folder.join("file")).expect("a file of our own");
    file.set_len(1010).expect("a file of our own");
    fs::write(folder.join("cut"), "").expect("a file in the scratch folder");
    assert_eq!(running.finish(LIMIT).ok(), "1000\n0 10 1002\n1010 1010\n10 0");
}

#[test]
fn a_file_that_holds_less_than_its_size_ends() {
    let vm = machine!(shared);
    let here = |file| fs::read_to_string(file).unwrap_or_else(|e| panic!("{file}: {e}"));
    // Each says that it has 4096 bytes, or none.
    let files = ["/sys/class/net/lo/mtu", "/sys/class/net/lo/uevent", "/proc/sys/kernel/ostype"];
    for file in files {
        let script = "cat $0; dd if=$0 bs=3 skip=1 status=none; cp $0 /tmp/copy; cat /tmp/copy";
        let seen = v3(vm.port, &[], &["sh", "-c", script, &format!("/tmp/cpu{file}")]).ok();
        assert_eq!(seen, [&here(file), &here(file)[3..], &here(file)].concat().trim_end(), "{file}");
    }
}

/// Times that only a signed number of seconds holds, set and read, by name and by the open file.
const BEFORE_1970: &str = "cd $0 && touch -d '1969-12-31 23:00 UTC' f && stat -c '%Y %X' f && \
    touch -m -d '1969-12-31 23:59:59.25 UTC' f && stat -c %.9Y f && touch -a -d '1911-11-11 UTC' f && stat -c %.9X f && \
    touch -r f g && stat -c '%.9X %.9Y' g && cp -p f h && tar -cf t f && rm f && tar -xf t && stat -c %Y f h";

#[test]
fn times_before_1970_are_what_they_are_at_home() {
    let vm = machine!(shared);
    let (here, there) = (folder("times-here"), folder("times-there"));
    let script = |folder: String| ["sh".to_owned(), "-c".to_owned(), BEFORE_1970.to_owned(), folder];
    let home = script(here.display().to_string());
    let expected = run(Command::new(&home[0]).args(&home[1..]).env("LC_ALL", "C"), LIMIT).ok();
    assert!(expected.starts_with("-3600 -3600"), "{expected}");
    let session = script(served(&there));
    let session: Vec<&str> = session.iter().map(String::as_str).collect();
    assert_eq!(v3(vm.port, &[], &session).ok(), expected);
    let home = |name| run(Command::new("stat").args(["-c", "%.9X %.9Y"]).arg(name), LIMIT).ok();
    assert_eq!(home(there.join("g")), home(here.join("g")));
}

/// renameat2(2) with the flags of its man page: 1 is RENAME_NOREPLACE, 2 RENAME_EXCHANGE, 4 RENAME_WHITEOUT.
const RENAMEAT2: &str = "import ctypes, errno, os, sys\n\
    os.chdir(sys.argv[1]); libc = ctypes.CDLL(None, use_errno=True)\n\
    def rename(old, new, flags):\n \
     done = libc.renameat2(-100, old.encode(), -100, new.encode(), flags) == 0\n \
     print(old, new, flags, 0 if done else errno.errorcode[ctypes.get_errno()])\n\
    for name in 'ab': open(name, 'w').write(name)\n\
    os.mkdir('d'); os.mkdir('d/e')\n\
    rename('a', 'free', 1); rename('b', 'free', 1); rename('d/e', 'e', 1); rename('d', 'e', 1); rename('b', 'd/b', 1)\n\
    rename('d', 'free', 2); rename('free', 'w', 4); rename('free', 'w', 3)\n\
    print(sorted(os.listdir()), os.listdir('d'), open('free').read())";

#[test]
fn a_rename_that_must_not_replace_does_not() {
    let vm = machine!(shared);
    let python = or_skip!(programs::python_with_all_modules());
    let said = v3(vm.port, &[], &[python, "-c", RENAMEAT2, &served(&folder("noreplace"))]).ok();
    let expected = "a free 1 0\nb free 1 EEXIST\nd/e e 1 0\nd e 1 EEXIST\nb d/b 1 0\n\
        d free 2 EINVAL\nfree w 4 EINVAL\nfree w 3 EINVAL\n['d', 'e', 'free'] ['b'] a";
    assert_eq!(said, expected);
}

/// Makes processes that wait for an answer each in its own way, kills them, and prints those that are not gone. The limit
/// is the five seconds that a kill may take, thrice for a machine that is busy with others. The parent asks the client for
/// nothing meanwhile: mlockall(2) has its own pages here, 3 being those of now and later, and a thread of its own looks
/// whether the client answers.
const KILLS: &str = "import ctypes, fcntl, mmap, os, signal, sys, threading, time\n\
    os.chdir(sys.argv[1]); stopped = sys.argv[2:] == ['stopped']\n\
    def mapped(end):\n \
     m = mmap.mmap(files['mapped'], 0); m[:2] = m[99999:100001] = b'xx'; end(m)\n\
    def lock(n): return lambda: fcntl.lockf(files[n], fcntl.LOCK_EX)\n\
    ways = [\n \
     ('read', lambda: os.read(files['read'], 100)), ('write', lambda: os.write(files['write'], b'x' * 300000)),\n \
     ('append', lambda: os.write(files['append'], b'x')), ('append', lambda: os.write(files['append'], b'y')),\n \
     ('mapped', lambda: mapped(lambda m: m.close())), ('exit', lambda: mapped(lambda m: signal.pause())),\n \
     ('unlink', lambda: os.unlink('unlink')), ('unlink', lambda: os.mkdir('waits-for-the-directory')), ('lock', lock('lock'))]\n\
    for name, _ in ways: open(name, 'a').truncate(200000)\n\
    files = {name: os.open(name, os.O_RDWR | (os.O_APPEND if name == 'append' else 0)) for name, _ in ways}\n\
    lives = os.open('lives', os.O_RDWR | os.O_CREAT); os.ftruncate(lives, 200000); kept = mmap.mmap(lives, 0)\n\
    def call(name, what):\n \
     pid = os.fork()\n \
     if pid: return pid\n \
     try: what()\n \
     finally: os._exit(1)\n\
    def name(text): open('/proc/self/comm', 'w').write(text)\n\
    def state(pid): return open(f'/proc/{pid}/stat').read().rsplit(')')[1].split()[0]\n\
    if stopped:\n \
     ctypes.CDLL(None).mlockall(3)\n \
     at = [time.time()]\n \
     def ask():\n  \
      open('/dev/console', 'w').write('it can be stopped\\n')\n  \
      while True: os.stat('lives'), at.__setitem__(0, time.time()), time.sleep(0.05)\n \
     threading.Thread(target=ask, daemon=True).start()\n \
     while time.time() < at[0] + 3: time.sleep(0.1)\n\
    left = []\n\
    for n, what in ways:\n \
     left.append((n, call(n, what)))\n \
     for _ in range(200): n == 'exit' or state(left[-1][1]) in 'DZ' or time.sleep(0.05)\n \
     while not stopped and n in ('read', 'write') and not os.path.exists(n + '.asked'): time.sleep(0.1)\n\
    if stopped: kept[50000:50005] = b'lives'\n\
    for n, pid in left[::-1]: os.kill(pid, signal.SIGKILL)\n\
    end = time.time() + 15\n\
    while left and time.time() < end:\n \
     left = [(n, pid) for n, pid in left if os.waitpid(pid, os.WNOHANG)[0] == 0]; time.sleep(0.05)\n\
    if stopped:\n \
     name('all killed')\n \
     os.write(lives, b'goes on'); kept[100000:100005] = b'lives'; kept.flush()\n\
    print('left:', *(f'{n} {state(pid)}' for n, pid in left))";

#[test]
fn who_waits_for_an_answer_that_never_comes_can_be_killed() {
    let vm = machine!(shared);
    let python = or_skip!(programs::python_with_all_modules());
    let folder = folder("deaf");
    let requests = [
        "Tread=read",
        "Twrite=write",
        "Twrite=append",
        "Twrite=mapped",
        "Twrite=exit",
        "Tunlinkat=unlink",
        "Tlock=lock",
    ];
    let options: Vec<&str> = requests.iter().flat_map(|request| ["-deaf", request]).collect();
    let said = v3(vm.port, &options, &[python, "-c", KILLS, &served(&folder)]).ok();
    assert_eq!(said, "left:");
}

#[test]
fn a_stopped_client_holds_up_nobody_else() {
    let vm = machine!(shared);
    let python = or_skip!(programs::python_with_all_modules());
    let folder = folder("stopped");
    let mut client = Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}"));
    let mark = vm.console.mark();
    let running = start(client.command(&[python, "-c", KILLS, &served(&folder), "stopped"]), Vec::new());
    vm.console.expect(mark, &["it can be stopped"], LIMIT);
    running.signal("STOP");
    let until = "until grep -qs 'all killed' /proc/[0-9]*/comm; do sleep 0.2; done";
    let other = run(Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}")).command(&["sh", "-c", until]), LIMIT);
    running.signal("CONT");
    assert_eq!((running.finish(LIMIT).ok().as_str(), other.code()), ("left:", 0));
    let lives = fs::read(folder.join("lives")).expect("the session wrote it");
    assert_eq!(&lives[..7], b"goes on");
    // What children that were killed had mapped as well is their parent's to write, and no error of his.
    assert_eq!([&lives[50_000..50_005], &lives[100_000..100_005]], [b"lives"; 2]);
}
