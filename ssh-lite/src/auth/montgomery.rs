//! Powers modulo an RSA modulus, by Montgomery's multiplication.
//!
//! For verification only: all numbers are public, so the time may depend on them.

use core::cmp::Ordering;

/// 4096 bits.
const LIMBS: usize = 64;
/// Bytes of the largest modulus.
pub const MODULUS_MAX: usize = LIMBS * 8;

/// A number of up to 4096 bits, least significant limb first.
#[derive(Clone, Copy, PartialEq)]
pub struct Number([u64; LIMBS]);

/// An odd number n, and what multiplications modulo n need.
pub struct Modulus {
    n: Number,
    /// How many limbs n takes; R below is 2^(64 `used`).
    used: usize,
    /// -n⁻¹ mod 2⁶⁴.
    inverse: u64,
}

impl Number {
    /// From at most [`MODULUS_MAX`] bytes.
    pub fn from_big_endian(bytes: &[u8]) -> Self {
        let mut limbs = [0; LIMBS];
        for (limb, bytes) in limbs.iter_mut().zip(bytes.rchunks(8)) {
            *limb = bytes.iter().fold(0, |limb, &byte| limb << 8 | u64::from(byte));
        }
        Self(limbs)
    }

    fn cmp(&self, other: &Self) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

impl Modulus {
    /// `big_endian` is odd, has at most 512 bytes, and the first one is not zero.
    pub fn new(big_endian: &[u8]) -> Self {
        let n = Number::from_big_endian(big_endian);
        // Newton's iteration: n is its own inverse modulo 2³, and each step doubles the bits that
        // are right.
        let mut inverse = n.0[0];
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(n.0[0].wrapping_mul(inverse)));
        }
        Self { n, used: big_endian.len().div_ceil(8), inverse: inverse.wrapping_neg() }
    }

    /// `base`, big endian and at most 512 bytes, to the power of `exponent`; none when `base` is
    /// not below n, or `exponent` is 0.
    pub fn power(&self, base: &[u8], exponent: u32) -> Option<Number> {
        let base = Number::from_big_endian(base);
        if base.cmp(&self.n).is_ge() {
            return None;
        }
        let base = self.multiply(&base, &self.radix_squared());
        let mut power = base;
        for bit in (0..exponent.checked_ilog2()?).rev() {
            power = self.multiply(&power, &power);
            if exponent >> bit & 1 == 1 {
                power = self.multiply(&power, &base);
            }
        }
        Some(self.multiply(&power, &Number::from_big_endian(&[1])))
    }

    /// R² mod n, which takes a number to its Montgomery form.
    fn radix_squared(&self) -> Number {
        let top_bit = 64 * self.used - 1 - self.n.0[self.used - 1].leading_zeros() as usize;
        // The largest power of two below n, doubled to 2^used R. That is the form of 2^used, and
        // six squarings make it the form of 2^(64 used) = R.
        let mut x = Number([0; LIMBS]);
        x.0[top_bit / 64] = 1 << (top_bit % 64);
        for _ in top_bit..64 * self.used + self.used {
            x = self.double(&x);
        }
        for _ in 0..6 {
            x = self.multiply(&x, &x);
        }
        x
    }

    /// 2x mod n, for x below n.
    fn double(&self, x: &Number) -> Number {
        let mut twice = *x;
        let mut carry = 0;
        for limb in &mut twice.0[..self.used] {
            (*limb, carry) = (*limb << 1 | carry, *limb >> 63);
        }
        self.reduce(twice, carry)
    }

    /// a b R⁻¹ mod n, for a and b below n.
    fn multiply(&self, a: &Number, b: &Number) -> Number {
        let mut sum = Number([0; LIMBS]);
        let mut top = 0;
        for &a in &a.0[..self.used] {
            let limbs = &mut sum.0[..self.used];
            // sum + a b + m n, with the m that makes its lowest limb zero, which is then shifted
            // out.
            let m = limbs[0].wrapping_add(a.wrapping_mul(b.0[0])).wrapping_mul(self.inverse);
            let (mut carry_ab, mut carry_mn) = (0, 0);
            for ((limb, &b), &n) in limbs.iter_mut().zip(&b.0).zip(&self.n.0) {
                (*limb, carry_ab) = multiply_add(a, b, *limb, carry_ab);
                (*limb, carry_mn) = multiply_add(m, n, *limb, carry_mn);
            }
            limbs.copy_within(1.., 0);
            let highest = u128::from(top) + u128::from(carry_ab) + u128::from(carry_mn);
            (limbs[self.used - 1], top) = (highest as u64, (highest >> 64) as u64);
        }
        self.reduce(sum, top)
    }

    /// x + `top` R, which is below 2n, less n when it is not below n.
    fn reduce(&self, mut x: Number, top: u64) -> Number {
        if top == 0 && x.cmp(&self.n).is_lt() {
            return x;
        }
        let mut borrow = false;
        for (limb, &n) in x.0[..self.used].iter_mut().zip(&self.n.0) {
            let (difference, under) = limb.overflowing_sub(n);
            let (difference, under_too) = difference.overflowing_sub(borrow.into());
            (*limb, borrow) = (difference, under || under_too);
        }
        x
    }
}

/// The low and the high half of a b + c + d, which cannot overflow.
fn multiply_add(a: u64, b: u64, c: u64, d: u64) -> (u64, u64) {
    let sum = u128::from(a) * u128::from(b) + u128::from(c) + u128::from(d);
    (sum as u64, (sum >> 64) as u64)
}

#[cfg(test)]
mod tests;
