//! The asynchronous driver: carries out the actions of a session machine over a native provider, on tokio.
//!
//! [`Driver`] owns one machine and everything done for it: the open sandbox, the runs, the timers. [`solo`] runs
//! single operations on a sandbox without a machine, for callers that use a provider on its own. Both report to a
//! [`Sink`], one per operation, in order, and exactly once at the end.
//!
//! [`Stepped`] is the other driver's half that is not JavaScript: a machine with clock and timers.

mod clock;
mod driver;
mod guard;
mod keep;
mod run;
mod sink;
pub mod solo;
mod stepped;

pub use driver::{Driver, Provision};
pub use guard::guarded;
pub use sink::Sink;
pub use stepped::{Stepped, Timers};
