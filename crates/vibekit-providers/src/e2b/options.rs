//! The options of `environment.e2b` and `createE2BProvider()`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};
use vibekit_http::Lookup;
use vibekit_sandbox::{Code, Error, Result};

/// Lifetime of a sandbox, as upstream's provider asks for it: one hour, the most of the smallest plan.
const TTL: Duration = Duration::from_secs(3600);
const REQUEST: Duration = Duration::from_secs(60);
const DOMAIN: &str = "e2b.app";
/// Domains whose daemons share one host and are told apart by headers.
const SHARED: [&str; 4] = ["e2b.app", "e2b.dev", "e2b.pro", "e2b-staging.dev"];

const KEYS: [&str; 10] = [
    "apiKey",
    "templateId",
    "domain",
    "apiUrl",
    "sandboxUrl",
    "timeoutMs",
    "requestTimeoutMs",
    "metadata",
    "autoPause",
    "user",
];

/// Checked options, with what the environment variables of the official client add.
#[derive(Clone)]
pub struct E2bOptions {
    /// Sent as `X-API-KEY`. Secret.
    pub api_key: String,
    /// Template; without one it goes by the agent.
    pub template: Option<String>,
    /// Domain of the service. Default `e2b.app`.
    pub domain: String,
    /// Base URL of the control plane.
    pub api_url: String,
    /// Base URL of every sandbox's daemon, when it is not to be derived from the domain.
    pub sandbox_url: Option<String>,
    /// Lifetime, renewed while commands run. Default one hour.
    pub ttl: Duration,
    /// For one request. Default 60 s.
    pub request: Duration,
    /// Metadata of new sandboxes.
    pub metadata: BTreeMap<String, String>,
    /// At the end of its lifetime a sandbox is paused instead of killed. Default false.
    pub auto_pause: bool,
    /// User commands run as. Default: the template's.
    pub user: Option<String>,
    /// How the user reaches the options, for errors.
    pub path: String,
}

impl std::fmt::Debug for E2bOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("E2bOptions").field("api_url", &self.api_url).finish_non_exhaustive()
    }
}

impl E2bOptions {
    /// Reads options a user wrote; `path` is what errors call them.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` and `INVALID_TYPE`, with `field` and `hint`.
    pub fn parse(value: &Value, path: &str, env: &Lookup) -> Result<Self> {
        let empty = Map::new();
        let fields = Fields { path, map: value.as_object().unwrap_or(&empty) };
        fields.check_names()?;
        let variable = |name: &str| env(name).filter(|value| !value.is_empty());
        let debug = variable("E2B_DEBUG").is_some_and(|value| value.eq_ignore_ascii_case("true"));

        let remedy = format!("Set {path}.apiKey, or the environment variable E2B_API_KEY.");
        let api_key = fields
            .text("apiKey")?
            .or_else(|| variable("E2B_API_KEY"))
            .ok_or_else(|| Error::invalid(format!("{path}.apiKey"), "is missing", remedy.clone()))?;
        // What exactly a key looks like is the service's to know: compatible services have other prefixes.
        if !api_key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid(
                format!("{path}.apiKey"),
                "holds a space, a line break or a character no key has",
                remedy,
            ));
        }
        let domain =
            fields.text("domain")?.or_else(|| variable("E2B_DOMAIN")).unwrap_or_else(|| DOMAIN.to_owned());
        let api_url = fields.url("apiUrl", variable("E2B_API_URL"), "E2B_API_URL")?.unwrap_or_else(|| {
            if debug { "http://localhost:3000".to_owned() } else { format!("https://api.{domain}") }
        });
        let sandbox_url = fields
            .url("sandboxUrl", variable("E2B_SANDBOX_URL"), "E2B_SANDBOX_URL")?
            .or_else(|| debug.then(|| "http://localhost:49983".to_owned()));
        Ok(Self {
            template: fields.text("templateId")?,
            ttl: fields.millis("timeoutMs")?.unwrap_or(TTL),
            request: fields.millis("requestTimeoutMs")?.unwrap_or(REQUEST),
            metadata: fields.texts("metadata")?,
            auto_pause: fields.flag("autoPause")?,
            user: fields.text("user")?,
            path: path.to_owned(),
            api_key,
            domain,
            api_url,
            sandbox_url,
        })
    }

    /// Template for an agent, as upstream's provider chooses it.
    pub(super) fn template_for(&self, agent: &str) -> String {
        match (&self.template, agent) {
            (Some(template), _) => template.clone(),
            (None, "claude" | "opencode" | "gemini" | "grok") => format!("vibekit-{agent}"),
            (None, _) => "vibekit-codex".to_owned(),
        }
    }

    /// Base URL of a sandbox's daemon; `domain` is what the service said of this sandbox.
    pub(super) fn daemon_url(&self, id: &str, domain: Option<&str>) -> String {
        let domain = domain.unwrap_or(&self.domain);
        match &self.sandbox_url {
            Some(url) => url.clone(),
            None if SHARED.contains(&domain) => format!("https://sandbox.{domain}"),
            None => format!("https://49983-{id}.{domain}"),
        }
    }

    /// Name of a port of a sandbox. `sandboxUrl` has no say in it, as in the official client.
    pub(super) fn host(&self, id: &str, domain: Option<&str>, port: u16) -> String {
        match &self.sandbox_url {
            Some(url) if url == "http://localhost:49983" => format!("localhost:{port}"),
            _ => format!("{port}-{id}.{}", domain.unwrap_or(&self.domain)),
        }
    }
}

struct Fields<'v> {
    path: &'v str,
    map: &'v Map<String, Value>,
}

impl<'v> Fields<'v> {
    fn check_names(&self) -> Result<()> {
        match self.map.keys().find(|key| !KEYS.contains(&key.as_str())) {
            Some(key) => Err(Error::invalid(
                format!("{}.{key}", self.path),
                "is no option",
                format!("There are {}.", KEYS.join(", ")),
            )),
            None => Ok(()),
        }
    }

    fn get(&self, key: &str) -> Option<&'v Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn wrong_type(&self, key: &str, wanted: &str) -> Error {
        let field = format!("{}.{key}", self.path);
        Error::new(Code::InvalidType, format!("{field} must be {wanted}.")).with_field(field)
    }

    /// Empty is unset.
    fn text(&self, key: &str) -> Result<Option<String>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(self.wrong_type(key, "a string")),
        }
    }

    fn url(&self, key: &str, variable: Option<String>, name: &str) -> Result<Option<String>> {
        let given = self.text(key)?;
        let field = if given.is_some() { format!("{}.{key}", self.path) } else { name.to_owned() };
        let Some(url) = given.or(variable) else { return Ok(None) };
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Error::invalid(field, "is no URL", "Begin it with https:// or http://."));
        }
        Ok(Some(url.trim_end_matches('/').to_owned()))
    }

    fn millis(&self, key: &str) -> Result<Option<Duration>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match value.as_u64().filter(|ms| *ms > 0) {
                Some(ms) => Ok(Some(Duration::from_millis(ms))),
                None if value.is_number() => Err(Error::invalid(
                    format!("{}.{key}", self.path),
                    "is no number of milliseconds",
                    "Give a whole number above 0, or leave it out.",
                )),
                None => Err(self.wrong_type(key, "a number of milliseconds")),
            },
        }
    }

    fn flag(&self, key: &str) -> Result<bool> {
        match self.get(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.wrong_type(key, "true or false")),
        }
    }

    fn texts(&self, key: &str) -> Result<BTreeMap<String, String>> {
        let wrong = || self.wrong_type(key, "an object of strings");
        match self.get(key) {
            None => Ok(BTreeMap::new()),
            Some(Value::Object(map)) => map
                .iter()
                .map(|(name, value)| Ok((name.clone(), value.as_str().ok_or_else(wrong)?.to_owned())))
                .collect(),
            Some(_) => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn parse(options: Value, env: &[(&'static str, &'static str)]) -> Result<E2bOptions> {
        let env = env.to_vec();
        let lookup: Lookup = Arc::new(move |name| {
            env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        E2bOptions::parse(&options, "environment.e2b", &lookup)
    }

    #[test]
    fn an_option_wins_over_its_variable_and_an_empty_one_is_unset() {
        let env = [
            ("E2B_API_KEY", "e2b_env"),
            ("E2B_API_URL", "http://127.0.0.1:9/"),
            ("E2B_DOMAIN", "example.com"),
        ];
        let options = parse(json!({ "apiKey": "" }), &env).unwrap();
        assert_eq!((options.api_key.as_str(), options.api_url.as_str()), ("e2b_env", "http://127.0.0.1:9"));
        let options = parse(json!({ "apiKey": "e2b_own", "apiUrl": "https://own" }), &env).unwrap();
        assert_eq!((options.api_key.as_str(), options.api_url.as_str()), ("e2b_own", "https://own"));
        assert_eq!(options.daemon_url("i1", None), "https://49983-i1.example.com");
        assert_eq!(options.daemon_url("i1", Some("e2b.app")), "https://sandbox.e2b.app");
        assert_eq!(options.host("i1", None, 3000), "3000-i1.example.com");
    }

    #[test]
    fn debug_mode_is_the_official_client_s() {
        let options = parse(json!({ "apiKey": "x" }), &[("E2B_DEBUG", "TRUE")]).unwrap();
        assert_eq!(options.api_url, "http://localhost:3000");
        assert_eq!(options.daemon_url("i1", None), "http://localhost:49983");
        assert_eq!(options.host("i1", None, 3000), "localhost:3000");
    }

    #[test]
    fn wrong_ones_are_named_with_a_remedy_and_without_their_value() {
        for (options, field) in [
            (json!({}), "apiKey"),
            (json!({ "apiKey": "secret\nkey" }), "apiKey"),
            (json!({ "apiKey": 1 }), "apiKey"),
            (json!({ "apiKey": "x", "templateID": "y" }), "templateID"),
            (json!({ "apiKey": "x", "timeoutMs": 0 }), "timeoutMs"),
            (json!({ "apiKey": "x", "apiUrl": "localhost" }), "apiUrl"),
            (json!({ "apiKey": "x", "metadata": { "a": 1 } }), "metadata"),
        ] {
            let error = parse(options, &[]).unwrap_err();
            assert_eq!(error.field, Some(format!("environment.e2b.{field}")));
            assert!(!error.message.contains("secret"), "{error}");
        }
    }

    #[test]
    fn templates_go_by_the_agent() {
        let options = parse(json!({ "apiKey": "x" }), &[]).unwrap();
        assert_eq!(options.template_for("claude"), "vibekit-claude");
        assert_eq!(options.template_for(""), "vibekit-codex");
        let own = parse(json!({ "apiKey": "x", "templateId": "own" }), &[]).unwrap();
        assert_eq!(own.template_for("claude"), "own");
    }
}
