//! A longer way to a port of this host: every byte arrives half the round-trip time later, as many at once as come.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// What one read takes at most.
const PIECE: usize = 64 << 10;

/// Pieces on their way in one direction. 4,096 small messages in 40 ms is ten times what an emulated processor sends.
const PIECES: usize = 4096;

/// What was read, and when it arrives; empty: the end.
type Piece = (Instant, Vec<u8>);

/// A port of 127.0.0.1 with `port` behind it, `round_trip` away. It stays until this process ends.
pub fn delayed(port: u16, round_trip: Duration) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let near = listener.local_addr().expect("a bound socket has an address").port();
    thread::spawn(move || {
        for client in listener.incoming() {
            // A client that finds nobody behind the port is hung up on, as it would be there.
            let _ = client.and_then(|client| join(&client, port, round_trip / 2));
        }
    });
    near
}

fn join(client: &TcpStream, port: u16, one_way: Duration) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    for (from, to) in [(client, &server), (&server, client)] {
        from.set_nodelay(true)?;
        let (from, to) = (from.try_clone()?, to.try_clone()?);
        let (send, receive) = sync_channel(PIECES);
        thread::spawn(move || take(from, one_way, &send));
        thread::spawn(move || deliver(to, &receive));
    }
    Ok(())
}

/// Reads until the end or an error, which the other side sees as the end.
fn take(mut from: TcpStream, one_way: Duration, pieces: &SyncSender<Piece>) {
    let mut buffer = vec![0; PIECE];
    loop {
        let n = from.read(&mut buffer).unwrap_or(0);
        let sent = pieces.send((Instant::now() + one_way, buffer[..n].to_vec()));
        if n == 0 || sent.is_err() {
            return;
        }
    }
}

fn deliver(mut to: TcpStream, pieces: &Receiver<Piece>) {
    for (arrival, piece) in pieces {
        // This is what is emulated: time on the way.
        thread::sleep(arrival.saturating_duration_since(Instant::now()));
        if piece.is_empty() {
            let _ = to.shutdown(Shutdown::Write);
        } else if to.write_all(&piece).is_err() {
            // Nobody is there any more: the reader of the other direction finds that, and this one's at its next send.
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::noise;

    /// A server that sends back what it hears, up to the end.
    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        thread::spawn(move || {
            let (mut reader, _) = listener.accept().expect("a client");
            let mut writer = reader.try_clone().expect("a second descriptor");
            io::copy(&mut reader, &mut writer)
        });
        port
    }

    #[test]
    fn an_answer_takes_at_least_the_round_trip() {
        let round_trip = Duration::from_millis(50);
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, delayed(echo(), round_trip))).expect("the proxy");
        let began = Instant::now();
        client.write_all(b"x").expect("sent");
        client.read_exact(&mut [0]).expect("answered");
        assert!(began.elapsed() >= round_trip, "{:?}", began.elapsed());
    }

    #[test]
    fn bytes_and_the_end_arrive_in_order_without_waiting_for_each_other() {
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, delayed(echo(), Duration::from_millis(20))));
        let mut client = client.expect("the proxy");
        let bytes = noise(8 << 20);
        let mut writer = client.try_clone().expect("a second descriptor");
        let sent = bytes.clone();
        thread::spawn(move || writer.write_all(&sent).and_then(|()| writer.shutdown(Shutdown::Write)));
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).expect("the end arrives too");
        assert!(heard == bytes);
    }
}
