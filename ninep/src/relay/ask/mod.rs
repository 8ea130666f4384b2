//! Questions to the upstream server. A question that is under way already is not sent again: the tag is that of the
//! first.

mod append;
mod data;
mod devices;
mod files;
mod keep;
mod listing;
mod names;

pub(super) use append::END;
pub(super) use data::{WHOLE, WINDOW_LEAST, WINDOW_MOST};
