//! 128 bits that stand for a name or a version of a file.

/// Made from all bytes of what it stands for. Two values that differ have the same hash with a chance of 2⁻¹²⁸ unless
/// somebody looks for them, and whoever could would deceive only himself: a cache is one user's.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Hash(pub u64, pub u64);

const SEEDS: [u64; 2] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];

impl Hash {
    pub fn of(bytes: &[u8]) -> Self {
        bytes.chunks(8).fold(Self(SEEDS[0], SEEDS[1]).and(bytes.len() as u64), |hash, chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            hash.and(u64::from_le_bytes(word))
        })
    }

    pub fn of_words(words: &[u64]) -> Self {
        words.iter().fold(Self(SEEDS[1], SEEDS[0]), |hash, &word| hash.and(word))
    }

    fn and(self, word: u64) -> Self {
        Self(mix(self.0 ^ word, SEEDS[1] ^ self.1), mix(self.1 ^ word.rotate_left(32), SEEDS[0] ^ self.0))
    }
}

/// Both halves of the product (wyhash), made odd so that no factor is 0.
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a | 1 << 63) * u128::from(b | 1);
    (product as u64) ^ (product >> 64) as u64 ^ a.rotate_left(23)
}
