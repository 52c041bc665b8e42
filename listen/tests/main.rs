//! TLS as clients see it: real connections, real files, a real client.

mod tls;
