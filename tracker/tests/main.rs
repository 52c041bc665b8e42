//! Behaviour of the tracker: its pure part, driven without a clock, and the server, driven by real clients.

mod program;
mod server;
mod swarms;
