//! The program `freshet-origin`: makes keys, publishes folders, serves them, and looks after the store.

mod cli;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cli::Failure { error, code }) => {
            eprintln!("freshet-origin: {error:#}");
            ExitCode::from(code)
        }
    }
}

fn start(arguments: cli::Arguments) -> Result<(), cli::Failure> {
    let filter = EnvFilter::try_new(&arguments.log)
        .map_err(|error| cli::Failure::usage(anyhow::anyhow!("--log {:?}: {error}", arguments.log)))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    // Without a provider the HTTP client panics, that of a bucket's store too.
    rustls::crypto::ring::default_provider().install_default().expect("nothing else installs a provider");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(cli::Failure::failed)?;
    runtime.block_on(cli::run(arguments.command))
}
