//! What becomes of a measure: a line of the table for people, and an object of a file for programs.

use serde::{Serialize, Serializer};

use super::row::Row;

/// What came of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As wanted.
    Ok,
    /// Not as wanted, or it could not be measured though all was there.
    Missed,
    /// Something that it needs is not there.
    NotRun,
}

impl Verdict {
    /// As tables and files say it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missed => "MISSED",
            Self::NotRun => "NOT RUN",
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A measure and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Record {
    /// The figure.
    pub(super) figure: &'static str,
    /// What was measured within it.
    pub(super) measure: String,
    /// What is wanted, in words.
    pub(super) wanted: String,
    /// The number in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<f64>,
    /// What is aimed at beyond it.
    #[serde(skip_serializing_if = "Option::is_none")]
    aim: Option<f64>,
    /// What was reached, in words.
    pub(super) reached: String,
    /// The number in it. Shares are from 0 to 1, memory is in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    /// The number of each run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<f64>,
    /// What it stands beside.
    pub(super) reference: String,
    /// What came of it.
    pub(super) verdict: Verdict,
    /// What a reader must know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
    /// The command that repeats it.
    pub(super) repeat: String,
}

impl Record {
    /// Of a measure.
    pub(super) fn of(figure: &'static str, row: &Row) -> Self {
        let value = row.reached();
        Self {
            figure,
            measure: row.measure.clone(),
            wanted: row.wanted_text(),
            limit: Some(row.wanted.limit()),
            aim: row.aim,
            reached: row.reached_text(),
            value: value.is_finite().then_some(value),
            values: row.values.clone(),
            reference: row.reference.clone(),
            verdict: if row.is_reached() { Verdict::Ok } else { Verdict::Missed },
            notes: row.notes.clone(),
            repeat: row.repeat.clone().unwrap_or_else(|| repeat(figure)),
        }
    }

    /// Of a figure that lacks something.
    pub(super) fn not_run(figure: &'static str, needs: &str) -> Self {
        Self::without_value(figure, Verdict::NotRun, format!("needs {needs}"))
    }

    /// Of a figure that failed.
    pub(super) fn failed(figure: &'static str, error: &anyhow::Error) -> Self {
        let text = format!("{error:#}");
        let first = text.lines().next().unwrap_or_default().to_owned();
        let mut record = Self::without_value(figure, Verdict::Missed, "failed, see below".to_owned());
        record.notes = if text == first { vec![first] } else { vec![text] };
        record
    }

    fn without_value(figure: &'static str, verdict: Verdict, reached: String) -> Self {
        Self {
            figure,
            measure: String::new(),
            wanted: String::new(),
            limit: None,
            aim: None,
            reached,
            value: None,
            values: Vec::new(),
            reference: String::new(),
            verdict,
            notes: Vec::new(),
            repeat: repeat(figure),
        }
    }
}

fn repeat(figure: &str) -> String {
    format!("freshet-loadtest figures {figure}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::row::{Unit, Wanted};

    #[test]
    fn files_hold_numbers_and_words() {
        let row = Row::new("copies", Unit::Copies, Wanted::AtMost(1.3), vec![1.5, 1.25, 1.0])
            .aim(1.1)
            .beside("bound 1.00");
        let json = serde_json::to_value(Record::of("flash-offload", &row)).expect("JSON");
        let expected = serde_json::json!({
            "figure": "flash-offload", "measure": "copies", "wanted": "<= 1.30 copies (aim 1.10 copies)",
            "limit": 1.3, "aim": 1.1, "reached": "1.25 copies", "value": 1.25, "values": [1.5, 1.25, 1.0],
            "reference": "bound 1.00", "verdict": "ok", "repeat": "freshet-loadtest figures flash-offload",
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn what_was_not_measured_is_not_reached() {
        let check = |record: Record, verdict: &str, reached: &str| {
            let json = serde_json::to_value(record).expect("JSON");
            assert_eq!((&json["verdict"], &json["reached"]), (&verdict.into(), &reached.into()), "{json}");
        };
        check(Record::not_run("far", "root"), "NOT RUN", "needs root");
        check(Record::failed("far", &anyhow::anyhow!("the origin ended")), "MISSED", "failed, see below");
        check(
            Record::of("far", &Row::new("x", Unit::Count, Wanted::AtMost(1.0), Vec::new())),
            "MISSED",
            "NaN",
        );
    }
}
