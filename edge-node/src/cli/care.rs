//! `plan`, `verify` and `uninstall`: what they print, and their exit codes.

use std::path::PathBuf;
use std::process::ExitCode;

use freshet_edge_node::{
    ChangedFiles, GetError, Plan, PlannedPart, PlannedPreload, Verified, plan, uninstall, verify,
};
use indicatif::HumanBytes;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cli::arguments::{self, Uninstall, Verify};
use crate::cli::output::date;
use crate::cli::quantity::Rate;
use crate::cli::signals::Signals;

/// Something of the installation is not what it must be.
const EXIT_NOT_WHOLE: u8 = 20;

/// Says what getting a release would take.
pub(crate) async fn run_plan(arguments: &arguments::Plan) -> ExitCode {
    let stop = CancellationToken::new();
    let planned = match arguments.options() {
        Ok(options) => plan(&options, stop).await,
        Err(error) => Err(error),
    };
    match planned {
        Ok(plan) if arguments.json => {
            println!("{}", serde_json::to_string(&plan).expect("a plan is valid JSON"));
            ExitCode::SUCCESS
        }
        Ok(plan) => {
            print_plan(&plan, arguments.rate);
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

fn print_plan(plan: &Plan, rate: Option<Rate>) {
    let installed =
        plan.installed.as_deref().map_or_else(String::new, |version| format!(", installed is {version}"));
    println!("{} {}: {}{installed}", plan.content, plan.version, HumanBytes(plan.release_bytes));
    let part = |part: &PlannedPart| {
        format!("{}{} ({})", if part.is_chosen { "" } else { "without " }, part.name, HumanBytes(part.bytes))
    };
    if !plan.parts.is_empty() {
        println!("parts    {}", plan.parts.iter().map(part).collect::<Vec<_>>().join(", "));
    }
    let time = rate.map_or_else(String::new, |Rate(bytes_s)| {
        format!(", {} s at this rate", plan.fetch_bytes.div_ceil(bytes_s.max(1)))
    });
    println!(
        "fetch    {} ({} in {} deltas, {} in {} chunks){time}",
        HumanBytes(plan.fetch_bytes),
        HumanBytes(plan.delta_bytes),
        plan.deltas,
        HumanBytes(plan.chunk_bytes),
        plan.chunks
    );
    println!(
        "reuse    {} in files that stay, {} copied, {} of an unfinished download",
        HumanBytes(plan.kept_bytes),
        HumanBytes(plan.copied_bytes),
        HumanBytes(plan.resumed_bytes)
    );
    println!("write    {}", HumanBytes(plan.write_bytes));
    let free = plan.free_bytes.map_or_else(String::new, |free| format!(", {} are free", HumanBytes(free)));
    if let Some(preload) = &plan.preload {
        let PlannedPreload { version, opens, is_here } = preload;
        let is_here = if *is_here { "here" } else { "not here yet" };
        println!("ahead    version {version} is {is_here}, it opens at {}", date(*opens));
    }
    println!("room     {} until it is installed{free}", HumanBytes(plan.temp_bytes));
}

/// Compares an installation with its manifest.
pub(crate) async fn run_verify(arguments: &Verify) -> ExitCode {
    let stop = CancellationToken::new();
    // Without signals the process ends at once, which is well: nothing is changed.
    let signals = Signals::watch(stop.clone()).ok();
    let verified = match verify(&arguments.folder, arguments.fast, stop).await {
        Ok(verified) => verified,
        Err(GetError::Stopped) => {
            return ExitCode::from(signals.and_then(|signals| signals.exit_code()).unwrap_or(130));
        }
        Err(error) => return failed(&error),
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&verified).expect("a result is valid JSON"));
    } else {
        print_verified(&verified);
    }
    if verified.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NOT_WHOLE) }
}

fn print_verified(verified: &Verified) {
    let Verified { content, version, files, bytes, changed, missing, added, .. } = verified;
    for (what, paths) in [("changed", changed), ("missing", missing), ("added", added)] {
        paths.iter().for_each(|path| println!("{what:<8} {path}"));
    }
    let bytes = HumanBytes(*bytes);
    if verified.is_whole() {
        println!("{content} {version}: all of {files} files, {bytes}, are as they must be");
    } else {
        let (changed, missing) = (changed.len(), missing.len());
        println!(
            "{content} {version}, {files} files, {bytes}: {changed} changed, {missing} missing; `repair` mends it"
        );
    }
}

/// Removes an installation.
pub(crate) async fn run_uninstall(arguments: &Uninstall) -> ExitCode {
    let changed = if arguments.remove_changed { ChangedFiles::Remove } else { ChangedFiles::Keep };
    let kept: Vec<PathBuf> = match uninstall(&arguments.folder, changed).await {
        Ok(kept) => kept,
        Err(error) => return failed(&error),
    };
    if arguments.json {
        println!("{}", json!({ "kept": kept }));
    } else {
        kept.iter().for_each(|path| println!("kept     {}: it was changed", path.display()));
        println!("{} is uninstalled", arguments.folder.display());
    }
    ExitCode::SUCCESS
}

fn failed(error: &GetError) -> ExitCode {
    eprintln!("freshet-node: {error}");
    ExitCode::from(error.exit_code())
}
