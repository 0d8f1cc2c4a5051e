//! Init process of the embedded sandbox.
//!
//! Started by the host with a control socket as standard input and nothing else. It builds a session out of
//! namespaces and a private view of the file system, locks itself down, tells the host what it measured, and then
//! starts commands. Commands are its children and inherit the lock-down, so it holds no right they do not have.
//!
//! Single-threaded throughout: that is what makes `fork` sound here and unsound in the host.
//!
//! On Linux it starts without the standard library's runtime, which would ask the kernel twenty questions (guard pages,
//! signal stacks, whether the standard descriptors are open) that matter to no program of this kind.

#![cfg_attr(all(target_os = "linux", not(test)), no_main)]

#[cfg(target_os = "linux")]
mod attest;
#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
mod command;
#[cfg(target_os = "linux")]
mod failure;
#[cfg(target_os = "linux")]
mod freezer;
#[cfg(target_os = "linux")]
mod job;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod launch;
#[cfg(target_os = "linux")]
mod lockdown;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod processes;
#[cfg(target_os = "linux")]
mod root;
#[cfg(target_os = "linux")]
mod seccomp;
#[cfg(target_os = "linux")]
mod serve;
#[cfg(target_os = "linux")]
mod sys;

/// Called by the C library's start code.
#[cfg(all(target_os = "linux", not(test)))]
// SAFETY: no other symbol of this program has the name.
#[unsafe(no_mangle)]
extern "C" fn main() -> std::ffi::c_int {
    launch::main()
}

/// Of the test program, which has a main function of its own.
#[cfg(all(target_os = "linux", test))]
fn main() {
    launch::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    std::process::exit(78);
}
