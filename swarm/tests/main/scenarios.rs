//! Replays `scenarios/*.json` (bulk) and `scenarios/media/*.json` (streams): timed inputs, expected outputs.
//! `FRESHET_WRITE_SCENARIOS=1` writes the outputs anew, to be read before they are committed. The `walk_*.json` are whole
//! jobs in a random world or audience: nobody reads them, but they lead the cores of both languages where no one thought
//! of going; they are written anew as a whole.

use std::path::{Path, PathBuf};

use freshet_swarm::{Core, CoreConfig, Goal, Input, MediaConfig, MediaCore, Output, Totals};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::audience::{Audience, Show, Told};
use crate::world::{World, config};

/// A core that scenarios are about.
trait Subject {
    type Config: Serialize + DeserializeOwned + Clone;
    type Input: Serialize + DeserializeOwned + Clone;

    fn begin(config: Self::Config) -> Self;
    fn handle(&mut self, now: u64, input: Self::Input);
    fn handle_timeout(&mut self, now: u64);
    fn poll_output(&mut self) -> Option<Output>;
    fn poll_timeout(&self) -> Option<u64>;
    fn totals(&self) -> Totals;
}

macro_rules! subject {
    ($core:ty, $config:ty, $input:ty, $handle:expr) => {
        impl Subject for $core {
            type Config = $config;
            type Input = $input;

            fn begin(config: Self::Config) -> Self {
                Self::new(0, config)
            }

            fn handle(&mut self, now: u64, input: Self::Input) {
                $handle(self, now, input);
            }

            fn handle_timeout(&mut self, now: u64) {
                self.handle_timeout(now);
            }

            fn poll_output(&mut self) -> Option<Output> {
                self.poll_output()
            }

            fn poll_timeout(&self) -> Option<u64> {
                self.poll_timeout()
            }

            fn totals(&self) -> Totals {
                self.totals()
            }
        }
    };
}

subject!(Core, CoreConfig, Input, Core::handle_input);
subject!(MediaCore, MediaConfig, Told, |core: &mut MediaCore, now, told| match told {
    Told::Player(input) => core.handle_player(now, input),
    Told::Swarm(input) => core.handle_input(now, input),
});

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
struct Scenario<S: Subject> {
    what: String,
    config: S::Config,
    steps: Vec<Step<S>>,
    /// Counts at the end.
    totals: Totals,
}

/// Time moves to `at`, through every timeout on the way; then the input, if any, is handed in.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
struct Step<S: Subject> {
    at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<S::Input>,
    /// What the core says since the step before, with the time of saying it.
    expect: Vec<(u64, Output)>,
}

fn drain(core: &mut impl Subject, now: u64, said: &mut Vec<(u64, Output)>) {
    while let Some(output) = core.poll_output() {
        said.push((now, output));
    }
}

fn replay<S: Subject>(scenario: &Scenario<S>) -> (Vec<Vec<(u64, Output)>>, Totals) {
    let mut core = S::begin(scenario.config.clone());
    let mut said = Vec::new();
    drain(&mut core, 0, &mut said);
    let mut all = Vec::new();
    for step in &scenario.steps {
        while let Some(timeout) = core.poll_timeout().filter(|&timeout| timeout <= step.at) {
            core.handle_timeout(timeout);
            drain(&mut core, timeout, &mut said);
        }
        if let Some(input) = &step.input {
            core.handle(step.at, input.clone());
            drain(&mut core, step.at, &mut said);
        }
        all.push(std::mem::take(&mut said));
    }
    (all, core.totals())
}

/// A job in a random world, as the core there heard of it, with bytes on their way to what came in.
fn walk(seed: u32) -> Scenario<Core> {
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
    let mut steps: Vec<Step<Core>> =
        steps.map(|(at, input)| Step { at, input: Some(input), expect: Vec::new() }).collect();
    steps.sort_by_key(|step| step.at);
    Scenario {
        what: format!("A job in a random world, seed {seed}"),
        config,
        steps,
        totals: Totals::default(),
    }
}

/// What one viewer of an audience was told.
fn viewing(number: u32, what: &str, show: Show) -> Scenario<MediaCore> {
    let audience = Audience::watch(show);
    let told = audience.told(number).iter();
    let steps = told.map(|(at, told)| Step { at: *at, input: Some(told.clone()), expect: Vec::new() });
    Scenario {
        what: format!("A viewer among others: {what}"),
        config: audience.config(number),
        steps: steps.collect(),
        totals: Totals::default(),
    }
}

fn viewings() -> Vec<Scenario<MediaCore>> {
    let show = Show { viewers: 4, segments: 8, join_us: 1_000_000, ..Show::default() };
    vec![
        viewing(2, "one comes after another", show.clone()),
        viewing(1, "all come at once", Show { join_us: 0, ..show.clone() }),
        viewing(3, "live", Show { is_live: true, segments: 12, ..show.clone() }),
        viewing(2, "one lies", Show { liar: Some(0), ..show.clone() }),
        viewing(1, "uplinks do not suffice", Show { uplink_bytes_s: 100_000, ..show.clone() }),
        viewing(0, "nobody else", Show { viewers: 1, ..show }),
    ]
}

fn write<S: Subject>(folder: &Path, walks: impl IntoIterator<Item = Scenario<S>>) {
    for (number, walk) in walks.into_iter().enumerate() {
        std::fs::write(folder.join(format!("walk_{}.json", number + 1)), format(&walk)).unwrap();
    }
}

fn is_writing() -> bool {
    std::env::var_os("FRESHET_WRITE_SCENARIOS").is_some()
}

#[test]
fn bulk_scenarios_replay() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    if is_writing() {
        write(&folder, (1..=4).map(walk));
    }
    check::<Core>(&folder);
}

#[test]
fn media_scenarios_replay() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/media");
    if is_writing() {
        write(&folder, viewings());
    }
    check::<MediaCore>(&folder);
}

fn check<S: Subject>(folder: &Path) {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    assert!(files.len() >= 10, "only {} scenarios", files.len());
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut scenario: Scenario<S> =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (said, totals) = replay(&scenario);
        if is_writing() {
            scenario.steps.iter_mut().zip(said).for_each(|(step, said)| step.expect = said);
            scenario.totals = totals;
            std::fs::write(&path, format(&scenario)).unwrap();
        } else {
            for (at, (step, said)) in scenario.steps.iter().zip(&said).enumerate() {
                assert_eq!(&step.expect, said, "{} step {at}: {}", path.display(), scenario.what);
            }
            assert_eq!(scenario.totals, totals, "{}", path.display());
        }
    }
}

/// One line for each step and output, so that a change reads as a change of behaviour.
fn format<S: Subject>(scenario: &Scenario<S>) -> String {
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
