//! A directory that is a link every other moment.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use crate::report::tell;
use crate::sys::{self, sys};

/// `swap NAME OTHER MILLISECONDS`: exchanges two names as fast as the kernel can, for whoever looks from outside.
pub(crate) fn swap(arguments: &[OsString]) {
    let [one, other, duration] = arguments else { return };
    let duration = duration.to_str().and_then(|text| text.parse().ok()).unwrap_or(1000);
    let (one, other) = (sys::cstring(one), sys::cstring(other));
    let begun = Instant::now();
    let mut swaps = 0_u64;
    let mut outcome = Ok(());
    while begun.elapsed() < Duration::from_millis(duration) && outcome.is_ok() {
        outcome = sys!(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            one.as_c_str(),
            libc::AT_FDCWD,
            other.as_c_str(),
            libc::RENAME_EXCHANGE,
        )
        .map(|_| swaps += 1);
    }
    tell(8, "swap", outcome.map(|()| swaps));
}
