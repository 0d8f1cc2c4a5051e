//! Errors of the operating system in the vocabulary of the workspace.

use std::path::Path;

use rustix::io::Errno;
use vibekit_core::{Code, Error};

/// A failure at a file of the state directory.
pub(crate) fn state(path: &Path, doing: &str, errno: Errno) -> Error {
    let code = match errno {
        Errno::NOSPC | Errno::DQUOT => Code::DiskFull,
        _ => Code::StateUnwritable,
    };
    let hint = match code {
        Code::DiskFull => "Free space on that file system.",
        _ => "Set VIBEKIT_HOME to a directory this user can write to.",
    };
    Error::new(code, format!("{doing} {} failed: {}", path.display(), text(errno)))
        .with_hint(hint)
        .with("errno", errno.raw_os_error())
}

/// A failure of something that has no name of its own.
pub(crate) fn internal(doing: &str, errno: Errno) -> Error {
    Error::new(Code::Internal, format!("{doing} failed: {}", text(errno))).with("errno", errno.raw_os_error())
}

/// The errno of a standard library error.
pub(crate) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// The kernel's words without the number.
pub(crate) fn text(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
