//! Ports of a service. The service knows only lists of all of them: what is not in a new one is closed.

use serde_json::{Value, json};
use vibekit_sandbox::{Code, Error, Result};

use super::api::Api;

/// The name of a port, which is opened if it is not yet.
pub(super) async fn host(api: &Api, service: &str, port: u16) -> Result<String> {
    let known = api.ports(service).await?;
    if let Some(name) = named(&known, port) {
        return Ok(name);
    }
    let mut wanted: Vec<Value> =
        known.iter().filter(|known| known["internalPort"] != port).map(again).collect();
    wanted.push(
        json!({ "name": format!("p-{port}"), "internalPort": port, "public": true, "protocol": "HTTP" }),
    );
    api.set_ports(service, &wanted).await?;
    named(&api.ports(service).await?, port).ok_or_else(|| {
        Error::new(Code::ProviderFailed, format!("Northflank gives port {port} no name."))
            .with_hint("Look at the service's ports in Northflank.")
            .retryable()
    })
}

fn named(ports: &[Value], port: u16) -> Option<String> {
    let found = ports.iter().find(|known| known["internalPort"] == port && known["public"] == true)?;
    found["dns"].as_str().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// A port as it was told, in the form in which it is asked for.
fn again(told: &Value) -> Value {
    let mut port = told.clone();
    if let Some(fields) = port.as_object_mut() {
        // What the service makes itself.
        fields.retain(|key, _| !matches!(key.as_str(), "id" | "dns"));
        if let Some(domains) = fields.get_mut("domains").and_then(Value::as_array_mut) {
            for domain in domains {
                if let Some(name) = domain["name"].as_str() {
                    *domain = json!(name);
                }
            }
        }
    }
    port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_asked_for_as_they_were_told() {
        let told = json!({
            "id": "p1", "name": "p-80", "internalPort": 80, "public": true, "protocol": "HTTP", "dns": "x.code.run",
            "domains": [{ "name": "example.com", "status": "ok" }],
        });
        let expected = json!({
            "name": "p-80", "internalPort": 80, "public": true, "protocol": "HTTP", "domains": ["example.com"],
        });
        assert_eq!(again(&told), expected);
    }
}
