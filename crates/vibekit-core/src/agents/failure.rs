//! What an agent's error text means, in the words all five share.

use crate::event::{AgentError, AgentErrorCode};

/// Classifies an error. The status is what the agent told, or else the first HTTP error status in the text: most
/// agents pass the provider's answer on as prose.
pub(super) fn classify(status: Option<u16>, message: &str) -> AgentError {
    let status = status.or_else(|| status_in(message));
    let code = by_text(message)
        .filter(|code| fits(*code, status))
        .or_else(|| status.map(by_status))
        .unwrap_or(AgentErrorCode::Unknown);
    let message = message.trim();
    AgentError {
        code,
        message: if message.is_empty() {
            "The agent failed without saying why".to_owned()
        } else {
            message.to_owned()
        },
        http_status: status,
        retryable: retryable(code),
    }
}

/// Whether the same turn may succeed later without any change.
pub(super) const fn retryable(code: AgentErrorCode) -> bool {
    matches!(
        code,
        AgentErrorCode::RateLimit
            | AgentErrorCode::Overloaded
            | AgentErrorCode::Server
            | AgentErrorCode::Network
            | AgentErrorCode::Timeout
    )
}

/// The first number from 400 to 599 that stands for itself.
fn status_in(text: &str) -> Option<u16> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '.' && character != '-')
        .filter(|word| word.len() == 3)
        .filter_map(|word| word.parse().ok())
        .find(|number| (400..600).contains(number))
}

const fn by_status(status: u16) -> AgentErrorCode {
    match status {
        401 => AgentErrorCode::Auth,
        402 => AgentErrorCode::Budget,
        403 => AgentErrorCode::Permission,
        404 => AgentErrorCode::ModelNotFound,
        408 | 504 => AgentErrorCode::Timeout,
        413 => AgentErrorCode::Context,
        429 => AgentErrorCode::RateLimit,
        503 | 529 => AgentErrorCode::Overloaded,
        400..=499 => AgentErrorCode::InvalidRequest,
        _ => AgentErrorCode::Server,
    }
}

/// Words beat a status only where a provider uses the status for more than one thing.
const fn fits(code: AgentErrorCode, status: Option<u16>) -> bool {
    match status {
        None | Some(400) => true,
        Some(403 | 429) => matches!(code, AgentErrorCode::Budget),
        Some(404) => matches!(code, AgentErrorCode::ModelNotFound),
        Some(_) => false,
    }
}

/// Phrases of the five agents and of the providers they pass on, in lower case; the first that fits counts.
const PHRASES: &[(&str, AgentErrorCode)] = &[
    ("maximum number of turns", AgentErrorCode::MaxTurns),
    ("max_turns", AgentErrorCode::MaxTurns),
    ("max turns", AgentErrorCode::MaxTurns),
    ("max session turns", AgentErrorCode::MaxTurns),
    ("max_budget", AgentErrorCode::Budget),
    ("insufficient_quota", AgentErrorCode::Budget),
    ("credit balance", AgentErrorCode::Budget),
    ("billing", AgentErrorCode::Budget),
    ("api key", AgentErrorCode::Auth),
    ("api_key", AgentErrorCode::Auth),
    ("apikey", AgentErrorCode::Auth),
    ("unauthorized", AgentErrorCode::Auth),
    ("unauthenticated", AgentErrorCode::Auth),
    ("authentication", AgentErrorCode::Auth),
    ("not logged in", AgentErrorCode::Auth),
    ("invalid auth method", AgentErrorCode::Auth),
    ("providerautherror", AgentErrorCode::Auth),
    ("context length", AgentErrorCode::Context),
    ("context window", AgentErrorCode::Context),
    ("prompt is too long", AgentErrorCode::Context),
    ("exceeds the maximum length", AgentErrorCode::Context),
    ("model_not_found", AgentErrorCode::ModelNotFound),
    ("model not found", AgentErrorCode::ModelNotFound),
    ("unknown model", AgentErrorCode::ModelNotFound),
    ("set model", AgentErrorCode::ModelNotFound),
    ("overloaded", AgentErrorCode::Overloaded),
    ("at capacity", AgentErrorCode::Overloaded),
    ("high demand", AgentErrorCode::Overloaded),
    ("rate limit", AgentErrorCode::RateLimit),
    ("rate_limit", AgentErrorCode::RateLimit),
    ("too many requests", AgentErrorCode::RateLimit),
    ("timed out", AgentErrorCode::Timeout),
    ("timeout", AgentErrorCode::Timeout),
    ("econnrefused", AgentErrorCode::Network),
    ("econnreset", AgentErrorCode::Network),
    ("enotfound", AgentErrorCode::Network),
    ("fetch failed", AgentErrorCode::Network),
    ("error sending request", AgentErrorCode::Network),
    ("stream disconnected", AgentErrorCode::Network),
    ("connection", AgentErrorCode::Network),
    ("network", AgentErrorCode::Network),
    ("permission denied", AgentErrorCode::Permission),
];

fn by_text(message: &str) -> Option<AgentErrorCode> {
    let text = message.to_lowercase();
    let phrase = PHRASES.iter().find(|(phrase, _)| text.contains(phrase));
    let missing_model =
        text.contains("model") && (text.contains("not found") || text.contains("does not exist"));
    match phrase {
        Some((_, code)) => Some(*code),
        None if missing_model => Some(AgentErrorCode::ModelNotFound),
        None => None,
    }
}

/// A flag the program said it does not know, in the words of the command-line parsers the five are built with
/// (commander, clap, yargs).
pub(super) fn refused_flag(stderr: &str) -> Option<String> {
    let quoted = |lead: &str| {
        let rest = &stderr[stderr.find(lead)? + lead.len()..];
        rest.split('\'').next()
    };
    if let Some(flag) = quoted("unknown option '").or_else(|| quoted("unexpected argument '")) {
        // With an attached value (`--flag=value`) the whole is quoted.
        return Some(flag.split(['=', ' ']).next().unwrap_or(flag).to_owned());
    }
    let lead = ["Unknown arguments: ", "Unknown argument: "];
    let rest = lead.iter().find_map(|lead| Some(&stderr[stderr.find(lead)? + lead.len()..]))?;
    let name = rest.split([',', '\n']).next()?.trim();
    Some(format!("--{}", name.trim_start_matches('-')))
}
