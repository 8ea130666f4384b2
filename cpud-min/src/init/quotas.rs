//! What sessions may use of the appliance, so that one that takes everything ends itself and nobody else.

use core::ffi::CStr;

use crate::config::Limits;
use crate::plan::kernel_line::{self, KernelLineError};
use crate::plan::number::number;
use crate::say;
use crate::sys::errno::Sentence;
use crate::sys::{cgroup, fs, memory};

/// The kernel, init, guards and wires have this much, and the eighth of the machine that is the relays' (`relays.rs`).
const KEPT: usize = 8 << 20;

/// Sets what all sessions may use together; what each may use. None when the kernel cannot limit them.
pub fn set(line: &[u8]) -> Option<Limits> {
    // The first is an eighth of what memory has room for, the second the largest process id.
    let processes = number_in(c"/proc/sys/kernel/threads-max").min(number_in(c"/proc/sys/kernel/pid_max"));
    let (all, each) = of_machine(memory::total(), processes);
    let each = Limits {
        memory: chosen(kernel_line::session_memory(line)).unwrap_or(each.memory),
        processes: chosen(kernel_line::session_pids(line)).unwrap_or(each.processes),
    };
    // What the line gives to each, all may have.
    if let Err(error) = cgroup::limit_all(all.memory.max(each.memory), all.processes.max(each.processes)) {
        say!("cpud: sessions have no limits: {}", Sentence(error));
        return None;
    }
    Some(each)
}

/// The shares of all sessions and of each, of a machine with this many bytes and processes. One session cannot take all
/// that there is for sessions.
fn of_machine(total: usize, processes: usize) -> (Limits, Limits) {
    let memory = (total - total / 8).saturating_sub(KEPT);
    let all = Limits { memory, processes: processes / 4 * 3 };
    (all, Limits { memory: memory / 4 * 3, processes: processes / 2 })
}

/// What the kernel's command line sets, if that can be used.
pub fn chosen(word: Option<Result<usize, KernelLineError<'_>>>) -> Option<usize> {
    word?.inspect_err(|error| say!("cpud: {error}")).ok()
}

/// The number in a file of the kernel's.
fn number_in(path: &CStr) -> usize {
    let mut room = [0; 32];
    let text = fs::read_file(path, &mut room).unwrap_or_default();
    number(text.trim_ascii_end()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_session_leaves_memory_and_processes_to_the_next_and_all_leave_some_to_the_machine() {
        for (mebibytes, processes) in [(40, 330), (230, 1840), (4000, 32000)] {
            let total = mebibytes << 20;
            let (all, each) = of_machine(total, processes);
            assert!(each.memory < all.memory && all.memory < total - total / 8);
            assert!(each.processes < all.processes && all.processes < processes);
        }
        assert_eq!(of_machine(1 << 20, 100).0.memory, 0);
    }
}
