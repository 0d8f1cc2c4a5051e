//! The simulator and doubles for the tests of vibekit-native.

#![forbid(unsafe_code)]

pub mod doubles;
mod rng;
pub mod simulator;

pub use rng::Rng;
