//! `environment`: which provider, and whether it has its credential.

use serde_json::{Map, Value};

use super::read::{text, truthy, wrong_type};
use crate::{Code, Error, Result};

/// The chosen provider and the options the user gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    /// `northflank`, `daytona`, `e2b`, `docker` or `local`.
    pub name: &'static str,
    /// The object under that name; an empty object for `true`.
    pub options: Value,
}

/// In order of precedence: the first that is there wins, the others are ignored.
/// With each, the environment variables its key may come from.
const PROVIDERS: [(&str, &[&str]); 5] = [
    ("northflank", &["NORTHFLANK_API_KEY", "NORTHFLANK_API_TOKEN"]),
    ("daytona", &["DAYTONA_API_KEY", "DAYTONA_JWT_TOKEN"]),
    ("e2b", &["E2B_API_KEY"]),
    ("docker", &[]),
    ("local", &[]),
];

const REMEDY: &str = "Set environment to one of { local: {} }, { e2b: { apiKey } }, { daytona: { apiKey } }, \
                      { northflank: { apiKey, projectId } } or { docker: {} }.";

impl Environment {
    /// Chooses and checks. `lookup` gives host environment variables.
    pub(super) fn parse(value: Option<&Value>, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let environment = match value {
            Some(Value::Object(environment)) => environment,
            None | Some(Value::Null | Value::String(_)) => return Err(none_found()),
            Some(other) => return Err(wrong_type("environment", other, REMEDY)),
        };
        let chosen = PROVIDERS.iter().find_map(|(name, keys)| {
            let value = environment.get(*name).filter(|value| truthy(value))?;
            Some((*name, *keys, value))
        });
        let Some((name, keys, value)) = chosen else {
            return Err(none_found());
        };
        let path = format!("environment.{name}");
        let empty = Map::new();
        let options = match value {
            Value::Object(options) => options,
            Value::Bool(true) => &empty,
            other => return Err(wrong_type(&path, other, "Give it as an object; {} takes all defaults.")),
        };
        if !keys.is_empty() {
            let remedy = format!("Set {path}.apiKey, or the environment variable {}.", keys.join(" or "));
            let mut given = text(options, &path, "apiKey", &remedy)?;
            if given.is_none() && name == "daytona" {
                // A token of a person instead of a key; the provider asks for the organisation that goes with it.
                given = text(options, &path, "jwtToken", &remedy)?;
            }
            let found =
                given.or_else(|| keys.iter().find_map(|key| lookup(key).filter(|value| !value.is_empty())));
            if found.is_none() {
                return Err(Error::invalid(format!("{path}.apiKey"), "is missing", remedy));
            }
        }
        Ok(Self { name, options: Value::Object(options.clone()) })
    }
}

/// Upstream's sentence for every way of not having one.
fn none_found() -> Error {
    Error::new(Code::InvalidArgument, "No sandbox configuration found in environment config")
        .with_field("environment")
        .with_hint(REMEDY)
}
