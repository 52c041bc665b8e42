//! The commands: each turns its arguments into a call of the library and prints what came of it.

mod arguments;
mod channel;
mod keys;
mod publish;
mod ready;
mod receive;
mod seal;
mod serve;
mod store;
mod stream;
mod token;

pub(crate) use arguments::Arguments;
use arguments::Command;
use freshet_origin::StreamError;

/// Exit code where the arguments or the configuration are wrong.
const EXIT_USAGE: u8 = 2;
/// Exit code where the work failed.
const EXIT_FAILED: u8 = 1;

/// Why the program ends, and with which code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: anyhow::Error,
    pub(crate) code: u8,
}

impl Failure {
    /// Something that other arguments would cure.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { error: error.into(), code: EXIT_USAGE }
    }

    /// What stood in the way of a stream.
    pub(crate) fn of_stream(error: StreamError) -> Self {
        match error {
            StreamError::OtherTenant { .. }
            | StreamError::NoDocument(_)
            | StreamError::NotGranted { .. }
            | StreamError::FirstInside(_) => Self::usage(error),
            error => Self::failed(error),
        }
    }

    /// The work itself failed.
    pub(crate) fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self { error: error.into(), code: EXIT_FAILED }
    }
}

pub(crate) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Publish(arguments) => publish::run(arguments).await,
        Command::Unseal(arguments) => seal::run_unseal(arguments).await,
        Command::Promote(arguments) => channel::run_promote(arguments).await,
        Command::Rollback(arguments) => channel::run_rollback(arguments).await,
        Command::History(arguments) => channel::run_history(&arguments).await,
        Command::PublishHls(arguments) => stream::publish_hls(arguments).await,
        Command::Ingest(arguments) => stream::ingest(arguments).await,
        Command::Index(arguments) => stream::index(arguments).await,
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Receive(arguments) => receive::run(arguments).await,
        Command::Ls(arguments) => store::ls(&arguments).await,
        Command::Gc(arguments) => store::gc(arguments).await,
        Command::Scrub(arguments) => store::scrub(&arguments).await,
    }
}

/// Prints one JSON object on a line of its own.
fn print_json(value: &impl serde::Serialize) {
    println!("{}", serde_json::to_string(value).expect("own values are valid JSON"));
}
