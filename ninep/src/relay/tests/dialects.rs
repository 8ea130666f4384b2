//! Requests of one side's dialect that come from the other, and of none.

use std::string::ToString;

use super::*;
use crate::frame::Fault;
use crate::limits::NOTAG;
use crate::msg::{Header, Tunlinkat, Tversion, Type, VERSION};
use crate::wire::{Wire, Writer};

/// The rows of the table in requests.md: number, request, answer, errors.
fn rows() -> Vec<(u8, &'static str, &'static str, &'static str)> {
    let rows = include_str!("../requests.md").lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        Some((cells.get(1)?.parse().ok()?, cells[2], cells[3], cells[4]))
    });
    rows.collect()
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = std::vec![0; 7 + body.len()];
    let size = frame.len() as u32;
    Header { size, kind, tag: 3 }.write(&mut Writer::new(&mut frame));
    frame[7..].copy_from_slice(body);
    frame
}

/// A body of zeroes, as short as the type allows, with a fid that does not exist.
fn body(kind: u8) -> Vec<u8> {
    let least = Type::from_number(kind).map_or(20, |kind| *kind.sizes().start() as usize - 7);
    let mut body = std::vec![0; least];
    if least >= 4 {
        body[..4].copy_from_slice(&77_u32.to_le_bytes());
    }
    body
}

#[test]
fn each_number_is_answered_as_the_table_says() {
    let rows = rows();
    for number in 0..=u8::MAX {
        let mut b = Bench::new(server());
        let sent = b.send_frame(&frame(number, &body(number)));
        let Some(&(_, request, answer, errors)) = rows.iter().find(|row| row.0 == number) else {
            let fault = sent.expect_err("no request");
            let is_reply = Type::from_number(number).is_some();
            assert_eq!(fault, if is_reply { Fault::WrongWay } else { Fault::UnknownType }, "{number}");
            continue;
        };
        if request == "Tversion" {
            assert_eq!(sent.unwrap_err(), Fault::SecondVersion);
            continue;
        }
        sent.unwrap();
        b.settle();
        let (tag, reply) = b.reply().unwrap();
        assert_eq!(tag, 3, "{request}");
        match (answer, reply) {
            ("EOPNOTSUPP", reply) => assert_eq!(reply, Owned::Error(Errno::EOPNOTSUPP), "{request}"),
            ("relay" | "upstream", Owned::Error(errno)) => {
                assert!(errors.contains(&errno.to_string()), "{request}: {errno}")
            }
            ("relay", Owned::Other(kind)) => assert_eq!(kind, number + 1, "{request}"),
            other => panic!("{request}: {other:?}"),
        }
        // The session goes on.
        assert!(b.stat("/usr/bin/small").is_ok(), "{request}");
    }
    let requests = (0..=u8::MAX).filter_map(Type::from_number).filter(|kind| kind.is_request());
    for kind in requests.filter(|kind| *kind != Type::Twalkgetattr) {
        assert!(rows.iter().any(|row| row.0 == kind as u8 && row.1 == kind.name()), "{kind}");
    }
}

#[test]
fn what_linux_asks_when_a_rename_is_not_supported_is_an_error() {
    let mut b = Bench::new(server());
    let (dir, fid) = (b.walk("/usr/bin").unwrap(), b.walk("/usr/bin/small").unwrap());
    b.server.refuses = Some(Errno::EOPNOTSUPP.0);
    let rename = Trenameat { olddirfid: dir, oldname: b"small", newdirfid: dir, newname: b"moved" };
    assert_eq!(b.ask(&rename), Err(Errno::EOPNOTSUPP));
    let rename = crate::msg::Trename { fid, dfid: dir, name: b"moved" };
    assert_eq!(b.ask(&rename), Err(Errno::EOPNOTSUPP));
    // fid[4] n[2] stat[n]: p9_client_wstat.
    let wstat = [&fid.to_le_bytes()[..], &[63, 0, 61, 0], &[0xff; 39], &[5, 0], b"moved", &[0; 15]].concat();
    b.send_frame(&frame(126, &wstat)).unwrap();
    b.settle();
    assert_eq!(b.reply(), Some((3, Owned::Error(Errno::EOPNOTSUPP))));
    b.server.refuses = None;
    // v9fs_remove, too, has another way.
    b.server.refuses = Some(Errno::EOPNOTSUPP.0);
    assert_eq!(b.ask(&Tunlinkat { dirfid: dir, name: b"small", flags: 0 }), Err(Errno::EOPNOTSUPP));
    assert_eq!(b.ask(&crate::msg::Tremove { fid }), Err(Errno::EOPNOTSUPP));
    b.server.refuses = None;
    assert!(b.stat("/usr/bin/small").is_ok());
}

#[test]
fn a_request_that_is_not_offered_keeps_the_rules_of_all() {
    let mut b = Bench::new(server());
    let mut tagged = frame(126, &[]);
    tagged[5..7].copy_from_slice(&NOTAG.to_le_bytes());
    assert_eq!(b.send_bytes(&tagged).unwrap_err().fault, Fault::Tag);

    let mut b = Bench::new(server());
    b.send(3, &Tmkdir { dfid: ROOT, name: b"made", mode: 0o755, gid: 0 });
    b.pump();
    assert_eq!(b.send_frame(&frame(126, &[])).unwrap_err(), Fault::TagInUse);

    let mut b = Bench::new(server());
    b.relay.upstream_closed(&mut b.cache);
    b.send_frame(&frame(126, &[0; 4])).unwrap();
    b.pump();
    assert_eq!(b.reply(), Some((3, Owned::Error(Errno::EIO))));
    let version = Tversion { msize: 8192, version: VERSION };
    let mut room = [0; 64];
    let again = crate::msg::Body::encode(&version, NOTAG, &mut room).unwrap();
    assert_eq!(b.send_frame(again).unwrap_err(), Fault::SecondVersion);
}
