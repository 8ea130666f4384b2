//! The answers to the steps of a creation: a clone of the directory's fid, Tlcreate, attributes.

use crate::msg::{Message, Rgetattr, Tgetattr};
use crate::relay::data::cache::Cache;
use crate::relay::data::job::Task;
use crate::relay::data::node::Found;
use crate::relay::data::request::Request;
use crate::relay::state::Relay;
use crate::types::{Attr, Qid, getattr};

impl Relay<'_> {
    /// A step of a creation has been answered.
    pub(in crate::relay) fn create_goes_on(
        &mut self,
        tag: usize,
        request: &Request,
        message: &Message<'_>,
        code: u32,
        cache: &mut Cache<'_>,
    ) {
        let j = request.job as usize;
        if j == 0 {
            return;
        }
        match message {
            Message::Rlcreate(created) => {
                self.names_change(j, cache);
                if !self.ask_created(request, created.qid.path) {
                    self.ask_opened(request);
                }
            }
            Message::Rgetattr(Rgetattr { qid, attr, .. }) => self.learn_created(tag, request, qid, attr, cache),
            Message::Rwalkgetattr(found) if self.is_created(j, found) => {
                self.learn_created(tag, request, &found.wqid[0], &found.attr, cache);
            }
            // Another file than the one that was created, or none, has the name.
            message if request.ffid != 0 => {
                if matches!(message, Message::Rwalkgetattr(_)) {
                    self.queue_clunk(request.ffid);
                }
                self.ask_opened(&Request { ffid: 0, ..*request });
            }
            Message::Rwalk(_) => self.wake(tag, 0, cache),
            _ => {
                let job = self.job(j);
                if let (Task::Create(create), None) = (&mut job.task, request.name()) {
                    // The clone was not made.
                    create.ffid = 0;
                }
                // The name is not what Twalk looked for.
                job.error = code;
                job.replace_wait(tag, 0);
                self.run(j, cache);
            }
        }
    }

    /// Asks for the attributes of what has been created.
    fn ask_opened(&mut self, request: &Request) {
        let j = request.job as usize;
        let getattr = Tgetattr { fid: self.job(j).ffid(), request_mask: getattr::BASIC };
        let next = self.send(&getattr, *request);
        self.job(j).wait = [next, 0];
    }

    /// The attributes of what has been created have come; with an upstream fid for its name if there is one.
    fn learn_created(&mut self, tag: usize, request: &Request, qid: &Qid, attr: &Attr, cache: &mut Cache<'_>) {
        let &Request { job, node, ffid, moment, .. } = request;
        let Task::Create(create) = &mut self.job(job as usize).task else { return };
        create.is_done = true;
        let name = create.new.hash();
        self.learn_new(node, name, &Found { qid: *qid, attr: *attr, ffid, moment }, cache);
        self.wake(tag, 0, cache);
    }
}
