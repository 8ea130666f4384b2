//! What a job needs next. A job runs from its start whenever something that it waits for is known. Each `run_*` returns
//! an [`Outcome`], which depends only on the job and on what is known, and which [`super::effects`] carries out.

mod change;
mod create;
mod creating;
mod done;
mod lookup;
mod need;
mod owners;
mod read;
mod readdir;

use super::data::cache::Cache;
use super::data::job::{Job, Outcome, Task, Unanswered};
use super::data::node::NodeId;
use super::state::Relay;
use crate::errno::Errno;

/// It goes on waiting.
const NOTHING_NEW: Unanswered = Unanswered::wait(0);

impl Relay<'_> {
    /// Runs a job, unless it waits for a request.
    pub(super) fn run(&mut self, j: usize, cache: &mut Cache<'_>) {
        let mut job = *self.job(j);
        if job.wait != [0; 2] {
            return;
        }
        let outcome = match job.error {
            0 => self.run_task(j, &mut job, cache),
            error => Err(Unanswered::Fail(Errno(error))),
        };
        *self.job(j) = job;
        self.conclude(j, outcome, cache);
    }

    fn conclude(&mut self, j: usize, outcome: Outcome, cache: &mut Cache<'_>) {
        match outcome {
            Err(Unanswered::Again) => self.run(j, cache),
            outcome => self.carry_out(j, outcome, cache),
        }
    }

    fn run_task(&mut self, j: usize, job: &mut Job, cache: &mut Cache<'_>) -> Outcome {
        match job.task {
            Task::None | Task::Forward(_) => Err(NOTHING_NEW),
            Task::Attach { fid } => self.run_attach(job, fid, cache),
            Task::Walk { newfid, ref names } => self.run_walk(job, newfid, names, cache),
            Task::Getattr { is_stat } => self.run_getattr(job, is_stat),
            Task::Readlink => self.run_readlink(j, job, cache),
            Task::Open { fid, flags } => self.run_open(job, fid, flags, cache),
            Task::Read(mut part) => {
                let outcome = self.run_read(j, job, &mut part, cache);
                job.task = Task::Read(part);
                outcome
            }
            Task::Readdir(mut part) => {
                let outcome = self.run_readdir(j, job, &mut part, cache);
                job.task = Task::Readdir(part);
                outcome
            }
            Task::Create(mut create) => {
                let outcome = self.run_create(j, job, &mut create, cache);
                job.task = Task::Create(create);
                outcome
            }
            Task::Made(mut new) => {
                let outcome = self.run_made(job, &mut new, cache);
                job.task = Task::Made(new);
                outcome
            }
            Task::Append(data) => self.run_append(j, job, &data, cache),
            Task::Sync { .. } => self.run_sync(j, job, cache),
            Task::Chmod { valid, mode } => self.run_chmod(j, job, valid, mode, cache),
            Task::Own { valid, mode, size } => self.run_own(job, (valid, mode, size), cache),
        }
    }

    /// Runs the jobs that are stalled.
    pub(super) fn run_stalled(&mut self, cache: &mut Cache<'_>) {
        for j in 1..self.jobs.len() {
            if core::mem::take(&mut self.job(j).stalled) {
                self.run(j, cache);
            }
        }
    }

    /// Runs the jobs that wait for a request. `error` is what it failed with, or 0.
    pub(super) fn wake(&mut self, tag: usize, error: u32, cache: &mut Cache<'_>) {
        for j in 1..self.jobs.len() {
            let job = self.job(j);
            if job.is_free() || !job.waits_for(tag) {
                continue;
            }
            job.replace_wait(tag, 0);
            // A job that looks for a name runs again, and finds that there is none.
            let looks = job.looks_up() && error == Errno::ENOENT.0;
            if !core::mem::take(&mut job.ignore_wait_error) && error != 0 && !looks {
                job.error = error;
            }
            self.run(j, cache);
        }
    }

    /// Runs the jobs that wait for a request, and releases the request's node.
    #[inline(never)]
    pub(super) fn wake_and_release(&mut self, tag: usize, error: u32, node: NodeId, cache: &mut Cache<'_>) {
        self.wake(tag, error, cache);
        self.release_node(node, cache);
    }

    /// Jobs that waited for one request wait for another one instead.
    pub(super) fn wait_instead(&mut self, old: usize, new: u16) {
        self.jobs.iter_mut().filter(|job| !job.is_free()).for_each(|job| job.replace_wait(old, new));
    }
}
