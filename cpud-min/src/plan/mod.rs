//! The pure half of cpud, mostly of a session: what a client sent becomes a list of things to do, without a system
//! call.
//!
//! ```text
//! exec request ── exec_line ──> 9P port, generation, words ── path ──> files to try
//! env requests ── environ ────> NAME=VALUE strings, CPU_FSTAB among them
//! CPU_FSTAB    ── fstab ──────> mount entries ── namespace ──> steps for mount(2)
//! PWD          ── directory ──> where the command starts
//! pty request  ── terminal ───> termios, TERM
//! flash part   ── settings ───> keys, name and address of this box
//! command line ── kernel_line> memory of relays, name and address of this box
//! flash part   ── flash ──────> where the payload lies
//! pstore       ── last_words ─> why the last boot ended
//! ```
//!
//! Everything is borrowed bytes in slices that the caller passes in; each error's `Display` is the sentence about the
//! refusal. `docs/cpu-compat.md` says which client sends what.

#![forbid(unsafe_code)]

pub mod cmdline;
pub mod directory;
pub mod environ;
pub mod exec_line;
pub mod flash;
pub mod fstab;
pub mod kernel_line;
pub mod last_words;
pub mod mount_options;
pub mod namespace;
pub mod network;
pub mod number;
pub mod path;
pub mod program;
pub mod quoted;
pub mod settings;
pub mod signal;
pub mod strings;
pub mod terminal;
