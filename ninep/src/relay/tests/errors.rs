//! What the server says went wrong.

use super::*;
use crate::msg::{Body, Tfsync, Tlink, Tlopen, Tmknod, Treaddir, Treadlink, Tsymlink, Tunlinkat, Twrite};
use crate::wire::Data;

/// Asks for everything that the server has to be asked for: by fids of a directory, a file, a link, an open file and an
/// open directory.
fn all_answers(
    b: &mut Bench,
    [dir, file, link, written, listed]: [u32; 5],
) -> Vec<(&'static str, Result<Owned, Errno>)> {
    fn name<'a, M: Body<'a>>(b: &mut Bench, message: &M) -> (&'static str, Result<Owned, Errno>) {
        (M::TYPE.name(), b.ask(message))
    }
    let newfid = b.new_fid();
    std::vec![
        name(b, &Twalk { fid: dir, newfid, wname: heapless::Vec::from_slice(&[&b"none"[..]]).unwrap() }),
        name(b, &Tgetattr { fid: file, request_mask: 0x7ff }),
        name(b, &Treadlink { fid: link }),
        name(b, &Tlopen { fid: file, flags: 1 }),
        name(b, &Tread { fid: written, offset: 0, count: 4 }),
        name(b, &Twrite { fid: written, offset: 0, data: Data(b"x") }),
        name(b, &Tfsync { fid: written, datasync: 0 }),
        name(b, &Treaddir { fid: listed, offset: 0, count: 100 }),
        name(b, &Tlcreate { fid: dir, name: b"new", flags: 2, mode: 0o644, gid: 0 }),
        name(b, &Tmkdir { dfid: dir, name: b"made", mode: 0o755, gid: 0 }),
        name(b, &Tsymlink { fid: dir, name: b"symbolic", symtgt: b"x", gid: 0 }),
        name(b, &Tmknod { dfid: dir, name: b"fifo", mode: 0o010_644, ..Tmknod::default() }),
        name(b, &Tlink { dfid: dir, fid: file, name: b"hard" }),
        name(b, &Trenameat { olddirfid: dir, oldname: b"true", newdirfid: dir, newname: b"other" }),
        name(b, &Tunlinkat { dirfid: dir, name: b"small", flags: 0 }),
        name(b, &Tsetattr { fid: file, valid: 1, mode: 0o100_600, ..Tsetattr::default() }),
    ]
}

fn refused_with(ecode: u32) -> Vec<(&'static str, Result<Owned, Errno>)> {
    let mut b = Bench::with(server(), Config { freshness_ms: 0, ..CONFIG }, memory(200, 16 * 1024), cache(64));
    let fids =
        [b.walk("/usr/bin"), b.walk("/usr/bin/small"), b.walk("/bin"), b.open("/usr/bin/true", 2), b.open("/usr", 0)];
    b.server.refuses = Some(ecode);
    all_answers(&mut b, fids.map(Result::unwrap))
}

#[test]
fn numbers_that_no_program_knows_are_an_input_output_error() {
    for ecode in [0, 134, 200, 100_000] {
        for (request, answer) in refused_with(ecode) {
            assert_eq!(answer, Err(Errno::EIO), "{request}, {ecode}");
        }
    }
}

#[test]
fn numbers_that_programs_know_are_passed_on() {
    let mut b = Bench::new(server());
    let fid = b.open("/usr/bin/small", 2).unwrap();
    for ecode in 1..=133 {
        b.server.disk = Err(Errno(ecode));
        assert_eq!(b.ask(&Tfsync { fid, datasync: 0 }), Err(Errno(ecode)));
    }
    for (request, answer) in refused_with(Errno::EDQUOT.0) {
        assert_eq!(answer, Err(Errno::EDQUOT), "{request}");
    }
}
