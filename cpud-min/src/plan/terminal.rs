//! The terminal modes of a pty request (RFC 4254 section 8) as Linux's `termios`, and the terminal type.

use core::ffi::CStr;

use linux_raw_sys::general::{
    ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHONL, ICANON, ICRNL, IEXTEN, IGNCR, IGNPAR, IMAXBEL, INLCR, INPCK, ISIG,
    ISTRIP, IUCLC, IUTF8, IXANY, IXOFF, IXON, NOFLSH, OCRNL, OLCUC, ONLCR, ONLRET, ONOCR, OPOST, PARMRK, PENDIN,
    TOSTOP, VDISCARD, VEOF, VEOL, VEOL2, VERASE, VINTR, VKILL, VLNEXT, VQUIT, VREPRINT, VSTART, VSTOP, VSUSP, VSWTC,
    VWERASE, XCASE, termios,
};

/// What one mode sets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// The special character at this index of `c_cc`.
    Character(u32),
    /// This bit of `c_iflag`.
    Input(u32),
    /// This bit of `c_lflag`.
    Local(u32),
    /// This bit of `c_oflag`.
    Output(u32),
}

/// The mode that an opcode stands for.
///
/// VDSUSP, FLUSH and STATUS have no row, since Linux lacks them. Nor have 90 to 93, 128 and 129, character size, parity
/// and speeds, which a Linux pty holds fixed or does not use.
pub const fn mode(opcode: u8) -> Option<Mode> {
    use Mode::{Character, Input, Local, Output};
    Some(match opcode {
        1 => Character(VINTR),
        2 => Character(VQUIT),
        3 => Character(VERASE),
        4 => Character(VKILL),
        5 => Character(VEOF),
        6 => Character(VEOL),
        7 => Character(VEOL2),
        8 => Character(VSTART),
        9 => Character(VSTOP),
        10 => Character(VSUSP),
        12 => Character(VREPRINT),
        13 => Character(VWERASE),
        14 => Character(VLNEXT),
        16 => Character(VSWTC),
        18 => Character(VDISCARD),
        30 => Input(IGNPAR),
        31 => Input(PARMRK),
        32 => Input(INPCK),
        33 => Input(ISTRIP),
        34 => Input(INLCR),
        35 => Input(IGNCR),
        36 => Input(ICRNL),
        37 => Input(IUCLC),
        38 => Input(IXON),
        39 => Input(IXANY),
        40 => Input(IXOFF),
        41 => Input(IMAXBEL),
        42 => Input(IUTF8), // RFC 8160
        50 => Local(ISIG),
        51 => Local(ICANON),
        52 => Local(XCASE),
        53 => Local(ECHO),
        54 => Local(ECHOE),
        55 => Local(ECHOK),
        56 => Local(ECHONL),
        57 => Local(NOFLSH),
        58 => Local(TOSTOP),
        59 => Local(IEXTEN),
        60 => Local(ECHOCTL),
        61 => Local(ECHOKE),
        62 => Local(PENDIN),
        70 => Output(OPOST),
        71 => Output(OLCUC),
        72 => Output(ONLCR),
        73 => Output(OCRNL),
        74 => Output(ONOCR),
        75 => Output(ONLRET),
        _ => return None,
    })
}

/// Sets one mode of a pty request; an opcode without a [`mode`] changes nothing.
pub fn apply(settings: &mut termios, opcode: u8, value: u32) {
    let (flags, bit) = match mode(opcode) {
        Some(Mode::Character(index)) => {
            // "255 if none" (section 8), which Linux writes as _POSIX_VDISABLE, 0.
            let character = u8::try_from(value).ok().filter(|&value| value != 255).unwrap_or(0);
            settings.c_cc[index as usize] = character;
            return;
        }
        Some(Mode::Input(bit)) => (&mut settings.c_iflag, bit),
        Some(Mode::Local(bit)) => (&mut settings.c_lflag, bit),
        Some(Mode::Output(bit)) => (&mut settings.c_oflag, bit),
        None => return,
    };
    if value == 0 { *flags &= !bit } else { *flags |= bit }
}

/// Switches echo on. V2's stock client asks for no echo, and relies on the server to do it.
pub fn echo(settings: &mut termios) {
    settings.c_lflag |= ECHO;
}

/// The command's `TERM`: the pty request's, unless that is `ansi`, which the stock client sends whatever the terminal
/// is; then the client's variable, if it sent one.
pub fn term<'t>(pty: &'t [u8], environment: Option<&'t CStr>) -> &'t [u8] {
    match environment {
        Some(term) if pty == b"ansi" && !term.is_empty() => term.to_bytes(),
        _ => pty,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> termios {
        termios { c_iflag: 0, c_oflag: 0, c_cflag: 0, c_lflag: 0, c_line: 0, c_cc: [0xee; 19] }
    }

    /// The numbers of the modes and of Linux's asm-generic/termbits.h, written down a second time.
    #[test]
    fn a_few_modes_by_number() {
        let mut settings = settings();
        for (opcode, value) in [(1, 3), (5, 4), (36, 1), (42, 1), (50, 1), (51, 1), (53, 1), (70, 1), (72, 1)] {
            apply(&mut settings, opcode, value);
        }
        assert_eq!((settings.c_cc[0], settings.c_cc[4]), (3, 4));
        assert_eq!(settings.c_iflag, 0o400 | 0o40000);
        assert_eq!(settings.c_lflag, 0o1 | 0o2 | 0o10);
        assert_eq!(settings.c_oflag, 0o1 | 0o4);
    }

    #[test]
    fn zero_takes_a_flag_back_and_leaves_the_others() {
        let mut settings = settings();
        settings.c_lflag = !0;
        apply(&mut settings, 53, 0);
        assert_eq!(settings.c_lflag, !ECHO);
        echo(&mut settings);
        assert_eq!(settings.c_lflag, !0);
    }

    #[test]
    fn a_character_of_255_is_none() {
        for value in [255, 256, u32::MAX] {
            let mut settings = settings();
            apply(&mut settings, 3, value);
            assert_eq!(settings.c_cc[2], 0);
        }
    }

    #[test]
    fn every_row_has_its_own_place() {
        for opcode in 0..=u8::MAX {
            if let Some(Mode::Character(index)) = mode(opcode) {
                assert!(index < 19, "opcode {opcode}");
            }
            for other in 0..opcode {
                assert!(mode(opcode).is_none() || mode(opcode) != mode(other), "opcodes {other} and {opcode}");
            }
        }
    }

    #[test]
    fn opcodes_without_a_row_change_nothing() {
        for opcode in [0, 11, 17, 90, 128, 129, 159, 255] {
            let mut settings = settings();
            apply(&mut settings, opcode, 1);
            assert_eq!((settings.c_iflag, settings.c_lflag, settings.c_oflag), (0, 0, 0), "opcode {opcode}");
            assert_eq!(settings.c_cc, [0xee; 19], "opcode {opcode}");
        }
    }

    #[test]
    fn the_stock_clients_ansi_gives_way_to_the_users_term() {
        assert_eq!(term(b"ansi", Some(c"xterm-256color")), b"xterm-256color");
        assert_eq!(term(b"ansi", None), b"ansi");
        assert_eq!(term(b"ansi", Some(c"")), b"ansi");
        assert_eq!(term(b"vt220", Some(c"xterm")), b"vt220");
    }
}
