//! The node against a real origin on loopback, in process where that shows the same, as a program where it does not.

mod alone;
#[path = "../../../tracker/tests/server/broker.rs"]
mod broker;
mod capped;
mod care;
mod channels;
mod cluster;
mod crooked;
mod evil;
mod failures;
#[cfg(target_os = "linux")]
mod file_systems;
mod follow;
mod gate;
mod gateway;
mod gateway_cache;
#[cfg(unix)]
mod in_place;
mod install;
mod mirrors;
#[cfg(unix)]
mod mounted;
#[cfg(unix)]
mod nginx;
mod parts;
mod patching;
mod peers;
#[cfg(target_os = "linux")]
mod power;
mod program;
#[cfg(unix)]
mod proxied;
mod resume;
mod sealed;
mod site;
mod steering;
mod streams;
mod tree;
mod update;
