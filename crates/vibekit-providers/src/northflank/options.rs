//! The options of `environment.northflank`.

use std::time::Duration;

use serde_json::Value;
use vibekit_http::Lookup;
use vibekit_sandbox::{Error, Result};

use crate::remote::{Fields, check_working_directory};

/// Where Northflank has its API.
const API: &str = "https://api.northflank.com";

const KEYS: [&str; 9] = [
    "apiKey",
    "projectId",
    "image",
    "billingPlan",
    "persistentVolumeStorage",
    "ephemeralStorage",
    "workingDirectory",
    "apiUrl",
    "createTimeoutMs",
];

/// What the caller may choose.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) key: String,
    pub(crate) project: String,
    /// `None`: the image of the agent.
    pub(crate) image: Option<String>,
    pub(crate) plan: String,
    /// Mebibytes of the volume in the working directory.
    pub(crate) volume: u64,
    /// Mebibytes of everything else.
    pub(crate) ephemeral: u64,
    pub(crate) working_directory: String,
    pub(crate) api: String,
    /// From the request to a sandbox that runs.
    pub(crate) create_timeout: Duration,
    /// What errors call the options.
    pub(crate) path: String,
}

impl Options {
    pub(crate) fn parse(value: &Value, path: &str, env: &Lookup) -> Result<Self> {
        const MISSING: &str =
            "Northflank sandbox configuration missing one of required parameters: projectId, apiKey";
        let fields = Fields::of(value, path, &KEYS)?;
        let missing = |key: &str, variable: &str| {
            // Upstream's sentence.
            let remedy = format!("Set {} or {variable}.", fields.name(key));
            let mut error = Error::invalid(fields.name(key), "is missing", remedy);
            error.message = format!("{MISSING}. {}", error.message);
            error
        };
        let remedy = "Give a token with the rights to projects, services and volumes.";
        let key = fields
            .text_or("apiKey", env, &["NORTHFLANK_API_KEY", "NORTHFLANK_API_TOKEN"], remedy)?
            .ok_or_else(|| missing("apiKey", "NORTHFLANK_API_KEY"))?;
        if key.bytes().any(|byte| !(0x21..0x7f).contains(&byte)) {
            let name = fields.name("apiKey");
            return Err(Error::invalid(name, "holds a character no header can have", "Copy it again."));
        }
        let remedy = "Give the id of the project, as it is in its URL.";
        let project = fields
            .text_or("projectId", env, &["NORTHFLANK_PROJECT_ID"], remedy)?
            .ok_or_else(|| missing("projectId", "NORTHFLANK_PROJECT_ID"))?;
        if !project.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return Err(Error::invalid(fields.name("projectId"), "is not the id of a project", remedy));
        }
        let working_directory = fields.text("workingDirectory", "Give an absolute path.")?;
        let working_directory = working_directory.unwrap_or_else(|| "/var/vibe0".to_owned());
        check_working_directory(&working_directory)
            .map_err(|error| error.with_field(fields.name("workingDirectory")))?;
        Ok(Self {
            key,
            project,
            image: fields.text("image", "Name an image of a public registry.")?,
            plan: fields
                .text("billingPlan", "Name a plan such as nf-compute-200.")?
                .unwrap_or_else(|| "nf-compute-200".to_owned()),
            volume: fields.count("persistentVolumeStorage", "Give mebibytes.")?.unwrap_or(10_240),
            ephemeral: fields.count("ephemeralStorage", "Give mebibytes.")?.unwrap_or(2_048),
            working_directory,
            api: fields.url_or(&["apiUrl"], env, &["NORTHFLANK_API_URL"], API)?,
            create_timeout: fields.milliseconds("createTimeoutMs")?.unwrap_or(Duration::from_secs(300)),
            path: path.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn parse(value: Value, env: &'static [(&str, &str)]) -> Result<Options> {
        let lookup: Lookup = Arc::new(move |name| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        });
        Options::parse(&value, "options", &lookup)
    }

    #[test]
    fn what_is_missing_is_named_with_upstreams_sentence() {
        let error = parse(json!({ "apiKey": "key" }), &[]).expect_err("no project");
        assert_eq!(error.field.as_deref(), Some("options.projectId"));
        assert!(error.message.starts_with("Northflank sandbox configuration missing"), "{error}");
        let error = parse(json!({ "projectId": "p" }), &[]).expect_err("no key");
        assert_eq!(error.field.as_deref(), Some("options.apiKey"));
    }

    #[test]
    fn the_environment_fills_in() {
        let env = &[
            ("NORTHFLANK_API_TOKEN", "token"),
            ("NORTHFLANK_PROJECT_ID", "p"),
            ("NORTHFLANK_API_URL", "http://x/"),
        ];
        let options = parse(json!({}), env).expect("valid");
        assert_eq!(
            (options.key.as_str(), options.project.as_str(), options.api.as_str()),
            ("token", "p", "http://x")
        );
        assert_eq!((options.plan.as_str(), options.volume), ("nf-compute-200", 10_240));
    }
}
