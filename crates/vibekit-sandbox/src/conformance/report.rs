//! What a run of the suite found.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::Capabilities;

/// How one check ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "why", rename_all = "camelCase")]
pub enum Outcome {
    /// The provider does it.
    Passed,
    /// The provider has declared that it does not, and refuses it with the right code; or the harness cannot try it.
    Unsupported(String),
    /// It does not do what it should; the sentence says what was seen.
    Failed(String),
}

/// One check's result.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Stable name.
    pub check: &'static str,
    /// What the provider has to do.
    pub what: &'static str,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Milliseconds it took.
    pub ms: u64,
}

/// All checks of one provider.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The provider's name.
    pub provider: String,
    /// What it declares; `None` if it could not be made.
    pub capabilities: Option<Capabilities>,
    /// The results, in the order in which the checks ran.
    pub rows: Vec<Row>,
}

/// Where [`Report::conclude`] writes reports, if it is set.
const FOLDER: &str = "VIBEKIT_CONFORMANCE_DIR";

impl Report {
    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.rows.iter().filter_map(|row| match &row.outcome {
            Outcome::Failed(why) => Some((row.check, why.as_str())),
            Outcome::Passed | Outcome::Unsupported(_) => None,
        })
    }

    /// For the end of a test: writes the report into the folder the environment variable `VIBEKIT_CONFORMANCE_DIR` names
    /// (`npm run conformance` makes the table from there), and panics with the whole table if any check failed.
    ///
    /// # Panics
    /// If a check failed or the report cannot be written.
    pub fn conclude(&self) {
        if let Some(folder) = std::env::var_os(FOLDER) {
            let file = Path::new(&folder).join(format!("{}.json", self.provider));
            let text = serde_json::to_string_pretty(self).unwrap_or_else(|error| panic!("{error}"));
            std::fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        }
        assert!(self.failures().next().is_none(), "{self}");
        assert!(!self.rows.is_empty(), "no check was run");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:", self.provider)?;
        for row in &self.rows {
            let (word, why) = match &row.outcome {
                Outcome::Passed => ("passed", ""),
                Outcome::Unsupported(why) => ("unsupported", why.as_str()),
                Outcome::Failed(why) => ("FAILED", why.as_str()),
            };
            writeln!(f, "  {:<20} {word:<12} {:>7} ms  {why}", row.check, row.ms)?;
        }
        Ok(())
    }
}
