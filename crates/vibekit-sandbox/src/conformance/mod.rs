//! The conformance suite: what every provider does, found out by trying.
//!
//! A provider's tests implement [`Harness`] and call [`run`]. Each check opens sandboxes of its own, ends them, and then
//! asks the harness what is left behind: nothing may be. What a provider does not have it declares in its
//! [`Capabilities`]; the suite then only checks that it says so (`UNSUPPORTED`) instead of pretending.
//!
//! Inside a sandbox the suite needs a POSIX `sh` and `cat`, `head`, `mkdir`, `sleep`, `sort`, `tr` and `wc`.

mod checks;
mod report;
mod trial;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
pub use report::{Outcome, Report, Row};

use crate::conformance::checks::Check;
use crate::conformance::trial::{Failure, Trial};
use crate::{Capabilities, Command, Provider, Result};

/// What the suite needs to know of a provider's world.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A new provider object over the same world, as another process would make it: nothing in memory is shared with
    /// the ones made before.
    ///
    /// # Errors
    /// What making it fails with; fails the check that asked.
    fn provider(&self) -> Result<Arc<dyn Provider>>;

    /// One line for each thing that providers of this harness made and that is still there: containers, sessions,
    /// processes, connections, volumes. The suite waits until it is empty.
    ///
    /// # Errors
    /// When it cannot be told; fails the check.
    async fn leftovers(&self) -> Result<Vec<String>>;

    /// Destroys a sandbox behind the provider's back, as an operator would. `false` if this harness cannot.
    ///
    /// # Errors
    /// When it went wrong; fails the check.
    async fn take_away(&self, id: &str) -> Result<bool> {
        let _ = id;
        Ok(false)
    }

    /// A port and a command that, run in a sandbox, answers every connection to it with the line `conformance`. Without
    /// one the suite checks that a port has a name, not that it can be reached.
    fn server(&self) -> Option<(u16, Command)> {
        None
    }

    /// How many sandboxes are opened at once.
    fn sandboxes_at_once(&self) -> usize {
        50
    }

    /// How long anything may take that is expected to happen.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }
}

/// Runs every check, one after the other, and says how each ended.
pub async fn run(harness: &dyn Harness) -> Report {
    run_some(harness, |_| true).await
}

/// Runs the checks whose names `wanted` picks.
pub async fn run_some(harness: &dyn Harness, wanted: impl Fn(&str) -> bool) -> Report {
    let mut report = Report::default();
    match harness.provider() {
        Ok(provider) => {
            report.provider = provider.name().to_owned();
            report.capabilities = Some(provider.capabilities());
        }
        Err(error) => {
            let outcome = Outcome::Failed(format!("The provider could not be made: {}", error.message));
            report.rows.push(Row { check: "create", what: "A provider is made", outcome, ms: 0 });
            return report;
        }
    }
    for check in checks::all().filter(|check| wanted(check.name)) {
        let begin = Instant::now();
        let outcome = outcome(harness, check).await;
        let ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        report.rows.push(Row { check: check.name, what: check.what, outcome, ms });
    }
    report
}

/// Names and sentences of all checks, in the order in which they run.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    checks::all().map(|check| (check.name, check.what))
}

async fn outcome(harness: &dyn Harness, check: &Check) -> Outcome {
    let trial = match Trial::new(harness) {
        Ok(trial) => trial,
        Err(failure) => return failure.into(),
    };
    let lacking = check.needs.as_ref().filter(|need| !(need.had)(&trial.can));
    let work = match (lacking, check.refused) {
        (None, _) => (check.run)(&trial),
        (Some(_), Some(refused)) => refused(&trial),
        (Some(need), None) => return Outcome::Unsupported(need.declared()),
    };
    // Many waits in a row, each with a limit of its own.
    let limit = harness.patience() * 10;
    let done = tokio::time::timeout(limit, work).await;
    let clean = trial.clean().await;
    match done {
        Err(_) => Outcome::Failed(format!("It did not end within {} s", limit.as_secs())),
        Ok(Err(failure)) => failure.into(),
        Ok(Ok(())) => match (clean, lacking) {
            (Err(failure), _) => failure.into(),
            (Ok(()), Some(need)) => Outcome::Unsupported(need.declared()),
            (Ok(()), None) => Outcome::Passed,
        },
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Broken(sentence) => Self::Failed(sentence),
            Failure::Untried(reason) => Self::Unsupported(reason),
        }
    }
}

/// A capability a check needs.
pub(crate) struct Need {
    name: &'static str,
    had: fn(&Capabilities) -> bool,
}

impl Need {
    fn declared(&self) -> String {
        format!("declared: no {}", self.name)
    }
}
