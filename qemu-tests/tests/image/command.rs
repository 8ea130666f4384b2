//! Commands that run there with the client's files, and how they end.

use std::process::Command;
use std::thread;

use qemu_tests::keys::{Key, Kind};
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer};
use qemu_tests::programs;
use qemu_tests::run::{run, sha256};

use crate::{LIMIT, listing_of_bin, machine, v3, v3_reading};

#[test]
fn ls_bin_lists_the_clients_own_programs() {
    let vm = machine!(shared);
    assert_eq!(v3(vm.port, &[], &["ls", "/bin"]).ok(), listing_of_bin());
}

#[test]
fn a_command_exits_with_its_own_code() {
    let vm = machine!(shared);
    for code in [0, 1, 7, 127, 143] {
        assert_eq!(v3(vm.port, &[], &["sh", "-c", &format!("exit {code}")]).code(), code);
    }
}

#[test]
fn a_killed_command_is_reported_with_its_signal() {
    let vm = machine!(shared);
    let outcome = v3(vm.port, &[], &["sh", "-c", "kill -KILL $$"]);
    assert_eq!(outcome.code(), 128 + 9);
    assert!(outcome.complaint().contains("signal KILL"), "{}", outcome.complaint());
}

#[test]
fn a_signal_from_the_client_reaches_the_command() {
    let vm = machine!(shared);
    let script = "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.1; done";
    let outcome = v3(vm.port, &["-on", "ready=signal TERM"], &["sh", "-c", script]);
    assert_eq!((outcome.code(), outcome.text().as_str()), (5, "ready\ncaught\n"));
}

#[test]
fn a_missing_loader_is_not_reported_as_a_missing_command() {
    let vm = machine!(shared);
    let outcome = v3(vm.port, &["-namespace", "/usr"], &["/usr/bin/true"]);
    assert_eq!(outcome.code(), 127);
    assert!(outcome.complaint().contains("\"/usr/bin/true\": the loader"), "{}", outcome.complaint());
}

#[test]
fn no_such_command_is_127_with_its_name_and_no_permission_is_126() {
    let vm = machine!(shared);
    let missing = v3(vm.port, &[], &["no-such-command"]);
    assert_eq!(missing.code(), 127);
    assert!(missing.complaint().contains("no-such-command"), "{}", missing.complaint());
    let forbidden = v3(vm.port, &[], &["/etc/passwd"]);
    assert_eq!(forbidden.code(), 126);
    assert!(forbidden.complaint().contains("/etc/passwd"), "{}", forbidden.complaint());
}

#[test]
fn stderr_stays_apart_from_stdout() {
    let vm = machine!(shared);
    let outcome = v3(vm.port, &[], &["sh", "-c", "echo good; echo bad >&2"]);
    assert_eq!((outcome.text().as_str(), outcome.complaint().as_str()), ("good\n", "bad\n"));
}

#[test]
fn stdin_of_64_mib_is_counted_by_wc() {
    let vm = machine!(shared);
    assert_eq!(v3_reading(vm.port, vec![b'x'; 64 << 20], &["wc", "-c"]).ok(), "67108864");
}

#[test]
fn words_arrive_as_they_were_typed() {
    let vm = machine!(shared);
    let words = ["printf", "%s\n", "two words", "it's", "$HOME *", "\"", "\\", "", "ü"];
    assert_eq!(v3(vm.port, &[], &words).ok(), words[2..].join("\n"));
}

#[test]
fn the_sessions_secrets_are_not_in_the_commands_environment() {
    let vm = machine!(shared);
    let text = v3(vm.port, &["-env", "COLOUR=green"], &["env"]).ok();
    assert!(text.lines().any(|line| line == "COLOUR=green"), "{text}");
    assert!(!text.contains("CPUNONCE") && !text.contains("CPU_FSTAB"), "{text}");
}

#[test]
fn a_working_directory_that_is_not_there_is_named_and_nothing_runs() {
    let vm = machine!(shared);
    let outcome = v3(vm.port, &["-pwd", "/no/such/place"], &["echo", "ran"]);
    assert_ne!(outcome.code(), 0);
    assert_eq!(outcome.text(), "");
    assert!(outcome.complaint().contains("/no/such/place"), "{}", outcome.complaint());
}

#[test]
fn fifty_sessions_run_at_once() {
    let vm = machine!(alone);
    let port = vm.port;
    thread::scope(|scope| {
        let sessions =
            (0..50).map(|n: usize| scope.spawn(move || v3(port, &[], &["sh", "-c", &format!("echo {n}; cat")])));
        for (n, session) in sessions.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(session.join().expect("a session ends").ok(), n.to_string());
        }
    });
}

#[test]
fn a_published_v2_client_gets_a_terminal_with_echo() {
    if programs::are_foreign() {
        return qemu_tests::skip::announce("this client cannot be told of another name space");
    }
    // Before the machine is waited for: this may take a minute the first time.
    let (client, unpfs) = or_skip!(qemu_tests::client::v2());
    or_skip!(qemu_tests::skip::on_path("script"));
    let vm = machine!(shared);
    let key = Key::user(Kind::Rsa2048).private;
    // It puts its own terminal into raw mode, so it needs one.
    let words = "'ls -1N /bin; stty -a'";
    let line = format!("{} -sp {} -key {} {words}", client.display(), vm.port, key.display());
    let path = format!("{}:/usr/bin:/bin", unpfs.display());
    let mut script = Command::new("script");
    script.args(["-q", "-e", "-c", &line, "/dev/null"]).env("PATH", path).env("HOME", "/root").current_dir("/usr");
    let text = run(&mut script, LIMIT).text().replace('\r', "");
    // On a terminal stderr is there too: /lib32, which V2 wants, need not exist.
    let text = text.lines().filter(|line| !line.starts_with("cpud: ")).collect::<Vec<_>>().join("\n");
    let local = run(Command::new("ls").args(["-1N", "/bin"]), LIMIT).ok();
    // What `script` types at the end of its input is echoed, too.
    let settings = text.trim_start_matches("^@").strip_prefix(&local).unwrap_or_else(|| panic!("{text}"));
    // It asks for a terminal without echo, and its users type into one with it.
    assert!(settings.split_whitespace().any(|word| word == "echo"), "{settings}");
}

#[test]
fn the_output_of_a_command_is_whole() {
    let vm = machine!(shared);
    let outcome = v3(vm.port, &[], &["seq", "1", "500000"]);
    let expected: String = (1..=500_000).map(|n| format!("{n}\n")).collect();
    assert_eq!((outcome.code(), sha256(&outcome.stdout)), (0, sha256(expected.as_bytes())));
}

#[test]
fn a_key_that_nobody_authorized_is_refused() {
    let vm = machine!(shared);
    or_skip!(Peer::OpenSsh.here());
    let login = Login { port: vm.port, key: &Key::stranger(Kind::Ed25519), rekey: false };
    let outcome = run(&mut Peer::OpenSsh.exec(&login, "true"), LIMIT);
    assert_eq!(outcome.code(), 255);
    assert!(outcome.complaint().contains("Permission denied (publickey)"), "{}", outcome.complaint());
}
