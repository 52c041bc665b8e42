//! Reports: one form for simulation and real load, as JSON for programs and as a page for people.

mod figures;
mod live;
mod page;
mod read;
mod run;

use serde::{Deserialize, Serialize};

pub use figures::{Bounds, Completion, Figures};
pub use live::{LinkTimes, LiveRun, Shaping, TrackerBeat, WireSplit};
pub use page::page;
pub use read::{ReportError, read_report};
pub use run::{FED_ROWS_MAX, Fed, NodeRun, OriginSent, Run, Sample, Source};

/// Version of the report's form.
pub const REPORT_SCHEMA: u32 = 1;

/// A run and what follows from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`REPORT_SCHEMA`].
    pub schema: u32,
    /// What people ask.
    pub figures: Figures,
    /// What was measured.
    pub run: Run,
}

impl Report {
    /// The report of a run.
    pub fn of(run: Run) -> Self {
        Self { schema: REPORT_SCHEMA, figures: Figures::of(&run), run }
    }
}
