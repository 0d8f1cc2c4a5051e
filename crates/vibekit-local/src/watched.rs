//! Descriptors the runtime waits for.

use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use vibekit_core::Result;

use crate::fail;

/// Registers a non-blocking descriptor with the runtime.
pub(crate) fn watched(fd: OwnedFd, interest: Interest) -> Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` always gives the same, open descriptor until it is dropped, and the `AsyncFd` owns it.
    let registered = unsafe { AsyncFd::register_with_interest(fd, interest) };
    registered.map_err(|error| {
        let (_, error) = error.into_parts();
        fail::internal("Watching a descriptor", fail::errno(&error))
    })
}

/// As [`watched`], for both directions.
pub(crate) fn watched_both(fd: OwnedFd) -> Result<AsyncFd<OwnedFd>> {
    watched(fd, Interest::READABLE | Interest::WRITABLE)
}
