//! The checks, by what they are about.

mod commands;
mod files;
mod input;
mod life;
mod output;
mod stopping;

use std::pin::Pin;

use super::Need;
use super::trial::{Trial, Verdict};

type Work<'t> = Pin<Box<dyn Future<Output = Verdict> + Send + 't>>;
type Run = for<'t> fn(&'t Trial<'t>) -> Work<'t>;

/// One thing a provider has to do.
pub(crate) struct Check {
    /// Stable name.
    pub(crate) name: &'static str,
    /// What it is that the provider has to do.
    pub(crate) what: &'static str,
    /// The capability without which it need not.
    pub(crate) needs: Option<Need>,
    /// Tries it.
    pub(crate) run: Run,
    /// Tries that a provider without the capability refuses it.
    pub(crate) refused: Option<Run>,
}

/// `check!("name", "sentence", function)`, with a capability `needs field`, and with a check of the refusal `else function`.
macro_rules! check {
    ($name:literal, $what:literal, $run:path $(, needs $need:ident $(else $refused:path)?)?) => {
        $crate::conformance::checks::Check {
            name: $name,
            what: $what,
            needs: $crate::conformance::checks::optional!(
                $($crate::conformance::Need { name: stringify!($need), had: |can| can.$need })?
            ),
            run: |trial| Box::pin($run(trial)),
            refused: $crate::conformance::checks::optional!($($(|trial| Box::pin($refused(trial)))?)?),
        }
    };
}
macro_rules! optional {
    () => {
        None
    };
    ($($value:tt)+) => {
        Some($($value)+)
    };
}
pub(crate) use {check, optional};

/// Every check, simple ones first.
pub(crate) fn all() -> impl Iterator<Item = &'static Check> {
    [life::FIRST, commands::ALL, output::ALL, input::ALL, stopping::ALL, files::ALL, life::ALL]
        .into_iter()
        .flatten()
}
