//! Settings in the flash part, which `scripts/settings.sh` writes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
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
fn settings_hold_in_a_rom_that_is_booted_as_bios() {
    or_skip!(qemu_tests::client::v3());
    let (machine, rom) = in_rom("bios", Machine::direct());
    let user = Key::user(Kind::Rsa2048).public.display().to_string();
    settings(&rom, &["--key", &user, "--hostname", "box-b"]).ok();
    let vm = Vm::boot(&Machine { bios: true, ..machine });
    assert_eq!(v3(vm.port, &[], &["uname", "-n"]).ok(), "box-b");
    assert!(said(&vm).contains("1 authorized keys"), "{}", said(&vm));
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

/// A file of the tests with this text, which others may not touch.
fn file(name: &str, text: &str) -> String {
    let path = scratch("settings").join(name);
    let _ = fs::remove_file(&path);
    fs::OpenOptions::new()
        .mode(0o600)
        .create_new(true)
        .write(true)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    path.display().to_string()
}

#[track_caller]
fn refused(rom: &Path, options: &[&str], why: &str) {
    let outcome = settings(rom, options);
    assert_eq!(outcome.code(), 1, "{options:?}");
    let complaint = outcome.complaint();
    assert!(complaint.contains(why) && complaint.lines().count() == 1, "{options:?}: {complaint}");
}

#[test]
fn invalid_settings_are_refused_and_leave_the_rom_unchanged() {
    let (_, rom) = in_rom("refused", Machine::bare());
    let before = fs::read(&rom).expect("it was just written");
    let long = file("long", &format!("{}\n", Key::user(Kind::Rsa4096).line()).repeat(88));
    let host_key = Key::host().private.display().to_string();
    for (options, why) in [
        (["--hostname", "two words"], "no hostname"),
        (["--address", "10.0.2.77"], "no address"),
        (["--address", "10.0.2.77/33"], "no address"),
        (["--address", "10.0.2.256/24"], "no address"),
        (["--gateway", "router"], "no gateway"),
        (["--gateway", "10.0.2.02"], "no gateway"),
        (["--key", "/no/such/file"], "/no/such/file"),
        (["--host-key", "/dev/null"], "others"),
        (["--key", &long], "there is room for 65488"),
        // Without a host key, or without keys, nobody gets into a ROM that has none built in.
        (["--hostname", "box"], "has no authorized-key built in"),
        (["--host-key", &host_key], "has no authorized-key built in"),
    ] {
        refused(&rom, &options, why);
    }
    assert!(fs::read(&rom).expect("it is still there") == before);
    assert_eq!(settings(&rom, &[]).ok(), "no settings");
    settings(&rom, &["--hostname", "box", "--nobody"]).ok();
    assert_eq!(settings(&rom, &[]).ok(), "hostname box");
}

#[test]
fn settings_with_a_refused_key_name_its_line_and_write_nothing() {
    let (_, rom) = in_rom("refused-keys", Machine::direct());
    let before = fs::read(&rom).expect("it was just written");
    let good = Key::user(Kind::Ed25519).line();
    let private = fs::read_to_string(Key::host().private).expect("the tests made it");
    let small = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQE=";
    for (name, text, why) in [
        ("from", format!("{good}\nfrom=\"10.0.0.0/8\" {good}\n"), "line 2: the option \"from\""),
        ("command", format!("# mine\n\ncommand=\"id\" {good}\n"), "line 3: the option \"command\""),
        ("ca", format!("cert-authority {good}\n"), "line 1: the option \"cert-authority\""),
        ("rsa", format!("{good}\n{small}\n"), "line 2: the RSA key has 1 bits"),
        ("cr", format!("{good}\r{good}\r"), "line 1: a carriage return"),
        ("private", private.clone(), "line 1: a private key"),
        ("p384", Key::stranger(Kind::EcdsaP384).line(), "line 1: keys of type \"ecdsa-sha2-nistp384\""),
        ("empty", "# nobody\n".into(), "no usable key"),
    ] {
        refused(&rom, &["--key", &file(name, &text)], why);
    }
    let pkcs8 = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n";
    for (name, text, why) in [
        ("note", format!("{private}# of box 7\n"), "stands behind the END"),
        ("pkcs8", pkcs8.into(), "a PEM file of the kind \"PRIVATE KEY\""),
        ("public", good.clone(), "does not begin with -----BEGIN"),
    ] {
        refused(&rom, &["--host-key", &file(name, &text)], why);
    }
    let open = file("open", &private);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).expect("it is ours");
    refused(&rom, &["--host-key", &open], "its mode leaves it open to others");
    assert!(fs::read(&rom).expect("it is still there") == before);
    // As Windows writes it, and as an editor that ends no last line.
    for text in [private.replace('\n', "\r\n"), private.trim_end().into()] {
        settings(&rom, &["--host-key", &file("ends", &text)]).ok();
    }
}

#[test]
fn what_is_not_named_stays_until_it_is_cleared() {
    let (_, rom) = in_rom("kept", Machine::direct());
    let (key, host_key) = (Key::user(Kind::Ed25519), Key::host().private.display().to_string());
    settings(&rom, &["--key", &key.public.display().to_string(), "--host-key", &host_key]).ok();
    settings(&rom, &["--hostname", "box-1", "--gateway", "10.0.2.2"]).ok();
    settings(&rom, &["--hostname", "box-2"]).ok();
    let shown = settings(&rom, &[]).ok();
    for line in
        [&format!("authorized-key {}", key.line()), "hostname box-2", "gateway 10.0.2.2", "host-key (not shown)"]
    {
        assert_eq!(shown.lines().filter(|shown| shown == &line).count(), 1, "{line} in {shown}");
    }
    let cleared = settings(&rom, &["--clear", "--hostname", "box-3"]);
    assert!(cleared.complaint().contains("without a --host-key of its own"), "{}", cleared.complaint());
    assert_eq!(cleared.ok(), "hostname box-3");
    assert_eq!(settings(&rom, &["--clear"]).ok(), "no settings");
}

#[test]
fn without_a_cpud_to_ask_nothing_is_written() {
    let (_, rom) = in_rom("unchecked", Machine::direct());
    let before = fs::read(&rom).expect("it was just written");
    let nowhere = scratch("no-cache");
    let key = Key::user(Kind::Ed25519).public;
    let mut command = script("settings.sh");
    command.arg(&rom).arg("--key").arg(key).env("PATH", "/usr/bin:/bin").env_remove("CARGO_HOME");
    let outcome = run(command.env("HOME", &nowhere).env("XDG_CACHE_HOME", &nowhere), LIMIT);
    assert_eq!(outcome.code(), 1);
    assert!(outcome.complaint().contains("nothing is written"), "{}", outcome.complaint());
    assert!(fs::read(&rom).expect("it is still there") == before);
}

#[test]
fn the_kernel_lines_hostname_survives_dhcp() {
    or_skip!(qemu_tests::client::v3());
    let vm = Vm::boot(&Machine { words: "hostname=box7.lab cpud.relay=\"1M\"", ..Machine::direct() });
    assert_eq!(v3(vm.port, &[], &["uname", "-n"]).ok(), "box7.lab");
    assert!(!said(&vm).contains("cpud.relay"), "{}", said(&vm));
}
