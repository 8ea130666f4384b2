//! Settings in the flash part, which `scripts/settings.sh` writes.

use std::fs;
use std::path::Path;

use qemu_tests::artifacts::scratch;
use qemu_tests::console::Mark;
use qemu_tests::keys::{Key, Kind};
use qemu_tests::or_skip;
use qemu_tests::peer::{Login, Peer};
use qemu_tests::run::run;
use qemu_tests::vm::{Machine, Vm, script};

use crate::{LIMIT, v3};

/// The machine of the tests in a ROM of its own.
fn in_rom(name: &str, machine: Machine) -> (Machine, std::path::PathBuf) {
    let machine = machine.in_rom(name, &[]);
    let rom = machine.rom.clone().expect("in_rom makes one");
    (machine, rom)
}

fn settings(rom: &Path, options: &[&str]) -> qemu_tests::run::Outcome {
    run(script("settings.sh").arg(rom).args(options), LIMIT)
}

fn said(vm: &Vm) -> String {
    vm.console.since(Mark::default())
}

#[test]
fn one_rom_gets_its_keys_name_and_address_without_being_built_again() {
    or_skip!(qemu_tests::client::v3());
    let (machine, rom) = in_rom("settings", Machine::bare());
    let (user, host) = (Key::user(Kind::Rsa2048), Key::host());
    let (user, host_key) = (user.public.display().to_string(), host.private.display().to_string());
    let options = ["--key", &user, "--host-key", &host_key, "--hostname", "box-7", "--address", "10.0.2.77/24"];
    settings(&rom, &options).ok();
    let vm = Vm::boot(&machine);
    assert!(said(&vm).contains(&host.fingerprint()), "{}", said(&vm));
    assert!(said(&vm).contains("10.0.2.77:17010"), "{}", said(&vm));
    // The forwarded port of QEMU's network leads to DHCP's address, and so nowhere.
    assert!(!said(&vm).contains("10.0.2.15"), "{}", said(&vm));
}

#[test]
fn a_key_in_the_settings_takes_the_place_of_those_built_in() {
    or_skip!(qemu_tests::client::v3());
    or_skip!(Peer::OpenSsh.here());
    let (machine, rom) = in_rom("replaced", Machine::direct());
    let user = Key::user(Kind::Rsa2048).public.display().to_string();
    settings(&rom, &["--key", &user, "--hostname", "box-8"]).ok();
    let vm = Vm::boot(&machine);
    assert_eq!(v3(vm.port, &[], &["uname", "-n"]).ok(), "box-8");
    let login = Login { port: vm.port, key: &Key::user(Kind::Ed25519), rekey: false };
    assert_eq!(run(&mut Peer::OpenSsh.exec(&login, "true"), LIMIT).code(), 255);
}

#[test]
fn an_image_without_any_key_says_that_nobody_can_log_in() {
    let (machine, _) = in_rom("bare", Machine::bare());
    let vm = Vm::boot(&machine);
    assert!(said(&vm).contains("no settings"), "{}", said(&vm));
    assert_eq!(said(&vm).matches("nobody can log in").count(), 1, "{}", said(&vm));
}

#[test]
fn damaged_settings_are_named_and_what_was_built_in_holds() {
    or_skip!(qemu_tests::client::v3());
    let (machine, rom) = in_rom("damaged", Machine::direct());
    settings(&rom, &["--hostname", "box-9"]).ok();
    let mut bytes = fs::read(&rom).expect("it was just written");
    // The first letter of the text.
    bytes[48] ^= 1;
    fs::write(&rom, bytes).expect("scratch is writable");
    let vm = Vm::boot(&machine);
    assert!(said(&vm).contains("only what was built in: the flash part's are damaged"), "{}", said(&vm));
    v3(vm.port, &[], &["true"]).ok();
}

#[test]
fn settings_that_are_none_are_refused_and_the_rom_stays_as_it_was() {
    let (_, rom) = in_rom("refused", Machine::bare());
    let before = fs::read(&rom).expect("it was just written");
    let private = Key::user(Kind::Ed25519).private.display().to_string();
    let long = scratch("image").join("long.pub");
    fs::write(&long, format!("{}\n", Key::user(Kind::Rsa4096).line()).repeat(100)).expect("scratch is writable");
    let p384 = Key::stranger(Kind::EcdsaP384).public.display().to_string();
    for (options, why) in [
        (["--hostname", "two words"], "no hostname"),
        (["--address", "10.0.2.77"], "no address"),
        (["--address", "10.0.2.77/33"], "no address"),
        (["--address", "10.0.2.256/24"], "no address"),
        (["--gateway", "router"], "no gateway"),
        (["--gateway", "10.0.2.02"], "no gateway"),
        (["--key", private.as_str()], "private key"),
        (["--key", "/no/such/file"], "/no/such/file"),
        (["--host-key", "/dev/null"], "not an unencrypted private key"),
        (["--key", &long.display().to_string()], "there is room for 65488"),
        (["--key", &p384], "holds no key that cpud lets in"),
    ] {
        let outcome = settings(&rom, &options);
        assert_eq!(outcome.code(), 1, "{options:?}");
        assert_eq!(outcome.complaint().lines().count(), 1, "{}", outcome.complaint());
        assert!(outcome.complaint().contains(why), "{}", outcome.complaint());
    }
    assert!(fs::read(&rom).expect("it is still there") == before);
    assert_eq!(settings(&rom, &[]).ok(), "no settings");
}
