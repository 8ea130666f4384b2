//! Encoded terminal modes (RFC 4254 section 8).

use crate::wire::Reader;

/// Iterates over pairs of opcode and argument, up to TTY_OP_END, an undefined opcode, or the end of the
/// bytes.
#[derive(Clone, Copy, Debug)]
pub struct TerminalModes<'a>(Reader<'a>);

/// Opcodes from 160 on are not defined and end the list.
const FIRST_UNDEFINED: u8 = 160;
const TTY_OP_END: u8 = 0;

impl<'a> TerminalModes<'a> {
    pub const fn new(encoded: &'a [u8]) -> Self {
        Self(Reader::new(encoded))
    }

    /// The bytes that have not been read yet, to be passed on.
    pub const fn encoded(&self) -> &'a [u8] {
        self.0.rest()
    }
}

impl Iterator for TerminalModes<'_> {
    type Item = (u8, u32);

    fn next(&mut self) -> Option<(u8, u32)> {
        let opcode = self.0.byte().ok()?;
        if opcode == TTY_OP_END || opcode >= FIRST_UNDEFINED {
            self.0 = Reader::new(&[]);
            return None;
        }
        Some((opcode, self.0.uint32().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn modes(encoded: &[u8]) -> Vec<(u8, u32)> {
        TerminalModes::new(encoded).collect()
    }

    #[test]
    fn pairs_up_to_the_end() {
        let encoded = [1, 0, 0, 0, 3, 53, 0, 0, 0, 1, 0, 53, 0, 0, 0, 0];
        assert_eq!(modes(&encoded), [(1, 3), (53, 1)]);
    }

    #[test]
    fn a_cut_pair_is_no_pair() {
        assert_eq!(modes(&[1, 0, 0, 0, 3, 53, 0, 0]), [(1, 3)]);
        assert_eq!(modes(&[]), []);
    }

    #[test]
    fn an_undefined_opcode_ends_the_list() {
        assert_eq!(modes(&[160, 0, 0, 0, 3, 1, 0, 0, 0, 3]), []);
    }
}
