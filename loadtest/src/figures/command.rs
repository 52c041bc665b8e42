//! The subcommand `figures`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::bench::Bench;
use super::catalogue::{FIGURES, Figure, Tier};
use super::record::{Record, Verdict};
use super::table::table;
use crate::refused::{Refused, refuse_unless};

/// Arguments of `figures`.
#[derive(Debug, clap::Args)]
pub(crate) struct FiguresArgs {
    /// Which ones; none: all that `make bench` measures.
    names: Vec<String>,
    /// Show which there are, and measure nothing.
    #[arg(long)]
    list: bool,
    /// Those of `make soak`, which take long.
    #[arg(long, conflicts_with = "names")]
    soak: bool,
    /// Runs of each; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=25), value_name = "N")]
    runs: u32,
    /// Decides builds, start times and kills of the first run; each further run has the next one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for NAME.jsonl of each figure, and for the reports of single runs.
    #[arg(long, default_value = "target/figures", value_name = "DIR")]
    out: PathBuf,
    /// Folder of freshet-origin, freshet-tracker and freshet-node; by default the one that this program lies in.
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
}

impl FiguresArgs {
    /// Measures, prints the table and writes the files.
    ///
    /// # Errors
    /// When a figure was missed, or one could not run where the environment says `CI=true`. All others have run then.
    pub(crate) fn run(self) -> Result<()> {
        if self.list {
            FIGURES.iter().for_each(|figure| println!("{:<18} {}", figure.name, figure.about));
            return Ok(());
        }
        let chosen = choose(&self.names, self.soak)?;
        fs::create_dir_all(&self.out).with_context(|| format!("make {}", self.out.display()))?;
        let mut bench = Bench::new(self.runs, self.seed, self.out.clone(), self.bin_dir)?;
        let mut records = Vec::new();
        let ended = measure_all(&mut bench, chosen, &self.out, &mut records);
        print!("{}", table(&records));
        ended.and_then(|()| conclude(&records))
    }
}

/// Measures one after the other; `records` has what was measured whatever the end.
fn measure_all(
    bench: &mut Bench,
    chosen: Vec<&'static Figure>,
    out: &Path,
    records: &mut Vec<Record>,
) -> Result<()> {
    for figure in chosen {
        let measured = measure(bench, figure)?;
        write_lines(out, figure.name, &measured)?;
        for record in &measured {
            bench.say(&format!("  {} {}: {}", record.measure, record.reached, record.verdict.name()));
        }
        records.extend(measured);
    }
    Ok(())
}

fn choose(names: &[String], soak: bool) -> Result<Vec<&'static Figure>, Refused> {
    let tier = if soak { Tier::Soak } else { Tier::Bench };
    if names.is_empty() {
        return Ok(FIGURES.iter().filter(|figure| figure.tier == tier).collect());
    }
    let find = |name: &String| {
        let known = || FIGURES.iter().map(|figure| figure.name).collect::<Vec<_>>().join(", ");
        let figure = FIGURES.iter().find(|figure| figure.name == name);
        figure.ok_or_else(|| Refused(format!("there is no figure {name:?}; there are {}", known())))
    };
    names.iter().map(find).collect()
}

/// What came of a figure; an error only when the whole is to end.
fn measure(bench: &mut Bench, figure: &'static Figure) -> Result<Vec<Record>> {
    bench.say(&format!("{}: {}", figure.name, figure.about));
    if let Some(missing) = figure.needs.iter().find_map(|need| need.missing()) {
        return Ok(vec![Record::not_run(figure.name, &missing)]);
    }
    let measured = (figure.measure)(bench);
    if bench.is_stopped() {
        bail!("interrupted");
    }
    Ok(match measured {
        Ok(rows) => rows.iter().map(|row| Record::of(figure.name, row)).collect(),
        // What is wrong with the arguments is wrong for all figures.
        Err(error) if error.is::<Refused>() => return Err(error),
        Err(error) => vec![Record::failed(figure.name, &error)],
    })
}

fn write_lines(out: &Path, name: &str, records: &[Record]) -> Result<()> {
    let path = out.join(format!("{name}.jsonl"));
    let write = || -> Result<()> {
        let mut file = fs::File::create(&path)?;
        for record in records {
            writeln!(file, "{}", serde_json::to_string(record)?)?;
        }
        Ok(())
    };
    write().with_context(|| format!("write {}", path.display()))
}

fn conclude(records: &[Record]) -> Result<()> {
    let count = |verdict| records.iter().filter(|record| record.verdict == verdict).count();
    let [reached, missed, not_run] = [Verdict::Ok, Verdict::Missed, Verdict::NotRun].map(count);
    println!("{reached} ok, {missed} missed, {not_run} not run");
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    if missed > 0 {
        bail!("{missed} of {} measures were missed; see the table", records.len());
    }
    refuse_unless(not_run == 0 || !is_ci, || {
        format!("{not_run} figures did not run, and with CI=true all must; see the table")
    })
    .map_err(|Refused(sentence)| anyhow::anyhow!(sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_chosen_by_name_and_tier() {
        let check = |names: &[&str], soak, expected: Result<usize, &str>| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            match (choose(&names, soak), expected) {
                (Ok(chosen), Ok(count)) => assert_eq!(chosen.len(), count, "{names:?}"),
                (Err(Refused(sentence)), Err(part)) => assert!(sentence.contains(part), "{sentence}"),
                (found, _) => panic!("{names:?}: {:?}", found.is_ok()),
            }
        };
        check(&["flash-offload", "far"], false, Ok(2));
        check(&["fast"], false, Err("there is no figure \"fast\"; there are flash-offload"));
        let of = |tier| FIGURES.iter().filter(|figure| figure.tier == tier).count();
        check(&[], false, Ok(of(Tier::Bench)));
        check(&[], true, Ok(of(Tier::Soak)));
    }

    #[test]
    fn names_are_used_once() {
        let mut names: Vec<&str> = FIGURES.iter().map(|figure| figure.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FIGURES.len());
    }

    #[test]
    fn a_file_holds_a_line_for_each_measure() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let records = [Record::not_run("far", "root"), Record::not_run("far", "curl")];
        write_lines(folder.path(), "far", &records).expect("written");
        let text = fs::read_to_string(folder.path().join("far.jsonl")).expect("there");
        let verdict =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["verdict"].clone();
        assert_eq!(text.lines().map(verdict).collect::<Vec<_>>(), ["NOT RUN", "NOT RUN"]);
    }
}
