//! What a process of another user makes.

use super::*;
use crate::limits::NOFID;
use crate::msg::{Tattach, Tsymlink};

const NOBODY: u32 = 65534;

/// A client that is root, with a directory that everybody may write, and files as others have them.
fn root() -> Model {
    let mut server = server();
    for (path, mode) in
        [("/tmp", 0o041_777), ("/staff", 0o042_775), ("/tmp/safe", 0o040_755), ("/tmp/theirs", 0o041_777)]
    {
        server.dir(path);
        server.at(path).unwrap().mode = mode;
    }
    server.at("/tmp/theirs").unwrap().owner = Some([1000, 1000]);
    server.file("/secret", b"");
    server
}

fn bench(server: Model) -> Bench {
    // Whose the client's process is.
    Bench::with(server, Config { home: b"/usr", ..CONFIG }, memory(200, 16 * 1024), cache(64))
}

/// A fid of a directory, of a process with this user.
fn walk(b: &mut Bench, user: u32, path: &str) -> u32 {
    let (root, fid) = (b.new_fid(), b.new_fid());
    b.ask(&Tattach { fid: root, afid: NOFID, uname: b"", aname: b"", n_uname: user }).unwrap();
    let wname = path.split('/').filter(|name| !name.is_empty()).map(str::as_bytes).collect();
    b.ask(&Twalk { fid: root, newfid: fid, wname }).unwrap();
    b.clunk(root);
    fid
}

fn create(b: &mut Bench, user: u32, directory: &str, name: &str) -> [u32; 2] {
    let fid = walk(b, user, directory);
    b.ask(&Tlcreate { fid, name: name.as_bytes(), flags: 2, mode: 0o100_644, gid: user }).unwrap();
    let attr = b.attr(fid).unwrap();
    b.write_at(fid, 0, b"text").unwrap();
    b.clunk(fid);
    let seen = b.stat(&std::format!("{directory}/{name}")).unwrap();
    assert_eq!([seen.uid, seen.gid], [attr.uid, attr.gid]);
    [attr.uid, attr.gid]
}

fn make_dir(b: &mut Bench, user: u32, directory: &str, name: &str) -> [u32; 2] {
    let dfid = walk(b, user, directory);
    b.ask(&Tmkdir { dfid, name: name.as_bytes(), mode: 0o755, gid: user }).unwrap();
    b.clunk(dfid);
    let attr = b.stat(&std::format!("{directory}/{name}")).unwrap();
    [attr.uid, attr.gid]
}

#[test]
fn what_another_user_makes_where_that_is_safe_is_his() {
    let mut b = bench(root());
    assert_eq!(make_dir(&mut b, NOBODY, "/tmp", "d"), [NOBODY; 2]);
    assert_eq!(create(&mut b, NOBODY, "/tmp", "f"), [NOBODY; 2]);
    assert_eq!(create(&mut b, NOBODY, "/tmp/safe", "f"), [NOBODY; 2]);
    assert_eq!(b.server.at("/tmp/f").unwrap().owner, Some([NOBODY; 2]));
    // What the session's own user makes stays his, and costs nothing.
    assert_eq!((create(&mut b, 0, "/tmp", "g"), b.server.at("/tmp/g").unwrap().owner), ([0; 2], None));
    // A link is the client's.
    let fid = walk(&mut b, NOBODY, "/tmp");
    b.ask(&Tsymlink { fid, name: b"l", symtgt: b"/secret", gid: NOBODY }).unwrap();
    assert_eq!([b.server.at("/tmp/l").unwrap().owner, b.server.at("/secret").unwrap().owner], [None; 2]);
}

#[test]
fn where_others_may_write_nothing_is_given_away() {
    let mut b = bench(root());
    assert_eq!(create(&mut b, NOBODY, "/staff", "f"), [0; 2]);
    assert_eq!(make_dir(&mut b, NOBODY, "/staff", "d"), [0; 2]);
    assert_eq!(create(&mut b, NOBODY, "/tmp/theirs", "f"), [0; 2]);
    // Nor below what has been given away.
    assert_eq!(make_dir(&mut b, NOBODY, "/tmp", "d"), [NOBODY; 2]);
    assert_eq!(create(&mut b, NOBODY, "/tmp/d", "f"), [0; 2]);
    assert_eq!(b.server.at("/tmp/d/f").unwrap().owner, None);
}

#[test]
fn a_client_that_is_not_root_keeps_what_is_made() {
    let mut server = root();
    server.uid = 1000;
    let mut b = bench(server);
    b.server.asked.clear();
    assert_eq!(create(&mut b, NOBODY, "/tmp", "f"), [0; 2]);
    assert_eq!(make_dir(&mut b, NOBODY, "/tmp", "d"), [0; 2]);
    assert_eq!(asked(&b, "Tsetattr"), 0, "{:?}", b.server.asked);
}

#[test]
fn it_costs_a_message_to_give_a_file_away_and_one_to_see_it() {
    let mut b = bench(root());
    let mut cost = |user: u32, name: &str| {
        b.stat("/tmp").unwrap();
        b.server.asked.clear();
        create(&mut b, user, "/tmp", name);
        (b.server.total(), asked(&b, "Tsetattr"))
    };
    cost(NOBODY, "first");
    let (own, given) = (cost(0, "own"), cost(NOBODY, "given"));
    assert_eq!((own.1, given.1), (0, 1));
    assert!(given.0 <= own.0 + 2, "{own:?} {given:?}");
}

/// Somebody on the client's machine puts a link in the place of the name, at each moment that there is; before it is
/// created, too, since the server's create opens what is there.
#[test]
fn a_name_that_is_swapped_for_a_link_gives_nothing_away() {
    for (directory, hard) in ["/tmp", "/staff", "/tmp/theirs"].into_iter().flat_map(|d| [(d, false), (d, true)]) {
        for moment in 0..12 {
            let mut b = bench(root());
            let fid = walk(&mut b, NOBODY, directory);
            let name = std::format!("{directory}/f");
            b.send(7, &Tlcreate { fid, name: b"f", flags: 2, mode: 0o100_644, gid: NOBODY });
            let mut sticky = false;
            for step in 0.. {
                b.pump();
                if b.replies.is_empty() {
                    break;
                }
                // Who may: in a sticky directory what root has made cannot be taken away.
                sticky |= directory == "/tmp" && b.server.ino(&name).is_some();
                if step == moment && !sticky {
                    b.server.unlink(&name);
                    if hard { b.server.hard_link(&name, "/secret") } else { b.server.link(&name, "/secret") }
                }
                b.deliver(0);
            }
            assert_eq!(b.server.at("/secret").unwrap().owner, None, "{directory} {hard} {moment}");
        }
    }
}
