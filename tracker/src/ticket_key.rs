//! The key that signs tickets. It outlives the process: peers trust tickets by it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use freshet_protocol::{Hash, SigningKey};
use ring::rand::{SecureRandom, SystemRandom};

const FILE: &str = "ticket.key";

/// Why the ticket key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum TicketKeyError {
    /// The folder or file cannot be read or written.
    #[error("cannot {what} {}: {error}; check --state-dir and its rights", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The file holds something else.
    #[error("{} is not a ticket key (64 hexadecimal digits); restore it, or delete it to make a new one", .0.display())]
    Malformed(PathBuf),
    /// Others on this machine can read the file.
    #[error("{} can be read by others, so tickets can be forged; chmod 600 it, or delete it to make a new one", .0.display())]
    Exposed(PathBuf),
    /// The system has no random numbers.
    #[error("the system gives no random numbers for a ticket key")]
    Random,
}

/// Loads the key of a state folder, or makes one.
pub(crate) fn load_or_create(state_dir: &Path) -> Result<SigningKey, TicketKeyError> {
    fs::create_dir_all(state_dir).map_err(|error| io_error("create", state_dir, error))?;
    let path = state_dir.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => load(&path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(state_dir, &path),
        Err(error) => Err(io_error("read", &path, error)),
    }
}

fn load(path: &Path, text: &str) -> Result<SigningKey, TicketKeyError> {
    refuse_exposed(path)?;
    // A seed is 32 bytes, as a hash is: its text form serves for both.
    let seed: Hash = text.trim_end().parse().map_err(|_| TicketKeyError::Malformed(path.to_owned()))?;
    Ok(SigningKey::from_seed(&seed.0))
}

fn create(state_dir: &Path, path: &Path) -> Result<SigningKey, TicketKeyError> {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(|_| TicketKeyError::Random)?;
    let temporary = state_dir.join(format!("{FILE}.tmp"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = |mut file: fs::File| -> io::Result<()> {
        writeln!(file, "{}", Hash(seed))?;
        file.sync_all()
    };
    options.open(&temporary).and_then(write).map_err(|error| io_error("write", &temporary, error))?;
    fs::rename(&temporary, path).map_err(|error| io_error("write", path, error))?;
    Ok(SigningKey::from_seed(&seed))
}

#[cfg(unix)]
fn refuse_exposed(path: &Path) -> Result<(), TicketKeyError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map_err(|error| io_error("read", path, error))?.permissions().mode();
    if mode & 0o077 == 0 { Ok(()) } else { Err(TicketKeyError::Exposed(path.to_owned())) }
}

#[cfg(not(unix))]
fn refuse_exposed(_path: &Path) -> Result<(), TicketKeyError> {
    Ok(())
}

fn io_error(what: &'static str, path: &Path, error: io::Error) -> TicketKeyError {
    TicketKeyError::Io { what, path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_then_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state_dir = folder.path().join("new/state");
        let first = load_or_create(&state_dir).expect("made").public();
        assert_eq!(load_or_create(&state_dir).expect("loaded").public(), first);
        fs::remove_file(state_dir.join(FILE)).expect("it is there");
        assert_ne!(load_or_create(&state_dir).expect("made").public(), first);
    }

    #[test]
    fn a_spoilt_file_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        load_or_create(folder.path()).expect("made");
        let path = folder.path().join(FILE);
        fs::write(&path, "not a key").expect("writable");
        assert!(matches!(load_or_create(folder.path()), Err(TicketKeyError::Malformed(_))));
        assert_eq!(fs::read_to_string(&path).expect("still there"), "not a key");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a temporary folder");
        load_or_create(folder.path()).expect("made");
        let path = folder.path().join(FILE);
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("own file");
        assert!(matches!(load_or_create(folder.path()), Err(TicketKeyError::Exposed(_))));
    }
}
