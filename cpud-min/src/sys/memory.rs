//! Buffers: pages of the kernel that become resident only when they are touched.

use core::mem::MaybeUninit;

use rustix::io::Result;
use rustix::mm::{Advice, MapFlags, ProtFlags};

/// The smallest page of the machines that cpud runs on.
const PAGE: usize = 4096;

/// The machine's memory in bytes.
pub fn total() -> usize {
    let info = rustix::system::sysinfo();
    (info.totalram as usize).saturating_mul(info.mem_unit as usize)
}

/// `len` bytes of zeroes for the rest of the process's life. A page costs memory once it is written to.
pub fn pages(len: usize) -> Result<&'static mut [u8]> {
    // SAFETY: a new anonymous mapping that nothing else refers to and nobody unmaps.
    unsafe {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        let at = rustix::mm::mmap_anonymous(core::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags)?;
        Ok(core::slice::from_raw_parts_mut(at.cast(), len))
    }
}

/// Gives the whole pages of `bytes` back to the kernel: their content becomes zeroes.
///
/// `bytes` is part of what [`pages`] returned.
pub fn release(bytes: &mut [u8]) {
    let start = bytes.as_ptr().align_offset(PAGE);
    let Some(whole) = bytes.len().checked_sub(start).map(|n| n / PAGE * PAGE).filter(|&n| n > 0) else { return };
    // SAFETY: inside a mutably borrowed slice of an anonymous private mapping; zeroes are valid bytes.
    let _ = unsafe { rustix::mm::madvise(bytes.as_mut_ptr().add(start).cast(), whole, Advice::LinuxDontNeed) };
}

/// Gives the pages of the stack below the caller's frame back to the kernel: what ran before had deeper frames.
#[inline(never)]
pub fn release_stack() {
    /// No frame was deeper.
    const DEPTH: usize = 64 * 1024;
    let here = 0_u8;
    let end = (&raw const here).map_addr(|at| (at & !(PAGE - 1)) - PAGE);
    // SAFETY: a page is kept for the system call's frame and the red zone, and what is below that is in no frame. Parts that
    // are not mapped are left out, and other mappings are a megabyte away (stack_guard_gap).
    let _ = unsafe { rustix::mm::madvise(end.wrapping_sub(DEPTH).cast_mut().cast(), DEPTH, Advice::LinuxDontNeed) };
}

/// Lets the kernel take pages of `bytes` back when memory is short, until they are written to again: their content
/// becomes zeroes.
///
/// `bytes` is what [`pages`] returned.
pub fn offer(bytes: &mut [u8]) {
    // SAFETY: a mutably borrowed anonymous private mapping; zeroes are valid bytes.
    let _ = unsafe { rustix::mm::madvise(bytes.as_mut_ptr().cast(), bytes.len(), Advice::LinuxFree) };
}

/// Types of which all-zero bytes are a value.
///
/// # Safety
/// All-zero bytes are a value, and the type has no destructor.
pub unsafe trait Zeroes: Copy {}

// SAFETY: an integer.
unsafe impl Zeroes for u32 {}
// SAFETY: integers and booleans only, here and below.
unsafe impl Zeroes for ninep::relay::Node {}
// SAFETY: as above.
unsafe impl Zeroes for ninep::relay::Fid {}
// SAFETY: as above.
unsafe impl Zeroes for ninep::relay::Open {}
// SAFETY: as above, and an enum of bytes whose first is 0.
unsafe impl Zeroes for ninep::relay::Mount {}
// SAFETY: as above.
unsafe impl Zeroes for ninep::relay::Content {}
// SAFETY: as above.
unsafe impl Zeroes for ninep::relay::Block {}

/// A table of `n` zeroed entries, which become resident when they are touched.
pub fn table<T: Zeroes>(n: usize) -> Result<&'static mut [T]> {
    // SAFETY: pages are zeroes, which are values of T.
    unfilled(n).map(|room| unsafe { filled(room) })
}

/// Memory for a table of `n` entries, resident only once it is filled.
pub fn unfilled<T: Copy>(n: usize) -> Result<&'static mut [MaybeUninit<T>]> {
    const { assert!(align_of::<T>() <= PAGE) };
    let bytes = pages((n * size_of::<T>()).next_multiple_of(PAGE))?;
    // SAFETY: large enough, on a page's boundary, borrowed for good; any bytes are a valid MaybeUninit.
    Ok(unsafe { core::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), n) })
}

/// Fills such memory with `value`.
pub fn fill<T: Copy>(room: &'static mut [MaybeUninit<T>], value: T) -> &'static mut [T] {
    room.fill(MaybeUninit::new(value));
    // SAFETY: all entries have been written.
    unsafe { filled(room) }
}

/// # Safety
/// All entries are values.
const unsafe fn filled<T>(room: &'static mut [MaybeUninit<T>]) -> &'static mut [T] {
    // SAFETY: the caller's, and a MaybeUninit is laid out as what is in it.
    unsafe { core::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), room.len()) }
}

/// Turns a table back into such memory, whose whole pages go back to the kernel.
pub fn unfill<T: Copy>(table: &'static mut [T]) -> &'static mut [MaybeUninit<T>] {
    // SAFETY: the room of a table that nobody refers to any more, as bytes and then as what it was.
    unsafe {
        release(core::slice::from_raw_parts_mut(table.as_mut_ptr().cast(), size_of_val(table)));
        core::slice::from_raw_parts_mut(table.as_mut_ptr().cast(), table.len())
    }
}

/// Zeroes all entries, and gives their pages back.
pub fn clear<T: Zeroes>(table: &mut [T]) {
    // SAFETY: zeroes are values of T, as bytes and again as T.
    let bytes = unsafe { core::slice::from_raw_parts_mut(table.as_mut_ptr().cast::<u8>(), size_of_val(table)) };
    let whole = bytes.len() / PAGE * PAGE;
    // A table begins on a page's boundary.
    bytes[whole..].fill(0);
    release(bytes);
}

/// Drops the program's own text and constants from this process's memory. What is used again is mapped again from the
/// file system's one copy, 64 KiB at a time. For a process that waits for long after work that it does once.
pub fn release_program() {
    unsafe extern "C" {
        // The linker's marks of the first byte and of the end of the text.
        static __executable_start: u8;
        static etext: u8;
    }
    let (start, end) = (&raw const __executable_start, &raw const etext);
    let whole = (end.addr() - start.addr()) / PAGE * PAGE;
    // SAFETY: a private mapping of a file that nobody writes to: what comes back is what was there.
    let _ = unsafe { rustix::mm::madvise(start.cast_mut().cast(), whole, Advice::LinuxDontNeed) };
}
