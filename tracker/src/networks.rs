//! Which network an address is in: from the operator's own table, and from databases that the operator brings.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use freshet_listen::Network as Prefix;
use freshet_protocol::Hash;
use maxminddb::{PathElement, Reader, path};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::swarms::{Network, System};

/// Most lines of a table.
pub const GROUP_PREFIXES_MAX: usize = 1 << 20;
/// Most databases.
pub const NETWORK_DATABASES_MAX: usize = 4;

/// Where the operator's knowledge of networks lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFiles {
    /// Databases in MaxMind's format, of autonomous systems, of countries or of both; the first that knows something counts.
    pub databases: Vec<PathBuf>,
    /// Table of the operator's own groups: in each line a network such as `203.0.113.0/24`, and the name of its group.
    pub groups: Option<PathBuf>,
    /// How often it is looked whether a file has changed.
    pub look_every: Duration,
}

impl Default for NetworkFiles {
    fn default() -> Self {
        Self { databases: Vec::new(), groups: None, look_every: Duration::from_secs(60) }
    }
}

/// Why files about networks cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworksError {
    /// A database cannot be read.
    #[error("the network database {path} cannot be used: {reason}")]
    Database {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The table cannot be read.
    #[error("the table of groups {path} cannot be read: {source}")]
    Table {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A line of it says nothing.
    #[error("line {line} of the table of groups {path}: {reason}")]
    Line {
        /// Which table.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// What is known about networks.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    databases: Vec<Reader<Vec<u8>>>,
    groups: Groups,
}

impl Networks {
    /// Reads the files.
    ///
    /// # Errors
    /// [`NetworksError`] names the file that cannot be used.
    pub(crate) fn read(files: &NetworkFiles) -> Result<Self, NetworksError> {
        let database = |path: &PathBuf| {
            Reader::open_readfile(path)
                .map_err(|error| NetworksError::Database { path: path.clone(), reason: error.to_string() })
        };
        let databases = files.databases.iter().map(database).collect::<Result<_, _>>()?;
        let groups = files.groups.as_deref().map(Groups::read).transpose()?.unwrap_or_default();
        Ok(Self { databases, groups })
    }

    /// What is known about the network of an address.
    pub(crate) fn of(&self, address: IpAddr) -> Network {
        let address = address.to_canonical();
        let group = self.groups.of(address).map(System::Group);
        let system = group.or_else(|| self.databases.iter().find_map(|database| system(database, address)));
        let country = self.databases.iter().find_map(|database| country(database, address));
        Network { system, country }
    }
}

/// The autonomous system as a number or, in some databases, as `AS` and a number.
fn system(database: &Reader<Vec<u8>>, address: IpAddr) -> Option<System> {
    let number = field::<u32>(database, address, &path!["autonomous_system_number"]).or_else(|| {
        let text = field::<String>(database, address, &path!["asn"])?;
        text.strip_prefix("AS").unwrap_or(&text).parse().ok()
    });
    number.map(System::Autonomous)
}

fn country(database: &Reader<Vec<u8>>, address: IpAddr) -> Option<[u8; 2]> {
    let code = field::<String>(database, address, &path!["country", "iso_code"])
        .or_else(|| field::<String>(database, address, &path!["country_code"]))?;
    code.into_bytes().try_into().ok()
}

/// A field of what a database says about an address; a damaged one says nothing.
fn field<'a, T: serde::Deserialize<'a>>(
    database: &'a Reader<Vec<u8>>,
    address: IpAddr,
    field: &[PathElement<'_>],
) -> Option<T> {
    database.lookup(address).and_then(|found| found.decode_path(field)).ok().flatten()
}

/// The operator's own groups: companies, providers, PC cafes.
#[derive(Debug, Default)]
struct Groups {
    by_prefix: BTreeMap<(u8, IpAddr), u32>,
    /// How long prefixes are, the longest first.
    lengths: BTreeSet<std::cmp::Reverse<u8>>,
}

impl Groups {
    fn read(path: &Path) -> Result<Self, NetworksError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| NetworksError::Table { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|(line, reason)| NetworksError::Line {
            path: path.to_owned(),
            line,
            reason,
        })
    }

    /// A line that is wrong, by its number.
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut groups = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(prefix) = words.next() else { continue };
            let (Some(name), None) = (words.next(), words.next()) else {
                return Err((
                    number,
                    "must be a network and the name of its group, such as 203.0.113.0/24 cafe-7".to_owned(),
                ));
            };
            let prefix: Prefix = prefix.parse().map_err(|error| (number, format!("{prefix} {error}")))?;
            if groups.by_prefix.len() >= GROUP_PREFIXES_MAX {
                return Err((number, format!("there are more than {GROUP_PREFIXES_MAX} networks")));
            }
            let group = group_of(name);
            let (length, first) = (prefix.length(), prefix.first());
            if groups.by_prefix.insert((length, first), group).is_some_and(|other| other != group) {
                return Err((number, format!("{first}/{length} is in another group already")));
            }
            groups.lengths.insert(std::cmp::Reverse(length));
        }
        Ok(groups)
    }

    /// The group of the longest prefix that an address has.
    fn of(&self, address: IpAddr) -> Option<u32> {
        self.lengths.iter().find_map(|&std::cmp::Reverse(length)| {
            let prefix = Prefix::around(address, length)?;
            self.by_prefix.get(&(length, prefix.first())).copied()
        })
    }
}

/// The same for all trackers, whatever else their tables say.
fn group_of(name: &str) -> u32 {
    let [a, b, c, d, ..] = Hash::of(name.as_bytes()).0;
    u32::from_be_bytes([a, b, c, d])
}

/// Reads the files, and again whenever one has changed, until `stop`. Files that cannot be used then change nothing.
///
/// # Errors
/// [`NetworksError`] names the file that cannot be used from the start.
pub(crate) fn open(
    files: NetworkFiles,
    stop: &CancellationToken,
) -> Result<watch::Receiver<Arc<Networks>>, NetworksError> {
    let mut known = written(&files);
    let (sender, receiver) = watch::channel(Arc::new(Networks::read(&files)?));
    if known.is_empty() {
        return Ok(receiver);
    }
    let stop = stop.clone();
    tokio::spawn(async move {
        while stop.run_until_cancelled(tokio::time::sleep(files.look_every)).await.is_some() {
            let files = files.clone();
            let before = known.clone();
            let looked = tokio::task::spawn_blocking(move || {
                let now = written(&files);
                (now != before).then(|| (now, Networks::read(&files)))
            });
            match looked.await {
                Ok(Some((now, Ok(networks)))) => {
                    known = now;
                    tracing::info!("read what is known about networks again");
                    sender.send_replace(Arc::new(networks));
                }
                Ok(Some((now, Err(error)))) => {
                    known = now;
                    tracing::warn!(%error, "what was known about networks stays");
                }
                Ok(None) | Err(_) => {}
            }
        }
    });
    Ok(receiver)
}

/// When the files were last written; none for one that is not there.
fn written(files: &NetworkFiles) -> Vec<Option<SystemTime>> {
    let time = |path: &PathBuf| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    files.databases.iter().chain(&files.groups).map(time).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_counts() {
        let text = "# seats\n203.0.113.0/24 cafe-7  # Seoul\n\n203.0.0.0/16 isp\n2001:db8::/32 isp\n198.51.100.9 office\n";
        let groups = Groups::parse(text).expect("good");
        let check = |address: &str, expected: Option<&str>| {
            let expected = expected.map(group_of);
            assert_eq!(groups.of(address.parse().expect("address")), expected, "{address}");
        };
        check("203.0.113.200", Some("cafe-7"));
        check("203.0.114.1", Some("isp"));
        check("2001:db8:7::1", Some("isp"));
        check("198.51.100.9", Some("office"));
        check("198.51.100.8", None);
        check("2001:db9::1", None);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let check = |text: &str, line: usize, part: &str| {
            let (number, reason) = Groups::parse(text).expect_err("refused");
            assert!(number == line && reason.contains(part), "{text:?}: {number} {reason}");
        };
        check("203.0.113.0/24", 1, "the name of its group");
        check("\n203.0.113.0/24 a b", 2, "the name of its group");
        check("203.0.113.1/24 a", 1, "203.0.113.0/24");
        check("seoul a", 1, "seoul must be an address");
        check("10.0.0.0/8 a\n10.0.0.0/8 a\n10.0.0.0/8 b", 3, "another group");
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("asn.mmdb");
        let check = |files: NetworkFiles| {
            let error = Networks::read(&files).expect_err("refused").to_string();
            assert!(error.contains("asn.mmdb"), "{error}");
        };
        check(NetworkFiles { databases: vec![path.clone()], ..NetworkFiles::default() });
        check(NetworkFiles { groups: Some(path.clone()), ..NetworkFiles::default() });
        std::fs::write(&path, b"no database").expect("written");
        check(NetworkFiles { databases: vec![path.clone()], ..NetworkFiles::default() });
        check(NetworkFiles { groups: Some(path), ..NetworkFiles::default() });
    }
}
