//! What Freshet's servers, the origin, the tracker and the node's gateway, share towards the outside.

mod arguments;
mod forwarded;
pub mod hls;
pub mod http;
mod open_files;
mod proxies;
mod stop_signal;
mod tls;

pub use arguments::{ProxyArguments, TlsArguments};
pub use open_files::raise_open_files;
pub use proxies::{Network, NetworkError, Proxies, ProxyHeader};
pub use stop_signal::StopSignal;
pub use tls::{Renewals, Secured, Tls, TlsError, TlsOptions};
