//! setuid and setgid with a client whose library drops both from what it is sent.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use qemu_tests::artifacts::scratch;
use qemu_tests::run::run;
use qemu_tests::vm::served;

use crate::{LIMIT, machine, v3};

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("a file of our own");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).map_or(0, |file| file.permissions().mode() & 0o7777)
}

/// A folder with the setgid folder `team` in it, `team/old` in that, and a setuid file `su`.
fn folder(name: &str) -> PathBuf {
    let folder = scratch("modes").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("team/old")).expect("folders of our own");
    fs::write(folder.join("su"), "su").expect("a file of our own");
    for (name, mode) in [("team", 0o2775), ("team/old", 0o2750), ("su", 0o4755)] {
        set(&folder.join(name), mode);
    }
    folder
}

/// What a command of the session complains about, and whether it succeeds.
fn session(port: u16, folder: &Path, script: &str) -> (i32, String) {
    let outcome = v3(port, &[], &["sh", "-c", &format!("cd {}; {script}", served(folder))]);
    (outcome.code(), outcome.complaint())
}

#[test]
fn what_is_made_in_a_setgid_directory_inherits_it() {
    let vm = machine!(shared);
    let folder = folder("inherited");
    let (code, said) = session(vm.port, &folder, "umask 002; mkdir team/n; umask 0; mkdir team/n0; echo x > team/f");
    assert_eq!((code, said.as_str()), (0, ""));
    // This process's umask takes away what the server cannot set any more.
    let made = run(Command::new("mkdir").arg(folder.join("team/here")), LIMIT);
    made.ok();
    let inherited = mode(&folder.join("team/here"));
    assert_eq!(inherited & 0o2000, 0o2000);
    assert_eq!([mode(&folder.join("team/n")), mode(&folder.join("team/n0"))], [inherited; 2]);
}

#[test]
fn a_chmod_that_would_lose_setuid_or_setgid_fails() {
    let vm = machine!(shared);
    let folder = folder("refused");
    let script = "chmod g+w team/old && echo done; chmod 755 su && echo done; install -m 4755 /bin/true x && echo done; \
        chmod g+s . && echo done; stat -c %a team/old su";
    let outcome = v3(vm.port, &[], &["sh", "-c", &format!("cd {}; {script}", served(&folder))]);
    assert_eq!(outcome.ok(), "2750\n4755");
    let refused = outcome.complaint().matches("Operation not permitted").count();
    assert_eq!(refused, 4, "{}", outcome.complaint());
    let modes = ["team/old", "su", "team"].map(|name| mode(&folder.join(name)));
    assert_eq!(modes, [0o2750, 0o4755, 0o2775]);
}

#[test]
fn other_modes_are_set_as_before() {
    let vm = machine!(shared);
    let folder = folder("other");
    let (code, said) =
        session(vm.port, &folder, "umask 0; mkdir d; chmod 1770 d; echo x > f; chmod 640 f; chmod 4755 su; rm su");
    assert_eq!((code, said.as_str()), (0, ""));
    assert_eq!([mode(&folder.join("d")), mode(&folder.join("f"))], [0o1770, 0o640]);
}
