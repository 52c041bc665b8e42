//! The program's command line, and how a job looks on a terminal or to a script.

mod arguments;
mod care;
mod gateway;
mod output;
mod quantity;
mod run;
mod signals;
mod words;

pub(crate) use arguments::Arguments;
pub(crate) use run::{run, start_logging};
