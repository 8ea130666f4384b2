//! What the upstream server answers: bytes become replies ([`replies`]) and data ([`data`]). What a reply says is
//! learnt first. Then the jobs that wait for it run.

mod data;
mod devices;
mod entries;
mod replies;

use super::data::cache::Cache;
use super::data::out::DATA_HEAD;
use super::data::request::{Request, RequestKind};
use super::state::{JOB_KERNEL, Relay, UPSTREAM_MSIZE};
use crate::frame::{Fault, FrameError, Sender};
use crate::limits::{HDRSZ, NOTAG};
use crate::msg::{Header, Message, Type};

impl Relay<'_> {
    pub(super) fn take_input(&mut self, bytes: &[u8], cache: &mut Cache<'_>) -> Result<usize, FrameError> {
        let mut rest = bytes;
        loop {
            let input = &mut self.input;
            if input.data_left > 0 {
                if rest.is_empty() {
                    return Ok(bytes.len());
                }
                let (data, after) = rest.split_at(rest.len().min(input.data_left as usize));
                rest = after;
                self.take_data(data, cache).map_err(|fault| self.input_error(fault))?;
                continue;
            }
            let header = input.header();
            let wanted = match &header {
                None => HDRSZ as usize,
                Some(header) => self.check(header).map_err(|fault| self.input_error(fault))?,
            };
            let input = &mut self.input;
            let n = wanted.saturating_sub(input.filled).min(rest.len());
            input.bytes[input.filled..][..n].copy_from_slice(&rest[..n]);
            (input.filled, rest) = (input.filled + n, &rest[n..]);
            if input.filled < wanted {
                return Ok(bytes.len());
            }
            if header.is_some() {
                let done = self.take_reply(cache).map_err(|fault| self.input_error(fault))?;
                if !done {
                    return Ok(bytes.len() - rest.len());
                }
            }
        }
    }

    fn input_error(&self, fault: Fault) -> FrameError {
        let header = self.input.header().unwrap_or_default();
        FrameError { good: 0, sender: Sender::Upstream, header, fault }
    }

    fn tag_of(&self, header: &Header) -> Result<usize, Fault> {
        let is_version = |r: &Request| matches!(r.kind, RequestKind::Version);
        let tag = if header.tag == NOTAG { self.requests.iter().position(is_version) } else { Some(header.tag.into()) };
        let known = |&tag: &usize| {
            self.requests.get(tag).is_some_and(|r| !r.is_free() && (is_version(r) == (header.tag == NOTAG)))
        };
        tag.filter(known).ok_or(Fault::NoRequest)
    }

    /// Checks a header. Returns how many bytes of its frame are to be collected.
    fn check(&self, &Header { size, kind, tag }: &Header) -> Result<usize, Fault> {
        let kind = Type::from_number(kind).ok_or(Fault::UnknownType)?;
        if kind.is_request() {
            return Err(Fault::WrongWay);
        }
        let msize = if self.upstream_msize == 0 { UPSTREAM_MSIZE } else { self.upstream_msize };
        if size > msize {
            return Err(Fault::AboveMsize { msize });
        }
        if !kind.sizes().contains(&size) {
            return Err(Fault::Size);
        }
        self.tag_of(&Header { size, kind: kind as u8, tag })?;
        if matches!(kind, Type::Rread | Type::Rreaddir) {
            return Ok(DATA_HEAD);
        }
        if size as usize > self.input.bytes.len() { Err(Fault::Size) } else { Ok(size as usize) }
    }

    /// A frame, or the head of one with data, is whole. False: the kernel has to take replies first.
    fn take_reply(&mut self, cache: &mut Cache<'_>) -> Result<bool, Fault> {
        let Some(header) = self.input.header() else { return Ok(true) };
        let tag = self.tag_of(&header)?;
        let kind = Type::from_number(header.kind).ok_or(Fault::UnknownType)?;
        let reserve = self.jobs.len() * JOB_KERNEL;
        match kind {
            Type::Rread | Type::Rreaddir => return self.take_data_head(&header, tag, cache),
            Type::Rreadlink if self.to_kernel.room() < header.size as usize + reserve => return Ok(false),
            _ => {}
        }
        let memory = core::mem::take(&mut self.input.bytes);
        let decoded = Message::decode(&memory[..header.size as usize]);
        let done = decoded.map_err(Fault::from).and_then(|(_, message)| self.complete(tag, kind, &message, cache));
        self.input.bytes = memory;
        done?;
        self.input.filled = 0;
        Ok(true)
    }
}
