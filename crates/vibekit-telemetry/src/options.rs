use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry::KeyValue;
use serde::Deserialize;

/// What an instance is made with. The shape is the shim's.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// Where batches are sent by POST, as it is.
    pub endpoint: String,
    /// Sent with every batch. May hold secrets.
    pub headers: BTreeMap<String, String>,
    /// Milliseconds for one batch, repetitions included. Default 5 000.
    pub timeout: u64,
    /// `service.name`. Default `vibekit`.
    pub service_name: String,
    /// `service.version`. Default `1.0.0`.
    pub service_version: String,
    /// More attributes of the resource; they win over all others.
    pub resource_attributes: BTreeMap<String, String>,
    /// What is known of the process: `host.name` and the like.
    pub process: BTreeMap<String, String>,
    /// Texts that must not leave the process, wherever they turn up in a record.
    pub secrets: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            headers: BTreeMap::new(),
            timeout: 5_000,
            service_name: "vibekit".to_owned(),
            service_version: "1.0.0".to_owned(),
            resource_attributes: BTreeMap::new(),
            process: BTreeMap::new(),
            secrets: Vec::new(),
        }
    }
}

impl Options {
    pub(crate) const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout)
    }

    pub(crate) fn resource(&self) -> Vec<KeyValue> {
        let mut all = BTreeMap::from([
            ("service.name", self.service_name.as_str()),
            ("service.version", self.service_version.as_str()),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.name", "opentelemetry"),
            ("telemetry.sdk.version", opentelemetry_version()),
        ]);
        for (name, value) in self.process.iter().chain(&self.resource_attributes) {
            all.insert(name, value);
        }
        all.into_iter().map(|(name, value)| KeyValue::new(name.to_owned(), value.to_owned())).collect()
    }
}

/// Of the SDK crate, which does not tell it.
const fn opentelemetry_version() -> &'static str {
    "0.33"
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("endpoint", &self.endpoint)
            .field("timeout", &self.timeout)
            .field("service_name", &self.service_name)
            .finish_non_exhaustive()
    }
}
