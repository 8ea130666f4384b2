//! What the tasks at a distance work on, made at home.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use qemu_tests::artifacts::scratch;
use qemu_tests::run::{noise, run};

use crate::contender::LIMIT;

/// Of the file that is read, and of the one that is written.
pub const BULK: usize = 64 << 20;

/// Folders and files of the repository.
pub const REPOSITORY: (usize, usize) = (40, 2000);

/// The sources of the C project.
const SOURCES: usize = 50;

/// A folder of that name with nothing in it.
fn empty(name: &str) -> PathBuf {
    let folder = scratch(name);
    fs::remove_dir_all(&folder).and_then(|()| fs::create_dir(&folder)).expect("a folder of our own");
    folder
}

fn write(path: &Path, text: impl AsRef<[u8]>) {
    fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// A git repository with everything committed, and an index that is younger than all files.
pub fn repository() -> PathBuf {
    let folder = empty("bench-repository");
    for n in 0..REPOSITORY.1 {
        let directory = folder.join(format!("part{:02}", n % REPOSITORY.0));
        fs::create_dir_all(&directory).expect("a folder of our own");
        write(&directory.join(format!("file{n:04}.txt")), format!("{n}\n").repeat(20));
    }
    let script = "find . -type f -exec touch -d 2020-01-01 {} + && git init -q && git add . &&
        git -c user.name=bench -c user.email=bench@localhost commit -q -m all && git status";
    run(Command::new("sh").args(["-c", script]).current_dir(&folder), LIMIT).ok();
    folder
}

/// A program of many sources, a header and a Makefile.
pub fn sources() -> PathBuf {
    let folder = empty("bench-sources");
    let (mut header, mut calls) = (String::new(), String::new());
    for n in 0..SOURCES {
        let _ = writeln!(header, "int part{n}(const char *);");
        let _ = writeln!(calls, "    sum += part{n}(argv[0]);");
        let text = format!(
            "#include <stdio.h>\n#include <string.h>\n#include \"parts.h\"\n\n\
             int part{n}(const char *word) {{\n    printf(\"%d\\n\", {n});\n    return (int)strlen(word) + {n};\n}}\n"
        );
        write(&folder.join(format!("part{n}.c")), text);
    }
    write(&folder.join("parts.h"), header);
    let program = format!(
        "#include \"parts.h\"\n\nint main(int argc, char **argv) {{\n    int sum = argc;\n{calls}    return sum == 0;\n}}\n"
    );
    write(&folder.join("main.c"), program);
    let makefile = "objects := $(patsubst %.c,%.o,$(wildcard *.c))\n\
                    program: $(objects)\n\tgcc -o $@ $^\n\
                    %.o: %.c parts.h\n\tgcc -O1 -c -o $@ $<\n\
                    clean:\n\trm -f program $(objects)\n";
    write(&folder.join("Makefile"), makefile);
    folder
}

/// 64 MiB of noise.
pub fn bulk() -> PathBuf {
    let path = scratch("files").join("bench");
    write(&path, noise(BULK));
    path
}
