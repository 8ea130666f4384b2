use std::string::ToString;
use std::vec::Vec;

use super::*;
use crate::msg::*;
use crate::wire::Data;

const LIMIT: u32 = 128 * 1024;
const MSIZE: u32 = 8192;

fn frame<'a>(tag: u16, body: &impl Body<'a>) -> Vec<u8> {
    let mut room = std::vec![0; MSIZE as usize + 64];
    body.encode(tag, &mut room).unwrap().to_vec()
}

fn tversion(msize: u32) -> Vec<u8> {
    frame(NOTAG, &Tversion { msize, version: VERSION })
}

fn rversion(msize: u32) -> Vec<u8> {
    frame(NOTAG, &Rversion { msize, version: VERSION })
}

/// A session whose version is agreed, with msize 8192.
fn open() -> Check {
    let mut check = Check::new(LIMIT);
    check.kernel(&tversion(LIMIT)).unwrap();
    check.upstream(&rversion(MSIZE)).unwrap();
    check
}

/// A session with one request on its way.
fn asked<'a>(tag: u16, request: &impl Body<'a>) -> Check {
    let mut check = open();
    check.kernel(&frame(tag, request)).unwrap();
    check
}

fn fault(result: Result<(), FrameError>) -> Fault {
    result.unwrap_err().fault
}

const CLUNK: Tclunk = Tclunk { fid: 1 };
const READ: Tread = Tread { fid: 1, offset: 0, count: 4 };

#[test]
fn a_session_passes() {
    let mut check = open();
    check.kernel(&frame(0, &Tattach { fid: 0, afid: !0, uname: b"user", aname: b"", n_uname: !0 })).unwrap();
    check.upstream(&frame(0, &Rattach::default())).unwrap();
    check.kernel(&[frame(0, &READ), frame(1, &CLUNK)].concat()).unwrap();
    check.upstream(&[frame(1, &Rclunk {}), frame(0, &Rread { data: Data(b"data") })].concat()).unwrap();
    check.kernel(&frame(0, &Tgetattr { fid: 1, request_mask: 0 })).unwrap();
    check.upstream(&frame(0, &Rlerror { ecode: 2 })).unwrap();
}

#[test]
fn a_session_passes_in_any_split() {
    let data = [7; 100];
    let kernel = [frame(0, &Twrite { fid: 1, offset: 0, data: Data(&data) }), frame(1, &READ)].concat();
    let replies = [frame(1, &Rread { data: Data(b"data") }), frame(0, &Rwrite { count: 100 })].concat();
    for n in 1..kernel.len() {
        let mut check = open();
        kernel.chunks(n).for_each(|part| check.kernel(part).unwrap());
        replies.chunks(n).for_each(|part| check.upstream(part).unwrap());
    }
}

#[test]
fn every_tag_that_is_followed_can_be_used_at_once() {
    let mut check = open();
    (0..1024).for_each(|tag| check.kernel(&frame(tag, &CLUNK)).unwrap());
    assert_eq!(fault(check.kernel(&frame(1024, &CLUNK))), Fault::Tag);
    (0..1024).rev().for_each(|tag| check.upstream(&frame(tag, &Rclunk {})).unwrap());
}

#[test]
fn the_version_comes_first_and_once() {
    assert_eq!(fault(Check::new(LIMIT).kernel(&frame(0, &CLUNK))), Fault::BeforeVersion);
    assert_eq!(fault(open().kernel(&tversion(LIMIT))), Fault::SecondVersion);

    let mut check = Check::new(LIMIT);
    check.kernel(&tversion(LIMIT)).unwrap();
    assert_eq!(fault(check.kernel(&frame(0, &CLUNK))), Fault::BeforeVersion);
    assert_eq!(fault(check.kernel(&tversion(LIMIT))), Fault::SecondVersion);
}

#[test]
fn a_refused_version_can_be_asked_again() {
    let mut check = Check::new(LIMIT);
    check.kernel(&tversion(LIMIT)).unwrap();
    check.upstream(&frame(NOTAG, &Rlerror { ecode: 22 })).unwrap();
    check.kernel(&tversion(4096)).unwrap();
    check.upstream(&rversion(4096)).unwrap();
}

#[test]
fn another_protocol_is_refused() {
    let unix = Tversion { msize: LIMIT, version: b"9P2000.u" };
    assert_eq!(fault(Check::new(LIMIT).kernel(&frame(NOTAG, &unix))), Fault::Version);

    for version in [b"9P2000.L.Google.7".as_slice(), b"9P2000", b"unknown"] {
        let mut check = Check::new(LIMIT);
        check.kernel(&tversion(LIMIT)).unwrap();
        assert_eq!(fault(check.upstream(&frame(NOTAG, &Rversion { msize: LIMIT, version }))), Fault::Version);
    }
}

#[test]
fn the_version_has_no_tag() {
    let tagged = frame(0, &Tversion { msize: LIMIT, version: VERSION });
    assert_eq!(fault(Check::new(LIMIT).kernel(&tagged)), Fault::Tag);

    let rversion = frame(0, &Rversion { msize: LIMIT, version: VERSION });
    for reply in [rversion, frame(0, &Rlerror { ecode: 22 })] {
        let mut check = Check::new(LIMIT);
        check.kernel(&tversion(LIMIT)).unwrap();
        assert_eq!(fault(check.upstream(&reply)), Fault::Tag);
    }
}

#[test]
fn msize_is_at_most_what_was_asked() {
    assert_eq!(fault(Check::new(LIMIT).kernel(&tversion(LIMIT + 1))), Fault::Msize { msize: LIMIT + 1 });
    for msize in [4095, 8193] {
        let mut check = Check::new(LIMIT);
        check.kernel(&tversion(8192)).unwrap();
        assert_eq!(fault(check.upstream(&rversion(msize))), Fault::Msize { msize });
    }
}

#[test]
fn a_frame_of_msize_passes_and_one_byte_more_does_not() {
    let data = [0; MSIZE as usize - 11];
    let read = Tread { fid: 1, offset: 0, count: MSIZE };
    asked(0, &read).upstream(&frame(0, &Rread { data: Data(&data) })).unwrap();

    let data = [0; MSIZE as usize - 10];
    let error = asked(0, &read).upstream(&frame(0, &Rread { data: Data(&data) }));
    assert_eq!(fault(error), Fault::AboveMsize { msize: MSIZE });
}

#[test]
fn a_size_that_the_type_cannot_have_is_refused() {
    let mut long = frame(0, &Rclunk {});
    long[0] += 1;
    long.push(0);
    assert_eq!(fault(asked(0, &CLUNK).upstream(&long)), Fault::Size);
    assert_eq!(fault(asked(0, &CLUNK).upstream(b"\x06\0\0\0\x79\0\0")), Fault::Size);
    assert_eq!(fault(open().kernel(b"\x0b\0\0\0\x28\0\0\x01\0\0\0")), Fault::Size);
}

#[test]
fn a_count_that_contradicts_the_size_is_refused() {
    for count in [3, 5, u32::MAX] {
        let mut read = frame(0, &Rread { data: Data(b"data") });
        read[7..11].copy_from_slice(&count.to_le_bytes());
        assert_eq!(fault(asked(0, &READ).upstream(&read)), Fault::Size);

        let mut write = frame(0, &Twrite { fid: 1, offset: 0, data: Data(b"data") });
        write[19..23].copy_from_slice(&count.to_le_bytes());
        assert_eq!(fault(open().kernel(&write)), Fault::Size);
    }
}

#[test]
fn each_side_sends_its_own_kind() {
    assert_eq!(fault(asked(0, &CLUNK).upstream(&frame(0, &CLUNK))), Fault::WrongWay);
    assert_eq!(fault(open().kernel(&frame(0, &Rclunk {}))), Fault::WrongWay);
    assert_eq!(fault(open().kernel(b"\x07\0\0\0\x6a\0\0")), Fault::UnknownType);
    assert_eq!(fault(open().upstream(b"\x07\0\0\0\x6b\0\0")), Fault::UnknownType);
}

#[test]
fn a_tag_in_use_is_refused() {
    assert_eq!(fault(asked(3, &CLUNK).kernel(&frame(3, &READ))), Fault::TagInUse);
}

#[test]
fn an_answer_to_nothing_is_refused() {
    assert_eq!(fault(Check::new(LIMIT).upstream(&rversion(LIMIT))), Fault::NoRequest);
    assert_eq!(fault(open().upstream(&frame(0, &Rclunk {}))), Fault::NoRequest);
    assert_eq!(fault(open().upstream(&frame(0xfffe, &Rclunk {}))), Fault::NoRequest);
    let mut check = asked(3, &CLUNK);
    check.upstream(&frame(3, &Rclunk {})).unwrap();
    assert_eq!(fault(check.upstream(&frame(3, &Rclunk {}))), Fault::NoRequest);
}

#[test]
fn an_answer_to_something_else_is_refused() {
    let wrong = asked(0, &READ).upstream(&frame(0, &Rclunk {}));
    assert_eq!(fault(wrong), Fault::WrongReply { request: Type::Tread as u8 });
    let mut check = Check::new(LIMIT);
    check.kernel(&tversion(LIMIT)).unwrap();
    assert_eq!(fault(check.upstream(&frame(NOTAG, &Rclunk {}))), Fault::WrongReply { request: Type::Tversion as u8 });
}

#[test]
fn a_flushed_request_is_answered_before_the_flush_or_not_at_all() {
    let mut before = asked(1, &READ);
    before.kernel(&frame(2, &Tflush { oldtag: 1 })).unwrap();
    before.upstream(&frame(1, &Rread { data: Data(b"data") })).unwrap();
    before.upstream(&frame(2, &Rflush {})).unwrap();

    let mut never = asked(1, &READ);
    never.kernel(&frame(2, &Tflush { oldtag: 1 })).unwrap();
    never.upstream(&frame(2, &Rflush {})).unwrap();
    never.kernel(&frame(1, &CLUNK)).unwrap();
    never.upstream(&frame(1, &Rclunk {})).unwrap();

    let mut after = asked(1, &READ);
    after.kernel(&frame(2, &Tflush { oldtag: 1 })).unwrap();
    after.upstream(&frame(2, &Rflush {})).unwrap();
    assert_eq!(fault(after.upstream(&frame(1, &Rread { data: Data(b"data") }))), Fault::NoRequest);
}

#[test]
fn a_flush_that_fails_leaves_its_request_waiting() {
    let mut check = asked(1, &READ);
    check.kernel(&frame(2, &Tflush { oldtag: 1 })).unwrap();
    check.upstream(&frame(2, &Rlerror { ecode: 5 })).unwrap();
    assert_eq!(fault(check.kernel(&frame(1, &CLUNK))), Fault::TagInUse);
}

#[test]
fn a_flush_of_a_tag_that_is_not_followed_does_nothing() {
    let mut check = asked(1, &Tflush { oldtag: 0xfffe });
    check.upstream(&frame(1, &Rflush {})).unwrap();
}

#[test]
fn what_came_before_the_bad_frame_is_good() {
    let good = frame(0, &Rclunk {});
    let mut check = asked(0, &CLUNK);
    let bad = b"\x07\0\0\0\xff\x09\0";
    let error = check.upstream(&[&good[..], bad].concat()).unwrap_err();
    let header = Header { size: 7, kind: 255, tag: 9 };
    assert_eq!(error, FrameError { good: 7, sender: Sender::Upstream, header, fault: Fault::UnknownType });
}

#[test]
fn of_a_bad_frame_that_began_earlier_nothing_more_is_good() {
    for end in 0..7 {
        let mut check = open();
        let bad = b"\x07\0\0\0\xff\x09\0";
        check.upstream(&bad[..end]).unwrap();
        assert_eq!(check.upstream(&[&bad[end..], bad].concat()).unwrap_err().good, 0);
    }
}

#[test]
fn an_error_names_the_frame() {
    let error = asked(0, &READ).upstream(&frame(0, &Rclunk {})).unwrap_err();
    assert_eq!(error.to_string(), "9P frame from the client's server: Rclunk, tag 0, size 7: it answers a Tread");
    let error = open().kernel(b"\x07\0\0\0\x6a\x05\0").unwrap_err();
    assert_eq!(error.to_string(), "9P frame from the kernel: type 106, tag 5, size 7: there is no such message");
}

#[test]
fn a_request_of_9p2000_is_refused_by_an_answer() {
    for number in [112, 114, 124, 126] {
        let mut check = open();
        // fid[4] n[2] stat[n], or whatever it is.
        let mut request = frame(4, &CLUNK);
        request[4] = number;
        check.kernel(&request).unwrap();
        let mut reply = frame(4, &Rclunk {});
        reply[4] = number + 1;
        assert!(check.upstream(&reply).is_err());
        let mut check = open();
        check.kernel(&request).unwrap();
        assert_eq!(fault(check.kernel(&request)), Fault::TagInUse);
        let mut check = open();
        check.kernel(&request).unwrap();
        check.upstream(&frame(4, &Rlerror { ecode: 95 })).unwrap();
    }
}
