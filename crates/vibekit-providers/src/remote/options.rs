//! Reading a user's options.

use std::time::Duration;

use serde_json::{Map, Value};
use vibekit_http::Lookup;
use vibekit_sandbox::{Code, Error, Result};

/// The fields of an object. `null` and absent are the same.
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: &'a str,
}

impl<'a> Fields<'a> {
    /// Of options that may have these keys.
    pub(crate) fn of(value: &'a Value, path: &'a str, keys: &[&str]) -> Result<Self> {
        let Some(map) = value.as_object() else {
            return Err(wrong(path, value, "an object", "Give it as an object."));
        };
        if let Some(key) = map.keys().find(|key| !keys.contains(&key.as_str())) {
            let remedy = format!("The fields are: {}.", keys.join(", "));
            return Err(Error::invalid(format!("{path}.{key}"), "is not a field", remedy));
        }
        Ok(Self { map, path })
    }

    /// What errors call a field.
    pub(crate) fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// A text; empty is absent.
    pub(crate) fn text(&self, key: &str, remedy: &str) -> Result<Option<String>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(other) => Err(wrong(&self.name(key), other, "a string", remedy)),
        }
    }

    /// A text, or the first of these environment variables that is set and not empty.
    pub(crate) fn text_or(
        &self,
        key: &str,
        env: &Lookup,
        variables: &[&str],
        remedy: &str,
    ) -> Result<Option<String>> {
        let given = self.text(key, remedy)?;
        Ok(given.or_else(|| variables.iter().find_map(|name| env(name).filter(|value| !value.is_empty()))))
    }

    /// A whole number that is not negative.
    pub(crate) fn count(&self, key: &str, remedy: &str) -> Result<Option<u64>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(count) => Ok(Some(count)),
                None if value.is_number() => {
                    Err(Error::invalid(self.name(key), "is not a whole number from 0 up", remedy))
                }
                None => Err(wrong(&self.name(key), value, "a number", remedy)),
            },
        }
    }

    /// Milliseconds.
    pub(crate) fn milliseconds(&self, key: &str) -> Result<Option<Duration>> {
        Ok(self.count(key, "Give milliseconds.")?.map(Duration::from_millis))
    }

    /// An absolute URL without its last slashes.
    pub(crate) fn url_or(
        &self,
        keys: &[&str],
        env: &Lookup,
        variables: &[&str],
        default: &str,
    ) -> Result<String> {
        let remedy = format!("Give it as {default}.");
        let mut found = None;
        for key in keys {
            if let Some(text) = self.text(key, &remedy)? {
                found = Some((self.name(key), text));
                break;
            }
        }
        let found = found.or_else(|| {
            variables.iter().find_map(|name| {
                env(name).filter(|value| !value.is_empty()).map(|value| ((*name).to_owned(), value))
            })
        });
        let Some((name, url)) = found else { return Ok(default.to_owned()) };
        let parsed = url.parse::<http::Uri>().ok();
        let fine = parsed.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
                && uri.query().is_none()
                && !uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
        });
        if !fine {
            // The value is not repeated: it may hold a password.
            return Err(Error::invalid(
                name,
                "is not an http(s) URL without user, query and fragment",
                remedy,
            ));
        }
        Ok(url.trim_end_matches('/').to_owned())
    }
}

fn wrong(field: &str, value: &Value, wanted: &str, remedy: &str) -> Error {
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let mut error = Error::invalid(field, format!("must be {wanted}, not {is}"), remedy);
    error.code = Code::InvalidType;
    error
}
