extern crate std;
use std::vec::Vec;

use super::Modulus;

/// The remainder as 512 bytes, or none.
fn power(modulus: &[u8], base: &[u8], exponent: u32) -> Option<Vec<u8>> {
    Some(Modulus::new(modulus).power(base, exponent)?.0.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect())
}

/// 512 bytes of the number that has these bits.
fn bits(bits: impl IntoIterator<Item = usize>) -> [u8; 512] {
    let mut number = [0; 512];
    for bit in bits {
        number[511 - bit / 8] |= 1 << (bit % 8);
    }
    number
}

fn strip(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|&&b| b == 0).count()..]
}

#[test]
fn small_powers_are_those_of_plain_arithmetic() {
    let plain = |n: u64, base: u64, exponent: u32| {
        (0..exponent).fold(1, |power: u128, _| power * u128::from(base) % u128::from(n)) as u64
    };
    for n in [3, 5, 255, 257, 0xffff_ffff, 0x1_0000_0001, 0x8000_0000_0000_0001, u64::MAX] {
        for base in [0, 1, 2, n / 2, n - 2, n - 1] {
            for exponent in [1, 2, 3, 17, 256, 257] {
                let found = power(strip(&n.to_be_bytes()), &base.to_be_bytes(), exponent).unwrap();
                assert_eq!(strip(&found), strip(&plain(n, base, exponent).to_be_bytes()), "{base}^{exponent} mod {n}");
            }
        }
    }
}

/// Modulo 2^k - 1 the power of two 2^a to the e is 2^(a e mod k): every limb of the modulus is
/// full.
#[test]
fn powers_of_two_wrap_around_below_a_full_modulus() {
    for k in [63, 64, 65, 127, 128, 129, 2047, 2048, 2049, 3000, 4032, 4095, 4096] {
        let modulus = bits(0..k);
        for a in [0, 1, 31, k / 2, k - 1] {
            for e in [1, 3, 65537, u32::MAX] {
                let expected = bits([a * e as usize % k]);
                let found = power(strip(&modulus), &bits([a]), e).unwrap();
                assert!(found == expected, "(2^{a})^{e} mod 2^{k} - 1");
            }
        }
    }
}

/// Modulo 2^k + 1, 2^k is -1: nearly every limb of the modulus is empty.
#[test]
fn minus_one_alternates_below_an_empty_modulus() {
    for k in [63, 64, 65, 2047, 2048, 4032, 4095] {
        let (modulus, minus_one) = (bits([0, k]), bits([k]));
        for e in [1, 2, 3, 65536, 65537, u32::MAX] {
            let expected = if e % 2 == 1 { minus_one } else { bits([0]) };
            let found = power(strip(&modulus), &minus_one, e).unwrap();
            assert!(found == expected, "(-1)^{e} mod 2^{k} + 1");
        }
    }
}

#[test]
fn a_base_that_is_not_below_the_modulus_has_no_power() {
    for k in [64, 2048, 4096] {
        let modulus = bits(0..k);
        assert_eq!(power(strip(&modulus), &modulus, 3), None);
        assert!(power(strip(&modulus), &bits(1..k), 3).is_some());
    }
    assert_eq!(power(strip(&bits(0..2048)), &bits([2048]), 3), None);
}

#[test]
fn there_is_no_power_of_zero() {
    assert_eq!(power(&[7], &[3], 0), None);
}
