//! The helper program and how it is started.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

use crate::fail::errno;

/// The program, built by `build.rs`.
static PROGRAM: &[u8] = include_bytes!(env!("VIBEKIT_SANDBOXD_FILE"));

/// What `/proc` shows inside as the name of PID 1.
const NAME: &str = "vibekit-sandboxd";

/// `MFD_EXEC` of kernel 6.3.
const EXECUTABLE: MemfdFlags = MemfdFlags::from_bits_retain(0x10);

/// Starts the helper with `control` as its standard input, no environment and nothing else.
///
/// No `pre_exec`, no change of user: so the standard library uses `posix_spawn`, which neither copies the host's page
/// tables nor runs code of ours between fork and exec in a process with threads.
pub(crate) fn start(control: OwnedFd) -> Result<Child, Errno> {
    let program = program()?;
    Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
        .arg0(NAME)
        .env_clear()
        .stdin(Stdio::from(control))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| errno(&error))
}

/// The program in a sealed memory file: nothing has to be found on disk, and nobody, root inside included, can write
/// to the running program through `/proc`.
pub(crate) fn program() -> Result<&'static OwnedFd, Errno> {
    static FILE: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(file) = FILE.get() {
        return Ok(file);
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = match memfd_create(NAME, flags | EXECUTABLE) {
        // Kernels before 6.3 do not know the flag, and need none.
        Err(Errno::INVAL) => memfd_create(NAME, flags)?,
        other => other?,
    };
    let mut rest = PROGRAM;
    while !rest.is_empty() {
        match rustix::io::write(&file, rest) {
            Ok(n) => rest = rest.get(n..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(FILE.get_or_init(|| file))
}
