//! What users write under `environment.docker`.

use serde_json::{Map, Value};
use vibekit_sandbox::{Code, Error, Result};

/// When an image is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pull {
    /// If the engine does not have it.
    #[default]
    Missing,
    /// Before every creation.
    Always,
    /// Never; a missing one is an error.
    Never,
}

/// The user's options, checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DockerOptions {
    /// Address of the engine: `unix:///path`, `tcp://host:port`, or the path of a socket.
    pub(crate) host: Option<String>,
    pub(crate) image: Option<String>,
    pub(crate) pull: Pull,
    /// Container ports published on the loopback address.
    pub(crate) ports: Vec<u16>,
    /// False: no network at all.
    pub(crate) network: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) runtime: Option<String>,
    pub(crate) ephemeral: bool,
    /// Bytes.
    pub(crate) memory: u64,
    pub(crate) pids: u64,
    pub(crate) cpu: Option<f64>,
    /// From the older package: where images of the agents are.
    pub(crate) registry: Option<String>,
    pub(crate) registry_user: Option<String>,
    pub(crate) prefer_registry: bool,
    /// Milliseconds for reaching the engine.
    pub(crate) connect_ms: u64,
}

const KEYS: [&str; 10] = [
    "host",
    "image",
    "pull",
    "ports",
    "network",
    "user",
    "runtime",
    "ephemeral",
    "limits",
    "connectionTimeout",
];
/// Options of the package `@vibe-kit/dagger` that say where images come from.
const OLDER: [&str; 4] = ["privateRegistry", "registryUser", "dockerHubUser", "preferRegistryImages"];
/// Options of that package for what this provider has no need of; accepted so that older code runs, and ignored.
const IGNORED: [&str; 8] = [
    "registryName",
    "pushImages",
    "autoInstall",
    "retryAttempts",
    "retryDelayMs",
    "configPath",
    "logger",
    "logLevel",
];

/// Enough for a build; a container without a limit can take the whole machine.
const MEMORY: u64 = 4 << 30;
/// Processes and threads: enough for a parallel build, too few for a fork bomb to matter.
const PIDS: u64 = 2048;

impl DockerOptions {
    /// Reads options. `path` is what errors call them.
    pub(crate) fn parse(value: &Value, path: &str) -> Result<Self> {
        let Value::Object(object) = value else {
            return Err(mistyped(path, "an object", "Give it as an object; {} takes all defaults."));
        };
        let known = |key: &str| KEYS.contains(&key) || OLDER.contains(&key) || IGNORED.contains(&key);
        if let Some(key) = object.keys().find(|key| !known(key)) {
            let remedy = format!("Known options: {}.", KEYS.join(", "));
            return Err(Error::invalid(format!("{path}.{key}"), "is not an option", remedy));
        }
        let fields = Fields { object, path };
        let limits = match fields.get("limits") {
            None => Map::new(),
            Some(Value::Object(limits)) => limits.clone(),
            Some(_) => {
                return Err(mistyped(&fields.name("limits"), "an object", "Give { memory, pids, cpu }."));
            }
        };
        let limits_path = fields.name("limits");
        let limits = Fields { object: &limits, path: &limits_path };
        if let Some(key) = limits.object.keys().find(|key| !["memory", "pids", "cpu"].contains(&key.as_str()))
        {
            return Err(Error::invalid(
                limits.name(key),
                "is not a limit",
                "Known limits: memory, pids, cpu.",
            ));
        }
        Ok(Self {
            host: fields.text("host", "Give unix:///path/of/the/socket or tcp://host:port.")?,
            image: fields.text("image", "Give the name of an image, such as ubuntu:24.04.")?,
            pull: fields.pull()?,
            ports: fields.ports()?,
            network: fields
                .text("network", "Give \"allow\", \"deny\" or the name of a network of the engine.")?,
            user: fields.text("user", "Give a user of the image, such as \"node\" or \"1000:1000\".")?,
            runtime: fields.text("runtime", "Give a runtime the engine knows, such as \"runsc\".")?,
            ephemeral: fields.flag("ephemeral")?.unwrap_or(false),
            memory: limits
                .count("memory", 6 << 20, "Give bytes, at least 6291456 (6 MiB).")?
                .unwrap_or(MEMORY),
            pids: limits.count("pids", 8, "Give a number of processes, at least 8.")?.unwrap_or(PIDS),
            cpu: limits.cores("cpu")?,
            registry: fields.text("privateRegistry", "Give the host of a registry.")?,
            registry_user: match fields.text("registryUser", "Give a user of the registry.")? {
                Some(user) => Some(user),
                None => fields.text("dockerHubUser", "Give a user of Docker Hub.")?,
            },
            prefer_registry: fields.flag("preferRegistryImages")?.unwrap_or(true),
            connect_ms: fields.count("connectionTimeout", 1, "Give milliseconds.")?.unwrap_or(30_000),
        })
    }
}

struct Fields<'v> {
    object: &'v Map<String, Value>,
    path: &'v str,
}

impl<'v> Fields<'v> {
    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// `null` counts as absent, as everywhere in JavaScript options.
    fn get(&self, key: &str) -> Option<&'v Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str, remedy: &str) -> Result<Option<String>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() || text.contains(char::is_control) => {
                Err(Error::invalid(self.name(key), "is empty or holds a control character", remedy))
            }
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(mistyped(&self.name(key), "a string", remedy)),
        }
    }

    fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(mistyped(&self.name(key), "true or false", "Give true or false.")),
        }
    }

    fn count(&self, key: &str, least: u64, remedy: &str) -> Result<Option<u64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let Some(number) = value.as_f64() else { return Err(mistyped(&self.name(key), "a number", remedy)) };
        // JavaScript has no integers: 1e9 arrives as a float. Above 2^53 they are not exact any more.
        if number.fract() != 0.0 || !(0.0..=9_007_199_254_740_992.0).contains(&number) {
            return Err(Error::invalid(self.name(key), "is not a whole, non-negative number", remedy));
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
        let number = number as u64;
        if number < least {
            return Err(Error::invalid(self.name(key), format!("is below {least}"), remedy));
        }
        Ok(Some(number))
    }

    fn cores(&self, key: &str) -> Result<Option<f64>> {
        const REMEDY: &str = "Give cores, such as 1.5.";
        match self.get(key).map(Value::as_f64) {
            None => Ok(None),
            Some(Some(cores)) if (0.01..=4096.0).contains(&cores) => Ok(Some(cores)),
            Some(Some(_)) => Err(Error::invalid(self.name(key), "is not from 0.01 to 4096", REMEDY)),
            Some(None) => Err(mistyped(&self.name(key), "a number", REMEDY)),
        }
    }

    fn pull(&self) -> Result<Pull> {
        const REMEDY: &str = "Give \"missing\", \"always\" or \"never\".";
        match self.get("pull") {
            None => Ok(Pull::default()),
            Some(Value::String(text)) => match text.as_str() {
                "missing" => Ok(Pull::Missing),
                "always" => Ok(Pull::Always),
                "never" => Ok(Pull::Never),
                _ => Err(Error::invalid(self.name("pull"), "is not a way to fetch images", REMEDY)),
            },
            Some(_) => Err(mistyped(&self.name("pull"), "a string", REMEDY)),
        }
    }

    fn ports(&self) -> Result<Vec<u16>> {
        const REMEDY: &str = "Give the ports that servers inside will listen on, such as [3000].";
        let field = self.name("ports");
        let Some(value) = self.get("ports") else { return Ok(Vec::new()) };
        let Value::Array(list) = value else { return Err(mistyped(&field, "a list of numbers", REMEDY)) };
        list.iter()
            .enumerate()
            .map(|(at, value)| {
                let port =
                    value.as_f64().filter(|port| port.fract() == 0.0 && (1.0..=65_535.0).contains(port));
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
                port.map(|port| port as u16)
                    .ok_or_else(|| Error::invalid(format!("{field}[{at}]"), "is not a port", REMEDY))
            })
            .collect()
    }
}

fn mistyped(field: &str, wanted: &str, remedy: &str) -> Error {
    let mut error = Error::invalid(field, format!("must be {wanted}"), remedy);
    error.code = Code::InvalidType;
    error
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_given_is_understood() {
        let options = DockerOptions::parse(
            &json!({
                "host": "unix:///s", "image": "a:1", "pull": "never", "ports": [3000, 80], "network": "deny",
                "user": "node", "runtime": "runsc", "ephemeral": true, "connectionTimeout": 5000,
                "limits": { "memory": 1e9, "pids": 60, "cpu": 0.5 },
            }),
            "options",
        )
        .unwrap();
        assert_eq!((options.pull, options.ports.as_slice()), (Pull::Never, &[3000, 80][..]));
        assert_eq!((options.memory, options.pids, options.cpu), (1_000_000_000, 60, Some(0.5)));
        let defaults = DockerOptions::parse(&json!({}), "options").unwrap();
        assert_eq!((defaults.memory, defaults.pids, defaults.ephemeral), (MEMORY, PIDS, false));
    }

    #[test]
    fn options_of_the_older_package_are_accepted() {
        let options = DockerOptions::parse(
            &json!({
                "preferRegistryImages": false, "dockerHubUser": "me", "pushImages": true, "autoInstall": false,
                "retryAttempts": 3, "retryDelayMs": 1000, "connectionTimeout": 30000, "configPath": "/x", "logger": {},
            }),
            "options",
        )
        .unwrap();
        assert_eq!((options.registry_user.as_deref(), options.prefer_registry), (Some("me"), false));
    }

    #[test]
    fn mistakes_name_field_and_remedy() {
        for (value, field, code) in [
            (json!("x"), "environment.docker", Code::InvalidType),
            (json!({ "iamge": "x" }), "environment.docker.iamge", Code::InvalidArgument),
            (json!({ "image": "" }), "environment.docker.image", Code::InvalidArgument),
            (json!({ "image": 1 }), "environment.docker.image", Code::InvalidType),
            (json!({ "pull": "sometimes" }), "environment.docker.pull", Code::InvalidArgument),
            (json!({ "ports": 3000 }), "environment.docker.ports", Code::InvalidType),
            (json!({ "ports": [0] }), "environment.docker.ports[0]", Code::InvalidArgument),
            (json!({ "limits": { "memory": 1 } }), "environment.docker.limits.memory", Code::InvalidArgument),
            (json!({ "limits": { "disk": 1 } }), "environment.docker.limits.disk", Code::InvalidArgument),
            (json!({ "limits": { "cpu": "1" } }), "environment.docker.limits.cpu", Code::InvalidType),
            (json!({ "ephemeral": "yes" }), "environment.docker.ephemeral", Code::InvalidType),
        ] {
            let error = DockerOptions::parse(&value, "environment.docker").unwrap_err();
            assert_eq!((error.field.as_deref(), error.code), (Some(field), code), "{value}");
            assert!(error.message.starts_with(field) && error.hint.is_some(), "{error}");
        }
    }
}
