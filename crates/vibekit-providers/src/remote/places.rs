//! Where a path of the user's is in a sandbox.

use std::future::Future;

use vibekit_sandbox::{Error, Result};

use super::script::WORKING_DIRECTORY;

/// The line that asks a sandbox for what [`full_path`] needs to know: home and working directory.
pub(crate) fn places() -> String {
    format!("echo \"$HOME\"; echo \"${{{WORKING_DIRECTORY}:-}}\"")
}

/// A file's path from the root. `told` is what [`places`] printed, waited for only by paths that need it; `directory` is the
/// working directory where the sandbox names none.
pub(crate) async fn full_path<'a>(
    path: &str,
    directory: &str,
    told: impl Future<Output = Result<&'a str>>,
) -> Result<String> {
    if path.starts_with('/') {
        return Ok(path.to_owned());
    }
    let mut lines = told.await?.lines();
    let home = lines.next().filter(|home| home.starts_with('/')).unwrap_or("/root");
    let directory = lines.next().filter(|told| told.starts_with('/')).unwrap_or(directory);
    let (base, rest) = match path.strip_prefix("$HOME/").or_else(|| path.strip_prefix("~/")) {
        Some(rest) => (home, rest),
        None => (directory, path),
    };
    Ok(format!("{}/{rest}", base.trim_end_matches('/')))
}

/// # Errors
/// For a path no file can have.
pub(crate) fn check_path(path: &str) -> Result<()> {
    if path.contains('\0') {
        return Err(Error::invalid("path", "holds a NUL character", "No file is called so."));
    }
    Ok(())
}
