//! How a relay's memory is divided: one cache, and tables and buffers for each session.

use core::mem::MaybeUninit;

use ninep::relay::{BLOCK, Block, Cache, Content, Fid, Job, Memory, Mount, Node, Open, Request};
use rustix::io::Result;

use crate::limits::MSIZE;
use crate::sys::memory;

/// Sessions of a relay at a time.
pub const SESSIONS: usize = 64;

/// Up to this many of the client's mounts are told apart for certain.
const MOUNTS: usize = 1024;

/// A buffer for small messages from the client's server: a link's target has up to 4095 bytes.
const SMALL: usize = 8192;

/// The cache: half of a relay's memory, as blocks with a content for each four of them.
pub fn cache(arena: usize) -> Result<Cache<'static>> {
    let blocks = (arena / 2 / (BLOCK + size_of::<Block>() + size_of::<Content>() / 4)).max(16);
    let contents = (blocks / 4).max(64);
    Ok(Cache::new(memory::table::<Content>(contents)?, memory::table::<Block>(blocks)?, memory::pages(blocks * BLOCK)?))
}

/// The memory of a session that is not open: hardly any of it is resident.
pub struct Room {
    /// All but the fields below.
    memory: Memory<'static>,
    jobs: &'static mut [MaybeUninit<Job>],
    requests: &'static mut [MaybeUninit<Request>],
    held: &'static mut [u8],
}

/// The tables and buffers of the session in a place. Half of a relay's memory is the cache; the sessions share the
/// rest:
///
/// | place | share of the relay's memory |
/// |---|---|
/// | 0 | 1/8 |
/// | 1, 2 | 1/16 each |
/// | 3 to 6 | 1/32 each |
/// | all others | 1/8 together |
///
/// Each gets about 170 KiB at least, for 200 open files. Pages that are not used cost nothing.
pub fn session(arena: usize, place: usize) -> Result<Room> {
    let bytes = match place {
        0 => arena / 8,
        1..=2 => arena / 16,
        3..=6 => arena / 32,
        _ => arena / 8 / (SESSIONS - 7),
    };
    let msize = (bytes / 16).clamp(8 * 1024, MSIZE);
    let jobs = (bytes / 16 / size_of::<Job>()).clamp(8, 64);
    let nodes = (bytes / 3 / size_of::<Node>()).clamp(256, 16 * 1024);
    let memory = Memory {
        nodes: memory::table::<Node>(nodes)?,
        heads: memory::table::<u32>(nodes)?,
        fids: memory::table::<Fid>(nodes * 2)?,
        opens: memory::table::<Open>((nodes / 8).clamp(256, 512))?,
        mounts: memory::table::<Mount>(2 * MOUNTS)?,
        jobs: &mut [],
        requests: &mut [],
        from_kernel: memory::pages(msize)?,
        to_kernel: memory::pages(2 * msize + jobs * 256)?,
        from_upstream: memory::pages(SMALL)?,
        to_upstream: memory::pages(2 * msize + (jobs + 2) * 1024)?,
    };
    let requests = memory::unfilled(4 * jobs + 16)?;
    Ok(Room { memory, jobs: memory::unfilled(jobs)?, requests, held: memory::pages(msize)? })
}

impl Room {
    /// The memory of a session, and a buffer for bytes from the client's server.
    pub fn open(self) -> (Memory<'static>, &'static mut [u8]) {
        let jobs = memory::fill(self.jobs, Job::default());
        let requests = memory::fill(self.requests, Request::default());
        (Memory { jobs, requests, ..self.memory }, self.held)
    }

    /// Takes the memory back after the session's end.
    pub fn close(memory: Memory<'static>, held: &'static mut [u8]) -> Self {
        let (jobs, requests) = (memory::unfill(memory.jobs), memory::unfill(memory.requests));
        let memory = Memory { jobs: &mut [], requests: &mut [], ..memory };
        memory::clear(memory.nodes);
        memory::clear(memory.heads);
        memory::clear(memory.fids);
        memory::clear(memory.opens);
        memory::clear(memory.mounts);
        for buffer in [&mut *memory.from_kernel, memory.to_kernel, memory.from_upstream, memory.to_upstream, held] {
            memory::release(buffer);
        }
        Self { memory, jobs, requests, held }
    }
}
