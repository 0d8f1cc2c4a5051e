//! Random histories of a VibeKit object in a world that goes wrong, in virtual time.
//!
//! A seed decides everything: which calls the user makes and when, how long every answer takes, which answers are
//! failures, late or never come, where output is cut, when a sandbox dies. The [`Machine`](vibekit_core::Machine) is driven as
//! the real drivers drive it; after every step an observer that knows nothing of the machine's inside checks what must
//! hold ([`check`]):
//!
//! * every call settles exactly once, and nothing is emitted for it afterwards;
//! * no call is left when nothing can happen any more, and each settles within the limits on waiting;
//! * at most one sandbox takes new work; a call never changes sandboxes, and never gets one that was left before it came;
//! * actions name sandboxes and runs that exist;
//! * a token for GitHub is in no message, no error and no request outside of its header;
//! * the session id is what the `Session` actions said, and never one of a sandbox known to be killed;
//! * a kill that succeeded has killed;
//! * an agent's turn ends with exactly one `finished` event, and event numbers of a session never repeat;
//! * in the end every sandbox that is alive is in use, or was released and its id told to the user.

mod check;
mod subject;
mod user;
mod world;

pub use check::Broken;
pub use subject::Subject;
pub use world::{Flavour, Outcome, simulate, simulate_with};
