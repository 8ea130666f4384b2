use super::last_words;
use crate::{
    connection::{ChannelId, OpenFailure, Stream},
    error::{Malformed, Misbehaviour, Misuse, Reason},
    msg::{
        ChannelClose, ChannelData, ChannelEof, ChannelOpen, ChannelRequest, Disconnect, GlobalRequest, Message, Rest,
    },
    testkit::{Pair, WINDOW, pair_authed, pair_with_channel, payload, written},
    wire::WireError,
};
use std::{vec, vec::Vec};

fn ask<'a>(name: &'a str, want_reply: bool, fields: &'a [u8]) -> ChannelRequest<'a> {
    ChannelRequest { recipient: 0, name, want_reply, fields: Rest(fields) }
}

fn string(text: &str) -> Vec<u8> {
    written(|to| to.string(text.as_bytes()))
}

/// Puts `data` on a channel.
pub(super) fn put(pair: &mut Pair<'_>, channel: ChannelId, stream: Stream, data: &[u8]) {
    pair.server.data_space(channel, stream)[..data.len()].copy_from_slice(data);
    pair.server.data_commit(channel, stream, data.len());
}

#[test]
fn a_command_from_its_start_to_its_end() {
    let (mut pair, channel) = pair_with_channel();
    assert_eq!(
        pair.deliver(&ask("exec", true, &string("ls"))).unwrap(),
        ["Request { channel: ChannelId(0), request: Exec { command: [108, 115] } }"]
    );
    pair.server.request_answer(channel, true);
    assert_eq!(pair.reply().unwrap(), [99, 0, 0, 0, 0]);

    assert_eq!(
        pair.deliver(&ChannelData { recipient: 0, data: b"in" }).unwrap(),
        ["Data { channel: ChannelId(0), data: [105, 110] }"]
    );
    assert_eq!(pair.deliver(&ChannelEof { recipient: 0 }).unwrap(), ["Eof { channel: ChannelId(0) }"]);

    put(&mut pair, channel, Stream::Stdout, b"out");
    assert_eq!(pair.reply().unwrap(), b"\x5e\0\0\0\0\0\0\0\x03out");
    put(&mut pair, channel, Stream::Stderr, b"err");
    assert_eq!(pair.reply().unwrap(), b"\x5f\0\0\0\0\0\0\0\x01\0\0\0\x03err");

    pair.server.exit_status(channel, 7);
    pair.server.eof(channel);
    pair.server.close(channel);
    assert_eq!(pair.reply().unwrap(), b"\x62\0\0\0\0\0\0\0\x0bexit-status\0\0\0\0\x07");
    assert_eq!(pair.reply().unwrap(), [96, 0, 0, 0, 0]);
    assert_eq!(pair.reply().unwrap(), [97, 0, 0, 0, 0]);
    assert_eq!(pair.deliver(&ChannelClose { recipient: 0 }).unwrap(), ["Closed { channel: ChannelId(0) }"]);
    assert_eq!(pair.reply(), None, "CLOSE is not sent twice");
}

#[test]
fn a_command_that_a_signal_ended() {
    let (mut pair, channel) = pair_with_channel();
    pair.server.exit_signal(channel, "TERM", false, "went");
    pair.server.exit_status(channel, 0);
    let signal = b"\x62\0\0\0\0\0\0\0\x0bexit-signal\0\0\0\0\x04TERM\0\0\0\0\x04went\0\0\0\0";
    assert_eq!(pair.reply().unwrap(), signal);
    assert_eq!(pair.reply(), None, "a command ends once");
}

#[test]
fn every_request_as_its_section_has_it() {
    let (mut pair, channel) = pair_with_channel();
    let pty = written(|to| {
        to.string(b"ansi")?;
        [80, 24, 640, 480].into_iter().try_for_each(|n| to.uint32(n))?;
        to.string(&[1, 0, 0, 0, 3, 0])
    });
    let size = written(|to| [80, 24, 640, 480].into_iter().try_for_each(|n| to.uint32(n)));
    let env = [string("A"), string("1")].concat();
    let cases: [(&str, &[u8], &str); 6] = [
        ("pty-req", &pty, "Pty { term: \"ansi\", columns: 80, rows: 24, width: 640, height: 480, modes: "),
        ("window-change", &size, "WindowChange { columns: 80, rows: 24, width: 640, height: 480 }"),
        ("env", &env, "Env { name: [65], value: [49] }"),
        ("signal", &string("INT"), "Signal { name: \"INT\" }"),
        ("subsystem", &string("sftp"), "Subsystem { name: \"sftp\" }"),
        ("shell", b"", "Shell }"),
    ];
    for (name, fields, event) in cases {
        let events = pair.deliver(&ask(name, false, fields)).unwrap();
        let prefix = std::format!("Request {{ channel: ChannelId(0), request: {event}");
        assert!(events[0].starts_with(&prefix), "{events:?}");
        pair.server.request_answer(channel, false);
        assert_eq!(pair.reply(), None, "no reply was wanted");

        let cut = &fields[..fields.len().saturating_sub(1)];
        if !fields.is_empty() {
            let (mut pair, _) = pair_with_channel();
            let error = Malformed::Message { number: 98, error: WireError::Truncated };
            assert_eq!(pair.deliver(&ask(name, false, cut)), Err(error.into()), "{name}");
        }
    }
}

#[test]
fn an_unknown_request_is_refused_if_the_client_wants_to_know() {
    let (mut pair, _) = pair_with_channel();
    assert!(pair.deliver(&ask("x11-req", true, b"anything")).unwrap().is_empty());
    assert_eq!(pair.replies(), [100]);
    assert!(pair.deliver(&ask("x11-req", false, b"anything")).unwrap().is_empty());
    assert_eq!(pair.replies(), []);
}

#[test]
fn a_channel_has_one_command() {
    let (mut pair, channel) = pair_with_channel();
    pair.deliver(&ask("subsystem", true, &string("sftp"))).unwrap();
    pair.server.request_answer(channel, false);
    pair.deliver(&ask("exec", true, &string("ls"))).unwrap();
    pair.server.request_answer(channel, true);
    assert!(pair.deliver(&ask("shell", true, b"")).unwrap().is_empty());
    assert_eq!(pair.replies(), [100, 99, 100]);
}

#[test]
fn the_client_may_close_first() {
    let (mut pair, channel) = pair_with_channel();
    assert_eq!(pair.deliver(&ChannelClose { recipient: 0 }).unwrap(), ["Closed { channel: ChannelId(0) }"]);
    assert_eq!(pair.replies(), [97]);
    pair.server.exit_status(channel, 0);
    pair.server.close(channel);
    assert!(pair.server.data_space(channel, Stream::Stdout).is_empty());
    assert_eq!(pair.replies(), [], "nothing is sent after CLOSE");
    assert_eq!(pair.open(1), channel, "the number is free again");
}

#[test]
fn what_was_under_way_when_the_channel_was_closed_is_dropped() {
    let (mut pair, channel) = pair_with_channel();
    pair.server.close(channel);
    assert_eq!(pair.replies(), [97]);
    assert!(pair.deliver(&ChannelData { recipient: 0, data: b"late" }).unwrap().is_empty());
    assert!(pair.deliver(&ask("signal", true, &string("INT"))).unwrap().is_empty());
    assert!(pair.deliver(&ChannelEof { recipient: 0 }).unwrap().is_empty());
    assert_eq!(pair.replies(), []);
}

#[test]
fn data_after_eof_is_misbehaviour() {
    let (mut pair, _) = pair_with_channel();
    pair.deliver(&ChannelEof { recipient: 0 }).unwrap();
    let late = pair.deliver(&ChannelData { recipient: 0, data: b"x" });
    assert_eq!(late, Err(Misbehaviour::DataAfterEof.into()));
}

#[test]
fn there_are_ten_sessions() {
    let mut pair = pair_authed();
    let ids: Vec<usize> = (0..10).map(|number| pair.open(number).index()).collect();
    assert_eq!(ids, (0..10).collect::<Vec<_>>());
    let open = ChannelOpen { kind: "session", sender: 77, window: 0, maximum_packet: 0, fields: Rest(b"") };
    assert!(pair.deliver(&open).unwrap().is_empty());
    let refused = pair.reply().unwrap();
    assert_eq!(refused[..9], [92, 0, 0, 0, 77, 0, 0, 0, 4], "a shortage of resources");
}

#[test]
fn only_sessions_are_opened_and_the_caller_may_refuse() {
    let mut pair = pair_authed();
    let tcp = ChannelOpen { kind: "direct-tcpip", sender: 1, window: 0, maximum_packet: 0, fields: Rest(b"x") };
    assert!(pair.deliver(&tcp).unwrap().is_empty());
    assert_eq!(pair.reply().unwrap()[..9], [92, 0, 0, 0, 1, 0, 0, 0, 3]);

    let events = pair.deliver(&ChannelOpen { kind: "session", ..tcp }).unwrap();
    assert_eq!(events, ["Open { channel: ChannelId(0) }"]);
    let channel = pair.open_id();
    pair.server.open_answer(channel, Err(OpenFailure::AdministrativelyProhibited));
    assert_eq!(pair.reply().unwrap()[..9], [92, 0, 0, 0, 1, 0, 0, 0, 1]);
    assert_eq!(pair.open(2), channel, "the number is free again");
}

#[test]
fn a_message_for_no_channel_is_misbehaviour() {
    for number in [1, 19, 20, u32::MAX] {
        let (mut pair, _) = pair_with_channel();
        let sent = pair.deliver(&ChannelData { recipient: number, data: b"x" });
        assert_eq!(sent, Err(Misbehaviour::NoSuchChannel(number).into()));
    }
}

#[test]
fn an_unknown_message_is_answered_with_its_sequence_number() {
    let mut pair = pair_authed();
    pair.client.send(&[200, 1, 2, 3]);
    // SERVICE_REQUEST was 0 and USERAUTH_REQUEST 1 under these keys.
    assert_eq!(pair.reply().unwrap(), [3, 0, 0, 0, 2]);
}

#[test]
fn a_keepalive_is_answered_both_ways() {
    let mut pair = pair_authed();
    let keepalive = GlobalRequest { name: "keepalive@openssh.com", want_reply: true, fields: Rest(b"") };
    pair.deliver(&keepalive).unwrap();
    assert_eq!(pair.replies(), [82]);
    pair.server.keepalive();
    assert_eq!(pair.reply().unwrap(), payload(&keepalive));
    pair.client.send(&[82]);
    pair.client.send(&[81]);
    pair.run().unwrap();
    assert!(pair.events.is_empty());
}

#[test]
fn the_client_says_good_bye() {
    let mut pair = pair_authed();
    let bye = Disconnect { reason: 11, description: "bye", language: "" };
    assert_eq!(pair.deliver(&bye).unwrap(), [r#"Disconnected { reason: 11, description: "bye" }"#]);
    let late = GlobalRequest { name: "keepalive@openssh.com", want_reply: true, fields: Rest(b"") };
    assert!(pair.deliver(&late).unwrap().is_empty());
    assert_eq!(pair.replies(), []);
}

#[test]
fn the_caller_says_good_bye() {
    let (mut pair, channel) = pair_with_channel();
    pair.server.disconnect(Reason::ByApplication, &"ä".repeat(200));
    pair.server.close(channel);
    pair.run().unwrap();
    let (reason, sentence) = last_words(&mut pair.client);
    assert_eq!(reason, 11);
    assert_eq!(sentence, "ä".repeat(80), "cut between two characters");
    assert_eq!(pair.replies(), [], "nothing follows");
}

#[test]
fn after_disconnect_the_callers_answers_and_data_are_dropped() {
    let (mut pair, channel) = pair_with_channel();
    pair.deliver(&ask("shell", true, b"")).unwrap();
    pair.server.disconnect(Reason::ByApplication, "enough");
    pair.server.request_answer(channel, true);
    pair.server.grant(channel, WINDOW);
    pair.server.keepalive();
    assert!(pair.server.data_space(channel, Stream::Stdout).is_empty());
    assert!(pair.server.open_forwarded("::1", 1, "::1", 2, WINDOW).is_err());
    assert_eq!(pair.replies(), [1]);
}

#[test]
fn a_wrong_answer_is_misuse() {
    let (mut pair, channel) = pair_with_channel();
    pair.deliver(&ask("shell", true, b"")).unwrap();
    pair.server.forward_answer(None);
    assert_eq!(pair.run(), Err(Misuse::AnswerNotOwed.into()));
    let (mut pair, _) = pair_with_channel();
    pair.server.request_answer(channel, true);
    assert_eq!(pair.run(), Err(Misuse::AnswerNotOwed.into()));
    assert_eq!(vec![last_words(&mut pair.client).0], [11]);
}

impl Pair<'_> {
    /// The id of the session that is being asked about, if it is the first.
    fn open_id(&mut self) -> ChannelId {
        let mut other = pair_authed();
        other.open(0)
    }
}

#[test]
fn a_refused_open_is_a_message_that_every_client_reads() {
    let mut pair = pair_authed();
    let open = ChannelOpen { kind: "x11", sender: 5, window: 0, maximum_packet: 0, fields: Rest(b"") };
    pair.deliver(&open).unwrap();
    let reply = pair.reply().unwrap();
    let Ok(Message::ChannelOpenFailure(failure)) = Message::decode(&reply) else { panic!("{reply:?}") };
    assert_eq!(failure.description, "only sessions can be opened");
}
