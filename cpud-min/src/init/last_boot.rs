//! Why the last boot ended, when that was a panic: the kernel's pstore has its last messages, in memory that a restart
//! leaves alone (the kernel's admin-guide/ramoops.rst).

use core::ffi::CStr;

use crate::plan::last_words::last_words;
use crate::plan::quoted::Quoted;
use crate::say;
use crate::sys::errno::Sentence;
use crate::sys::{fs, memory};

/// The latest panic: the last 4 KiB, which is the default of `ramoops.record_size`.
const RECORD: &CStr = c"/sys/fs/pstore/dmesg-ramoops-0";
const RECORD_MAX: usize = 4096;

/// Where the messages stay for those who want to read more than the console shows.
const KEPT: &CStr = c"/run/cpud/panic";

/// Shows a panic once. For a child process, since it needs memory.
pub fn show() {
    let record = memory::pages(RECORD_MAX).and_then(|room| fs::read_start(RECORD, room));
    // There is none, or this kernel keeps none.
    let Ok(record) = record else { return };
    for line in last_words(record) {
        say!("cpud: the last boot: {}", Quoted(line));
    }
    if let Err(error) = fs::create_file(KEPT, record, 0o600).and_then(|()| fs::unlink(RECORD)) {
        say!("cpud: the last boot's messages cannot be kept: {}", Sentence(error));
    }
}
