//! Power-on to ready.

use qemu_tests::console::Mark;
use qemu_tests::keys::Key;

use crate::machine;

#[test]
fn the_console_says_version_address_host_key_and_ready_in_milliseconds() {
    let vm = machine!(shared);
    let said = vm.console.since(Mark::default());
    let line = |words: &[&str]| said.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(line(&["cpud", "on Linux 6."]), "{said}");
    assert!(line(&["host key", &Key::host().fingerprint()]), "{said}");
    assert!(line(&["10.0.2.15", "17010"]), "{said}");
    assert!(line(&["random numbers", "fed by \"virtio_rng"]), "{said}");
    assert!(line(&["ready after", "ms"]), "{said}");
}

#[test]
fn a_login_is_a_line_on_the_console() {
    let vm = machine!(shared);
    crate::v3(vm.port, &[], &["/bin/true"]).ok();
    vm.expect(&["accepted", "root", "SHA256:"]);
}
