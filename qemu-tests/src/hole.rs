//! wire and relay taken over: the hole of `build-cpud.sh --test-hole`, whose other end is cpud-min/src/sys/hole.rs.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::board;
use crate::client::Client;
use crate::run::{Running, start};

const WORDS: &[u8] = b"test-hole@cpud: never in an image\n";
const LENGTH: usize = 1024;
const WORD: usize = 8;

/// Where in a request the bytes are that arguments point at.
const BYTES: usize = 7 * WORD;

/// As an argument: the address of those bytes; `AT + n` is that of the nth.
pub const AT: u64 = 1 << 60;

/// MSG_DONTWAIT, and MSG_NOSIGNAL when nobody is there.
const NO_WAIT: u64 = 0x4040;
const MSG_FASTOPEN: u64 = 0x2000_0000;

/// Where in them a message for sendmsg(2) and recvmsg(2) is, behind its heads and its descriptors.
const MESSAGE: usize = 136;

const PATIENCE: Duration = Duration::from_secs(60);

/// A system call's number on x86-64 and on aarch64.
#[derive(Clone, Copy)]
pub struct Call(pub u32, pub u32);

impl Call {
    pub const READ: Self = Self(0, 63);
    pub const WRITE: Self = Self(1, 64);
    pub const SENDMSG: Self = Self(46, 211);
    pub const RECVMSG: Self = Self(47, 212);
    pub const PPOLL: Self = Self(271, 73);

    pub fn number(self) -> u32 {
        if board::under_test().get("arch") == "aarch64" { self.1 } else { self.0 }
    }
}

/// A process that makes the system calls which a test asks for.
pub struct Hole {
    stream: TcpStream,
    /// Where a request lies in its memory, and the descriptor by which it hears.
    address: u64,
    pub peer: u64,
    /// The client whose relay it is.
    client: Option<Running>,
}

impl Hole {
    /// The wire of a new connection to `port`, whose user has not logged in.
    pub fn wire(port: u16) -> Self {
        Self::new(TcpStream::connect(("127.0.0.1", port)).expect("the box listens"), None)
    }

    /// The relay of the user of `client`, the tests' own.
    pub fn relay(client: Client) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("it is bound").to_string();
        let client = start(client.with(&["-pass-9p-to", &address]).command(&["true"]), Vec::new());
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(_) if !client.has_ended() => std::thread::yield_now(),
                Err(_) => panic!("{}", client.finish(PATIENCE).complaint()),
            }
        };
        stream.set_nonblocking(false).expect("a socket");
        Self::new(stream, Some(client))
    }

    fn new(mut stream: TcpStream, client: Option<Running>) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_nodelay(true)).expect("a socket");
        stream.write_all(WORDS).expect("it listens");
        // What comes before the answer is wire's version, or what the kernel asks first.
        let mut said = Vec::new();
        while !said.ends_with(WORDS) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap_or_else(|e| panic!("no hole ({e}): {}", said.escape_ascii()));
            said.push(byte[0]);
        }
        let mut words = [[0; WORD]; 2];
        words.iter_mut().for_each(|word| stream.read_exact(word).expect("the answer goes on"));
        let [address, peer] = words.map(u64::from_le_bytes);
        Self { stream, address, peer, client }
    }

    /// The address of the nth of the bytes that arguments point at.
    pub fn address(&self, n: usize) -> u64 {
        self.address + (BYTES + n) as u64
    }

    /// What the call returned (a negative error number if it failed), and the bytes as they are then. None when the process
    /// has not survived it.
    pub fn call(&mut self, number: u32, args: &[u64], bytes: &[u8]) -> Option<(i64, Vec<u8>)> {
        let at = self.address(0);
        let mut request = u64::from(number).to_le_bytes().to_vec();
        request.extend(args.iter().flat_map(|&arg| if arg & AT != 0 { arg - AT + at } else { arg }.to_le_bytes()));
        request.resize(BYTES, 0);
        request.extend_from_slice(bytes);
        assert!(request.len() <= LENGTH && args.len() <= 6, "a request has {LENGTH} bytes");
        request.resize(LENGTH, 0);
        let answer = self.stream.write_all(&request).and_then(|()| self.stream.read_exact(&mut request));
        match answer {
            Ok(()) => {
                let (result, bytes) = request.split_at(BYTES);
                Some((i64::from_le_bytes(*result.first_chunk().expect("a word")), bytes.to_vec()))
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                panic!("no answer: {e}")
            }
            Err(_) => None,
        }
    }

    /// Its descriptors of the first hundred but the standard streams and [`Hole::peer`] (poll(2), POLLNVAL).
    pub fn others(&mut self) -> Vec<u64> {
        let entry = |fd: u32| [&fd.to_le_bytes()[..], &[0; 4]].concat();
        let entries: Vec<u8> = (0..100).flat_map(entry).collect();
        // A time of nothing: the sixteen bytes of zeroes behind the entries.
        let args = [AT, 100, AT + entries.len() as u64, 0, 0];
        let (_, entries) = self.call(Call::PPOLL.number(), &args, &entries).expect("wire may wait");
        let open = entries.chunks_exact(8).take(100).map(|entry| entry[6] & 0x20 == 0);
        (0..).zip(open).filter(|&(fd, open)| open && fd > 2 && fd != self.peer).map(|(fd, _)| fd).collect()
    }

    /// Sends a message on `socket`, with descriptors (unix(7), SCM_RIGHTS), and does not wait; what
    /// sendmsg(2) returned, or None when the process has ended.
    pub fn send(&mut self, socket: u64, message: &[u8], descriptors: &[u64]) -> Option<i64> {
        let mut control = Vec::new();
        if !descriptors.is_empty() {
            // struct cmsghdr; SOL_SOCKET and SCM_RIGHTS are 1.
            control.extend((16 + 4 * descriptors.len() as u64).to_le_bytes());
            control.extend([1_u32, 1].iter().flat_map(|word| word.to_le_bytes()));
            control.extend(descriptors.iter().flat_map(|&fd| (fd as u32).to_le_bytes()));
        }
        let bytes = self.message(message, &control, control.len());
        self.call(Call::SENDMSG.number(), &[socket, AT, NO_WAIT], &bytes).map(|(sent, _)| sent)
    }

    /// Sends a byte to port 17010 of 127.0.0.1, and connects for that if need be (tcp(7), MSG_FASTOPEN); what sendmsg(2) returned.
    pub fn connect(&mut self, socket: u64) -> i64 {
        // In place of descriptors.
        let mut bytes = self.message(b"x", b"\x02\0\x42\x72\x7f\0\0\x01", 0);
        bytes[..WORD].copy_from_slice(&self.address(72).to_le_bytes());
        bytes[WORD] = 16;
        let answer = self.call(Call::SENDMSG.number(), &[socket, AT, NO_WAIT | MSG_FASTOPEN], &bytes);
        answer.expect("wire may send").0
    }

    /// Waits for a message on `socket`: its bytes, none at the end, and whether descriptors came along.
    pub fn receive(&mut self, socket: u64) -> (Vec<u8>, bool) {
        const ROOM: usize = 128;
        let bytes = self.message(&[0; ROOM], &[], 64);
        let answer = self.call(Call::RECVMSG.number(), &[socket, AT, 0], &bytes);
        let (n, bytes) = answer.expect("wire may receive");
        let n = usize::try_from(n).unwrap_or_else(|_| panic!("{n}"));
        (bytes[MESSAGE..MESSAGE + n].to_vec(), bytes[40..48] != [0; 8])
    }

    /// struct msghdr (56 bytes), struct iovec, room for control data, and the message.
    fn message(&self, message: &[u8], control: &[u8], control_room: usize) -> Vec<u8> {
        let address = |n| self.address(n);
        let header =
            [0, 0, address(56), 1, address(72), control_room as u64, 0, address(MESSAGE), message.len() as u64];
        let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend_from_slice(control);
        bytes.resize(MESSAGE, 0);
        bytes.extend_from_slice(message);
        bytes
    }
}

impl Drop for Hole {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        if let Some(client) = self.client.take() {
            if !client.has_ended() {
                client.signal("KILL");
            }
            let _ = client.within(PATIENCE);
        }
    }
}
