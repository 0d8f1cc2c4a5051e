//! How the token reaches git: never by an address, which would end in `.git/config` and in messages.

use super::server::Server;
use crate::text::{base64, quote};

/// The variable of the sandbox that holds the token, where the user put it among the secrets.
pub(crate) const VARIABLE: &str = "GH_TOKEN";

/// Environment that makes git present the token to the server and to no other.
pub(crate) fn header(server: &Server, token: &str) -> Vec<(String, String)> {
    let pair = base64(format!("x-access-token:{token}").as_bytes());
    [
        ("GIT_CONFIG_COUNT", "1".to_owned()),
        ("GIT_CONFIG_KEY_0", format!("http.{}/.extraHeader", server.web)),
        ("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {pair}")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// `-c …` for `git clone`: the new repository asks the sandbox's own [`VARIABLE`] for the token, now and later, so
/// that whoever works in it can push. Only the name of the variable is written down.
pub(crate) fn helper_option(server: &Server) -> String {
    let helper = format!(
        "credential.{}.helper=!f() {{ test \"$1\" = get && echo username=x-access-token && echo \"password=${VARIABLE}\"; }}; f",
        server.web
    );
    format!("-c {}", quote(&helper))
}
