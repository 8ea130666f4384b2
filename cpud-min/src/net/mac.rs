//! The address of an Ethernet card.

use core::fmt::{self, Display, Formatter};

pub type Mac = [u8; 6];

/// As people write it.
pub struct Shown(pub Mac);

impl Display for Shown {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02x}")?;
        rest.iter().try_for_each(|byte| write!(f, ":{byte:02x}"))
    }
}
