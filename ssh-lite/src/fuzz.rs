//! What the fuzz targets do with their input, and the replay of their corpora.

use crate::{
    Ciphers, Error, Event, Instant, Server,
    connection::{ChannelId, OpenFailure, Request, Stream},
    error::Reason,
    kex::Choice,
    keys::host_key::HostKey,
    msg::{ChannelOpen, Disconnect, Encode, KexEcdhInit, KexInit, Message, Rest, ServiceRequest, UserauthRequest},
    server::{Buffers, Config},
    testkit::{Client, Counter, Dialect, blob, payload, user_key, written},
    wire::Writer,
};
use std::{boxed::Box, vec, vec::Vec};

/// A message that can be read is written back with the same meaning and length, though not byte for
/// byte: every byte but zero is true. What its fields hold is read as well.
pub fn messages(bytes: &[u8]) {
    let Ok(message) = Message::decode(bytes) else { return };
    match message {
        Message::Unknown(_) => return,
        Message::KexInit(theirs) => {
            if let Ok(choice) = Choice::new(&theirs, Ciphers::ALL) {
                assert!(theirs.cipher_to_server.split(',').any(|name| name == choice.to_server.name()));
                assert!(theirs.cipher_to_client.split(',').any(|name| name == choice.to_client.name()));
            }
        }
        Message::ChannelRequest(request) => {
            if let Ok(Some(Request::Pty { modes, .. })) = Request::decode(request.name, request.fields.0) {
                assert!(modes.count() <= modes.encoded().len() / 5);
            }
        }
        _ => {}
    }
    let mut room = vec![0; bytes.len()];
    assert_eq!(message.encode(&mut Writer::new(&mut room)), Ok(()));
    assert_eq!(Message::decode(&room), Ok(message));
}

/// No client gets the server to break a rule of its own, and one that listens can open every packet
/// and is told of an error at the end.
///
/// The input's first byte says how far the client has come: nothing said, keys, login, a channel.
/// Calls follow: a control byte, the number of further bytes, and those. Of the control byte bit 2
/// is the answer to all questions, and bits 0 and 1 say what is done:
///
/// - 0: the client sends the bytes as a message.
/// - 1: the client sends the bytes as they are.
/// - 2: the caller does what each byte says, see [`Talk::act`].
/// - 3: the client begins a key exchange.
pub fn server(input: &[u8]) {
    let Some((&progress, mut calls)) = input.split_first() else { return };
    let (mut rx, mut tx) = (vec![0; 35_000], vec![0; 72 * 1024]);
    let mut talk = Talk::new(Buffers { rx: &mut rx, tx: &mut tx }, progress & 3);
    while let &[control, len, ref after @ ..] = calls {
        let (bytes, after) = after.split_at(after.len().min(len.into()));
        calls = after;
        talk.call(control, bytes);
        if let Err(error) = talk.run() {
            assert!(!matches!(error, Error::Misuse(_) | Error::Bug(_)), "{error:?}");
            assert!(!talk.client_listens || talk.client.numbers().ends_with(&[Disconnect::NUMBER]), "{error:?}");
            return;
        }
    }
}

/// Bytes of window that each channel begins with: few, so that a short input exceeds them.
const WINDOW: u32 = 100;
const NOW: Instant = Instant(0);

struct Talk<'a> {
    client: Client,
    /// Not when it has sent bytes behind the test client's back, which may change the keys.
    client_listens: bool,
    server: Server<'a>,
    host_key: HostKey,
    random: Counter,
    channels: Vec<ChannelId>,
    accept: bool,
}

impl<'a> Talk<'a> {
    fn new(buffers: Buffers<'a>, progress: u8) -> Self {
        let host_key = HostKey::from_seed(&[7; 32]);
        let config = Config::new("fuzz", host_key.public(), Ciphers::ALL);
        let random = Counter(2);
        let server = Server::new(config, buffers, NOW);
        let client = Client::new(Dialect::OPENSSH);
        let channels = Vec::new();
        let mut talk = Self { client, client_listens: true, server, host_key, random, channels, accept: true };
        if progress == 0 {
            talk.client.outbox.clear();
            talk.client_listens = false;
        }
        let steps = [Self::meet, Self::login, Self::open];
        for step in &steps[..progress.into()] {
            step(&mut talk);
            talk.run().expect("the way to where the fuzzer begins");
        }
        talk
    }

    fn meet(&mut self) {
        self.client.start_exchange();
    }

    /// With a signature that nobody verifies.
    fn login(&mut self) {
        self.client.send(&payload(&ServiceRequest { service: "ssh-userauth" }));
        let fields = written(|to| {
            to.boolean(true)?;
            to.string(b"ssh-ed25519")?;
            to.string(&blob(&user_key()))?;
            to.string(b"")
        });
        self.client.send(&payload(&UserauthRequest {
            user: "glenda",
            service: "ssh-connection",
            method: "publickey",
            fields: Rest(&fields),
        }));
    }

    fn open(&mut self) {
        self.client.send(&payload(&ChannelOpen {
            kind: "session",
            sender: 0,
            window: WINDOW,
            maximum_packet: 30,
            fields: Rest(b""),
        }));
    }

    fn call(&mut self, control: u8, bytes: &[u8]) {
        self.accept = control & 4 != 0;
        match control & 3 {
            0 => {
                let exchange = [KexInit::NUMBER, KexEcdhInit::NUMBER];
                self.client_listens &= !bytes.first().is_some_and(|number| exchange.contains(number));
                self.client.send(bytes);
            }
            1 => {
                self.client_listens = false;
                self.client.outbox.extend_from_slice(bytes);
            }
            2 => bytes.iter().for_each(|&what| self.act(what)),
            _ => self.client.start_exchange(),
        }
    }

    /// The high four bits choose a channel, the low ones what the caller does with it.
    fn act(&mut self, what: u8) {
        let server = &mut self.server;
        match what & 0xf {
            0 => server.rekey(),
            1 => server.keepalive(),
            2 => server.disconnect(Reason::ByApplication, "enough"),
            3 => self.channels.extend(server.open_forwarded("::1", 1, "::1", 2, WINDOW)),
            on_channel => {
                let Some(&channel) = self.channels.get(usize::from(what >> 4)) else { return };
                match on_channel {
                    4 => server.eof(channel),
                    5 => server.exit_status(channel, 1),
                    6 => server.exit_signal(channel, "TERM", false, "went"),
                    7 => server.close(channel),
                    8 => server.grant(channel, WINDOW),
                    _ => {
                        let len = server.data_space(channel, Stream::Stdout).len();
                        server.data_commit(channel, Stream::Stdout, len);
                    }
                }
            }
        }
    }

    /// Carries bytes both ways and answers what the server asks, until nothing moves.
    fn run(&mut self) -> Result<(), Error> {
        loop {
            let moved = self.poll();
            if self.client_listens {
                self.client.absorb(self.server.output());
            }
            self.server.consume(usize::MAX);
            let taken = self.server.input(&self.client.outbox);
            self.client.outbox.drain(..taken);
            if !moved? && taken == 0 {
                return Ok(());
            }
        }
    }

    fn poll(&mut self) -> Result<bool, Error> {
        let accept = self.accept;
        let Some(event) = self.server.poll(NOW, &mut self.random)? else { return Ok(false) };
        let answer: Box<dyn FnOnce(&mut Server<'_>)> = match event {
            Event::Sign { hash } => {
                let signature = self.host_key.sign(&hash);
                Box::new(move |server| server.sign_answer(&signature))
            }
            Event::AuthQuery { .. } | Event::AuthVerify(_) => Box::new(move |server| server.auth_answer(accept)),
            Event::Open { channel } => {
                self.channels.push(channel);
                let answer = if accept { Ok(WINDOW) } else { Err(OpenFailure::ConnectFailed) };
                Box::new(move |server| server.open_answer(channel, answer))
            }
            Event::Request { channel, .. } => Box::new(move |server| server.request_answer(channel, accept)),
            Event::Forward { .. } | Event::CancelForward { .. } => {
                Box::new(move |server| server.forward_answer(accept.then_some(80)))
            }
            Event::Data { channel, data } => {
                let used = if accept { data.len() } else { 1 };
                Box::new(move |server| server.data_used(channel, used))
            }
            _ => return Ok(true),
        };
        answer(&mut self.server);
        Ok(true)
    }
}

#[cfg(test)]
mod replay {
    use std::{format, fs};

    fn corpus(target: &str, run: fn(&[u8])) {
        let folder = format!("{}/../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
        let ran = files.map(|file| run(&fs::read(file.unwrap().path()).unwrap())).count();
        assert!(ran > 0, "{folder} is empty");
    }

    #[test]
    fn messages() {
        corpus("ssh_messages", super::messages);
    }

    #[test]
    fn servers() {
        corpus("ssh_server", super::server);
    }
}
