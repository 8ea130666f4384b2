//! What every ssh client must be able to do, once per client.

use std::time::Duration;

use qemu_tests::daemon::Daemon;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer};
use qemu_tests::run::{feed, noise, run, sha256};

const SOON: Duration = Duration::from_secs(20);

/// 64 MiB in each direction, through peers some of which are slow.
const BULK: usize = 64 << 20;
const BULK_LIMIT: Duration = Duration::from_secs(180);

/// One module for each peer, with one test for each ability.
macro_rules! peers {
    ($($peer:ident: $which:expr, $bulk:ident)*) => {$(
        mod $peer {
            use super::*;

            #[test]
            fn logs_in_with_each_kind_of_key() {
                super::logs_in_with_each_kind_of_key(or_skip!($which.here()));
            }

            #[test]
            fn sees_output_errors_and_exit_code_of_a_command() {
                super::sees_output_errors_and_exit_code_of_a_command(or_skip!($which.here()));
            }

            #[test]
            fn $bulk() {
                super::moves_64_mib_each_way(or_skip!($which.here()));
            }

            #[test]
            fn is_refused_with_a_key_that_nobody_authorized() {
                super::is_refused_with_a_key_that_nobody_authorized(or_skip!($which.here()));
            }
        }
    )*};
}

peers! {
    openssh: Peer::OpenSsh, moves_64_mib_each_way_while_keys_change
    dbclient: Peer::Dbclient, moves_64_mib_each_way
    plink: Peer::Plink, moves_64_mib_each_way_while_keys_change
    paramiko: Peer::Paramiko, moves_64_mib_each_way_while_keys_change
    asyncssh: Peer::Asyncssh, moves_64_mib_each_way_while_keys_change
    go: Peer::Go, moves_64_mib_each_way_while_keys_change
}

fn logs_in_with_each_kind_of_key(peer: Peer) {
    let daemon = Daemon::start();
    for kind in Kind::ALL {
        let login = Login { port: daemon.port, key: &Key::user(kind), rekey: false };
        let outcome = run(&mut peer.exec(&login, "echo welcome"), SOON);
        assert_eq!(outcome.code(), 0, "{kind:?}: {}", outcome.complaint());
        assert_eq!(outcome.text(), "welcome\n", "{kind:?}");
    }
}

fn sees_output_errors_and_exit_code_of_a_command(peer: Peer) {
    let daemon = Daemon::start();
    let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: false };
    for code in [0, 1, 7, 127, 143] {
        let outcome = run(&mut peer.exec(&login, &format!("echo good; echo bad >&2; exit {code}")), SOON);
        assert_eq!(outcome.code(), code, "{}", outcome.complaint());
        assert_eq!(outcome.text(), "good\n");
        assert!(outcome.complaint().contains("bad\n"), "{}", outcome.complaint());
        assert!(!outcome.complaint().contains("good"), "{}", outcome.complaint());
    }
}

fn moves_64_mib_each_way(peer: Peer) {
    let daemon = Daemon::start();
    let login = Login { port: daemon.port, key: &Key::user(Kind::Ed25519), rekey: peer.rekeys() };
    let bytes = noise(BULK);
    let expected = sha256(&bytes);
    let outcome = feed(&mut peer.exec(&login, "cat"), bytes, BULK_LIMIT);
    assert_eq!(outcome.code(), 0, "{}", outcome.complaint());
    assert_eq!(outcome.stdout.len(), BULK);
    assert_eq!(sha256(&outcome.stdout), expected);
}

fn is_refused_with_a_key_that_nobody_authorized(peer: Peer) {
    let daemon = Daemon::start();
    let login = Login { port: daemon.port, key: &Key::stranger(Kind::Ed25519), rekey: false };
    let outcome = run(&mut peer.exec(&login, "echo welcome"), SOON);
    assert_ne!(outcome.code(), 0);
    assert_eq!(outcome.text(), "");
}
