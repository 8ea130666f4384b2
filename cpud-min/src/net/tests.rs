use core::net::Ipv4Addr;
use std::vec::Vec;

use super::claim::{Arp, Claim, Verdict};
use super::dhcp::message::tests::{ADDRESS, MAC, SERVER, packet, parse};
use super::dhcp::message::{Reply, RequestKind};
use super::dhcp::tests::Numbers;
use super::fuzz;
use super::interface::{Event, Interface, Output, Source, Static};
use super::link_local::LinkLocal;
use super::mac::Mac;

const OTHER: Mac = [2, 0, 0, 0, 0, 9];

/// Whoever has this address says so.
fn says(mac: Mac, address: Ipv4Addr) -> Arp {
    Arp { sender: (mac, address), target: address }
}

#[test]
fn a_claim_is_three_probes_and_two_announcements() {
    let mut claim = Claim::new(ADDRESS, MAC, 0);
    let mut sent = Vec::new();
    while let Some(at) = claim.deadline() {
        sent.extend(claim.poll(at, 500).map(|arp| (at, arp.sender.1, arp.target)));
    }
    let none = Ipv4Addr::UNSPECIFIED;
    assert_eq!(
        sent,
        [
            (0, none, ADDRESS),
            (1500, none, ADDRESS),
            (3000, none, ADDRESS),
            (5000, ADDRESS, ADDRESS),
            (7000, ADDRESS, ADDRESS)
        ]
    );
    assert!(claim.is_settled());
}

#[test]
fn who_has_the_address_before_us_keeps_it_and_who_takes_it_later_is_told_once_in_ten_seconds() {
    let mut claim = Claim::new(ADDRESS, MAC, 0);
    claim.poll(0, 0);
    assert_eq!(claim.on_arp(says(MAC, ADDRESS), true, 1), Verdict::Fine);
    assert_eq!(claim.on_arp(says(OTHER, SERVER), true, 1), Verdict::Fine);
    let probe = Arp { sender: (OTHER, Ipv4Addr::UNSPECIFIED), target: ADDRESS };
    assert_eq!(claim.on_arp(probe, true, 1), Verdict::Fine);
    assert_eq!(claim.on_arp(probe, false, 1), Verdict::Taken(OTHER));
    assert_eq!(claim.on_arp(says(OTHER, ADDRESS), true, 1), Verdict::Taken(OTHER));
    while let Some(at) = claim.deadline() {
        claim.poll(at, 0);
    }
    for (now, again) in [(20_000, false), (20_001, true), (29_999, true), (30_000, false)] {
        assert_eq!(claim.on_arp(says(OTHER, ADDRESS), true, now), Verdict::Contested { by: OTHER, again });
        assert_eq!(claim.poll(now, 0), (!again).then(|| says(MAC, ADDRESS)));
    }
}

#[test]
fn a_made_up_address_is_another_after_each_conflict_and_tried_once_a_minute_after_ten() {
    let mut local = LinkLocal::new(MAC);
    local.want(true, 0);
    let (mut now, mut seen) = (0, Vec::new());
    for conflict in 0..12 {
        let at = local.deadline().expect("it tries");
        assert!(at <= now || conflict > 10, "{conflict}");
        now = now.max(at);
        let probe = local.poll(now, 0).expect("a probe").target;
        assert!(probe.is_link_local() && !matches!(probe.octets()[2], 0 | 255) && !seen.contains(&probe));
        seen.push(probe);
        local.on_arp(says(OTHER, probe), now);
    }
    assert!(now >= 60_000);
    while local.address().is_none() {
        now = local.deadline().expect("it goes on");
        local.poll(now, 0);
    }
    let address = local.address().expect("settled");
    // One that is contested once is kept, twice in ten seconds is given up.
    local.on_arp(says(OTHER, address), now + 1);
    assert_eq!(local.address(), Some(address));
    local.on_arp(says(OTHER, address), now + 2);
    assert_eq!(local.address(), None);
    local.want(false, now);
    assert_eq!(local.deadline(), None);
}

/// A server on the link of one interface, which answers when it is there.
struct Link {
    interface: Interface,
    now: u64,
    events: Vec<Event>,
}

impl Link {
    fn new(fixed: Option<Static>) -> Self {
        let mut interface = Interface::new(MAC, fixed, None, 0);
        assert!(interface.set_plugged_in(true, 0) && !interface.set_plugged_in(true, 0));
        Self { interface, now: 0, events: Vec::new() }
    }

    /// Lets time go on for so long, while a server gives out ADDRESS if `serve`, which is at home at `owner` too.
    fn run(&mut self, ms: u64, serve: bool, owner: Option<Mac>) -> Vec<RequestKind> {
        let (end, mut sent) = (self.now + ms, Vec::new());
        while let Some(at) = self.interface.deadline().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            match self.interface.poll(self.now, 500) {
                Some(Output::Dhcp(request)) => {
                    sent.push(request.kind);
                    let answer = match request.kind {
                        RequestKind::Discover => 2,
                        RequestKind::Request => 5,
                        RequestKind::Decline => continue,
                    };
                    let options: [(u8, &[u8]); 2] = [(51, &[0, 0, 14, 16]), (54, &SERVER.octets())];
                    if serve {
                        self.interface.on_reply(parse(&packet(answer, request.xid, ADDRESS, &options)), self.now);
                    }
                }
                Some(Output::Arp(arp)) => {
                    if let Some(owner) = owner.filter(|_| arp.target == ADDRESS) {
                        self.interface.on_arp(says(owner, ADDRESS), self.now);
                    }
                }
                Some(Output::Event(event)) => self.events.push(event),
                None => {}
            }
        }
        self.now = end;
        sent
    }

    fn source(&self) -> Source {
        self.interface.wanted().source
    }
}

#[test]
fn without_a_server_it_makes_up_an_address_and_gives_it_up_for_a_lease() {
    let mut link = Link::new(None);
    link.run(30_000, false, None);
    let wanted = link.interface.wanted();
    assert!(wanted.address.is_some_and(|(address, prefix)| address.is_link_local() && prefix == 16), "{wanted:?}");
    assert_eq!((wanted.source, link.events.len()), (Source::LinkLocal, 1));
    link.run(60_000, true, None);
    assert_eq!(link.interface.wanted().address, Some((ADDRESS, 8)));
    assert_eq!(link.source(), Source::Server(SERVER));
}

#[test]
fn a_lease_is_used_at_once_and_given_back_when_somebody_has_its_address() {
    let mut link = Link::new(None);
    link.run(0, true, None);
    assert_eq!(link.source(), Source::Server(SERVER));
    let mut link = Link::new(None);
    let sent = link.run(3_600_000, true, Some(OTHER));
    assert_eq!(link.events[1], Event::Taken(ADDRESS, OTHER));
    // In an hour the server has given it as often as an hour has five minutes, and some more at first.
    let declined = sent.iter().filter(|&&kind| kind == RequestKind::Decline).count();
    assert!((12..20).contains(&declined), "{declined}");
    assert_eq!(link.source(), Source::LinkLocal);
}

#[test]
fn who_takes_the_address_later_is_named_and_does_not_get_it() {
    let mut link = Link::new(None);
    link.run(60_000, true, None);
    link.interface.on_arp(says(OTHER, ADDRESS), link.now);
    link.run(1000, true, None);
    assert_eq!(link.events.last(), Some(&Event::Contested(ADDRESS, OTHER)));
    assert_eq!(link.source(), Source::Server(SERVER));
}

#[test]
fn an_address_of_the_settings_is_kept_whatever_comes() {
    let fixed = Static { address: ADDRESS, prefix: 24, gateway: Some(SERVER) };
    let mut link = Link::new(Some(fixed));
    let sent = link.run(3_600_000, true, Some(OTHER));
    assert!(sent.is_empty() && link.events.iter().all(|event| *event == Event::Contested(ADDRESS, OTHER)));
    let wanted = link.interface.wanted();
    assert_eq!((wanted.address, wanted.source), (Some((ADDRESS, 24)), Source::Settings));
    assert_eq!(wanted.routes.iter().map(|route| (route.prefix, route.gateway)).collect::<Vec<_>>(), [(0, SERVER)]);
    assert_eq!(link.interface.valid_until(), None);
}

#[test]
fn a_cable_in_and_out_at_random_ends_in_a_lease() {
    let mut numbers = Numbers(7);
    let mut link = Link::new(None);
    for _ in 0..5000 {
        let (plugged_in, serve) = (numbers.below(3) > 0, numbers.below(2) > 0);
        let owner = (numbers.below(8) == 0).then_some(OTHER);
        link.interface.set_plugged_in(plugged_in, link.now);
        link.run(u64::from(numbers.below(100_000)), serve, owner);
    }
    link.interface.set_plugged_in(true, link.now);
    // The longest that it keeps quiet after a conflict, and a retry.
    link.run(400_000, true, None);
    assert_eq!(link.source(), Source::Server(SERVER));
}

#[test]
fn garbage_for_arp_is_nothing() {
    let mut numbers = Numbers(3);
    let good = says(OTHER, ADDRESS).emit();
    assert_eq!(Arp::parse(&good), Some(says(OTHER, ADDRESS)));
    for _ in 0..10_000 {
        let mut bytes = good;
        bytes[numbers.below(8) as usize] = numbers.draw() as u8;
        let parsed = Arp::parse(&bytes[..numbers.below(29) as usize]);
        assert!(parsed.is_none() || parsed == Some(says(OTHER, ADDRESS)));
        let noise: Vec<u8> = (0..numbers.below(600)).map(|_| numbers.draw() as u8).collect();
        assert!(Reply::parse(&noise, MAC).is_none_or(|reply| reply.is_err()));
    }
}

#[test]
fn what_the_fuzzer_does_holds_for_its_own_and_for_made_up_packets() {
    let mut numbers = Numbers(11);
    for _ in 0..500 {
        let mut calls = std::vec![0, 0];
        for _ in 0..numbers.below(60) {
            let mut bytes = packet(
                [2, 5, 6, 3][numbers.below(4) as usize],
                0,
                Ipv4Addr::from(numbers.draw()),
                &[(51, &numbers.draw().to_be_bytes()), (54, &numbers.draw().to_be_bytes()), (1, &[255, 255, 0, 0])],
            );
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            calls.extend([numbers.draw() as u8, (bytes.len() / 4) as u8]);
            calls.extend(bytes);
        }
        fuzz::interface(&calls);
    }
}
