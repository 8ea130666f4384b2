//! Data flows one way: no file imports the one that calls it. Two rules, for every path in code that begins with `crate`,
//! `super`, `self` or the name of a file below, in `use` lines, expressions and macros alike:
//!
//! - a folder at the top of a crate imports what its row of the table lists, and nothing else;
//! - the files import each other without a circle, so a file that is called by its parent imports nothing of it.
//!
//! A test belongs to the file that it tests: `tests.rs` and `mod tests` keep to the same rules.

use std::borrow::ToOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::path::Path;
use std::string::String;
use std::vec;
use std::vec::Vec;

/// A folder or file at the top of a crate, and what it may import.
type Table = [(&'static str, &'static str)];

const CPUD_MIN: &Table = &[
    ("rt", "main sys"),
    ("main", "check config init plan sys"),
    ("init", "config guard keys limits net plan protocol relay report sys wire"),
    ("guard", "config keys plan protocol report session sys"),
    ("session", "config limits plan protocol sys"),
    ("wire", "config plan protocol sys"),
    ("relay", "config limits protocol sys"),
    ("net", "plan protocol sys"),
    ("check", "keys limits plan sys"),
    ("keys", "plan sys"),
    ("protocol", "plan sys"),
    ("report", "sys"),
    ("config", ""),
    ("limits", ""),
    ("plan", ""),
    ("sys", ""),
];

#[test]
fn no_file_of_cpud_min_imports_its_caller() {
    check("cpud-min", CPUD_MIN);
}

fn check(name: &str, table: &Table) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(name).join("src");
    let mut files = Vec::new();
    read(&root, &root, &mut files);
    assert!(files.len() > 10, "{name}: no sources in {}", root.display());
    let faults = faults(&name.replace('-', "_"), &files, table);
    assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
}

/// All files of a folder and those below it: the path from the root, and the text.
fn read(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// A module by its names from the root: `session::nfs` is `["session", "nfs"]`, the root is empty.
type Module = Vec<String>;

/// A path in the text of a file.
struct Import {
    line: usize,
    /// As it is written, but for braces: each path in them is one.
    path: Vec<String>,
    /// The modules of the file around it.
    inside: Vec<String>,
}

/// What is wrong with a crate, one line for each import that breaks a rule.
fn faults(crate_name: &str, files: &[(String, String)], table: &Table) -> Vec<String> {
    let modules: BTreeSet<Module> = files.iter().map(|(file, _)| module(file).0).collect();
    let mut macros = BTreeMap::new();
    for (file, text) in files {
        let tokens = tokens(text);
        let names = tokens.windows(3).filter(|t| t[0].1 == "macro_rules" && t[1].1 == "!");
        macros.extend(names.map(|t| (t[2].1.to_owned(), module(file).0)));
    }
    let mut edges = BTreeMap::<(Module, Module), String>::new();
    for (file, text) in files {
        let (from, tests) = module(file);
        for Import { line, path, inside } in imports(&tokens(text)) {
            let inside = tests.iter().cloned().chain(inside).collect();
            let Some(to) = target(crate_name, &modules, &macros, &from, inside, &path) else { continue };
            if to != from {
                let place = format!("{file}:{line}: {}", path.join("::"));
                edges.entry((from.clone(), to)).or_insert(place);
            }
        }
    }
    let mut faults = Vec::new();
    for ((from, to), place) in &edges {
        let (from_top, to_top) = (top(from), top(to));
        match table.iter().find(|(name, _)| *name == from_top) {
            None if from_top != "lib" => faults.push(format!("{place}: {from_top} has no row in the table")),
            Some((_, allowed)) if from_top != to_top && !allowed.split(' ').any(|name| name == to_top) => {
                faults.push(format!("{place}: {from_top} does not import {to_top}"));
            }
            _ => {}
        }
        if reaches(&edges, to, from) {
            faults.push(format!("{place}: a circle of {} and {}", name(from), name(to)));
        }
    }
    faults
}

fn name(module: &Module) -> String {
    if module.is_empty() { "lib".into() } else { module.join("::") }
}

fn top(module: &Module) -> &str {
    module.first().map_or("lib", String::as_str)
}

/// The module of a file, and `tests` for one that holds the tests of it.
fn module(file: &str) -> (Module, Option<String>) {
    let mut names: Module = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(names.last().map(String::as_str), Some("mod" | "lib")) {
        names.pop();
    }
    let tests = names.pop_if(|last| last == "tests");
    (names, tests)
}

/// The module that a path in `from` leads to; None when it leads out of the crate.
fn target(
    crate_name: &str,
    modules: &BTreeSet<Module>,
    macros: &BTreeMap<String, Module>,
    from: &Module,
    inside: Vec<String>,
    path: &[String],
) -> Option<Module> {
    let mut at: Module = from.iter().cloned().chain(inside).collect();
    let mut rest = path;
    let below = |name: &String| modules.contains(&[from.as_slice(), std::slice::from_ref(name)].concat());
    match path[0].as_str() {
        "self" | "super" => {
            while let [first, others @ ..] = rest
                && matches!(first.as_str(), "self" | "super")
            {
                if first == "super" {
                    at.pop();
                }
                rest = others;
            }
        }
        first if first == "crate" || first == crate_name => {
            at.clear();
            rest = &path[1..];
            if let Some(module) = rest.first().and_then(|name| macros.get(name)) {
                return Some(module.clone());
            }
        }
        _ if below(&path[0]) => at.clone_from(from),
        _ => return None,
    }
    for name in rest {
        at.push(name.clone());
        if !modules.contains(&at) {
            at.pop();
            break;
        }
    }
    // What is inside a file is that file.
    while !modules.contains(&at) && !at.is_empty() {
        at.pop();
    }
    Some(at)
}

/// Whether `to` is `from`, or is imported by it or by what it imports.
fn reaches(edges: &BTreeMap<(Module, Module), String>, from: &Module, to: &Module) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut left = vec![from];
    while let Some(module) = left.pop() {
        if module == to {
            return true;
        }
        left.extend(edges.keys().filter(|(at, _)| at == module).map(|(_, next)| next).filter(|next| seen.insert(next)));
    }
    false
}

/// Words, `::`, and other characters one by one, each with its line. Comments, literals and lifetimes are left out.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if let Some(length) = comment(rest).or_else(|| literal(rest)) {
            length
        } else {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = if rest.starts_with("::") { 2 } else { word.max(first.len_utf8()) };
            tokens.push((line, &rest[..length]));
            length
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    let mut depth = 0;
    let mut at = 0;
    while text.starts_with("/*") && at < text.len() {
        let step = match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (1, 2),
            [b'*', b'/', ..] => (-1, 2),
            _ => (0, 1),
        };
        (depth, at) = (depth + step.0, at + step.1);
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The length of a string, a character or a lifetime at the beginning of a text.
fn literal(text: &str) -> Option<usize> {
    let bare = text.trim_start_matches(['b', 'c', 'r']);
    let prefix = text.len() - bare.len();
    let hashes = bare.len() - bare.trim_start_matches('#').len();
    if prefix <= 2 && text[..prefix].ends_with('r') && bare[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let start = prefix + hashes + 1;
        return Some(start + text[start..].find(&end)? + end.len());
    }
    let quote = bare.chars().next().filter(|quote| prefix <= 1 && matches!(quote, '"' | '\''))?;
    let body = &bare[1..];
    let lifetime = quote == '\'' && !body.starts_with('\\') && body.chars().nth(1) != Some('\'');
    if lifetime {
        let word = body.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(body.len());
        return Some(prefix + 1 + word);
    }
    let mut escaped = false;
    let end = body.find(|c: char| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some(prefix + 1 + end + 1)
}

/// Every path of more than one word, and `crate` or `super` alone, unless it says how far something is visible.
fn imports(tokens: &[(usize, &str)]) -> Vec<Import> {
    let mut found = Vec::new();
    let mut inside: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    let word = |at: usize| tokens.get(at).map_or("", |(_, token)| *token);
    while at < tokens.len() {
        match word(at) {
            "mod" if word(at + 2) == "{" => inside.push((word(at + 1).to_owned(), depth)),
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inside.pop_if(|(_, outer)| *outer == depth);
            }
            _ => {}
        }
        let begins = at == 0 || word(at - 1) != "::";
        let alone = matches!(word(at), "crate" | "super") && word(at.wrapping_sub(1)) != "(";
        let named = word(at).starts_with(|c: char| c.is_alphabetic() || c == '_');
        if begins && named && (alone || word(at + 1) == "::") {
            let mut paths = Vec::new();
            let line = tokens[at].0;
            at = tree(tokens, at, Vec::new(), &mut paths);
            let inside: Vec<_> = inside.iter().map(|(name, _)| name.clone()).collect();
            found.extend(paths.into_iter().map(|path| Import { line, path, inside: inside.clone() }));
        } else {
            at += 1;
        }
    }
    found
}

/// The paths that begin at a token after `prefix`: one, or those in braces. The token behind them comes back.
fn tree(tokens: &[(usize, &str)], mut at: usize, mut prefix: Vec<String>, paths: &mut Vec<Vec<String>>) -> usize {
    let word = |at: usize| tokens.get(at).map_or("", |(_, token)| *token);
    while word(at).starts_with(|c: char| c.is_alphabetic() || c == '_') {
        prefix.push(word(at).to_owned());
        at += 1;
        if word(at) != "::" {
            break;
        }
        at += 1;
    }
    if word(at) == "{" && word(at - 1) == "::" {
        at += 1;
        while !matches!(word(at), "}" | "") {
            at = tree(tokens, at, prefix.clone(), paths);
            // `as` and the other name.
            while !matches!(word(at), "," | "}" | "") {
                at += 1;
            }
            at += usize::from(word(at) == ",");
        }
        return at + 1;
    }
    paths.push(prefix);
    at
}

#[test]
fn a_path_is_found_wherever_it_stands() {
    let text = r##"
        //! [`crate::comment::X`]
        use crate::{a, b::{self, c as d}, e::*};
        pub(super) use super::super::f as g;
        pub(crate) fn h<'a>(i: &'a super::I) -> char {
            /* super::comment::X /* */ crate::comment::X */
            let text = ("crate::text::X \" ", b'\'', r#"super::text::X "text" "#, c"self::text::X");
            say!("{}", crate::j::k(text) as usize + <self::L as crate::m::N>::O + p::q::<crate::r>(1));
            's'
        }
        mod tests { use super::*; }
        use crate as t;
    "##;
    let found: Vec<_> = imports(&tokens(text)).iter().map(|i| (i.inside.join("::"), i.path.join("::"))).collect();
    let outside = [
        "crate::a",
        "crate::b::self",
        "crate::b::c",
        "crate::e",
        "super::super::f",
        "super::I",
        "crate::j::k",
        "self::L",
        "crate::m::N",
        "p::q",
        "crate::r",
    ];
    let mut expected: Vec<_> = outside.map(|path| (String::new(), path.to_owned())).into();
    expected.push(("tests".into(), "super".into()));
    expected.push((String::new(), "crate".into()));
    assert_eq!(found, expected);
}

/// What is wrong with a crate of these files.
fn faults_of(files: &[(&str, &str)]) -> Vec<String> {
    const TABLE: &Table = &[("guard", "session sys"), ("session", "sys"), ("sys", "")];
    let files: Vec<_> = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    faults("example", &files, TABLE)
}

#[test]
fn an_import_against_the_table_is_named_with_its_place() {
    let good = [
        ("lib.rs", "pub mod guard; pub mod session; pub mod sys;"),
        ("guard/mod.rs", "mod table;\nuse crate::session::run;\nfn f() { table::g(); example::sys::now() }"),
        ("guard/table.rs", "use crate::sys;\nmod tests { use super::*; use crate::session; }"),
        ("session.rs", "use crate::say;"),
        ("session/tests.rs", "use super::*;"),
        ("sys.rs", "#[macro_export] macro_rules! say { () => { $crate::sys::now() } }"),
    ];
    assert_eq!(faults_of(&good), Vec::<String>::new());
    for (text, fault) in [
        ("\nuse crate::{sys, guard::{Guard}};", "session.rs:2: crate::guard::Guard: session does not import guard"),
        ("fn f() { if x {\nsuper::guard::g(1) } }", "session.rs:2: super::guard::g: session does not import guard"),
        (
            "fn f() { say!(\"{}\", crate::guard::table::N) }",
            "session.rs:1: crate::guard::table::N: session does not import guard",
        ),
        ("use crate::VERSION;", "session.rs:1: crate::VERSION: session does not import lib"),
    ] {
        let mut bad = good;
        bad[3].1 = text;
        assert!(faults_of(&bad).iter().any(|found| found == fault), "{:?}", faults_of(&bad));
    }
    assert_eq!(
        faults_of(&[("other.rs", "use crate::sys;")]),
        ["other.rs:1: crate::sys: other has no row in the table"]
    );
}

#[test]
fn a_file_that_imports_its_caller_is_named_with_its_place() {
    for (text, fault) in [
        ("use super::Guard;", "guard/table.rs:1: super::Guard: a circle of guard::table and guard"),
        ("fn f() { crate::guard::g() }", "guard/table.rs:1: crate::guard::g: a circle of guard::table and guard"),
        ("use super::other::X;", "guard/table.rs:1: super::other::X: a circle of guard::table and guard::other"),
    ] {
        let other = "use super::table::Y;";
        let files = [("guard/mod.rs", "use table::T;"), ("guard/table.rs", text), ("guard/other.rs", other)];
        assert!(faults_of(&files).iter().any(|found| found == fault), "{:?}", faults_of(&files));
    }
    // One that its parent only declares may be the caller: an entry point is.
    assert_eq!(faults_of(&[("guard/mod.rs", "mod table;"), ("guard/table.rs", "use super::g;")]), Vec::<String>::new());
}
