//! The certificates of one run: the one that connections are shown now, and the one that follows it.
//!
//! A browser takes a self-signed certificate by its hash, and only one that lives for 14 days at most. So they change
//! while a node runs, and the next one's hash is told long before it is shown.

use std::time::{Duration, SystemTime};

use freshet_protocol::Hash;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::tls::SERVER_NAME;

/// Time between the dates of a certificate. Browsers refuse more than 14 days.
const LIFETIME: Duration = Duration::from_secs(13 * DAY_S);
/// How long before it is first shown a certificate becomes valid: clocks of players differ.
const BACKDATED: Duration = Duration::from_secs(DAY_S / 2);
/// How long a certificate is shown. It stays valid for two and a half days beyond, for clocks and sleeping machines.
const USE_TIME: Duration = Duration::from_secs(10 * DAY_S);
const DAY_S: u64 = 24 * 60 * 60;

/// Why no certificate or TLS configuration could be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a session certificate: {0}")]
pub struct CertificateError(pub(super) String);

/// A self-signed certificate, its key and its hash.
#[derive(Debug)]
pub(super) struct SessionCertificate {
    der: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
    hash: Hash,
    /// When it is first shown.
    start: SystemTime,
}

impl SessionCertificate {
    /// A new one, to be shown from `start` on.
    pub(super) fn generate(start: SystemTime) -> Result<Self, CertificateError> {
        let text = |error: rcgen::Error| CertificateError(error.to_string());
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(text)?;
        let mut params = rcgen::CertificateParams::new(vec![SERVER_NAME.to_owned()]).map_err(text)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        let valid_from = start - BACKDATED;
        params.not_before = valid_from.into();
        params.not_after = (valid_from + LIFETIME).into();
        let der = params.self_signed(&key).map_err(text)?.der().clone();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok(Self { hash: Hash::of(&der), der, key, start })
    }

    /// The hash by which browsers know it, and which Proof signs.
    pub(super) fn hash(&self) -> Hash {
        self.hash
    }

    pub(super) fn chain(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (vec![self.der.clone()], PrivateKeyDer::Pkcs8(self.key.clone_key()))
    }

    /// Whether it is the one to show at `now`.
    fn is_for(&self, now: SystemTime) -> bool {
        (self.start - BACKDATED..self.start + USE_TIME).contains(&now)
    }
}

/// The certificate in use, and the next one.
#[derive(Debug)]
pub(super) struct Certificates {
    current: SessionCertificate,
    next: SessionCertificate,
}

impl Certificates {
    /// New ones, the first to be shown at once.
    pub(super) fn generate(now: SystemTime) -> Result<Self, CertificateError> {
        let current = SessionCertificate::generate(now)?;
        let next = SessionCertificate::generate(now + USE_TIME)?;
        Ok(Self { current, next })
    }

    /// Goes on to the next one when its time has come; whether it did. After a long sleep both are new.
    ///
    /// # Errors
    /// [`CertificateError`]; then all stays as it was.
    pub(super) fn turn(&mut self, now: SystemTime) -> Result<bool, CertificateError> {
        if self.current.is_for(now) {
            return Ok(false);
        }
        if self.next.is_for(now) {
            let following = SessionCertificate::generate(self.next.start + USE_TIME)?;
            self.current = std::mem::replace(&mut self.next, following);
        } else {
            *self = Self::generate(now)?;
        }
        Ok(true)
    }

    pub(super) fn current(&self) -> &SessionCertificate {
        &self.current
    }

    /// Of the one in use and of the next one.
    pub(super) fn hashes(&self) -> [Hash; 2] {
        [self.current.hash, self.next.hash]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(days: f64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs_f64((20_000.0 + days) * DAY_S as f64)
    }

    #[test]
    fn the_next_one_is_known_before_it_is_shown() {
        let mut certificates = Certificates::generate(day(0.0)).expect("made");
        let mut known = certificates.hashes();
        for round in 1..4 {
            let turn = 10.0 * f64::from(round);
            assert!(!certificates.turn(day(turn - 0.01)).expect("made"), "{round}");
            assert!(certificates.turn(day(turn)).expect("made"), "{round}");
            let now = certificates.hashes();
            assert_eq!((now[0], certificates.current().hash()), (known[1], known[1]), "{round}");
            assert!(!known.contains(&now[1]), "{round}");
            known = now;
        }
    }

    #[test]
    fn clocks_that_jump() {
        // (days after the start, whether another certificate is shown, whether it was announced before)
        let check = |days: f64, turns: bool, was_known: bool| {
            let mut certificates = Certificates::generate(day(0.0)).expect("made");
            let known = certificates.hashes();
            assert_eq!(certificates.turn(day(days)).expect("made"), turns, "{days}");
            assert_eq!(known.contains(&certificates.current().hash()), was_known, "{days}");
            assert!(certificates.current().is_for(day(days)), "{days}");
        };
        check(-0.4, false, true);
        check(-3.0, true, false);
        check(19.9, true, true);
        check(20.0, true, false);
        check(400.0, true, false);
    }
}
