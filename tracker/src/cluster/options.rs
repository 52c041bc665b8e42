//! Where a tracker finds its cluster.

use std::fmt;
use std::path::PathBuf;

use super::nats;

/// Why [`ClusterOptions`] were refused. Addresses may have passwords in them, so they are not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterOptionsError {
    /// There is no address.
    #[error("the cluster has no broker: give nats://host:4222")]
    NoBroker,
    /// An address is none.
    #[error(
        "address {0} of the cluster's brokers is none: it must be like nats://host:4222, tls://user:password@host or nats://token@host"
    )]
    Address(usize),
    /// Brokers of one cluster let in by one name.
    #[error("address {0} of the cluster's brokers has another user, password or token than the first one")]
    Mixed(usize),
    /// The file of authorities cannot be read.
    #[error("cannot read --cluster-ca {path:?}: {error}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: String,
    },
}

/// How to find the other trackers.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterOptions {
    /// Addresses of NATS servers, one of which is enough: `nats://` or `tls://`, with `user:password@` or `token@` where
    /// they ask for it.
    pub brokers: Vec<String>,
    /// PEM file of the authorities that vouch for them over TLS; those of the system where there is none.
    pub authorities: Option<PathBuf>,
}

impl ClusterOptions {
    /// Checks addresses and files.
    ///
    /// # Errors
    /// [`ClusterOptionsError`] says what is wrong, counting addresses from 1.
    pub fn check(&self) -> Result<(), ClusterOptionsError> {
        nats::Brokers::parse(&self.brokers)?;
        if let Some(path) = &self.authorities {
            std::fs::read(path).map_err(|error| ClusterOptionsError::Authorities {
                path: path.clone(),
                error: error.to_string(),
            })?;
        }
        Ok(())
    }
}

impl fmt::Debug for ClusterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { brokers, authorities } = self;
        f.debug_struct("ClusterOptions")
            .field("brokers", &format_args!("{} hidden", brokers.len()))
            .field("authorities", authorities)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |brokers: &[&str], expected: Result<(), ClusterOptionsError>| {
            let brokers = brokers.iter().map(|&broker| broker.to_owned()).collect();
            assert_eq!(ClusterOptions { brokers, authorities: None }.check(), expected);
        };
        check(&["nats://localhost:4222"], Ok(()));
        check(&["nats://one", "tls://two:4443"], Ok(()));
        check(&["nats://user:pass@one", "nats://user:pass@two"], Ok(()));
        check(&["nats://token@one"], Ok(()));
        check(&[], Err(ClusterOptionsError::NoBroker));
        check(&["http://one"], Err(ClusterOptionsError::Address(1)));
        check(&["nats://one", "ws://two"], Err(ClusterOptionsError::Address(2)));
        check(&["nats://"], Err(ClusterOptionsError::Address(1)));
        check(&["nats://a:b@one", "nats://a:c@two"], Err(ClusterOptionsError::Mixed(2)));
    }

    #[test]
    fn secrets_are_not_shown() {
        let brokers = vec!["nats://user:pass@one".to_owned()];
        let options = ClusterOptions { brokers, authorities: Some("/no/such/file".into()) };
        assert!(!format!("{options:?}").contains("pass"));
        assert!(matches!(options.check(), Err(ClusterOptionsError::Authorities { .. })));
    }
}
