//! `boards/BOARD/board.conf`: the machine and the kernel's command line, as the build and run-qemu.sh read them.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::sync::OnceLock;

use crate::artifacts::root;

/// The values of a board, laid over those of the files it inherits.
pub struct Board {
    pub name: String,
    values: HashMap<String, String>,
}

impl Board {
    /// Reads a board; panics with the file's name when it is not there.
    pub fn read(name: &str) -> Self {
        let mut values = HashMap::new();
        read(&format!("{name}/board"), &mut values);
        Self { name: name.to_owned(), values }
    }

    /// The program that emulates it.
    pub fn qemu(&self) -> String {
        format!("qemu-system-{}", self.get("arch"))
    }

    /// A size such as 256M or 1G, in MiB.
    pub fn mebibytes(&self, key: &str) -> u64 {
        let value = self.get(key);
        let (number, unit) = value.split_at(value.len() - 1);
        let number: u64 = number.parse().unwrap_or_else(|e| panic!("{key} {value}: {e}"));
        if unit == "G" { number << 10 } else { number }
    }

    /// The value of a key that the board may have.
    pub fn find(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// The value of a key; panics when the board has none.
    pub fn get(&self, key: &str) -> &str {
        self.find(key).unwrap_or_else(|| panic!("boards/{}/board.conf has no {key}", self.name))
    }
}

/// The board that the tests of the image boot: `CPUD_BOARD`, or QEMU's q35.
pub fn under_test() -> &'static Board {
    static BOARD: OnceLock<Board> = OnceLock::new();
    BOARD.get_or_init(|| Board::read(&env::var("CPUD_BOARD").unwrap_or_else(|_| "qemu-q35".to_owned())))
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
