//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand};
use freshet_listen::{ProxyArguments, TlsArguments};
use freshet_origin::{CHUNK_AVG_BYTES_MAX, CHUNK_AVG_BYTES_MIN};
use freshet_protocol::{ContentName, Name, PublicKey, RelPath};

/// Publishes folders as signed releases, and serves them over HTTP.
#[derive(Debug, Parser)]
#[command(name = "freshet-origin", version)]
pub(crate) struct Arguments {
    /// What to log on stderr: error, warn, info, debug, trace, or target=level pairs separated by commas.
    #[arg(long, global = true, default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a tenant's keys, or let others sign tickets or streams; prints the public key that players pin.
    Keys(KeysArguments),
    /// Publish a folder as a version and show it on a channel.
    Publish(PublishArguments),
    /// Open a version that was published with --sealed: wait until it is time, publish what is in it, and show it on a
    /// channel, with the key for all who have fetched it.
    Unseal(UnsealArguments),
    /// Show a published version on a channel: what another channel shows, or any version.
    Promote(PromoteArguments),
    /// Show on a channel again what it showed before. Players on the version taken back get it as an update.
    Rollback(RollbackArguments),
    /// List what a channel has shown, and since when.
    History(HistoryArguments),
    /// Publish a folder of HLS playlists and segments as a stream.
    PublishHls(PublishHlsArguments),
    /// Take in a live HLS stream from a packager, over HTTP or from a folder, until SIGTERM or SIGINT.
    Ingest(IngestArguments),
    /// Sign the entries of an HLS stream whose media stays where it is: in a folder, or behind an address.
    Index(IndexArguments),
    /// Serve a store over HTTP until SIGTERM or SIGINT.
    Serve(ServeArguments),
    /// Take in what publishers elsewhere send (`--store https://HOST/` there), until SIGTERM or SIGINT.
    Receive(ReceiveArguments),
    /// List contents, versions and channels of a store.
    Ls(LsArguments),
    /// Remove old versions, and what only they used. Tells what it would do, unless --delete is given.
    Gc(GcArguments),
    /// Read everything in a store and check it; exit code 1 names damage.
    Scrub(ScrubArguments),
}

#[derive(Debug, Args)]
pub(crate) struct StoreArguments {
    /// Where objects lie: a folder (made if missing); s3://bucket/prefix with AWS_ENDPOINT, AWS_REGION,
    /// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment; or https://HOST/, where `receive` listens, with its
    /// token in FRESHET_STORE_TOKEN.
    #[arg(long, default_value = "./freshet-store", value_name = "PLACE")]
    pub(crate) store: String,
}

#[derive(Debug, Args)]
pub(crate) struct KeysArguments {
    /// The tenant: the first segment of its contents' names.
    #[arg(long)]
    pub(crate) tenant: String,
    /// Folder of the keys; its *.seed files are secret.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys_dir: PathBuf,
    /// Public key of a tracker that may sign tickets for this tenant. May be repeated.
    #[arg(long, value_name = "ed25519:KEY")]
    pub(crate) add_tracker: Vec<PublicKey>,
    /// Key that may sign entries of this tenant's streams: a public key, or the file of a seed, which is made if missing
    /// (without a value stream.seed in --keys-dir). May be repeated.
    #[arg(long, num_args = 0..=1, default_missing_value = "", value_name = "ed25519:KEY|FILE")]
    pub(crate) add_stream: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArguments {
    /// The folder to publish.
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) channel: ChannelArguments,
    /// The version, like 1.2. A version is never published again with other files.
    #[arg(long = "version", value_name = "VERSION")]
    pub(crate) release: Name,
    /// File of rules, in TOML: ignore = ["*.pdb", "/logs", "data/**/*.tmp"] leaves out what it names, as a .gitignore does.
    /// [[part]] name = "ko", files = ["/text/ko"], default = false makes a part that players may leave out.
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
    /// Average chunk: 16K to 512K, or in bytes. Smaller chunks make smaller patches and longer manifests.
    #[arg(long, default_value = "128K", value_parser = parse_chunk_bytes, value_name = "SIZE")]
    pub(crate) chunk_avg: u32,
    /// zstd level of stored chunks. Higher is slower to publish and a little smaller.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=19), value_name = "LEVEL")]
    pub(crate) zstd_level: i32,
    /// Publish it encrypted, for players to fetch ahead of its time; the channel goes on showing what it shows. The key is
    /// kept in --keys-dir, and `unseal` opens it. Needs room for temporary files.
    #[arg(long, requires = "opens")]
    pub(crate) sealed: bool,
    /// When it is going to open: 2027-03-01T18:00:00Z, or 7d from now. Players are told.
    #[arg(long, requires = "sealed", value_parser = parse_moment, value_name = "TIME")]
    pub(crate) opens: Option<u64>,
}

/// A moment, in Unix seconds: RFC 3339 like 2027-03-01T18:00:00Z, or from now on like 90m or 7d.
fn parse_moment(text: &str) -> Result<u64, String> {
    let moment = match humantime::parse_duration(text) {
        Ok(from_now) => SystemTime::now().checked_add(from_now),
        Err(_) => humantime::parse_rfc3339_weak(text).ok(),
    };
    let seconds = moment.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
    seconds
        .map(|seconds| seconds.as_secs())
        .ok_or_else(|| format!("{text:?} is no time like 2027-03-01T18:00:00Z, 90m or 7d"))
}

#[derive(Debug, Args)]
pub(crate) struct UnsealArguments {
    #[command(flatten)]
    pub(crate) channel: ChannelArguments,
    /// The version that is in it.
    #[arg(long = "version", value_name = "VERSION")]
    pub(crate) release: Name,
    /// When to open it: 2027-03-01T18:00:00Z, or 90m from now. Without it, the time that it was published with.
    #[arg(long, value_parser = parse_moment, value_name = "TIME")]
    pub(crate) at: Option<u64>,
    /// Open it at once.
    #[arg(long, conflicts_with = "at")]
    pub(crate) now: bool,
}

/// A channel that is to show something.
#[derive(Debug, Args)]
pub(crate) struct ChannelArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    /// Folder of the tenant's keys, as `keys` made it.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys_dir: PathBuf,
    /// What is published, like game/demo.
    #[arg(long)]
    pub(crate) content: ContentName,
    /// The channel that shall show the version.
    #[arg(long, default_value = "live")]
    pub(crate) channel: Name,
    /// Address of a tracker, ws:// or wss://. May be repeated. Without any, those that the channel has stay; a new channel has
    /// none, and its clients use HTTP alone.
    #[arg(long = "tracker", value_name = "URL")]
    pub(crate) trackers: Vec<String>,
    /// Take the trackers that the channel has away: its clients then use HTTP alone.
    #[arg(long, conflicts_with = "trackers")]
    pub(crate) no_tracker: bool,
    /// How long clients may take the version from the channel before it must be shown anew: 60s to 3650d.
    #[arg(long, default_value = "30d", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub(crate) expires: Duration,
    /// Nodes that follow the channel begin to fetch at moments spread over this time, 0s to 7d. A longer one spares the
    /// origin the first rush.
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub(crate) start_window: Duration,
    /// From how many of the versions that the channel showed last players get deltas: 0 to 16.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=16), value_name = "COUNT")]
    pub(crate) patches: u8,
    /// zstd level of deltas. Higher is much slower to publish, and up to a quarter smaller.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(i32).range(1..=19), value_name = "LEVEL")]
    pub(crate) delta_level: i32,
    /// Say what would come of it, what players would fetch too, and keep nothing. Needs room for temporary files.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON objects, one a line; the last tells the result.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PromoteArguments {
    #[command(flatten)]
    pub(crate) channel: ChannelArguments,
    /// The version to show.
    #[arg(
        long = "version",
        value_name = "VERSION",
        required_unless_present = "from",
        conflicts_with = "from"
    )]
    pub(crate) release: Option<Name>,
    /// The channel that shows the version already, like beta.
    #[arg(long, value_name = "CHANNEL")]
    pub(crate) from: Option<Name>,
    /// To how many percent of the installations, 0.1 to 100: always the same ones, and a larger share holds the smaller. The
    /// others keep what the channel shows; rollback takes the version back.
    #[arg(long, default_value = "100", value_parser = parse_percent, value_name = "PERCENT")]
    pub(crate) percent: u32,
}

/// A share in thousandths.
fn parse_percent(text: &str) -> Result<u32, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    let permille = (value * 10.0).round();
    if (1.0..=1000.0).contains(&permille) {
        Ok(permille as u32)
    } else {
        Err("0.1 to 100 are possible".to_owned())
    }
}

#[derive(Debug, Args)]
pub(crate) struct RollbackArguments {
    #[command(flatten)]
    pub(crate) channel: ChannelArguments,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    /// The content.
    #[arg(long)]
    pub(crate) content: ContentName,
    /// The channel.
    #[arg(long, default_value = "live")]
    pub(crate) channel: Name,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A stream, and who signs it.
#[derive(Debug, Args)]
pub(crate) struct StreamArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    /// The stream's name, like site/show.
    #[arg(long)]
    pub(crate) content: ContentName,
    /// File of the seed that signs entries. Default: stream.seed in --keys-dir.
    #[arg(long, value_name = "FILE", required_unless_present = "keys_dir")]
    pub(crate) key: Option<PathBuf>,
    /// Folder of the tenant's keys: its keys.json and tenant.pub are put where players find them. Needed once for a
    /// content; then --key is enough.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PublishHlsArguments {
    /// The folder with playlists and segments. They are served as they are.
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) stream: StreamArguments,
    /// The playlist in the folder that players open; all that it lists lies in the folder too.
    #[arg(long, default_value = "master.m3u8", value_name = "PLAYLIST")]
    pub(crate) master: RelPath,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct IngestArguments {
    #[command(flatten)]
    pub(crate) stream: StreamArguments,
    /// Address and port for PUT, POST and DELETE below /CONTENT/media/; port 0 picks a free one. The address is printed.
    #[arg(long, default_value = "127.0.0.1:7075", value_name = "ADDR:PORT", conflicts_with = "watch")]
    pub(crate) listen: SocketAddr,
    /// Take the stream from a folder that a packager writes to, instead of over HTTP.
    #[arg(long, value_name = "DIR")]
    pub(crate) watch: Option<PathBuf>,
    /// File with the token that requests must carry (`Authorization: Bearer TOKEN`). Needed on addresses that others
    /// reach.
    #[arg(long, value_name = "FILE", conflicts_with = "watch")]
    pub(crate) token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) push: PushArguments,
    /// Also serve the store here, with the defaults of `serve`.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) serve: Option<SocketAddr>,
    /// File that is written with the addresses, as JSON, once the stream is taken in.
    #[arg(long, value_name = "PATH")]
    pub(crate) ready_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(id = "index_input", required = true, multiple = false, args = ["watch", "playlist"])]
pub(crate) struct IndexArguments {
    #[command(flatten)]
    pub(crate) stream: StreamArguments,
    /// The folder that a packager writes to. The stream's first playlist lies in it, and not in a folder within.
    #[arg(long, value_name = "DIR")]
    pub(crate) watch: Option<PathBuf>,
    /// Address of the playlist that players open, http:// or https://.
    #[arg(long, value_name = "URL")]
    pub(crate) playlist: Option<String>,
    /// Host that media may be fetched from, beside that of the playlist. May be repeated.
    #[arg(long = "allow-host", value_name = "HOST", requires = "playlist")]
    pub(crate) allow_hosts: Vec<String>,
    /// Sign what there is now and stop; fail where a segment cannot be signed. Without it, until the stream has ended.
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) push: PushArguments,
    /// Print JSON at the end.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where entries of a stream that goes on are pushed to, and when they go.
#[derive(Debug, Args)]
pub(crate) struct PushArguments {
    /// Tracker that new entries are pushed to at once, ws:// or wss://; it must know the stream's key (its --publisher).
    /// May be repeated.
    #[arg(long = "tracker", value_name = "URL")]
    pub(crate) trackers: Vec<String>,
    /// How long segments and their entries stay after the playlist has ceased to list them: 1s to 366d.
    #[arg(long, default_value = "30m", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub(crate) dvr: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    /// Address and port; port 0 picks a free one. The address is printed.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR:PORT")]
    pub(crate) listen: SocketAddr,
    /// File that is written with the address, as JSON, once the origin serves.
    #[arg(long, value_name = "PATH")]
    pub(crate) ready_file: Option<PathBuf>,
    /// File that is written with what was sent, as JSON, every second and at the end.
    #[arg(long, value_name = "PATH")]
    pub(crate) report_file: Option<PathBuf>,
    /// Most connections at once; more wait. Each may hold about half a MiB while its client reads.
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u32).range(1..=65_536), value_name = "COUNT")]
    pub(crate) connections_max: u32,
    /// How long a connection may make no progress before it is closed.
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub(crate) idle_timeout: Duration,
    /// Rate of this origin's line in Mbit/s (1 to 10000000). Content is then sent a little slower than the line carries
    /// it, so that its queue stays short and newcomers get their first documents at once, however many are served; packs and
    /// files that would wait for more than 6 s are refused with 503 and a time to come back.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) line_mbit: Option<u64>,
    /// Most Mbit/s of bodies (1 to 10000000). Where more is asked for, packs and files are refused with 503 and a time to
    /// come back, and segments of streams where they alone are more; what was begun goes on, segments first.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) bandwidth_mbit_max: Option<u64>,
    /// Most requests a second (1 to 1000000), refused ones not counted. Above it packs and files are refused first, then
    /// segments, and documents last.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) requests_per_s_max: Option<u64>,
    #[command(flatten)]
    pub(crate) tls: TlsArguments,
    #[command(flatten)]
    pub(crate) proxies: ProxyArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ReceiveArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    /// Address and port; port 0 picks a free one. The address is printed.
    #[arg(long, default_value = "127.0.0.1:7077", value_name = "ADDR:PORT")]
    pub(crate) listen: SocketAddr,
    /// File with the token that publishers must have, at least 8 bytes.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// File that is written with the address, as JSON, once objects are taken in.
    #[arg(long, value_name = "PATH")]
    pub(crate) ready_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tls: TlsArguments,
}

#[derive(Debug, Args)]
pub(crate) struct LsArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    /// Print JSON, one object a content.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GcArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    /// How many of the newest versions of each content to keep. What a channel shows, and what a rollback would, is kept in any
    /// case.
    #[arg(long, value_name = "COUNT")]
    pub(crate) keep: usize,
    /// Only this content.
    #[arg(long)]
    pub(crate) content: Option<ContentName>,
    /// How long to spare objects of no version: a publish may be writing them, or resume from them.
    #[arg(long, default_value = "1d", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub(crate) grace: Duration,
    /// Really delete.
    #[arg(long)]
    pub(crate) delete: bool,
    /// Print JSON, one object a content.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ScrubArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    /// The tenant's public key; with it, signatures are checked as well as hashes.
    #[arg(long, value_name = "ed25519:KEY")]
    pub(crate) key: Option<PublicKey>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A chunk size such as `128K` or `131072`.
fn parse_chunk_bytes(text: &str) -> Result<u32, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1024),
        None => (text, 1),
    };
    let bytes = digits.parse::<u32>().ok().and_then(|count| count.checked_mul(unit));
    bytes
        .filter(|bytes| (CHUNK_AVG_BYTES_MIN..=CHUNK_AVG_BYTES_MAX).contains(bytes))
        .ok_or_else(|| "must be 16K to 512K, or a number of bytes in that range".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_sizes() {
        let check = |text, expected| assert_eq!(parse_chunk_bytes(text).ok(), expected, "{text}");
        check("16K", Some(16 << 10));
        check("512k", Some(512 << 10));
        check("131072", Some(131_072));
        check("15K", None);
        check("513K", None);
        check("1M", None);
        check("99999999999K", None);
        check("", None);
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
