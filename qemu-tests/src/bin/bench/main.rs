//! The numbers that every change is held against; scripts/bench.sh builds what this measures.
//!
//! `bench [--rtt MS,...] [--cap SECONDS] [--only WORD] [REFERENCE]`: with another cpud as the reference, it runs as
//! `/init` on the same kernel, the same machine and the same CPU model, in the same run. With round-trip times it is
//! the table of what crosses the network and how long that takes.

mod contender;
mod distance;
mod numbers;
mod projects;

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use contender::Contender;
use distance::Course;

fn main() {
    let mut words = env::args().skip(1);
    let (mut reference, mut course) = (None, Course { cap: Duration::from_secs(600), ..Course::default() });
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
        let number = |text: &str| text.parse::<u64>().unwrap_or_else(|e| panic!("{word} {text}: {e}"));
        match word.as_str() {
            "--rtt" => course.round_trips = value().split(',').map(number).map(Duration::from_millis).collect(),
            "--cap" => course.cap = Duration::from_secs(number(&value())),
            "--only" => course.only = value(),
            _ => reference = Some(Contender::reference(PathBuf::from(&word))),
        }
    }
    let ours = Contender::ours();
    if course.round_trips.is_empty() {
        numbers::print_table(&ours, reference.as_ref());
    } else {
        distance::print_tables(&ours, reference.as_ref(), &course);
    }
}
