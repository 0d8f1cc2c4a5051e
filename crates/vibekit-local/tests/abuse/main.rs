//! Attacks on the embedded sandbox.
//!
//! Each test is one or more rows of the project's table of threats (the numbers in brackets). An attack is made by
//! `vibekit-attack`, a static program that asks the kernel directly; a test passes only if the *effect* is absent,
//! which is looked at from the host wherever it would show there, and only if every attempt was really made. That the
//! attempts work where no sandbox is, is what the attack's own tests show.
//!
//! Every test exists twice: as whoever runs the tests, and as an ordinary user. Those that need a network, or a host
//! that is poorer than this one, start themselves again in namespaces of their own, so nothing reaches beyond.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

#[macro_use]
mod support;

mod commands;
mod control_socket;
mod environment;
mod host_files;
mod ipc;
mod leftovers;
mod limits;
mod network;
mod processes;
mod read_only;
mod refusal;
mod secrets;
mod session_ids;
mod side_doors;
mod storms;
mod syscalls;
mod workspace;
