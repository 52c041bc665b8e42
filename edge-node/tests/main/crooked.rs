//! An origin with bad manners: a small HTTP server over a published store that does what proxies and CDNs do at their
//! worst.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What it does wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manner {
    /// Ignores ranges.
    WholePacks,
    /// Answers 503 at first.
    BusyAtFirst { times: u32 },
    /// Closes the connection in the middle of a pack.
    BreaksOff { times: u32 },
    /// Stops sending packs after so many bytes of them in all, and keeps the connections open until released.
    HoldsAfter { bytes: u64 },
}

pub(crate) struct Crooked {
    address: SocketAddr,
    state: Arc<State>,
    held: watch::Receiver<bool>,
}

struct State {
    folder: PathBuf,
    manner: Manner,
    faults: AtomicU32,
    pack_bytes: AtomicU64,
    holds: watch::Sender<bool>,
    released: watch::Sender<bool>,
}

impl Crooked {
    pub(crate) async fn start(folder: &Path, manner: Manner) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("port");
        let address = listener.local_addr().expect("bound");
        let (holds, held) = watch::channel(false);
        let state = Arc::new(State {
            folder: folder.to_owned(),
            manner,
            faults: AtomicU32::new(0),
            pack_bytes: AtomicU64::new(0),
            holds,
            released: watch::channel(false).0,
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move { state.talk(stream).await });
            }
        });
        Self { address, state, held }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn pack_bytes(&self) -> u64 {
        self.state.pack_bytes.load(Ordering::Relaxed)
    }

    /// Lets it go on sending.
    #[cfg(target_os = "linux")]
    pub(crate) fn release(&self) {
        self.state.released.send_replace(true);
    }

    /// Waits until it has stopped sending.
    pub(crate) async fn holds(&mut self) {
        self.held.wait_for(|holds| *holds).await.expect("serving");
    }
}

impl State {
    /// A client that goes away ends its connection only.
    async fn talk(&self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let (path, range) = read_request(&mut stream).await?;
            let bytes = std::fs::read(self.folder.join(path.trim_start_matches('/'))).ok();
            let is_pack = path.contains("/packs/");
            let Some(bytes) = bytes else {
                stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.ok()?;
                continue;
            };
            if matches!(self.manner, Manner::BusyAtFirst { times } if self.is_fault(times)) {
                let answer = b"HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(answer).await.ok()?;
                continue;
            }
            let total = bytes.len();
            let range = range.filter(|_| !matches!(self.manner, Manner::WholePacks));
            let (head, body) = match range {
                Some((start, end)) => {
                    let content_range = format!("content-range: bytes {start}-{}/{total}\r\n", end - 1);
                    (format!("HTTP/1.1 206 Partial\r\n{content_range}"), &bytes[start..end])
                }
                None => ("HTTP/1.1 200 OK\r\n".to_owned(), &bytes[..]),
            };
            let head = format!("{head}content-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.ok()?;
            if is_pack {
                self.send_pack(&mut stream, body).await?
            } else {
                stream.write_all(body).await.ok()?
            }
        }
    }

    async fn send_pack(&self, stream: &mut BufReader<TcpStream>, body: &[u8]) -> Option<()> {
        if matches!(self.manner, Manner::BreaksOff { times } if self.is_fault(times)) {
            stream.write_all(&body[..body.len() / 2]).await.ok()?;
            return None;
        }
        for part in body.chunks(16 << 10) {
            let sent = self.pack_bytes.load(Ordering::Relaxed);
            if matches!(self.manner, Manner::HoldsAfter { bytes } if sent >= bytes) {
                self.holds.send_replace(true);
                self.released.subscribe().wait_for(|released| *released).await.ok()?;
            }
            stream.write_all(part).await.ok()?;
            self.pack_bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
        }
        Some(())
    }

    fn is_fault(&self, times: u32) -> bool {
        self.faults
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |faults| {
                (faults < times).then_some(faults + 1)
            })
            .is_ok()
    }
}

/// Path, and first and last plus one byte of a range.
async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<(String, Option<(usize, usize)>)> {
    let mut path = None;
    let mut range = None;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Some((path?, range));
        }
        if let Some(rest) = line.strip_prefix("GET ") {
            path = rest.split(' ').next().map(str::to_owned);
        }
        if let Some(rest) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            let (start, end) = rest.split_once('-')?;
            range = Some((start.parse().ok()?, end.parse::<usize>().ok()? + 1));
        }
    }
}
