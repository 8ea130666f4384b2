//! The messages between wire and a relay: one per packet of a SOCK_SEQPACKET socketpair that guard has made for the
//! connection, in the types of RFC 4251 section 5.

use ssh_lite::wire::{Reader, WireError, Writer};

/// The longest message.
pub const MESSAGE_MAX: usize = 600;

/// From wire: serve the files of a session. Three descriptors come along: the relay's end of the kernel's 9P socket,
/// its end of the byte stream to the channel, and the file for the counters.
#[derive(Debug, PartialEq)]
pub struct Begin<'a> {
    /// Unique among all sessions that this connection has or had.
    pub session: u32,
    /// The freshness bound: for how many milliseconds an answer may be reused.
    pub freshness_ms: u32,
    /// The user's home directory at the client, empty when it is not known.
    pub home: &'a [u8],
    /// Names in the client's root that the session will ask for, separated by slashes.
    pub names: &'a [u8],
}

/// From a relay: why this session has no files, or has lost them.
#[derive(Debug, PartialEq)]
pub struct Fault<'a> {
    pub session: u32,
    pub text: &'a str,
}

impl<'a> Begin<'a> {
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let mut w = Writer::new(out);
        w.uint32(self.session)?;
        w.uint32(self.freshness_ms)?;
        w.string(self.home)?;
        w.string(self.names)?;
        Ok(w.written())
    }

    pub fn decode(message: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(message);
        let decoded = Self { session: r.uint32()?, freshness_ms: r.uint32()?, home: r.string()?, names: r.string()? };
        r.finish().map(|()| decoded)
    }
}

impl<'a> Fault<'a> {
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let mut w = Writer::new(out);
        w.uint32(self.session)?;
        w.string(self.text.as_bytes())?;
        Ok(w.written())
    }

    pub fn decode(message: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(message);
        let decoded = Self { session: r.uint32()?, text: r.text()? };
        r.finish().map(|()| decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written() {
        let mut out = [0; MESSAGE_MAX];
        let begin = Begin { session: 3, freshness_ms: 1000, home: b"/home/glenda", names: b"usr/etc" };
        let n = begin.encode(&mut out).unwrap();
        assert_eq!(Begin::decode(&out[..n]), Ok(begin));
        assert_eq!(Begin::decode(&out[..n + 1]), Err(WireError::Trailing));
        let fault = Fault { session: 3, text: "9P frame from the client's server" };
        let n = fault.encode(&mut out).unwrap();
        assert_eq!(Fault::decode(&out[..n]), Ok(fault));
        assert!((0..n).all(|cut| Fault::decode(&out[..cut]).is_err()));
    }
}
