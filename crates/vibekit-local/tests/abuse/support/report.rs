//! What the attack tells.

use serde_json::Value;

/// One attempt.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Row of the table of threats.
    pub(crate) row: u64,
    /// What was tried.
    pub(crate) probe: String,
    /// `ok` or why not.
    pub(crate) outcome: String,
    /// What was seen.
    pub(crate) detail: String,
}

impl Line {
    /// True when the attempt worked.
    pub(crate) fn worked(&self) -> bool {
        self.outcome == "ok"
    }
}

/// A whole, complete run.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    lines: Vec<Line>,
}

/// The errors that mean "you may not" or "there is no such call", as opposed to "you did it wrong".
const REFUSALS: [&str; 4] = ["EPERM", "ENOSYS", "EACCES", "SIGSYS"];

impl Report {
    /// Reads the output of a run; every attempt must have been made and every line must be there.
    #[track_caller]
    pub(crate) fn parse(output: &str) -> Self {
        let mut lines = Vec::new();
        let mut end = None;
        for text in output.lines() {
            let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
            let part = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
            let line = Line {
                row: value["row"].as_u64().unwrap_or_default(),
                probe: part("probe"),
                outcome: part("outcome"),
                detail: part("detail"),
            };
            match line.probe.as_str() {
                "end" => end = line.detail.parse().ok(),
                _ => lines.push(line),
            }
        }
        assert_eq!(end, Some(lines.len()), "the report is not whole:\n{output}");
        for line in &lines {
            assert_ne!(line.outcome, "unprobed", "{line:?}");
        }
        Self { lines }
    }

    /// All attempts.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// One attempt.
    #[track_caller]
    pub(crate) fn line(&self, probe: &str) -> &Line {
        let line = self.lines.iter().find(|line| line.probe == probe);
        line.unwrap_or_else(|| panic!("no probe {probe:?} in {self:#?}"))
    }

    /// No attempt of a row worked, and there were some.
    #[track_caller]
    pub(crate) fn none_worked(&self, row: u64) {
        self.none_worked_but(row, &[]);
    }

    /// No attempt of a row worked, but for those named, which are harmless.
    #[track_caller]
    pub(crate) fn none_worked_but(&self, row: u64, harmless: &[&str]) {
        let worked: Vec<_> = self
            .of(row)
            .filter(|line| line.worked() && !harmless.iter().any(|start| line.probe.starts_with(start)))
            .collect();
        assert!(worked.is_empty(), "these worked: {worked:#?}");
    }

    /// Every attempt of a row was refused by right, not because the arguments were wrong.
    #[track_caller]
    pub(crate) fn all_refused(&self, row: u64) {
        self.all_refused_or(row, &[]);
    }

    /// As [`Report::all_refused`], with further errors that are as good.
    #[track_caller]
    pub(crate) fn all_refused_or(&self, row: u64, further: &[&str]) {
        let refused = |line: &&Line| {
            let outcome = line.outcome.as_str();
            !REFUSALS.contains(&outcome) && !further.contains(&outcome)
        };
        let others: Vec<_> = self.of(row).filter(refused).collect();
        assert!(others.is_empty(), "these were not refused: {others:#?}");
    }

    #[track_caller]
    fn of(&self, row: u64) -> impl Iterator<Item = &Line> {
        assert!(self.lines.iter().any(|line| line.row == row), "nothing of row {row} in {self:#?}");
        self.lines.iter().filter(move |line| line.row == row)
    }

    /// Nothing that was seen holds this text.
    #[track_caller]
    pub(crate) fn never_shows(&self, text: &str) {
        let showing: Vec<_> = self.lines.iter().filter(|line| line.detail.contains(text)).collect();
        assert!(showing.is_empty(), "{text:?} was seen: {showing:#?}");
    }
}
