use core::net::Ipv4Addr;

use super::*;
use crate::plan::network::Address;
use std::string::ToString;
use std::vec::Vec;

const TEXT: &str = "\
hostname box-7
address 192.0.2.7/24
gateway 192.0.2.1
authorized-key ssh-ed25519 AAAA me@desk
authorized-key ssh-ed25519 BBBB
host-key -----BEGIN OPENSSH PRIVATE KEY-----
host-key b3BlbnNzaA==
# a note
";

/// As `scripts/settings.sh` makes it.
fn region(text: &str) -> Vec<u8> {
    let mut region = MAGIC.to_vec();
    region.extend(1u32.to_le_bytes());
    region.extend((text.len() as u32).to_le_bytes());
    region.extend(Sha256::digest(text));
    region.extend(text.as_bytes());
    region.resize(REGION, 0xff);
    region
}

#[test]
fn every_setting_is_read() {
    let region = region(TEXT);
    let settings = Settings::parse(&region).unwrap();
    let Network { hostname, address, gateway } = settings.network;
    assert_eq!(hostname, Some(&b"box-7"[..]));
    assert_eq!(address, Some(Address { ip: Ipv4Addr::new(192, 0, 2, 7), prefix: 24 }));
    assert_eq!(gateway, Some(Ipv4Addr::new(192, 0, 2, 1)));
    let lines: Vec<_> = settings.network_lines().collect();
    assert_eq!(lines, [&b"hostname box-7"[..], b"address 192.0.2.7/24", b"gateway 192.0.2.1"]);
    let keys: Vec<_> = settings.authorized_keys().collect();
    assert_eq!(keys, [&b"ssh-ed25519 AAAA me@desk"[..], b"ssh-ed25519 BBBB"]);
    assert_eq!(settings.host_key().count(), 2);
}

#[test]
fn no_line_is_as_good_as_any() {
    let region = region("");
    let settings = Settings::parse(&region).unwrap();
    assert_eq!((settings.network, settings.authorized_keys().count()), (Network::default(), 0));
}

#[test]
fn erased_flash_is_empty_and_other_content_is_not_ours() {
    assert_eq!(Settings::parse(&[0xff; REGION]), Err(SettingsError::Empty));
    assert_eq!(Settings::parse(&[0; REGION]), Err(SettingsError::Magic));
    assert_eq!(Settings::parse(&[]), Err(SettingsError::Empty));
}

#[test]
fn a_region_cut_off_at_any_byte_of_it_is_refused() {
    let region = region(TEXT);
    for end in 1..HEADER + TEXT.len() {
        let error = Settings::parse(&region[..end]).unwrap_err();
        let expected = if end < HEADER { SettingsError::Magic } else { SettingsError::Length(TEXT.len() as u32) };
        assert_eq!(error, expected, "{end}");
    }
    assert!(Settings::parse(&region[..HEADER + TEXT.len()]).is_ok());
}

#[test]
fn a_byte_changed_anywhere_is_noticed() {
    let region = region(TEXT);
    for at in 0..HEADER + TEXT.len() {
        let mut damaged = region.clone();
        damaged[at] ^= 0x20;
        assert!(Settings::parse(&damaged).is_err(), "{at}");
    }
}

#[test]
fn a_later_format_is_named() {
    let mut region = region(TEXT);
    region[8] = 2;
    assert_eq!(Settings::parse(&region), Err(SettingsError::Version(2)));
}

#[test]
fn a_line_that_means_nothing_is_named_and_nothing_is_used() {
    for line in ["colour green", "hostname a b", "hostname ", "address 1.2.3.4", "address 1.2.3.4/33", "gateway x"] {
        let region = region(&std::format!("authorized-key a\n{line}\n"));
        assert_eq!(Settings::parse(&region), Err(SettingsError::Line(2, line.as_bytes())));
    }
    assert_eq!(SettingsError::Line(2, b"gateway x").to_string(), "not understood: line 2: \"gateway x\"");
    // It may be a host key's.
    assert_eq!(SettingsError::Line(2, b"host-kye b3BlbnNzaA==").to_string(), "not understood: line 2");
}
