//! Reads a certificate and its key, and says of a bad file which one it is and what to do.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use rustls::crypto::ring as provider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::TlsOptions;

/// Longest file, in bytes: a chain that clients accept is a tenth of it.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// Why there is no certificate to serve with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {file}: {reason}; check its path and its rights")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file is longer than any certificate or key.
    #[error(
        "{file} is longer than {FILE_BYTES_MAX} bytes, so it is no certificate and no key; check its path"
    )]
    TooLong {
        /// The file.
        file: PathBuf,
    },
    /// A file is damaged.
    #[error("{file} is damaged: {reason}; write it anew from where it was made")]
    Damaged {
        /// The file.
        file: PathBuf,
        /// How.
        reason: String,
    },
    /// There is no certificate in the file.
    #[error("{file} holds no certificate; it must be PEM, with the server's own certificate first")]
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// There is no key in the file.
    #[error("{file} holds no private key; it must be PEM: PKCS#8, SEC1 or RSA")]
    NoKey {
        /// The file.
        file: PathBuf,
    },
    /// The key has a passphrase.
    #[error("the private key in {file} has a passphrase; take it off with: openssl pkey -in {file} -out NEW")]
    Locked {
        /// The file.
        file: PathBuf,
    },
    /// The key is of a kind that cannot be used.
    #[error("the private key in {file} cannot be used: {reason}; take ECDSA P-256 or P-384, Ed25519, or RSA")]
    UnusableKey {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// Certificate and key are not a pair.
    #[error(
        "the key in {key} is not that of the first certificate in {cert}; give the two that were made together, \
         and the server's own certificate first"
    )]
    NotAPair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

/// What both files held at one time.
pub(super) struct Snapshot {
    cert: Result<Vec<u8>, TlsError>,
    key: Result<Vec<u8>, TlsError>,
}

impl Snapshot {
    pub(super) fn read(options: &TlsOptions) -> Self {
        Self { cert: read(&options.cert), key: read(&options.key) }
    }

    /// Tells whether something is new, without keeping a second copy of the key.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        for file in [&self.cert, &self.key] {
            let error = file.as_ref().err().map(ToString::to_string).unwrap_or_default();
            let bytes = file.as_deref().unwrap_or(error.as_bytes());
            context.update(&[u8::from(file.is_ok())]);
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        }
        context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// The pair, ready to serve with.
    pub(super) fn certified_key(&self, options: &TlsOptions) -> Result<CertifiedKey, TlsError> {
        let chain = chain(&options.cert, self.cert.as_deref().map_err(Clone::clone)?)?;
        let key = key(&options.key, self.key.as_deref().map_err(Clone::clone)?)?;
        let key = provider::default_provider().key_provider.load_private_key(key).map_err(|error| {
            TlsError::UnusableKey { file: options.key.clone(), reason: error.to_string() }
        })?;
        let pair = CertifiedKey::new(chain, key);
        match pair.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
            Err(_) => Err(TlsError::NotAPair { cert: options.cert.clone(), key: options.key.clone() }),
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    let unreadable = |error: io::Error| TlsError::Unreadable { file: file.into(), reason: error.to_string() };
    let opened = File::open(file).map_err(unreadable)?;
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX { Err(TlsError::TooLong { file: file.into() }) } else { Ok(bytes) }
}

fn chain(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let damaged = |reason: String| TlsError::Damaged { file: file.into(), reason };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| damaged(describe(&error)))?;
    for (number, certificate) in (1..).zip(&chain) {
        ParsedCertificate::try_from(certificate)
            .map_err(|error| damaged(format!("certificate {number} cannot be read ({error})")))?;
    }
    if chain.is_empty() { Err(TlsError::NoCertificate { file: file.into() }) } else { Ok(chain) }
}

fn key(file: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    // Both forms of a passphrase (RFC 7468, 11; RFC 1421) look like damage to who expects a plain key.
    let is_locked = [&b"ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| pem.windows(mark.len()).any(|window| window == *mark));
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        _ if is_locked => TlsError::Locked { file: file.into() },
        PemError::NoItemsFound => TlsError::NoKey { file: file.into() },
        error => TlsError::Damaged { file: file.into(), reason: describe(&error) },
    })
}

/// In words; the library's own show bytes as numbers.
fn describe(error: &PemError) -> String {
    match error {
        PemError::MissingSectionEnd { .. } => "it ends in the middle of a section".to_owned(),
        PemError::IllegalSectionStart { .. } => "a section begins with a malformed line".to_owned(),
        PemError::Base64Decode(_) => "a section is not base64".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, generate_simple_self_signed,
    };

    use super::*;

    struct Pair {
        cert: String,
        key: String,
    }

    fn pair() -> Pair {
        let made = generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        Pair { cert: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    fn judge(cert: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<usize, String> {
        let folder = tempfile::tempdir().expect("folder");
        let options = TlsOptions::new(folder.path().join("cert.pem"), folder.path().join("key.pem"));
        std::fs::write(&options.cert, cert).expect("written");
        std::fs::write(&options.key, key).expect("written");
        Snapshot::read(&options)
            .certified_key(&options)
            .map(|key| key.cert.len())
            .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    #[test]
    fn each_fault_names_its_file_and_what_to_do() {
        let (good, other) = (pair(), pair());
        let check = |cert: &str, key: &str, expected: &str| {
            let error = judge(cert, key).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        };
        check("", &good.key, "cert.pem holds no certificate; it must be PEM");
        check(&good.key, &good.cert, "cert.pem holds no certificate");
        check(&good.cert, "", "key.pem holds no private key; it must be PEM");
        check(&good.cert, &good.cert, "key.pem holds no private key");
        check(&good.cert, &other.key, "the key in key.pem is not that of the first certificate in cert.pem");
        check(&format!("{}{}", other.cert, good.cert), &good.key, "the server's own certificate first");
        check(&good.cert[..good.cert.len() / 2], &good.key, "cert.pem is damaged: it ends in the middle");
        check(&good.cert, &good.key[..good.key.len() / 2], "key.pem is damaged: it ends in the middle");
        check(&good.cert.replace("MII", "M*I"), &good.key, "cert.pem is damaged: a section is not base64");
        let text = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        check(
            &format!("{}{text}", good.cert),
            &good.key,
            "cert.pem is damaged: certificate 2 cannot be read",
        );
        let locked = good.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        check(&good.cert, &locked, "has a passphrase; take it off with: openssl pkey -in key.pem");
        let text = "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n";
        check(&good.cert, text, "the private key in key.pem cannot be used");
        check(&"#".repeat(FILE_BYTES_MAX as usize + 1), &good.key, "cert.pem is longer than 262144 bytes");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Snapshot::read(&TlsOptions::new("/nothing/cert.pem", "/nothing/key.pem"))
            .certified_key(&TlsOptions::new("/nothing/cert.pem", "/nothing/key.pem"))
            .expect_err("missing");
        assert!(error.to_string().starts_with("cannot read /nothing/cert.pem: "), "{error}");
    }

    #[test]
    fn the_largest_file_is_read() {
        let good = pair();
        let padding = "#".repeat(FILE_BYTES_MAX as usize - good.cert.len() - 1);
        assert_eq!(judge(format!("{padding}\n{}", good.cert), good.key), Ok(1));
    }

    #[test]
    fn keys_and_chains() {
        for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
            let key = KeyPair::generate_for(algorithm).expect("made");
            let params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("name");
            let cert = params.self_signed(&key).expect("signed").pem();
            assert_eq!(judge(&cert, key.serialize_pem()), Ok(1), "{algorithm:?}");
            let chain = format!("{cert}{}", pair().cert);
            assert_eq!(judge(chain, key.serialize_pem()), Ok(2), "{algorithm:?}");
        }
        // Made once by openssl: rcgen makes neither RSA nor SEC1 keys.
        let rsa = include_str!("../../tests/pem/rsa.pem");
        let sec1 = include_str!("../../tests/pem/sec1.pem");
        for pem in [rsa, sec1] {
            assert_eq!(judge(pem, pem), Ok(1), "one file for both");
        }
    }
}
