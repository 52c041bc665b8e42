//! `serve`: serves a store until told to stop.

use std::path::Path;
use std::time::Duration;

use freshet_listen::{StopSignal, raise_open_files};
use freshet_origin::{Caps, ServeOptions, Serving, Store, serve};
use serde_json::json;

use super::arguments::ServeArguments;
use super::ready::write_json;
use super::{Failure, print_json};

const MBIT_BYTES_S: u64 = 125_000;
/// How often the report file is written.
const REPORT_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(arguments: ServeArguments) -> Result<(), Failure> {
    let store = Store::open(&arguments.store.store).map_err(Failure::usage)?;
    let options = ServeOptions {
        connections_max: arguments.connections_max as usize,
        idle_timeout: arguments.idle_timeout,
        line_bytes_s: arguments.line_mbit.map(|mbit| mbit * MBIT_BYTES_S),
        caps: Caps {
            bytes_s_max: arguments.bandwidth_mbit_max.map(|mbit| mbit * MBIT_BYTES_S),
            requests_s_max: arguments.requests_per_s_max,
        },
        tls: arguments.tls.options(),
        proxies: arguments.proxies.proxies(),
        ..ServeOptions::new(store, arguments.listen)
    };
    // Before the address is told, so that who reads it may stop the program at once.
    let stop = StopSignal::new().map_err(Failure::failed)?;
    let files = raise_open_files();
    let serving = serve(options).await.map_err(Failure::usage)?;
    if let Some(files) = files.filter(|files| *files < u64::from(arguments.connections_max)) {
        tracing::info!(
            files,
            "room for so many connections: the system lets this program open no more files"
        );
    }
    println!("{}", serving.address());
    tracing::info!(address = %serving.address(), store = arguments.store.store, "serving");
    let report_file = arguments.report_file.as_deref();
    if let Some(path) = report_file {
        write_json(path, &serving.counters()).map_err(Failure::usage)?;
    }
    if let Some(path) = &arguments.ready_file {
        let ready = json!({ "address": serving.address(), "url": serving.url() });
        write_json(path, &ready).map_err(Failure::usage)?;
    }
    report_until(stop.received(), report_file, &serving).await;
    let counters = serving.shutdown().await;
    if let Some(path) = report_file {
        write_json(path, &counters).map_err(Failure::failed)?;
    }
    print_json(&counters);
    Ok(())
}

async fn report_until(stop: impl Future<Output = ()>, report_file: Option<&Path>, serving: &Serving) {
    futures_util::pin_mut!(stop);
    let mut every = tokio::time::interval(REPORT_EVERY);
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = every.tick() => {
                // A full disk is no reason to stop serving.
                if let Some(Err(error)) = report_file.map(|path| write_json(path, &serving.counters())) {
                    tracing::warn!(error = %format!("{error:#}"), "cannot report");
                }
            }
        }
    }
}
