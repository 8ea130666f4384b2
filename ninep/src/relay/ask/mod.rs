//! Questions to the upstream server, with whose answers more is known. A question that is on its way already is not sent
//! again: its tag is the same.

mod append;
mod data;
mod devices;
mod files;
mod keep;
mod listing;
mod names;

pub(super) use append::END;
pub(super) use data::{WHOLE, WINDOW_LEAST, WINDOW_MOST};
