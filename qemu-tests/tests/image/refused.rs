//! What the client's file server refuses, or does not do and says so.

use std::fs;
use std::process::Command;

use qemu_tests::artifacts::scratch;
use qemu_tests::run::run;
use qemu_tests::vm::served;

use crate::{LIMIT, machine, v3};

#[test]
fn an_unsupported_rename_does_not_end_the_session() {
    let vm = machine!(shared);
    let folder = scratch("refused");
    fs::create_dir_all(folder.join("sub")).expect("folders of our own");
    for name in ["a", "b"] {
        fs::write(folder.join(name), name).expect("a file of our own");
    }
    let script =
        format!("cd {}; mv -T a c; echo $?; mv -fT a b; echo $?; mv -T sub sub2; echo $?; cat a b", served(&folder));
    let outcome = v3(vm.port, &["-no-rename"], &["sh", "-c", &script]);
    assert_eq!(outcome.ok(), "1\n1\n1\nab");
    let complaint = outcome.complaint();
    assert_eq!(complaint.matches("Operation not supported").count(), 3, "{complaint}");
}

#[test]
fn a_write_of_which_nothing_is_taken_fails() {
    let vm = machine!(shared);
    let path = scratch("refused").join("nothing");
    fs::write(&path, "before").expect("a file of our own");
    let script = format!("echo x 1<> {0}; echo $?; echo x >> {0}; echo $?; cp /bin/sh {0}; echo $?", served(&path));
    let outcome = v3(vm.port, &["-write-nothing"], &["sh", "-c", &script]);
    assert_eq!(outcome.ok(), "1\n1\n1");
    assert_eq!(
        outcome.complaint().to_lowercase().matches("/o error").count()
            + outcome.complaint().matches("put error").count(),
        3,
        "{}",
        outcome.complaint()
    );
}

/// The stock client's server does not say what is wrong with a size.
#[test]
fn a_file_that_would_be_larger_than_files_can_be_is_too_large_as_at_home() {
    let vm = machine!(shared);
    let folder = scratch("refused");
    for size in ["17T", "8191P"] {
        let script = |folder: &str| {
            format!("cd {folder}; rm -f large; truncate -s {size} large 2>&1; stat -c %s large; rm large")
        };
        let home =
            run(Command::new("sh").args(["-c", &script(&folder.display().to_string())]).env("LC_ALL", "C"), LIMIT).ok();
        assert_eq!(v3(vm.port, &[], &["sh", "-c", &script(&served(&folder))]).ok(), home);
    }
}
