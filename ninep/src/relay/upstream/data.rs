//! Replies with data, which comes in pieces and goes on at once.

use crate::frame::Fault;
use crate::limits::HDRSZ;
use crate::msg::{Header, Type};
use crate::relay::data::cache::Cache;
use crate::relay::data::listing::LONGEST;
use crate::relay::data::node::Moment;
use crate::relay::data::out::{DATA_HEAD, data_head};
use crate::relay::data::request::{Request, RequestKind, Transfer};
use crate::relay::state::{JOB_KERNEL, Relay};
use crate::wire::WireError;

impl Relay<'_> {
    /// The head of a reply with data is whole. False: the kernel has to take replies first.
    pub(super) fn take_data_head(&mut self, header: &Header, tag: usize, cache: &mut Cache<'_>) -> Result<bool, Fault> {
        let count = match self.input.bytes.get(HDRSZ as usize..DATA_HEAD) {
            Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
            _ => 0,
        };
        let request = self.requests[tag];
        let kind = if request.is_listing() { Type::Rreaddir } else { Type::Rread };
        let asked = request.count().filter(|_| header.kind == kind as u8).ok_or(request.wrong_reply())?;
        if header.size - DATA_HEAD as u32 != count {
            return Err(Fault::Size);
        }
        if count > asked {
            return Err(Fault::Excess);
        }
        let j = request.job as usize;
        if request.is_direct() && j != 0 {
            if self.to_kernel.room() < DATA_HEAD + count as usize + self.jobs.len() * JOB_KERNEL {
                return Ok(false);
            }
            let head = data_head(kind, self.jobs[j].tag, count);
            self.to_kernel.reserve(&head, count as usize);
            // The reply has begun: what remains is a matter of bytes.
            self.finish(j, cache);
        } else {
            self.requests[tag].lose();
        }
        self.input.data_left = count;
        self.input.tag = tag as u16;
        self.input.entry.clear();
        if kind == Type::Rread {
            self.counters.read += u64::from(count);
        }
        if count == 0 {
            self.data_ended(tag, cache);
        }
        Ok(true)
    }

    /// Bytes of a reply with data.
    pub(super) fn take_data(&mut self, data: &[u8], cache: &mut Cache<'_>) -> Result<(), Fault> {
        let tag = usize::from(self.input.tag);
        match &mut self.requests[tag].kind {
            RequestKind::Direct { lost: false, .. } => self.to_kernel.fill(data),
            RequestKind::Devices { .. } => self.devices.take(data),
            RequestKind::Fetch(transfer) => {
                transfer.lost = transfer.lost || !cache.put(transfer.content, transfer.offset + transfer.got, data);
                transfer.got += data.len() as u64;
            }
            RequestKind::Listing(_) | RequestKind::DirectListing { .. } => self.take_entries(tag, data, cache)?,
            _ => {}
        }
        self.input.data_left -= data.len() as u32;
        if self.input.data_left == 0 {
            if !self.input.entry.is_empty() {
                return Err(Fault::Body(WireError::Truncated));
            }
            self.data_ended(tag, cache);
        }
        Ok(())
    }

    /// All the data of a reply has come.
    fn data_ended(&mut self, tag: usize, cache: &mut Cache<'_>) {
        let came = self.input.header().map_or(0, |h| h.size - DATA_HEAD as u32);
        self.input.filled = 0;
        let request = self.take_request(tag);
        match request.kind {
            RequestKind::Fetch(Transfer { offset, count, got, .. }) => {
                self.fetching -= u64::from(count);
                let node = self.tree.node(request.node);
                if got < u64::from(count) && offset + got < node.attr.size {
                    // The file is shorter than it was.
                    node.asked = Moment::default();
                }
                self.wake_and_release(tag, 0, request.node, cache);
            }
            RequestKind::Listing(transfer) => self.listing_goes_on(tag, &request, transfer, came, cache),
            RequestKind::DirectListing { .. } => self.release_node(request.node, cache),
            RequestKind::Devices { offset, count } => {
                self.devices_came(tag, request.ffid, (offset, count), came, cache);
            }
            _ => {}
        }
    }

    fn listing_goes_on(&mut self, tag: usize, request: &Request, transfer: Transfer, came: u32, cache: &mut Cache<'_>) {
        // Who speaks Google's dialect goes on with a listing until the message is full.
        if came == 0 || (self.google && came + (LONGEST as u32) < transfer.count) {
            return self.listing_ended(tag, request, transfer, 0, cache);
        }
        let next = self.send_listing(request, Transfer { early: false, ..transfer });
        self.wait_instead(tag, next);
    }
}
