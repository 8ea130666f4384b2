//! What a file that the kernel would not execute is: a program for another machine, or a script whose interpreter may
//! be one.

use core::ffi::CStr;
use core::fmt::{self, Display, Formatter};

/// As much of a file's beginning as the kernel itself looks at for `#!` (`BINPRM_BUF_SIZE`).
pub const HEAD: usize = 256;

/// The kind of machine that an ELF file is for: `e_machine` of elf(5), and whether addresses have 64 bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Machine {
    number: u16,
    wide: bool,
}

impl Machine {
    /// This program's own.
    pub const OURS: Self =
        Self { number: if cfg!(target_arch = "x86_64") { EM_X86_64 } else { EM_AARCH64 }, wide: true };
}

// linux/elf-em.h
const EM_386: u16 = 3;
const EM_ARM: u16 = 40;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
const EM_RISCV: u16 = 243;

impl Display for Machine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.number, self.wide) {
            (EM_X86_64, true) => f.write_str("x86-64"),
            (EM_X86_64, false) => f.write_str("x32"),
            (EM_AARCH64, true) => f.write_str("aarch64"),
            (EM_386, _) => f.write_str("32-bit x86"),
            (EM_ARM, _) => f.write_str("32-bit ARM"),
            (EM_RISCV, true) => f.write_str("riscv64"),
            (number, true) => write!(f, "for ELF machine {number}"),
            (number, false) => write!(f, "for ELF machine {number} of 32 bits"),
        }
    }
}

/// What the beginning of a file says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Program<'h> {
    Elf(Machine),
    /// `#!` and its interpreter.
    Script(&'h CStr),
    Other,
}

/// `head` is the first [`HEAD`] bytes of a file, or all that it has; what follows a script's interpreter is
/// overwritten.
pub fn program(head: &mut [u8]) -> Program<'_> {
    const CLASS_64: u8 = 2;
    const BIG_ENDIAN: u8 = 2;
    match *head {
        [0x7f, b'E', b'L', b'F', class, order, ..] if head.len() >= 20 => {
            let number = [head[18], head[19]];
            let number = if order == BIG_ENDIAN { u16::from_be_bytes(number) } else { u16::from_le_bytes(number) };
            Program::Elf(Machine { number, wide: class == CLASS_64 })
        }
        [b'#', b'!', ..] => interpreter(&mut head[2..]).map_or(Program::Other, Program::Script),
        _ => Program::Other,
    }
}

/// The first word of the line. None when there is none, or its end is not in `line`.
fn interpreter(line: &mut [u8]) -> Option<&CStr> {
    let start = line.iter().position(|byte| !b" \t".contains(byte))?;
    let end = line.iter().skip(start).position(|byte| b" \t\n\0".contains(byte))?;
    line[start + end] = 0;
    CStr::from_bytes_with_nul(&line[start..=start + end]).ok().filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn elf(class: u8, order: u8, machine: [u8; 2]) -> [u8; 20] {
        let mut head = [0; 20];
        head[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order]);
        head[18..].copy_from_slice(&machine);
        head
    }

    fn named(mut head: [u8; 20]) -> std::string::String {
        match program(&mut head) {
            Program::Elf(machine) => machine.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_program_is_named_by_its_machine() {
        assert_eq!(named(elf(2, 1, [62, 0])), "x86-64");
        assert_eq!(named(elf(1, 1, [62, 0])), "x32");
        assert_eq!(named(elf(2, 1, [183, 0])), "aarch64");
        assert_eq!(named(elf(1, 1, [40, 0])), "32-bit ARM");
        assert_eq!(named(elf(1, 1, [3, 0])), "32-bit x86");
        assert_eq!(named(elf(2, 1, [243, 0])), "riscv64");
        assert_eq!(named(elf(2, 2, [0, 21])), "for ELF machine 21");
        assert_eq!(named(elf(1, 2, [0, 8])), "for ELF machine 8 of 32 bits");
    }

    #[test]
    fn this_very_program_is_for_this_machine() {
        let mut head = [0; HEAD];
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        head.copy_from_slice(&file[..HEAD]);
        assert_eq!(program(&mut head), Program::Elf(Machine::OURS));
    }

    #[test]
    fn a_file_cut_short_is_no_program() {
        let head = elf(2, 1, [62, 0]);
        for end in 0..head.len() {
            assert_eq!(program(&mut head[..end].to_vec()), Program::Other);
        }
    }

    #[test]
    fn a_script_names_its_interpreter() {
        for line in ["#!/bin/sh\n", "#! /bin/sh -e\n", "#!\t/bin/sh\t-e", "#!/bin/sh\0"] {
            assert_eq!(program(&mut line.as_bytes().to_vec()), Program::Script(c"/bin/sh"), "{line:?}");
        }
        for line in ["#!", "#!\n", "#!   ", "#!/bin/sh", "#/bin/sh\n"] {
            assert_eq!(program(&mut line.as_bytes().to_vec()), Program::Other, "{line:?}");
        }
    }
}
