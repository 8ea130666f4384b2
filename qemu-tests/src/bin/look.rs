//! What a test wants to know about the guest, asked from inside: `look` prints every process and every 9P file
//! system, `look HEX` also which processes have these bytes in memory. `look accept PORT` accepts connections and closes
//! them until standard input ends, and prints how many, and the processor's time and how much of that it was idle.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::{env, fs, io, thread};

use qemu_tests::look::processes;

/// In clock ticks, since the machine's start (proc_stat(5)): all, and idle.
fn processor() -> (u64, u64) {
    let all = fs::read_to_string("/proc/stat").expect("/proc is mounted");
    let times: Vec<u64> =
        all.lines().next().unwrap_or_default().split(' ').filter_map(|time| time.parse().ok()).collect();
    (times.iter().sum(), times[3])
}

fn accept(port: &str) {
    static ACCEPTED: AtomicU64 = AtomicU64::new(0);
    let listener = TcpListener::bind(format!("0.0.0.0:{port}")).expect("a free port");
    thread::spawn(move || {
        for socket in listener.incoming() {
            drop(socket);
            ACCEPTED.fetch_add(1, Relaxed);
        }
    });
    println!("listening");
    let (all, idle) = processor();
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    let (all, idle) = (processor().0 - all, processor().1 - idle);
    println!("{} {all} {idle}", ACCEPTED.load(Relaxed));
}

fn main() -> Result<(), std::num::ParseIntError> {
    if let [_, word, port] = &env::args().collect::<Vec<_>>()[..]
        && word == "accept"
    {
        accept(port);
        return Ok(());
    }
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
