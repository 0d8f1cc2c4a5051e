//! What can be told to be wrong without asking anybody.

use vibekit_core::Command;
use vibekit_sandbox::{Error, Program, Result};

fn nul(field: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::invalid(field, "holds a NUL character", "No program can be given one."));
    }
    Ok(())
}

/// Names a shell can export: what has none there cannot be given to a command that a shell starts.
pub(crate) fn check_env(env: &[(String, String)]) -> Result<()> {
    for (name, value) in env {
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            // The name is not repeated: something that is none may be a value in the wrong place.
            return Err(Error::invalid(
                "env",
                "has a name that is not made of letters, digits and _",
                "Rename it; this provider's commands are started by a shell.",
            ));
        }
        nul(&format!("env.{name}"), value)?;
    }
    Ok(())
}

/// A command's texts.
pub(crate) fn check_command(command: &Command) -> Result<()> {
    if command.read_only {
        // A shell elsewhere has no means to see to it.
        return Err(Command::read_only_refusal());
    }
    match &command.program {
        Program::Shell(line) => nul("command", line)?,
        Program::Exec { program, args } => {
            if program.is_empty() {
                return Err(Error::invalid("program", "is empty", "Name a program."));
            }
            nul("program", program)?;
            args.iter().try_for_each(|arg| nul("args", arg))?;
        }
    }
    check_env(&command.env)?;
    command.cwd.as_deref().map_or(Ok(()), |cwd| nul("cwd", cwd))
}

/// Directories of the system, in which nobody works.
const RESERVED: [&str; 8] = ["/proc", "/sys", "/dev", "/etc", "/bin", "/sbin", "/lib", "/boot"];

/// The directory a sandbox's commands start in.
pub(crate) fn check_working_directory(path: &str) -> Result<()> {
    let problem = if !path.starts_with('/') {
        "is not absolute"
    } else if path.contains(['\0', '\n']) || path.len() > 1024 {
        "holds a character no directory name should have, or is too long"
    } else if path == "/" || path.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
        "is not a plain path below /"
    } else if RESERVED
        .iter()
        .any(|top| path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    {
        "lies in a directory of the system"
    } else {
        return Ok(());
    };
    Err(Error::invalid("workingDirectory", problem, "Give an absolute path such as /vibe0."))
}

/// An id goes into paths of requests.
pub(crate) fn check_id(id: &str) -> Result<()> {
    let fine = !id.is_empty()
        && id.len() <= 128
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if fine {
        return Ok(());
    }
    Err(Error::invalid(
        "sandboxId",
        "is not the id of a sandbox",
        "Pass the `sandboxId` of a sandbox created before.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_a_shell_can_export_are_taken() {
        let env = |name: &str| check_env(&[(name.to_owned(), "value".to_owned())]);
        for name in ["A", "_a1", "API_KEY"] {
            assert_eq!(env(name), Ok(()), "{name}");
        }
        for name in ["", "1A", "A-B", "A=B", "A B", "A\0"] {
            assert!(env(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn working_directories() {
        for good in ["/vibe0", "/var/vibe0", "/home/user/project", "/tmp/x", "/srv/a b", "/etcetera"] {
            assert_eq!(check_working_directory(good), Ok(()), "{good}");
        }
        for bad in ["", "vibe0", "/", "/a/../b", "/a//b", "/a/", "/proc/1", "/etc", "/a\0", "/a\nb"] {
            assert!(check_working_directory(bad).is_err(), "{bad:?}");
        }
    }
}
