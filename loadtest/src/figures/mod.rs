//! Figures: what Freshet promises in numbers, measured on this machine, each beside a reference of the same run.
//!
//! A figure is one thing to run under one name; it gives one or more measures, each with what is wanted. Those that ask
//! much time are for `make soak` alone.

mod bench;
mod catalogue;
mod child;
mod command;
mod far;
mod far_file;
mod few;
mod flash;
mod flood;
mod gateway;
mod kills;
mod large;
mod memory;
mod needs;
mod node;
mod patches;
mod reach;
mod reconnect;
mod record;
mod row;
mod seeds;
mod simulator;
mod site;
mod survival;
mod table;
mod updates;
mod wire;
mod yielding;

pub(crate) use command::FiguresArgs;
pub(crate) use large::measure_core;
