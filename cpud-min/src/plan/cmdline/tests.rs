use super::*;
use std::string::ToString;
use std::vec;

const FILES: [&CStr; 4] = [c"--authorized-keys", c"/a", c"--host-key", c"/h"];

fn arguments(more: &[&'static CStr]) -> Result<Arguments<'static>, CmdlineError<'static>> {
    match parse(FILES.into_iter().chain(more.iter().copied()))? {
        Command::Serve(arguments) => Ok(arguments),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_files_are_enough() {
    let found = arguments(&[]).unwrap();
    assert_eq!((found.authorized_keys, found.host_key, found.ninep), (c"/a", c"/h", true));
    assert_eq!(found.listen.as_slice(), ["[::]:17010".parse().unwrap()]);
}

#[test]
fn several_addresses_in_every_form() {
    let listen = [c"--listen", c"127.0.0.1:22", c"--listen=[::1]:17010", c"--listen", c":17011"];
    let listen = arguments(&listen).unwrap().listen;
    let expected = ["127.0.0.1:22", "[::1]:17010", "[::]:17011"].map(|address| address.parse().unwrap());
    assert_eq!(listen.as_slice(), expected);
}

#[test]
fn an_address_that_is_none_is_named() {
    for address in [c"localhost:22", c"127.0.0.1", c"::1:22", c":", c":65536", c"", c"1.2.3.4:\xff"] {
        assert_eq!(arguments(&[c"--listen", address]), Err(CmdlineError::Address(address)));
    }
    let sentence = CmdlineError::Address(c"host:22").to_string();
    assert_eq!(sentence, "--listen \"host:22\" is not HOST:PORT with an IP address as HOST");
}

#[test]
fn addresses_are_counted() {
    assert!(arguments(&[c"--listen=:1"; MAX_LISTEN]).is_ok());
    assert_eq!(arguments(&[c"--listen=:1"; MAX_LISTEN + 1]), Err(CmdlineError::TooMany));
}

#[test]
fn a_file_may_have_an_equals_sign_in_its_name() {
    assert_eq!(arguments(&[c"--host-key=/a=b", c"--no-9p"]).unwrap().host_key, c"/a=b");
    assert!(!arguments(&[c"--no-9p"]).unwrap().ninep);
}

#[test]
fn help_and_version_need_nothing_else() {
    assert_eq!(parse([c"--help"]), Ok(Command::Help));
    assert_eq!(parse([c"--no-9p", c"--version"]), Ok(Command::Version));
    for option in [
        "--authorized-keys FILE",
        "--host-key FILE",
        "--listen ADDR",
        "--no-9p",
        "--check",
        "--settings",
        "--help",
        "--version",
    ] {
        assert!(HELP.contains(option), "{option}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (arguments, sentence) in [
        (vec![c"--verbose"], "there is no option \"--verbose\"; see --help"),
        (vec![c"--no-9p=1"], "there is no option \"--no-9p=1\"; see --help"),
        (vec![c"stray"], "there is no option \"stray\"; see --help"),
        (vec![c"--listen"], "\"--listen\" needs a value; see --help"),
        (vec![], "--authorized-keys FILE is missing; see --help"),
        (vec![c"--check"], "--check needs something to check; see --help"),
        (vec![c"--settings=/rom"], "--settings and --cmdline go with --check; see --help"),
        (vec![c"--authorized-keys", c"/a"], "--host-key FILE is missing; see --help"),
    ] {
        assert_eq!(parse(arguments).unwrap_err().to_string(), sentence);
    }
}

#[test]
fn pid_1_serves_9p_on_the_port_of_the_protocol() {
    let Arguments { listen, ninep, .. } = Arguments::APPLIANCE;
    assert_eq!((listen.as_slice(), ninep), ([any(17010)].as_slice(), true));
}

#[test]
fn what_is_checked_is_what_is_named() {
    let host_key = Check { host_key: Some(c"/h"), ..Check::default() };
    assert_eq!(parse([c"--host-key=/h", c"--check", c"--no-9p"]), Ok(Command::Check(host_key)));
    let rest = Check { settings: Some(c"/rom"), cmdline: Some(c"ip=dhcp quiet"), ..Check::default() };
    assert_eq!(parse([c"--check", c"--settings", c"/rom", c"--cmdline", c"ip=dhcp quiet"]), Ok(Command::Check(rest)));
}
