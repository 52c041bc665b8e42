//! The table for people.

use super::record::{Record, Verdict};

const HEADS: [&str; 5] = ["figure", "wanted", "reached", "reference", "verdict"];
/// Space between two columns.
const GAP: &str = "  ";

/// All records, aligned, with what is to be said of single ones below.
pub(super) fn table(records: &[Record]) -> String {
    let rows: Vec<[String; 5]> = records.iter().map(cells).collect();
    let mut widths = HEADS.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = line(&HEADS.map(str::to_owned), &widths);
    rows.iter().for_each(|row| text += &line(row, &widths));
    for record in
        records.iter().filter(|record| !record.notes.is_empty() || record.verdict == Verdict::Missed)
    {
        text += &format!("{}: ", name(record));
        record.notes.iter().for_each(|note| text += &format!("{note}; "));
        text += &format!("again: {}\n", record.repeat);
    }
    text
}

fn name(record: &Record) -> String {
    if record.measure.is_empty() {
        record.figure.to_owned()
    } else {
        format!("{}: {}", record.figure, record.measure)
    }
}

fn cells(record: &Record) -> [String; 5] {
    [
        name(record),
        record.wanted.clone(),
        record.reached.clone(),
        record.reference.clone(),
        record.verdict.name().to_owned(),
    ]
}

fn line(cells: &[String; 5], widths: &[usize; 5]) -> String {
    let padded: Vec<String> =
        cells.iter().zip(widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
    format!("{}\n", padded.join(GAP).trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::row::{Row, Unit, Wanted};

    #[test]
    fn columns_are_aligned_and_misses_told() {
        let good = Row::new("copies", Unit::Copies, Wanted::AtMost(1.3), vec![1.1]).beside("bound 1.00");
        let bad = Row::new("time", Unit::Seconds, Wanted::AtMost(31.0), vec![32.0]).note("machine-bound");
        let records = [
            Record::of("flash", &good),
            Record::of("flash", &bad.repeat("freshet-loadtest live flash")),
            Record::not_run("far", "root"),
        ];
        let expected = "\
figure         wanted          reached      reference   verdict
flash: copies  <= 1.30 copies  1.10 copies  bound 1.00  ok
flash: time    <= 31.0 s       32.0 s                   MISSED
far                            needs root               NOT RUN
flash: time: machine-bound; again: freshet-loadtest live flash
";
        assert_eq!(table(&records), expected);
    }
}
