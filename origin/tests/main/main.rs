//! Behaviour of the origin, with a real store, a real server and a plain HTTP client.

mod care;
mod channels;
mod client;
mod cross_origin;
mod cutting_proxy;
mod fixture;
mod flood;
mod patches;
mod program;
mod publishing;
mod receiving;
mod resume;
mod sealed;
mod serving;
mod stream;
mod tls;
