//! When a session's channel may be closed after its command has ended.
//!
//! The stock cpu client exits as soon as the channel closes, whether or not it has copied all output to its own. So
//! CLOSE waits until the client has returned the window for what was sent, which shows that it has read it. Go's ssh
//! library withholds the credit of the last 96 KiB. For those wire waits as long as the client took for what it read
//! before, within limits. Other clients read on after CLOSE, and some return the window much later.

/// Output that Go's ssh library may have read without returning the window: three packets of 32 KiB.
const WITHHELD: u64 = 96 * 1024;

/// Output that fits into the pipe behind the client (pipe(7), capacity), which takes it without waiting for a reader.
const PIPE: u64 = 64 * 1024;

/// How long a client may take to hand on a pipe's worth of output.
const SHORT_MS: u64 = 10;

/// The shortest wait for a client whose reader may be slow.
const READER_MS: u64 = 300;

/// The longest wait after a client's last sign, however slow it has been.
const LONG_MS: u64 = 10_000;

/// The client's pace, and the time of its last sign.
pub struct Ending {
    /// When the client last returned window, and the unacknowledged bytes then.
    last: (u64, u64),
    /// Milliseconds that the client last took for [`WITHHELD`] bytes, if known.
    pace: Option<u64>,
}

impl Ending {
    /// The command has ended at `now` with so many bytes of output unacknowledged.
    pub const fn new(now: u64, unacknowledged: u64) -> Self {
        Self { last: (now, unacknowledged), pace: None }
    }

    /// None: CLOSE may be sent. Otherwise: not before that time, unless the client acknowledges more.
    pub fn wait_until(&mut self, now: u64, unacknowledged: u64) -> Option<u64> {
        let (since, before) = self.last;
        if unacknowledged < before {
            self.pace = Some((now - since) * WITHHELD / (before - unacknowledged));
            self.last = (now, unacknowledged);
        }
        let grace = match unacknowledged {
            0 => 0,
            // Somebody may be reading it in a pager; TCP notices a client that is gone.
            n if n > WITHHELD => return Some(now + LONG_MS),
            n if n <= PIPE && self.pace.is_none() => SHORT_MS,
            _ => self.pace.map_or(READER_MS, |pace| (2 * pace).clamp(READER_MS, LONG_MS)),
        };
        let until = self.last.0 + grace;
        (until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_without_output_closes_at_once() {
        assert_eq!(Ending::new(1000, 0).wait_until(1000, 0), None);
    }

    #[test]
    fn a_little_output_costs_ten_milliseconds() {
        let mut ending = Ending::new(1000, 500);
        assert_eq!(ending.wait_until(1000, 500), Some(1010));
        assert_eq!(ending.wait_until(1010, 500), None);
    }

    #[test]
    fn a_client_that_reads_slowly_is_waited_for_as_long_as_it_reads() {
        let mut ending = Ending::new(0, 2_000_000);
        for second in 1..19 {
            assert!(ending.wait_until(second * 1000, 2_000_000 - 100_000 * second).is_some());
        }
        // 100,000 bytes a second: the last 98,304 take less than another second, and get two.
        let last = ending.wait_until(19_050, 98_304);
        assert!(last.is_some_and(|t| (20_500..22_000).contains(&t)), "{last:?}");
    }

    #[test]
    fn close_waits_for_unread_output_and_then_a_while_for_the_rest() {
        let mut ending = Ending::new(0, 2_000_000);
        assert!(ending.wait_until(3_600_000, 2_000_000).is_some_and(|t| t > 3_600_000));
        assert_eq!(ending.wait_until(3_600_001, 90_000), Some(3_610_001));
        assert_eq!(ending.wait_until(3_610_001, 90_000), None);
    }
}
