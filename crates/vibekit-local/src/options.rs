//! The options of `environment.local`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vibekit_core::{Code, Error, Result};

/// What the caller may choose. Everything has a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LocalOptions {
    /// Where connections from inside may lead. Default `"allow"`: everywhere but this machine and its private
    /// networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Resource limits.
    pub limits: Limits,
    /// A host folder to work on; without it an own, empty one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Workspace>,
    /// True: the session and its files end with the process that made it. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<bool>,
    /// Milliseconds without any process after which a session costs disk only. Default 300 000; 0 is never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout_ms: Option<u64>,
    /// Where sessions are kept, absolute. Default: see [`crate::HostEnv::state_dir`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    /// Bytes kept of a background command's output. Default 64 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_limit: Option<u64>,
}

/// Where connections from inside may lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Everywhere but this machine and its private networks.
    Allow,
    /// Nowhere.
    Deny,
    /// To these hosts: `example.com`, `*.example.com`, `example.com:8443`, an address, a network.
    #[serde(untagged)]
    List {
        /// The hosts. Empty is `"deny"`.
        allow: Vec<String>,
    },
}

/// Resource limits of a session as a whole. `None` is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of memory. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Processes and threads. Default 4096.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
    /// CPU cores, fractions allowed. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// Bytes of files. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<u64>,
    /// True: what cannot be enforced here is approximated instead of refused. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_effort: Option<bool>,
}

/// A host folder to work on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Workspace {
    /// The folder, absolute.
    pub path: PathBuf,
    /// How it is used. Default `"dir"`.
    #[serde(default)]
    pub mode: WorkspaceMode,
}

/// How a host folder is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkspaceMode {
    /// In place: what is changed inside is changed outside.
    #[default]
    Dir,
    /// Changes go to a layer in the session, the folder stays as it is.
    Overlay,
    /// The session gets a copy.
    Copy,
}

const KEYS: [&str; 7] =
    ["network", "limits", "workspace", "ephemeral", "idleTimeoutMs", "stateDir", "logLimit"];

impl LocalOptions {
    /// Reads options a user wrote. `prefix` is how the user reaches them (`environment.local`); errors name the field
    /// with it and say what to write instead.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` and `INVALID_TYPE`, with `field` and `hint`.
    pub fn parse(value: &Value, prefix: &str) -> Result<Self> {
        let fields = Fields::of(value, prefix, &KEYS)?;
        let options = Self {
            network: fields
                .get("network")
                .map(|value| network(value, &fields.name("network")))
                .transpose()?,
            limits: match fields.get("limits") {
                Some(value) => limits(value, &fields.name("limits"))?,
                None => Limits::default(),
            },
            workspace: fields
                .get("workspace")
                .map(|value| workspace(value, &fields.name("workspace")))
                .transpose()?,
            ephemeral: fields.boolean("ephemeral")?,
            idle_timeout_ms: fields.count("idleTimeoutMs", 0, "Give milliseconds, 0 for never.")?,
            state_dir: fields.path("stateDir")?,
            log_limit: fields.count("logLimit", 0, "Give bytes.")?,
        };
        Ok(options)
    }

    pub(crate) fn network(&self) -> Network {
        self.network.clone().unwrap_or(Network::Allow)
    }
}

fn network(value: &Value, field: &str) -> Result<Network> {
    const REMEDY: &str = "Give \"allow\", \"deny\" or { allow: [\"example.com\", \"*.example.com\"] }.";
    match value {
        Value::String(text) if text == "allow" => Ok(Network::Allow),
        Value::String(text) if text == "deny" => Ok(Network::Deny),
        Value::String(_) => Err(Error::invalid(field, "is neither \"allow\" nor \"deny\"", REMEDY)),
        Value::Object(_) => {
            let fields = Fields::of(value, field, &["allow"])?;
            let list_field = fields.name("allow");
            let Some(Value::Array(list)) = fields.get("allow") else {
                return Err(mistyped(&list_field, "a list of host names", fields.get("allow"), REMEDY));
            };
            let allow = list
                .iter()
                .enumerate()
                .map(|(index, entry)| match entry {
                    Value::String(text) => Ok(text.clone()),
                    other => {
                        Err(mistyped(&format!("{list_field}[{index}]"), "a host name", Some(other), REMEDY))
                    }
                })
                .collect::<Result<_>>()?;
            Ok(Network::List { allow })
        }
        other => Err(mistyped(field, "a string or an object", Some(other), REMEDY)),
    }
}

fn limits(value: &Value, prefix: &str) -> Result<Limits> {
    let fields = Fields::of(value, prefix, &["memory", "pids", "cpu", "disk", "bestEffort"])?;
    const BYTES: &str = "Give bytes, e.g. 2147483648 for 2 GiB.";
    let cpu = match fields.get("cpu") {
        None => None,
        Some(value) => match value.as_f64() {
            Some(cores) if cores >= 0.01 => Some(cores),
            Some(_) => {
                return Err(Error::invalid(fields.name("cpu"), "is too small", "Give cores, at least 0.01."));
            }
            None => {
                return Err(mistyped(&fields.name("cpu"), "a number", Some(value), "Give cores, e.g. 1.5."));
            }
        },
    };
    Ok(Limits {
        memory: fields.count("memory", 16 << 20, BYTES)?,
        pids: fields.count("pids", 8, "Give a number of processes.")?,
        cpu,
        disk: fields.count("disk", 1 << 20, BYTES)?,
        best_effort: fields.boolean("bestEffort")?,
    })
}

fn workspace(value: &Value, prefix: &str) -> Result<Workspace> {
    let fields = Fields::of(value, prefix, &["path", "mode"])?;
    let path = fields.path("path")?.ok_or_else(|| {
        Error::invalid(fields.name("path"), "is missing", "Give the absolute path of a folder.")
    })?;
    const REMEDY: &str = "Give \"dir\", \"overlay\" or \"copy\".";
    let mode = match fields.get("mode") {
        None => WorkspaceMode::Dir,
        Some(Value::String(text)) => match text.as_str() {
            "dir" => WorkspaceMode::Dir,
            "overlay" => WorkspaceMode::Overlay,
            "copy" => WorkspaceMode::Copy,
            _ => return Err(Error::invalid(fields.name("mode"), format!("is {text:?}"), REMEDY)),
        },
        Some(other) => return Err(mistyped(&fields.name("mode"), "a string", Some(other), REMEDY)),
    };
    Ok(Workspace { path, mode })
}

/// An object of which every key is known.
struct Fields<'v> {
    object: &'v Map<String, Value>,
    prefix: &'v str,
}

impl<'v> Fields<'v> {
    fn of(value: &'v Value, prefix: &'v str, known: &[&str]) -> Result<Self> {
        let Value::Object(object) = value else {
            return Err(mistyped(
                prefix,
                "an object",
                Some(value),
                &format!("Known keys: {}.", known.join(", ")),
            ));
        };
        if let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) {
            let remedy = format!("Known keys: {}.", known.join(", "));
            return Err(Error::invalid(format!("{prefix}.{key}"), "is not an option", remedy));
        }
        Ok(Self { object, prefix })
    }

    fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    /// `null` counts as absent, as everywhere in JavaScript options.
    fn get(&self, key: &str) -> Option<&'v Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    fn boolean(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => {
                Err(mistyped(&self.name(key), "true or false", Some(other), "Give true or false."))
            }
        }
    }

    fn count(&self, key: &str, least: u64, remedy: &str) -> Result<Option<u64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let Some(number) = value.as_f64() else {
            return Err(mistyped(&self.name(key), "a number", Some(value), remedy));
        };
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

    fn path(&self, key: &str) -> Result<Option<PathBuf>> {
        const REMEDY: &str = "Give an absolute path.";
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.contains('\0') => {
                Err(Error::invalid(self.name(key), "holds a NUL character", REMEDY))
            }
            Some(Value::String(text)) if text.starts_with('/') => Ok(Some(PathBuf::from(text))),
            Some(Value::String(_)) => Err(Error::invalid(self.name(key), "is not an absolute path", REMEDY)),
            Some(other) => Err(mistyped(&self.name(key), "a string", Some(other), REMEDY)),
        }
    }
}

fn mistyped(field: &str, wanted: &str, got: Option<&Value>, remedy: &str) -> Error {
    let got = match got {
        None | Some(Value::Null) => "nothing",
        Some(Value::Bool(_)) => "a boolean",
        Some(Value::Number(_)) => "a number",
        Some(Value::String(_)) => "a string",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
    };
    let mut error = Error::invalid(field, format!("must be {wanted}, not {got}"), remedy);
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
        let value = json!({
            "network": { "allow": ["a.example"] },
            "limits": { "memory": 1e9, "pids": 60, "cpu": 0.5, "disk": 1048576, "bestEffort": true },
            "workspace": { "path": "/src", "mode": "overlay" },
            "ephemeral": true, "idleTimeoutMs": 0, "stateDir": "/s", "logLimit": 10,
        });
        let options = LocalOptions::parse(&value, "environment.local").unwrap();
        assert_eq!(options.network, Some(Network::List { allow: vec!["a.example".into()] }));
        assert_eq!(options.limits.memory, Some(1_000_000_000));
        assert_eq!(options.workspace.as_ref().unwrap().mode, WorkspaceMode::Overlay);
        let again: LocalOptions = serde_json::from_value(serde_json::to_value(&options).unwrap()).unwrap();
        assert_eq!(again, options);
        assert_eq!(LocalOptions::parse(&json!({}), "x").unwrap(), LocalOptions::default());
    }

    #[test]
    fn mistakes_name_field_and_remedy() {
        for (value, field, code) in [
            (json!({ "limits": { "memory": "2GB" } }), "environment.local.limits.memory", Code::InvalidType),
            (json!({ "limits": { "memory": -1 } }), "environment.local.limits.memory", Code::InvalidArgument),
            (json!({ "limits": { "memory": 1 } }), "environment.local.limits.memory", Code::InvalidArgument),
            (json!({ "limits": { "pids": 1.5 } }), "environment.local.limits.pids", Code::InvalidArgument),
            (json!({ "limits": { "cpu": 0 } }), "environment.local.limits.cpu", Code::InvalidArgument),
            (json!({ "limits": [] }), "environment.local.limits", Code::InvalidType),
            (json!({ "netwrok": "deny" }), "environment.local.netwrok", Code::InvalidArgument),
            (json!({ "network": "off" }), "environment.local.network", Code::InvalidArgument),
            (json!({ "network": { "allow": [1] } }), "environment.local.network.allow[0]", Code::InvalidType),
            (json!({ "network": {} }), "environment.local.network.allow", Code::InvalidType),
            (json!({ "workspace": {} }), "environment.local.workspace.path", Code::InvalidArgument),
            (
                json!({ "workspace": { "path": "x" } }),
                "environment.local.workspace.path",
                Code::InvalidArgument,
            ),
            (
                json!({ "workspace": { "path": "/x", "mode": 1 } }),
                "environment.local.workspace.mode",
                Code::InvalidType,
            ),
            (json!({ "ephemeral": "yes" }), "environment.local.ephemeral", Code::InvalidType),
            (json!({ "stateDir": "a" }), "environment.local.stateDir", Code::InvalidArgument),
            (json!("x"), "environment.local", Code::InvalidType),
        ] {
            let error = LocalOptions::parse(&value, "environment.local").unwrap_err();
            assert_eq!((error.field.as_deref(), error.code), (Some(field), code), "{value}");
            assert!(error.message.starts_with(field) && error.hint.is_some(), "{error}");
        }
    }
}
