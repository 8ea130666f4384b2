//! The lines about a panic among the last messages of a kernel.

/// What init says of a panic of its own (`rt/mod.rs`), and the kernel of any (kernel/panic.c).
const PANICS: [&[u8]; 2] = [b"cpud: panic at", b"Kernel panic - not syncing"];

/// The last line of each kind, from its first word on.
pub fn last_words(messages: &[u8]) -> impl Iterator<Item = &[u8]> {
    PANICS.iter().filter_map(|panic| {
        let lines = messages.split(|&byte| byte == b'\n').rev();
        lines.filter_map(|line| line.windows(panic.len()).position(|part| part == *panic).map(|at| &line[at..])).next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_inits_and_the_kernels_after_it_are_found_among_other_messages() {
        let messages = b"Panic#1 Part1\n<6>[    9.1] cpud: panic at 401 402\n<0>[    9.2] Kernel panic - not syncing: \
            Attempted to kill init! exitcode=0x00006500\n<0>[    9.3] Rebooting in";
        let found: std::vec::Vec<_> = last_words(messages).collect();
        let kernel = &b"Kernel panic - not syncing: Attempted to kill init! exitcode=0x00006500"[..];
        assert_eq!(found, [&b"cpud: panic at 401 402"[..], kernel]);
        assert_eq!(last_words(b"Oops#1 Part1\n<4>[ 3.0] something else").count(), 0);
        assert_eq!(last_words(b"").count(), 0);
    }
}
