//! `freshet-node`: gets releases from origin and peers, and shares them where its owner agrees.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let started = tokio::time::Instant::now();
    let arguments = cli::Arguments::parse();
    cli::start_logging(&arguments.log);
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        unreachable!("nothing installs a provider before main");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(cli::run(arguments, started));
            // A disk that hangs must not keep a process that has said its last word.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("freshet-node: cannot start threads: {error}");
            ExitCode::FAILURE
        }
    }
}
