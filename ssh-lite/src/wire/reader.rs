use super::WireError;

/// Takes the values of RFC 4251 section 5 off the front of a slice.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `n` bytes (RFC 4251 section 5, `byte[n]`).
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], WireError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    pub fn byte(&mut self) -> Result<u8, WireError> {
        self.array().map(|&[b]| b)
    }

    /// Zero is false, all other values are true (RFC 4251 section 5).
    pub fn boolean(&mut self) -> Result<bool, WireError> {
        self.byte().map(|b| b != 0)
    }

    #[inline(never)] // sixteen times in the callers otherwise
    pub fn uint32(&mut self) -> Result<u32, WireError> {
        self.array().map(|b| u32::from_be_bytes(*b))
    }

    pub fn string(&mut self) -> Result<&'a [u8], WireError> {
        let n = self.uint32()?;
        self.bytes(usize::try_from(n).map_err(|_| WireError::Truncated)?)
    }

    /// A string that the protocol says is UTF-8 or US-ASCII.
    pub fn text(&mut self) -> Result<&'a str, WireError> {
        core::str::from_utf8(self.string()?).map_err(|_| WireError::NotText)
    }

    /// Ends the reading of a message: an error when bytes are left.
    pub const fn finish(self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Trailing) }
    }
}
