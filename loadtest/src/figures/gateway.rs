//! The local gateway beside nginx with a cache in slices, in the same place before the same origin: a download that has to be
//! fetched, and one that is there.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};

use super::bench::Bench;
use super::child::{self, Child};
use super::far_file::FarFile;
use super::needs::Need;
use super::row::{Row, Unit, Wanted, median};

/// What it needs.
pub(super) const NEEDS: &[Need] =
    &[Need::Lab, Need::Program("curl"), Need::Program("nginx"), Need::MemoryBytes(4 * FILE_BYTES as u64)];
/// Size of the file.
const FILE_BYTES: usize = 128 << 20;
/// Least rate of what has to be fetched, as a share of nginx's.
const COLD_MIN: f64 = 0.95;
/// The same of what is there: it is hashed again before it is sent, and nginx sends it unread.
const WARM_MIN: f64 = 0.5;
/// What is there is read so often in one measurement.
const WARM_READS: usize = 8;
/// Where both answer, on the node's own machine; one at a time.
const ADDRESS: &str = "127.0.0.1:8188";

/// Seconds for a file that has to be fetched, and for one that is there.
struct Took {
    cold_s: f64,
    warm_s: f64,
}

/// Both, in turns.
///
/// # Errors
/// When one of them fails.
pub(super) fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let file = FarFile::publish(bench, FILE_BYTES)?;
    let (mut nginx, mut gateway) = (Vec::new(), Vec::new());
    for turn in 0..bench.runs {
        // Whoever comes second finds a warmer machine, so they take turns.
        let nginx_first = turn % 2 == 0;
        for is_nginx in [nginx_first, !nginx_first] {
            let took = bench.wait(by(&file, is_nginx))?;
            if is_nginx { &mut nginx } else { &mut gateway }.push(took);
        }
        let (Some(theirs), Some(ours)) = (nginx.last(), gateway.last()) else { continue };
        bench.say(&format!(
            "  nginx {:.2} s, then {:.3} s; gateway {:.2} s, then {:.3} s",
            theirs.cold_s, theirs.warm_s, ours.cold_s, ours.warm_s
        ));
    }
    let row = |measure: &str, wanted, seconds: fn(&Took) -> f64| {
        let ratios = nginx.iter().zip(&gateway).map(|(theirs, ours)| seconds(theirs) / seconds(ours));
        let [ours, theirs] =
            [&gateway, &nginx].map(|took| median(&took.iter().map(seconds).collect::<Vec<_>>()));
        let row = Row::new(measure, Unit::Ratio, Wanted::AtLeast(wanted), ratios.collect());
        row.beside(format!("gateway {ours:.2} s, nginx {theirs:.2} s"))
    };
    Ok(vec![
        row("rate of gateway / nginx, fetched", COLD_MIN, |took| took.cold_s),
        row("rate of gateway / nginx, there already", WARM_MIN, |took| took.warm_s),
    ])
}

/// One of them with an empty cache.
async fn by(file: &FarFile, is_nginx: bool) -> Result<Took> {
    let cache = file.stage.folder.join("cache");
    std::fs::create_dir(&cache).context("make the cache")?;
    let mut server = if is_nginx { nginx(file, &cache).await? } else { gateway(file, &cache).await? };
    let took = Took { cold_s: read(file, 1).await?, warm_s: read(file, WARM_READS).await? };
    // The other one takes its place.
    server.kill();
    server.end().await?;
    std::fs::remove_dir_all(&cache).context("remove the cache")?;
    Ok(took)
}

async fn gateway(file: &FarFile, cache: &Path) -> Result<Child> {
    let stage = &file.stage;
    let mut command = file.command(&stage.programs.node)?;
    command.args(["run", "--gateway", ADDRESS, "--no-p2p", "--json", "--log", "warn"]);
    command.arg("--origin").arg(&stage.url).arg("--cache").arg(cache);
    let mut gateway = Child::start(command, &stage.folder.join("gateway.log"))?;
    gateway.line(|line| line.contains("\"gateway\"")).await?;
    Ok(gateway)
}

async fn nginx(file: &FarFile, cache: &Path) -> Result<Child> {
    let folder = &file.stage.folder;
    let path = folder.join("nginx.conf");
    std::fs::write(&path, configuration(file, cache)?).context("write the configuration")?;
    let mut command = file.command("nginx")?;
    command.args(["-e", "stderr", "-c"]).arg(&path);
    let mut nginx = Child::start(command, &folder.join("nginx.log"))?;
    // Its sockets are open by then.
    nginx.line(|line| line.contains("event method")).await?;
    Ok(nginx)
}

/// As its documentation has it for large files (ngx_http_slice_module), with connections to the origin that stay.
fn configuration(file: &FarFile, cache: &Path) -> Result<String> {
    let url = file.url();
    let (origin, _) = place(&url)?;
    let (cache, folder) = (cache.display(), file.stage.folder.display());
    let mut text = String::new();
    write!(
        text,
        "daemon off; master_process off; user root; pid {folder}/nginx.pid; error_log /dev/stdout notice;
events {{ }}
http {{
    access_log off; sendfile on;
    proxy_cache_path {cache} levels=1:2 keys_zone=files:10m max_size=4g use_temp_path=off;
    proxy_temp_path {folder}/nginx-temp; client_body_temp_path {folder}/nginx-body;
    fastcgi_temp_path {folder}/nginx-fastcgi; uwsgi_temp_path {folder}/nginx-uwsgi; scgi_temp_path {folder}/nginx-scgi;
    upstream origin {{ server {origin}; keepalive 8; }}
    server {{
        listen {ADDRESS};
        location / {{
            slice 4m;
            proxy_cache files; proxy_cache_key $uri$slice_range; proxy_cache_valid 200 206 1h;
            proxy_set_header Range $slice_range; proxy_set_header Connection \"\"; proxy_http_version 1.1;
            proxy_pass http://origin;
        }}
    }}
}}
"
    )?;
    Ok(text)
}

/// The origin's address, and the path there.
fn place(url: &str) -> Result<(&str, &str)> {
    let rest = url.strip_prefix("http://").context("an origin without TLS")?;
    rest.split_once('/').context("a file below the origin")
}

/// From the start of curl to its end, in seconds.
async fn read(file: &FarFile, times: usize) -> Result<f64> {
    let at_origin = file.url();
    let url = format!("http://{ADDRESS}/{}", place(&at_origin)?.1);
    let mut command = file.curl()?;
    command.args(["--write-out", "%{size_download}\\n"]);
    for _ in 0..times {
        command.args(["--output", "/dev/null"]).arg(&url);
    }
    let ended = child::run(command, &file.stage.folder.join("curl.log")).await?;
    let bytes = FILE_BYTES.to_string();
    anyhow::ensure!(ended.last_line == bytes, "curl read {} bytes and not {bytes}", ended.last_line);
    Ok(ended.took.as_secs_f64())
}
