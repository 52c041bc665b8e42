//! `freshet-loadtest`: see the library.

use std::process::ExitCode;

use clap::Parser;
use freshet_loadtest::cli::{Args, exit_code};

fn main() -> ExitCode {
    match Args::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("freshet-loadtest: {error:#}");
            exit_code(&error)
        }
    }
}
