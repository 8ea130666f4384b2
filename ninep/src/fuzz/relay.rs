//! A relay between two hostile sides.

use crate::errno::Errno;
use crate::limits::{HDRSZ, NOFID, NOTAG};
use crate::msg::{Body, Message, Rattach, Rlerror, Rversion, Tattach, Tversion, VERSION};
use crate::relay::{BLOCK, Block, Cache, Config, Content, Fid, Job, Memory, Mount, Node, Open, Relay, Request};
use crate::types::{Qid, qt};

const MSIZE: usize = 4096;
const JOBS: usize = 5;

/// Whatever the two sides say, the relay says only what is well-formed, and does not fall over.
///
/// The input is calls: a control byte, a length, and as many bytes. Bit 0 of the control says who speaks, the kernel or
/// the upstream server; with bit 1 the bytes are raw, without it they are type, tag and body of a frame; the other bits
/// are time. Before that both sides agree on a version and the kernel attaches.
pub fn relay(calls: &[u8]) {
    let mut contents = [Content::default(); 16];
    let (mut blocks, mut data) = ([Block::default(); 16], [0; 16 * BLOCK]);
    let mut cache = Cache::new(&mut contents, &mut blocks, &mut data);
    let mut requests = [Request::default(); 3 * JOBS + 16];
    let memory = Memory {
        nodes: &mut [Node::default(); 12],
        heads: &mut [0; 12],
        fids: &mut [Fid::default(); 16],
        opens: &mut [Open::default(); 6],
        mounts: &mut [Mount::default(); 8],
        jobs: &mut [Job::default(); JOBS],
        requests: &mut requests,
        from_kernel: &mut [0; MSIZE],
        to_kernel: &mut [0; 2 * MSIZE + JOBS * 256],
        from_upstream: &mut [0; 8192],
        to_upstream: &mut [0; MSIZE + (JOBS + 2) * 1024],
    };
    let config = Config { freshness_ms: 1000, home: b"", names: b"" };
    let mut sides = Sides { relay: Relay::new(&config, memory), now: 1 };
    if sides.begin(&mut cache).is_none() {
        unreachable!("a session begins");
    }
    let mut rest = calls;
    while let [control, n, after @ ..] = rest {
        let (bytes, after) = after.split_at(after.len().min((*n).into()));
        rest = after;
        sides.now += u64::from(control >> 2) * 50;
        let mut frame = [0; 264];
        let said = match bytes {
            [kind, tag, body @ ..] if control & 2 == 0 => {
                let end = HDRSZ as usize + body.len();
                frame[0] = end as u8;
                frame[1] = (end >> 8) as u8;
                (frame[4], frame[5]) = (*kind, *tag);
                frame[HDRSZ as usize..end].copy_from_slice(body);
                &frame[..end]
            }
            raw => raw,
        };
        if sides.say(control & 1 != 0, said, &mut cache).is_none() {
            break;
        }
    }
    sides.relay.upstream_closed(&mut cache);
    sides.take();
    sides.relay.into_memory(&mut cache);
}

struct Sides<'m> {
    relay: Relay<'m>,
    now: u64,
}

impl Sides<'_> {
    fn begin(&mut self, cache: &mut Cache<'_>) -> Option<()> {
        let root = Qid { kind: qt::DIR, version: 0, path: 2 };
        let mut room = [0; 256];
        let version = Tversion { msize: MSIZE as u32, version: VERSION };
        self.say(false, version.encode(NOTAG, &mut room).ok()?, cache)?;
        let version = Rversion { msize: 8192, version: b"9P2000.L.Google.2" };
        self.say(true, version.encode(NOTAG, &mut room).ok()?, cache)?;
        let attach = Tattach { afid: NOFID, ..Tattach::default() };
        self.say(false, attach.encode(0, &mut room).ok()?, cache)?;
        // The relay's tags are 1, 2 and so on.
        self.say(true, Rattach { qid: root }.encode(2, &mut room).ok()?, cache)
    }

    /// None when the session is over.
    fn say(&mut self, upstream: bool, mut bytes: &[u8], cache: &mut Cache<'_>) -> Option<()> {
        loop {
            let n = if upstream {
                self.relay.upstream_input(bytes, self.now, cache).ok()?
            } else {
                let space = self.relay.kernel_space();
                let n = space.len().min(bytes.len());
                space[..n].copy_from_slice(&bytes[..n]);
                self.relay.kernel_commit(n);
                n
            };
            bytes = &bytes[n..];
            self.relay.poll(self.now, cache).ok()?;
            let moved = self.take();
            if bytes.is_empty() && !moved {
                return Some(());
            }
            if n == 0 && !moved {
                // The kernel waits for the upstream server, or the other way round.
                return Some(());
            }
        }
    }

    /// Takes what the relay says; whether it said anything.
    fn take(&mut self) -> bool {
        let frames = |bytes: &[u8]| {
            let mut rest = bytes;
            while let Some(&size) = rest.first_chunk() {
                let Some((frame, after)) = rest.split_at_checked(u32::from_le_bytes(size) as usize) else { break };
                let (_, message) = Message::decode(frame).unwrap_or_else(|error| panic!("{frame:?}: {error}"));
                if let Message::Rlerror(Rlerror { ecode }) = message {
                    assert!((1..=Errno::MAX).contains(&ecode), "{ecode}");
                }
                rest = after;
            }
            bytes.len() - rest.len()
        };
        // What is left is a frame whose data the upstream server has not sent yet.
        let (to_kernel, to_upstream) = (frames(self.relay.kernel_output()), frames(self.relay.upstream_output()));
        assert_eq!(to_upstream, self.relay.upstream_output().len());
        self.relay.kernel_consume(to_kernel);
        self.relay.upstream_consume(to_upstream);
        to_kernel + to_upstream > 0
    }
}
