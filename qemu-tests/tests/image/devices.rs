//! Which of the client's file systems a program in a session takes a file to be on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use qemu_tests::artifacts::scratch;
use qemu_tests::or_skip;
use qemu_tests::run::run;
use qemu_tests::skip::{Reason, on_path};
use qemu_tests::vm::served;

use crate::{LIMIT, machine, v3};

/// A project with a stick's photo in it, and one of its directories bound beside it. Gone on drop.
struct Project(PathBuf);

impl Project {
    fn make(name: &str) -> Result<Self, Reason> {
        let folder = scratch("devices").join(name);
        for directory in ["proj/usb", "proj/dir", "bound"] {
            fs::create_dir_all(folder.join(directory)).expect("a folder of our own");
        }
        fs::write(folder.join("proj/dir/file"), "text").expect("a file of our own");
        let _ = fs::hard_link(folder.join("proj/dir/file"), folder.join("proj/dir/link"));
        let project = Self(folder);
        mount(&["-t", "tmpfs", "-o", "size=64k", "none"], &project.0.join("proj/usb"))?;
        mount(&["--bind", project.0.join("proj/dir").to_str().expect("UTF-8")], &project.0.join("bound"))?;
        fs::create_dir(project.0.join("proj/usb/album")).expect("room in it");
        fs::write(project.0.join("proj/usb/photo"), "photo").expect("room in it");
        Ok(project)
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        for mounted in ["proj/usb", "bound"] {
            // One that could not be made is none.
            run(Command::new("umount").arg(self.0.join(mounted)), LIMIT);
        }
        fs::remove_dir_all(&self.0).expect("a folder of our own");
    }
}

fn mount(options: &[&str], target: &Path) -> Result<(), Reason> {
    let mounted = run(Command::new("mount").args(options).arg(target), LIMIT);
    if mounted.code() == 0 { Ok(()) } else { Err(mounted.complaint().trim().to_owned()) }
}

/// What a script prints in a folder, at home and in a session.
fn both(port: u16, script: &str, [home, there]: [&Path; 2]) -> [String; 2] {
    let here = run(Command::new("sh").args(["-c", script]).current_dir(home), LIMIT).ok();
    let script = format!("cd {} && {{ {script}\n}}", served(there));
    [here, v3(port, &[], &["sh", "-c", &script]).ok()]
}

#[test]
fn rm_one_file_system_spares_other_devices() {
    let vm = machine!(shared);
    let projects = [or_skip!(Project::make("rm-here")), or_skip!(Project::make("rm-there"))];
    let script = "rm -rf --one-file-system proj 2>&1; echo $?; cat proj/usb/photo; find proj | sort";
    let [here, there] = both(vm.port, script, [&projects[0].0, &projects[1].0]);
    assert_eq!(there, here);
    assert!(there.contains("photo") && projects[1].0.join("proj/usb/photo").exists(), "{there}");
}

#[test]
fn programs_that_stay_on_one_file_system_do_so_there() {
    let vm = machine!(shared);
    let project = or_skip!(Project::make("stay"));
    let script = "find proj -xdev | sort; find proj bound -mount -type f | sort\n\
                  tar --one-file-system -cf - proj 2>/dev/null | tar -tf - | sort; du -x proj | cut -f 2";
    let [here, there] = both(vm.port, script, [&project.0; 2]);
    assert_eq!(there, here);
    assert!(!there.contains("photo") && there.contains("proj/usb"), "{there}");
}

#[test]
fn mount_points_are_told_as_at_home() {
    let vm = machine!(shared);
    or_skip!(on_path("python3"));
    let project = or_skip!(Project::make("mounts"));
    // Devices have other numbers there: which files share one is compared. So are those of inodes that are two names'.
    let script = "python3 -c '\n\
import os\n\
paths = [\"proj\", \"proj/dir\", \"proj/dir/file\", \"bound\", \"bound/file\", \"proj/usb\", \"proj/usb/photo\", \"proj/usb/album\"]\n\
print([os.path.ismount(path) for path in paths])\n\
print([[os.lstat(a).st_dev == os.lstat(b).st_dev for a in paths] for b in paths])\n\
print([[os.path.samefile(a, b) for a in paths] for b in paths])\n\
print([[os.statvfs(a).f_fsid == os.statvfs(b).f_fsid for a in paths] for b in paths])\n\
print(os.lstat(\"bound/file\").st_nlink, os.lstat(\"proj/dir/file\").st_ino & 0xffffffff)\n\
for change in os.rename, os.link:\n \
 try: change(\"proj/usb/photo\", \"proj/photo\")\n \
 except OSError as error: print(error.strerror)'";
    let [here, there] = both(vm.port, script, [&project.0; 2]);
    assert_eq!(there, here);
}

#[test]
fn a_stick_that_is_mounted_while_a_session_runs_is_another_device_there() {
    let vm = machine!(shared);
    let folder = scratch("devices").join("late");
    let stick = folder.join("stick");
    fs::create_dir_all(&stick).expect("a folder of our own");
    let ready = folder.join("ready");
    let _ = fs::remove_file(&ready);
    // Looked at before and after; the session says when it has. What it has seen may be as old as the freshness bound.
    let script = format!(
        "cd {} && stat -c %d . stick && touch ready && until [ -e stick/photo ]; do sleep 0.3; done\n\
         while [ $(stat -c %d stick) = $(stat -c %d .) ]; do sleep 0.3; done; stat -c %d . stick",
        served(&folder)
    );
    let mut client = qemu_tests::client::Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}"));
    let session = qemu_tests::run::start(client.command(&["sh", "-c", &script]), Vec::new());
    while !ready.exists() {
        std::thread::yield_now();
    }
    let mounted = mount(&["-t", "tmpfs", "-o", "size=64k", "none"], &stick);
    fs::write(stick.join("photo"), "photo").expect("room for it");
    let printed = session.finish(LIMIT).ok();
    if mounted.is_ok() {
        run(Command::new("umount").arg(&stick), LIMIT).ok();
    }
    or_skip!(mounted);
    let devices: Vec<&str> = printed.lines().collect();
    assert!(devices.len() == 4 && devices[0] == devices[1], "{printed}");
    assert!(devices[2] == devices[0] && devices[3] != devices[0], "{printed}");
}
