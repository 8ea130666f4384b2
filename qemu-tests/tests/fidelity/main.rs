//! Programs at home and through the appliance, by a client that is root and one that is not: standard output, exit
//! status and the tree that they leave are the same, byte for byte.
//!
//! A row of [`rows`] is a shell script. Both runs are in the same folder, made anew in between. What has to differ is
//! taken out by the script itself. What differs as long as something is not done is marked with the reason, and has to
//! differ: a mark that is no longer true fails.

mod foreign;
mod place;
mod pulled;
mod rows;
mod suites;
mod tree;

use std::process::Command;
use std::time::Duration;

use place::{Place, Who};
use qemu_tests::or_skip;
use qemu_tests::run::{Outcome, run};
use qemu_tests::skip::Reason;
use qemu_tests::vm::{Machine, Shared};
use tree::{Tree, first_difference};

/// At home everything takes seconds; there, one emulated processor does everything.
const LIMIT: Duration = Duration::from_secs(600);

/// For what asks the relay half a million times: ten minutes of QEMU at least, and 48 were seen with other rows beside.
const LONG: Duration = Duration::from_secs(7200);

/// A script's own way to say that this machine lacks something: its last line is the reason.
const SKIP: i32 = 77;

/// A machine whose relays have the least memory there is for one.
static SMALL: Shared = Shared::new(|| Machine { words: "cpud.relay=256K", ..Machine::direct() });

struct Row {
    /// Debian packages.
    needs: &'static [&'static str],
    /// Puts what is not in a package beside the work folder, where either run leaves it.
    bring: fn(&Place) -> Result<(), Reason>,
    /// Lines for sh, run at home before either run.
    setup: &'static [&'static str],
    script: &'static [&'static str],
    as_root: Expect,
    as_user: Expect,
    limit: Duration,
}

/// What this row would have most often.
const ROW: Row = Row {
    needs: &[],
    bring: |_| Ok(()),
    setup: &[],
    script: &[],
    as_root: Expect::Same,
    as_user: Expect::Same,
    limit: LIMIT,
};

enum Expect {
    Same,
    /// Why it is not, and words of the difference: another one is a failure.
    Differs(&'static str, &'static str),
}

/// What a script did.
struct Done {
    outcome: Outcome,
    tree: Tree,
}

fn compare(name: &str, row: &Row, who: Who, machine: &'static Shared) {
    or_skip!(possible(row, who));
    let place = Place::new(name, who);
    or_skip!((row.bring)(&place));
    let home = done(&place, row, |place| place.at_home(row.script));
    if home.outcome.code() == SKIP {
        let text = home.outcome.text();
        or_skip!(Err::<(), _>(text.lines().last().unwrap_or("the script gives no reason").to_owned()));
    }
    assert_eq!(home.outcome.code(), 0, "at home: {}{}", home.outcome.text(), home.outcome.complaint());
    let vm = machine.shared();
    let away = done(&place, row, |place| place.there(vm.port, row.script));
    let expect = match who {
        Who::Root => &row.as_root,
        Who::User => &row.as_user,
    };
    match (expect, difference(&home, &away)) {
        (Expect::Same, None) => {}
        (Expect::Same, Some(difference)) => panic!("{difference}"),
        (Expect::Differs(reason, words), Some(difference)) => {
            assert!(difference.contains(words), "not the difference that is expected ({reason}): {difference}");
            println!("expected ({reason}): {difference}");
        }
        (Expect::Differs(reason, _), None) => panic!("it is as at home now; take the mark away: {reason}"),
    }
}

fn done(place: &Place, row: &Row, command: impl FnOnce(&Place) -> Command) -> Done {
    place.empty();
    run(&mut place.at_home(row.setup), LIMIT).ok();
    let outcome = run(&mut command(place), row.limit);
    Done { outcome, tree: Tree::read(&place.work(), place.began()) }
}

fn difference(home: &Done, away: &Done) -> Option<String> {
    let complaint = || format!("; it complains:\n{}", away.outcome.complaint());
    if home.outcome.code() != away.outcome.code() {
        return Some(format!("it exits {} and not 0{}", away.outcome.code(), complaint()));
    }
    if home.outcome.stdout != away.outcome.stdout {
        let lines = |done: &Done| done.outcome.text().lines().map(str::to_owned).collect::<Vec<_>>();
        return Some(format!("stdout: {}{}", first_difference(&lines(home), &lines(away)), complaint()));
    }
    home.tree.difference(&away.tree).map(|difference| format!("its tree: {difference}{}", complaint()))
}

/// Whether the row can be run on this machine.
fn possible(row: &Row, who: Who) -> Result<(), Reason> {
    row.needs.iter().try_for_each(|package| installed(package))?;
    who.here()
}

fn installed(package: &str) -> Result<(), Reason> {
    let status = run(Command::new("dpkg-query").args(["-W", "-f=${db:Status-Status} ", package]), LIMIT).text();
    let there = status.split(' ').any(|status| status == "installed");
    if there { Ok(()) } else { Err(format!("the package {package} is not installed")) }
}
