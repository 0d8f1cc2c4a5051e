//! The whole gateway over real sockets. The internet of these tests is 127.0.1.0/24, addresses for names come from
//! 127.18.0.0/15, and 127.0.0.1 is the host that must not be reached.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bounds;
mod direct;
mod lookups;
mod proxies;
mod world;
