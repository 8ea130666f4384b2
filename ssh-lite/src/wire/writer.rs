use super::WireError;

/// Appends the values of RFC 4251 section 5 to a slice.
///
/// A value that does not fit leaves what was written before it in place.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    end: usize,
}

impl<'a> Writer<'a> {
    pub const fn new(out: &'a mut [u8]) -> Self {
        Self { out, end: 0 }
    }

    /// How many bytes have been written.
    pub const fn written(&self) -> usize {
        self.end
    }

    /// What has been written.
    pub fn into_written(self) -> &'a mut [u8] {
        &mut self.out[..self.end]
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let end = self.end.checked_add(bytes.len()).ok_or(WireError::NoRoom)?;
        self.out.get_mut(self.end..end).ok_or(WireError::NoRoom)?.copy_from_slice(bytes);
        self.end = end;
        Ok(())
    }

    pub fn byte(&mut self, value: u8) -> Result<(), WireError> {
        self.bytes(&[value])
    }

    pub fn boolean(&mut self, value: bool) -> Result<(), WireError> {
        self.byte(value.into())
    }

    pub fn uint32(&mut self, value: u32) -> Result<(), WireError> {
        self.bytes(&value.to_be_bytes())
    }

    pub fn string(&mut self, value: &[u8]) -> Result<(), WireError> {
        self.uint32(u32::try_from(value.len()).map_err(|_| WireError::NoRoom)?)?;
        self.bytes(value)
    }

    /// A `string` whose bytes are the concatenation of `parts`.
    pub fn string_of(&mut self, parts: &[&[u8]]) -> Result<(), WireError> {
        let len: usize = parts.iter().map(|p| p.len()).sum();
        self.uint32(u32::try_from(len).map_err(|_| WireError::NoRoom)?)?;
        parts.iter().try_for_each(|p| self.bytes(p))
    }

    /// A non-negative `mpint` (RFC 4251 section 5) from a big-endian number.
    pub fn mpint(&mut self, big_endian: &[u8]) -> Result<(), WireError> {
        let digits = &big_endian[big_endian.iter().take_while(|&&b| b == 0).count()..];
        let sign: &[u8] = if digits.first().is_some_and(|&b| b & 0x80 != 0) { &[0] } else { &[] };
        self.string_of(&[sign, digits])
    }
}
