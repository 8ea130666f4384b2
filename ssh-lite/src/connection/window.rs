//! Flow control (RFC 4254 section 5.2): how many bytes one side may still send on a channel.

/// More bytes than the window has, or than a window can have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Exceeded;

/// Bytes that may be sent now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Window(u32);

impl Window {
    fn grant(&mut self, bytes: u32) -> Result<(), Exceeded> {
        self.0 = self.0.checked_add(bytes).ok_or(Exceeded)?;
        Ok(())
    }

    fn consume(&mut self, bytes: usize) -> Result<(), Exceeded> {
        let bytes = u32::try_from(bytes).map_err(|_| Exceeded)?;
        self.0 = self.0.checked_sub(bytes).ok_or(Exceeded)?;
        Ok(())
    }
}

/// What the peer lets this side send.
#[derive(Debug)]
pub(crate) struct SendWindow {
    window: Window,
    unacknowledged: u64,
}

impl SendWindow {
    pub const fn new(bytes: u32) -> Self {
        Self { window: Window(bytes), unacknowledged: 0 }
    }

    pub const fn left(&self) -> u32 {
        self.window.0
    }

    /// Bytes sent that no adjustment has given back.
    pub const fn unacknowledged(&self) -> u64 {
        self.unacknowledged
    }

    /// The peer's adjustment; a sum above 2^32 - 1 is an error.
    pub fn grant(&mut self, bytes: u32) -> Result<(), Exceeded> {
        self.window.grant(bytes)?;
        self.unacknowledged = self.unacknowledged.saturating_sub(bytes.into());
        Ok(())
    }

    pub fn consume(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.window.consume(bytes)?;
        self.unacknowledged += bytes as u64;
        Ok(())
    }
}

/// What this side lets the peer send.
#[derive(Debug)]
pub(crate) struct ReceiveWindow {
    window: Window,
    initial: u32,
    credit: u32,
}

impl ReceiveWindow {
    pub const fn new(bytes: u32) -> Self {
        Self { window: Window(bytes), initial: bytes, credit: 0 }
    }

    /// Data of the peer; more than it was let send is an error.
    pub fn consume(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.window.consume(bytes)
    }

    /// Counts room that has become free; [`due`](Self::due) says when the peer is told.
    pub fn credit(&mut self, bytes: u32) {
        self.credit = self.credit.saturating_add(bytes);
    }

    /// The adjustment to send now: when half the window is free again, or the peer is about to stall.
    pub const fn due(&self) -> Option<u32> {
        if self.credit > 0 && (self.credit >= self.initial / 2 || self.window.0 < self.initial / 8) {
            Some(self.credit)
        } else {
            None
        }
    }

    /// The adjustment that was [due](Self::due) has been sent. Credit for more room than a window
    /// can have is forgotten.
    pub fn adjusted(&mut self) {
        self.window.0 = self.window.0.saturating_add(self.credit);
        self.credit = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_more_than_the_window_is_refused() {
        let mut window = ReceiveWindow::new(100);
        assert_eq!(window.consume(60), Ok(()));
        assert_eq!(window.consume(41), Err(Exceeded));
        assert_eq!(window.consume(40), Ok(()));
        assert_eq!(window.consume(1), Err(Exceeded));
    }

    #[test]
    fn credit_is_coalesced_to_half_the_window() {
        let mut window = ReceiveWindow::new(100);
        window.consume(60).unwrap();
        window.credit(49);
        assert_eq!(window.due(), None);
        window.credit(1);
        assert_eq!(window.due(), Some(50));
        window.adjusted();
        assert_eq!(window.due(), None);
        assert_eq!(window.consume(90), Ok(()));
        assert_eq!(window.consume(1), Err(Exceeded));
    }

    #[test]
    fn a_peer_that_is_about_to_stall_gets_what_there_is() {
        let mut window = ReceiveWindow::new(100);
        window.consume(95).unwrap();
        window.credit(1);
        assert_eq!(window.due(), Some(1));
    }

    #[test]
    fn the_peer_cannot_grant_more_than_a_window_holds() {
        let mut window = SendWindow::new(1);
        assert_eq!(window.grant(u32::MAX), Err(Exceeded));
        assert_eq!(window.grant(u32::MAX - 1), Ok(()));
    }

    #[test]
    fn sent_bytes_are_unacknowledged_until_granted_again() {
        let mut window = SendWindow::new(100);
        window.consume(70).unwrap();
        assert_eq!(window.unacknowledged(), 70);
        window.grant(50).unwrap();
        assert_eq!(window.unacknowledged(), 20);
        window.grant(50).unwrap();
        assert_eq!(window.unacknowledged(), 0);
        assert_eq!(window.left(), 130);
    }
}
