use super::{farewell, unexpected};
use crate::{
    error::{Error, Malformed, Misbehaviour, Misuse},
    limits::{LOGIN_ATTEMPTS, OUTPUT_BEFORE_LOGIN, PACKET_BEFORE_LOGIN, PACKETS_BEFORE_LOGIN},
    msg::{ChannelOpen, GlobalRequest, Ignore, Message, Rest, ServiceRequest, UserauthPkOk, UserauthRequest},
    testkit::{Pair, blob, pair, pair_authed, payload, user_key, written},
    wire::WireError,
};

/// With keys and the service started.
fn asked() -> Pair<'static> {
    let mut pair = pair();
    pair.deliver(&ServiceRequest { service: "ssh-userauth" }).unwrap();
    pair.client.inbox.clear();
    pair
}

fn request<'a>(method: &'a str, fields: &'a [u8]) -> UserauthRequest<'a> {
    UserauthRequest { user: "glenda", service: "ssh-connection", method, fields: Rest(fields) }
}

fn query(algorithm: &str) -> std::vec::Vec<u8> {
    written(|to| {
        to.boolean(false)?;
        to.string(algorithm.as_bytes())?;
        to.string(&blob(&user_key()))
    })
}

const FAILURE: &[u8] = b"\x33\0\0\0\x09publickey\0";

#[test]
fn none_is_refused_without_a_word_and_publickey_is_named() {
    let mut pair = asked();
    assert!(pair.deliver(&request("none", b"")).unwrap().is_empty());
    assert_eq!(pair.reply().unwrap(), FAILURE);
}

#[test]
fn a_password_is_refused_and_told() {
    let mut pair = asked();
    let events = pair.deliver(&request("password", b"\0\0\0\0\x06secret")).unwrap();
    assert_eq!(events, [r#"AuthRefused { user: "glenda", method: "password" }"#]);
    assert_eq!(pair.reply().unwrap(), FAILURE);
}

#[test]
fn a_query_is_answered_with_the_key_it_had() {
    let mut pair = asked();
    let events = pair.deliver(&request("publickey", &query("ssh-ed25519"))).unwrap();
    assert!(events[0].starts_with(r#"AuthQuery { user: "glenda", algorithm: "ssh-ed25519", key: [0, 0, 0, 11"#));
    pair.server.auth_answer(true);
    let reply = pair.reply().unwrap();
    let key = blob(&user_key());
    let expected = UserauthPkOk { algorithm: "ssh-ed25519", key: &key };
    assert_eq!(Message::decode(&reply), Ok(Message::UserauthPkOk(expected)));

    pair.deliver(&request("publickey", &query("ssh-ed25519"))).unwrap();
    pair.server.auth_answer(false);
    assert_eq!(pair.reply().unwrap(), FAILURE);
}

#[test]
fn a_key_that_nobody_here_can_verify_is_refused_and_told() {
    let mut pair = asked();
    let events = pair.deliver(&request("publickey", &query("ssh-dss"))).unwrap();
    assert!(events[0].starts_with(r#"AuthUnusable { user: "glenda", algorithm: "ssh-dss", key: [0, 0, 0, 11"#));
    assert!(events[0].ends_with("why: Algorithm }"), "{events:?}");
    assert_eq!(pair.reply().unwrap(), FAILURE);
}

#[test]
fn a_name_or_a_signature_longer_than_any_is_refused_at_once() {
    let mut pair = asked();
    let (fits, too_long) = ("u".repeat(255), "u".repeat(256));
    let fields = query("ssh-ed25519");
    let events = pair.deliver(&UserauthRequest { user: &too_long, ..request("publickey", &fields) }).unwrap();
    assert!(events[0].ends_with("why: TooLong }"), "{events:?}");
    assert_eq!(pair.reply().unwrap(), FAILURE);
    let signed = |len| {
        written(|to| {
            to.boolean(true)?;
            to.string(b"ssh-ed25519")?;
            to.string(&blob(&user_key()))?;
            to.string(&std::vec![0; len])
        })
    };
    assert!(pair.deliver(&request("publickey", &signed(533))).unwrap()[0].ends_with("why: TooLong }"));
    assert_eq!(pair.reply().unwrap(), FAILURE);
    // The longest of both is asked about.
    let fields = signed(532);
    let events = pair.deliver(&UserauthRequest { user: &fits, ..request("publickey", &fields) }).unwrap();
    assert!(events[0].starts_with("AuthVerify"));
}

#[test]
fn a_login_that_was_refused_may_be_tried_again() {
    let mut pair = asked();
    let fields = pair.signed_request();
    pair.deliver(&request("publickey", &fields)).unwrap();
    pair.server.auth_answer(false);
    assert_eq!(pair.reply().unwrap(), FAILURE);
    pair.deliver(&request("publickey", &fields)).unwrap();
    pair.server.auth_answer(true);
    assert_eq!(pair.replies(), [52]);
}

#[test]
fn after_the_login_further_requests_are_ignored() {
    let mut pair = pair_authed();
    assert!(pair.deliver(&request("none", b"")).unwrap().is_empty());
    assert_eq!(pair.reply(), None);
}

#[test]
fn attempts_are_counted() {
    let mut pair = asked();
    for _ in 0..LOGIN_ATTEMPTS {
        pair.deliver(&request("none", b"")).unwrap();
    }
    assert_eq!(pair.deliver(&request("none", b"")), Err(Misbehaviour::LoginAttempts.into()));
    assert_eq!(farewell(&mut pair).0, 14);
}

#[test]
fn the_login_may_be_asked_for_anew_as_paramiko_does_for_each_key_and_attempts_are_counted_on() {
    let mut pair = asked();
    for _ in 0..LOGIN_ATTEMPTS {
        pair.deliver(&ServiceRequest { service: "ssh-userauth" }).unwrap();
        pair.deliver(&request("none", b"")).unwrap();
    }
    pair.deliver(&ServiceRequest { service: "ssh-userauth" }).unwrap();
    assert_eq!(pair.deliver(&request("none", b"")), Err(Misbehaviour::LoginAttempts.into()));
}

#[test]
fn only_two_services_exist() {
    let service = Error::from(Misbehaviour::Service);
    assert_eq!(pair().deliver(&ServiceRequest { service: "ssh-connection" }), Err(service));
    assert_eq!(pair().deliver(&request("none", b"")), Err(service), "before the service");
    let other = UserauthRequest { service: "ssh-userauth", ..request("none", b"") };
    let mut pair = asked();
    assert_eq!(pair.deliver(&other), Err(service));
    assert_eq!(farewell(&mut pair).0, 7);
}

#[test]
fn nothing_of_the_connection_goes_before_the_login() {
    let global = GlobalRequest { name: "keepalive@openssh.com", want_reply: true, fields: Rest(b"") };
    assert_eq!(asked().deliver(&global), Err(unexpected(80)));
    let open = ChannelOpen { kind: "session", sender: 0, window: 0, maximum_packet: 0, fields: Rest(b"") };
    assert_eq!(asked().deliver(&open), Err(unexpected(90)));
}

#[test]
fn a_client_does_not_send_a_servers_messages() {
    for number in [6, 31, 51, 52, 53, 60] {
        let sent = asked().deliver_altered(&Ignore { data: b"" }, |payload| *payload = std::vec![number]);
        assert_eq!(sent, Err(unexpected(number)));
    }
}

#[test]
fn a_request_with_a_byte_too_many_or_too_few_is_malformed() {
    let fields = query("ssh-ed25519");
    let malformed = |error| Err(Malformed::Message { number: 50, error }.into());
    for len in [0, 1, 5, fields.len() - 1] {
        assert_eq!(asked().deliver(&request("publickey", &fields[..len])), malformed(WireError::Truncated));
    }
    let longer = [&fields[..], b"x"].concat();
    assert_eq!(asked().deliver(&request("publickey", &longer)), malformed(WireError::Trailing));
}

#[test]
fn an_answer_to_nothing_is_misuse() {
    let mut pair = asked();
    pair.server.auth_answer(true);
    assert_eq!(pair.run(), Err(Misuse::AnswerNotOwed.into()));
    let mut pair = asked();
    pair.server.sign_answer(&[0; 64]);
    assert_eq!(pair.run(), Err(Misuse::AnswerNotOwed.into()));
}

#[test]
fn before_the_login_packets_are_small() {
    let long = std::vec![0; 35_000];
    assert!(matches!(asked().deliver(&Ignore { data: &long }), Err(Error::Malformed(Malformed::PacketLength(_)))));
    assert!(pair_authed().deliver(&Ignore { data: &long }).is_ok());
}

#[test]
fn what_is_answered_before_the_login_is_counted() {
    // An unknown number, a service that was asked for, and what is not answered at all.
    let service = payload(&ServiceRequest { service: "ssh-userauth" });
    let ignore = payload(&Ignore { data: b"" });
    for sent in [&[192][..], &service, &ignore] {
        let mut pair = pair();
        let results = (0..1000).map(|_| pair.deliver_altered(&Ignore { data: b"" }, |p| *p = sent.to_vec()));
        // The key exchange was three of them.
        let taken = results.take_while(Result::is_ok).count();
        assert_eq!(taken as u32, PACKETS_BEFORE_LOGIN - 3);
        assert_eq!(farewell(&mut pair), (2, "too much was sent before the login".into()));
    }
}

#[test]
fn bytes_before_the_login_are_counted() {
    let mut pair = pair();
    let data = std::vec![0; PACKET_BEFORE_LOGIN - 64];
    let sent = (0..1000).map(|_| pair.deliver(&Ignore { data: &data })).find_map(Result::err);
    assert_eq!(sent, Some(Misbehaviour::LoginBudget.into()));
}

#[test]
fn a_stranger_who_does_not_read_is_not_listened_to() {
    let mut pair = pair();
    let (mut taken, mut waiting) = (0, 0);
    for _ in 0..1000 {
        let sealed = pair.client.seal(&[192]);
        taken += pair.server.input(&sealed);
        while pair.server.poll(pair.now, &mut pair.random).expect("it is within its budget").is_some() {}
        waiting = pair.server.output().len();
    }
    assert!(waiting <= OUTPUT_BEFORE_LOGIN && taken <= 2 * PACKET_BEFORE_LOGIN, "{waiting} out, {taken} in");
    assert!(pair.server.input_space().len() <= PACKET_BEFORE_LOGIN);
}

#[test]
fn after_the_login_nothing_is_counted() {
    let mut pair = pair_authed();
    for _ in 0..2 * PACKETS_BEFORE_LOGIN {
        pair.deliver(&Ignore { data: b"" }).unwrap();
    }
}

#[test]
fn a_login_may_be_bound_to_this_hosts_key_and_to_no_other() {
    let mut pair = asked();
    let bound = |host_key: &[u8]| [&query("ssh-ed25519")[..], &written(|to| to.string(host_key))].concat();
    let method = "publickey-hostbound-v00@openssh.com";
    let host_key = crate::keys::ed25519_blob(&crate::keys::host_key::HostKey::from_seed(&[7; 32]).public());
    let events = pair.deliver(&request(method, &bound(&host_key))).unwrap();
    assert!(events[0].starts_with("AuthQuery"), "{events:?}");
    pair.server.auth_answer(true);
    assert_eq!(pair.replies(), [60]);
    let events = pair.deliver(&request(method, &bound(&blob(&user_key())))).unwrap();
    assert!(events[0].ends_with("why: HostKey }"), "{events:?}");
    assert_eq!(pair.reply().unwrap(), FAILURE);
}
