//! Tests of `cpud` from outside, as its users see it.
//!
//! | module | what it is |
//! |---|---|
//! | [`artifacts`] | what the build scripts made; a missing one says which script makes it |
//! | [`board`] | `boards/BOARD/board.conf`, the same file that the build reads |
//! | [`vm`] | QEMU on an image; gone when the test is |
//! | [`daemon`] | the same binary as an ordinary daemon on this host |
//! | [`console`] | what either of them says; waits for words, never for seconds |
//! | [`client`] | cpu clients: the tests' own V3, the stock one, the published V2 |
//! | [`peer`] | other people's ssh clients, each behaving like `ssh` |
//! | [`programs`] | what sessions run, on boards of either architecture |
//! | [`run`] | a program with a time limit, its output and its status |
//! | [`keys`] | one key of each kind, made once |
//! | [`look`] | processes as /proc has them, on this host or in the guest |
//! | [`gdb`] | a word of what the kernel tells a program, changed |
//! | [`hostile`] | peers that do not behave |
//! | [`crowd`] | strangers from ten addresses of a network name space, and owners beside them |
//! | [`hole`] | wire and relay taken over |
//! | [`delay`] | a longer way to a server |
//! | [`netns`] | a network of a test's own, with Debian's DHCP server |
//! | [`lan`] | a link of a test's own, with a DHCP server that does what it is told |
//! | [`skip`] | tests that cannot run here, and why |
//!
//! Protocol constants are written down again here, so that the product's code cannot vouch for itself.
//! `tests/daemon` runs on the host, `tests/image` and `tests/fidelity` in QEMU.

pub mod artifacts;
pub mod board;
pub mod client;
pub mod console;
pub mod crowd;
pub mod daemon;
pub mod delay;
#[cfg(test)]
mod docs;
pub mod gdb;
pub mod hole;
pub mod hostile;
pub mod keys;
pub mod lan;
pub mod look;
pub mod netns;
pub mod peer;
pub mod programs;
pub mod run;
pub mod skip;
pub mod vm;
