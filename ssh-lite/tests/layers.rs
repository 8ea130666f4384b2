//! The modules of the crate are layers: each imports only lower ones. So are the files of the server.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The modules, the lowest first.
const MODULES: [&str; 13] = [
    "names",
    "limits",
    "environment",
    "wire",
    "error",
    "msg",
    "transport",
    "keys",
    "kex",
    "auth",
    "connection",
    "event",
    "server",
];

/// The files of `server`, the lowest first; the parts of the machine do not know each other.
const SERVER: [&[&str]; 4] = [&["config"], &["key_exchange", "login", "connection"], &["machine"], &["mod"]];

/// Where the names at the root of the crate are from. `Cipher` and `Ciphers` are from a crate below.
const ROOT: [(&str, &str); 5] = [
    ("Error", "error"),
    ("Event", "event"),
    ("Instant", "environment"),
    ("Random", "environment"),
    ("Server", "server"),
];

fn module(name: &str) -> Option<usize> {
    let name = ROOT.iter().find(|(root, _)| *root == name).map_or(name, |(_, module)| module);
    MODULES.iter().position(|module| *module == name)
}

fn server_file(name: &str) -> Option<usize> {
    SERVER.iter().position(|files| files.contains(&name))
}

/// The files below `folder`, without tests and what only tests use.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let product = paths.filter(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        !["tests", "testkit", "fuzz", "lib", "samples", "vectors"].contains(&name)
    });
    product.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// The text without its tests and comments.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let (product, _) = text.split_once("#[cfg(test)]\nmod tests {").unwrap_or((&text, ""));
    product.lines().map(|line| line.split("//").next().unwrap()).collect()
}

/// The names right behind `prefix`, those of a group in braces one by one.
fn names_behind<'c>(code: &'c str, prefix: &str) -> Vec<&'c str> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let path = &code[at + prefix.len()..];
        let group = path.strip_prefix('{');
        let (mut depth, mut begins) = (0, true);
        for (at, c) in group.unwrap_or(path).char_indices() {
            if begins && c.is_alphanumeric() {
                let rest = &group.unwrap_or(path)[at..];
                names.push(rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap());
            }
            depth += i32::from(c == '{') - i32::from(c == '}');
            if depth < 0 || group.is_none() {
                break;
            }
            begins = depth == 0 && (c == ',' || begins && c.is_whitespace());
        }
    }
    names
}

#[test]
fn a_module_imports_only_lower_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&root);
    assert!(files.len() > 30, "{files:?}");
    for file in files {
        let code = code(&file);
        let path = file.strip_prefix(&root).unwrap().with_extension("");
        let names: Vec<&str> = path.iter().map(|name| name.to_str().unwrap()).collect();
        let own = module(names[0]).unwrap_or_else(|| panic!("{} is in no layer", file.display()));
        for name in names_behind(&code, "crate::") {
            let Some(imported) = module(name) else {
                assert!(["Cipher", "Ciphers"].contains(&name), "{}: crate::{name} is in no layer", file.display());
                continue;
            };
            assert!(imported < own, "{}: crate::{name} is not below it", file.display());
        }
        for name in names_behind(&code, "super::") {
            let below = match names[..] {
                ["server", own] => server_file(name).is_some_and(|file| Some(file) < server_file(own)),
                _ => name != "super",
            };
            assert!(below, "{}: super::{name} is not below it", file.display());
        }
    }
}

#[test]
fn every_name_of_a_group_is_read() {
    let code =
        "use crate::{ Error, connection::{Open, channel::{A, B}}, wire::Reader, }; let x = crate::keys::y(crate::Z);";
    assert_eq!(names_behind(code, "crate::"), ["Error", "connection", "wire", "keys", "Z"]);
}
