//! What Freshet's servers, the origin and the tracker, share towards the outside.

mod stop_signal;

pub use stop_signal::StopSignal;
