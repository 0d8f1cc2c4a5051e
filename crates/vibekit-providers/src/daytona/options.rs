//! The options of `environment.daytona`.

use std::time::Duration;

use serde_json::Value;
use vibekit_http::Lookup;
use vibekit_sandbox::{Error, Result};

use crate::remote::Fields;

/// Where Daytona's cloud has its API.
const API: &str = "https://app.daytona.io/api";

const KEYS: [&str; 13] = [
    "apiKey",
    "jwtToken",
    "organizationId",
    "serverUrl",
    "apiUrl",
    "target",
    "image",
    "snapshot",
    "resources",
    "public",
    "autoStopInterval",
    "createTimeoutMs",
    "workingDirectory",
];

/// What the caller may choose.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// API key or JWT.
    pub(crate) token: String,
    /// Sent with a JWT only, which may be of several organisations.
    pub(crate) organization: Option<String>,
    pub(crate) api: String,
    pub(crate) target: Option<String>,
    pub(crate) source: Source,
    pub(crate) resources: Resources,
    pub(crate) public: Option<bool>,
    /// Minutes without use after which the service stops the sandbox; `None`: the service's own 15.
    pub(crate) auto_stop: Option<u64>,
    /// From the request to a sandbox that runs, building its image included.
    pub(crate) create_timeout: Duration,
    pub(crate) working_directory: String,
    /// What errors call the options.
    pub(crate) path: String,
}

/// What a sandbox is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The image of the agent.
    Agent,
    /// An image of a registry.
    Image(String),
    /// A snapshot of the organisation.
    Snapshot(String),
}

/// Whole cores, GiB of memory, GiB of disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resources {
    pub(crate) cpu: Option<u64>,
    pub(crate) memory: Option<u64>,
    pub(crate) disk: Option<u64>,
}

impl Options {
    /// Reads what a user wrote; what is missing comes from the environment as for Daytona's own clients. Unlike those
    /// nothing is read from `.env` files.
    pub(crate) fn parse(value: &Value, path: &str, env: &Lookup) -> Result<Self> {
        let fields = Fields::of(value, path, &KEYS)?;
        let key_remedy = format!(
            "Set {path}.apiKey or DAYTONA_API_KEY; or, for a JWT, {path}.jwtToken and {path}.organizationId (DAYTONA_JWT_TOKEN, DAYTONA_ORGANIZATION_ID)."
        );
        let given_key = fields.text("apiKey", &key_remedy)?;
        let given_jwt = fields.text("jwtToken", &key_remedy)?;
        let organization = fields.text_or(
            "organizationId",
            env,
            &["DAYTONA_ORGANIZATION_ID"],
            "Give the organisation's id.",
        )?;
        let variable = |name: &str| env(name).filter(|value| !value.is_empty());
        // What the caller gave counts before what the environment has; a key before a JWT.
        let credential = match (given_key, given_jwt) {
            (Some(key), _) => Some((key, false)),
            (None, Some(jwt)) => Some((jwt, true)),
            (None, None) => variable("DAYTONA_API_KEY")
                .map(|key| (key, false))
                .or_else(|| variable("DAYTONA_JWT_TOKEN").map(|jwt| (jwt, true))),
        };
        let Some((token, jwt)) = credential else {
            return Err(Error::invalid(fields.name("apiKey"), "is missing", key_remedy));
        };
        if token.bytes().any(|byte| !(0x21..0x7f).contains(&byte)) {
            let name = fields.name(if jwt { "jwtToken" } else { "apiKey" });
            return Err(Error::invalid(name, "holds a character no header can have", "Copy it again."));
        }
        if jwt && organization.is_none() {
            let remedy = "A JWT needs the organisation it is used for: set it, or DAYTONA_ORGANIZATION_ID.";
            return Err(Error::invalid(fields.name("organizationId"), "is missing", remedy));
        }
        let image = fields.text("image", "Name an image of a registry, such as ubuntu:24.04.")?;
        let snapshot = fields.text("snapshot", "Name a snapshot of your organisation.")?;
        let source = match (image, snapshot) {
            (Some(_), Some(_)) => {
                let remedy = "Give one of the two.";
                return Err(Error::invalid(fields.name("snapshot"), "and image exclude each other", remedy));
            }
            (Some(image), None) => {
                if image.chars().any(char::is_whitespace) {
                    let remedy = "Name an image of a registry, such as ubuntu:24.04.";
                    return Err(Error::invalid(fields.name("image"), "is not the name of an image", remedy));
                }
                Source::Image(image)
            }
            (None, Some(snapshot)) => Source::Snapshot(snapshot),
            (None, None) => Source::Agent,
        };
        let public = match fields.get("public") {
            None => None,
            Some(Value::Bool(public)) => Some(*public),
            Some(_) => {
                return Err(Error::invalid(fields.name("public"), "is not a boolean", "Give true or false."));
            }
        };
        let working_directory = fields.text("workingDirectory", "Give an absolute path.")?;
        let working_directory = working_directory.unwrap_or_else(|| "/vibe0".to_owned());
        crate::remote::check_working_directory(&working_directory)
            .map_err(|error| error.with_field(fields.name("workingDirectory")))?;
        Ok(Self {
            token,
            organization: organization.filter(|_| jwt),
            api: fields.url_or(
                &["apiUrl", "serverUrl"],
                env,
                &["DAYTONA_API_URL", "DAYTONA_SERVER_URL"],
                API,
            )?,
            target: fields.text_or("target", env, &["DAYTONA_TARGET"], "Name a region, such as us or eu.")?,
            source,
            resources: resources(&fields)?,
            public,
            auto_stop: fields.count("autoStopInterval", "Give minutes, 0 for never.")?,
            create_timeout: fields.milliseconds("createTimeoutMs")?.unwrap_or(Duration::from_secs(300)),
            working_directory,
            path: path.to_owned(),
        })
    }
}

fn resources(fields: &Fields<'_>) -> Result<Resources> {
    let Some(value) = fields.get("resources") else { return Ok(Resources::default()) };
    let path = fields.name("resources");
    let fields = Fields::of(value, &path, &["cpu", "memory", "disk"])?;
    Ok(Resources {
        cpu: fields.count("cpu", "Give whole cores.")?,
        memory: fields.count("memory", "Give GiB.")?,
        disk: fields.count("disk", "Give GiB.")?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use vibekit_sandbox::Code;

    use super::*;

    fn parse(value: Value, env: &'static [(&str, &str)]) -> Result<Options> {
        let lookup: Lookup = Arc::new(move |name| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        });
        Options::parse(&value, "options", &lookup)
    }

    #[test]
    fn what_is_given_counts_before_the_environment() {
        let env = &[
            ("DAYTONA_API_KEY", "from-env"),
            ("DAYTONA_SERVER_URL", "https://old.example/api/"),
            ("DAYTONA_TARGET", "eu"),
        ];
        let options = parse(json!({}), env).expect("valid");
        assert_eq!((options.token.as_str(), options.api.as_str()), ("from-env", "https://old.example/api"));
        assert_eq!(options.target.as_deref(), Some("eu"));
        let given = json!({ "apiKey": "given", "serverUrl": "http://127.0.0.1:3/api", "target": "us" });
        let options = parse(given, env).expect("valid");
        assert_eq!((options.token.as_str(), options.api.as_str()), ("given", "http://127.0.0.1:3/api"));
        assert_eq!((options.target.as_deref(), options.organization), (Some("us"), None));
    }

    #[test]
    fn a_jwt_comes_with_its_organisation() {
        let error = parse(json!({ "jwtToken": "jwt" }), &[]).expect_err("no organisation");
        assert_eq!(error.field.as_deref(), Some("options.organizationId"));
        let options =
            parse(json!({ "jwtToken": "jwt", "organizationId": "org" }), &[("DAYTONA_API_KEY", "key")]);
        let options = options.expect("valid");
        assert_eq!((options.token.as_str(), options.organization.as_deref()), ("jwt", Some("org")));
    }

    #[test]
    fn what_is_wrong_is_named_and_secrets_are_not_repeated() {
        for (value, code, field) in [
            (json!({}), Code::InvalidArgument, "options.apiKey"),
            (json!({ "apiKey": 7 }), Code::InvalidType, "options.apiKey"),
            (json!({ "apiKey": "secret\nkey" }), Code::InvalidArgument, "options.apiKey"),
            (
                json!({ "apiKey": "k", "image": "a", "snapshot": "b" }),
                Code::InvalidArgument,
                "options.snapshot",
            ),
            (json!({ "apiKey": "k", "image": "a\nRUN b" }), Code::InvalidArgument, "options.image"),
            (json!({ "apiKey": "k", "apiUrl": "ftp://secret@x" }), Code::InvalidArgument, "options.apiUrl"),
            (json!({ "apiKey": "k", "regoin": "eu" }), Code::InvalidArgument, "options.regoin"),
            (
                json!({ "apiKey": "k", "resources": { "cpu": "2" } }),
                Code::InvalidType,
                "options.resources.cpu",
            ),
            (
                json!({ "apiKey": "k", "workingDirectory": "x" }),
                Code::InvalidArgument,
                "options.workingDirectory",
            ),
        ] {
            let error = parse(value.clone(), &[]).expect_err("invalid");
            assert_eq!((error.code, error.field.as_deref()), (code, Some(field)), "{value}");
            assert!(error.hint.is_some() && !error.message.contains("secret"), "{error:?}");
        }
    }
}
