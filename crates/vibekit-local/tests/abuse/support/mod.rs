//! What the attacks are made with.

mod again;
mod attack;
mod cage;
pub(crate) mod host;
pub(crate) mod internet;
mod report;
mod world;

pub(crate) use again::{Caller, Place, run};
pub(crate) use attack::{VARIABLE as ATTACK, path as attack_path};
pub(crate) use cage::{Cage, Running};
pub(crate) use report::Report;
pub(crate) use world::{SECRETS, World, provider, request};

/// How long anything may take that should take no time.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// One attack as two tests: `caller`, as whoever runs the tests, and `unprivileged`, as an ordinary user.
macro_rules! attack {
    ($(#[$attribute:meta])* $name:ident, $body:expr) => {
        attack!($(#[$attribute])* $name in Host, $body);
    };
    ($(#[$attribute:meta])* $name:ident in $place:ident, $body:expr) => {
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports, reason = "not every attack uses all of its file's names")]
            use super::*;

            #[test]
            fn caller() {
                use crate::support::{Caller, Place, run};
                run(concat!(module_path!(), "::caller"), Caller::Same, Place::$place, || async { $body.await });
            }

            #[test]
            fn unprivileged() {
                use crate::support::{Caller, Place, run};
                run(concat!(module_path!(), "::unprivileged"), Caller::Nobody, Place::$place, || async { $body.await });
            }
        }
    };
}

/// Looks until it is so, for at most two seconds.
pub(crate) fn eventually(what: &str, so: impl Fn() -> bool) {
    eventually_within(std::time::Duration::from_secs(2), what, so);
}

/// Looks until it is so.
pub(crate) fn eventually_within(limit: std::time::Duration, what: &str, so: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !so() {
        assert!(begun.elapsed() < limit, "{what}: still not so after {limit:?}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
