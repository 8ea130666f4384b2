//! The image in QEMU, as its users see it. One machine is booted for all of these tests.

mod appends;
mod apu2;
mod architecture;
mod boot;
mod command;
mod crowd;
mod devices;
mod devs;
mod dnsmasq;
mod endings;
mod files;
mod firmware;
mod flash;
mod holes;
mod hostile;
mod lab;
mod limits;
mod links;
mod modes;
mod mount;
mod names;
mod network;
mod nfs;
mod owners;
mod panic;
mod plain;
mod refused;
mod relays;
mod rockpro64;
mod settings;
mod stock;
mod terminal;
mod walls;
mod watch;
mod watchdog;

use std::time::Duration;

use qemu_tests::client::Client;
use qemu_tests::programs;
use qemu_tests::run::{Outcome, feed, run};

/// One emulated processor does everything.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs a command by the tests' V3 client.
#[track_caller]
fn v3(port: u16, options: &[&str], words: &[&str]) -> Outcome {
    let client = Client::v3(port).unwrap_or_else(|e| panic!("{e}"));
    run(client.with(options).command(words), LIMIT)
}

/// The same with something to read.
#[track_caller]
fn v3_reading(port: u16, stdin: Vec<u8>, words: &[&str]) -> Outcome {
    let mut client = Client::v3(port).unwrap_or_else(|e| panic!("{e}"));
    feed(client.command(words), stdin, LIMIT)
}

/// What `ls /bin` prints in a session, listed at home.
fn listing_of_bin() -> String {
    run(std::process::Command::new("ls").arg(programs::at_home("/bin")), LIMIT).ok()
}

/// The test's machine, or a return from the test when there is no client for it.
macro_rules! machine {
    ($how:ident) => {{
        qemu_tests::or_skip!(qemu_tests::client::v3());
        qemu_tests::or_skip!(qemu_tests::skip::on_path(&qemu_tests::board::under_test().qemu()));
        qemu_tests::vm::$how()
    }};
}
use machine;
