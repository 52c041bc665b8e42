//! Runs a command from start to exit code.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use freshet_edge_node::{
    Control, Event, GatewayOptions, GetError, GetOptions, Policy, Report, follow, gateway, get, repair,
};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cli::arguments::{Arguments, Command, Get, Job, Repair};
use crate::cli::care;
use crate::cli::output::Output;
use crate::cli::signals::Signals;
use crate::cli::words;

/// Events that may wait for a slow terminal.
const EVENTS_MAX: usize = 64;

/// Logs go to stderr; a filter that cannot be read is said and not followed.
pub(crate) fn start_logging(filter: &str) {
    let parsed = tracing_subscriber::EnvFilter::try_new(quiet_peers(filter)).unwrap_or_else(|error| {
        eprintln!("freshet-node: --log {filter:?} is not understood ({error}); logging warnings");
        tracing_subscriber::EnvFilter::new(quiet_peers("warn"))
    });
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal)
        .init();
}

/// A filter in which no peer can fill the log: this library warns of each odd stream of a peer. Who wants to see that
/// names the library.
fn quiet_peers(filter: &str) -> String {
    format!("web_transport_quinn=error,{filter}")
}

/// Does what the command line asks for.
pub(crate) async fn run(arguments: Arguments, started: Instant) -> ExitCode {
    match arguments.command {
        Command::Get(arguments) => run_get(*arguments, started).await,
        Command::Run(arguments) => match arguments.gateway() {
            Some(options) => run_job(&arguments.job, options, gateway).await,
            None => run_job(&arguments.job, arguments.options(), follow).await,
        },
        Command::Repair(arguments) => run_repair(*arguments, started).await,
        Command::Plan(arguments) => care::run_plan(&arguments).await,
        Command::Verify(arguments) => care::run_verify(&arguments).await,
        Command::Uninstall(arguments) => care::run_uninstall(&arguments).await,
    }
}

async fn run_get(arguments: Get, started: Instant) -> ExitCode {
    run_job(&arguments.job, arguments.options(), |options, events, stop| get(options, events, stop, started))
        .await
}

async fn run_repair(arguments: Repair, started: Instant) -> ExitCode {
    run_job(&arguments.job, arguments.options(), |options, events, stop| {
        repair(options, events, stop, started)
    })
    .await
}

/// What a job can be steered by.
trait Steered {
    fn control(&self) -> (Control, Policy);
}

impl Steered for GetOptions {
    fn control(&self) -> (Control, Policy) {
        (self.control.clone(), self.policy)
    }
}

impl Steered for GatewayOptions {
    fn control(&self) -> (Control, Policy) {
        self.get.control()
    }
}

/// Does a job, shows how it goes, and says how it ended.
async fn run_job<O: Steered, F>(
    arguments: &Job,
    options: Result<O, GetError>,
    start: impl FnOnce(O, mpsc::Sender<Event>, CancellationToken) -> F,
) -> ExitCode
where
    F: Future<Output = (Report, Result<(), GetError>)> + Send + 'static,
{
    let mut output = Output::new(arguments.json, arguments.quiet);
    let stop = CancellationToken::new();
    let signals = Signals::watch(stop.clone());
    let (report, result) = match (options, &signals) {
        (Ok(options), Ok(_)) => {
            if arguments.stdin {
                let (control, policy) = options.control();
                words::follow(control, policy, stop.clone());
            }
            let (sender, mut events) = mpsc::channel(EVENTS_MAX);
            let job = tokio::spawn(start(options, sender, stop));
            let mut ready = Ready { path: arguments.ready_file.as_deref(), addresses: BTreeMap::new() };
            while let Some(event) = events.recv().await {
                match &event {
                    Event::Listening { address } => ready.tell("listen", *address),
                    Event::Gateway { address } => ready.tell("gateway", *address),
                    _ => {}
                }
                output.event(&event);
            }
            job.await.expect("a job reports its faults and does not panic")
        }
        (Err(error), _) => (Report::default(), Err(error)),
        (_, Err(error)) => {
            let error = GetError::Other(format!("cannot watch for signals: {error}"));
            (Report::default(), Err(error))
        }
    };
    let signal = signals.ok().and_then(|signals| signals.exit_code());
    let code = exit_code(&result, signal);
    let last = output.end(&report, &result, code);
    if let Some(path) = &arguments.report_file
        && let Err(error) = write_whole(path, &last)
    {
        eprintln!("freshet-node: cannot write the report to {}: {error}", path.display());
    }
    ExitCode::from(code)
}

fn exit_code(result: &Result<(), GetError>, signal: Option<u8>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(GetError::Stopped) => signal.unwrap_or(130),
        Err(error) => error.exit_code(),
    }
}

/// What a script that has started this program waits for.
struct Ready<'a> {
    path: Option<&'a Path>,
    addresses: BTreeMap<&'static str, SocketAddr>,
}

impl Ready<'_> {
    /// Writes the address beside those that are known.
    fn tell(&mut self, what: &'static str, address: SocketAddr) {
        let Some(path) = self.path else { return };
        self.addresses.insert(what, address);
        let text = serde_json::json!(self.addresses).to_string();
        if let Err(error) = write_whole(path, &text) {
            eprintln!("freshet-node: cannot write {}: {error}", path.display());
        }
    }
}

/// Writes beside the place and moves it there, so that no reader sees half of it.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    std::fs::write(&temporary, format!("{text}\n"))?;
    std::fs::rename(&temporary, path)
}
