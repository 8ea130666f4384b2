//! A tree as it lies on this machine's own file system.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use qemu_tests::run::sha256;

/// A line for each entry, in the order of their paths.
pub struct Tree(Vec<String>);

impl Tree {
    /// Reads what is below `top`. A time of change from `began` on is "now", since no two runs are at the same time;
    /// an earlier one was set by somebody and counts.
    pub fn read(top: &Path, began: SystemTime) -> Self {
        let mut lines = Vec::new();
        read(top, Path::new("."), began, &mut lines);
        lines.sort();
        Self(lines)
    }

    /// None: there is none.
    pub fn difference(&self, other: &Self) -> Option<String> {
        (self.0 != other.0).then(|| first_difference(&self.0, &other.0))
    }
}

fn read(top: &Path, below: &Path, began: SystemTime, lines: &mut Vec<String>) {
    let path = top.join(below);
    let about = fs::symlink_metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let content = if about.is_dir() {
        for entry in fs::read_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())) {
            read(top, &below.join(entry.expect("a name").file_name()), began, lines);
        }
        "directory".to_owned()
    } else if about.is_symlink() {
        format!("to {}", fs::read_link(&path).expect("it is a link").display())
    } else if about.is_file() {
        sha256(&fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    } else {
        "special".to_owned()
    };
    let time = match about.modified() {
        // The client's server cannot set the time of a link.
        Ok(time) if time < began && !about.is_symlink() => format!("{}.{:09}", about.mtime(), about.mtime_nsec()),
        _ => "now".to_owned(),
    };
    let (mode, user, group, links) = (about.mode(), about.uid(), about.gid(), about.nlink());
    lines.push(format!("{} {mode:o} {user}:{group} links {links} {time} {content}", below.display()));
}

/// The first place in which two lists differ.
pub fn first_difference(home: &[String], away: &[String]) -> String {
    let at = home.iter().zip(away).take_while(|(home, away)| home == away).count();
    let line = |lines: &[String]| lines.get(at).map_or("nothing".to_owned(), |line| format!("{line:?}"));
    format!("line {}: {} at home, {} there ({} and {} lines)", at + 1, line(home), line(away), home.len(), away.len())
}
