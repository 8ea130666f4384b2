//! What a test wants to know about the guest, asked from inside: `look` prints every process and every 9P file
//! system, `look HEX` also which processes have these bytes in memory.

use std::{env, fs};

use qemu_tests::look::processes;

fn main() -> Result<(), std::num::ParseIntError> {
    let all = processes();
    for process in &all {
        println!("{process}");
    }
    // The kernel has one of these for each, in whatever name space it is mounted, or in none any more.
    for entry in fs::read_dir("/sys/class/bdi").into_iter().flatten().flatten() {
        if let Some(name) = entry.file_name().to_str().filter(|name| name.starts_with("9p")) {
            println!("mount {name}");
        }
    }
    if let Some(hex) = env::args().nth(1) {
        let needle = (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16))
            .collect::<Result<Vec<u8>, _>>()?;
        // This process itself has them, too: they are its argument only in hexadecimal, but its heap holds the rest.
        let own = std::process::id();
        for process in all.iter().filter(|process| process.pid != own && process.remembers(&needle)) {
            println!("remembers {}", process.pid);
        }
    }
    Ok(())
}
