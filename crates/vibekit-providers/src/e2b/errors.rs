//! What the service answers, as errors with a remedy.

use vibekit_core::Admitted;
use vibekit_http::{Failure, Response, StatusCode, in_doubt, retry_after};
use vibekit_sandbox::{Code, Error};

use super::codec::Failed;

/// Characters of a service's sentence that are repeated.
const LONGEST: usize = 300;
const WHO: &str = "E2B";

/// What a refused request was about.
#[derive(Clone, Copy, Debug)]
pub(super) enum About<'a> {
    /// A new sandbox from this template. `path` is how the user reaches the options.
    Create { template: &'a str, path: &'a str },
    /// A sandbox there should be.
    Sandbox(&'a str),
    /// A file in it.
    File(&'a str),
}

/// The sentence of an answer: the `message` of its JSON. Pages for browsers are not repeated.
pub(super) fn sentence(response: &Response) -> String {
    let told = response.json().and_then(|body| body["message"].as_str().map(str::to_owned));
    shorten(told.as_deref().unwrap_or_default())
}

fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Whether a 404, 405 or 400 says that the server has no such route, rather than no such thing.
pub(super) fn is_no_route(response: &Response) -> bool {
    if !matches!(response.status.as_u16(), 400 | 404 | 405) {
        return false;
    }
    if response.status == StatusCode::METHOD_NOT_ALLOWED {
        return true;
    }
    let message = sentence(response).to_lowercase();
    message.contains("no matching operation")
        || message.contains("method not allowed")
        // A server that does not speak of sandboxes or templates answered with its own page.
        || (response.status == StatusCode::NOT_FOUND && message.is_empty())
}

/// The most hours a refusal allows (`Timeout cannot be greater than 1 hours`).
pub(super) fn most_hours(response: &Response) -> Option<u64> {
    let message = sentence(response);
    let rest = message.split("cannot be greater than ").nth(1)?;
    (response.status == StatusCode::BAD_REQUEST && rest.contains("hour")).then_some(())?;
    rest.split_whitespace().next()?.parse().ok().filter(|hours| *hours > 0)
}

/// The sandbox is not there any more, or cannot be reached for good.
pub(super) fn gone(id: &str) -> Error {
    Error::new(Code::SandboxLost, format!("{WHO}: the sandbox {id} is not running any more."))
        .with_hint("It was killed, or reached the end of its lifetime. Without a session the next call makes a new one.")
        .with("sandboxId", id)
}

/// Something on the way to it answered in its place.
pub(super) fn unreachable(id: &str) -> Error {
    let mut error =
        Error::new(Code::ProviderFailed, format!("{WHO}: the sandbox {id} cannot be reached at the moment."))
            .with_hint("Try again in a moment.")
            .with("sandboxId", id);
    error.admitted = Some(Admitted::Unknown);
    error.retryable()
}

/// No session has this id.
pub(super) fn not_found(id: &str) -> Error {
    let mut error = Error::new(
        Code::SessionNotFound,
        format!("{WHO}: there is no sandbox {id:?}: it was killed, expired, or belongs to another account."),
    )
    .with_hint("Make a new session, or check which account the key belongs to.")
    .with("sessionId", id);
    error.admitted = Some(Admitted::No);
    error
}

/// The error of a status that is no success.
pub(super) fn refused(response: &Response, about: About<'_>) -> Error {
    let status = response.status.as_u16();
    let told = sentence(response);
    let said = if told.is_empty() { format!("status {status}") } else { told.clone() };
    let make = |code, sentence: String| Error::new(code, format!("{WHO}: {sentence}"));
    let mut error = match (status, about) {
        (401, _) => make(Code::AuthenticationFailed, format!("the key was refused: {said}")).with_hint(
            "Check apiKey, or the environment variable E2B_API_KEY: https://e2b.dev/dashboard?tab=keys.",
        ),
        (403, _) => make(Code::PermissionDenied, format!("this account may not do that: {said}"))
            .with_hint("Check the account, and that the template belongs to it or is public."),
        (404, About::Create { template, path }) => make(
            Code::TemplateNotFound,
            format!("there is no template {template:?}: {said}"),
        )
        .with_field(format!("{path}.templateId"))
        .with_hint(
            "Set templateId to one of your templates, or build this one with the account of this key.",
        ),
        (404, About::Sandbox(id)) => not_found(id),
        (404, About::File(path)) => make(Code::FileError, format!("there is no file {path:?}"))
            .with("path", path)
            .with("reason", "not_found"),
        (400, About::Create { path, .. }) if told.to_lowercase().contains("secure") => {
            make(Code::ProviderFailed, said)
                .with_field(format!("{path}.templateId"))
                .with_hint("Rebuild the template: its daemon is older than 0.2.")
        }
        (400, About::Create { path, .. }) if told.contains("Timeout") => make(Code::InvalidArgument, said)
            .with_field(format!("{path}.timeoutMs"))
            .with_hint("Ask for a lifetime the account's plan allows."),
        (400, About::File(path)) => make(Code::FileError, said).with("path", path),
        (400, _) => make(Code::InvalidArgument, said),
        (409, _) => {
            make(Code::ProviderFailed, format!("the sandbox is changing its state: {said}")).retryable()
        }
        (429, _) => match retry_after(&response.headers) {
            Some(pause) => make(Code::RateLimited, format!("too many requests: {said}"))
                .with("retryAfterMs", u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
                .with_hint("Wait as long as it says, then try again."),
            None if told.to_lowercase().contains("rate limit") => {
                make(Code::RateLimited, format!("too many requests: {said}"))
                    .with_hint("Wait a little, then try again.")
            }
            None => make(Code::ConcurrencyLimit, said)
                .with_hint("Kill sandboxes you do not need, or raise the limit of the account."),
        }
        .retryable(),
        (507, _) => make(Code::DiskFull, format!("the disk of the sandbox is full: {said}")),
        (503, _) => make(Code::ProviderFailed, format!("no capacity at the moment: {said}")).retryable(),
        (500..=599, _) => make(Code::ProviderFailed, said).retryable(),
        _ => make(Code::ProviderFailed, said),
    };
    error.admitted = Some(match status {
        400..=499 | 503 if !in_doubt(&response.headers) => Admitted::No,
        _ => Admitted::Unknown,
    });
    error.with("httpStatus", status)
}

/// The error of a request without an answer.
pub(super) fn unanswered(failure: Failure) -> Error {
    failure.into_error(WHO)
}

/// An answer that does not hold what it has to.
pub(super) fn unreadable(what: &str) -> Error {
    let mut error = Error::new(Code::ProviderFailed, format!("{WHO}: {what}"));
    error.admitted = Some(Admitted::Yes);
    error
}

/// The error of a call of the daemon.
pub(super) fn failed(failed: &Failed, id: &str) -> Error {
    let said = shorten(&failed.message);
    let make = |code, sentence: String| Error::new(code, format!("{WHO}: {sentence}"));
    let mut error = match failed.code.as_str() {
        "unauthenticated" if said.contains("username") => {
            make(Code::InvalidArgument, format!("{said}.")).with_hint("Name a user the template has.")
        }
        "unauthenticated" => {
            make(Code::AuthenticationFailed, format!("the sandbox refused its token: {said}"))
                .with_hint("Resume the session to get a new one.")
        }
        "permission_denied" => make(Code::PermissionDenied, said),
        "invalid_argument" if said.contains("cwd") => {
            make(Code::SpawnFailed, format!("the command could not start: {said}."))
                .with("reason", "working_directory")
        }
        "invalid_argument" | "failed_precondition" | "out_of_range" => make(Code::InvalidArgument, said),
        "resource_exhausted" => make(Code::RateLimited, said).retryable(),
        "unavailable" | "canceled" => gone(id),
        "deadline_exceeded" => make(Code::Timeout, said),
        code => make(Code::ProviderFailed, if code.is_empty() { said } else { format!("{code}: {said}") }),
    };
    if failed.code == "invalid_argument" || failed.code == "unauthenticated" {
        error.admitted = Some(Admitted::No);
    }
    error
}

#[cfg(test)]
mod tests {
    use vibekit_http::{HeaderMap, HeaderValue, header};

    use super::*;

    fn response(status: u16, body: &str, retry: Option<&'static str>) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(retry) = retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(retry));
        }
        Response { status: StatusCode::from_u16(status).unwrap(), headers, body: body.to_owned().into() }
    }

    const CREATE: About<'_> = About::Create { template: "t", path: "environment.e2b" };

    #[test]
    fn every_refusal_has_a_code_and_a_remedy() {
        let message = |text: &str| format!("{{\"code\":1,\"message\":\"{text}\"}}");
        for (status, text, retry, about, code) in [
            (401, "no", None, CREATE, Code::AuthenticationFailed),
            (403, "no", None, CREATE, Code::PermissionDenied),
            (404, "template 't' not found", None, CREATE, Code::TemplateNotFound),
            (404, "no", None, About::Sandbox("i1"), Code::SessionNotFound),
            (429, "Rate limit exceeded", Some("3"), CREATE, Code::RateLimited),
            (429, "Rate limit exceeded", None, CREATE, Code::RateLimited),
            (
                429,
                "you have reached the maximum number of concurrent E2B sandboxes (20)",
                None,
                CREATE,
                Code::ConcurrencyLimit,
            ),
            (400, "Timeout cannot be greater than 1 hours", None, CREATE, Code::InvalidArgument),
        ] {
            let error = refused(&response(status, &message(text), retry), about);
            assert_eq!((error.code, error.admitted), (code, Some(Admitted::No)), "{status} {text}");
            assert!(error.hint.is_some(), "{status} {text}");
        }
        let limited = refused(&response(429, "", Some("3")), CREATE);
        assert_eq!(limited.details["retryAfterMs"], 3000);
        assert_eq!(refused(&response(500, "", None), CREATE).admitted, Some(Admitted::Unknown));
        assert_eq!(refused(&response(507, "", None), About::File("x")).code, Code::DiskFull);
    }

    #[test]
    fn pages_for_browsers_are_not_repeated_and_sentences_are_short() {
        let error = refused(&response(500, "<html><body>Bad gateway</body></html>", None), CREATE);
        assert_eq!(error.message, "E2B: status 500");
        let long = format!("{{\"message\":\"{}\"}}", "é".repeat(1000));
        assert!(refused(&response(500, &long, None), CREATE).message.chars().count() < 320);
    }

    #[test]
    fn a_missing_route_is_told_from_a_missing_template() {
        assert!(is_no_route(&response(
            404,
            "{\"code\":404,\"message\":\"no matching operation was found\"}",
            None
        )));
        assert!(is_no_route(&response(405, "", None)));
        assert!(is_no_route(&response(404, "<html>", None)));
        assert!(!is_no_route(&response(404, "{\"message\":\"template 'x' not found\"}", None)));
        assert!(!is_no_route(&response(400, "{\"message\":\"Timeout must be greater than 0\"}", None)));
    }

    #[test]
    fn the_most_a_plan_allows_is_read() {
        let told = |text: &str| most_hours(&response(400, &format!("{{\"message\":\"{text}\"}}"), None));
        assert_eq!(told("Timeout cannot be greater than 24 hours"), Some(24));
        assert_eq!(told("Timeout must be greater than 0"), None);
    }
}
