//! An IPv4 address that no server has given (RFC 3927), as a machine without I/O.

use core::net::Ipv4Addr;

use super::claim::{Arp, Claim, Verdict};
use crate::net::mac::Mac;

type Ms = u64;

/// Section 9: after so many conflicts, a try a minute.
const MAX_CONFLICTS: u32 = 10;
const RATE_LIMIT_MS: Ms = 60_000;

/// Of 169.254.0.0/16.
pub const PREFIX: u8 = 16;

pub struct LinkLocal {
    mac: Mac,
    claim: Option<Claim>,
    conflicts: u32,
}

impl LinkLocal {
    pub const fn new(mac: Mac) -> Self {
        Self { mac, claim: None, conflicts: 0 }
    }

    /// Begins when there is none, or gives it up.
    pub fn want(&mut self, wanted: bool, now: Ms) {
        if !wanted {
            self.claim = None;
        } else if self.claim.is_none() {
            self.claim = Some(Claim::new(self.candidate(), self.mac, now));
        }
    }

    /// The address, once it is ours.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.claim.as_ref().filter(|claim| claim.is_settled()).map(|claim| claim.address)
    }

    pub fn deadline(&self) -> Option<Ms> {
        self.claim.as_ref()?.deadline()
    }

    pub fn poll(&mut self, now: Ms, random: u32) -> Option<Arp> {
        self.claim.as_mut()?.poll(now, random)
    }

    pub fn on_arp(&mut self, arp: Arp, now: Ms) {
        let used = self.address().is_some();
        let Some(claim) = &mut self.claim else { return };
        match claim.on_arp(arp, used, now) {
            Verdict::Fine | Verdict::Contested { again: false, .. } => {}
            Verdict::Taken(_) | Verdict::Contested { again: true, .. } => {
                self.conflicts = self.conflicts.saturating_add(1);
                let wait = if self.conflicts > MAX_CONFLICTS { RATE_LIMIT_MS } else { 0 };
                self.claim = Some(Claim::new(self.candidate(), self.mac, now + wait));
            }
        }
    }

    /// The same each time on one machine, and another after each conflict (section 2.1), from 169.254.1.0 to
    /// 169.254.254.255: FNV-1a of the card's address and the number of conflicts.
    fn candidate(&self) -> Ipv4Addr {
        let bytes = self.mac.into_iter().chain(self.conflicts.to_le_bytes());
        let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let low = 256 + (hash ^ (hash >> 16)) % (254 * 256);
        Ipv4Addr::from(0xa9fe_0000 | low)
    }
}
