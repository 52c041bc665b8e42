//! A seeder at home: what its uploads do to other traffic of the same line. Ping through the line while peers fetch all that
//! the seeder gives, and an upload by TCP beside it; once with uploads that yield, once with fair ones, in turns.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::bench::{Bench, memory_folder};
use super::child::{self, Child};
use super::needs::Need;
use super::node::get;
use super::row::{Row, Unit, Wanted, median};
use crate::lab::WireMeter;
use crate::live::{Release, Stage, node_host};
use crate::plan::read_plan;
use crate::report::Shaping;

/// What it needs.
pub(super) const NEEDS: &[Need] = &[Need::Lab, Need::Program("ping"), Need::Program("curl")];
/// Most that ping may rise by while the seeder uploads.
const RISE_S_MAX: f64 = 0.030;
/// Least share of the uplink that uploads have where nothing else wants it.
const BUSY_MIN: f64 = 0.8;
/// Least rate of the other upload beside them, as a share of what it has alone.
const BESIDE_MIN: f64 = 0.9;

/// The seeder's line: 20/5 Mbit/s with half a second of buffer, 20 ms from everybody.
const PLAN: &str = "tiny";
const SETTINGS: [&str; 4] = [
    r#"content={"kind":"cut","bytes":134217728}"#,
    r#"origin={"up_mbit":1000,"rtt_ms":20}"#,
    r#"groups=[{"count":1,"up_mbit":5,"down_mbit":20,"line_buffer_ms":500,"rtt_ms":20,"seed":true},
       {"count":5,"up_mbit":20,"down_mbit":100,"rtt_ms":20}]"#,
    r#"goal="offload""#,
];
const UP_BYTES_S: f64 = 5e6 / 8.0;
/// Nodes that fetch from the seeder, which is node 0.
const PEERS: std::ops::Range<usize> = 1..5;
/// The host that is pinged, and fetches what the seeder's host uploads beside.
const OTHER: usize = 5;
/// Pings of one look at the line, and their distance.
const PINGS: u32 = 150;
const PING_EVERY: &str = "0.1";
/// How long uploads have to find their rate.
const SETTLE: Duration = Duration::from_secs(10);
/// What the other upload sends: the build's first file, and of that 17 s of the line.
const OTHER_FILE: &str = "data/0000.bin";
const OTHER_BYTES: u64 = 10 << 20;
const OTHER_ADDRESS: &str = "0.0.0.0:8189";

/// What one way of uploading did, in seconds and bytes a second.
#[derive(Debug, Default)]
struct Seen {
    idle_s: Pings,
    seeding_s: Pings,
    /// Share of the uplink.
    busy: f64,
    alone_bytes_s: f64,
    beside_bytes_s: f64,
}

/// Round trips by size; those of lost pings come last, without an end.
#[derive(Debug, Default)]
struct Pings(Vec<f64>);

/// Both ways in turns.
///
/// # Errors
/// When a program fails.
pub(super) fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let (mut yielding, mut fair) = (Vec::new(), Vec::new());
    for seed in bench.seeds() {
        for (priority, seen) in [("yield", &mut yielding), ("fair", &mut fair)] {
            let home = Home::set(bench, seed, priority)?;
            let found = bench.wait(home.look())?;
            bench.say(&format!("  {priority}: {}", found.words()));
            seen.push(found);
        }
    }
    Ok(rows(&yielding, &fair))
}

fn rows(yielding: &[Seen], fair: &[Seen]) -> Vec<Row> {
    let row = |measure: &str, unit: Unit, wanted: Wanted, value: fn(&Seen) -> f64| {
        let [ours, theirs]: [Vec<f64>; 2] = [yielding, fair].map(|seen| seen.iter().map(value).collect());
        let reference = format!("fair: {}", unit.show(median(&theirs)));
        Row::new(measure, unit, wanted, ours).beside(reference)
    };
    let rise = Wanted::AtMost(RISE_S_MAX);
    vec![
        row("rise of ping while seeding, median", Unit::Milliseconds, rise, |seen| seen.rise_s(0.5)),
        row("the same, 95th percentile", Unit::Milliseconds, rise, |seen| seen.rise_s(0.95)),
        row("uplink in use by seeding alone", Unit::Share, Wanted::AtLeast(BUSY_MIN), |seen| seen.busy),
        row("rate of an upload beside / alone", Unit::Share, Wanted::AtLeast(BESIDE_MIN), |seen| {
            seen.beside_bytes_s / seen.alone_bytes_s
        }),
    ]
}

impl Seen {
    fn rise_s(&self, share: f64) -> f64 {
        self.seeding_s.at(share) - self.idle_s.at(0.5)
    }

    fn words(&self) -> String {
        format!(
            "ping {:.1} ms, seeding {:.1} (95 %: {:.1}), uplink {:.1} %, upload {:.0} of {:.0} kB/s",
            self.idle_s.at(0.5) * 1e3,
            self.seeding_s.at(0.5) * 1e3,
            self.seeding_s.at(0.95) * 1e3,
            self.busy * 100.0,
            self.beside_bytes_s / 1e3,
            self.alone_bytes_s / 1e3
        )
    }
}

impl Pings {
    /// Out of what `ping` prints.
    fn parse(text: &str) -> Self {
        let time = |line: &str| line.split_once("time=")?.1.split(' ').next()?.parse::<f64>().ok();
        let mut times: Vec<f64> = text.lines().filter_map(time).map(|ms| ms / 1e3).collect();
        times.sort_by(f64::total_cmp);
        times.resize(times.len().max(PINGS as usize), f64::INFINITY);
        Self(times)
    }

    /// What so large a share of them did not exceed.
    fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

/// The seeder with its release, and everybody around it.
struct Home {
    stage: Stage,
    meter: WireMeter,
    seed: PathBuf,
    priority: &'static str,
    _folder: TempDir,
}

impl Home {
    fn set(bench: &mut Bench, seed: u64, priority: &'static str) -> Result<Self> {
        let plan = read_plan(PLAN, &SETTINGS.map(str::to_owned))?;
        let folder = memory_folder()?;
        let options = bench.options(Shaping::Lab, Release::OfPlan, seed);
        let stage = bench.wait(Stage::set(&plan, &options, folder.path()))?;
        let seed = stage.folder.join("seed");
        // Where the line is wide: what is measured begins when the seeder has it.
        let mut command = get(stage.network.command("origin", &stage.programs.node)?, &stage.url, &seed);
        command.arg("--no-p2p");
        bench.wait(child::run(command, &stage.folder.join("fetch.log")))?;
        let meter = stage.network.meter().context("the laboratory counts bytes")?;
        Ok(Self { stage, meter, seed, priority, _folder: folder })
    }

    async fn look(&self) -> Result<Seen> {
        let mut upload = self.start_upload().await?;
        let idle_s = self.ping().await?;
        let alone_bytes_s = self.other_rate().await?;
        let seeder = self.start_seeder().await?;
        let peers: Vec<Child> = PEERS.map(|number| self.start_peer(number)).collect::<Result<_>>()?;
        sleep(SETTLE).await;
        let (begun, before) = (Instant::now(), self.sent_bytes()?);
        let seeding_s = self.ping().await?;
        let busy = (self.sent_bytes()? - before) as f64 / begun.elapsed().as_secs_f64() / UP_BYTES_S;
        let beside_bytes_s = self.other_rate().await?;
        for mut child in peers.into_iter().chain([seeder]) {
            child.kill();
            child.end().await?;
        }
        upload.kill();
        upload.end().await?;
        Ok(Seen { idle_s, seeding_s, busy, alone_bytes_s, beside_bytes_s })
    }

    /// An origin on the seeder's host: what is fetched from it is the other upload.
    async fn start_upload(&self) -> Result<Child> {
        let stage = &self.stage;
        let ready = stage.folder.join("upload-ready.json");
        let mut command = stage.network.command(&node_host(0), &stage.programs.origin)?;
        command.arg("serve").arg("--store").arg(stage.folder.join("store"));
        command.arg("--listen").arg(OTHER_ADDRESS).arg("--ready-file").arg(&ready);
        let child = Child::start(command, &stage.folder.join("upload.log"))?;
        let deadline = Instant::now() + SETTLE;
        while !ready.exists() {
            ensure!(Instant::now() < deadline, "the upload's server does not start: {}", child.last_words());
            sleep(Duration::from_millis(10)).await;
        }
        Ok(child)
    }

    async fn start_seeder(&self) -> Result<Child> {
        let stage = &self.stage;
        let command = stage.network.command(&node_host(0), &stage.programs.node)?;
        let mut command = get(command, &stage.url, &self.seed);
        command.args(["--share", "--seed-for", "forever", "--share-priority", self.priority]);
        let mut seeder = Child::start(command, &stage.folder.join("seeder.log"))?;
        seeder.line(|line| line.contains(r#""event":"installed""#)).await?;
        Ok(seeder)
    }

    /// A peer that does not end while it is looked at: the release takes minutes over the seeder's line.
    fn start_peer(&self, number: usize) -> Result<Child> {
        let stage = &self.stage;
        let host = node_host(number);
        let mut command = stage.network.command(&host, &stage.programs.node)?;
        command = get(command, &stage.url, &stage.folder.join(&host));
        // Peers first, and nothing from peers but the seeder: so it is asked for all it has.
        command.args(["--goal", "offload", "--offload-slack", "0"]);
        Child::start(command, &stage.folder.join(format!("{host}.log")))
    }

    async fn ping(&self) -> Result<Pings> {
        let stage = &self.stage;
        let mut command = stage.network.command(&node_host(0), "ping")?;
        command.args(["-i", PING_EVERY, "-c", &PINGS.to_string(), "-W", "5"]);
        command.arg(stage.network.listen(&node_host(OTHER))?.ip().to_string());
        let output = tokio::process::Command::from(command).kill_on_drop(true).output().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(text.contains("time="), "ping: {text}{}", String::from_utf8_lossy(&output.stderr));
        Ok(Pings::parse(&text))
    }

    /// Bytes a second of the other upload.
    async fn other_rate(&self) -> Result<f64> {
        let stage = &self.stage;
        let address = stage.network.listen(&node_host(0))?.ip();
        let path = stage.content.rsplitn(3, '/').take(2).collect::<Vec<_>>();
        let mut command = stage.network.command(&node_host(OTHER), "curl")?;
        command.args(["--silent", "--show-error", "--fail", "--output", "/dev/null"]);
        command.arg("--range").arg(format!("0-{}", OTHER_BYTES - 1));
        let port = OTHER_ADDRESS.rsplit(':').next().unwrap_or_default();
        command.arg(format!("http://{address}:{port}/{}/{}/files/1/{OTHER_FILE}", path[1], path[0]));
        let ended = child::run(command, &stage.folder.join("curl.log")).await?;
        Ok(OTHER_BYTES as f64 / ended.took.as_secs_f64())
    }

    fn sent_bytes(&self) -> Result<u64> {
        // Behind the origin and the tracker.
        Ok(self.meter.read()?.get(2).context("the seeder has a line")?.up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_are_read_and_lost_ones_count() {
        let line = |ms: f64| format!("64 bytes from 10.64.7.1: icmp_seq=1 ttl=61 time={ms} ms\n");
        let text: String = (0..PINGS - 30).map(|number| line(f64::from(number) / 10.0)).collect();
        let pings = Pings::parse(&(text + "\n--- 10.64.7.1 ping statistics ---\nrtt min/avg/max = 1/2/3\n"));
        assert_eq!(pings.0.len(), PINGS as usize);
        assert!((pings.at(0.5) - 0.0075).abs() < 0.000_2, "{}", pings.at(0.5));
        assert_eq!(pings.at(0.95), f64::INFINITY);
        assert!(Pings::default().at(0.5).is_nan());
    }

    #[test]
    fn rises_and_shares_are_those_of_yielding() {
        let seen = |seeding_s: f64, beside: f64| Seen {
            idle_s: Pings(vec![0.020; 3]),
            seeding_s: Pings(vec![seeding_s; 3]),
            busy: 0.9,
            alone_bytes_s: 100.0,
            beside_bytes_s: beside,
        };
        let rows = rows(&[seen(0.035, 95.0)], &[seen(0.400, 50.0)]);
        assert!(rows.iter().all(Row::is_reached), "{rows:?}");
        assert_eq!(rows[0].reference, "fair: 380.0 ms");
        assert_eq!((rows[3].values[0], rows[3].reference.as_str()), (0.95, "fair: 50.0 %"));
    }
}
