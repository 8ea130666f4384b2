//! QEMU's gdb stub (GDB manual, "Remote Protocol"), as far as it takes to change what a program is told at its start.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

/// A connection to a machine that stands still.
pub struct Gdb(BufReader<TcpStream>);

impl Gdb {
    pub fn connect(port: u16) -> std::io::Result<Self> {
        TcpStream::connect(("127.0.0.1", port)).map(|stream| Self(BufReader::new(stream)))
    }

    /// Sends a packet and returns the reply to it.
    fn ask(&mut self, packet: &str) -> String {
        let sum = packet.bytes().fold(0_u8, u8::wrapping_add);
        write!(self.0.get_mut(), "${packet}#{sum:02x}").expect("QEMU runs");
        let mut next = || {
            let mut byte = [0];
            self.0.read_exact(&mut byte).expect("QEMU runs");
            byte[0]
        };
        while next() != b'$' {}
        let reply = std::iter::from_fn(|| Some(next()).filter(|&byte| byte != b'#')).map(char::from).collect();
        let _sum = (next(), next());
        self.0.get_mut().write_all(b"+").expect("QEMU runs");
        reply
    }

    /// The word at `address`, in the target's byte order.
    fn word(&mut self, address: u64) -> u64 {
        let hex = self.ask(&format!("m{address:x},8"));
        u64::from_str_radix(&hex, 16).unwrap_or_else(|e| panic!("{address:#x} cannot be read: {hex}: {e}")).swap_bytes()
    }

    /// Lets the machine run until the program whose first instruction is at `entry` starts, takes `bits` out of the
    /// word of type `kind` in its auxiliary vector, and leaves the machine to itself. On aarch64.
    pub fn take_from_auxiliary(mut self, entry: u64, kind: u64, bits: u64) {
        assert_eq!(self.ask(&format!("Z1,{entry:x},4")), "OK");
        let stopped = self.ask("c");
        assert!(stopped.starts_with("T05"), "{stopped}");
        // x0 to x30, and the stack pointer, in 16 digits each of the target's byte order.
        let registers = self.ask("g");
        let stack = u64::from_str_radix(&registers[31 * 16..32 * 16], 16).expect("hexadecimal").swap_bytes();
        // argc and its pointers, a NULL, the environment, a NULL, pairs of a kind and a value to the kind 0. Word by word:
        // the stack may end soon behind them.
        let mut at = stack + 8 * (self.word(stack) + 2);
        while self.word(at) != 0 {
            at += 8;
        }
        at += 8;
        loop {
            let found = self.word(at);
            assert_ne!(found, 0, "the kernel says it");
            at += 8;
            if found == kind {
                break;
            }
            at += 8;
        }
        let value = self.word(at);
        assert_ne!(value & bits, 0, "there is nothing to take away");
        let value = (value & !bits).to_le_bytes().map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(self.ask(&format!("M{at:x},8:{value}")), "OK");
        assert_eq!(self.ask(&format!("z1,{entry:x},4")), "OK");
        self.ask("D");
    }
}
