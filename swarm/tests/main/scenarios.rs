//! Replays `scenarios/*.json`: timed inputs, expected outputs. `FRESHET_WRITE_SCENARIOS=1` writes the outputs anew, to
//! be read before they are committed. The `walk_*.json` are whole jobs in a random world: nobody reads them, but they lead
//! the cores of both languages where no one thought of going; they are written anew as a whole.

use std::path::Path;

use freshet_swarm::{Core, CoreConfig, Goal, Input, Output, Totals};
use serde::{Deserialize, Serialize};

use crate::world::{World, config};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    what: String,
    config: CoreConfig,
    steps: Vec<Step>,
    /// Counts at the end.
    totals: Totals,
}

/// Time moves to `at`, through every timeout on the way; then the input, if any, is handed in.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<Input>,
    /// What the core says since the step before, with the time of saying it.
    expect: Vec<(u64, Output)>,
}

fn drain(core: &mut Core, now: u64, said: &mut Vec<(u64, Output)>) {
    while let Some(output) = core.poll_output() {
        said.push((now, output));
    }
}

fn replay(scenario: &Scenario) -> (Vec<Vec<(u64, Output)>>, Totals) {
    let mut core = Core::new(0, scenario.config.clone());
    let mut said = Vec::new();
    drain(&mut core, 0, &mut said);
    let mut all = Vec::new();
    for step in &scenario.steps {
        while let Some(timeout) = core.poll_timeout().filter(|&timeout| timeout <= step.at) {
            core.handle_timeout(timeout);
            drain(&mut core, timeout, &mut said);
        }
        if let Some(input) = &step.input {
            core.handle_input(step.at, input.clone());
            drain(&mut core, step.at, &mut said);
        }
        all.push(std::mem::take(&mut said));
    }
    (all, core.totals())
}

/// A job in a random world, as the core there heard of it, with bytes on their way to what came in.
fn walk(seed: u32) -> Scenario {
    const CHUNKS: u32 = 70;
    let mut config = config(CHUNKS, seed);
    let is_speed = seed % 2 == 1;
    config.policy.goal = if is_speed { Goal::Speed } else { Goal::Offload };
    config.has_tracker = is_speed;
    let mut world = World::new(config.clone(), u64::from(seed));
    if is_speed {
        let granted = vec![3, 7, 11];
        world.input(Input::Shards { granted, active_jobs: 4, origin_budget_bytes_s: Some(4_000_000) });
    }
    while !world.is_complete {
        world.step(CHUNKS);
    }
    let steps = world.told.into_iter().flat_map(|(at, input)| {
        let part = match input {
            Input::RequestEnded { request, .. } => Some(Input::Progress { request, bytes: 40_000 }),
            Input::OriginChunk { fetch, .. } => Some(Input::OriginProgress { fetch, bytes: 70_000 }),
            _ => None,
        };
        let earlier = part.map(|part| (at.saturating_sub(10_000), part));
        earlier.into_iter().chain([(at, input)])
    });
    let mut steps: Vec<Step> =
        steps.map(|(at, input)| Step { at, input: Some(input), expect: Vec::new() }).collect();
    steps.sort_by_key(|step| step.at);
    Scenario {
        what: format!("A job in a random world, seed {seed}"),
        config,
        steps,
        totals: Totals::default(),
    }
}

fn write_walks(folder: &Path) {
    for seed in 1..=4 {
        std::fs::write(folder.join(format!("walk_{seed}.json")), format(&walk(seed))).unwrap();
    }
}

#[test]
fn scenarios_replay() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let is_writing = std::env::var_os("FRESHET_WRITE_SCENARIOS").is_some();
    if is_writing {
        write_walks(&folder);
    }
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut scenario: Scenario =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (said, totals) = replay(&scenario);
        if is_writing {
            scenario.steps.iter_mut().zip(said).for_each(|(step, said)| step.expect = said);
            scenario.totals = totals;
            std::fs::write(&path, format(&scenario)).unwrap();
        } else {
            for (at, (step, said)) in scenario.steps.iter().zip(&said).enumerate() {
                assert_eq!(&step.expect, said, "{} step {at}: {}", path.display(), scenario.what);
            }
            assert_eq!(scenario.totals, totals, "{}", path.display());
        }
        count += 1;
    }
    assert!(count >= 10, "only {count} scenarios");
}

/// One line for each step and output, so that a change reads as a change of behaviour.
fn format(scenario: &Scenario) -> String {
    let mut out = String::from("{\n");
    out += &format!(
        "  \"what\": {},\n  \"config\": {},\n  \"steps\": [\n",
        line(&scenario.what),
        line(&scenario.config)
    );
    for (at, step) in scenario.steps.iter().enumerate() {
        let input =
            step.input.as_ref().map_or(String::new(), |input| format!(" \"input\": {},", line(input)));
        out += &format!("    {{ \"at\": {},{input} \"expect\": [", step.at);
        let said: Vec<String> = step.expect.iter().map(|said| format!("\n      {}", line(said))).collect();
        out += &said.join(",");
        out += if said.is_empty() { "] }" } else { "\n    ] }" };
        out += if at + 1 < scenario.steps.len() { ",\n" } else { "\n" };
    }
    out + &format!("  ],\n  \"totals\": {}\n}}\n", line(&scenario.totals))
}

/// A value on one line of JSON.
fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}
