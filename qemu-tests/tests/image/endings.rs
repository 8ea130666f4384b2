//! How sessions end when their client or the machine goes: SIGHUP, SIGTERM, five seconds, and then without being asked.

use qemu_tests::client::Client;
use qemu_tests::or_skip;
use qemu_tests::run::{Running, start};
use qemu_tests::vm::{Machine, Vm};

use crate::{LIMIT, machine, v3};

/// Says what it is told, uses a file, and ends with 3.
const SAVES: &str = "trap 'echo told to hang up >/dev/console' HUP; trap 'echo told to end >/dev/console; \
    sha256sum /usr/lib/os-release; exit 3' TERM; \
    echo saves >/dev/console; echo ready; \
    while :; do sleep 100; done";

/// Cannot be asked.
const DEAF: &str = "trap '' HUP TERM; echo deaf >/dev/console; echo ready; while :; do :; done";

fn session(vm: &Vm, script: &str) -> Running {
    let mut client = Client::v3(vm.port).unwrap_or_else(|e| panic!("{e}"));
    start(client.command(&["sh", "-c", script]), Vec::new())
}

#[test]
fn sessions_are_told_of_a_restart_and_have_their_files_until_they_end() {
    or_skip!(qemu_tests::client::v3());
    or_skip!(qemu_tests::skip::on_path(&qemu_tests::board::under_test().qemu()));
    let vm = Vm::boot(&Machine { restarts: true, ..Machine::direct() });
    let start = vm.console.mark();
    let (saves, deaf) = (session(&vm, SAVES), session(&vm, DEAF));
    vm.console.expect(start, &["saves"], LIMIT);
    vm.console.expect(start, &["deaf"], LIMIT);
    let asked = vm.console.mark();
    v3(vm.port, &["-9p=false"], &["reboot"]);
    vm.console.expect(start, &["cpud: restarting"], LIMIT);
    let said = vm.console.since(asked);
    let at = |words: &str| said.find(words).unwrap_or_else(|| panic!("no {words}: {said}"));
    assert!(at("told to hang up") < at("told to end") && at("told to end") < at("cpud: restarting"), "{said}");
    let saves = saves.finish(LIMIT);
    assert_eq!(saves.code(), 3, "{}", saves.complaint());
    assert!(saves.text().contains("/usr/lib/os-release"), "{}", saves.text());
    assert_ne!(deaf.finish(LIMIT).code(), 0);
    vm.console.expect(start, &["cpud: ready"], LIMIT);
}

#[test]
fn a_session_that_cannot_be_asked_is_killed_when_its_client_goes() {
    let vm = machine!(alone);
    let start = vm.console.mark();
    assert_eq!(v3(vm.port, &["-on", "ready=die"], &["sh", "-c", DEAF]).code(), 128 + 9);
    vm.console.expect(start, &["was ended by signal 9, its client is gone"], LIMIT);
}
