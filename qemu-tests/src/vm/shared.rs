//! A machine that many tests use, at the same time or one after the other.

use std::io::Write;
use std::ops::Deref;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::{Machine, Vm};
use crate::console::Mark;

/// A machine that a test binary boots once, at its first use.
pub struct Shared {
    machine: fn() -> Machine,
    vm: OnceLock<Vm>,
    turn: RwLock<()>,
}

/// The machine of most tests.
pub static OURS: Shared = Shared::new(Machine::ours);

/// It, with other tests on it at the same time.
pub fn shared() -> Lease<RwLockReadGuard<'static, ()>> {
    OURS.shared()
}

/// It, with nobody else on it.
pub fn alone() -> Lease<RwLockWriteGuard<'static, ()>> {
    OURS.alone()
}

impl Shared {
    pub const fn new(machine: fn() -> Machine) -> Self {
        Self { machine, vm: OnceLock::new(), turn: RwLock::new(()) }
    }

    /// The machine, with other tests on it at the same time.
    pub fn shared(&'static self) -> Lease<RwLockReadGuard<'static, ()>> {
        self.lease(self.turn.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The machine with nobody else on it.
    pub fn alone(&'static self) -> Lease<RwLockWriteGuard<'static, ()>> {
        self.lease(self.turn.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn lease<T>(&'static self, turn: T) -> Lease<T> {
        let vm = self.vm.get_or_init(|| Vm::boot(&(self.machine)()));
        Lease { _turn: turn, vm, start: vm.console.mark() }
    }
}

/// A test's use of a shared machine; prints what the console said meanwhile when it fails.
pub struct Lease<T> {
    _turn: T,
    vm: &'static Vm,
    start: Mark,
}

impl<T> Lease<T> {
    /// What the console said since this test began.
    pub fn said(&self) -> String {
        self.console.since(self.start)
    }

    /// Waits for a line on the console since this test began.
    #[track_caller]
    pub fn expect(&self, words: &[&str]) -> String {
        self.console.expect(self.start, words, Duration::from_secs(30))
    }
}

impl<T> Deref for Lease<T> {
    type Target = Vm;

    fn deref(&self) -> &Vm {
        self.vm
    }
}

impl<T> Drop for Lease<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "--- the console said:\n{}\n---", self.said());
        }
    }
}
