//! Failures with the step they happened in.

use rustix::io::Errno;
use vibekit_sandboxd_wire::{Failure, Step};

/// Result of a step.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Names the step and the thing that failed.
pub(crate) trait At<T> {
    /// Turns an errno into a [`Failure`].
    fn at(self, step: Step, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> At<T> for std::result::Result<T, Errno> {
    fn at(self, step: Step, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno| Failure { step, errno: errno.raw_os_error(), what: what() })
    }
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, step: Step, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure { step, errno: error.raw_os_error().unwrap_or(0), what: what() })
    }
}
