use super::{farewell, unexpected};
use crate::{
    Ciphers, Instant,
    error::{Error, Incompatibility, Malformed, Misbehaviour},
    msg::{Ignore, KexEcdhInit, ServiceRequest},
    testkit::{Dialect, Pair, pair, pair_of, payload},
};
use core::time::Duration;

/// Delivers bytes of a client that has said nothing yet.
fn first_words(bytes: &[u8]) -> Result<(), Error> {
    let mut pair = pair_of(Dialect::OPENSSH, |_| {});
    pair.server.input(bytes);
    pair.server.poll(pair.now, &mut pair.random).map(|event| assert!(event.is_none()))
}

fn met(dialect: Dialect) -> Result<Pair<'static>, Error> {
    let mut pair = pair_of(dialect, |_| {});
    pair.client.start_exchange();
    pair.run()?;
    Ok(pair)
}

#[test]
fn the_server_says_who_it_is_before_the_client_does() {
    let pair = pair_of(Dialect::OPENSSH, |_| {});
    assert!(pair.server.output().starts_with(b"SSH-2.0-ssh-lite\r\n"));
}

#[test]
fn where_aes_is_slow_it_is_offered_but_not_to_go_which_would_choose_it() {
    let offered = |ident: &[u8]| {
        let mut pair = pair_of(Dialect::OPENSSH, |config| config.ciphers = Ciphers::SLOW_AES);
        pair.server.input(ident);
        assert!(pair.server.poll(pair.now, &mut pair.random).unwrap().is_none());
        std::string::String::from_utf8_lossy(pair.server.output()).into_owned()
    };
    let both = "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com";
    assert!(offered(b"SSH-2.0-paramiko_3.5\r\n").contains(both));
    let go = offered(b"SSH-2.0-Go\r\n");
    assert!(go.contains("chacha20-poly1305@openssh.com") && !go.contains("aes"), "{go}");
}

#[test]
fn every_method_and_cipher_leads_to_the_same_keys_on_both_sides() {
    for kex in ["curve25519-sha256", "curve25519-sha256@libssh.org", "mlkem768x25519-sha256"] {
        for ciphers in ["chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com"] {
            for strict in [true, false] {
                let kex = match (kex, strict) {
                    ("curve25519-sha256", true) => "curve25519-sha256,kex-strict-c-v00@openssh.com",
                    ("mlkem768x25519-sha256", true) => "mlkem768x25519-sha256,kex-strict-c-v00@openssh.com",
                    _ => kex,
                };
                let mut pair = met(Dialect { kex, ciphers, ..Dialect::OPENSSH }).unwrap();
                assert_eq!(pair.client.exchanges, 1, "{kex} {ciphers}");
                assert_eq!(pair.server.session_id(), pair.client.session_id.as_ref());
                pair.deliver(&ServiceRequest { service: "ssh-userauth" }).unwrap();
                assert_eq!(pair.replies(), [6], "{kex} {ciphers}");
            }
        }
    }
}

#[test]
fn bytes_may_come_one_by_one() {
    let mut pair = pair_of(Dialect::OPENSSH, |_| {});
    pair.fragment = 1;
    pair.client.start_exchange();
    pair.run().unwrap();
    pair.login();
    assert_eq!(pair.server.session_id(), pair.client.session_id.as_ref());
}

#[test]
fn another_protocol_is_noticed_at_its_first_byte() {
    assert_eq!(first_words(b"G"), Err(Malformed::Ident.into()));
    assert_eq!(first_words(b"SSH-2.0-a\0b\r\n"), Err(Malformed::Ident.into()));
    assert_eq!(first_words(b"SSH-1.5-old\r\n"), Err(Incompatibility::Version.into()));
    assert_eq!(first_words(b"SSH-2.0-a\n"), Ok(()));
    assert_eq!(first_words(b"SSH-1.99-a\r\n"), Ok(()));
}

#[test]
fn an_identification_has_at_most_255_bytes() {
    let mut line = b"SSH-2.0-".to_vec();
    line.resize(253, b'x');
    assert_eq!(first_words(&line), Ok(()));
    assert_eq!(first_words(&[&line[..], b"\r\n"].concat()), Ok(()));
    line.extend(b"xx");
    assert_eq!(first_words(&line), Err(Malformed::Ident.into()));
}

#[test]
fn a_client_with_nothing_in_common_is_told_what_is_missing() {
    let with = |change: fn(&mut Dialect)| {
        let mut dialect = Dialect::OPENSSH;
        change(&mut dialect);
        let mut pair = pair_of(dialect, |_| {});
        pair.client.start_exchange();
        let error = pair.run().unwrap_err();
        let (reason, sentence) = farewell(&mut pair);
        assert_eq!((reason, sentence), (3, std::format!("{error}")));
        error
    };
    assert_eq!(with(|d| d.kex = "diffie-hellman-group14-sha1"), Incompatibility::Kex.into());
    assert_eq!(with(|d| d.host_key = "ssh-rsa"), Incompatibility::HostKey.into());
    assert_eq!(with(|d| d.ciphers = "aes128-cbc"), Incompatibility::Cipher.into());
    assert_eq!(with(|d| d.compression = "zlib"), Incompatibility::Compression.into());
}

#[test]
fn strict_kex_wants_kexinit_first() {
    let ignore = payload(&Ignore { data: b"" });
    let greet = |dialect| {
        let mut pair = pair_of(dialect, |_| {});
        pair.client.send(&ignore);
        pair.client.start_exchange();
        pair.run()
    };
    assert_eq!(greet(Dialect::OPENSSH), Err(Misbehaviour::KexInitNotFirst.into()));
    assert_eq!(greet(Dialect { kex: "curve25519-sha256", ..Dialect::OPENSSH }), Ok(()));
}

#[test]
fn strict_kex_lets_nothing_in_between() {
    let between = |dialect, message: &[u8]| {
        let mut pair = pair_of(dialect, |_| {});
        pair.client.start_exchange();
        pair.client.send(message);
        pair.run()
    };
    let lax = Dialect { kex: "curve25519-sha256", ..Dialect::OPENSSH };
    let ignore = payload(&Ignore { data: b"" });
    assert_eq!(between(Dialect::OPENSSH, &ignore), Err(unexpected(2)));
    assert_eq!(between(lax, &ignore), Ok(()));
    // A number that nobody knows.
    assert_eq!(between(Dialect::OPENSSH, &[192]), Err(unexpected(192)));
    assert_eq!(between(lax, &[192]), Ok(()));
}

#[test]
fn strict_kex_lasts_until_newkeys() {
    let before_newkeys = |dialect, message: &[u8]| {
        let mut pair = pair_of(dialect, |_| {});
        pair.client.start_exchange();
        pair.client.absorb(pair.server.output());
        pair.server.consume(usize::MAX);
        // KEXINIT and KEX_ECDH_INIT are in front of it.
        pair.client.send(message);
        pair.run()
    };
    let lax = Dialect { kex: "curve25519-sha256", ..Dialect::OPENSSH };
    for message in [&payload(&Ignore { data: b"" })[..], &[192]] {
        assert_eq!(before_newkeys(Dialect::OPENSSH, message), Err(unexpected(message[0])));
        assert_eq!(before_newkeys(lax, message), Ok(()));
    }
}

#[test]
fn the_steps_of_a_key_exchange_come_in_order() {
    let after_kexinit = |message: &[u8]| {
        let mut pair = pair_of(Dialect::OPENSSH, |_| {});
        pair.client.start_exchange();
        pair.client.send(message);
        pair.run()
    };
    assert_eq!(after_kexinit(&[21]), Err(unexpected(21)), "NEWKEYS without keys");
    let mut twice = pair_of(Dialect { kex: "curve25519-sha256", ..Dialect::OPENSSH }, |_| {});
    twice.client.start_exchange();
    twice.client.start_exchange();
    assert_eq!(twice.run(), Err(unexpected(20)));
    assert_eq!(pair().deliver(&KexEcdhInit { public: &[9; 32] }).unwrap_err(), unexpected(30));
}

#[test]
fn a_wrong_guess_is_ignored_once_and_a_right_one_is_used() {
    // The server's favourite is ML-KEM.
    let wrong = Dialect { kex: "curve25519-sha256,ext-info-c", first_kex_packet_follows: true, ..Dialect::OPENSSH };
    let mut pair = pair_of(wrong, |_| {});
    pair.client.start_exchange();
    pair.client.send(&payload(&KexEcdhInit { public: b"a guess" }));
    pair.run().unwrap();
    assert_eq!(pair.client.exchanges, 1);

    let right = Dialect { kex: "mlkem768x25519-sha256", ..wrong };
    assert_eq!(met(right).unwrap().client.exchanges, 1);
}

#[test]
fn a_public_value_that_is_none_ends_the_exchange() {
    let offered = |kex, public: &[u8]| {
        let mut pair = pair_of(Dialect { kex, ..Dialect::OPENSSH }, |_| {});
        pair.client.start_exchange();
        pair.client.send(&payload(&KexEcdhInit { public }));
        let error = pair.run().unwrap_err();
        assert_eq!(farewell(&mut pair).0, 3);
        error
    };
    let bad = Error::from(Malformed::ExchangeValue);
    assert_eq!(offered("curve25519-sha256", &[9; 31]), bad);
    assert_eq!(offered("curve25519-sha256", &[9; 33]), bad);
    assert_eq!(offered("curve25519-sha256", &[0; 32]), bad, "a point of small order");
    assert_eq!(offered("mlkem768x25519-sha256", &[9; 32]), bad);
    assert_eq!(offered("mlkem768x25519-sha256", &[0xff; 1184 + 32]), bad, "not reduced (FIPS 203 section 7.2)");
    assert_eq!(offered("mlkem768x25519-sha256", &[0; 1184 + 32]), bad, "a point of small order");
}

#[test]
fn signature_algorithms_are_told_to_those_who_ask() {
    let mut asks = met(Dialect::OPENSSH).unwrap();
    let ext_info = asks.reply().unwrap();
    let mut expected = std::vec![7, 0, 0, 0, 2, 0, 0, 0, 15];
    expected.extend(b"server-sig-algs\0\0\0\x41");
    expected.extend(b"ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256");
    expected[4 + 1 + 4 + 15 + 3] = 57;
    expected.extend(b"\0\0\0\x1fpublickey-hostbound@openssh.com\0\0\0\x010");
    assert_eq!(ext_info, expected);
    let mut silent = met(Dialect { kex: "curve25519-sha256", ..Dialect::OPENSSH }).unwrap();
    assert_eq!(silent.reply(), None);
}

#[test]
fn an_altered_packet_is_refused() {
    for ciphers in ["chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com"] {
        // The body and the tag. An altered length is a packet of another size.
        for at in (4..44).step_by(13) {
            let mut pair = met(Dialect { ciphers, ..Dialect::OPENSSH }).unwrap();
            let mut packet = pair.client.seal(&payload(&ServiceRequest { service: "ssh-userauth" }));
            packet[at] ^= 1;
            pair.client.outbox = packet;
            assert_eq!(pair.run(), Err(Malformed::Tag.into()), "{ciphers} byte {at}");
            assert_eq!(farewell(&mut pair).0, 5);
        }
    }
}

#[test]
fn a_packet_that_is_repeated_or_left_out_is_refused() {
    let request = payload(&ServiceRequest { service: "ssh-userauth" });
    let mut repeated = pair();
    let packet = repeated.client.seal(&request);
    repeated.client.outbox = [&packet[..], &packet].concat();
    assert_ne!(repeated.run(), Ok(()));

    let mut left_out = pair();
    left_out.client.seal(&request);
    left_out.client.send(&payload(&Ignore { data: b"" }));
    assert_ne!(left_out.run(), Ok(()));
}

#[test]
fn a_login_has_its_time() {
    let mut pair = pair_of(Dialect::OPENSSH, |config| config.login_grace = Duration::from_secs(30));
    assert_eq!(pair.server.deadline(), Some(Instant(30_000)));
    pair.now = Instant(29_999);
    assert_eq!(pair.run(), Ok(()));
    pair.now = Instant(30_000);
    assert_eq!(pair.run(), Err(Misbehaviour::LoginTimeout.into()));
    assert_eq!(pair.server.deadline(), None);
}
