extern crate std;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::{BLOB_MAX, Entry, Problem, Reason, parse};
use crate::keys::KeyError;
use crate::keys::samples::{self, ECDSA_P256, ED25519, RSA_2048};

/// Each line that means something as its number and its key type, or what is wrong with it.
fn summary(file: &[u8]) -> Vec<(usize, Result<&'static str, Reason<'_>>)> {
    parse(file)
        .map(|line| match line {
            Ok(Entry { line, key_type, .. }) => (line, Ok(key_type)),
            Err(Problem { line, reason }) => (line, Err(reason)),
        })
        .collect()
}

/// What is wrong with a file of one line.
fn reason(line: &str) -> Option<Reason<'_>> {
    let lines = summary(line.as_bytes());
    assert_eq!(lines.len(), 1, "{line:?}");
    lines[0].1.err()
}

#[test]
fn the_example_of_the_sshd_manual_page() {
    let file = include_str!("sshd.8.example").replace("ssh-rsa ...", &format!("ssh-rsa {RSA_2048}"));
    let option = |name| Err(Reason::Option(name));
    assert_eq!(
        summary(file.as_bytes()),
        [
            (3, Ok("ssh-rsa")),
            (5, option(b"restrict")),
            (7, option(b"permitopen")),
            (9, option(b"permitlisten")),
            (11, option(b"tunnel")),
            (13, option(b"restrict")),
            (15, option(b"no-touch-required")),
            (17, option(b"verify-required")),
            (19, option(b"cert-authority")),
        ]
    );
}

#[test]
fn an_entry_has_the_fields_of_its_line() {
    let line = format!("  no-user-rc,NO-x11-Forwarding\t ssh-ed25519  {ED25519} \t ada lovelace \r\n");
    let entry = parse(line.as_bytes()).next().unwrap().unwrap();
    assert_eq!(entry.line, 1);
    assert_eq!(entry.options, b"no-user-rc,NO-x11-Forwarding");
    assert_eq!(entry.key_type, "ssh-ed25519");
    assert_eq!(entry.blob[..19], *b"\0\0\0\x0bssh-ed25519\0\0\0\x20");
    assert_eq!(entry.blob.len(), 51);
    assert_eq!(entry.comment, b"ada lovelace");
}

#[test]
fn lines_are_numbered_from_1_whatever_ends_them() {
    let (ed25519, ecdsa) = (format!("ssh-ed25519 {ED25519}"), format!("ecdsa-sha2-nistp256 {ECDSA_P256} c"));
    for end in ["\n", "\r\n"] {
        let file = ["", "# ssh-ed25519", " \t", &ed25519, " # indented", &ecdsa, &ed25519].join(end);
        let expected = [(4, Ok("ssh-ed25519")), (6, Ok("ecdsa-sha2-nistp256")), (7, Ok("ssh-ed25519"))];
        assert_eq!(summary(file.as_bytes()), expected, "the last line not ended");
        assert_eq!(summary([&file, end].concat().as_bytes()), expected, "and ended");
    }
}

#[test]
fn a_file_of_nothing_holds_nothing() {
    for file in ["", "\n", "\r\n\r\n", "#", "# x\n\n", " \t "] {
        assert_eq!(summary(file.as_bytes()), [], "{file:?}");
    }
}

#[test]
fn a_bad_line_does_not_spoil_the_others() {
    let file = format!("garbage\nssh-ed25519 {ED25519}\n\"\nssh-ed25519 {ED25519}\n");
    assert_eq!(
        summary(file.as_bytes()),
        [(1, Err(Reason::Option(b"garbage"))), (2, Ok("ssh-ed25519")), (3, Err(Reason::Quote)), (4, Ok("ssh-ed25519")),]
    );
}

#[test]
fn options_that_are_not_honoured_are_named_without_their_value() {
    for (options, name) in [
        ("restrict", "restrict"),
        ("RESTRICT", "RESTRICT"),
        ("command=\"echo \\\"a, b\\\" # c\"", "command"),
        ("no-user-rc,from=\"10.0.0.0/8,!10.1.2.3\"", "from"),
        ("no-user-rc,environment=\"A=b c\",no-pty", "environment"),
        ("no-port-forwarding", "no-port-forwarding"),
        ("no-user-rc=\"no\"", "no-user-rc"),
        ("no-user-rcs", "no-user-rcs"),
        ("expiry-time=\"20300101\"", "expiry-time"),
        ("no-user-rc,", ""),
        (",no-user-rc", ""),
        ("\"no-user-rc\"", "\"no-user-rc\""),
    ] {
        let line = format!("{options} ssh-ed25519 {ED25519} c");
        assert_eq!(reason(&line), Some(Reason::Option(name.as_bytes())), "{options}");
    }
}

#[test]
fn options_that_take_away_what_nobody_has_are_honoured() {
    for options in ["no-agent-forwarding", "no-X11-forwarding", "no-user-rc,no-agent-forwarding,NO-X11-FORWARDING"] {
        assert_eq!(reason(&format!("{options} ssh-ed25519 {ED25519}")), None, "{options}");
    }
}

#[test]
fn a_quotation_mark_must_be_closed() {
    for options in ["command=\"x", "command=\"x\\\"", "\"", "no-user-rc,from=\"a\"\""] {
        assert_eq!(reason(&format!("{options} ssh-ed25519 {ED25519}")), Some(Reason::Quote), "{options}");
    }
}

#[test]
fn key_types_that_are_not_supported_are_named() {
    for name in [
        "ssh-dss",
        "sk-ssh-ed25519@openssh.com",
        "ecdsa-sha2-nistp384",
        "SSH-ED25519",
        "ssh-ed25519-cert-v01@openssh.com",
    ] {
        let line = format!("{name} {ED25519} c");
        assert_eq!(reason(&line), Some(Reason::KeyType(name.as_bytes())));
        let line = format!("no-user-rc {line}");
        assert_eq!(reason(&line), Some(Reason::KeyType(name.as_bytes())));
    }
}

#[test]
fn a_line_without_a_key_says_so() {
    for line in ["ssh-rsa", "ssh-ed25519 ", "no-user-rc", "no-user-rc ssh-rsa"] {
        assert_eq!(reason(line), Some(Reason::NoKey), "{line:?}");
    }
}

#[test]
fn a_key_must_be_base_64() {
    for key in ["...", "AAAA=", &ED25519[1..], &format!("{ED25519}="), &format!("{ED25519}\0")] {
        assert_eq!(reason(&format!("ssh-ed25519 {key}")), Some(Reason::Base64), "{key:?}");
    }
}

#[test]
fn a_line_cut_short_anywhere_in_its_key_is_refused() {
    let line = format!("ssh-ed25519 {ED25519}");
    for end in 1..line.len() {
        let reason = reason(&line[..end]).unwrap();
        let expected = match end {
            1..11 => Reason::Option(&line.as_bytes()[..end]),
            11..13 => Reason::NoKey,
            _ if (end - 12) % 4 == 0 => Reason::Key(KeyError::Malformed),
            _ => Reason::Base64,
        };
        assert_eq!(reason, expected, "{end}");
    }
    assert_eq!(reason(&line), None);
}

#[test]
fn a_key_must_be_of_the_type_that_the_line_says() {
    assert_eq!(reason(&format!("ssh-ed25519 {RSA_2048}")), Some(Reason::TypeMismatch));
    assert_eq!(reason(&format!("ssh-rsa {ED25519}")), Some(Reason::TypeMismatch));
}

#[test]
fn a_key_that_cannot_be_used_is_refused_with_the_reason() {
    // The modulus of one bit, 1.
    let tiny = "AAAAB3NzaC1yc2EAAAADAQABAAAAAQE=";
    assert_eq!(reason(&format!("ssh-rsa {tiny}")), Some(Reason::Key(KeyError::RsaBits(1))));
    // A blob of the type "x".
    assert_eq!(reason("ssh-rsa AAAAAXg="), Some(Reason::Key(KeyError::Type)));
}

#[test]
fn very_long_lines_are_taken_or_refused_like_any() {
    let long = "x".repeat(1 << 20);
    assert_eq!(reason(&format!("ssh-ed25519 {ED25519} {long}")), None);
    assert_eq!(reason(&format!("ssh-rsa {}", "AAAA".repeat(BLOB_MAX / 3 + 1))), Some(Reason::TooLong));
    assert_eq!(reason(&format!("command=\"{long}\" ssh-ed25519 {ED25519}")), Some(Reason::Option(b"command")));
    let many = format!("ssh-ed25519 {ED25519}\n").repeat(1000);
    assert_eq!(parse(many.as_bytes()).flatten().count(), 1000);
}

#[test]
fn bytes_that_are_not_utf_8_are_no_harm() {
    let line = [b"ssh-ed25519 ", ED25519.as_bytes(), b" \xff\xfe"].concat();
    assert_eq!(parse(&line).next().unwrap().unwrap().comment, b"\xff\xfe");
    assert_eq!(summary(b"\xff \xfe"), [(1, Err(Reason::Option(b"\xff")))]);
}

#[test]
fn a_problem_is_one_sentence_with_the_line_and_no_control_characters() {
    let problem = |file: &str| -> String { parse(file.as_bytes()).next().unwrap().unwrap_err().to_string() };
    assert_eq!(
        problem(&format!("\n\ncommand=\"x\" ssh-ed25519 {ED25519}")),
        "authorized keys, line 3: the option \"command\" is not supported, so the key is refused"
    );
    assert_eq!(
        problem(&format!("ecdsa-sha2-nistp384 {ED25519}")),
        "authorized keys, line 1: keys of type \"ecdsa-sha2-nistp384\" are not supported"
    );
    assert_eq!(
        problem("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQE="),
        "authorized keys, line 1: the RSA key has 1 bits, not 2048 to 4096"
    );
}

#[test]
fn no_word_of_a_file_is_shown_that_is_not_known() {
    for text in ["secret", "secret AAAA", "secret=\"AAAA\" ssh-rsa AAAA", "ssh\x1b[1m AAAA", "Private-MAC: secret AAAA"]
    {
        let shown = parse(text.as_bytes()).next().unwrap().unwrap_err().to_string();
        assert!(!shown.contains("secret") && !shown.contains('\x1b') && !shown.contains("Private"), "{shown}");
    }
}

#[test]
fn a_private_key_is_named_once_and_nothing_behind_its_first_line_is_read() {
    for text in [samples::HOST_KEY, samples::ENCRYPTED_HOST_KEY, "-----BEGIN PRIVATE KEY-----\nAAAA\nssh-ed25519\n"] {
        assert_eq!(summary(text.as_bytes()), [(1, Err(Reason::Pem))]);
    }
    let file = format!("ssh-ed25519 {ED25519}\n\n{}\nssh-ed25519 {ED25519}\n", samples::HOST_KEY);
    assert_eq!(summary(file.as_bytes()), [(1, Ok("ssh-ed25519")), (3, Err(Reason::Pem))]);
}

#[test]
fn a_carriage_return_alone_ends_no_line_and_hides_no_key() {
    let key = format!("ssh-ed25519 {ED25519} me");
    for file in [format!("{key}\r{key}\r"), format!("# mine\r{key}"), format!("{key}\r\r\n{key}\r{key}\n")] {
        assert!(summary(file.as_bytes()).iter().any(|(_, line)| *line == Err(Reason::CarriageReturn)), "{file:?}");
    }
}
