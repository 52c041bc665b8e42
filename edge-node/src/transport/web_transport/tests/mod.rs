//! Nodes dialed as browsers dial them, by pages that keep the rules and pages that break them.

mod bounds;
mod links;
mod page;
