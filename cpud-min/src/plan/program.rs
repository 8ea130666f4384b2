//! Why the kernel would not execute a file: it is a program for another machine, or a script whose interpreter may be
//! one.

use core::ffi::CStr;

/// How much of a file's beginning the kernel looks at for `#!` (`BINPRM_BUF_SIZE`).
pub const HEAD: usize = 256;

/// The machine that an ELF file is for: class, byte order, and the two bytes of `e_machine` (elf(5)).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Machine(u32);

// linux/elf-em.h: 62, 183, 3, 40; class 1 is 32 bits and 2 is 64 bits, order 1 is little endian.
const X86_64: Machine = Machine(0x0201_3e00);
const AARCH64: Machine = Machine(0x0201_b700);
const I386: Machine = Machine(0x0101_0300);
const ARM: Machine = Machine(0x0101_2800);

impl Machine {
    /// This program's machine.
    pub const OURS: Self = if cfg!(target_arch = "x86_64") { X86_64 } else { AARCH64 };

    /// The machine of the file that begins with `head`; None when it is no ELF file.
    pub fn of(head: &[u8]) -> Option<Self> {
        match *head {
            [0x7f, b'E', b'L', b'F', class, order, ..] if head.len() >= 20 => {
                Some(Self(u32::from_be_bytes([class, order, head[18], head[19]])))
            }
            _ => None,
        }
    }

    /// As the end of the sentence "this program is ...".
    pub const fn name(self) -> &'static str {
        match self {
            X86_64 => "x86-64",
            AARCH64 => "aarch64",
            I386 => "32-bit x86",
            ARM => "32-bit ARM",
            _ => "for another machine",
        }
    }
}

/// The interpreter of the script that begins with `head`, at most [`HEAD`] bytes, whose blanks are overwritten. None
/// when it is no script, or the name has no end.
pub fn interpreter(head: &mut [u8]) -> Option<&CStr> {
    let [b'#', b'!', line @ ..] = head else { return None };
    line.iter_mut().filter(|byte| b" \t\n".contains(byte)).for_each(|byte| *byte = 0);
    let start = line.iter().position(|&byte| byte != 0)?;
    CStr::from_bytes_until_nul(&line[start..]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(class: u8, order: u8, machine: [u8; 2]) -> [u8; 20] {
        let mut head = [0; 20];
        head[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order]);
        head[18..].copy_from_slice(&machine);
        head
    }

    #[test]
    fn a_program_is_named_by_its_machine() {
        let named = |class, order, machine| Machine::of(&elf(class, order, machine)).map(Machine::name);
        assert_eq!(named(2, 1, [62, 0]), Some("x86-64"));
        assert_eq!(named(2, 1, [183, 0]), Some("aarch64"));
        assert_eq!(named(1, 1, [40, 0]), Some("32-bit ARM"));
        assert_eq!(named(1, 1, [3, 0]), Some("32-bit x86"));
        // x32, riscv64, big-endian aarch64
        for (class, order, machine) in [(1, 1, [62, 0]), (2, 1, [243, 0]), (2, 2, [0, 183])] {
            assert_eq!(named(class, order, machine), Some("for another machine"));
        }
    }

    #[test]
    fn this_very_program_is_for_this_machine() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(Machine::of(&file[..HEAD]), Some(Machine::OURS));
    }

    #[test]
    fn a_file_cut_short_is_no_program() {
        let head = elf(2, 1, [62, 0]);
        assert!((0..head.len()).all(|end| Machine::of(&head[..end]).is_none()));
    }

    #[test]
    fn a_script_names_its_interpreter() {
        for line in ["#!/bin/sh\n", "#! /bin/sh -e\n", "#!\t/bin/sh\t-e", "#!/bin/sh\0"] {
            assert_eq!(interpreter(&mut line.as_bytes().to_vec()), Some(c"/bin/sh"), "{line:?}");
        }
        for line in ["", "#", "#!", "#!\n", "#!   ", "#!/bin/sh", "#/bin/sh\n"] {
            assert_eq!(interpreter(&mut line.as_bytes().to_vec()), None, "{line:?}");
        }
    }
}
