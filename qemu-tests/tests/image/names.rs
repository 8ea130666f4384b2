//! What a name stands for, while something in the session holds it and the client's machine gives it to another file.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use qemu_tests::artifacts::scratch;
use qemu_tests::client::Client;
use qemu_tests::or_skip;
use qemu_tests::programs;
use qemu_tests::run::{Running, run, spawn, start};
use qemu_tests::skip::{Reason, on_path};
use qemu_tests::vm::served;

use crate::{LIMIT, machine};

/// Of the session's shell: `say WORD`, for the test to hear, `hears WORD` for what the test says, and `sees COMMAND WORDS`,
/// which runs the command until it prints the words. What is not seen after so many freshness bounds never is.
const WORDS: &str = r#"cd "$0" || exit
say() { echo >said."$1"; }
hears() { until [ -e said."$1" ]; do sleep 0.05; done; }
sees() { SECONDS=0; until [ "$(eval "$1" 2>&1)" = "$2" ]; do ((SECONDS < 60)) || { echo "never: $1 is $2"; exit 1; }; done; }
"#;

/// A session at work in a folder of the client's.
pub struct Worker {
    folder: PathBuf,
    running: Option<Running>,
}

/// An empty folder of a test's own.
pub fn folder(name: &str) -> PathBuf {
    let folder = scratch("names").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder of our own");
    folder
}

impl Worker {
    /// Runs `script` by bash in the folder, with the client's `options`.
    pub fn start(port: u16, folder: &Path, options: &[&str], script: &str) -> Self {
        Self::start_with(port, folder, options, script, &[])
    }

    /// The same with words for the script.
    pub fn start_with(port: u16, folder: &Path, options: &[&str], script: &str, words: &[&str]) -> Self {
        let mut client = Client::v3(port).unwrap_or_else(|e| panic!("{e}")).with(options);
        let (script, served) = (format!("{WORDS}{script}"), served(folder));
        let command = client.command(&["bash", "-c", &script, &served]).args(words);
        Self { folder: folder.to_owned(), running: Some(start(command, Vec::new())) }
    }

    /// Waits until the session has said so. One that ends without it fails the test with what it printed.
    #[track_caller]
    pub fn heard(&mut self, word: &str) {
        let (said, start) = (self.folder.join(format!("said.{word}")), Instant::now());
        while !said.exists() {
            let over = |running: &mut Running| running.has_ended() || start.elapsed() > LIMIT;
            if let Some(running) = self.running.take_if(|running| over(running) && !said.exists()) {
                let printed =
                    running.within(Duration::ZERO).map_or_else(|bytes| bytes, |end| [end.stdout, end.stderr].concat());
                panic!("the session never said {word}; it printed:\n{}", String::from_utf8_lossy(&printed));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Tells the session.
    pub fn say(&self, word: &str) {
        write(&self.folder.join(format!("said.{word}")), "");
    }

    /// What it printed.
    #[track_caller]
    pub fn ok(self) -> String {
        self.running.expect("it runs until it is waited for").finish(LIMIT).ok()
    }
}

pub fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// As programs log: the file is never shorter than it was.
pub fn append(path: &Path, text: &str) {
    let file = fs::OpenOptions::new().append(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// As editors save.
fn save(path: &Path, text: &str) {
    let part = path.with_extension("new");
    write(&part, text);
    fs::rename(&part, path).expect("a file of our own");
}

#[test]
fn saving_at_home_replaces_the_name_but_not_the_open_file() {
    let vm = machine!(shared);
    let folder = folder("saved");
    let file = folder.join("a");
    write(&file, "old\n");
    let script = "exec 3<a 4<a; say open; sees 'cat a' longer-content; stat -c %s a
        cat <&3; stat -Lc %s /proc/self/fd/4; echo more >>a; echo $?";
    let mut worker = Worker::start(vm.port, &folder, &[], script);
    worker.heard("open");
    save(&file, "longer-content\n");
    assert_eq!(worker.ok(), "15\nold\n4\n0");
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "longer-content\nmore\n");
}

#[test]
fn without_a_cache_it_is_the_new_one_at_once() {
    let vm = machine!(shared);
    let folder = folder("at-once");
    let file = folder.join("a");
    write(&file, "old\n");
    let script = "exec 3<a; say open; hears saved; cat a; cat <&3; echo more >>a; echo $?";
    let mut worker = Worker::start(vm.port, &folder, &["-env", "CPU_CACHE=0"], script);
    worker.heard("open");
    save(&file, "new\n");
    worker.say("saved");
    assert_eq!(worker.ok(), "new\nold\n0");
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "new\nmore\n");
}

#[test]
fn a_log_that_is_rotated_is_followed() {
    let vm = machine!(shared);
    let folder = folder("rotated");
    let log = folder.join("log");
    write(&log, "one\n");
    let script = "tail ---disable-inotify -s 0.1 -F log >/tmp/followed 2>/dev/null & sees 'cat /tmp/followed' one
        say one; sees 'cat /tmp/followed' $'one\\ntwo'; say two; sees 'cat /tmp/followed' $'one\\ntwo\\nthree'";
    let mut worker = Worker::start(vm.port, &folder, &[], script);
    worker.heard("one");
    fs::rename(&log, folder.join("log.1")).expect("a file of our own");
    write(&log, "two\n");
    worker.heard("two");
    append(&log, "three\n");
    assert_eq!(worker.ok(), "");
}

/// As tail(1) looks: asks about the file that it has open and opens the name again, until that is another file. With what
/// the new file is, its bytes are: never the one's under the number of the other.
const LOOKS: &str = "import os, sys, time\n\
    for round in range(6):\n \
     held = os.open('a', 0); old = os.fstat(held).st_ino, os.read(held, 9)\n \
     time.sleep(round * 0.15); open(f'said.{round}', 'w').close(); end = time.time() + 60\n \
     while time.time() < end:\n  \
      os.fstat(held); fd = os.open('a', 0); new = os.fstat(fd).st_ino, os.read(fd, 9); os.close(fd)\n  \
      if new != old: break\n \
     print(*(a == b for a, b in zip(old, new)))";

#[test]
fn who_asks_about_an_open_file_again_and_again_finds_the_one_that_has_its_name() {
    let vm = machine!(shared);
    let python = or_skip!(programs::python());
    let folder = folder("asked");
    let file = folder.join("a");
    write(&file, "old\n");
    let mut worker = Worker::start_with(vm.port, &folder, &[], &format!("{python} -c \"$1\""), &[LOOKS]);
    for round in 0..6 {
        worker.heard(&round.to_string());
        save(&file, &format!("new {round}\n"));
    }
    assert_eq!(worker.ok(), ["False False"; 6].join("\n"));
}

/// Sleeps, then echoes: one program in place of another that runs.
fn rebuilt(name: &str, replace: impl Fn(&Path, &Path)) {
    let vm = machine!(shared);
    let folder = folder(name);
    let program = folder.join("program");
    let [sleep, echo] = ["/bin/sleep", "/bin/echo"].map(programs::at_home);
    fs::copy(sleep, &program).expect("room for a program");
    // All that it needs of its file is there when it sleeps.
    let script = "./program 1000 & runs=$!; sees \"cat /proc/$runs/comm\" program
        sees \"grep -o sleeping /proc/$runs/status\" sleeping; say started
        sees './program new' new; kill $runs; wait $runs; echo $?";
    let mut worker = Worker::start(vm.port, &folder, &[], script);
    worker.heard("started");
    replace(&echo, &program);
    assert_eq!(worker.ok(), "143");
}

#[test]
fn a_program_that_is_built_anew_at_home_is_the_new_one_while_the_old_one_runs() {
    rebuilt("rebuilt", |new, program| {
        let part = program.with_extension("new");
        fs::copy(new, &part).and_then(|_| fs::rename(&part, program)).expect("room for a program");
    });
}

#[test]
fn a_program_that_is_overwritten_at_home_is_the_new_one_while_the_old_one_runs() {
    rebuilt("overwritten", |new, program| {
        fs::copy(new, program).expect("room for a program");
    });
}

#[test]
fn a_file_that_is_removed_at_home_is_gone_and_one_made_in_its_place_is_another() {
    let vm = machine!(shared);
    let folder = folder("removed");
    let file = folder.join("a");
    write(&file, "old\n");
    let script = "exec 3<a; say open; sees 'ls a 2>/dev/null' ''; say gone; sees 'cat a' new
        echo newer >a; echo $?; cat a; cat <&3";
    let mut worker = Worker::start(vm.port, &folder, &[], script);
    worker.heard("open");
    fs::remove_file(&file).expect("a file of our own");
    worker.heard("gone");
    write(&file, "new\n");
    assert_eq!(worker.ok(), "0\nnewer\nold");
}

/// Which may have the inode number of the one that is gone.
#[test]
fn a_file_that_is_removed_and_made_anew_at_once_can_be_written_to() {
    let vm = machine!(shared);
    let folder = folder("anew");
    let file = folder.join("a");
    write(&file, "old\n");
    let mut worker = Worker::start(vm.port, &folder, &[], "exec 3<a; say open; sees 'cat a' new; echo more >>a; cat a");
    worker.heard("open");
    fs::remove_file(&file).expect("a file of our own");
    write(&file, "new\n");
    assert_eq!(worker.ok(), "new\nmore");
}

#[test]
fn what_git_checks_out_at_home_is_seen_by_who_works_there() {
    let vm = machine!(shared);
    let git = or_skip!(on_path("git"));
    let folder = folder("checkout");
    let at_home = |words: &[&str]| {
        let mut git = Command::new(&git);
        git.args(["-c", "user.name=t", "-c", "user.email=t@t"]).args(words).current_dir(&folder);
        run(&mut git, LIMIT).ok()
    };
    at_home(&["init", "-q", "-b", "one"]);
    write(&folder.join(".git/info/exclude"), "said.*\n");
    for (branch, directory, text) in [("one", "old", "1\n"), ("two", "new", "22\n")] {
        at_home(&["checkout", "-q", "-B", branch]);
        let _ = fs::remove_dir_all(folder.join("old"));
        fs::create_dir(folder.join(directory)).expect("a folder of our own");
        write(&folder.join(directory).join("f"), text);
        write(&folder.join("x"), text);
        at_home(&["add", "-A"]);
        at_home(&["commit", "-q", "-m", branch]);
    }
    at_home(&["checkout", "-q", "one"]);
    let script = "exec 3<x 4<old 5<old/f; say there; sees 'cat x new/f' $'22\\n22'; sees ls $'new\\nsaid.there\\nx'
        say two; sees 'cat x old/f' $'1\\n1'; cd old; pwd -P | sed 's,.*/,,'";
    let mut worker = Worker::start(vm.port, &folder, &[], script);
    worker.heard("there");
    at_home(&["checkout", "-q", "two"]);
    worker.heard("two");
    at_home(&["checkout", "-q", "one"]);
    assert_eq!(worker.ok(), "old");
}

#[test]
fn a_directory_in_the_place_of_a_working_directory_is_the_working_directory() {
    let vm = machine!(shared);
    let folder = folder("replaced");
    let make = |text: &str| {
        fs::create_dir_all(folder.join("d/below")).expect("a folder of our own");
        write(&folder.join("d/f"), text);
    };
    make("old\n");
    // Something is mounted below it, too.
    let script = "cd d; exec 3<f; mount -t tmpfs none below; echo in >below/f; (cd ..; say there)
        sees 'cat f' new; cat \"$0\"/d/f below/f <&3; /bin/pwd | sed 's,.*/,,'; ls";
    let mut worker = Worker::start(vm.port, &folder, &[], script);
    worker.heard("there");
    fs::rename(folder.join("d"), folder.join("d.old")).expect("a folder of our own");
    make("new\n");
    assert_eq!(worker.ok(), "new\nin\nd\nbelow\nf");
}

#[test]
fn what_another_session_saves_is_seen_by_name() {
    let vm = machine!(shared);
    let folder = folder("sessions");
    write(&folder.join("a"), "old\n");
    let mut reader =
        Worker::start(vm.port, &folder, &[], "exec 3<a; say open; sees 'cat a' new; cat <&3; echo more >>a");
    reader.heard("open");
    let writer =
        Worker::start(vm.port, &folder, &[], "exec 3<a; echo new >b; mv b a; sees 'cat a' $'new\\nmore'; cat <&3");
    assert_eq!((reader.ok(), writer.ok()), ("old".to_owned(), "old".to_owned()));
}

/// A file system of Linux's FUSE protocol (linux/fuse.h) whose inode numbers change whenever they are asked for, as those
/// of many do that have none of their own: a directory `d` with a file `f` and a directory `below`. It ends with its stdin.
const RENUMBERED: &str = r#"
import ctypes, itertools, os, struct, sys, threading
fuse = os.open('/dev/fuse', os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
options = b'fd=%d,rootmode=40000,user_id=0,group_id=0' % fuse
if libc.mount(b'renumbered', sys.argv[1].encode(), b'fuse', 0, options):
    sys.exit('mount: ' + os.strerror(ctypes.get_errno()))
print('mounted', flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), libc.umount2(sys.argv[1].encode(), 2)), daemon=True).start()
names = {(1, b'd'): 2, (2, b'f'): 3, (2, b'below'): 4}
number = itertools.count(100)
def attr(node):
    mode, size = (0o100644, 5) if node == 3 else (0o40755, 0)
    return struct.pack('<QQQQQQIIIIIIIIII', next(number), size, 1, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)
def answer(opcode, node, body):
    if opcode == 26: return struct.pack('<IIIIHHIIHHI', 7, 31, 65536, 0, 8, 8, 65536, 1, 16, 0, 0) + bytes(28)
    if opcode == 1:
        child = names.get((node, body.split(b'\0')[0]))
        return child and struct.pack('<QQQQII', child, 0, 0, 0, 0, 0) + attr(child)
    if opcode == 3: return struct.pack('<QII', 0, 0, 0) + attr(node)
    if opcode in (14, 27): return struct.pack('<QII', 0, 0, 0)
    if opcode == 15: return b'word\n' if struct.unpack_from('<QQ', body)[1] == 0 else b''
    if opcode in (18, 25, 29): return b''
    if opcode == 28:
        listed = [n for (parent, n) in names if parent == node] if struct.unpack_from('<QQ', body)[1] == 0 else []
        entry = lambda i, n: struct.pack('<QQII', next(number), i + 1, len(n), 0) + n.ljust(-(-len(n) // 8) * 8, b'\0')
        return b''.join(entry(i, n) for i, n in enumerate(listed))
try:
    while True:
        asked = os.read(fuse, 1 << 17)
        length, opcode, unique, node = struct.unpack_from('<IIQQ', asked)
        if opcode in (2, 36, 42): continue
        said = answer(opcode, node, asked[40:])
        error = 0 if said is not None else -2 if opcode == 1 else -38
        os.write(fuse, struct.pack('<IiQ', 16 + len(said or b''), error, unique) + (said or b''))
except OSError: pass
"#;

/// Such a file system, mounted; gone on drop.
struct Renumbered {
    server: Child,
}

impl Renumbered {
    fn mount(folder: &Path) -> Result<Self, Reason> {
        fs::metadata("/dev/fuse").map_err(|e| format!("/dev/fuse: {e}"))?;
        let python = on_path("python3")?;
        let mut command = Command::new(python);
        command.args(["-c", RENUMBERED]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = spawn(&mut command);
        let mut said = String::new();
        let stdout = server.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut said).expect("a pipe of our own");
        let mounted = Self { server };
        if said == "mounted\n" { Ok(mounted) } else { Err("python3 cannot mount a FUSE file system here".into()) }
    }
}

impl Drop for Renumbered {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}

#[test]
fn a_working_directory_whose_inode_number_changes_by_itself_is_not_lost() {
    let vm = machine!(shared);
    let folder = folder("renumbered");
    let _mounted = or_skip!(Renumbered::mount(&folder));
    for cache in ["CPU_CACHE=0", "CPU_CACHE=1"] {
        // Each name is asked for again each time.
        let script = "cd d; mount -t tmpfs none below; echo in >below/g
            for i in 1 2 3; do /bin/pwd | sed 's,.*/,,'; ls below; cat ../d/below/g; done";
        let mut client = Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}")).with(&["-env", cache]);
        let command = client.command(&["bash", "-c", &format!("cd \"$0\"; {script}"), &served(&folder)]);
        assert_eq!(run(command, LIMIT).ok(), ["d\ng\nin"; 3].join("\n"), "{cache}");
    }
}
