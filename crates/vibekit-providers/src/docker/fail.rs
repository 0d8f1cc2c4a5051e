//! What the engine answers, as failures with a field and a remedy.

use vibekit_sandbox::{Code, Error};

pub(crate) const START: &str = "Start an engine (`systemctl start docker`, Docker Desktop, or `systemctl --user start podman.socket`), \
     or say where it is with DOCKER_HOST.";

/// Longest text of an engine that is passed on.
const LONGEST: usize = 600;

/// Status and text of an answer, if it was one.
pub(crate) fn answer(error: &bollard::errors::Error) -> Option<(u16, &str)> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, message } => {
            Some((*status_code, message.as_str()))
        }
        _ => None,
    }
}

/// True when the engine says that there is no such thing.
pub(crate) fn missing(error: &bollard::errors::Error) -> bool {
    answer(error).is_some_and(|(status, _)| status == 404)
}

/// Any failure while `doing` something; the callers know more about some.
pub(crate) fn failed(doing: &str, path: &str, error: &bollard::errors::Error) -> Error {
    match answer(error) {
        Some((_, text)) if text.contains("no space left on device") => {
            Error::new(Code::DiskFull, format!("{doing} failed: the engine's disk is full"))
                .with_hint("Make room where the engine keeps its data: `docker system prune`.")
        }
        Some((409, text)) if text.contains("is paused") => paused(),
        Some((status, text)) => Error::new(Code::ProviderFailed, format!("{doing} failed: {}", short(text)))
            .with("status", status),
        None if matches!(error, bollard::errors::Error::RequestTimeoutError) => {
            Error::new(Code::Timeout, format!("{doing} took too long")).retryable()
        }
        None => {
            let (text, refused) = chain(error);
            let error = Error::new(Code::ProviderFailed, format!("{doing} failed: {text}"));
            if refused {
                error.with_field(format!("{path}.host")).with_hint(START).retryable()
            } else {
                error
            }
        }
    }
}

/// True when the engine hung up without a goodbye.
pub(crate) fn reset(error: &bollard::errors::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error, bollard::errors::Error::IOError { err } if matches!(err.kind(), ConnectionReset | BrokenPipe))
}

/// The innermost cause says what happened; the flag says whether the engine was not reached at all.
fn chain(error: &bollard::errors::Error) -> (String, bool) {
    // This one stands for its cause, and does not give it as its source.
    let mut cause: &dyn std::error::Error = match error {
        bollard::errors::Error::IOError { err } => err,
        error => error,
    };
    let mut refused = false;
    loop {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
            refused |= matches!(io.kind(), ConnectionRefused | NotFound | PermissionDenied);
        }
        match cause.source() {
            Some(source) => cause = source,
            None => return (short(&cause.to_string()), refused),
        }
    }
}

fn short(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The socket cannot even be looked at.
pub(crate) fn no_socket(address: &str, field: &str, error: &std::io::Error) -> Error {
    let message = format!("There is no container engine at {address}: {error}");
    Error::new(Code::ProviderFailed, message).with_field(field).with_hint(START)
}

/// The engine did not answer.
pub(crate) fn unreachable(address: &str, field: &str, error: &bollard::errors::Error) -> Error {
    let (text, _) = chain(error);
    let denied = text.contains("denied");
    let hint = if denied {
        "This user may not use the engine: join the group `docker` (it amounts to being root), or use a rootless engine."
    } else {
        START
    };
    Error::new(Code::ProviderFailed, format!("The container engine at {address} cannot be reached: {text}"))
        .with_field(field)
        .with_hint(hint)
        .retryable()
}

pub(crate) fn paused() -> Error {
    Error::new(Code::SandboxPaused, "The sandbox is paused").with_hint("Resume it first.")
}

pub(crate) fn killed() -> Error {
    Error::new(Code::SandboxKilled, "The sandbox was killed")
}

pub(crate) fn lost(why: &str) -> Error {
    Error::new(Code::SandboxLost, format!("The sandbox is gone: {why}"))
        .with_hint("Resume the session if its container is still there, or make a new one.")
}

pub(crate) fn not_found(id: &str) -> Error {
    Error::new(Code::SessionNotFound, format!("There is no session {id:?} in this container engine"))
        .with_hint("It was killed, or lives in another engine; make a new session.")
        .with("sessionId", id)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{Error as Io, ErrorKind};

    use bollard::errors::Error as Told;

    use super::*;

    fn told(status_code: u16, message: &str) -> Told {
        Told::DockerResponseServerError { status_code, message: message.to_owned() }
    }

    #[test]
    fn answers_of_engines_have_codes_and_remedies() {
        for (answer, code) in [
            (told(500, "write /x: no space left on device"), Code::DiskFull),
            (told(409, "Container a is paused, unpause the container before exec"), Code::SandboxPaused),
            (told(500, "anything else"), Code::ProviderFailed),
            (Told::RequestTimeoutError, Code::Timeout),
        ] {
            assert_eq!(failed("It", "environment.docker", &answer).code, code, "{answer}");
        }
        let long = failed("It", "p", &told(500, &"ü".repeat(5000)));
        assert!(long.message.chars().count() < 700);
    }

    #[test]
    fn a_socket_without_the_right_to_it_is_told_from_one_that_is_not_there() {
        let field = "environment.docker.host";
        let told = |kind| Told::IOError { err: Io::from(kind) };
        let denied = unreachable("unix:///s", field, &told(ErrorKind::PermissionDenied));
        assert!(denied.hint.unwrap().contains("group `docker`"));
        let refused = failed("It", "environment.docker", &told(ErrorKind::ConnectionRefused));
        assert_eq!((refused.field.as_deref(), refused.hint.as_deref()), (Some(field), Some(START)));
    }
}
