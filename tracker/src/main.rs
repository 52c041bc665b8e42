//! The program `freshet-tracker`: parses, starts, runs, exits.

mod cli;
mod ready;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use freshet_listen::{StopSignal, raise_open_files};
use tracing_subscriber::EnvFilter;

/// Exit code of wrong usage or configuration.
const EXIT_USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let args = cli::Args::parse();
    let configured = EnvFilter::try_new(&args.log)
        .map_err(|error| anyhow::anyhow!("--log {:?} is not a filter: {error}", args.log))
        .and_then(|filter| Ok((filter, args.options()?)));
    let (filter, options) = match configured {
        Ok(configured) => configured,
        Err(error) => return fail(&error, ExitCode::from(EXIT_USAGE)),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run(options, &args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, ExitCode::FAILURE),
    }
}

async fn run(options: freshet_tracker::Options, args: &cli::Args) -> anyhow::Result<()> {
    let stop = StopSignal::new().context("cannot listen for signals")?;
    let files = raise_open_files();
    let serving = freshet_tracker::serve(options).await?;
    if let Some(files) = files.filter(|files| *files < args.clients_max()) {
        tracing::info!(
            files,
            "room for so many connections: the system lets this program open no more files"
        );
    }
    tracing::warn!("open mode: anyone who proves a key gets tickets, no token is asked for");
    ready::announce(&serving, args.ready_file.as_deref())?;
    stop.received().await;
    tracing::info!("stopping: clients are told and closed one by one");
    serving.shutdown().await;
    Ok(())
}

fn fail(error: &anyhow::Error, code: ExitCode) -> ExitCode {
    eprintln!("freshet-tracker: {error:#}");
    code
}
