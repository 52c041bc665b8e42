//! Reading a report back.

use std::path::{Path, PathBuf};

use super::{REPORT_SCHEMA, Report};

/// Why a file is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file cannot be read.
    #[error("cannot read the report {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It holds something else.
    #[error("{} is not a report of this program: {error}; write one with sim --out or live --out", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        error: serde_json::Error,
    },
    /// It was written by another version.
    #[error("the report {} has schema {found}, this program reads {REPORT_SCHEMA}: run the plan again", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
    },
}

/// Reads a report that `sim` or `live` wrote.
///
/// # Errors
/// [`ReportError`] says which file, and what is wrong with it.
pub fn read_report(path: &Path) -> Result<Report, ReportError> {
    let bytes =
        std::fs::read(path).map_err(|error| ReportError::Unreadable { path: path.to_owned(), error })?;
    let report: Report = serde_json::from_slice(&bytes)
        .map_err(|error| ReportError::Malformed { path: path.to_owned(), error })?;
    match report.schema {
        REPORT_SCHEMA => Ok(report),
        found => Err(ReportError::Schema { path: path.to_owned(), found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::read_plan;
    use crate::sim::{Options, simulate};

    #[test]
    fn only_own_reports_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("report.json");
        let mut report = Report::of(
            simulate(&read_plan("tiny", &[]).expect("built in"), Options::default()).expect("known"),
        );
        let check = |bytes: &[u8], expected: Result<(), &str>| {
            std::fs::write(&path, bytes).expect("written");
            match (read_report(&path), expected) {
                (Ok(_), Ok(())) => {}
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (found, _) => panic!("{found:?} is not {expected:?}"),
            }
        };
        check(&serde_json::to_vec(&report).expect("JSON"), Ok(()));
        check(b"{}", Err("is not a report"));
        report.schema = REPORT_SCHEMA + 1;
        check(&serde_json::to_vec(&report).expect("JSON"), Err("has schema 2"));
        assert!(matches!(read_report(folder.path()), Err(ReportError::Unreadable { .. })));
    }
}
