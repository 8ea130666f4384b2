//! setuid and setgid, with a server that drops them from what it is sent (Google's dialect), and one that keeps them.

use super::*;

const CHMOD: u32 = 1 | 1 << 6;

/// /usr/team is setgid, /usr/team/old has 2750, /usr/bin/su has 4755.
fn bench(google: bool) -> Bench {
    let mut server = server();
    (server.google, server.umask) = (google, 0o022);
    server.dir("/usr/team");
    server.dir("/usr/team/old");
    server.file("/usr/bin/su", b"su");
    server.at("/usr/team").unwrap().mode = 0o042_775;
    server.at("/usr/team/old").unwrap().mode = 0o042_750;
    server.at("/usr/bin/su").unwrap().mode = 0o104_755;
    Bench::new(server)
}

fn set(b: &mut Bench, path: &str, valid: u32, mode: u32) -> Result<(), Errno> {
    let fid = b.walk(path).unwrap();
    let done = b.ask(&Tsetattr { fid, valid, mode, ..Tsetattr::default() });
    b.clunk(fid);
    done.map(drop)
}

/// As v9fs does, for a session's umask: what is made below a setgid directory is asked to be that, too.
fn mkdir(b: &mut Bench, name: &str, mode: u32) -> u32 {
    let dfid = b.walk("/usr/team").unwrap();
    b.ask(&Tmkdir { dfid, name: name.as_bytes(), mode: 0o042_000 | mode, gid: 0 }).unwrap();
    b.stat(&std::format!("/usr/team/{name}")).unwrap().mode
}

#[test]
fn a_directory_inherits_setgid() {
    for (google, modes) in [(true, [0o042_755, 0o042_755]), (false, [0o042_775, 0o042_777])] {
        let mut b = bench(google);
        assert_eq!([mkdir(&mut b, "n", 0o775), mkdir(&mut b, "n0", 0o777)], modes);
        assert_eq!(asked(&b, "Tsetattr"), if google { 0 } else { 2 });
    }
}

#[test]
fn a_chmod_that_would_lose_setuid_or_setgid_is_not_done() {
    for (path, mode) in
        [("/usr/team/old", 0o2770), ("/usr/bin/su", 0o4711), ("/usr/bin/su", 0o755), ("/usr/bin/small", 0o2755)]
    {
        let mut b = bench(true);
        let before = b.server.at(path).unwrap().mode;
        assert_eq!(set(&mut b, path, CHMOD, mode), Err(Errno::EPERM));
        assert_eq!((b.server.at(path).unwrap().mode, asked(&b, "Tsetattr")), (before, 0));
        let mut b = bench(false);
        set(&mut b, path, CHMOD, mode).unwrap();
        assert_eq!(b.server.at(path).unwrap().mode & 0o7777, mode);
    }
}

#[test]
fn a_chmod_that_loses_nothing_is_done() {
    let mut b = bench(true);
    set(&mut b, "/usr/bin/small", CHMOD, 0o1640).unwrap();
    assert_eq!(b.stat("/usr/bin/small").unwrap().mode, 0o101_640);
    // Nothing changes.
    set(&mut b, "/usr/bin/su", CHMOD, 0o104_755).unwrap();
    assert_eq!((b.stat("/usr/bin/su").unwrap().mode, asked(&b, "Tsetattr")), (0o104_755, 1));
    // The client has taken it away itself.
    b.server.at("/usr/bin/su").unwrap().mode = 0o100_755;
    b.now += FRESH;
    set(&mut b, "/usr/bin/su", CHMOD, 0o700).unwrap();
    assert_eq!(b.stat("/usr/bin/su").unwrap().mode, 0o100_700);
}

#[test]
fn a_file_is_not_made_with_less_than_it_was_to_have() {
    for (google, made) in [(true, Err(Errno::EPERM)), (false, Ok(0o104_755))] {
        let mut b = bench(google);
        let fid = b.walk("/usr/empty").unwrap();
        let created = b.ask(&Tlcreate { fid, name: b"x", flags: 2, mode: 0o104_755, gid: 0 });
        assert_eq!(created.map(|_| b.stat("/usr/empty/x").unwrap().mode), made);
        assert_eq!(b.server.at("/usr/empty/x").is_some(), !google);
    }
}

#[test]
fn what_the_kernel_takes_away_goes() {
    // file_remove_privs, truncate(2), chown(2): the mode without the ctime, or with something else.
    for valid in [1, 1 | 8 | 0x40, 1 | 2 | 4 | 0x40] {
        let mut b = bench(true);
        set(&mut b, "/usr/bin/su", valid, 0o100_755).unwrap();
        assert_eq!(b.stat("/usr/bin/su").unwrap().mode, 0o100_755);
    }
}
