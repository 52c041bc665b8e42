//! Turns what a user calls a store into one.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use super::{Remote, StoreError};

/// Holds the token of a store behind `receive`.
const TOKEN_VARIABLE: &str = "FRESHET_STORE_TOKEN";

pub(super) struct Location {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) folder: Option<PathBuf>,
}

pub(super) fn open(location: &str) -> Result<Location, StoreError> {
    match location.split_once("://") {
        None => open_folder(location),
        Some(("s3", rest)) => open_bucket(location, rest),
        Some(("https" | "http", _)) => match std::env::var(TOKEN_VARIABLE) {
            Ok(token) => open_remote(location, &token),
            Err(_) => {
                Err(refuse(location, &format!("set {TOKEN_VARIABLE} to the token that `receive` there has")))
            }
        },
        Some(_) => Err(refuse(location, "a store is a folder, s3://bucket/prefix or https://host/")),
    }
}

pub(super) fn open_remote(location: &str, token: &str) -> Result<Location, StoreError> {
    let objects = Remote::open(location, token).map_err(|reason| refuse(location, &reason))?;
    Ok(Location { objects: Arc::new(objects), folder: None })
}

fn open_folder(location: &str) -> Result<Location, StoreError> {
    let fail = |error: &dyn std::fmt::Display| {
        refuse(location, &format!("cannot use this folder: {error}; make it or choose another with --store"))
    };
    std::fs::create_dir_all(location).map_err(|error| fail(&error))?;
    let folder = std::fs::canonicalize(location).map_err(|error| fail(&error))?;
    let objects = LocalFileSystem::new_with_prefix(&folder).map_err(|error| fail(&error))?.with_fsync(true);
    Ok(Location { objects: Arc::new(objects), folder: Some(folder) })
}

#[cfg(feature = "s3")]
fn open_bucket(location: &str, rest: &str) -> Result<Location, StoreError> {
    use object_store::aws::AmazonS3Builder;
    use object_store::prefix::PrefixStore;

    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(refuse(location, "a bucket's location is s3://bucket/prefix"));
    }
    let builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    let objects = builder.build().map_err(|error| {
        refuse(location, &format!("{error}; set AWS_ENDPOINT, AWS_REGION and the keys in the environment"))
    })?;
    let prefix = prefix.trim_end_matches('/');
    let objects: Arc<dyn ObjectStore> = match prefix {
        "" => Arc::new(objects),
        prefix => Arc::new(PrefixStore::new(objects, prefix)),
    };
    Ok(Location { objects, folder: None })
}

#[cfg(not(feature = "s3"))]
fn open_bucket(location: &str, _rest: &str) -> Result<Location, StoreError> {
    Err(refuse(location, "this program was built without S3; build it with the feature \"s3\""))
}

fn refuse(location: &str, reason: &str) -> StoreError {
    StoreError::Location { location: location.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_locations_say_why() {
        let check = |location: &str, expected: &str| {
            let error = open(location).err().expect("refused").to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("ftp://example.test/", "a store is a folder, s3://bucket/prefix or https://host/");
        check("https://example.test/", "set FRESHET_STORE_TOKEN");
        check("s3://", "a bucket's location is s3://bucket/prefix");
        check("/proc/version/store", "cannot use this folder");
    }

    #[test]
    fn tokens_go_over_nothing_that_can_be_read() {
        let check = |location: &str, expected: &str| {
            let opened = open_remote(location, "a long token");
            let said = opened.err().map_or_else(|| "opened".to_owned(), |error| error.to_string());
            assert!(said.contains(expected), "{location}: {said}");
        };
        check("http://example.test/", "without https://");
        check("http://10.0.0.1/", "without https://");
        check("http://127.0.0.2:7077/", "opened");
        check("http://[::1]:7077/", "opened");
        check("http://localhost:7077/", "opened");
        check("https://example.test", "opened");
        check("https://example.test/behind/a/proxy", "opened");
        check("https://user@example.test/", "FRESHET_STORE_TOKEN");
        check("https://example.test/?token=1", "FRESHET_STORE_TOKEN");
        check("https://", "empty host");
        assert!(open_remote("https://example.test", "two\nlines").is_err());
    }
}
