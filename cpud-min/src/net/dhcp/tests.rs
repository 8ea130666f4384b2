use std::vec::Vec;

use super::message::tests::{ADDRESS, MAC, SERVER, packet, parse};
use super::*;

const SECOND: Ms = 1000;

/// As slirp: the lease's time and the server's name, no T1 and T2.
fn reply(kind: u8, xid: u32, seconds: u32) -> Reply {
    let (seconds, server) = (seconds.to_be_bytes(), SERVER.octets());
    parse(&packet(kind, xid, ADDRESS, &[(1, &[255, 255, 255, 0]), (3, &server), (51, &seconds), (54, &server)]))
}

const OFFER: u8 = 2;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// What the client does at `now`, once.
#[track_caller]
fn sent(client: &mut Client, now: Ms) -> Request {
    match client.poll(now, 0x1234_5678) {
        Some(Output::Send(request)) => request,
        other => panic!("{other:?} at {now}"),
    }
}

#[track_caller]
fn event(client: &mut Client, now: Ms) -> Event {
    match client.poll(now, 0x1234_5678) {
        Some(Output::Event(event)) => event,
        other => panic!("{other:?} at {now}"),
    }
}

#[track_caller]
fn nothing(client: &mut Client, now: Ms) {
    assert_eq!(client.poll(now, 0x1234_5678), None, "at {now}");
}

/// Plugged in at `now`, with a lease of so many seconds.
fn bound(seconds: u32, now: Ms) -> Client {
    let mut client = Client::new();
    client.plugged_in(now);
    bind(&mut client, seconds, now);
    client
}

#[track_caller]
fn bind(client: &mut Client, seconds: u32, now: Ms) {
    let discover = sent(client, now);
    assert_eq!((discover.kind, discover.to), (RequestKind::Discover, Ipv4Addr::BROADCAST));
    client.on_reply(reply(OFFER, discover.xid, seconds), now);
    let request = sent(client, now);
    assert_eq!((request.requested, request.server), (Some(ADDRESS), Some(SERVER)));
    assert_eq!((request.client, request.xid), (Ipv4Addr::UNSPECIFIED, discover.xid));
    client.on_reply(reply(ACK, request.xid, seconds), now);
    assert_eq!(client.state, State::Bound);
}

#[test]
fn t1_and_t2_are_a_half_and_seven_eighths_and_renewal_goes_to_the_server_then_to_all() {
    let mut client = bound(800, 0);
    assert_eq!(client.deadline(), Some(400 * SECOND));
    nothing(&mut client, 399 * SECOND);
    let request = sent(&mut client, 400 * SECOND);
    // RFC 2131 table 5: ciaddr, and neither option 50 nor 54.
    assert_eq!((request.client, request.requested, request.server), (ADDRESS, None, None));
    assert_eq!((request.to, client.state), (SERVER, State::Renewing(550 * SECOND)));
    let again = sent(&mut client, 550 * SECOND);
    assert_eq!((again.to, again.xid), (SERVER, request.xid));
    let request = sent(&mut client, 700 * SECOND);
    assert_eq!((request.to, request.client), (Ipv4Addr::BROADCAST, ADDRESS));
    assert!(matches!(client.state, State::Rebinding(_)));
    client.on_reply(reply(ACK, request.xid, 800), 701 * SECOND);
    assert_eq!((client.state, client.deadline()), (State::Bound, Some(1100 * SECOND)));
    nothing(&mut client, 1000 * SECOND);
}

#[test]
fn a_lease_that_nobody_renews_ends_with_its_time_and_is_asked_for_anew() {
    let mut client = bound(800, 0);
    for now in (400..800).map(|second| second * SECOND) {
        while client.poll(now, 1).is_some() {}
        assert!(client.lease().is_some());
    }
    assert_eq!(event(&mut client, 800 * SECOND), Event::Expired(ADDRESS));
    assert_eq!(client.lease(), None);
    bind(&mut client, 800, 800 * SECOND);
}

#[test]
fn ten_thousand_renewals_keep_one_lease() {
    let mut client = bound(600, 0);
    let mut now = 0;
    for round in 0..10_000 {
        now = client.deadline().expect("a lease has an end");
        let request = sent(&mut client, now);
        // Each third answer comes late, each seventh is lost once, each eleventh goes on to T2.
        match round {
            _ if round % 11 == 10 => {
                while !matches!(client.state, State::Rebinding(_)) {
                    now = client.deadline().expect("it goes on");
                    sent(&mut client, now);
                }
            }
            _ if round % 7 == 6 => {
                now = client.deadline().expect("it goes on");
                assert_eq!(sent(&mut client, now).xid, request.xid);
            }
            _ => {}
        }
        client.on_reply(reply(ACK, client.xid, 600), now + if round % 3 == 2 { 900 } else { 1 });
        assert_eq!((client.state, client.lease().map(|lease| lease.address)), (State::Bound, Some(ADDRESS)));
        nothing(&mut client, now + SECOND);
    }
    assert!(now > 10_000 * 300 * SECOND && client.failures == 0);
}

#[test]
fn a_nak_without_a_servers_name_is_followed_by_a_discover_at_once() {
    let mut client = bound(800, 0);
    let request = sent(&mut client, 400 * SECOND);
    // As slirp sends it.
    client.on_reply(parse(&packet(NAK, request.xid, Ipv4Addr::BROADCAST, &[])), 400 * SECOND);
    assert_eq!(client.lease(), None);
    assert_eq!(event(&mut client, 400 * SECOND), Event::Refused(ADDRESS, None));
    bind(&mut client, 800, 400 * SECOND);
}

#[test]
fn a_server_that_offers_and_refuses_for_ever_is_asked_more_and_more_slowly() {
    let mut client = Client::new();
    client.plugged_in(0);
    let mut asked = Vec::new();
    while asked.len() < 10 {
        let now = client.deadline().expect("it never stops");
        match client.poll(now, 7) {
            Some(Output::Send(Request { kind: RequestKind::Discover, xid, .. })) => {
                asked.push(now);
                client.on_reply(reply(OFFER, xid, 600), now);
            }
            Some(Output::Send(Request { xid, .. })) => drop(client.on_reply(reply(NAK, xid, 600), now)),
            Some(Output::Event(event)) => assert_eq!(event, Event::Refused(ADDRESS, Some(SERVER))),
            None => {}
        }
    }
    let waits: Vec<_> = asked.windows(2).map(|pair| (pair[1] - pair[0]) / SECOND).collect();
    assert_eq!(waits, [0, 2, 4, 8, 16, 32, 32, 32, 32]);
}

#[test]
fn an_address_that_is_somebodys_is_declined_and_the_loop_is_bounded() {
    let mut client = bound(800, 0);
    let mut waits = Vec::new();
    let mut now = 0;
    for _ in 0..7 {
        client.conflict(now);
        assert_eq!((client.lease(), client.is_silent()), (None, true));
        let decline = sent(&mut client, now);
        assert_eq!(decline.kind, RequestKind::Decline);
        assert_eq!(
            (decline.requested, decline.server, decline.client),
            (Some(ADDRESS), Some(SERVER), Ipv4Addr::UNSPECIFIED)
        );
        let next = client.deadline().expect("it asks again");
        nothing(&mut client, next - 1);
        waits.push((next - now) / SECOND);
        now = next;
        // The same address again.
        bind(&mut client, 800, now);
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 320, 320]);
    // Once it has held for a while, the next conflict is a first one.
    now += 400 * SECOND;
    let request = sent(&mut client, now);
    client.on_reply(reply(ACK, request.xid, 800), now);
    client.conflict(now);
    sent(&mut client, now);
    assert_eq!(client.deadline(), Some(now + 10 * SECOND));
}

#[test]
fn silence_is_asked_into_for_ever_and_an_answer_after_a_day_is_taken() {
    let mut client = Client::new();
    client.plugged_in(0);
    let (mut now, mut last, mut said) = (0, 0, 0);
    while now < 86_400 * SECOND {
        now = client.deadline().expect("it never stops");
        match client.poll(now, 99) {
            Some(Output::Send(request)) => {
                assert_eq!(request.kind, RequestKind::Discover);
                assert!(now - last <= 36 * SECOND, "{last} to {now}");
                last = now;
            }
            Some(Output::Event(Event::Silent)) => {
                said += 1;
                assert!((5..9).contains(&(now / SECOND)), "{now}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(said == 1 && client.is_silent());
    client.on_reply(reply(OFFER, client.xid, 600), now);
    let request = sent(&mut client, now);
    client.on_reply(reply(ACK, request.xid, 600), now);
    assert_eq!(client.state, State::Bound);
    assert!(!client.is_silent());
}

#[test]
fn a_cable_that_comes_back_asks_for_the_address_of_before_and_keeps_it_in_silence() {
    let mut client = bound(8000, 0);
    client.unplugged();
    assert_eq!(client.deadline(), Some(8000 * SECOND));
    client.plugged_in(50 * SECOND);
    // RFC 2131 section 4.3.2: option 50, and neither ciaddr nor 54.
    let request = sent(&mut client, 50 * SECOND);
    assert_eq!((request.requested, request.server, request.client), (Some(ADDRESS), None, Ipv4Addr::UNSPECIFIED));
    let again = sent(&mut client, 52 * SECOND);
    assert_eq!(again.requested, Some(ADDRESS));
    sent(&mut client, 55 * SECOND);
    // Then it is asked for any, beside the one it has.
    let discover = sent(&mut client, 60 * SECOND);
    assert_eq!((discover.kind, client.lease().is_some()), (RequestKind::Discover, true));
    client.on_reply(reply(OFFER, discover.xid, 8000), 60 * SECOND);
    let request = sent(&mut client, 60 * SECOND);
    client.on_reply(reply(ACK, request.xid, 8000), 60 * SECOND);
    assert_eq!(client.state, State::Bound);
}

#[test]
fn another_network_behind_the_cable_refuses_the_address_and_gives_its_own() {
    let mut client = bound(8000, 0);
    client.unplugged();
    client.plugged_in(50 * SECOND);
    let request = sent(&mut client, 50 * SECOND);
    let server = [192, 168, 7, 1];
    client.on_reply(parse(&packet(NAK, request.xid, Ipv4Addr::UNSPECIFIED, &[(54, &server)])), 50 * SECOND);
    assert_eq!(event(&mut client, 50 * SECOND), Event::Refused(ADDRESS, Some(server.into())));
    let discover = sent(&mut client, 50 * SECOND);
    let options: [(u8, &[u8]); 2] = [(51, &[0, 0, 14, 16]), (54, &server)];
    let there = Ipv4Addr::new(192, 168, 7, 20);
    client.on_reply(parse(&packet(OFFER, discover.xid, there, &options)), 50 * SECOND);
    let request = sent(&mut client, 50 * SECOND);
    client.on_reply(parse(&packet(ACK, request.xid, there, &options)), 50 * SECOND);
    assert_eq!(client.lease().map(|lease| (lease.address, lease.prefix)), Some((there, 24)));
}

#[test]
fn a_lease_without_an_end_is_not_renewed_and_one_of_four_seconds_is() {
    let mut client = bound(FOREVER, 0);
    assert_eq!((client.deadline(), client.valid_until()), (None, None));
    nothing(&mut client, u64::from(u32::MAX) * 2000);
    let mut client = bound(4, 0);
    assert_eq!(sent(&mut client, 2 * SECOND).to, SERVER);
    assert_eq!(sent(&mut client, 3 * SECOND).to, Ipv4Addr::BROADCAST);
    assert_eq!(event(&mut client, 4 * SECOND), Event::Expired(ADDRESS));
}

#[test]
fn what_is_not_meant_for_this_exchange_changes_nothing() {
    let mut client = bound(800, 0);
    client.on_reply(reply(NAK, client.xid, 800), 1);
    client.on_reply(reply(ACK, client.xid.wrapping_add(1), 10), 1);
    client.on_reply(reply(OFFER, client.xid, 10), 1);
    assert_eq!((client.state, client.deadline()), (State::Bound, Some(400 * SECOND)));
    let request = sent(&mut client, 400 * SECOND);
    let other: [(u8, &[u8]); 2] = [(51, &[0, 0, 14, 16]), (54, &SERVER.octets())];
    client.on_reply(parse(&packet(ACK, request.xid, Ipv4Addr::new(10, 0, 2, 99), &other)), 400 * SECOND);
    assert!(matches!(client.state, State::Renewing(_)));
    assert_eq!(client.lease().map(|lease| lease.address), Some(ADDRESS));
}

/// A generator of numbers that is the same each time (xorshift64*).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn draw(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    pub fn below(&mut self, n: u32) -> u32 {
        self.draw() % n
    }
}

#[test]
fn garbage_never_stops_it_and_never_makes_a_lease_that_no_server_gave() {
    let mut numbers = Numbers(0x5eed_0001);
    let mut client = bound(600, 0);
    let mut now = 0;
    for round in 0..200_000 {
        let kind = [OFFER, ACK, NAK, 1, 9][numbers.below(5) as usize];
        let mut bytes = packet(kind, client.xid, ADDRESS, &[(51, &[0, 0, 2, 88]), (54, &SERVER.octets())]);
        for _ in 0..numbers.below(4) {
            let at = 28 + numbers.below(bytes.len() as u32 - 28) as usize;
            bytes[at] = numbers.draw() as u8;
        }
        bytes.truncate(bytes.len() - (numbers.below(8) / 7) as usize);
        if let Some(Ok(reply)) = Reply::parse(&bytes, MAC) {
            client.on_reply(reply, now);
        }
        match numbers.below(50) {
            0 => client.unplugged(),
            1..5 => client.plugged_in(now),
            5 => client.conflict(now),
            _ => {}
        }
        now += u64::from(numbers.below(20_000));
        for _ in 0..10 {
            if client.poll(now, numbers.draw()).is_none() {
                break;
            }
        }
        let bound = matches!(client.state, State::Bound | State::Renewing(_) | State::Rebinding(_));
        assert!(!bound || client.lease().is_some(), "round {round}: {:?}", client.state);
        assert!(client.state == State::Unplugged || bound || client.deadline().is_some(), "round {round}");
        if let Some(lease) = client.lease() {
            assert!(lease.t1 <= lease.t2 && lease.t2 <= lease.seconds && lease.prefix <= 32, "{lease:?}");
        }
    }
}
