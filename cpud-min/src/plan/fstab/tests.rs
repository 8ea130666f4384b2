use super::*;
use linux_raw_sys::general::{MS_BIND, MS_NODEV, MS_NOSUID, MS_RDONLY};
use std::boxed::Box;
use std::string::ToString;
use std::vec::Vec;

fn parse(line: &str) -> Result<Option<Entry<'static>>, Malformed> {
    let fields = Lines::new(line.as_bytes()).next().map(|(_, fields)| fields).transpose()?;
    fields.map(|fields| fields.decode(Box::leak(Box::new([0xff; ROOM])))).transpose()
}

fn entry(line: &str) -> Entry<'static> {
    parse(line).unwrap().unwrap()
}

#[test]
fn the_stock_clients_line() {
    let entry = entry("/tmp/cpu/lib /lib none defaults,bind 0 0");
    assert_eq!((entry.source, entry.target, entry.fstype), (c"/tmp/cpu/lib", c"/lib", c"none"));
    assert_eq!((entry.flags, entry.data), (MS_BIND, c""));
}

#[test]
fn the_stock_clients_nfs_line_keeps_its_data() {
    let entry = entry("127.0.0.1:1f /tmp/cpu nfs rw,relatime,vers=3,hard,nolock,port=4242,addr=127.0.0.1 0 0");
    assert_eq!(entry.source, c"127.0.0.1:1f");
    assert_eq!(entry.data, c"vers=3,hard,nolock,port=4242,addr=127.0.0.1");
}

#[test]
fn the_last_word_about_a_flag_holds() {
    assert_eq!(entry("a b tmpfs ro,nosuid,nodev,rw").flags, MS_NOSUID | MS_NODEV);
    assert_eq!(entry("a b tmpfs rw,ro").flags, MS_RDONLY);
}

#[test]
fn tabs_and_two_missing_fields_are_fstab_too() {
    assert_eq!(entry("tmpfs\t/run \t tmpfs\tsize=1m").data, c"size=1m");
    assert_eq!(entry("tmpfs /run tmpfs size=1m 0").target, c"/run");
}

#[test]
fn blanks_tabs_newlines_and_backslashes_are_octal() {
    assert_eq!(entry(r"/a\040b /c\011d\012e\134 none lower=\040x").target, c"/c\td\ne\\");
    assert_eq!(entry(r"/a\040b /c none lower=\040x").data, c"lower= x");
    assert_eq!(entry(r"/\04 /\400\9 none defaults").source, c"/\\04");
    assert_eq!(entry(r"/\04 /\400\9 none defaults").target, c"/\\400\\9");
    assert_eq!(parse(r"/a\000 /b none bind"), Err(Malformed::Nul));
}

#[test]
fn what_is_not_mounted_at_boot_is_not_mounted_here() {
    for line in
        ["/tmp/cpu/none none none defaults,bind 0 0", "UUID=1 none swap sw 0 0", "/dev/sdb1 /mnt ext4 noauto,user 0 0"]
    {
        assert_eq!(parse(line), Ok(None), "{line}");
    }
}

#[test]
fn a_blank_in_a_name_is_explained() {
    let error = parse("/tmp/cpu/my dir /my dir none defaults,bind 0 0").unwrap_err();
    assert_eq!(error.to_string(), "has 8 fields, more than the 6 of an fstab (a blank in a name is \\040)");
    let error = parse("proc /proc proc").unwrap_err();
    assert_eq!(error.to_string(), "has 3 of the 4 fields that it needs: source, target, type, options");
}

#[test]
fn a_line_is_bounded() {
    let line = "x".repeat(ROOM) + " /b none bind";
    assert_eq!(parse(&line), Err(Malformed::TooLong));
    assert_eq!(parse("a b c d\0e"), Err(Malformed::Nul));
}

#[test]
fn lines_are_counted_with_the_empty_ones_and_comments() {
    let table = b"\n# a\n  # b\n one / x x\n\n\ttwo / x x\r\nthree";
    let lines: Vec<_> = Lines::new(table).map(|(number, fields)| (number, fields.map(|f| f.source))).collect();
    assert_eq!(lines, [(4, Ok(b"one".as_slice())), (6, Ok(b"two")), (7, Err(Malformed::Fields(1)))]);
    assert_eq!(Lines::new(b"\n\n").count(), 0);
}
