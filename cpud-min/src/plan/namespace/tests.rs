use super::*;
use linux_raw_sys::general::MS_RDONLY;
use std::string::{String, ToString};
use std::vec::Vec;

/// What `-namespace` sends when it is not given: the client joins an empty `-fstab` in front.
const STOCK: &[u8] = b"\n\
    /tmp/cpu/lib /lib none defaults,bind 0 0\n\
    /tmp/cpu/lib64 /lib64 none defaults,bind 0 0\n\
    /tmp/cpu/usr /usr none defaults,bind 0 0\n\
    /tmp/cpu/bin /bin none defaults,bind 0 0\n\
    /tmp/cpu/etc /etc none defaults,bind 0 0\n\
    /tmp/cpu/home /home none defaults,bind 0 0\n";

/// Each step as `act` shows it, each bad line as its sentence.
fn steps(ninep: Option<Generation>, fstab: &[u8], act: impl Fn(Step<'_>) -> String) -> Vec<String> {
    let mut room = [0; fstab::ROOM];
    let mut namespace = Namespace::new(ninep, fstab);
    let mut steps = Vec::new();
    while let Some(step) = namespace.next(&mut room) {
        steps.push(step.map_or_else(|error| error.to_string(), &act));
    }
    steps
}

fn sentences(ninep: Option<Generation>, fstab: &[u8]) -> Vec<String> {
    steps(ninep, fstab, |step| step.to_string())
}

fn only_action(fstab: &str, check: impl Fn(Action<'_>)) {
    let mut room = [0; fstab::ROOM];
    let mut namespace = Namespace::new(Some(Generation::V3), fstab.as_bytes());
    check(namespace.next(&mut room).unwrap().unwrap().action);
    assert_eq!(namespace.next(&mut room), None);
}

#[test]
fn the_stock_default_is_six_vital_binds() {
    let all = steps(Some(Generation::V3), STOCK, |step| match step.action {
        Action::Bind { target, flags: MS_BIND, remount: 0, vital: true, .. } => target.to_str().unwrap().into(),
        other => std::format!("{other:?}"),
    });
    assert_eq!(all, ["/lib", "/lib64", "/usr", "/bin", "/etc", "/home"]);
}

#[test]
fn a_step_names_its_line_source_and_target() {
    assert_eq!(sentences(Some(Generation::V3), STOCK)[0], r#"line 2 of CPU_FSTAB, "/tmp/cpu/lib" on "/lib""#);
}

#[test]
fn v2_has_a_table_of_its_own() {
    let sentences = sentences(Some(Generation::V2), STOCK);
    assert_eq!(sentences.len(), 6);
    assert_eq!(sentences[2], r#"line 3 of V2's name space, "/tmp/cpu/lib32" on "/lib32""#);
}

#[test]
fn without_files_of_the_client_its_lines_are_left_out_with_one_notice() {
    let fstab = [b"tmpfs /run tmpfs defaults 0 0".as_slice(), STOCK, b"/a /b none bind 0 0"].concat();
    assert_eq!(
        sentences(None, &fstab),
        [
            r#"line 1 of CPU_FSTAB, "tmpfs" on "/run""#,
            "line 2 of CPU_FSTAB and all others that need the client's files are left out: it serves none",
            r#"line 8 of CPU_FSTAB, "/a" on "/b""#,
        ]
    );
}

#[test]
fn a_mount_on_tmp_cpu_brings_the_clients_files_too() {
    let fstab = [b"127.0.0.1:x /tmp/cpu nfs vers=3 0 0".as_slice(), STOCK].concat();
    assert_eq!(sentences(None, &fstab).len(), 7);
}

#[test]
fn no_name_space_is_nothing() {
    for table in ["", "\n\n", "/tmp/cpu/none none none defaults,bind 0 0\n"] {
        for ninep in [None, Some(Generation::V3)] {
            assert!(sentences(ninep, table.as_bytes()).is_empty(), "{table}");
        }
    }
}

#[test]
fn only_the_clients_files_on_default_directories_are_vital() {
    for (line, is_vital) in [
        ("/tmp/cpu/arm64/lib /lib none defaults,bind 0 0", true),
        ("/tmp/cpu /usr none rbind 0 0", true),
        ("/tmp/cpu/usr/ /usr/ none bind 0 0", true),
        ("/tmp/cpu/opt /opt none bind 0 0", false),
        ("/tmp/local/lib /lib none bind 0 0", false),
        ("/tmp/cpuset/lib /lib none bind 0 0", false),
    ] {
        only_action(line, |action| {
            let Action::Bind { vital, .. } = action else { panic!("{line} is {action:?}") };
            assert_eq!(vital, is_vital, "{line}");
        });
    }
}

#[test]
fn a_binds_other_flags_need_a_second_call() {
    let flags_of = |line: &str, expected: (u32, u32)| {
        only_action(line, |action| {
            let Action::Bind { flags, remount, .. } = action else { panic!("{line} is {action:?}") };
            assert_eq!((flags, remount), expected, "{line}");
        });
    };
    flags_of("/a /b none rbind", (MS_BIND | MS_REC, 0));
    flags_of("/a /b none bind,ro", (MS_BIND, MS_RDONLY));
    flags_of("/tmp/cpu/a /b none bind,ro", (MS_BIND, MS_RDONLY));
}

#[test]
fn everything_else_goes_to_mount_as_it_is() {
    only_action("none /b none remount,bind,ro", |action| {
        let Action::Mount(entry) = action else { panic!("{action:?}") };
        assert_eq!(entry.flags, MS_REMOUNT | MS_BIND | MS_RDONLY);
    });
    only_action("tmpfs /run tmpfs nosuid,size=1m", |action| {
        let Action::Mount(entry) = action else { panic!("{action:?}") };
        assert_eq!((entry.fstype, entry.flags, entry.data), (c"tmpfs", MS_NOSUID, c"size=1m"));
    });
}

#[test]
fn a_bad_line_is_named_and_the_others_go_on() {
    let sentences = sentences(Some(Generation::V3), b"nonsense\n/a /b none bind\n");
    assert!(sentences[0].starts_with("line 1 of CPU_FSTAB has 1 of the 4 fields"));
    assert_eq!(sentences[1], r#"line 2 of CPU_FSTAB, "/a" on "/b""#);
}

#[test]
fn a_link_leads_into_what_is_bound_at_its_own_place_or_is_left_out() {
    let shows = |table: &[u8], target: &str| shows(Some(Generation::V3), table, target.as_bytes());
    for target in ["usr/sbin", "/usr/sbin", "./usr//sbin", "../usr", "bin"] {
        assert!(shows(STOCK, target), "{target}");
    }
    for target in ["opt/sbin", "usr2", "", "/", "..", "sbin", "local/usr"] {
        assert!(!shows(STOCK, target), "{target}");
    }
    assert!(!shows(b"/tmp/cpu/farm/usr /usr none bind 0 0", "usr/sbin"));
    assert!(!shows(b"tmpfs /usr tmpfs defaults 0 0", "usr/sbin"));
}
