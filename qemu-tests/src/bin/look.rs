//! What a test wants to know about the guest, asked from inside: `look` prints every process, `look HEX` also which
//! of them have these bytes in memory.

use std::env;

use qemu_tests::look::processes;

fn main() -> Result<(), std::num::ParseIntError> {
    let all = processes();
    for process in &all {
        println!("{process}");
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
