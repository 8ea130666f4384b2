//! When a session's channel may be closed after its command has ended.
//!
//! The stock cpu client exits as soon as the channel closes, whether or not it has copied all output to its own. So
//! CLOSE waits until the client has given back the window for what was sent: then it has read it. Go's ssh library
//! keeps the credit of the last 96 KiB to itself, and for those it is a matter of time: as much as the client took for
//! what it read before, within limits. Other clients read on after CLOSE, and some give the window back much later.

/// Output that Go's ssh library may have read without giving the window back: three packets of 32 KiB.
const WITHHELD: u64 = 96 * 1024;

/// Output that fits into the pipe behind the client (pipe(7), capacity): its copier does not wait for a reader.
const PIPE: u64 = 64 * 1024;

/// What a client gets to hand a pipe's worth of output on.
const SHORT_MS: u64 = 10;

/// What a client gets at least when it may have a reader who is slow.
const READER_MS: u64 = 300;

/// However slow the client has been, so long is what it may have read waited for after its last word.
const LONG_MS: u64 = 10_000;

/// The client's pace, and since when it has been waited for.
pub struct Ending {
    /// The last time the client gave window back, and the unacknowledged bytes then.
    last: (u64, u64),
    /// Milliseconds that the client last took for [`WITHHELD`] bytes, if that is known.
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
    fn a_client_that_has_not_read_it_is_waited_for_and_then_given_time_for_the_rest() {
        let mut ending = Ending::new(0, 2_000_000);
        assert!(ending.wait_until(3_600_000, 2_000_000).is_some_and(|t| t > 3_600_000));
        assert_eq!(ending.wait_until(3_600_001, 90_000), Some(3_610_001));
        assert_eq!(ending.wait_until(3_610_001, 90_000), None);
    }
}
