//! A real nginx in front of an origin and a tracker, with the configuration that the documentation gives.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

const OPERATIONS: &str = include_str!("../../../docs/OPERATIONS.md");

/// The program, if it is installed.
pub(crate) fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Not everybody's path leads to where Debian puts servers.
    let mut folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.find_map(|folder| Some(folder.join("nginx")).filter(|program| program.is_file()))
}

/// A running nginx, ended with the test. Its certificate is for `cdn.example.com`.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    /// Its certificate, as PEM.
    pub(crate) certificate: String,
    child: Child,
    _folder: TempDir,
}

impl Nginx {
    /// Starts it. Connections wait in the system's queue until it is ready.
    pub(crate) fn start(program: &Path, origin: SocketAddr, tracker: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("set");
        let address = listener.local_addr().expect("bound");
        let made = rcgen::generate_simple_self_signed(["cdn.example.com".to_owned()]).expect("made");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        write("fullchain.pem", &made.cert.pem());
        write("privkey.pem", &made.signing_key.serialize_pem());
        write("nginx.conf", &configuration(folder.path(), address, origin, tracker));
        let child = Command::new(program)
            .arg("-c")
            .arg(folder.path().join("nginx.conf"))
            .args(["-e", "stderr"])
            // As it does when it replaces itself: it takes its listening sockets over by their numbers.
            .env("NGINX", "0;")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .spawn()
            .expect("nginx starts");
        Self { address, certificate: made.cert.pem(), child, _folder: folder }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // In order, since a worker outlives a master that is killed.
        Command::new("kill").arg(self.child.id().to_string()).status().ok();
        self.child.wait().ok();
    }
}

/// What the documentation says, with the addresses and files of the test.
fn configuration(folder: &Path, listen: SocketAddr, origin: SocketAddr, tracker: SocketAddr) -> String {
    let (_, rest) = OPERATIONS.split_once("```nginx\n").expect("documented");
    let (mut site, _) = rest.split_once("```").map(|(site, rest)| (site.to_owned(), rest)).expect("closed");
    let folder = folder.to_str().expect("UTF-8");
    for (documented, here) in [
        ("listen 443 ", format!("listen {listen} ")),
        ("/etc/freshet/fullchain.pem", format!("{folder}/fullchain.pem")),
        ("/etc/freshet/privkey.pem", format!("{folder}/privkey.pem")),
        ("127.0.0.1:8080", origin.to_string()),
        ("127.0.0.1:7070", tracker.to_string()),
    ] {
        assert_eq!(site.matches(documented).count(), 1, "{documented} in the documented configuration");
        site = site.replace(documented, &here);
    }
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
        .concat();
    // Where this runs as root, workers would become a user who may not enter the test's folder.
    format!(
        "daemon off;\nworker_processes 1;\nuser root root;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}{site}}}\n"
    )
}
