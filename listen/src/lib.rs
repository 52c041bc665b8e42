//! What Freshet's servers, the origin and the tracker, share towards the outside.

mod arguments;
mod stop_signal;
mod tls;

pub use arguments::TlsArguments;
pub use stop_signal::StopSignal;
pub use tls::{Renewals, Secured, Tls, TlsError, TlsOptions};
