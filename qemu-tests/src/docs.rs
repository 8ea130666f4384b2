//! Files and tests that pages name exist.

use std::fs;
use std::path::{Path, PathBuf};

const THREAT_MODEL: &str = "docs/threat-model.md";

/// The pages that a reader follows to a file.
const PAGES: [&str; 10] = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/architecture.md",
    THREAT_MODEL,
    "docs/not-done.md",
    "docs/cpu-compat.md",
    "docs/images.md",
    "docs/design-notes.md",
    "kernel-config/README.md",
    "boards/README.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in a folder of the tree")
}

/// All files and folders below one, without what is built.
fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the tree").flatten() {
        let path = entry.path();
        if ["target", "out", ".git"].iter().any(|built| path.ends_with(built)) {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&path, found);
        }
        found.push(path);
    }
}

/// The text between each pair of backticks, with the page's name.
fn quoted() -> Vec<(&'static str, String)> {
    let mut words = Vec::new();
    for page in PAGES {
        let text = fs::read_to_string(root().join(page)).expect("a page of the tree");
        let inline = text.split("```").step_by(2).collect::<String>();
        words.extend(inline.split('`').skip(1).step_by(2).map(|word| (page, word.to_owned())));
    }
    assert!(words.len() > 200, "{} words", words.len());
    words
}

/// Whether it is written like a path of this tree: with an ending of a source file, or a slash at its end. What a build
/// makes is not in the tree.
fn is_path(word: &str) -> bool {
    let plain = word.bytes().all(|c| c.is_ascii_alphanumeric() || b"/._-".contains(&c)) && !word.starts_with('/');
    let ending = word.rsplit_once('.').map_or("", |(_, ending)| ending);
    plain && !word.starts_with("out/") && (word.ends_with('/') || ["rs", "md", "sh", "config"].contains(&ending))
}

#[test]
fn every_file_that_a_page_names_is_there() {
    let mut paths = Vec::new();
    below(root(), &mut paths);
    let lost = quoted().into_iter().filter(|(_, word)| is_path(word) && !paths.iter().any(|path| path.ends_with(word)));
    let lost: Vec<_> = lost.collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let mut paths = Vec::new();
    below(root(), &mut paths);
    let sources = paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    let code: String = sources.map(|path| fs::read_to_string(path).expect("a file of the tree")).collect();
    // Test names are sentences; functions and fields that pages name are shorter.
    let is_test = |word: &str| {
        word.matches('_').count() >= 3
            && word.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
    };
    let lost = quoted()
        .into_iter()
        .filter(|(page, word)| *page == THREAT_MODEL && is_test(word) && !code.contains(&format!("fn {word}(")));
    let lost: Vec<_> = lost.collect();
    assert!(lost.is_empty(), "{lost:?}");
}
