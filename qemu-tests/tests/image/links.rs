//! Names of the client's root that a session has besides what is bound: /sbin as a link, and the resolvers of the box.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use qemu_tests::artifacts::scratch;
use qemu_tests::programs;
use qemu_tests::run::{Outcome, run};
use qemu_tests::skip::announce;

use crate::{LIMIT, machine, v3};

/// A root for the client to serve: two programs, what they need, and what the test makes of `sbin`.
struct Root(PathBuf);

impl Root {
    fn with(name: &str, sbin: impl FnOnce(&Path)) -> Self {
        let root = scratch("links").join(name);
        let _ = fs::remove_dir_all(&root);
        for folder in ["usr/run", "usr/sbin", "opt/sbin"] {
            fs::create_dir_all(root.join(folder)).expect("folders of our own");
        }
        let (loader, folders) = programs::loader();
        let libc = folders.iter().map(|folder| folder.join("libc.so.6")).find(|file| file.exists());
        let [readlink, cat] = ["/bin/readlink", "/bin/cat"].map(programs::at_home);
        let files = [("ld", loader), ("libc.so.6", libc.expect("a C library")), ("readlink", readlink), ("cat", cat)];
        for (name, file) in files {
            fs::copy(&file, root.join("usr/run").join(name)).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        }
        fs::write(root.join("usr/sbin/tool"), "a tool").expect("a file of our own");
        sbin(&root.join("sbin"));
        Self(root)
    }

    fn run(&self, port: u16, namespace: &str, words: [&str; 2]) -> Outcome {
        let options = ["-root", self.0.to_str().expect("UTF-8"), "-namespace", namespace];
        let program = format!("/usr/run/{}", words[0]);
        v3(port, &options, &["/usr/run/ld", "--library-path", "/usr/run", &program, words[1]])
    }
}

#[test]
fn sbin_is_the_link_that_it_is_at_the_client() {
    let vm = machine!(shared);
    for target in ["usr/sbin", "/usr/sbin", "./usr/../usr//sbin"] {
        let root = Root::with("link", |sbin| symlink(target, sbin).expect("a link of our own"));
        assert_eq!(root.run(vm.port, "/usr", ["readlink", "/sbin"]).ok(), target);
        assert_eq!(root.run(vm.port, "/usr", ["cat", "/sbin/tool"]).ok(), "a tool");
    }
}

#[test]
fn root_links_to_unbound_targets_are_absent() {
    let vm = machine!(shared);
    let elsewhere = Root::with("elsewhere", |sbin| symlink("opt/sbin", sbin).expect("a link of our own"));
    let directory = Root::with("directory", |sbin| fs::create_dir(sbin).expect("a folder of our own"));
    let none = Root::with("none", |_| ());
    for root in [elsewhere, directory, none] {
        assert_eq!(root.run(vm.port, "/usr", ["readlink", "/sbin"]).code(), 1);
        assert!(root.run(vm.port, "/usr", ["cat", "/sbin/x"]).complaint().contains("No such file"));
    }
}

#[test]
fn sbin_is_what_the_name_space_says() {
    let vm = machine!(shared);
    let root = Root::with("named", |sbin| symlink("usr/sbin", sbin).expect("a link of our own"));
    assert_eq!(root.run(vm.port, "/usr:/sbin", ["cat", "/sbin/tool"]).ok(), "a tool");
    assert!(root.run(vm.port, "/usr:/sbin=/opt/sbin", ["cat", "/sbin/tool"]).complaint().contains("No such file"));
}

#[test]
fn python_finds_the_c_library_as_it_does_at_home() {
    let vm = machine!(shared);
    if programs::are_foreign() {
        return announce("the python3-minimal of the board's programs has no ctypes");
    }
    let words = ["/usr/bin/python3", "-c", "import ctypes.util; print(ctypes.util.find_library('c'))"];
    let home = run(Command::new(words[0]).args(&words[1..]), LIMIT).ok();
    assert_eq!(v3(vm.port, &[], &words).ok(), home);
}

/// What the box learnt by DHCP is resolv.conf(5) as it is.
#[test]
fn the_boxs_own_resolvers_stand_in_for_the_clients() {
    let vm = machine!(shared);
    let root = Root::with("resolv", |_| ());
    fs::create_dir(root.0.join("etc")).expect("a folder of our own");
    let (file, stub) = (root.0.join("etc/resolv.conf"), "/run/systemd/resolve/stub-resolv.conf");
    fs::write(&file, "nameserver 127.0.0.53\n").expect("a file of our own");
    let asked = |target: &str| {
        let namespace = format!("/usr:/etc:{target}=../../run/cpud/resolv.conf");
        root.run(vm.port, &namespace, ["cat", "/etc/resolv.conf"]).ok()
    };
    assert!(asked("/etc/resolv.conf").contains("nameserver 10.0.2.3"));
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "nameserver 127.0.0.53\n");
    // As systemd-resolved makes it.
    fs::remove_file(&file).and_then(|()| symlink(format!("..{stub}"), &file)).expect("a link of our own");
    assert!(asked(stub).contains("nameserver 10.0.2.3"));
}
