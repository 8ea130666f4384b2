//! Programs that watch files see what the client's machine changes.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use qemu_tests::or_skip;
use qemu_tests::programs;

use crate::machine;
use crate::names::{Worker, append, folder, write};

#[test]
fn what_is_appended_at_home_comes_out_of_tail_f() {
    let vm = machine!(shared);
    let folder = folder("followed");
    let log = folder.join("log");
    write(&log, "one\n");
    let script = "tail -f log >/tmp/tailed & sees 'cat /tmp/tailed' one; say one
        sees 'cat /tmp/tailed' $'one\\ntwo'; say two; sees 'cat /tmp/tailed' $'one\\ntwo\\nthree'";
    let mut worker = Worker::start(vm.port, &folder, &[], script);
    worker.heard("one");
    append(&log, "two\n");
    worker.heard("two");
    append(&log, "three\n");
    assert_eq!(worker.ok(), "");
}

/// Watches as inotify(7) has it what its arguments name, and prints the bits of the events of each step, which the test
/// takes when it has heard the one before. What has not come after a minute does not come.
const INOTIFY: &str = r#"
import ctypes, os, select, struct, sys
libc = ctypes.CDLL(None)
fd = libc.inotify_init1(0)
watched = {libc.inotify_add_watch(fd, name.encode(), 0xfff): name for name in sys.argv[1].split()}
told = []
for step, wanted in enumerate(sys.argv[2:]):
    if step == 0 and sys.argv[1] == 'd own':
        open('own', 'a').write('more')
    open(f'said.{step}', 'w')
    seen = set()
    while not set(wanted.split(',')) <= seen:
        if not select.select([fd], [], [], 60)[0]:
            sys.exit(f'step {step}: only {seen}')
        events, at = os.read(fd, 65536), 0
        while at < len(events):
            wd, mask, _, length = struct.unpack_from('iIII', events, at)
            at += 16 + length
            name = events[at - length:at].rstrip(b'\0').decode()
            seen.add(f'{watched[wd]}:{name}:{mask & 0xffff:x}')
            told.append(watched[wd])
print(told.count('own'))
"#;

#[test]
fn inotify_tells_what_is_changed_at_home() {
    let vm = machine!(shared);
    let python = or_skip!(programs::python_with_all_modules());
    let folder = folder("watched");
    let (file, directory) = (folder.join("f"), folder.join("d"));
    write(&file, "old\n");
    fs::create_dir(&directory).expect("a folder of our own");
    // IN_MODIFY 2, IN_ATTRIB 4, IN_CLOSE_WRITE 8, IN_DELETE_SELF 400, IN_IGNORED 8000.
    let script = format!("{python} -c \"$1\" 'f d' f::2,f::8 f::4 d::4 f::4,f::400,f::8000 d::4");
    let mut worker = Worker::start_with(vm.port, &folder, &[], &script, &[INOTIFY]);
    worker.heard("0");
    write(&file, "older\n");
    worker.heard("1");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("a file of our own");
    worker.heard("2");
    write(&directory.join("new"), "");
    worker.heard("3");
    let part = folder.join("part");
    write(&part, "saved\n");
    fs::rename(&part, &file).expect("a file of our own");
    worker.heard("4");
    fs::remove_file(directory.join("new")).expect("a file of our own");
    assert_eq!(worker.ok(), "0");
}

/// IN_OPEN, IN_MODIFY, IN_CLOSE_WRITE as it writes: who runs a formatter for each event would run it for ever.
#[test]
fn what_a_session_writes_itself_is_told_once() {
    let vm = machine!(shared);
    let python = or_skip!(programs::python_with_all_modules());
    let folder = folder("own");
    write(&folder.join("own"), "old\n");
    fs::create_dir(folder.join("d")).expect("a folder of our own");
    // A change at home that is told shows that all that is watched was looked at since the one before.
    let mut worker =
        Worker::start_with(vm.port, &folder, &[], &format!("{python} -c \"$1\" 'd own' d::4 d::4 d::4"), &[INOTIFY]);
    for step in 0..3 {
        worker.heard(&step.to_string());
        write(&folder.join("d").join(step.to_string()), "");
    }
    assert_eq!(worker.ok(), "3");
}
