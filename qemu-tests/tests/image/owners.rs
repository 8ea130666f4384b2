//! Who owns what a process of a session makes that is not root's.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use qemu_tests::keys::{Key, Kind};
use qemu_tests::run::run;
use qemu_tests::skip::{Reason, on_path};
use qemu_tests::vm::served;
use qemu_tests::{client, or_skip, programs};

use crate::{LIMIT, machine, v3};

/// A user without privileges, and his group.
const GAMES: (u32, u32) = (5, 60);

const NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups sh -c";

/// A directory that all may write to, as /tmp is, in one that nobody else may. Gone on drop.
struct Public(PathBuf);

impl Public {
    /// For a client that is root.
    fn make(name: &str) -> Result<Self, Reason> {
        on_path("setpriv")?;
        let folder = env::temp_dir().join(format!("cpud-owners-{}-{name}", std::process::id()));
        fs::create_dir(&folder).expect("a folder of our own");
        let public = Self(folder);
        fs::set_permissions(&public.0, Permissions::from_mode(0o1777)).expect("a folder of our own");
        match fs::metadata(&public.0).expect("a folder of our own").uid() {
            0 => Ok(public),
            uid => Err(format!("this is user {uid}, who cannot give files away")),
        }
    }
}

impl Drop for Public {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("a folder of our own");
    }
}

/// What a script of `nobody`'s prints there, at home and in a session.
#[track_caller]
fn both(port: u16, script: &str, name: &str) -> Result<[String; 2], Reason> {
    let [home, there] = [Public::make(&format!("{name}-here"))?, Public::make(&format!("{name}-there"))?];
    let script = format!("{NOBODY} '{script}' 2>&1");
    let here = run(Command::new("sh").args(["-c", &script]).current_dir(&home.0), LIMIT).ok();
    let script = format!("cd {} && {script}", served(&there.0));
    Ok([here, v3(port, &[], &["sh", "-c", &script]).ok()])
}

#[test]
fn a_directory_that_nobody_makes_is_his_and_he_can_work_in_it() {
    let vm = machine!(shared);
    let script = "mkdir d; echo b >d/x; cat d/x; stat -c %u:%g:%a d; rm -r d; echo $?; ls -A";
    let [here, there] = or_skip!(both(vm.port, script, "case"));
    assert_eq!(there, here);
}

#[test]
fn a_file_that_nobody_makes_is_his_and_he_can_change_it() {
    let vm = machine!(shared);
    let script = "umask 077; echo a >f; echo b >>f; cat f; chmod 640 f; stat -c %u:%g:%a f; mv f g; test -O g; echo $?\n\
                  mkdir -m 1770 t; stat -c %u:%a t; rm g; rmdir t; echo $?; ls -A";
    let [here, there] = or_skip!(both(vm.port, script, "file"));
    assert_eq!(there, here);
}

#[test]
fn what_is_roots_stays_roots() {
    let vm = machine!(shared);
    let script = "cat /etc/shadow 2>/dev/null; echo $?; test -r /etc/shadow; echo $?; test -w /etc; echo $?\n\
                  touch /etc/new 2>/dev/null; echo $?";
    let [here, there] = or_skip!(both(vm.port, script, "roots"));
    assert_eq!(there, here);
}

#[test]
fn in_a_sticky_directory_only_the_owner_removes_a_file() {
    let vm = machine!(shared);
    let public = or_skip!(Public::make("sticky"));
    fs::write(public.0.join("roots"), "").expect("a file of our own");
    fs::write(public.0.join("others"), "")
        .and_then(|()| chown(public.0.join("others"), Some(1000), None))
        .expect("root may");
    let script = format!("cd {} && {NOBODY} 'rm -f roots others; touch own; rm own; echo $?' 2>&1", served(&public.0));
    let printed = v3(vm.port, &[], &["sh", "-c", &script]).ok();
    assert_eq!(
        printed,
        "rm: cannot remove 'roots': Operation not permitted\n\
         rm: cannot remove 'others': Operation not permitted\n0"
    );
    assert!(public.0.join("roots").exists() && public.0.join("others").exists());
}

/// In a directory that others may write, a link could be put in a file's place before its owner is set.
#[test]
fn where_others_may_write_a_file_stays_the_clients() {
    let vm = machine!(shared);
    let public = or_skip!(Public::make("unsafe"));
    fs::set_permissions(&public.0, Permissions::from_mode(0o777)).expect("a folder of our own");
    let script = format!("cd {} && {NOBODY} 'echo text >f; cat f; stat -c %u f; rm f; echo $?'", served(&public.0));
    assert_eq!(v3(vm.port, &[], &["sh", "-c", &script]).ok(), "text\n0\n0");
}

/// A client that is not root cannot give files away: they are his, who is user 0 there, and he is told so.
#[test]
fn what_nobody_makes_is_the_clients_where_that_is_not_root() {
    let vm = machine!(shared);
    let public = or_skip!(Public::make("user"));
    let [client, key] = ["v3", "key"].map(|name| public.0.join(name));
    fs::copy(client::v3().expect("the machine's tests have it"), &client).expect("room for a copy");
    fs::copy(Key::user(Kind::Rsa2048).private, &key).expect("room for a copy");
    chown(&key, Some(GAMES.0), Some(GAMES.1)).expect("root may");
    let script = format!(
        "cd {} && {NOBODY} 'echo text >f; cat f; stat -c %u f; echo more >>f; mkdir d; echo >d/x; rm f' 2>&1; stat -c %u f",
        served(&public.0)
    );
    let mut command = Command::new(client);
    command.args(["-port", &vm.port.to_string(), "-namespace", programs::namespace(), "-key"]).arg(key);
    command.current_dir("/usr").env("PWD", "/usr").env("HOME", &public.0).env("LC_ALL", "C");
    let printed = run(command.uid(GAMES.0).gid(GAMES.1).args(["sh", "-c", &script]), LIMIT).ok();
    assert_eq!(
        printed,
        "text\n0\nsh: 1: cannot create f: Permission denied\nsh: 1: cannot create d/x: Permission denied\n\
         rm: cannot remove 'f': Operation not permitted\n0"
    );
    assert_eq!(fs::metadata(public.0.join("f")).expect("it was made").uid(), GAMES.0);
}
