//! What the kernel asks: frames become jobs ([`requests`], [`changes`]), or are answered at once.

mod begin;
mod changes;
mod requests;

use super::data::cache::Cache;
use super::state::{JOB_KERNEL, JOB_UPSTREAM, Relay, State};
use crate::errno::Errno;
use crate::frame::{Fault, FrameError, Sender};
use crate::limits::{HDRSZ, MSIZE_MIN, NOTAG};
use crate::msg::{Header, Message, Tversion, Type, VERSION};
use crate::wire::{Reader, Wire};
use begin::Begun;

impl Relay<'_> {
    pub(super) fn process_kernel_frames(&mut self, cache: &mut Cache<'_>) -> Result<(), FrameError> {
        let memory = core::mem::take(&mut self.from_kernel);
        let (mut start, end) = (0, self.from_kernel_end);
        let mut result = Ok(());
        while let Some(frame) = next_frame(&memory[start..end]) {
            let taken = match frame {
                Ok(frame) => self.take_frame(frame, cache).map(|taken| taken.then_some(frame.len())),
                Err(fault) => Err(fault),
            };
            match taken {
                Ok(Some(n)) => start += n,
                Ok(None) => break,
                Err(fault) => {
                    result = Err(error(&memory[start..end], fault));
                    break;
                }
            }
        }
        if result.is_ok() && start == 0 && end == memory.len() && next_frame(&memory[..end]).is_none() {
            result = Err(error(&memory[..end], Fault::AboveMsize { msize: memory.len() as u32 }));
        }
        memory.copy_within(start..end, 0);
        self.from_kernel_end = end - start;
        self.from_kernel = memory;
        result
    }

    /// False: it has to wait.
    fn take_frame(&mut self, frame: &[u8], cache: &mut Cache<'_>) -> Result<bool, Fault> {
        let Header { kind, tag, .. } = Header::read(&mut Reader::new(frame));
        let message = match Type::from_number(kind) {
            _ if Type::is_of_9p2000(kind) => None,
            Some(kind) if !kind.is_request() => return Err(Fault::WrongWay),
            _ => Some(Message::decode(frame)?.1),
        };
        if let Some(Message::Tversion(version)) = message {
            return self.version(tag, &version).map(|()| true);
        }
        match self.state {
            State::Silent | State::Version { .. } => return Err(Fault::BeforeVersion),
            State::Open | State::Gone => {}
        }
        if frame.len() > self.msize as usize {
            return Err(Fault::AboveMsize { msize: self.msize });
        }
        if tag == NOTAG {
            return Err(Fault::Tag);
        }
        let Some(job) = self.room_for_job(frame.len()) else { return Ok(false) };
        if self.jobs.iter().any(|j| !j.is_free() && j.tag == tag) {
            return Err(Fault::TagInUse);
        }
        let is_gone = self.state == State::Gone;
        let begun = match message {
            Some(message) if !is_gone || matches!(message, Message::Tclunk(_) | Message::Tflush(_)) => {
                self.request(job, tag, &message, cache)?
            }
            _ => Err(if is_gone { Errno::EIO } else { Errno::EOPNOTSUPP }),
        };
        match begun {
            Ok(Begun::Later) => return Ok(false),
            Ok(Begun::Job) => {}
            Ok(Begun::Reply(reply)) => self.reply(tag, reply),
            Err(errno) => self.error(tag, errno),
        }
        self.counters.asked += 1;
        Ok(true)
    }

    /// A free place for a job, if there is room for all that it and the others may say.
    fn room_for_job(&self, frame: usize) -> Option<usize> {
        let jobs = self.jobs.len();
        let has_room = self.to_upstream.room() >= frame + (jobs + 1) * JOB_UPSTREAM
            && self.to_kernel.room() >= (jobs + 1) * JOB_KERNEL
            && self.requests.len() > self.busy_requests + 2 * jobs;
        (1..jobs).find(|&j| self.jobs[j].is_free()).filter(|_| has_room)
    }

    fn version(&mut self, tag: u16, asked: &Tversion<'_>) -> Result<(), Fault> {
        if self.state != State::Silent {
            return Err(Fault::SecondVersion);
        }
        if tag != NOTAG {
            return Err(Fault::Tag);
        }
        if asked.version != VERSION {
            return Err(Fault::Version);
        }
        if asked.msize < MSIZE_MIN {
            return Err(Fault::Msize { msize: asked.msize });
        }
        self.msize = asked.msize.min(self.msize_limit);
        self.ask_version(true);
        Ok(())
    }
}

/// The frame at the front of `bytes`, when all of it is there.
fn next_frame(bytes: &[u8]) -> Option<Result<&[u8], Fault>> {
    let size = u32::from_le_bytes(*bytes.first_chunk()?);
    if size < HDRSZ {
        return Some(Err(Fault::Size));
    }
    bytes.get(..size as usize).map(Ok)
}

fn error(bytes: &[u8], fault: Fault) -> FrameError {
    let mut head = [0; HDRSZ as usize];
    let n = bytes.len().min(head.len());
    head[..n].copy_from_slice(&bytes[..n]);
    let header = Header::read(&mut Reader::new(&head));
    FrameError { good: 0, sender: Sender::Kernel, header, fault }
}
