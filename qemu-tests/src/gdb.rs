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

    fn read(&mut self, address: u64, length: usize) -> Vec<u8> {
        let hex = self.ask(&format!("m{address:x},{length:x}"));
        let digits = hex.as_bytes().chunks_exact(2).map(|pair| std::str::from_utf8(pair).expect("hexadecimal"));
        digits.map(|pair| u8::from_str_radix(pair, 16).unwrap_or_else(|e| panic!("{hex}: {e}"))).collect()
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
        let bytes = self.read(stack, 1024);
        let words: Vec<u64> = bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        // argc and its pointers, a NULL, the environment, a NULL.
        let environment = words[0] as usize + 2;
        let end = words[environment..].iter().position(|&word| word == 0).expect("the environment ends");
        let start = environment + end + 1;
        let at = words[start..].iter().step_by(2).position(|&word| word == kind).expect("the kernel says it");
        let at = start + 2 * at + 1;
        let value = (words[at] & !bits).to_le_bytes().map(|byte| format!("{byte:02x}")).concat();
        assert_ne!(words[at] & bits, 0, "there is nothing to take away");
        assert_eq!(self.ask(&format!("M{:x},8:{value}", stack + 8 * at as u64)), "OK");
        assert_eq!(self.ask(&format!("z1,{entry:x},4")), "OK");
        self.ask("D");
    }
}
