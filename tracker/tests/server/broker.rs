//! A real NATS server.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than a server takes to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running broker; killed, as by `kill -9`, when it is dropped.
pub(crate) struct Broker {
    program: PathBuf,
    pub(crate) address: SocketAddr,
    flags: Vec<String>,
    child: Option<Child>,
}

impl Broker {
    /// Starts it with further flags; `None`, after a word about it, where it is not installed.
    pub(crate) fn start(flags: &[&str]) -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("NOT RUN: needs nats-server");
            assert!(std::env::var_os("CI").is_none(), "NOT RUN: needs nats-server");
            return None;
        };
        // Free until somebody else takes it, which nobody does on purpose.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        drop(listener);
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        let mut broker = Self { program, address, flags, child: None };
        broker.start_again();
        Some(broker)
    }

    /// Starts it at its address, and waits until it takes connections.
    pub(crate) fn start_again(&mut self) {
        let (host, port) = (self.address.ip().to_string(), self.address.port().to_string());
        let child = Command::new(&self.program)
            .args(["--addr", &host, "--port", &port])
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("nats-server starts"));
        let started = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            assert!(started.elapsed() < PATIENCE, "nats-server does not take connections");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it runs");
            child.wait().expect("it has ended");
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Not everybody's path leads to where Debian puts servers.
    let mut folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.find_map(|folder| Some(folder.join("nats-server")).filter(|program| program.is_file()))
}
