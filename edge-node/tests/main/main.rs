//! The node against a real origin on loopback, in process where that shows the same, as a program where it does not.

mod crooked;
mod evil;
mod failures;
mod install;
mod peers;
mod program;
mod resume;
mod site;
mod tree;
mod update;
