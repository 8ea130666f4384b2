//! `boards/BOARD/board.conf`: the machine and the kernel's command line, as the build and run-qemu.sh read them.

use std::collections::HashMap;
use std::fs;

use crate::artifacts::root;

/// The values of a board, laid over those of the files it inherits.
pub struct Board {
    pub name: &'static str,
    values: HashMap<String, String>,
}

impl Board {
    /// Reads a board; panics with the file's name when it is not there.
    pub fn read(name: &'static str) -> Self {
        let mut values = HashMap::new();
        read(&format!("{name}/board"), &mut values);
        Self { name, values }
    }

    /// The value of a key; panics when the board has none.
    pub fn get(&self, key: &str) -> &str {
        let value = self.values.get(key);
        value.unwrap_or_else(|| panic!("boards/{}/board.conf has no {key}", self.name))
    }
}

/// A line is a key, blanks, and the value to the end of the line; a line with # is a comment.
fn read(name: &str, values: &mut HashMap<String, String>) {
    let path = root().join(format!("boards/{name}.conf"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match key {
            "inherit" => read(value.trim(), values),
            _ => drop(values.insert(key.to_owned(), value.trim().to_owned())),
        }
    }
}
