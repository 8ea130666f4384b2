//! `cpud`: which role this process begins with. Everything else is in the library.

#![no_std]
#![no_main]

mod rt;

use cpud_min::plan::cmdline::{self, Command};
use cpud_min::sys::args::Args;
use cpud_min::sys::{console, process};
use cpud_min::{check, init, say};

/// The exit code for arguments that are wrong.
const USAGE: i32 = 2;

fn main(args: Args) -> i32 {
    if process::own_pid().is_init() {
        init::appliance();
    }
    match cmdline::parse(args.iter().skip(1)) {
        Ok(Command::Serve(config)) => init::daemon(&config, args),
        Ok(Command::Check(check)) => i32::from(!check::run(&check)),
        Ok(Command::Help) => i32::from(console::write_out(cmdline::HELP.as_bytes()).is_err()),
        Ok(Command::Version) => {
            let line = concat!("cpud ", env!("CARGO_PKG_VERSION"), " (", env!("CPUD_COMMIT"), ")\n");
            i32::from(console::write_out(line.as_bytes()).is_err())
        }
        Err(error) => {
            say!("cpud: {error}");
            USAGE
        }
    }
}
