//! Behaviour of the load test's programs and of what they simulate.

mod command;
mod conservation;
#[cfg(target_os = "linux")]
mod demo;
mod determinism;
#[cfg(target_os = "linux")]
mod drills;
#[cfg(target_os = "linux")]
mod figures;
mod hostile;
#[cfg(target_os = "linux")]
mod lab;
mod lines;
#[cfg(target_os = "linux")]
mod live;
#[cfg(target_os = "linux")]
mod nats;
#[cfg(target_os = "linux")]
mod needs;
mod plans;

use freshet_loadtest::{Options, Report, read_plan, simulate};

/// Simulates a built-in plan; fails on anything a sound run never shows.
fn run(name: &str, settings: &[&str], seed: u64) -> Report {
    let report = run_as_it_is(name, settings, seed);
    let again = format!("freshet-loadtest sim {name} --seed {seed} --set {}", settings.join(" --set "));
    assert_eq!(report.run.violations, Vec::<String>::new(), "{again}");
    report
}

fn run_as_it_is(name: &str, settings: &[&str], seed: u64) -> Report {
    let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
    let plan = read_plan(name, &settings).unwrap_or_else(|error| panic!("{name} {settings:?}: {error}"));
    Report::of(simulate(&plan, Options { seed, verbose: None }).expect("the simulator knows the plan"))
}
