//! One measure of a figure: what is wanted, what was reached, and beside what.

/// What a value counts, and with how many digits it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Time.
    Seconds,
    /// Time, kept in seconds, as people count delays.
    Milliseconds,
    /// Time of small things.
    Microseconds,
    /// Wire bytes of the origin / bytes that one node needs.
    Copies,
    /// A share, kept from 0 to 1 and shown in percent.
    Share,
    /// A quotient around 1.
    Ratio,
    /// Memory, kept in bytes.
    Mebibytes,
    /// Little memory, kept in bytes.
    Kibibytes,
    /// Events in a second.
    PerSecond,
    /// Things.
    Count,
}

impl Unit {
    /// A value for people.
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Self::Seconds => format!("{value:.1} s"),
            Self::Milliseconds => format!("{:.1} ms", value * 1e3),
            Self::Microseconds => format!("{value:.1} us"),
            Self::Copies => format!("{value:.2} copies"),
            Self::Share => format!("{:.1} %", value * 100.0),
            Self::Ratio => format!("{value:.3} x"),
            Self::Mebibytes => format!("{:.1} MiB", value / f64::from(1 << 20)),
            Self::Kibibytes => format!("{:.1} KiB", value / 1024.0),
            Self::PerSecond => format!("{value:.0} /s"),
            Self::Count => format!("{value:.0}"),
        }
    }
}

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wanted {
    /// This or less.
    AtMost(f64),
    /// Less than this.
    Below(f64),
    /// This or more.
    AtLeast(f64),
}

impl Wanted {
    /// The number in it.
    pub(super) fn limit(self) -> f64 {
        match self {
            Self::AtMost(limit) | Self::Below(limit) | Self::AtLeast(limit) => limit,
        }
    }

    /// Whether `value` is as wanted.
    pub(super) fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::Below(limit) => value < limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }

    fn show(self, unit: Unit) -> String {
        match self {
            Self::AtMost(limit) => format!("<= {}", unit.show(limit)),
            Self::Below(limit) => format!("< {}", unit.show(limit)),
            Self::AtLeast(limit) => format!(">= {}", unit.show(limit)),
        }
    }

    fn worst(self, values: &[f64]) -> f64 {
        let worse = match self {
            Self::AtMost(_) | Self::Below(_) => f64::max,
            Self::AtLeast(_) => f64::min,
        };
        values.iter().copied().reduce(worse).unwrap_or(f64::NAN)
    }
}

/// Which of several runs counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// The one in the middle.
    Median,
    /// Every one of them.
    Worst,
}

/// One measure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// What was measured, within its figure.
    pub(super) measure: String,
    pub(super) unit: Unit,
    pub(super) wanted: Wanted,
    /// What is aimed at beyond what is wanted.
    pub(super) aim: Option<f64>,
    /// A value of each run.
    pub(super) values: Vec<f64>,
    pub(super) judged: Judged,
    /// What the value stands beside: a bound, another program, another run.
    pub(super) reference: String,
    /// What a reader must know.
    pub(super) notes: Vec<String>,
    /// The command that repeats it, where one shows more than the figure itself.
    pub(super) repeat: Option<String>,
}

impl Row {
    /// A measure of which the median counts.
    pub(super) fn new(measure: impl Into<String>, unit: Unit, wanted: Wanted, values: Vec<f64>) -> Self {
        Self {
            measure: measure.into(),
            unit,
            wanted,
            aim: None,
            values,
            judged: Judged::Median,
            reference: String::new(),
            notes: Vec::new(),
            repeat: None,
        }
    }

    /// Says what is aimed at.
    pub(super) fn aim(mut self, aim: f64) -> Self {
        self.aim = Some(aim);
        self
    }

    /// Lets every run count, not the median.
    pub(super) fn every_run(mut self) -> Self {
        self.judged = Judged::Worst;
        self
    }

    /// Says what it stands beside.
    pub(super) fn beside(mut self, reference: impl Into<String>) -> Self {
        self.reference = reference.into();
        self
    }

    /// Adds what a reader must know.
    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Says how to see one such run.
    pub(super) fn repeat(mut self, command: impl Into<String>) -> Self {
        self.repeat = Some(command.into());
        self
    }

    /// The value that counts.
    pub(super) fn reached(&self) -> f64 {
        match self.judged {
            Judged::Median => median(&self.values),
            Judged::Worst => self.wanted.worst(&self.values),
        }
    }

    /// Whether it is as wanted.
    pub(super) fn is_reached(&self) -> bool {
        self.wanted.holds(self.reached())
    }

    /// What is wanted, in words.
    pub(super) fn wanted_text(&self) -> String {
        let aim = self.aim.map(|aim| format!(" (aim {})", self.unit.show(aim)));
        self.wanted.show(self.unit) + &aim.unwrap_or_default()
    }

    /// What was reached, in words.
    pub(super) fn reached_text(&self) -> String {
        self.unit.show(self.reached())
    }
}

/// The value in the middle; of an even number, the mean of the two in the middle.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => (sorted[even / 2 - 1] + sorted[even / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let check = |values: &[f64], expected: f64| assert_eq!(median(values), expected, "{values:?}");
        check(&[3.0], 3.0);
        check(&[9.0, 1.0, 3.0], 3.0);
        check(&[4.0, 1.0], 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn what_counts() {
        let check = |wanted, values: &[f64], median: bool, every: bool| {
            let row = Row::new("x", Unit::Copies, wanted, values.to_vec());
            assert_eq!((row.is_reached(), row.every_run().is_reached()), (median, every), "{values:?}");
        };
        check(Wanted::AtMost(1.3), &[1.2, 1.3, 1.4], true, false);
        check(Wanted::AtMost(1.3), &[1.2, 1.3, 1.3], true, true);
        check(Wanted::Below(1.3), &[1.3], false, false);
        check(Wanted::AtLeast(0.96), &[0.97, 0.96, 0.9], true, false);
        check(Wanted::AtLeast(0.96), &[0.95, 0.95, 0.99], false, false);
        // Nothing measured is nothing reached.
        check(Wanted::AtMost(1.3), &[], false, false);
    }

    #[test]
    fn words() {
        let row = Row::new("copies", Unit::Copies, Wanted::AtMost(1.3), vec![1.084]).aim(1.1);
        assert_eq!(
            (row.wanted_text().as_str(), row.reached_text().as_str()),
            ("<= 1.30 copies (aim 1.10 copies)", "1.08 copies")
        );
        let check = |unit: Unit, value, expected: &str| assert_eq!(unit.show(value), expected);
        check(Unit::Seconds, 28.04, "28.0 s");
        check(Unit::Share, 0.0312, "3.1 %");
        check(Unit::Mebibytes, 209_715_200.0, "200.0 MiB");
        check(Unit::Kibibytes, 65_536.0, "64.0 KiB");
        check(Unit::Ratio, 1.05, "1.050 x");
        check(Unit::PerSecond, 35_000.4, "35000 /s");
    }
}
