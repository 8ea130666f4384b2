//! Other people's test suites for file systems, on the client's own file system and on the mount.

use std::collections::BTreeMap;
use std::fs;

use qemu_tests::artifacts::{cargo_install, root, scratch};
use qemu_tests::run::{Outcome, run};
use qemu_tests::{or_skip, vm};

use crate::place::{Place, Who};
use crate::{LIMIT, LONG, tree::first_difference};

/// Every test of pjdfstest with its result at home and there, and why they are not the same.
const RECORD: &str = "qemu-tests/tests/fidelity/pjdfstest.txt";

/// Users of Debian's base-passwd, and what Linux has.
const CONFIGURATION: &str = r#"
[features]
posix_fallocate = {}
rename_ctime = {}
utimensat = {}
utime_now = {}
[settings]
naptime = 0.01
[dummy_auth]
entries = [["nobody", "nogroup"], ["games", "games"]]
"#;

/// A folder with the program of a crate in it.
fn place(name: &str, version: &str, who: Who) -> Place {
    let place = Place::new(name, who);
    place.empty();
    fs::copy(cargo_install(name, version), place.work().join(name)).expect("a copy");
    place
}

/// Test names and results, from lines "NAME ok", "NAME FAILED" and "NAME skipped".
fn results(outcome: &Outcome) -> BTreeMap<String, String> {
    let text = outcome.text();
    let lines = text.lines().filter(|line| line.contains("::") && !line.starts_with(char::is_whitespace));
    lines.filter_map(|line| line.split_once(' ')).map(|(name, result)| (name.into(), result.trim().into())).collect()
}

#[test]
#[ignore = "takes long"]
fn pjdfstest_passes_and_fails_as_recorded() {
    or_skip!(Who::Root.here());
    let place = place("pjdfstest", "0.2.2", Who::Root);
    fs::write(place.work().join("pjdfstest.toml"), CONFIGURATION).expect("a file of our own");
    let script = ["mkdir -p on; ./pjdfstest -c pjdfstest.toml -p on"];
    let home = results(&run(&mut place.at_home(&script), LIMIT));
    let there = results(&run(&mut place.there(vm::shared().port, &script), LIMIT));
    assert!(!home.is_empty());
    let missing = String::from("missing");
    let lines = home.iter().map(|(name, result)| format!("{name} {result} {}", there.get(name).unwrap_or(&missing)));
    let lines: Vec<String> = lines.collect();
    let record = fs::read_to_string(root().join(RECORD)).unwrap_or_default();
    let results = |line: &str| line.split("  # ").next().map(str::to_owned);
    let record: Vec<String> = record.lines().filter(|line| !line.starts_with('#')).filter_map(results).collect();
    if lines != record {
        let new = scratch("pjdfstest").join("pjdfstest.txt");
        fs::write(&new, lines.join("\n") + "\n").expect("a file in the scratch folder");
        panic!("{RECORD} against {}: {}", new.display(), first_difference(&record, &lines));
    }
}

fn fsx_finds_no_difference(who: Who) {
    or_skip!(who.here());
    let place = place("fsx", "0.3.2", who);
    let script = ["./fsx -N 100000 -S 1 data"];
    run(&mut place.at_home(&script), LIMIT).ok();
    run(&mut place.there(vm::shared().port, &script), LONG).ok();
}

#[test]
#[ignore = "takes long"]
fn fsx_finds_no_difference_in_100_000_operations() {
    fsx_finds_no_difference(Who::Root);
}

#[test]
#[ignore = "takes long"]
fn fsx_finds_no_difference_for_a_client_that_is_not_root() {
    fsx_finds_no_difference(Who::User);
}
