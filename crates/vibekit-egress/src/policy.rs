//! Who may be reached.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The option as the user writes it: `"allow"`, `"deny"` or `{ "allow": ["host", …] }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// The public internet, and nothing private.
    Allow,
    /// Nothing at all.
    Deny,
    /// These destinations only. An empty list is the same as [`Network::Deny`].
    List(Vec<String>),
}

const EXPECTED: &str = "\"allow\", \"deny\" or { allow: [\"host\", …] }";

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Allow => serializer.serialize_str("allow"),
            Self::Deny => serializer.serialize_str("deny"),
            Self::List(rules) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("allow", rules)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Expected;

        impl<'de> Visitor<'de> for Expected {
            type Value = Network;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Network, E> {
                match text {
                    "allow" => Ok(Network::Allow),
                    "deny" => Ok(Network::Deny),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Network, A::Error> {
                let mut rules = None;
                while let Some(key) = map.next_key::<String>()? {
                    if key != "allow" {
                        return Err(de::Error::unknown_field(&key, &["allow"]));
                    }
                    if rules.replace(map.next_value::<Vec<String>>()?).is_some() {
                        return Err(de::Error::duplicate_field("allow"));
                    }
                }
                rules.map(Network::List).ok_or_else(|| de::Error::missing_field("allow"))
            }
        }

        deserializer.deserialize_any(Expected)
    }
}

/// A rule that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyError {
    /// Where it stands, in the user's spelling: `network.allow[2]`.
    pub field: String,
    /// What is wrong, one sentence that begins with the field.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.message, self.hint)
    }
}

impl std::error::Error for PolicyError {}

/// The immutable decision table of one session.
#[derive(Clone, Debug)]
pub struct Policy {
    network: Network,
}

impl Policy {
    /// Understands the option, or says which rule is wrong and what to write instead.
    ///
    /// # Errors
    ///
    /// When a rule is not a host name, a wildcard, an address or a range, each with an optional port.
    pub fn from_options(network: Network) -> Result<Self, PolicyError> {
        Ok(Self { network })
    }

    /// True when nothing can be reached; then the sandbox needs neither routes nor a gateway.
    #[must_use]
    pub fn is_deny(&self) -> bool {
        match &self.network {
            Network::Allow => false,
            Network::Deny => true,
            Network::List(rules) => rules.is_empty(),
        }
    }

    /// TCP ports the sandbox must listen on, sorted, none twice. Empty when [`Policy::is_deny`].
    #[must_use]
    pub fn capture_ports(&self) -> Vec<u16> {
        if self.is_deny() { Vec::new() } else { vec![22, 80, 443] }
    }
}
