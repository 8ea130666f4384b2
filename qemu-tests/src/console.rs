//! What a server says, line by line, while it runs.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// A place in the console's text. What was said before it does not count.
#[derive(Clone, Copy, Default)]
pub struct Mark(usize);

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

/// Collects the lines of any number of readers.
#[derive(Clone, Default)]
pub struct Console(Arc<(Mutex<State>, Condvar)>);

impl Console {
    /// Follows `reader` in a thread until it ends.
    pub fn follow(&self, reader: impl Read + Send + 'static) {
        let console = self.clone();
        thread::spawn(move || {
            let mut lines = BufReader::new(reader);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                console.state().lines.push(text);
                console.0.1.notify_all();
                line.clear();
            }
            console.state().ended = true;
            console.0.1.notify_all();
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The end of what was said so far.
    pub fn mark(&self) -> Mark {
        Mark(self.state().lines.len())
    }

    /// All that was said after `mark`.
    pub fn since(&self, mark: Mark) -> String {
        self.state().lines[mark.0..].join("\n")
    }

    /// The first line after `mark` that holds all of `words`. Panics with what was said instead after `limit`, or
    /// when the server has ended.
    pub fn expect(&self, mark: Mark, words: &[&str], limit: Duration) -> String {
        let deadline = Instant::now() + limit;
        let mut state = self.state();
        loop {
            let said = &state.lines[mark.0..];
            if let Some(line) = said.iter().find(|line| words.iter().all(|word| line.contains(word))) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                let why = if state.ended { "it ended" } else { "time is up" };
                panic!("no line with {words:?} ({why}); it said:\n{}", said.join("\n"));
            }
            state = self.0.1.wait_timeout(state, left).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }
}
