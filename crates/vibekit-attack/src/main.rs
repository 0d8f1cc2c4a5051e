//! Tries to break out of the sandbox it runs in, and tells how that went.
//!
//! ```text
//! vibekit-attack <theme> [argument …]
//! ```
//!
//! Each attempt gives one line of JSON on standard output: `row` (of the table of threats in the project's
//! documentation), `probe` (what was tried), `outcome` (`ok` when it worked, else the name of the error or of the
//! signal that ended it; `unprobed` when it could not even be tried) and, where there is something to show, `detail`.
//! The last line has the probe `end` and the number of lines before it.
//!
//! The attempts are raw system calls and the program links nothing: what a missing tool, a wrapper or a preloaded
//! library does to an attack is no merit of the sandbox. Outside of a sandbox many of them work; a test asserts that,
//! because an attack that never works proves nothing. They are chosen to do no harm when they do.

#![cfg(target_os = "linux")]

mod change;
mod devices;
mod files;
mod hosts;
mod identity;
mod internet;
mod ipc;
mod kernel;
mod limits;
mod namespaces;
mod network;
mod overlay;
mod peers;
mod report;
mod sockets;
mod survive;
mod swap;
mod sys;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some((theme, rest)) = arguments.split_first() else {
        return ExitCode::from(64);
    };
    match theme.to_str().unwrap_or_default() {
        "read" => files::read(rest),
        "list" => files::list(rest),
        "write" => files::write(rest),
        "hardlink" => files::hardlink(rest),
        "modes" => files::modes(rest),
        "change-prepare" => change::prepare(rest),
        "change" => change::change(rest),
        "poke" => return change::poke(rest),
        "swap" => swap::swap(rest),
        "overlay" => overlay::overlay(rest),
        "mounts" => namespaces::mounts(),
        "namespaces" => namespaces::namespaces(),
        "identity" => identity::identity(),
        "descriptors" => identity::descriptors(),
        "environment" => identity::environment(),
        "devices" => devices::devices(),
        "terminal" => devices::terminal(),
        "kernel" => kernel::kernel(),
        "keys" => kernel::keys(rest),
        "arch" => kernel::arch(),
        "side-doors" => kernel::side_doors(),
        "signal" => peers::signal(rest),
        "peers" => peers::peers(rest),
        "proc" => peers::proc_files(rest),
        "needle" => peers::needle(rest),
        "sockets" => sockets::families(),
        "unix" => sockets::unix(rest),
        "ipc" => ipc::ipc(rest),
        "tcp" => network::tcp(rest),
        "udp" => network::udp(rest),
        "dns" => network::dns(rest),
        "proxy" => network::proxy(rest),
        "relay" => network::relay(rest),
        "serve" => network::serve(rest),
        "forks" => limits::forks(rest),
        "eat" => limits::eat(rest),
        "fill" => limits::fill(rest),
        "spin" => limits::spin(rest),
        "flood" => limits::flood(rest),
        "exhaust" => limits::exhaust(rest),
        "survive" => survive::survive(rest),
        "tick" => survive::tick(rest),
        "hold" => survive::hold(),
        "wrap" => return hosts::wrap(rest),
        _ => return ExitCode::from(64),
    }
    report::end();
    ExitCode::SUCCESS
}
